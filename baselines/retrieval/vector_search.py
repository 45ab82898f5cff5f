"""Search among very many films that are one vector each, through FAISS.

FAISS is an optional dependency: up to `FAISS_FROM` films a matrix product does the same.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivcr_bench.errors import IvcrError
from ivcr_bench.systems.compose import RANKING_DEPTH

FAISS_FROM = 100_000
"""A corpus of more films is searched through FAISS."""


class VectorSearch:
    """Exact search by inner product.

    Args:
        vectors: of norm 1, float32 ``[films, width]``.

    Raises:
        IvcrError: FAISS is not installed.
    """

    def __init__(self, vectors: NDArray[np.float32]) -> None:
        try:
            faiss: Any = importlib.import_module("faiss")
        except ModuleNotFoundError:
            raise IvcrError(
                f"a corpus of {len(vectors)} films is searched through FAISS, which is not installed",
                hint="pip install faiss-cpu",
            ) from None
        self._index = faiss.IndexFlatIP(vectors.shape[1])
        self._index.add(np.ascontiguousarray(vectors))

    def scores(self, queries: NDArray[np.float32], depth: int = RANKING_DEPTH) -> NDArray[np.float32]:
        """Cosines of the ``depth`` best films of each query, minus infinity for others: ``[queries, films]``."""
        norms = np.linalg.norm(queries, axis=1, keepdims=True)
        best, places = self._index.search(np.ascontiguousarray(queries / norms), min(depth, self._index.ntotal))
        found = np.full((len(queries), self._index.ntotal), -np.inf, np.float32)
        np.put_along_axis(found, places, best, 1)
        return found
