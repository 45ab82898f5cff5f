"""Many differences: what can be said about the order of several systems."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from string import ascii_lowercase

import numpy as np
from numpy.typing import NDArray

ALPHA = 0.05
"""A difference with an adjusted p-value of at most this is significant."""


def holm(p: Sequence[float]) -> list[float]:
    """p-values for several tests at once (Holm 1979): any false rejection at level alpha has a chance of alpha at most.

    The i-th smallest of m is multiplied by m + 1 - i, and none may be below the one before it. Needs no independence.

    >>> holm([0.01, 0.04, 0.03])  # 3 * 0.01, 2 * 0.03, then 0.04, which may not be below 0.06
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p, kind="stable")
    factors = np.arange(len(order), 0, -1)
    adjusted = np.empty(len(order))
    adjusted[order] = np.minimum(1, np.maximum.accumulate(factors * np.asarray(p, float)[order]))
    return [float(value) for value in adjusted]


def rank_intervals(better: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """The best and the worst rank that each system may have.

    Args:
        better: bool ``[systems, systems]``: the row's system is significantly better than the column's.

    >>> rank_intervals(np.array([[0, 0, 1], [0, 0, 0], [0, 0, 0]], bool))  # only the first and the third differ
    [(1, 2), (1, 3), (2, 3)]
    """
    best, worst = 1 + better.sum(axis=0), len(better) - better.sum(axis=1)
    return list(zip(best.tolist(), worst.tolist(), strict=True))


def rank_groups(better: NDArray[np.bool_]) -> list[str]:
    """The letters of each system: two share a letter if and only if they cannot be told apart.

    A letter stands for a largest possible set of systems no two of which differ significantly (the compact letter
    display of Piepho 2004, all maximal sets). Sets may overlap: "a", "ab", "b" says that only the first and the last
    differ. The letters run in the order in which the systems are given, best first.

    Args:
        better: bool ``[systems, systems]``: the row's system is significantly better than the column's.

    >>> rank_groups(np.array([[0, 0, 1], [0, 0, 0], [0, 0, 0]], bool))
    ['a', 'ab', 'b']
    """
    alike = ~(better | better.T)
    neighbours = [
        {other for other in np.flatnonzero(row).tolist() if other != system} for system, row in enumerate(alike)
    ]
    groups = sorted(sorted(group) for group in _maximal_cliques(set(), set(range(len(better))), set(), neighbours))
    letters = [
        [_letter(number) for number, group in enumerate(groups) if system in group] for system in range(len(better))
    ]
    return ["".join(own) for own in letters]


def _maximal_cliques(
    clique: set[int], candidates: set[int], done: set[int], neighbours: Sequence[set[int]]
) -> Iterator[set[int]]:
    """Bron and Kerbosch's algorithm 457 (1973) with a pivot."""
    if not candidates and not done:
        yield clique
        return
    pivot = max(sorted(candidates | done), key=lambda node: len(neighbours[node] & candidates), default=None)
    for node in sorted(candidates - (neighbours[pivot] if pivot is not None else set())):
        yield from _maximal_cliques(clique | {node}, candidates & neighbours[node], done & neighbours[node], neighbours)
        candidates, done = candidates - {node}, done | {node}


def _letter(number: int) -> str:
    """a to z, then a1 to z1, and so on."""
    round_, index = divmod(number, len(ascii_lowercase))
    return ascii_lowercase[index] + (str(round_) if round_ else "")
