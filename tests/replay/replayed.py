"""A tiny dataset and scripted systems for the tests of replaying."""

from pathlib import Path

from ivcr_bench.data.dataset import Dataset, DatasetCard
from ivcr_bench.data.fingerprint import fingerprint
from ivcr_bench.schema import INTENTS, Dialogue, Gold, Response, Turn, Video

FILMS = tuple(Video(f"f{n}", f"{n}.mp4", 30.0, "hand") for n in range(4))


def turn(number, film="f1"):
    gold = Gold(videos=(film,), response=f"GOLDTEXT{number}")
    return Turn(f"say {number}", "video_retrieval", "new_topic", gold, candidates=("f1", "f2"))


def talk(name, turns):
    return Dialogue(name, "en", "test", 1, tuple(turn(n) for n in range(1, turns + 1)))


def dataset(*lengths):
    dialogues = tuple(talk(f"d{n}", length) for n, length in enumerate(lengths))
    return Dataset(Path("nowhere"), DatasetCard("tiny", fingerprint(FILMS, dialogues)), FILMS, dialogues)


class Scripted:
    """Answers as the function given says, and keeps the batches that it was asked."""

    name = "scripted"
    intents = frozenset(INTENTS)
    reads_films = False

    def __init__(self, answer=None):
        self.answer = answer or wrong
        self.batches = []
        self.prepared = 0

    def prepare(self, corpus):
        self.prepared += 1

    def respond(self, requests):
        self.batches.append(tuple(requests))
        return [self.answer(request) for request in requests]


def wrong(request):
    return Response(intent="video_retrieval", videos=("f3",), text=f"own {request.dialogue_id} {request.turn}")
