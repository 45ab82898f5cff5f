"""The losses of UMT: a heat map of centres, and length and offset at the centre."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from baselines.moment.detr import ClipBatch
from baselines.moment.detr_losses import MomentTargets
from baselines.moment.umt.config import UmtConfig
from baselines.moment.umt.model import Umt

RADIUS = 0.2
"""How far around a centre, in lengths of the moment, the heat map is above zero."""
ROUNDING = 1e-4
"""A centre so close below a clip's own is at it: spans are fractions, and come back from them a little off."""
FOCAL_ALPHA, FOCAL_GAMMA, FOCAL_EPS = 2, 4, 1e-12


class KeypointTargets(NamedTuple):
    """What the boundary head should say.

    Attributes:
        heat: ``[batch, clips]``, 1 at the clip that holds the centre of a moment.
        at: that clip of each moment, as two index tensors: sample and clip.
        window, offset: for each moment; see `UmtOutput`.
    """

    heat: Tensor
    at: tuple[Tensor, Tensor]
    window: Tensor
    offset: Tensor


def training_losses(model: Umt, batch: ClipBatch, targets: MomentTargets) -> dict[str, Tensor]:
    """The weighted parts whose sum is the loss."""
    config, output, losses = model.config, model(batch), {}
    if output.saliency is not None:
        losses["saliency"] = config.saliency_weight * saliency_loss(
            config, output.saliency, targets.saliency, batch.video_mask
        )
    if output.center is not None:
        wanted = keypoint_targets(config, targets.spans, batch.video_mask)
        sums = {
            "center": config.center_weight * center_loss(output.center, wanted.heat, batch.video_mask),
            "window": config.window_weight * (output.window[wanted.at] - wanted.window).abs().sum(),
            "offset": config.offset_weight * (output.offset[wanted.at] - wanted.offset).abs().sum(),
        }
        moments = sum(map(len, targets.spans))
        losses |= {name: total / moments for name, total in sums.items()}
    return losses


def keypoint_targets(config: UmtConfig, spans: Sequence[Tensor], mask: Tensor) -> KeypointTargets:
    """Targets for moments given as (centre, width) fractions of their films; see `MomentTargets.spans`."""
    heat = torch.zeros(mask.shape, dtype=spans[0].dtype, device=mask.device)
    clips = torch.arange(mask.shape[1], device=mask.device)
    found: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}
    for sample, (moments, length) in enumerate(zip(spans, mask.sum(1), strict=True)):
        longest = mask.shape[1] if config.legacy_padded_length else int(length)
        for center, width in moments * length:
            # In places of clips: the last one of the moment is one before its end.
            window, center = width - 1, (center - 0.5).clamp(0, longest - 0.5)
            place, radius = int(center + ROUNDING), int(RADIUS * window)
            sigma = RADIUS * (radius + 1)
            bump = torch.exp(-((clips - place) ** 2) / (2 * sigma**2)) * ((clips - place).abs() <= radius)
            heat[sample] = heat[sample].maximum(bump)
            found[sample, place] = (window, center - place)
    samples, places = torch.tensor(list(found), device=mask.device).T
    window, offset = (torch.stack(values) for values in zip(*found.values(), strict=True))
    return KeypointTargets(heat, (samples, places), window, offset)


def center_loss(logits: Tensor, heat: Tensor, mask: Tensor) -> Tensor:
    """The Gaussian focal loss of CornerNet, summed over clips; all arguments are ``[batch, clips]``."""
    p = logits.sigmoid()
    positive = (heat == 1) * (p + FOCAL_EPS).log() * (1 - p) ** FOCAL_ALPHA
    negative = (1 - heat) ** FOCAL_GAMMA * (1 - p + FOCAL_EPS).log() * p**FOCAL_ALPHA
    return -((positive + negative) * mask).sum()


def saliency_loss(config: UmtConfig, logits: Tensor, saliency: Tensor, mask: Tensor) -> Tensor:
    """Cross-entropy of every clip; ``saliency`` is between 0 and 1."""
    error = F.binary_cross_entropy_with_logits(logits, saliency, reduction="none")
    return (error * mask).sum() / (mask.numel() if config.legacy_padded_length else mask.sum())
