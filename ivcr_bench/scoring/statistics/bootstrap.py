"""Intervals: the percentile bootstrap over dialogues (Efron 1979; Efron and Tibshirani 1993, chapter 13).

A resample draws as many dialogues as there are, with replacement, and takes all turns of each. The 95 % interval of a
figure reaches from the 2.5 % to the 97.5 % quantile of its values in `RESAMPLES` resamples.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ivcr_bench.scoring.statistics.resampling import Sums, resample_counts

LEVEL = 0.95

SPARSE = 0.2
"""A figure that is missing from more resamples than this rests on a single dialogue.

Of n dialogues, a resample misses a given one with probability (1 - 1/n)^n >= 1/4 and a given two with at most 0.136.
"""


def bootstrap_values(units: Sums, value: Callable[[Sums], NDArray[np.float64]]) -> NDArray[np.float64]:
    """The figures of each resample, made without ever holding the sums of all resamples.

    Sums of whole numbers are exact (float32, twice as fast, is not beyond 2^24, and a paper-size split has 24 million
    tokens), so that the interval is the same on every machine. Equal columns are summed once: the denominators of
    several metrics, the token counts of several propagation rules.

    Args:
        units: column sums of each unit, float64 ``[units, columns]``.
        value: figures of sums, ``[..., columns]`` to ``[..., figures]`` or ``[...]``.

    Returns:
        float64 ``[RESAMPLES, figures]`` or ``[RESAMPLES]``; all nan where there is one unit, which cannot show how
        much units vary.

    >>> values = bootstrap_values(np.array([[1.0, 1], [0, 1]]), lambda sums: sums[..., 0] / sums[..., 1])
    >>> np.unique(values).tolist()
    [0.0, 0.5, 1.0]
    """
    distinct, column = _distinct_columns(units)
    if len(units) == 1:
        distinct = np.full_like(distinct, np.nan)
    return np.concatenate([value((counts @ distinct)[:, column]) for counts in resample_counts(len(units))])


def bootstrap_sums(units: Sums) -> Sums:
    """The column sums of each resample: ``[units, columns]`` gives float64 ``[RESAMPLES, columns]``."""
    return bootstrap_values(units, lambda sums: sums)


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


def _distinct_columns(units: Sums) -> tuple[Sums, NDArray[np.intp]]:
    """The columns that differ, ``[units, distinct]``, and where among them each column of ``units`` stands."""
    places: dict[bytes, int] = {}
    first: list[int] = []
    where = np.empty(units.shape[1], np.intp)
    for index, column in enumerate(np.ascontiguousarray(units.T)):
        place = places.setdefault(column.tobytes(), len(first))
        if place == len(first):
            first.append(index)
        where[index] = place
    return units[:, first], where
