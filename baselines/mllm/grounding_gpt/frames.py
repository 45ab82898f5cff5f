"""From a decoded film to the pixels that the encoder of frames takes, as the authors' code or without its faults."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from baselines.backbones.frames import normalise
from baselines.mllm.grounding_gpt.config import GroundingGptConfig, ShortFilms
from ivcr_bench.data.video import sample_numbers

SCALE, RATIO = (0.5, 1.0), (3 / 4, 4 / 3)
"""Part of the picture that a crop covers, and its width over its height."""
TRIES = 10


def film_pixels(film: Path, config: GroundingGptConfig) -> Tensor:
    """What the encoder of frames takes of a film: float32 ``[frames, 3, size, size]``; the aspect is not kept.

    Raises:
        IvcrError: ``film`` is not a whole film that can be read.
        ValueError: the configuration has no encoder of frames.
    """
    if config.blip2 is None:
        raise ValueError("this configuration has no encoder of frames")
    size = (config.blip2.image_size, config.blip2.image_size)
    seen = sample_numbers(film, lambda total: frame_places(total, config.frames, config.short_films).tolist(), size)
    if config.transform == "resize":
        return resized(seen.images)
    return randomly_cropped(seen.images, torch.Generator().manual_seed(config.crop_seed))


def frame_places(film_frames: int, count: int, short_films: ShortFilms = "fewer") -> np.ndarray:
    """Which frames of a film are seen, evenly from its first on: int, at most ``count``.

    >>> frame_places(10, 4)
    array([0, 2, 5, 7])
    >>> frame_places(3, 4), frame_places(3, 4, "repeat")
    (array([0, 1, 2]), array([0, 0, 1, 2]))
    """
    seen = count if short_films == "repeat" else min(count, film_frames)
    return np.arange(seen) * film_frames // seen


def resized(images: np.ndarray) -> Tensor:
    """Pixels of frames that were decoded at the encoder's size: no crop, the same for every call.

    Args:
        images: uint8 ``[frames, height, width, 3]``.

    Returns:
        float32 ``[frames, 3, height, width]``.
    """
    return normalise(images)


def randomly_cropped(images: np.ndarray, generator: torch.Generator) -> Tensor:
    """As `resized`, by the transform that the authors train and answer with: one random crop for all frames.

    Cubic interpolation overshoots; what falls out of a byte wraps around, as it does in the authors' code.
    """
    size = (int(images.shape[1]), int(images.shape[2]))
    top, left, height, width = crop_box(size, generator)
    pixels = torch.as_tensor(images).movedim(-1, 1).float()[..., top : top + height, left : left + width]
    scaled = F.interpolate(pixels, size=size, mode="bicubic", align_corners=False)
    wrapped = scaled.to(torch.int64).remainder(256).to(torch.uint8)
    return normalise(wrapped.movedim(1, -1))


def crop_box(size: tuple[int, int], generator: torch.Generator) -> tuple[int, int, int, int]:
    """Top, left, height and width of a random crop of a picture of ``size`` (height, width), as torchvision's."""
    height, width = size
    for _ in range(TRIES):
        area = height * width * _uniform(*SCALE, generator)
        ratio = math.exp(_uniform(math.log(RATIO[0]), math.log(RATIO[1]), generator))
        across, down = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < across <= width and 0 < down <= height:
            return _place(height - down, generator), _place(width - across, generator), down, across
    across, down = min(width, round(height * RATIO[1])), min(height, round(width / RATIO[0]))
    return (height - down) // 2, (width - across) // 2, down, across


def _uniform(low: float, high: float, generator: torch.Generator) -> float:
    return low + (high - low) * float(torch.rand((), generator=generator))


def _place(room: int, generator: torch.Generator) -> int:
    return int(torch.randint(room + 1, (), generator=generator))
