"""Which frames of a film a method sees, and what it sees where there are too few."""

from __future__ import annotations

from typing import assert_never

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from baselines.backbones.frames import normalise
from baselines.retrieval.protocol import Padding


def film_frames(images: np.ndarray, frames: int, padding: Padding) -> tuple[Tensor, Tensor]:
    """Choose and normalise the frames of one film.

    ``zeros`` (CLIP4Clip, TS2-Net): all frames, or if there are too many as many from the first to the last;
    missing ones are zero after normalising, which is CLIP's mean colour. ``repeat`` (X-Pool, T-MASS): the middles
    of equal parts; a film that has too few frames shows its last one again.

    Args:
        images: uint8 ``[n, height, width, 3]`` at a fixed rate, at least one.
        frames: of the result.

    Returns:
        Pixels float32 ``[frames, 3, height, width]``, and their mask int64 ``[frames]``, 1 for a frame of the film.
    """
    places = frame_places(len(images), frames, padding)
    missing = frames - len(places)
    mask = F.pad(torch.ones(len(places), dtype=torch.long), (0, missing))
    return F.pad(normalise(images[places]), (0, 0, 0, 0, 0, 0, 0, missing)), mask


def frame_places(count: int, frames: int, padding: Padding) -> np.ndarray:
    """Which of ``count`` frames are shown: int ``[frames]``, or with ``zeros`` fewer if there are fewer."""
    if padding == "zeros":
        return np.linspace(0, count - 1, frames).astype(int) if count > frames else np.arange(count)
    if padding == "repeat":
        if count < frames:
            return np.minimum(np.arange(frames), count - 1)
        edges = np.linspace(0, count, frames + 1).astype(int)
        return (edges[:-1] + edges[1:] - 1) // 2
    assert_never(padding)
