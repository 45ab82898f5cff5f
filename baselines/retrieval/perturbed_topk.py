"""A top-k with a gradient: the average of many top-k's of noisy scores (Cordonnier et al., CVPR 2021)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class _PerturbedTopK(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, scores: Tensor, noise: Tensor, k: int, sigma: float) -> Tensor:
        noisy = scores[:, None] + sigma * noise
        chosen = noisy.topk(k, sorted=False).indices.sort(-1).values
        places = chosen.transpose(1, 2)
        samples = places.shape[-1]
        empty = scores.new_zeros(len(scores), k, scores.shape[-1])
        indicator = empty.scatter_add(2, places, torch.ones_like(places, dtype=scores.dtype)) / samples
        weights = noise.expand_as(noisy).gather(2, chosen).transpose(1, 2)
        ctx.save_for_backward(empty.scatter_add(2, places, weights) / (samples * sigma))
        return indicator

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        (slope,) = ctx.saved_tensors
        return (grads[0] * slope).sum(1), None, None, None


def perturbed_topk(scores: Tensor, noise: Tensor, k: int, sigma: float) -> Tensor:
    """How often each entry was the first, second, ... of the k highest, in order of place, not of score.

    The gradient is TS2-Net's: of the Jacobian it keeps what an entry's score does to that entry alone.

    Args:
        scores: ``[rows, entries]``.
        noise: N(0, 1) ``[rows, samples, entries]``, or ``[samples, entries]`` shared by all rows.
        k: entries to choose.
        sigma: what the noise is multiplied by.

    Returns:
        ``[rows, k, entries]``; every ``[row, i]`` sums to 1.
    """
    found = _PerturbedTopK.apply(scores, noise, k, sigma)
    assert isinstance(found, Tensor)
    return found


def hard_topk(scores: Tensor, k: int) -> Tensor:
    """As `perturbed_topk` without noise or gradient: ones and zeros."""
    chosen = scores.topk(k, sorted=False).indices.sort(-1).values
    return torch.nn.functional.one_hot(chosen, scores.shape[-1]).to(scores.dtype)
