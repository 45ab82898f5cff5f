"""Intervals: the percentile bootstrap over dialogues (Efron 1979; Efron and Tibshirani 1993, chapter 13).

A resample draws as many dialogues as there are, with replacement, and takes all turns of each. The 95 % interval of a
figure reaches from the 2.5 % to the 97.5 % quantile of its values in `RESAMPLES` resamples.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ivcr_bench.scoring.statistics.resampling import RESAMPLES, Sums, resample_counts

LEVEL = 0.95

SPARSE = 0.2
"""A figure that is missing from more resamples than this rests on a single dialogue.

Of n dialogues, a resample misses a given one with probability (1 - 1/n)^n >= 1/4 and a given two with at most 0.136.
"""


def bootstrap_sums(units: Sums) -> Sums:
    """The column sums of each resample.

    Sums of whole numbers are exact, so that an interval is the same on every machine. Most are small enough to be so in
    float32, which is nearly twice as fast; the tokens of a paper-size split, 24 million, are not.

    Args:
        units: column sums of each unit, float64 ``[units, columns]``.

    Returns:
        float64 ``[RESAMPLES, columns]``; all nan where there is one unit, which cannot show how much units vary.

    >>> sums = bootstrap_sums(np.array([[1.0, 1], [0, 1]]))
    >>> np.unique(sums[:, 0] / sums[:, 1]).tolist()
    [0.0, 0.5, 1.0]
    """
    if len(units) == 1:
        return np.full((RESAMPLES, units.shape[1]), np.nan)
    small = _exact_in_float32(units)
    in_float32, in_float64 = units.T[small].astype(np.float32), units.T[~small]
    sums = np.empty((units.shape[1], RESAMPLES))  # column by column, as they will be read
    row = 0
    for counts in resample_counts(len(units)):
        block = sums[:, row : row + len(counts)]
        block[small] = in_float32 @ counts.T
        block[~small] = in_float64 @ counts.T.astype(np.float64)
        row += len(counts)
    return sums.T


def percentile_interval(
    values: NDArray[np.float64], level: float = LEVEL
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The interval that holds the middle ``level`` of the resamples.

    A resample in which a figure is nan (no unit of its kind was drawn) is left out for that figure. A figure that is
    nan in more than `SPARSE` of the resamples has no interval.

    Args:
        values: ``[resamples, ...]``.

    Returns:
        its lower and its upper end, each ``[...]``, nan where there is none.

    >>> low, high = percentile_interval(np.arange(101.0))
    >>> round(float(low), 9), round(float(high), 9)
    (2.5, 97.5)
    """
    tails = [(1 - level) / 2, (1 + level) / 2]
    columns = values.reshape(len(values), -1)
    missing = np.isnan(columns).mean(axis=0)
    ends = np.full((2, columns.shape[1]), np.nan)
    whole = missing == 0
    ends[:, whole] = np.quantile(columns[:, whole], tails, axis=0)
    for column in np.flatnonzero((missing > 0) & (missing <= SPARSE)):
        present = columns[:, column]
        ends[:, column] = np.quantile(present[~np.isnan(present)], tails)
    low, high = ends.reshape(2, *values.shape[1:])
    return low, high


def _exact_in_float32(units: Sums) -> NDArray[np.bool_]:
    """The columns whose resampled sums are whole numbers that float32 holds, whichever units are drawn."""
    largest = np.abs(units).max(axis=0) * len(units)
    exact: NDArray[np.bool_] = (largest < 2 ** (np.finfo(np.float32).nmant + 1)) & (units == np.rint(units)).all(axis=0)
    return exact
