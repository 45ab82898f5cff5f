"""What a system is. Nothing here is a base class: any object of this shape takes part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from ivcr_bench.data.dataset import Corpus
from ivcr_bench.schema import Intent, Moment, Request, Response


@runtime_checkable
class System(Protocol):
    """Answers turns of dialogues about one corpus.

    A system keeps no state between calls of `respond`: a request carries its whole history, so that any batch
    of requests can be answered anywhere, again, and in any order.
    """

    name: str
    intents: frozenset[Intent]

    def prepare(self, corpus: Corpus) -> None:
        """Index ``corpus``; called once, before the first request."""
        ...

    def respond(self, requests: Sequence[Request]) -> list[Response]:
        """Answer each request, in order: one response per request."""
        ...


@runtime_checkable
class VideoRetriever(Protocol):
    """Ranks the corpus for a request; the ``a`` of ``a+b``, and what ``interllava@a`` re-ranks."""

    def rank(self, requests: Sequence[Request]) -> np.ndarray:
        """Relevance of every film: float32 ``[requests, films]`` in corpus order, higher is better."""
        ...


@runtime_checkable
class MomentLocaliser(Protocol):
    """Finds the moment in a given film; the ``b`` of ``a+b``."""

    def localise(self, requests: Sequence[Request], video_ids: Sequence[str]) -> list[list[Moment]]:
        """For each request, moments of its film, best first; at least one."""
        ...
