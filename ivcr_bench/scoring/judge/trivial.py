"""Judges that understand nothing, for comparison: agreement says little unless it is far above theirs.

Four always say the same bucket. Three rank answers by one number (their length, their BLEU-4 or their token F1 with the
reference) and cut the ranking in four; the cuts are those with the highest weighted kappa on the very labels that they
are then compared with, which no real judge may do. So their figures are the most that the number can give.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray

from ivcr_bench.scoring.judge.items import LABELS, VALUES, Label
from ivcr_bench.scoring.judge.labelled import LabelledTurn
from ivcr_bench.scoring.text import bleu, ngram_statistics, tokenise

CUTS = 24
"""So many places to cut at are tried, evenly spaced over the turns."""


def trivial_labels(turns: Sequence[LabelledTurn]) -> dict[str, dict[str, Label]]:
    """Name of a trivial judge -> turn id -> what it says."""
    said = {f"always {label}": dict.fromkeys((turn.turn_id for turn in turns), label) for label in LABELS}
    gold = np.array([VALUES[turn.label] for turn in turns])
    for name, feature in _FEATURES.items():
        buckets = best_cuts(feature(turns), gold)
        said[name] = {turn.turn_id: LABELS[bucket] for turn, bucket in zip(turns, buckets.tolist(), strict=True)}
    return said


def token_f1(answer: str, reference: str) -> float:
    """Harmonic mean of precision and recall of the answer's tokens, case ignored; 0 if none is shared.

    >>> token_f1("A red car.", "a red red bus")  # 2 of 4 and 2 of 4
    0.5
    """
    said, expected = Counter(tokenise(answer.lower())), Counter(tokenise(reference.lower()))
    shared = (said & expected).total()
    return 2 * shared / (said.total() + expected.total()) if shared else 0.0


def best_cuts(scores: NDArray[np.float64], gold: NDArray[np.float64]) -> NDArray[np.int64]:
    """Bucket of each turn, 0 the best, when the higher score is the better and the three cuts are the best possible.

    Args:
        scores, gold: score and the label's value of each turn, float64 ``[turns]``.

    >>> best_cuts(np.array([9.0, 1, 5, 2]), gold=np.array([1.0, 0, 0.6, 0])).tolist()
    [0, 3, 1, 3]
    """
    places = np.unique(np.quantile(scores, np.linspace(0, 1, CUTS), method="nearest"))
    places = np.append(places, np.inf)
    values = np.array([VALUES[label] for label in LABELS])
    cuts = np.array(list(combinations_with_replacement(places, len(LABELS) - 1)))
    buckets: NDArray[np.int64] = (scores[None, :, None] < cuts[:, None, :]).sum(axis=-1)
    said = values[buckets]
    observed = ((said - gold) ** 2).mean(axis=1)
    by_chance = said.var(axis=1) + gold.var() + (said.mean(axis=1) - gold.mean()) ** 2
    best = np.argmin(observed / np.where(by_chance > 0, by_chance, np.inf) + (by_chance <= 0))
    chosen: NDArray[np.int64] = buckets[best]
    return chosen


def _lengths(turns: Sequence[LabelledTurn]) -> NDArray[np.float64]:
    return np.array([len(tokenise(turn.candidate)) for turn in turns], np.float64)


def _bleu(turns: Sequence[LabelledTurn]) -> NDArray[np.float64]:
    counts = ngram_statistics([turn.candidate for turn in turns], [turn.reference for turn in turns])
    return bleu(counts.astype(np.float64), smoothed=True)


def _f1(turns: Sequence[LabelledTurn]) -> NDArray[np.float64]:
    return np.array([token_f1(turn.candidate, turn.reference) for turn in turns])


_FEATURES: dict[str, Callable[[Sequence[LabelledTurn]], NDArray[np.float64]]] = {
    "longest wins": _lengths,
    "BLEU-4": _bleu,
    "token F1": _f1,
}
