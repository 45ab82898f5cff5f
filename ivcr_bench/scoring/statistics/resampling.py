"""What is resampled, and the draws: the same for every system, metric and machine.

The unit is the dialogue. Up to `GROUPS` dialogues each is a unit by itself. Beyond, dialogues are dealt at random into
`GROUPS` groups whose sizes differ by one at most, and groups are resampled, which bounds the cost ("random groups":
Wolter, Introduction to Variance Estimation, chapter 2). The variance of a mean is then still estimated without bias,
only from fewer numbers: the width of an interval has a relative standard error of 1 / sqrt(2 (GROUPS - 1)) = 1.6 %.
That is what `RESAMPLES` costs anyway: the 2.5 % quantile of that many normal draws has a standard error of
sqrt(0.025 * 0.975 / RESAMPLES) / 0.0584 = 0.027 standard deviations, 1.4 % of the 1.96 that it is away from the middle.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 10_000
"""How many bootstrap resamples, and how many random swaps at first."""

GROUPS = 2_048
"""The most units."""

SEED = 200_000
"""Of all draws."""

CELLS = 1 << 19
"""How many cells of a matrix of draws are in memory at once."""

Integers = NDArray[np.integer[Any]]
Sums = NDArray[np.float64]


def units_of(dialogues: int) -> NDArray[np.int64]:
    """The unit of each of so many dialogues, in dataset order: int64 ``[dialogues]``, from 0.

    >>> units_of(3).tolist()
    [0, 1, 2]
    >>> np.bincount(units_of(5_000)).tolist() == [3] * 904 + [2] * 1_144
    True
    """
    unit: NDArray[np.int64] = np.arange(dialogues) % GROUPS
    return unit if dialogues <= GROUPS else np.random.default_rng(SEED).permutation(unit)


def unit_sums(statistics: Sums, dialogue: Integers, dialogues: int) -> Sums:
    """The sums over the turns of each unit.

    Args:
        statistics: float64 ``[turns, columns]``.
        dialogue: index of each turn's dialogue ``[turns]``.
        dialogues: how many there are.

    Returns:
        float64 ``[units, columns]``.

    >>> unit_sums(np.array([[1.0, 1], [0, 1], [1, 1]]), np.array([0, 0, 1]), 2).tolist()
    [[1.0, 2.0], [1.0, 1.0]]
    """
    unit, units = units_of(dialogues)[dialogue], min(dialogues, GROUPS)
    return np.stack([np.bincount(unit, column, units) for column in statistics.T], axis=1)


def resample_counts(units: int) -> Iterator[NDArray[np.float32]]:
    """How often each unit is drawn in each of `RESAMPLES` resamples, a block of rows at a time.

    Depends on nothing but the number of units, so that figures of two systems, or of two metrics, meet the same
    resamples, and their difference can be taken resample by resample.

    Yields:
        whole numbers as float32 ``[some resamples, units]``; each row sums to ``units``.
    """
    random = np.random.default_rng(SEED)
    for rows in row_blocks(RESAMPLES, units):
        drawn = random.integers(0, units, (rows, units))
        drawn += units * np.arange(rows)[:, None]
        yield np.bincount(drawn.ravel(), minlength=rows * units).reshape(rows, units).astype(np.float32)


def random_swaps(random: np.random.Generator, swaps: int, units: int) -> Iterator[Sums]:
    """Which units are swapped in each of so many random swaps, a block of rows at a time.

    Yields:
        1 (swapped) and 0 (not), equally likely, float64 ``[some swaps, units]``.
    """
    for rows in row_blocks(swaps, units):
        bits = np.frombuffer(random.bytes(-(-rows * units // 8)), np.uint8)
        yield np.unpackbits(bits, count=rows * units).reshape(rows, units).astype(np.float64)


def row_blocks(rows: int, columns: int) -> Iterator[int]:
    """The sizes of the blocks of rows in which a matrix is made, each of about `CELLS` cells.

    >>> list(row_blocks(10, 100_000))
    [5, 5]
    """
    block = max(1, CELLS // max(1, columns))
    for start in range(0, rows, block):
        yield min(block, rows - start)
