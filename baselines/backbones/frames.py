"""From decoded frames to the tensors that a vision encoder takes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


def normalise(images: np.ndarray | Tensor) -> Tensor:
    """Frames as a vision encoder takes them, with the mean and deviation of CLIP.

    Args:
        images: uint8 ``[..., height, width, 3c]``: ``c`` RGB frames side by side in the last axis.

    Returns:
        float32 ``[..., 3c, height, width]``.
    """
    pixels = torch.as_tensor(images).movedim(-1, -3).to(torch.float32)
    frames = pixels.shape[-3] // 3
    mean = torch.tensor(CLIP_MEAN * frames).view(-1, 1, 1) * 255
    std = torch.tensor(CLIP_STD * frames).view(-1, 1, 1) * 255
    return (pixels - mean) / std


def tubelets(images: np.ndarray, length: int, starts: np.ndarray | None = None) -> np.ndarray:
    """Stack each frame with the ``length - 1`` frames that follow it, so that one token grid sees motion.

    This is the tubelet embedding of ViViT (Arnab et al. 2021) with overlapping tubelets.

    Args:
        images: uint8 ``[frames, height, width, 3]`` at a fixed rate; the last frame is repeated past the end.
        starts: first frame of each tubelet; every frame, if ``None``.

    Returns:
        uint8 ``[tubelets, height, width, 3 * length]``.
    """
    first = np.arange(len(images)) if starts is None else np.asarray(starts)
    index = np.minimum(first[:, None] + np.arange(length), len(images) - 1)
    stacked = images[index].transpose(0, 2, 3, 1, 4)
    return stacked.reshape(*stacked.shape[:3], 3 * length)


def uniform_starts(frames: int, count: int) -> np.ndarray:
    """The middle frame of each of ``count`` equal parts of a film of ``frames`` frames: int ``[count]``."""
    edges = np.linspace(0, frames, count + 1)
    middles = np.floor((edges[:-1] + edges[1:]) / 2).astype(np.int64)
    return np.minimum(middles, frames - 1)


def augment(images: Tensor, shift: int, generator: torch.Generator) -> Tensor:
    """Flip each sample left to right with probability 1/2 and move it by up to ``shift`` pixels.

    Args:
        images: uint8 ``[samples, height, width, channels]``; the edge pixels are repeated where it moves in.
    """
    samples, height, width = images.shape[:3]
    offsets = torch.randint(-shift, shift + 1, (2, samples, 1), generator=generator)
    rows = (torch.arange(height) + offsets[0]).clamp(0, height - 1)
    columns = (torch.arange(width) + offsets[1]).clamp(0, width - 1)
    flip = torch.rand(samples, 1, generator=generator) < 0.5
    columns = torch.where(flip, columns.flip(1), columns)
    return images[torch.arange(samples)[:, None, None], rows[:, :, None], columns[:, None, :]]
