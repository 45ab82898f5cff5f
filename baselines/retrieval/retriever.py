"""The retrieval baselines in the harness: each alone, as the ``a`` of ``a+b``, and behind ``interllava@a``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from baselines.retrieval.methods import WEIGHTS, Searcher, method_named, one_vector, score
from baselines.retrieval.protocol import Encoded
from baselines.retrieval.queries import request_text
from baselines.retrieval.vector_search import FAISS_FROM, VectorSearch
from baselines.retrieval.weights import load_weights
from ivcr_bench.data.dataset import Corpus
from ivcr_bench.data.features import FeatureCache, FeatureKey, video_hash
from ivcr_bench.progress import track
from ivcr_bench.schema import QueryPolicy, Request

TEXTS_AT_ONCE = 64
FILMS_AT_ONCE = 64


class CorpusRetriever:
    """A `VideoRetriever` of any of the five methods.

    Frame features go through the feature cache; what a head makes of them, before it knows a text, is computed once
    for a corpus. Scores are computed in blocks: memory beyond index and scores does not grow with the corpus.

    Args:
        weights: a folder made by training or by ``ivcr-bench weights convert``.
        cache: the user's by default.
        policy: what of a dialogue is the query; by default what the model was trained on.

    Raises:
        IvcrError: the folder is broken.
    """

    def __init__(self, weights: Path, cache: FeatureCache | None = None, *, policy: QueryPolicy | None = None) -> None:
        loaded = load_weights(Path(weights))
        self.policy = policy or loaded.trained_on.policy
        foreign = self.policy != loaded.trained_on.policy
        self.name = f"{loaded.method}-{self.policy}" if foreign else loaded.method
        self.model = loaded.model
        self.fingerprint = f"{loaded.fingerprint}-{self.policy}"
        self._method, self._tokenizer = method_named(loaded.method), loaded.tokenizer
        self._searcher = cast("Searcher", self.model)
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model.to(self._device)
        self.sampling = self._method.sampling(self._searcher.config, loaded.trained_on.rate)
        self._weights = Path(weights)
        self._encoder = f"{loaded.method}-{loaded.fingerprint}"
        self._cache = cache or FeatureCache()
        self._index: Encoded | None = None
        self._search: VectorSearch | None = None

    def with_query(self, policy: QueryPolicy) -> CorpusRetriever:
        """The same weights, asked what ``policy`` makes of a dialogue."""
        return CorpusRetriever(self._weights, self._cache, policy=policy)

    @torch.inference_mode()
    def prepare(self, corpus: Corpus) -> None:
        """Encode every film of ``corpus`` and index it.

        Raises:
            IvcrError: a film cannot be read, or the corpus is so large that FAISS is needed and it is not installed.
        """
        films: list[Encoded] = []
        parts: list[Encoded] = []
        for video in track(corpus.videos, "Encoding films"):
            films.append(self._film(corpus.path(video.video_id)))
            if len(films) == FILMS_AT_ONCE:
                parts.append(self._indexed(films))
                films = []
        if films:
            parts.append(self._indexed(films))
        self._index = Encoded.cat(parts)
        self._search = None
        if one_vector(self.model) and len(corpus) > FAISS_FROM:
            self._search = VectorSearch(self._index["vectors"].cpu().numpy())

    @torch.inference_mode()
    def rank(self, requests: Sequence[Request]) -> NDArray[np.float32]:
        """Relevance of every film: float32 ``[requests, films]`` in corpus order.

        Beyond `FAISS_FROM` films, a request without candidates has minus infinity for all but the best.
        """
        if self._index is None:
            raise RuntimeError("rank was called before prepare")
        scores = np.empty((len(requests), len(self._index)), np.float32)
        for first in range(0, len(requests), TEXTS_AT_ONCE):
            chunk = requests[first : first + TEXTS_AT_ONCE]
            scores[first : first + len(chunk)] = self._rank(chunk, self._index)
        return scores

    def _rank(self, requests: Sequence[Request], index: Encoded) -> NDArray[np.float32]:
        texts = [request_text(request, self.policy) for request in requests]
        ids, mask = self._method.tokenize(self._tokenizer, texts, self._searcher.config)
        encoded = self._searcher.encode_texts(ids.to(self._device), mask.to(self._device))
        if self._search is not None and all(request.candidates is None for request in requests):
            return self._search.scores(encoded["vectors"].cpu().numpy())
        found: NDArray[np.float32] = score(self._method, self.model, encoded, index).cpu().numpy()
        return found

    def _indexed(self, films: Sequence[Encoded]) -> Encoded:
        return self._searcher.index(Encoded.cat(films).to(self._device).float())

    def _film(self, path: Path) -> Encoded:
        """Frame features of one film, as they lie in the cache."""
        key = FeatureKey(video_hash(path), self.sampling.key, self._encoder)
        arrays = self._cache.get_or_compute(key, lambda: self._encode(path))
        return Encoded(**{name: torch.from_numpy(array)[None] for name, array in arrays.items()})

    def _encode(self, path: Path) -> Mapping[str, NDArray[np.generic]]:
        pixels, mask = self.sampling.film(self.sampling.decode(path))
        found = self._searcher.encode_frames(pixels[None].to(self._device), mask[None].to(self._device))
        return {name: _small(tensor[0]).cpu().numpy() for name, tensor in found.tensors.items()}


def _small(tensor: Tensor) -> Tensor:
    return tensor.half() if tensor.is_floating_point() else tensor


def clip4clip(weights: Path | None = None) -> CorpusRetriever:
    """The retriever ``clip4clip``, with the shipped ``mini`` weights by default."""
    return CorpusRetriever(weights or WEIGHTS / "clip4clip-mini")


def x_pool(weights: Path | None = None) -> CorpusRetriever:
    """The retriever X-Pool on CLIP, with the shipped ``mini`` weights by default.

    InterLLaVA's first stage, X-Pool on BLIP-2, is ``interllava-stage1`` (`baselines.interllava.retriever`).
    """
    return CorpusRetriever(weights or WEIGHTS / "x_pool-mini")


def ts2_net(weights: Path | None = None) -> CorpusRetriever:
    """The retriever ``ts2_net``, with the shipped ``mini`` weights by default."""
    return CorpusRetriever(weights or WEIGHTS / "ts2_net-mini")


def t_mass(weights: Path | None = None) -> CorpusRetriever:
    """The retriever ``t_mass``, with the shipped ``mini`` weights by default."""
    return CorpusRetriever(weights or WEIGHTS / "t_mass-mini")


def blip2(weights: Path | None = None) -> CorpusRetriever:
    """The retriever ``blip2``, with the shipped ``mini`` weights by default."""
    return CorpusRetriever(weights or WEIGHTS / "blip2-mini")
