"""Video retrieval: R@k and the reciprocal rank, from the rank of the first relevant film.

    R@k = mean over video turns of [1 <= rank <= k]          MRR = mean over video turns of 1 / rank

R@1 and R@10 are those of the paper (section 5.1, Table 2); R@5 and MRR are the field's usual company. The list is read
in the order in which it was submitted, so there are no ties; a film can stand in it only once; a turn without a
relevant film in the list has rank 0 and scores 0. Bounds 0 and 1, higher is better.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def first_relevant_rank(ranked: Iterable[str], relevant: Sequence[str]) -> int:
    """The 1-based position in ``ranked`` of the first film that is ``relevant``; 0 if there is none.

    >>> first_relevant_rank(["a", "b", "c"], relevant=["c", "b"])
    2
    >>> first_relevant_rank(["a"], relevant=["c"])
    0
    """
    return next((rank for rank, film in enumerate(ranked, start=1) if film in relevant), 0)


def recall_at_k(rank: NDArray[np.integer[Any]], k: int) -> NDArray[np.float64]:
    """1 for each turn whose first relevant film is among the first ``k``, else 0; float64 ``[turns]``.

    >>> recall_at_k(np.array([1, 5, 0, 6]), k=5).tolist()
    [1.0, 1.0, 0.0, 0.0]
    """
    return ((rank >= 1) & (rank <= k)).astype(np.float64)


def reciprocal_rank(rank: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """1 / rank for each turn, 0 where nothing relevant was found; float64 ``[turns]``.

    >>> reciprocal_rank(np.array([1, 4, 0])).tolist()
    [1.0, 0.25, 0.0]
    """
    reciprocal = np.zeros(len(rank))
    np.divide(1.0, rank, out=reciprocal, where=rank > 0)
    return reciprocal
