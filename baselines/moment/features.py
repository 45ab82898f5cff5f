"""What all moment-retrieval baselines see of films and queries: the features of InterLLaVA's shipped first stage.

A film is a row for each second, a query a row for each of its last tokens, whatever the method, so that methods
differ in what they make of the same rows. Nothing of the first stage is trained further.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from baselines.backbones.frames import normalise, tubelets
from baselines.interllava.phase1 import SHIPPED, Phase1, encode_texts, load_phase1
from baselines.moment.clip_features import normalise_rows
from baselines.moment.spans import ClipGrid
from ivcr_bench.data.dataset import Corpus
from ivcr_bench.data.features import FeatureCache, FeatureKey, video_hash
from ivcr_bench.data.video import sample_rate
from ivcr_bench.progress import track

RATE = 2.0
"""Frames a second that are encoded."""
POOLED = 2
"""How many of them are averaged to a clip, which is what a method sees: it halves the cost, moments last seconds."""
LONGEST_TEXT = 48
"""Tokens of a query; a longer dialogue loses its beginning."""
FRAMES_AT_ONCE = 64
TEXTS_AT_ONCE = 64


@dataclass(frozen=True)
class FilmFeatures:
    """A film as a localiser sees it.

    Attributes:
        rows: of norm 1, float32 ``[clips, video width]``.
        grid: when the clips are.
    """

    video_id: str
    rows: Tensor
    grid: ClipGrid


class SharedFeatures:
    """Encodes films, through the feature cache, and queries."""

    def __init__(self, phase1: Phase1, cache: FeatureCache) -> None:
        self.phase1, self.cache = phase1, cache

    @classmethod
    def shipped(cls) -> SharedFeatures:
        """With the shipped ``mini`` weights and the user's cache."""
        return cls(load_phase1(SHIPPED / "phase1"), FeatureCache())

    @property
    def fingerprint(self) -> str:
        """Differs when features do."""
        return f"{self.phase1.fingerprint}-rate-{RATE:g}-pooled-{POOLED}-text-{LONGEST_TEXT}"

    @property
    def video_width(self) -> int:
        """Of the rows of a film."""
        return self.phase1.config.blip2.shared_width

    @property
    def text_width(self) -> int:
        """Of the rows of a query."""
        return self.phase1.config.blip2.width

    def films(self, corpus: Corpus) -> dict[str, FilmFeatures]:
        """Every film of ``corpus``, by id."""
        ids = [video.video_id for video in corpus.videos]
        return {video_id: self.film(corpus, video_id) for video_id in track(ids, "Encoding films")}

    def film(self, corpus: Corpus, video_id: str) -> FilmFeatures:
        """One film of ``corpus``.

        Raises:
            IvcrError: it cannot be read.
        """
        path = corpus.path(video_id)
        key = FeatureKey(video_hash(path), f"rate-{RATE:g}", f"clips-{self.phase1.fingerprint}")
        frames = torch.from_numpy(self.cache.get_or_compute(key, lambda: self._encode(path))["rows"]).float()
        # A last clip of fewer frames is the mean of those.
        rows = torch.stack([clip.mean(0) for clip in frames.split(POOLED)])
        grid = ClipGrid.at_rate(len(rows), RATE / POOLED, corpus.by_id[video_id].duration)
        return FilmFeatures(video_id, normalise_rows(rows), grid)

    @torch.inference_mode()
    def words(self, texts: Sequence[str]) -> list[Tensor]:
        """The states of the text tower: ``[tokens, text width]`` for each text, the first of them [CLS]."""
        found: list[Tensor] = []
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            ids, mask = encode_texts(self.phase1.tokenizer, texts[start : start + TEXTS_AT_ONCE], LONGEST_TEXT)
            states = self.phase1.retriever.text_tower.states(ids, mask)
            found += [rows[:length] for rows, length in zip(states, mask.sum(1).tolist(), strict=True)]
        return found

    @torch.inference_mode()
    def _encode(self, path: Path) -> Mapping[str, NDArray[np.float16]]:
        film = sample_rate(path, RATE, self.phase1.image_size)
        pixels = normalise(tubelets(film.images, self.phase1.config.blip2.tubelet))
        parts = [self._encode_frames(chunk) for chunk in pixels.split(FRAMES_AT_ONCE)]
        return {"rows": torch.cat(parts).to(torch.float16).numpy()}

    def _encode_frames(self, pixels: Tensor) -> Tensor:
        """Rows of some tubelets."""
        return self.phase1.single_frame_vectors(self.phase1.blip2.encode_frames(pixels.unsqueeze(1)))
