"""InterLLaVA as a system of the harness: route, then re-rank, localise or reply (sheet section 7, "ours")."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from baselines.interllava import prompts
from baselines.interllava.assembly import Assembler
from baselines.interllava.film_encoder import FilmEncoder
from baselines.interllava.generation import Decoder, Generated, choose_index, choose_interval
from baselines.interllava.model import InterLlava
from baselines.interllava.objective import log_likelihoods
from baselines.interllava.retriever import Stage1Retriever
from baselines.interllava.routing import ROUTES, Route, current_film, intent_of
from baselines.interllava.weights import load_weights
from ivcr_bench.data.dataset import Corpus
from ivcr_bench.data.features import FeatureCache
from ivcr_bench.progress import track
from ivcr_bench.schema import INTENTS, Intent, Moment, Request, Response
from ivcr_bench.systems.protocol import VideoRetriever

LISTED = 100
"""Films listed in an answer."""

CHUNK = 16
"""Prompts with films that are decoded at once; bounds memory whatever the harness's batch size is."""


class InterLLaVA:
    """The reference model.

    Args:
        weights: a folder made by ``ivcr-bench train interllava``; the shipped ``mini`` weights by default.
    """

    name = "interllava"
    intents: frozenset[Intent] = frozenset(INTENTS)

    def __init__(self, weights: Path | None = None) -> None:
        loaded = load_weights(weights)
        self.fingerprint = loaded.fingerprint
        self.model: InterLlava = loaded.model
        self.assembler = Assembler(loaded.tokenizer, loaded.model.config)
        self.cache = FeatureCache()
        self.encoder = FilmEncoder(loaded.phase1, loaded.model.config, self.cache)
        self.text_tower = Stage1Retriever(loaded.phase1, self.cache)
        self.retriever: VideoRetriever = self.text_tower

    def with_retriever(self, retriever: VideoRetriever) -> InterLLaVA:
        """The same model behind another first stage (``interllava@x_pool``)."""
        self.retriever = retriever
        return self

    def prepare(self, corpus: Corpus) -> None:
        """Encode every film of the corpus, through the feature cache."""
        self.corpus = corpus
        self.ids = [video.video_id for video in corpus.videos]
        self.text_tower.prepare(corpus)
        self.films = {v: self.encoder.encode(corpus.path(v)) for v in track(self.ids, "Encoding films")}
        self.candidates = [self.films[v].uniform(self.model.config.retrieval_frames) for v in self.ids]

    @torch.inference_mode()
    def respond(self, requests: Sequence[Request]) -> list[Response]:
        """Answer each request: first its route, then all requests of one route together."""
        dialogues = [prompts.render_dialogue(r.history, r.utterance) for r in requests]
        queries = self.text_tower.text_vectors(requests)
        routes = self.routes(dialogues, queries)
        scores = self.retriever.rank(requests)
        turns = [_Turn(*parts) for parts in zip(requests, dialogues, queries, routes, scores, strict=True)]
        answers: dict[int, Response] = {}
        for answer, kinds in self._handlers():
            rows = [row for row, turn in enumerate(turns) if turn.route in kinds]
            for first in range(0, len(rows), CHUNK):
                chunk = rows[first : first + CHUNK]
                answers |= zip(chunk, answer([turns[row] for row in chunk]), strict=True)
        return [answers[row] for row in range(len(requests))]

    def routes(self, dialogues: Sequence[str], queries: np.ndarray) -> list[Route]:
        """The likeliest of the four intent sentences after each dialogue."""
        scores = []
        for route in ROUTES:
            sentence = [prompts.INTENT_SENTENCES[route]]
            samples = [
                self.assembler.text(dialogue, query, sentence, closed=False)
                for dialogue, query in zip(dialogues, queries, strict=True)
            ]
            scores.append(log_likelihoods(self.model, self.assembler.collate(samples)))
        return [ROUTES[best] for best in torch.stack(scores).argmax(0).tolist()]

    def _handlers(self) -> list[tuple[Callable[[list[_Turn]], list[Response]], set[Route]]]:
        return [
            (self._retrieve, {"video_retrieval"}),
            (self._localise, {"moment_retrieval", "moment_in_current_film"}),
            (self._reply, {"natural_dialogue"}),
        ]

    def _retrieve(self, turns: list[_Turn]) -> list[Response]:
        scores = torch.from_numpy(np.stack([turn.scores for turn in turns]))
        for row, turn in enumerate(turns):
            if turn.request.candidates is not None:
                given = set(turn.request.candidates)
                scores[row, [place for place, v in enumerate(self.ids) if v not in given]] = -torch.inf
        order = scores.argsort(dim=-1, descending=True, stable=True)
        top = order[:, : self.model.config.candidates]
        prior = self.model.config.stage1_weight * scores.gather(1, top)
        samples = [
            self.assembler.retrieval(turn.dialogue, turn.query, [self.candidates[i] for i in row])
            for turn, row in zip(turns, top.tolist(), strict=True)
        ]
        reranked, answers = choose_index(self.model, self.assembler, samples, prior)
        best = top.gather(1, reranked.argsort(dim=-1, descending=True, stable=True))
        ranking = torch.cat([best, order[:, top.shape[1] :]], dim=1)[:, :LISTED].tolist()
        return [
            turn.respond(answer, videos=tuple(self.ids[place] for place in places))
            for turn, places, answer in zip(turns, ranking, answers, strict=True)
        ]

    def _localise(self, turns: list[_Turn]) -> list[Response]:
        films = [self._film_of(turn) for turn in turns]
        samples = [
            self.assembler.moment(turn.dialogue, turn.query, self.films[film])
            for turn, film in zip(turns, films, strict=True)
        ]
        intervals, answers = choose_interval(self.model, self.assembler, samples)
        return [
            turn.respond(
                Generated(prompts.show_times(answer.feedback, start, end), answer.tokens),
                videos=(film,),
                moments=(Moment(film, start, end),),
            )
            for turn, film, (start, end), answer in zip(turns, films, intervals.tolist(), answers, strict=True)
        ]

    def _film_of(self, turn: _Turn) -> str:
        """The film to look into: the one that the dialogue is about, or the first stage's best."""
        carried = current_film(turn.request.history)
        if turn.route == "moment_in_current_film" and carried in self.films:
            return carried
        return self.ids[int(turn.scores.argmax())]

    def _reply(self, turns: list[_Turn]) -> list[Response]:
        samples = [self.assembler.text(turn.dialogue, turn.query) for turn in turns]
        decoder = Decoder(self.model, self.assembler, samples)
        decoder.feed_text(prompts.INTENT_SENTENCES["natural_dialogue"])
        return [turn.respond(answer) for turn, answer in zip(turns, decoder.feedback(), strict=True)]


@dataclass(frozen=True)
class _Turn:
    """A request on its way: its prompt, its phase-1 vector, its route, and the first stage's scores."""

    request: Request
    dialogue: str
    query: np.ndarray
    route: Route
    scores: np.ndarray

    def respond(self, answer: Generated, videos: tuple[str, ...] = (), moments: tuple[Moment, ...] = ()) -> Response:
        return Response(
            intent=intent_of(self.route),
            videos=videos,
            moments=moments,
            text=answer.feedback,
            tokens=answer.tokens,
        )
