"""From a film to what phase 2 knows of it: image Q-Former keys with timestamp text, phase-1 frame vectors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from baselines.backbones.frames import normalise, tubelets
from baselines.interllava.assembly import FilmFrames
from baselines.interllava.config import InterLlavaConfig
from baselines.interllava.phase1 import Phase1
from ivcr_bench.data.features import FeatureCache, FeatureKey, video_hash
from ivcr_bench.data.video import sample_rate

TIMESTAMP_ROWS = 16
"""Every frame's timestamp text is padded to this many tokens, so that all frames have equally many rows."""

FRAMES_AT_ONCE = 64


class FilmEncoder:
    """Encodes films with the frozen phase-1 model, through the feature cache."""

    def __init__(self, phase1: Phase1, config: InterLlavaConfig, cache: FeatureCache) -> None:
        self.phase1, self.config, self.cache = phase1, config, cache

    def encode(self, path: Path) -> FilmFrames:
        """The frames of the film at the model's rate, at most as many as it has frame positions."""
        sampling = f"rate-{self.config.moment_rate:g}"
        key = FeatureKey(video_hash(path), sampling, f"interllava-{self.phase1.fingerprint}")
        arrays = self.cache.get_or_compute(key, lambda: self._encode(path))
        return FilmFrames(arrays["keys"], arrays["shared"], float(arrays["duration"][0]))

    @torch.inference_mode()
    def _encode(self, path: Path) -> dict[str, np.ndarray]:
        film = sample_rate(path, self.config.moment_rate, self.phase1.image_size)
        length = self.phase1.blip2.config.tubelet
        pixels = normalise(tubelets(film.images, length)[: self.config.max_frames])
        parts = [
            self._encode_frames(chunk, times)
            for chunk, times in zip(
                pixels.split(FRAMES_AT_ONCE), torch.from_numpy(film.times).split(FRAMES_AT_ONCE), strict=False
            )
        ]
        keys, shared = (torch.cat(tensors).to(torch.float16).numpy() for tensors in zip(*parts, strict=True))
        return {"keys": keys, "shared": shared, "duration": np.array([len(film.times) / self.config.moment_rate])}

    def _encode_frames(self, pixels: Tensor, times: Tensor) -> tuple[Tensor, Tensor]:
        """Keys ``[frames, rows, width]`` and phase-1 vectors ``[frames, shared_width]`` of some frames."""
        blip2 = self.phase1.blip2
        features = blip2.encode_frames(pixels.unsqueeze(1))
        ids, mask = self.phase1.encode_timestamps(times.tolist(), TIMESTAMP_ROWS)
        keys = blip2.joint_rows(features.tokens.squeeze(1), ids, mask)
        if not self.config.keep_timestamp_rows:
            keys = keys[:, : blip2.config.queries]
        return keys, F.normalize(self.phase1.single_frame_vectors(features), dim=-1)
