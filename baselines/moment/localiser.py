"""The moment models in the harness: the ``b`` of ``a+b``, and for MMN also a search of the corpus."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from baselines.moment.clip_features import pad
from baselines.moment.features import SharedFeatures
from baselines.moment.methods import localise, method_named
from baselines.moment.mmn import Joint, Mmn, film_scores
from baselines.moment.training_data import query_text
from baselines.moment.weights import load_weights
from ivcr_bench.data.dataset import Corpus
from ivcr_bench.errors import IvcrError
from ivcr_bench.schema import Intent, Moment, Request

AT_ONCE = 32
"""Pairs of film and query, or films, in one pass of a model."""


class MomentSystem:
    """A `MomentLocaliser` of any of the five methods.

    Args:
        weights: a folder made by training (`baselines.moment.weights`).
        features: the encoders; those shipped by default.

    Raises:
        IvcrError: the folder is broken, or the model was trained on other features.
    """

    intents: frozenset[Intent] = frozenset({"moment_retrieval"})

    def __init__(self, weights: Path, features: SharedFeatures | None = None) -> None:
        loaded = load_weights(Path(weights))
        self.features = features or SharedFeatures.shipped()
        if loaded.trained_on.features != self.features.fingerprint:
            wanted, found = loaded.trained_on.features, self.features.fingerprint
            raise IvcrError(f"{weights}: trained on features {wanted}, found {found}")
        self.name, self.model, self.fingerprint = loaded.method, loaded.model, loaded.fingerprint
        self._method, self._policy = method_named(loaded.method), loaded.trained_on.policy

    def prepare(self, corpus: Corpus) -> None:
        """Encode every film of the corpus, through the feature cache."""
        self.films = self.features.films(corpus)

    def localise(self, requests: Sequence[Request], video_ids: Sequence[str]) -> list[list[Moment]]:
        """Moments of each request's film, best first, with scores."""
        found: list[list[Moment]] = []
        for first in range(0, len(requests), AT_ONCE):
            ids = video_ids[first : first + AT_ONCE]
            texts = self._texts(requests[first : first + AT_ONCE])
            films = [self.films[video_id] for video_id in ids]
            rows = localise(self._method, self.model, films, self.features.words(texts), texts)
            found += [
                [Moment(video_id, start, end, score) for start, end, score in moments.tolist()]
                for video_id, moments in zip(ids, rows, strict=True)
            ]
        return found

    def _texts(self, requests: Sequence[Request]) -> list[str]:
        """The query of each dialogue."""
        said = [[exchange.utterance for exchange in request.history] for request in requests]
        return [
            query_text(history, request.utterance, self._policy)
            for history, request in zip(said, requests, strict=True)
        ]


class CorpusSearch(MomentSystem):
    """MMN without a retriever: also a `VideoRetriever`, which ranks films by their best moment.

    The authors search no corpus; this is an extension (`film_scores`).

    Raises:
        IvcrError: as `MomentSystem`, or the weights are of another method.
    """

    def __init__(self, weights: Path, features: SharedFeatures | None = None) -> None:
        super().__init__(weights, features)
        if not isinstance(self.model, Mmn):
            raise IvcrError(f"{weights}: found {self.name}, expected mmn: no other method can search a corpus")
        self._mmn = self.model

    @torch.inference_mode()
    def prepare(self, corpus: Corpus) -> None:
        """As `MomentSystem.prepare`; also encode all moments of all films."""
        super().prepare(corpus)
        rows = [self.films[video.video_id].rows for video in corpus.videos]
        parts = [
            self._mmn.encode_films(self._mmn.fixed_rows(*pad(rows[first : first + AT_ONCE])))
            for first in range(0, len(rows), AT_ONCE)
        ]
        self._index = Joint(torch.cat([part.contrastive for part in parts]), torch.cat([part.iou for part in parts]))

    @torch.inference_mode()
    def rank(self, requests: Sequence[Request]) -> np.ndarray:
        """Cosine of each film's best moment: float32 ``[requests, films]`` in corpus order."""
        return film_scores(
            self._mmn.encode_texts(*pad(self.features.words(self._texts(requests)))), self._index
        ).numpy()
