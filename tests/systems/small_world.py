"""Six films, two dialogues, and parts of systems for the tests of systems."""

from pathlib import Path

import numpy as np

from ivcr_bench.data.dataset import Corpus
from ivcr_bench.schema import Answer, Dialogue, Exchange, Gold, Moment, Request, Turn, Video

CORPUS = Corpus(Path("nowhere"), tuple(Video(f"f{n}", f"{n}.mp4", 10.0 * (n + 1), "hand") for n in range(6)))
DIALOGUES = (
    Dialogue(
        "d-en",
        "en",
        "test",
        1,
        (
            Turn("a dance film", "video_retrieval", "new_topic", Gold(("f2", "f4"), (), "f2, a dance film")),
            Turn("when does it turn?", "moment_retrieval", "long2short", Gold(("f2",), ((3.0, 5.0),), "at 3 s")),
            Turn("thanks!", "natural_dialogue", "chitchat", Gold((), (), "my pleasure")),
        ),
    ),
    Dialogue("d-zh", "zh", "test", 1, (Turn("夜里的片子", "video_retrieval", "new_topic", Gold(("f5",), (), "f5")),)),
)


def request(utterance, *history, dialogue_id="d", turn=None, candidates=None):
    """A request after ``history``, a film id (or ``None`` for a failed turn) for each past turn."""
    past = tuple(Exchange("...", film and Answer("video_retrieval", videos=(film,))) for film in history)
    return Request(dialogue_id, turn or len(past) + 1, "en", utterance, past, candidates)


def gold_requests():
    return [
        Request(dialogue.dialogue_id, number, dialogue.language, turn.utterance)
        for dialogue in DIALOGUES
        for number, turn in enumerate(dialogue.turns, start=1)
    ]


class FixedRetriever:
    """Gives every request the same scores."""

    name = "fixed"
    intents = frozenset({"video_retrieval"})

    def __init__(self, scores=(0, 5, 4, 3, 2, 1)):
        self.scores = scores
        self.asked = []
        self.corpus = None

    def prepare(self, corpus):
        self.corpus = corpus

    def rank(self, requests):
        self.asked.append([r.utterance for r in requests])
        return np.tile(np.array(self.scores, np.float32), (len(requests), 1))


class FirstSecond:
    """The first second of any film."""

    name = "first-second"
    fingerprint = "v1"

    def prepare(self, corpus):
        self.corpus = corpus

    def localise(self, requests, video_ids):
        return [[Moment(video_id, 0.0, 1.0)] for video_id in video_ids]


class Listener:
    """A system that keeps what it is asked, and can be put behind a retriever."""

    name = "listener"
    intents = frozenset({"video_retrieval"})
    fingerprint = "v2"

    def __init__(self, folder=None):
        self.folder = folder
        self.requests = []
        self.retriever = None

    def with_retriever(self, retriever):
        self.retriever = retriever
        return self

    def prepare(self, corpus):
        self.retriever_was_prepared = self.retriever is not None and self.retriever.corpus is corpus

    def respond(self, requests):
        from ivcr_bench.schema import Response

        self.requests.extend(requests)
        return [Response(intent="video_retrieval", videos=("f0",)) for _ in requests]


class NoSystem:
    name = "no-system"


class Broken:
    def __init__(self):
        raise RuntimeError("no GPU here\nsecond line")
