"""From a film's frames to one CLIP vector each, as the authors' feature files hold them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from baselines.backbones.frames import normalise
from baselines.mllm.vtimellm.config import VTimeLlmConfig
from baselines.retrieval.clip_backbone import ClipBackbone, ClipConfig
from ivcr_bench.data.video import sample_numbers

CLIP_LARGE = ClipConfig(
    patch_size=14, vision_width=1024, vision_layers=24, vision_heads=16, text_width=768, text_heads=12, width=768
)
"""OpenAI's ViT-L/14 at 224 pixels."""
FRAMES_AT_ONCE = 10


def frame_numbers(total: int, count: int, clip: tuple[float, float] | None = None, rate: float = 0.0) -> np.ndarray:
    """``count`` frames at equal distances, first and last included: int ``[count]``.

    A film of fewer frames shows some more than once.

    Args:
        total: frames of the film.
        clip: seconds of a part of it, the whole if omitted.
        rate: frames a second, where there is a ``clip``.

    >>> frame_numbers(11, 4)
    array([ 0,  3,  6, 10])
    """
    first, last = (0, total - 1) if clip is None else (max(int(rate * clip[0]), 0), min(int(rate * clip[1]), total - 1))
    return np.linspace(first, last, count).astype(np.int64)


def preprocess(images: np.ndarray, size: int, *, antialias: bool = False) -> Tensor:
    """Frames as CLIP takes them: the shorter side bicubically to ``size``, the middle square cut out.

    Values that the interpolation overshoots to are kept.

    Args:
        images: uint8 ``[frames, height, width, 3]``.
        antialias: smooth before; the authors' version of torchvision did not.

    Returns:
        float32 ``[frames, 3, size, size]``.
    """
    height, width = images.shape[1:3]
    short, long = min(height, width), max(height, width)
    other = int(size * long / short)
    shape = (size, other) if height <= width else (other, size)
    pixels = torch.from_numpy(images).movedim(-1, 1).float()
    if shape != (height, width):
        pixels = F.interpolate(pixels, shape, mode="bicubic", align_corners=False, antialias=antialias)
    top, left = round((shape[0] - size) / 2), round((shape[1] - size) / 2)
    return normalise(pixels[..., top : top + size, left : left + size].movedim(1, -1))


def film_features(clip: ClipBackbone, film: Path, config: VTimeLlmConfig) -> np.ndarray:
    """What the authors keep of a film: float16 ``[frames, width]``, vectors as `frame_features` makes them.

    Raises:
        IvcrError: ``film`` is not a whole film that can be read.
    """
    images = sample_numbers(film, lambda total: frame_numbers(total, config.frames).tolist()).images
    chunks = [images[first : first + FRAMES_AT_ONCE] for first in range(0, len(images), FRAMES_AT_ONCE)]
    return np.concatenate([frame_features(clip, chunk, antialias=config.antialias) for chunk in chunks])


@torch.inference_mode()
def frame_features(clip: ClipBackbone, images: np.ndarray, *, antialias: bool = False) -> np.ndarray:
    """CLIP's vector of each frame in the space shared with texts, not normalised: float16 ``[frames, width]``.

    Args:
        images: uint8 ``[frames, height, width, 3]``.
    """
    vision: Any = clip.config.vision_config
    vectors = clip.frame_vectors(preprocess(images, vision.image_size, antialias=antialias)[None])[0]
    return vectors.half().numpy()
