"""Differences: is one system better than another on the same dialogues, and by how much?

The paired permutation test (Fisher 1935; Good, Permutation, Parametric and Bootstrap Tests of Hypotheses, 2005). If two
systems are equally good, nothing changes when their answers to a whole dialogue are swapped. So dialogues are swapped
at random, each with probability 1/2, and p is the share of such swaps whose difference is at least as large, in either
direction, as the one observed. It holds for any figure of sums, BLEU included, and for dialogues of any length.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from ivcr_bench.scoring.statistics.resampling import RESAMPLES, SEED, Sums, random_swaps

ALL_SWAPPED = int(math.log2(RESAMPLES))
"""The most units of which all swaps are tried: 13."""

MOST, FEW = 100_000, 100
"""The most random swaps, and the number of extreme ones among the first `RESAMPLES` up to which so many are made."""

TOLERANCE = 1e-9
"""Two differences that are this close are the same one, summed in another order."""

Value = Callable[[Sums], NDArray[np.float64]]
"""A figure of sums: ``[..., columns]`` to ``[...]``."""


def permutation_p(first: Sums, second: Sums, value: Value) -> float:
    """The two-sided p-value of the difference between two systems.

    All swaps are tried where there are no more than `RESAMPLES`, and p is exact. Otherwise `RESAMPLES` random ones are,
    and if at most `FEW` of them are extreme, more, `MOST` in all: p must be able to fall far below 1 / `RESAMPLES` if
    it is to be corrected for hundreds of comparisons. The observed difference counts as one more swap,
    p = (1 + extreme) / (1 + swaps), so that p is never 0, and where the systems are equally good, p <= alpha has at
    most the chance alpha (Phipson and Smyth 2010; for the second stage, see docs/statistics.md). Units in which the
    systems do not differ are not swapped, since it makes no difference.

    Args:
        first: column sums of each unit for one system, float64 ``[units, columns]``.
        second: the same for the other.
        value: the figure that is compared.

    >>> ratio = lambda sums: sums[..., 0] / sums[..., 1]
    >>> better, worse = np.array([[1.0, 1]] * 4), np.array([[0.0, 1]] * 4)
    >>> permutation_p(better, worse, ratio)  # 2 of the 2^4 swaps: none, and all
    0.125
    """
    differ = (first != second).any(axis=1)
    gained = (first - second)[differ]
    units = len(gained)
    totals = first.sum(axis=0), second.sum(axis=0)
    observed = abs(float(value(totals[0]) - value(totals[1])))

    def count_extreme(swaps: Iterable[Sums]) -> int:
        extreme = 0
        for block in swaps:
            moved = block @ gained
            difference = value(totals[0] - moved) - value(totals[1] + moved)
            extreme += int((np.abs(difference) >= observed - TOLERANCE).sum())
        return extreme

    if units <= ALL_SWAPPED:
        return count_extreme([_all_swaps(units)]) / (1 << units)
    random = np.random.default_rng(SEED)
    extreme, tried = count_extreme(random_swaps(random, RESAMPLES, units)), RESAMPLES
    if extreme <= FEW:
        extreme, tried = extreme + count_extreme(random_swaps(random, MOST - RESAMPLES, units)), MOST
    return (1 + extreme) / (1 + tried)


def effect_size(first: Sums, second: Sums, value: Value, dialogues: int) -> float:
    """Cohen's d_z: the difference of two systems in standard deviations of the difference from dialogue to dialogue.

    The data are paired, so the deviation that counts is that of the difference (Lakens 2013, equation 6). A dialogue's
    share in a figure that is not a mean of dialogues (a mean of turns, BLEU) is what the figure changes by when it is
    left out: the deviation is sqrt(dialogues) times the jackknife's standard error (Efron and Tibshirani 1993,
    chapter 11), which for a mean of dialogues is their standard deviation exactly. Unlike p it does not grow with the
    number of dialogues: they decide at most how well it is known.

    Args:
        first: column sums of each unit for one system, float64 ``[units, columns]``.
        second: the same for the other.
        value: the figure that is compared.
        dialogues: how many dialogues have a turn of the figure's kind.

    Returns:
        positive where ``first`` is better; 0 for equal figures; inf where the difference is the same in all
        dialogues; nan where a figure cannot do without one dialogue.

    >>> ratio = lambda sums: sums[..., 0] / sums[..., 1]
    >>> first, second = np.array([[1.0, 1], [1, 1], [0, 1]]), np.array([[0.0, 1], [0, 1], [0, 1]])
    >>> effect_size(first, second, ratio, dialogues=3)  # differences 1, 1, 0: mean 2/3, deviation sqrt(1/3)
    1.1547...
    """
    involved = ((first != 0) | (second != 0)).any(axis=1)
    first, second = first[involved], second[involved]
    totals = first.sum(axis=0), second.sum(axis=0)
    difference = float(value(totals[0]) - value(totals[1]))
    if abs(difference) <= TOLERANCE:
        return 0.0
    without = value(totals[0] - first) - value(totals[1] - second)
    error = float(np.sqrt((len(without) - 1) * np.var(without)))
    if error <= TOLERANCE and len(without) > 1:
        return math.copysign(math.inf, difference)
    return difference / (error * math.sqrt(dialogues)) if len(without) > 1 else math.nan


def _all_swaps(units: int) -> Sums:
    """Float64 ``[2 ** units, units]``; see `random_swaps`."""
    return (np.arange(2**units)[:, None] >> np.arange(units) & 1).astype(np.float64)
