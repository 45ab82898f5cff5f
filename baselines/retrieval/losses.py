"""The contrastive loss that all retrieval baselines share."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def symmetric_cross_entropy(logits: Tensor, positive: Tensor | None = None) -> Tensor:
    """Symmetric InfoNCE, for any number of positives: mean of the text-to-video and video-to-text directions.

    Args:
        logits: ``[texts, videos]``.
        positive: bool, same shape; a row or column without a positive does not count. The diagonal if omitted.
    """
    if positive is None:
        positive = torch.eye(len(logits), dtype=torch.bool, device=logits.device)
    return (_cross_entropy(logits, positive) + _cross_entropy(logits.T, positive.T)) / 2


def _cross_entropy(logits: Tensor, positive: Tensor) -> Tensor:
    counts = positive.sum(1)
    rows = counts > 0
    targets = positive[rows].float() / counts[rows, None]
    return F.cross_entropy(logits[rows], targets)
