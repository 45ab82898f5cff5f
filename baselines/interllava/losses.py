"""The three losses of InterLLaVA (paper section 4.2, equations 1 to 4), differentiable.

The published code computes L_V and L_C from decoded text, so that they carry no gradient; `official_logged`
reproduces those numbers for the log. Ours read them from the logits instead (sheet sections 5.3 and 5.4).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

OFFICIAL_RIGHT_INDEX = 0.000413
OFFICIAL_WRONG_INDEX = 9.9904


def language_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """L_M, equation 1: mean negative log-likelihood of the answer's tokens.

    Args:
        logits: ``[N, vocabulary]`` at the positions that predict answer tokens.
        labels: ``[N]`` the tokens to predict.
    """
    return F.cross_entropy(logits.float(), labels)


def index_loss(logits: Tensor, gold: Tensor, present: Tensor) -> Tensor:
    """L_V, equation 2: cross-entropy of the gold candidate among those present.

    Args:
        logits: ``[N, candidates]`` the logits of the index tokens where the index is predicted.
        gold: ``[N]`` 0-based position of the gold candidate.
        present: ``[N, candidates]`` boolean; a context may hold fewer than ten candidates.

    Returns:
        The mean over the N turns; 0 if there is none.
    """
    if gold.numel() == 0:
        return logits.sum() * 0.0
    masked = logits.float().masked_fill(~present, torch.finfo(torch.float32).min)
    return F.cross_entropy(masked, gold)


def expected_seconds(logits: Tensor, seconds: Tensor) -> Tensor:
    """The mean of the times that the time tokens stand for, under the softmax of their logits.

    Args:
        logits: ``[N, K]``, ``-inf`` where a token lies beyond the film.
        seconds: ``[K]`` the second that each token stands for.
    """
    return (logits.float().softmax(-1) * seconds).sum(-1)


def interval_loss(start: Tensor, end: Tensor, gold: Tensor, duration: Tensor, giou_weight: float = 1.0) -> Tensor:
    """L_C, equation 3: 1 - IoU, plus ``giou_weight`` times the 1-D GIoU term.

    With ``giou_weight`` 0 this is equation 3 to the letter, whose gradient is zero for disjoint intervals.

    Args:
        start, end: ``[N]`` predicted seconds, in either order.
        gold: ``[N, 2]`` seconds; an empty gold interval is widened by 0.05 s on each side.
        duration: ``[N]`` length of each film in seconds; sets the scale of the guard against division by zero.
    """
    if start.numel() == 0:
        return (start.sum() + end.sum()) * 0.0
    low, high = torch.minimum(start, end), torch.maximum(start, end)
    gold_low, gold_high = gold.min(-1).values, gold.max(-1).values
    widen = (gold_low == gold_high).float() * 0.05
    gold_low, gold_high = gold_low - widen, gold_high + widen
    inter = (torch.minimum(high, gold_high) - torch.maximum(low, gold_low)).clamp(min=0)
    union = (high - low) + (gold_high - gold_low) - inter
    hull = torch.maximum(high, gold_high) - torch.minimum(low, gold_low)
    guard = 1e-6 * duration
    iou = inter / torch.maximum(union, guard)
    return (1 - iou + giou_weight * (hull - union) / torch.maximum(hull, guard)).mean()


def official_logged(right_index: bool | None, iou: float | None) -> float:
    """What the published code adds to L_M: a number without gradient (sheet section 5.2, step 4).

    Args:
        right_index: whether the decoded index was the gold one; ``None`` if none was read or none was due.
        iou: IoU of the decoded and the gold range, 1 where none was parsed or due (``None``).
    """
    index = 0.0 if right_index is None else OFFICIAL_RIGHT_INDEX if right_index else OFFICIAL_WRONG_INDEX
    return 0.01 * ((1 - (1.0 if iou is None else iou)) + index)
