"""From a film to what phase 2 knows of it: image Q-Former keys with timestamp text, and phase-1 frame vectors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from ivcr_bench.data.features import FeatureCache, FeatureKey, video_hash
from ivcr_bench.data.video import Frames, probe, sample_rate, sample_uniform
from torch import Tensor

from baselines.backbones.frames import normalise
from baselines.interllava.assembly import FilmFrames
from baselines.interllava.config import InterLlavaConfig
from baselines.interllava.phase1 import Phase1

TIMESTAMP_ROWS = 16
"""Every frame's timestamp text is padded to this many tokens, so that all frames have equally many rows."""


class FilmEncoder:
    """Encodes films with the frozen phase-1 model, through the feature cache."""

    def __init__(self, phase1: Phase1, config: InterLlavaConfig, cache: FeatureCache) -> None:
        self.phase1, self.config, self.cache = phase1, config, cache

    def retrieval_frames(self, path: Path) -> FilmFrames:
        """The film as a candidate: uniform frames."""
        count = self.config.retrieval_frames
        return self._cached(path, f"uniform-{count}", lambda: sample_uniform(path, count))

    def moment_frames(self, path: Path) -> FilmFrames:
        """The film of a moment turn: frames at a fixed rate, at most as many as there are frame positions."""
        rate = self.config.moment_rate
        return self._cached(path, f"rate-{rate:g}", lambda: sample_rate(path, rate))

    def _cached(self, path: Path, sampling: str, read: object) -> FilmFrames:
        key = FeatureKey(video_hash(path), sampling, f"interllava-keys-{self.phase1.fingerprint}")
        arrays = self.cache.get_or_compute(key, lambda: self._encode(read(), probe(path).duration))  # type: ignore[operator]
        return FilmFrames(arrays["keys"], arrays["shared"], float(arrays["duration"][0]))

    @torch.inference_mode()
    def _encode(self, frames: Frames, duration: float) -> dict[str, np.ndarray]:
        images = normalise(frames.images[: self.config.max_frames])
        rows, shared = self._rows(images, frames.times)
        return {
            "keys": rows.to(torch.float16).numpy(),
            "shared": shared.to(torch.float16).numpy(),
            "duration": np.array([duration]),
        }

    def _rows(self, images: Tensor, times: np.ndarray) -> tuple[Tensor, Tensor]:
        raise NotImplementedError
