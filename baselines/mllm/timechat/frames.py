"""Which frames TimeChat looks at, and what it is told of their times (sheet section 2)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


def uniform_frames(total: int, count: int) -> Indices:
    """The first frame of each of ``count`` equal parts of a film of ``total`` frames, or all if they are fewer.

    >>> uniform_frames(10, 4).tolist()
    [0, 2, 5, 7]
    """
    count = min(count, total)
    return np.floor(np.arange(count) * (total / count)).astype(np.int64)


def random_frames(total: int, count: int, rng: np.random.Generator) -> Indices:
    """For training: a frame of each of ``count`` parts, never its last; any frames, where a part has no other.

    Args:
        total: frames of the film.
    """
    count = min(count, total)
    edges = np.linspace(0, total, count + 1).astype(np.int64)
    if (np.diff(edges) < 2).any():
        return np.sort(rng.permutation(total)[:count])
    return rng.integers(edges[:-1], edges[1:] - 1)


def frame_times(indices: Indices, rate: float) -> list[float]:
    """Seconds of the frames of a film of ``rate`` frames a second, to one decimal."""
    return [round(int(index) / rate, 1) for index in indices]


def time_sentences(times: Sequence[float]) -> list[str]:
    """What the image Q-Former reads with each frame."""
    return [f"This frame is sampled at {float(time)} second." for time in times]


def video_message(times: Sequence[float]) -> str:
    """What the language model reads of the frames; the blank at its end is part of it."""
    listed = ", ".join(str(float(time)) for time in times)
    return f"The video contains {len(times)} frames sampled at {listed} seconds. "
