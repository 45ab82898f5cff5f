"""Differences: is one system better than another on the same dialogues, and by how much?

The paired permutation test (Fisher 1935; Good, Permutation, Parametric and Bootstrap Tests of Hypotheses, 2005). If two
systems are equally good, nothing changes when their answers to a whole dialogue are swapped. So dialogues are swapped
at random, each with probability 1/2, and p is the share of such swaps whose difference is at least as large, in either
direction, as the one observed. It holds for any figure of sums, BLEU included, and for dialogues of any length.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from ivcr_bench.scoring.statistics.resampling import RESAMPLES, Sums, swap_signs

TOLERANCE = 1e-9
"""Two differences that are this close are the same one, summed in another order."""

Value = Callable[[Sums], NDArray[np.float64]]
"""A figure of sums: ``[..., columns]`` to ``[...]``."""


def permutation_p(first: Sums, second: Sums, value: Value) -> float:
    """The two-sided p-value of the difference between two systems.

    All swaps are tried where there are no more than `RESAMPLES`, and p is exact. Otherwise so many random ones are, and
    the observed one counts with them, p = (1 + extreme) / (1 + RESAMPLES), so that p is never too small (Phipson and
    Smyth 2010) and never 0. Units in which the systems do not differ make no difference and are not swapped.

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
    middle, half = (first + second).sum(axis=0) / 2, (first - second)[differ] / 2
    observed = _difference(half.sum(axis=0), middle, value)
    signs, exact = _swaps(len(half))
    extreme = sum(
        int((np.abs(_difference(block @ half, middle, value)) >= abs(observed) - TOLERANCE).sum()) for block in signs
    )
    return extreme / 2 ** len(half) if exact else (1 + extreme) / (1 + RESAMPLES)


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


def _difference(half: Sums, middle: Sums, value: Value) -> NDArray[np.float64]:
    return value(middle + half) - value(middle - half)


def _swaps(units: int) -> tuple[Iterator[Sums], bool]:
    """Signs of swaps ``[some swaps, units]``, and whether they are all that there are."""
    if 2**units > RESAMPLES:
        return swap_signs(units), False
    swapped = np.arange(2**units)[:, None] >> np.arange(units) & 1
    return iter([np.where(swapped, -1.0, 1.0)]), True
