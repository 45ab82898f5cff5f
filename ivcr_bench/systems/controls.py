"""Controls: systems that say how to read the figures of the others.

`Oracle` is the upper bound, `Random` the floor, `FirstTurnOnly` what remains of a system without the history.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec
import numpy as np

from ivcr_bench.data.dataset import Corpus
from ivcr_bench.schema import INTENTS, Dialogue, Intent, Moment, Request, Response, Turn, gold_answer
from ivcr_bench.systems.compose import RANKING_DEPTH
from ivcr_bench.systems.protocol import Route, System
from ivcr_bench.systems.traits import fingerprint_of, reads_films, sees_gold


class Oracle:
    """Answers from the gold; the only system that is given it.

    Args:
        dialogues: the dialogues that it will be asked about.
    """

    name = "oracle"
    intents: frozenset[Intent] = frozenset(INTENTS)
    reads_films = False
    sees_gold = True

    def __init__(self, dialogues: Sequence[Dialogue]) -> None:
        self._turns = {
            (dialogue.dialogue_id, number): turn
            for dialogue in dialogues
            for number, turn in enumerate(dialogue.turns, start=1)
        }

    def prepare(self, corpus: Corpus) -> None:
        """Remember where each film stands in the corpus, and how long it lasts."""
        self._place = {video.video_id: place for place, video in enumerate(corpus.videos)}
        self._duration = {video.video_id: video.duration for video in corpus.videos}

    def respond(self, requests: Sequence[Request]) -> list[Response]:
        """The gold answer of each request."""
        answers = [gold_answer(self._gold(request)) for request in requests]
        return [
            Response(intent=answer.intent, videos=answer.videos, moments=answer.moments, text=answer.text)
            for answer in answers
        ]

    def rank(self, requests: Sequence[Request]) -> np.ndarray:
        """The relevant films in their order, then all others: float32 ``[requests, films]``."""
        scores = np.zeros((len(requests), len(self._place)), np.float32)
        for row, request in zip(scores, requests, strict=True):
            videos = self._gold(request).gold.videos
            row[[self._place[video_id] for video_id in videos]] = range(len(videos), 0, -1)
        return scores

    def route(self, requests: Sequence[Request]) -> list[Route]:
        """The gold intent and film of each request."""
        turns = [self._gold(request) for request in requests]
        return [Route(turn.intent, turn.gold.videos[0] if turn.gold.videos else None) for turn in turns]

    def localise(self, requests: Sequence[Request], video_ids: Sequence[str]) -> list[list[Moment]]:
        """The gold moments where the film is the one that they are of, else the whole film."""
        return [self._moments(self._gold(request), film) for request, film in zip(requests, video_ids, strict=True)]

    def _moments(self, turn: Turn, film: str) -> list[Moment]:
        if turn.gold.moments and turn.gold.videos[0] == film:
            return list(gold_answer(turn).moments)
        return [Moment(film, 0.0, self._duration[film])]

    def _gold(self, request: Request) -> Turn:
        return self._turns[request.dialogue_id, request.turn]


class Random:
    """Guesses intent, ranking and moment, each uniformly; it reads nothing of the request but which one it is.

    Whatever intent it guesses, the answer also holds a ranking and a moment, so that figures without the rule of
    one intent an answer (``score --ungated``) show its chance level too. Every guess follows from the dialogue's
    id, the turn and a seed alone: batches and resuming change nothing.
    """

    name = "random"
    intents: frozenset[Intent] = frozenset(INTENTS)
    reads_films = False

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed

    def prepare(self, corpus: Corpus) -> None:
        """Remember the films and how long they last."""
        self._videos = corpus.videos

    def respond(self, requests: Sequence[Request]) -> list[Response]:
        """One guess per request."""
        return [self._guess(request) for request in requests]

    def rank(self, requests: Sequence[Request]) -> np.ndarray:
        """Uniform scores: float32 ``[requests, films]``."""
        return np.stack([self._draws(request)[4:] for request in requests]).astype(np.float32)

    def _guess(self, request: Request) -> Response:
        (intent, film, *times), scores = np.split(self._draws(request), [4])
        ranking = [self._videos[place].video_id for place in np.argsort(-scores)]
        if request.candidates is not None:
            given = set(request.candidates)
            ranking = [video_id for video_id in ranking if video_id in given]
        video = self._videos[int(film * len(self._videos))]
        start, end = sorted(float(time) * video.duration for time in times)
        return Response(
            intent=INTENTS[int(intent * len(INTENTS))],
            videos=tuple(ranking[:RANKING_DEPTH]),
            moments=(Moment(video.video_id, start, end),),
        )

    def _draws(self, request: Request) -> np.ndarray:
        """Uniform numbers in [0, 1): for the intent, the moment's film and two times, and one a film."""
        key = f"{request.dialogue_id}\n{request.turn}\n{self._seed}".encode()
        generator = np.random.default_rng(int.from_bytes(hashlib.sha256(key).digest()[:8], "big"))
        return generator.random(4 + len(self._videos))


class FirstTurnOnly:
    """Lets ``system`` see each utterance as if the dialogue began with it."""

    def __init__(self, system: System) -> None:
        self._system = system
        self.name = f"first-turn-only:{system.name}"
        self.intents = system.intents
        self.reads_films = reads_films(system)
        self.sees_gold = sees_gold(system)
        self.fingerprint = fingerprint_of(system)

    def prepare(self, corpus: Corpus) -> None:
        """Prepare the system, which may only now know what it can answer."""
        self._system.prepare(corpus)
        self.intents = self._system.intents

    def respond(self, requests: Sequence[Request]) -> list[Response]:
        """What the system answers without the history."""
        return self._system.respond([msgspec.structs.replace(request, history=()) for request in requests])
