"""Non-maximum suppression: a list of moments without near copies of a better one.

Two moments with equal scores keep the order in which they came.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from baselines.moment.spans import iou


def greedy_nms(moments: Tensor, scores: Tensor, threshold: float, keep: int | None = None) -> Tensor:
    """Take the best moment, drop what overlaps it by *more* than ``threshold``, and so on.

    Args:
        moments: (start, end) in any one unit, ``[n, 2]``.
        scores: ``[n]``.
        threshold: an IoU.
        keep: stop after so many.

    Returns:
        Places of the moments kept, best first: int ``[kept]``.
    """
    order = scores.argsort(descending=True, stable=True)
    kept: list[int] = []
    while len(order) and (keep is None or len(kept) < keep):
        best, order = order[0], order[1:]
        kept.append(int(best))
        order = order[iou(moments[order], moments[best]) <= threshold]
    return torch.tensor(kept, dtype=torch.long, device=moments.device)


def soft_nms(
    moments: Tensor, scores: Tensor, decay: Callable[[Tensor], Tensor], keep: int | None = None
) -> tuple[Tensor, Tensor]:
    """Take the best moment, lower the scores of what overlaps it, and so on (Bodla et al., ICCV 2017).

    Args:
        moments: ``[n, 2]``.
        scores: ``[n]``, not negative.
        decay: the factor for each IoU; see `gaussian` and `linear`.
        keep: stop after so many.

    Returns:
        Places, best first, and the scores that they were taken with: ``[kept]`` each.
    """
    left = scores.clone()
    order: list[int] = []
    final = scores.new_zeros(len(scores) if keep is None else min(keep, len(scores)))
    taken = torch.zeros(len(scores), dtype=torch.bool, device=scores.device)
    for place in range(len(final)):
        best = left.masked_fill(taken, -torch.inf).argmax()
        taken[best] = True
        order.append(int(best))
        final[place] = left[best]
        left = torch.where(taken, left, left * decay(iou(moments, moments[best])))
    return torch.tensor(order, dtype=torch.long, device=scores.device), final


def gaussian(sigma: float) -> Callable[[Tensor], Tensor]:
    """The decay ``exp(-iou^2 / sigma)``."""
    return lambda overlap: (-(overlap**2) / sigma).exp()


def linear(threshold: float) -> Callable[[Tensor], Tensor]:
    """The decay ``1 - iou`` above ``threshold``, and none up to it."""
    return lambda overlap: torch.where(overlap > threshold, 1 - overlap, 1.0)
