"""The first stage as a `VideoRetriever`: ranks the whole corpus for the dialogue so far."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from baselines.interllava.phase1 import SHIPPED, Phase1, dialogue_text, load_phase1
from baselines.retrieval.x_pool import FrameIndex
from ivcr_bench.data.dataset import Corpus
from ivcr_bench.data.features import FeatureCache, FeatureKey, video_hash
from ivcr_bench.data.video import sample_rate
from ivcr_bench.schema import Request


class Stage1Retriever:
    """X-Pool over BLIP-2 frame features; films are encoded once, through the feature cache."""

    name = "interllava-stage1"

    def __init__(self, phase1: Phase1, cache: FeatureCache) -> None:
        self.phase1, self.cache = phase1, cache
        self._index: FrameIndex | None = None

    def prepare(self, corpus: Corpus) -> None:
        """Encode and index every film of ``corpus``."""
        vectors = [self._film_vectors(corpus.path(video.video_id)) for video in corpus.videos]
        with torch.inference_mode():
            self._index = self.phase1.retriever.x_pool.index(torch.stack(vectors))

    def text_vectors(self, requests: Sequence[Request]) -> np.ndarray:
        """The query vector of each dialogue so far: float32 ``[requests, shared_width]``."""
        return self._text_vectors(requests).numpy()

    def rank(self, requests: Sequence[Request]) -> np.ndarray:
        """Cosine of every film: float32 ``[requests, films]`` in corpus order."""
        if self._index is None:
            raise RuntimeError("rank was called before prepare")
        return self.phase1.retriever.x_pool.score(self._text_vectors(requests), self._index).numpy()

    def _text_vectors(self, requests: Sequence[Request]) -> Tensor:
        return self.phase1.text_vectors([dialogue_text(request) for request in requests])

    def _film_vectors(self, path: Path) -> Tensor:
        config = self.phase1.config
        key = FeatureKey(
            video_hash(path), f"rate-{config.rate:g}-uniform-{config.frames}", f"phase1-{self.phase1.fingerprint}"
        )
        arrays = self.cache.get_or_compute(
            key,
            lambda: {
                "vectors": self.phase1.film_vectors(
                    sample_rate(path, config.rate, self.phase1.image_size).images
                ).numpy()
            },
        )
        return torch.from_numpy(arrays["vectors"])


def stage1(weights: Path | None = None) -> Stage1Retriever:
    """The system ``interllava-stage1``: the first stage of InterLLaVA by itself, X-Pool on BLIP-2.

    Args:
        weights: an InterLLaVA weights folder; the shipped ``mini`` weights by default.
    """
    return Stage1Retriever(load_phase1((weights or SHIPPED) / "phase1"), FeatureCache())
