"""The sixth layer against attacks: answers swapped for answers to other turns, which no honest judge may like.

A text made to please a judge pleases it everywhere, an honest answer only where it belongs. So some turns are judged a
second time, with what the same system said to a turn about something else.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ivcr_bench.schema import INTENTS, LANGUAGES
from ivcr_bench.scoring.gold import GoldTurns

CANARIES = 20
"""So many turns are swapped, the languages in equal parts."""

POOL = 100
"""Among so many turns of its language the most unlike one is chosen for each."""

MOST = 0.15
"""A submission whose swapped answers have a higher mean is held."""

GRAM = 3


def swaps(gold: GoldTurns) -> dict[int, int]:
    """Row of a canary -> row whose answer takes its place; the same for everyone who answers these gold turns.

    Canaries are spread evenly over the turns that ask for a film or a moment, whose references say something that
    greetings do not.
    """
    chosen: dict[int, int] = {}
    for language in range(len(LANGUAGES)):
        pool = _spread(_specific(gold, language), POOL)
        grams = {row: _grams(gold.references[row]) for row in pool}
        for row in _spread(np.array(pool, np.int64), CANARIES // len(LANGUAGES)):
            others = [other for other in pool if gold.dialogue[other] != gold.dialogue[row]]
            if others:
                chosen[row] = min(others, key=lambda other: (_likeness(grams[row], grams[other]), other))
    return chosen


def findings(mean: float | None) -> Iterator[str]:
    """Why a submission with this mean over its canaries is held, if it is."""
    if mean is not None and mean > MOST:
        yield f"answers swapped for others' score {mean:.2f} on average (more than {MOST})"


def _specific(gold: GoldTurns, language: int) -> NDArray[np.int64]:
    asks = gold.intent != INTENTS.index("natural_dialogue")
    return np.flatnonzero(asks & (gold.language == language) & ~gold.references.empty())


def _spread(rows: NDArray[np.int64], most: int) -> list[int]:
    """At most so many of ``rows``, evenly spaced."""
    step = max(1, len(rows) // most)
    return [int(row) for row in rows[::step][:most]]


def _grams(text: str) -> frozenset[str]:
    return frozenset(text[start : start + GRAM] for start in range(len(text) - GRAM + 1))


def _likeness(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / max(1, len(one | other))
