"""Moment localisers that do not look: the levels that a real one has to beat."""

from __future__ import annotations

from collections.abc import Sequence

from ivcr_bench.data.dataset import Corpus
from ivcr_bench.schema import Intent, Moment, Request


class Fraction:
    """Always the same part of a film.

    Args:
        first, last: where the part begins and ends, as fractions of the film's length.
    """

    intents: frozenset[Intent] = frozenset({"moment_retrieval"})
    reads_films = False

    def __init__(self, name: str, first: float, last: float) -> None:
        self.name, self._first, self._last = name, first, last

    def prepare(self, corpus: Corpus) -> None:
        """Remember how long the films last."""
        self._durations = {video.video_id: video.duration for video in corpus.videos}

    def localise(self, requests: Sequence[Request], video_ids: Sequence[str]) -> list[list[Moment]]:
        """That part of each film."""
        durations = [self._durations[video_id] for video_id in video_ids]
        return [
            [Moment(video_id, self._first * duration, self._last * duration)]
            for video_id, duration in zip(video_ids, durations, strict=True)
        ]


class WholeFilm(Fraction):
    """Always the whole film."""

    intents: frozenset[Intent] = frozenset({"moment_retrieval"})

    def __init__(self) -> None:
        super().__init__("whole-film", 0.0, 1.0)


class MiddleThird(Fraction):
    """Always the middle third of the film."""

    intents: frozenset[Intent] = frozenset({"moment_retrieval"})

    def __init__(self) -> None:
        super().__init__("middle-third", 1 / 3, 2 / 3)
