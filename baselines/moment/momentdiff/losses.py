"""The losses of MomentDiff."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from baselines.moment.detr import ClipBatch
from baselines.moment.detr_losses import (
    DetectionWeights,
    MomentTargets,
    about_other_film,
    layered_detection_losses,
    margin_loss,
    rank_contrastive_loss,
)
from baselines.moment.momentdiff.config import MomentDiffConfig
from baselines.moment.momentdiff.diffusion import Noise, draw_noise, noisy_spans
from baselines.moment.momentdiff.model import MomentDiff


def training_losses(
    model: MomentDiff,
    batch: ClipBatch,
    targets: MomentTargets,
    films: Sequence[Hashable],
    noise: Noise | None = None,
) -> dict[str, Tensor]:
    """The weighted parts whose sum is the loss.

    Args:
        films: what tells films of the batch apart; a query never counts as wrong for its own film.
        noise: drawn from torch's global generator if omitted.
    """
    config = model.config
    noise = noise or draw_noise(config, len(batch))
    clips, words = model.project_clips(batch), model.project_words(batch)
    known = model.condition(clips, words)
    proposals = model.denoise(noisy_spans(config, targets.spans, noise), noise.times.to(known.mask.device), known)
    losses = layered_detection_losses(proposals.logits, proposals.spans, targets.spans, DetectionWeights())
    wrong = model.saliency(model.condition(clips, words.roll()))
    other_film = about_other_film(films).to(known.mask.device)
    parts = saliency_losses(config, model.saliency(known), wrong, other_film, targets, known.mask)
    return losses | {name: config.saliency_weight * loss for name, loss in parts.items()}


def saliency_losses(
    config: MomentDiffConfig, scores: Tensor, wrong: Tensor, other_film: Tensor, targets: MomentTargets, mask: Tensor
) -> dict[str, Tensor]:
    """``margin``, ``bce`` and ``nce`` of clip scores (logits), not yet weighted.

    Args:
        scores, wrong: with the query, and with the next one of the batch, ``[batch, clips]``.
        other_film: whether that next one is about another film, bool ``[batch]``.
        mask: which clips there are, bool ``[batch, clips]``.
    """
    error = F.binary_cross_entropy(scores.sigmoid() * mask, targets.saliency * mask, reduction="none")
    return {
        "margin": margin_loss(scores, targets),
        "bce": (error if config.legacy_padding_in_losses else error[mask]).mean(),
        "nce": rank_contrastive_loss(
            torch.cat((scores, wrong), 1),
            F.pad(targets.saliency, (0, wrong.shape[1])),
            torch.cat((mask, mask & other_film[:, None]), 1),
        ),
    }
