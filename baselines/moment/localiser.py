"""The moment models in the harness: the ``b`` of ``a+b``, and for MMN also a search of the corpus."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from baselines.moment.clip_features import pad
from baselines.moment.features import FilmFeatures, SharedFeatures
from baselines.moment.methods import localise, method_named
from baselines.moment.mmn import Joint, Mmn, film_scores
from baselines.moment.training_data import query_text
from baselines.moment.weights import load_weights
from ivcr_bench.data.dataset import Corpus
from ivcr_bench.errors import IvcrError
from ivcr_bench.schema import Intent, Moment, Request

FILMS_AT_ONCE = 32
SHIPPED = Path(__file__).parents[1] / "weights"


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
        encoders = features or SharedFeatures.shipped()
        if loaded.trained_on.features != encoders.fingerprint:
            wanted, found = loaded.trained_on.features, encoders.fingerprint
            raise IvcrError(f"{weights}: trained on features {wanted}, found {found}")
        self.features = encoders.standardised(loaded.standard)
        self.name, self.model, self.fingerprint = loaded.method, loaded.model, loaded.fingerprint
        self._method, self._policy = method_named(loaded.method), loaded.trained_on.policy

    def prepare(self, corpus: Corpus) -> None:
        """Encode every film of the corpus, through the feature cache."""
        self.films = self.features.films(corpus)

    def localise(self, requests: Sequence[Request], video_ids: Sequence[str]) -> list[list[Moment]]:
        """Moments of each request's film, best first, with scores."""
        return [
            self._moments(text, self.films[video_id])
            for text, video_id in zip(self._texts(requests), video_ids, strict=True)
        ]

    def _moments(self, text: str, film: FilmFeatures) -> list[Moment]:
        """One query at a time: in a batch, the last bits of a number depend on the company that it is in."""
        (rows,) = localise(self._method, self.model, [film], self.features.words([text]), [text])
        return [Moment(film.video_id, start, end, score) for start, end, score in rows.tolist()]

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

    intents: frozenset[Intent] = frozenset({"video_retrieval", "moment_retrieval"})

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
            self._mmn.encode_films(self._mmn.fixed_rows(*pad(rows[first : first + FILMS_AT_ONCE])))
            for first in range(0, len(rows), FILMS_AT_ONCE)
        ]
        self._index = Joint(torch.cat([part.contrastive for part in parts]), torch.cat([part.iou for part in parts]))

    def rank(self, requests: Sequence[Request]) -> np.ndarray:
        """Cosine of each film's best moment: float32 ``[requests, films]`` in corpus order."""
        scores = [self._scores(text) for text in self._texts(requests)]
        return np.stack(scores) if scores else np.zeros((0, len(self.films)), np.float32)

    @torch.inference_mode()
    def _scores(self, text: str) -> np.ndarray:
        """One query at a time, as in `localise`."""
        words = self._mmn.encode_texts(*pad(self.features.words([text])))
        return film_scores(words, self._index)[0].numpy()


def two_d_tan(weights: Path | None = None) -> MomentSystem:
    """The localiser ``2d_tan``, with the shipped ``mini`` weights by default."""
    return MomentSystem(weights or SHIPPED / "2d_tan-mini")


def mmn(weights: Path | None = None) -> CorpusSearch:
    """The localiser and retriever ``mmn``, with the shipped ``mini`` weights by default."""
    return CorpusSearch(weights or SHIPPED / "mmn-mini")


def umt(weights: Path | None = None) -> MomentSystem:
    """The localiser ``umt``, with the shipped ``mini`` weights by default."""
    return MomentSystem(weights or SHIPPED / "umt-mini")


def momentdiff(weights: Path | None = None) -> MomentSystem:
    """The localiser ``momentdiff``, with the shipped ``mini`` weights by default."""
    return MomentSystem(weights or SHIPPED / "momentdiff-mini")


def cg_detr(weights: Path | None = None) -> MomentSystem:
    """The localiser ``cg_detr``, with the shipped ``mini`` weights by default."""
    return MomentSystem(weights or SHIPPED / "cg_detr-mini")
