"""How well a query matches the places that a token can point at, by the phase-1 vectors of query and frames.

The pointer read-out reads these features beside the LLaMA's states: they are what the first stage knows already.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

FEATURES = 5
EDGE = 3
"""Seconds on either side of a cut that are compared."""

Matches = NDArray[np.float32]


def candidate_matches(query: NDArray[np.float32], films: Sequence[NDArray[np.float16]]) -> Matches:
    """Features of each candidate: its best and its mean frame, relative to the other candidates.

    Args:
        query: ``[shared_width]``.
        films: frame vectors ``[frames, shared_width]`` of each candidate.

    Returns:
        ``[candidates, FEATURES]``; columns that only seconds have are 0.
    """
    similar = [film.astype(np.float32) @ query for film in films]
    features = np.zeros((len(films), FEATURES), dtype=np.float32)
    features[:, 0] = _standardise(np.array([frames.max() for frames in similar]))
    features[:, 1] = _standardise(np.array([frames.mean() for frames in similar]))
    return features


def second_matches(
    query: NDArray[np.float32], film: NDArray[np.float16], frames_a_second: int, seconds: int
) -> Matches:
    """Features of each second of a film: how well it matches, and how much that rises or falls there.

    Args:
        query: ``[shared_width]``.
        film: frame vectors ``[frames, shared_width]``.

    Returns:
        ``[seconds, FEATURES]``: level, rise from the second before, fall to the second after, and rise and fall
        between the means of `EDGE` seconds.
    """
    similar = film.astype(np.float32) @ query
    starts = np.minimum(np.arange(seconds) * frames_a_second, len(similar) - 1)
    level = _standardise(np.add.reduceat(similar, starts) / np.diff([*starts, len(similar)]).clip(min=1))
    padded = np.pad(level, EDGE, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, EDGE).mean(-1)
    before, after = windows[:seconds], windows[EDGE + 1 : EDGE + 1 + seconds]
    here_on, until_here = windows[EDGE : EDGE + seconds], windows[1 : 1 + seconds]
    rise = np.diff(level, prepend=level[:1])
    fall = -np.diff(level, append=level[-1:])
    return np.stack([level, rise, fall, here_on - before, until_here - after], axis=1).astype(np.float32)


def _standardise(values: NDArray[np.floating]) -> NDArray[np.floating]:
    return (values - values.mean()) / (values.std() + 1e-6)
