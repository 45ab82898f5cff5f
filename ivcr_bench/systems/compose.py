"""Whole systems from parts: a retriever alone, a retriever with a localiser (``a+b``), a re-ranker (``a@b``)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ivcr_bench.data.dataset import Corpus
from ivcr_bench.schema import INTENTS, Intent, Request, Response
from ivcr_bench.systems.intent import KeywordRouter
from ivcr_bench.systems.protocol import MomentLocaliser, Reranker, Route, Router, System, VideoRetriever
from ivcr_bench.systems.traits import fingerprint_of, name_of, reads_films, sees_gold

RANKING_DEPTH = 100
"""How many films an answer lists at most: all of IVCR-Mini's test corpus, and far beyond any R@k that is reported."""


class RetrieverAlone:
    """A retriever that answers every turn with films: moment and natural-dialogue turns are beyond it."""

    intents: frozenset[Intent] = frozenset({"video_retrieval"})

    def __init__(self, retriever: VideoRetriever) -> None:
        self._retriever = retriever
        self.name = name_of(retriever)
        self.reads_films = reads_films(retriever)
        self.sees_gold = sees_gold(retriever)
        self.fingerprint = fingerprint_of(retriever)

    def prepare(self, corpus: Corpus) -> None:
        """Prepare the retriever."""
        self._corpus = corpus
        self._retriever.prepare(corpus)

    def respond(self, requests: Sequence[Request]) -> list[Response]:
        """The best films for each request."""
        rankings = best_films(self._retriever, requests, self._corpus)
        return [Response(intent="video_retrieval", videos=ranking) for ranking in rankings]


class Composed:
    """Retriever ``a`` finds films, localiser ``b`` moments in them: ``a+b``.

    What a turn asks for is told by ``a`` if it is a `Router`, else by `KeywordRouter`. A moment is looked for in the
    film that the router says the turn is about, else in the one that ``a`` ranks first. Natural dialogue is
    recognised and met with silence, since neither part can talk.
    """

    intents: frozenset[Intent] = frozenset(INTENTS)

    def __init__(self, retriever: VideoRetriever, localiser: MomentLocaliser) -> None:
        self._retriever, self._localiser = retriever, localiser
        self._router: Router = retriever if isinstance(retriever, Router) else KeywordRouter()
        self.name = f"{name_of(retriever)}+{name_of(localiser)}"
        self.reads_films = reads_films(retriever) or reads_films(localiser)
        self.sees_gold = sees_gold(retriever) or sees_gold(localiser)
        self.fingerprint = fingerprint_of(retriever, localiser)

    def prepare(self, corpus: Corpus) -> None:
        """Prepare both parts."""
        self._corpus = corpus
        self._retriever.prepare(corpus)
        self._localiser.prepare(corpus)

    def respond(self, requests: Sequence[Request]) -> list[Response]:
        """Route each request, then rank, localise or keep silent."""
        routes = self._router.route(requests)
        rankings = self._rankings(requests, routes)
        moments = self._moments(requests, routes, rankings)
        return [
            moments.get(row) or Response(intent=route.intent, videos=rankings.get(row, ()))
            for row, route in enumerate(routes)
        ]

    def _rankings(self, requests: Sequence[Request], routes: Sequence[Route]) -> dict[int, tuple[str, ...]]:
        """The ranking of each row that needs one: video turns, and moment turns about no known film."""
        rows = [
            row
            for row, route in enumerate(routes)
            if route.intent == "video_retrieval" or (route.intent == "moment_retrieval" and self._film(route) is None)
        ]
        rankings = best_films(self._retriever, [requests[row] for row in rows], self._corpus)
        return dict(zip(rows, rankings, strict=True))

    def _moments(
        self, requests: Sequence[Request], routes: Sequence[Route], rankings: dict[int, tuple[str, ...]]
    ) -> dict[int, Response]:
        rows = [row for row, route in enumerate(routes) if route.intent == "moment_retrieval"]
        films = [self._film(routes[row]) or rankings[row][0] for row in rows]
        found = self._localiser.localise([requests[row] for row in rows], films) if rows else []
        return {
            row: Response(intent="moment_retrieval", videos=(film,), moments=tuple(moments))
            for row, film, moments in zip(rows, films, found, strict=True)
        }

    def _film(self, route: Route) -> str | None:
        return route.film if route.film in self._corpus.by_id else None


class Reranked:
    """System ``a`` on what retriever ``b`` finds: ``a@b``."""

    def __init__(self, reranker: Reranker, retriever: VideoRetriever) -> None:
        self._retriever = retriever
        self._system: System = reranker.with_retriever(retriever)
        self.name = f"{name_of(reranker)}@{name_of(retriever)}"
        self.intents = self._system.intents
        self.reads_films = reads_films(self._system) or reads_films(retriever)
        self.sees_gold = sees_gold(self._system) or sees_gold(retriever)
        self.fingerprint = fingerprint_of(self._system, retriever)

    def prepare(self, corpus: Corpus) -> None:
        """Prepare the retriever, then the system."""
        self._retriever.prepare(corpus)
        self._system.prepare(corpus)

    def respond(self, requests: Sequence[Request]) -> list[Response]:
        """What the system answers."""
        return self._system.respond(requests)


def best_films(retriever: VideoRetriever, requests: Sequence[Request], corpus: Corpus) -> list[tuple[str, ...]]:
    """For each request, the ids of the films that ``retriever`` ranks first, at most `RANKING_DEPTH`.

    Equal scores keep the order of the corpus. A request with candidates gets those alone.

    Raises:
        ValueError: the scores have the wrong shape, or one is not a number.
    """
    if not requests:
        return []
    scores = np.asarray(retriever.rank(requests))
    if scores.shape != (len(requests), len(corpus)):
        raise ValueError(f"rank returned shape {scores.shape}, expected {(len(requests), len(corpus))}")
    if np.isnan(scores).any():
        raise ValueError("rank returned NaN, expected a score for every film")
    order = np.argsort(-scores, axis=1, kind="stable")
    return [_listed(places, request, corpus) for places, request in zip(order, requests, strict=True)]


def _listed(places: np.ndarray, request: Request, corpus: Corpus) -> tuple[str, ...]:
    if request.candidates is None:
        return tuple(corpus.videos[place].video_id for place in places[:RANKING_DEPTH])
    given = set(request.candidates)
    ranked = (corpus.videos[place].video_id for place in places)
    return tuple(video_id for video_id in ranked if video_id in given)
