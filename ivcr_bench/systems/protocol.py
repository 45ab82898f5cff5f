"""What a system is. Nothing here is a base class: any object of this shape takes part.

A system, retriever or localiser may also have these attributes; `ivcr_bench.systems.traits` reads them:

- ``reads_films``: ``False`` if it never opens a film, so that none is rendered for it (default ``True``);
- ``fingerprint``: a string that differs when anything that can change an answer does, such as its weights; a run
  is resumed only under the same fingerprint.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from ivcr_bench.data.dataset import Corpus
from ivcr_bench.schema import Intent, Moment, QueryPolicy, Request, Response


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

    def prepare(self, corpus: Corpus) -> None:
        """Index ``corpus``; called once, before the first request."""
        ...

    def rank(self, requests: Sequence[Request]) -> np.ndarray:
        """Relevance of every film: float32 ``[requests, films]`` in corpus order, higher is better."""
        ...


@runtime_checkable
class SingleTurnRetriever(Protocol):
    """A retriever that reads one text, to which a dialogue comes by a policy; ``ivcr-bench run --query`` sets it."""

    def with_query(self, policy: QueryPolicy) -> VideoRetriever:
        """This retriever under ``policy``, by a name that says so where the policy is not its own."""
        ...


@runtime_checkable
class MomentLocaliser(Protocol):
    """Finds the moment in a given film; the ``b`` of ``a+b``."""

    def prepare(self, corpus: Corpus) -> None:
        """Index ``corpus``; called once, before the first request."""
        ...

    def localise(self, requests: Sequence[Request], video_ids: Sequence[str]) -> list[list[Moment]]:
        """For each request, moments of its film, best first; at least one."""
        ...


@runtime_checkable
class Reranker(Protocol):
    """A system whose first stage can be exchanged; the ``a`` of ``a@b``."""

    def with_retriever(self, retriever: VideoRetriever) -> System:
        """This system behind ``retriever``, which is prepared before the system is."""
        ...


class Route(NamedTuple):
    """What a request asks for, and the film that it is about if it refers back to one."""

    intent: Intent
    film: str | None = None


@runtime_checkable
class Router(Protocol):
    """Tells what requests ask for; a retriever that is one routes for ``a+b``, in place of the built-in rules."""

    def route(self, requests: Sequence[Request]) -> list[Route]:
        """One route per request."""
        ...
