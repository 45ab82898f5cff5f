"""Which frames of a film a method sees, and what it sees where there are too few."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from baselines.backbones.frames import augment, normalise, tubelets
from baselines.retrieval.protocol import Padding
from ivcr_bench.data.video import probe, sample_rate


@dataclass(frozen=True)
class Sampling:
    """From a film to the frames that a method is shown.

    Attributes:
        rate: frames a second that are decoded.
        size: height and width of a frame.
        frames: shown to the method.
        padding: how a film with too few is filled up.
        tubelet: consecutive decoded frames that are one "frame".
        crop: scale the short side and cut out the middle, as CLIP is used; else squeeze, as BLIP-2 is.
    """

    rate: float
    size: int
    frames: int
    padding: Padding
    tubelet: int = 1
    crop: bool = True

    @property
    def key(self) -> str:
        """In print, for the feature cache."""
        shape = "crop" if self.crop else "squeeze"
        return f"rate-{self.rate:g}-{self.padding}-{self.frames}x{self.tubelet}-{shape}@{self.size}"

    def decode(self, path: Path) -> np.ndarray:
        """All frames at the rate: uint8 ``[n, size, size, 3]``.

        Raises:
            IvcrError: ``path`` is not a whole film that can be read.
        """
        if not self.crop:
            return sample_rate(path, self.rate, (self.size, self.size)).images
        info = probe(path)
        scale = self.size / min(info.width, info.height)
        width, height = round(info.width * scale), round(info.height * scale)
        left, top = (width - self.size) // 2, (height - self.size) // 2
        images = sample_rate(path, self.rate, (width, height)).images
        return images[:, top : top + self.size, left : left + self.size]

    def film(self, images: np.ndarray) -> tuple[Tensor, Tensor]:
        """`film_frames` of decoded frames."""
        return film_frames(images, self.frames, self.padding, self.tubelet)

    def film_in_training(self, images: np.ndarray, rng: np.random.Generator, shift: int) -> tuple[Tensor, Tensor]:
        """As `film`, with a random frame in each of the equal parts, all of them moved and perhaps flipped alike.

        Args:
            shift: the largest move, in pixels.
        """
        places = frame_places(len(images), self.frames, self.padding, rng)
        chosen = torch.from_numpy(tubelets(images, self.tubelet, places))
        side_by_side = chosen.permute(1, 2, 0, 3).flatten(2)[None]
        generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
        moved = augment(side_by_side, shift, generator)[0].unflatten(2, (len(places), -1)).permute(2, 0, 1, 3)
        return _padded(normalise(moved), self.frames)


def film_frames(images: np.ndarray, frames: int, padding: Padding, tubelet: int = 1) -> tuple[Tensor, Tensor]:
    """Choose and normalise the frames of one film.

    ``zeros`` (CLIP4Clip, TS2-Net): all frames, or if there are too many as many from the first to the last;
    missing ones are zero after normalising, which is CLIP's mean colour. ``repeat`` (X-Pool, T-MASS): the middles
    of equal parts; a film that has too few frames shows its last one again.

    Args:
        images: uint8 ``[n, height, width, 3]`` at a fixed rate, at least one.
        frames: of the result.
        tubelet: each of them is so many consecutive ones.

    Returns:
        Pixels float32 ``[frames, 3 * tubelet, height, width]``, and their mask int64 ``[frames]``, 1 for a frame of
        the film.
    """
    places = frame_places(len(images), frames, padding)
    return _padded(normalise(tubelets(images, tubelet, places)), frames)


def frame_places(count: int, frames: int, padding: Padding, rng: np.random.Generator | None = None) -> np.ndarray:
    """Which of ``count`` frames are shown: int ``[frames]``, or with ``zeros`` fewer if there are fewer.

    Args:
        rng: draw a frame from each of ``frames`` equal parts, if there are enough.
    """
    if rng is not None and count >= frames:
        return ((np.arange(frames) + rng.random(frames)) / frames * count).astype(int)
    if padding == "zeros":
        return np.linspace(0, count - 1, frames).astype(int) if count > frames else np.arange(count)
    if padding == "repeat":
        if count < frames:
            return np.minimum(np.arange(frames), count - 1)
        edges = np.linspace(0, count, frames + 1).astype(int)
        return (edges[:-1] + edges[1:] - 1) // 2
    assert_never(padding)


def _padded(pixels: Tensor, frames: int) -> tuple[Tensor, Tensor]:
    missing = frames - len(pixels)
    mask = F.pad(torch.ones(len(pixels), dtype=torch.long), (0, missing))
    return F.pad(pixels, (0, 0, 0, 0, 0, 0, 0, missing)), mask
