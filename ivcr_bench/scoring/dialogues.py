"""Dialogue success: did every turn of the dialogue succeed?

    success rate = mean over dialogues of [every turn succeeded]

A video turn succeeds at R@1, a moment turn at IoU >= 0.5, a natural-dialogue turn if it was answered as one; the
answer must have named the turn's intent. Ours, not the paper's: what one user would call "it worked". Bounds 0 and 1,
higher is better.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def dialogue_success(succeeded: NDArray[np.bool_], turn: NDArray[np.int32]) -> NDArray[np.float64]:
    """1 on the first turn of each dialogue whose turns all succeeded, else 0; float64 ``[turns]``.

    Args:
        succeeded: bool ``[turns]``.
        turn: turn numbers ``[turns]``; each dialogue starts with a 1.

    >>> dialogue_success(np.array([True, True, True, False]), np.array([1, 2, 1, 2])).tolist()
    [1.0, 0.0, 0.0, 0.0]
    """
    success = np.zeros(len(turn))
    starts = np.flatnonzero(turn == 1)
    if len(starts):
        success[starts] = np.logical_and.reduceat(succeeded, starts)
    return success
