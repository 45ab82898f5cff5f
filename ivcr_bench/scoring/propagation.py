"""How errors travel: which turns still count once an earlier turn of their dialogue has failed.

A rule maps outcomes to a mask. A turn that is not *alive* scores 0 in every metric and stays in every denominator.

- ``none``: every turn is alive; each is judged by itself.
- ``video``: no turn after a failed video-retrieval turn (R@1) is alive; a failed moment or natural-dialogue turn harms
  nothing. The paper's rule for multi-turn results ("errors affect later rounds", Table 4), as its 2024 scorer applies
  it: retrieval hits and moment IoUs {T, .6, F, .9, T} become {T, .6, F, 0, F}.
- ``dependency``: a turn is alive unless a turn that it depends on, directly or through others, failed: a video turn at
  R@1, a moment turn at IoU 0.5, a natural-dialogue turn that was not answered as one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ivcr_bench.scoring.outcomes import Outcomes

Propagation = Literal["none", "video", "dependency"]
Alive = NDArray[np.bool_]


def alive_always(outcomes: Outcomes) -> Alive:
    """Rule ``none``; bool ``[turns]``."""
    return np.ones(len(outcomes), np.bool_)


def alive_after_video(outcomes: Outcomes) -> Alive:
    """Rule ``video``; bool ``[turns]``."""
    failed = (outcomes.asks("video_retrieval") & ~outcomes.succeeded).astype(np.int64)
    before = np.cumsum(failed) - failed
    alive: Alive = before == before[_first_rows(outcomes)]
    return alive


def alive_by_dependency(outcomes: Outcomes) -> Alive:
    """Rule ``dependency``; bool ``[turns]``."""
    row, ancestor = outcomes.ancestors.T
    failed_ancestors = np.bincount(row[~outcomes.succeeded[ancestor]], minlength=len(outcomes))
    alive: Alive = failed_ancestors == 0
    return alive


RULES: dict[Propagation, Callable[[Outcomes], Alive]] = {
    "none": alive_always,
    "video": alive_after_video,
    "dependency": alive_by_dependency,
}


def _first_rows(outcomes: Outcomes) -> NDArray[np.int64]:
    """For each turn, the row of the first turn of its dialogue."""
    return np.arange(len(outcomes)) - (outcomes.turn - 1)
