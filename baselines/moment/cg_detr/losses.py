"""The losses of CG-DETR."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from baselines.moment.cg_detr.config import CgDetrConfig
from baselines.moment.cg_detr.model import CgDetr, Correlation
from baselines.moment.cg_detr.transformer import TextKeys
from baselines.moment.detr import ClipBatch, DecoderInput
from baselines.moment.detr_losses import (
    DetectionWeights,
    MomentTargets,
    about_other_film,
    layered_detection_losses,
    margin_loss,
    rank_contrastive_loss,
)

RANK_LEVELS, RANK_DIVISOR = 11, 12
"""Ranking levels of summed annotator scores, and what their sum is divided by, however many there are."""


@dataclass(frozen=True)
class Mismatched:
    """Films paired with the text of the sample behind them in the batch, where that is about another film.

    Attributes:
        real: which samples these are, bool ``[batch]``.
        saliency, engagement: their scores, ``[real samples, clips]``.
    """

    real: Tensor
    saliency: Tensor
    engagement: Tensor


def training_losses(
    model: CgDetr, batch: ClipBatch, targets: MomentTargets, films: Sequence[Hashable]
) -> dict[str, Tensor]:
    """The weighted parts whose sum is the loss.

    Args:
        films: what tells films of the batch apart; a text never counts as wrong for its own film.
    """
    config, output = model.config, model(batch)
    mask, relevant = batch.video_mask, targets.saliency > 0
    losses = layered_detection_losses(output.logits, output.spans, targets.spans, DetectionWeights())
    mismatched = _mismatch(model, output.clips, output.text.of(torch.arange(len(batch)).roll(-1)), films)
    clips = output.conditioned
    losses["saliency"] = config.saliency_weight * (
        saliency_loss(config, clips.saliency, mismatched, targets, mask)
        + config.engagement_weight * engagement_loss(config, clips.engagement, mismatched, targets, mask)
    )
    correlation = model.correlate(output, relevant)
    losses["align"] = config.align_weight * alignment_loss(config, correlation, relevant, mask)
    losses["distill"] = config.distill_weight * distillation_loss(
        config, correlation, clips.weights, relevant, output.text.mask
    )
    dummies = output.text.rows[:, : config.dummies]
    prompts = model.global_rep_token[None]
    losses["orthogonal"] = config.distill_weight * (orthogonality_loss(dummies) + orthogonality_loss(prompts))
    return losses


def _mismatch(model: CgDetr, clips: DecoderInput, text: TextKeys, films: Sequence[Hashable]) -> Mismatched | None:
    real = about_other_film(films)
    if not real.any():
        return None
    places = real.nonzero().squeeze(1)
    subset = DecoderInput(clips.memory[places], clips.positions[places], clips.mask[places])
    wrong = model.condition(subset, text.of(places))
    return Mismatched(real.to(clips.mask.device), wrong.saliency, wrong.engagement)


def saliency_loss(
    config: CgDetrConfig, scores: Tensor, mismatched: Mismatched | None, targets: MomentTargets, mask: Tensor
) -> Tensor:
    """Clips of the moment above the others, all clips low for the text of another film; scores are logits."""
    fewest = 2 if config.legacy_false_negatives else 1
    loss = margin_loss(scores, targets)
    if mismatched is None:
        return loss + _rank(scores, targets.saliency, mask)
    wrong = mismatched.saliency
    loss = loss + _rank_with_mismatched(scores, wrong, mismatched.real, targets.saliency, mask)
    loss = loss + (F.softplus(wrong) * mask[mismatched.real]).sum(1).mean()
    false = ~mismatched.real
    if false.sum() >= fewest:
        loss = loss + _rank(scores[false], targets.saliency[false], mask[false])
    return loss


def engagement_loss(
    config: CgDetrConfig, scores: Tensor, mismatched: Mismatched | None, targets: MomentTargets, mask: Tensor
) -> Tensor:
    """As `saliency_loss`, for scores between 0 and 1, and each clip's own cross-entropy."""
    loss = margin_loss(scores, targets)
    error = F.binary_cross_entropy(scores, targets.saliency.clamp(0, 1), reduction="none")
    loss = loss + (error if config.legacy_padding_in_losses else error[mask]).mean()
    if mismatched is None:
        return loss + _rank(scores, targets.saliency, mask)
    wrong = mismatched.engagement
    loss = loss + _rank_with_mismatched(scores, wrong, mismatched.real, targets.saliency, mask)
    loss = loss - ((1 - wrong).clamp(min=1e-6).log() * mask[mismatched.real]).sum(1).mean()
    false = ~mismatched.real
    if false.any() and not config.legacy_false_negatives:
        loss = loss + _rank(scores[false], targets.saliency[false], mask[false])
    return loss


def alignment_loss(config: CgDetrConfig, correlation: Correlation, relevant: Tensor, mask: Tensor) -> Tensor:
    """Moment tokens near their sentence, away from their dummies, and telling relevant clips from others."""
    rows = torch.arange(len(mask), device=mask.device)
    sentences = F.cross_entropy(_cosines(correlation, correlation.sentence), rows)
    dummies = _dummy_contrast(_cosines(correlation, correlation.dummy_sentence), config.legacy_dummy_target)
    frames = torch.where(relevant[..., None], correlation.relevant_frames, correlation.other_frames)
    logits = (frames * correlation.moment[:, None]).sum(-1)
    # Not the version on logits: these reach the hundreds, and the loss is meant to saturate there.
    error = F.binary_cross_entropy(logits.sigmoid(), relevant.to(logits.dtype), reduction="none")
    counted = mask.numel() if config.legacy_padding_in_losses else mask.sum()
    return sentences + dummies + (error * mask).sum() / counted


def distillation_loss(
    config: CgDetrConfig, correlation: Correlation, weights: Tensor, relevant: Tensor, text_mask: Tensor
) -> Tensor:
    """Attention of relevant clips to dummies and words, drawn to the correlations of clips and words.

    Args:
        weights: ``[batch, clips, dummies + words]``.
        text_mask: ``[batch, dummies + words]``.
    """
    logits = correlation.relevant_frames @ correlation.words.transpose(1, 2)
    counted = torch.ones_like(text_mask) if config.legacy_padding_in_losses else text_mask
    wanted = logits.masked_fill(~counted[:, None], -torch.inf).softmax(-1).detach()
    divergence = F.kl_div((weights + 1e-6).log(), wanted, reduction="none").sum(-1) / counted.sum(1, keepdim=True)
    return divergence[relevant].mean()


def orthogonality_loss(rows: Tensor) -> Tensor:
    """How parallel rows of ``[batch, rows, width]`` are: the mean absolute cosine, 0 of a row with itself."""
    unit = F.normalize(rows, dim=-1)
    cosines = unit @ unit.detach().transpose(1, 2)
    return (cosines * ~torch.eye(rows.shape[1], dtype=torch.bool, device=rows.device)).abs().mean()


def _cosines(correlation: Correlation, sentences: Tensor) -> Tensor:
    """Cosines of moment tokens, then of context tokens, with sentences: ``[batch, 2 * batch]``, a moment a row."""
    unit = F.normalize(sentences, dim=-1).T
    tokens = (correlation.moment, correlation.context)
    return torch.cat([F.normalize(token, dim=-1) @ unit for token in tokens], 1)


def _dummy_contrast(cosines: Tensor, one_target: bool) -> Tensor:
    """Moments nearer to the dummies of every other sentence than to those of their own."""
    batch = len(cosines)
    rows = torch.arange(batch, device=cosines.device)
    if one_target:
        return F.cross_entropy(cosines, (rows == 0).long())
    if batch == 1:
        return cosines.new_zeros(())
    others = F.pad(1 - torch.eye(batch, device=cosines.device), (0, batch)) / (batch - 1)
    return F.cross_entropy(cosines, others)


def _rank(scores: Tensor, saliency: Tensor, mask: Tensor) -> Tensor:
    return rank_contrastive_loss(scores, saliency, mask, RANK_LEVELS) / RANK_DIVISOR


def _rank_with_mismatched(scores: Tensor, wrong: Tensor, real: Tensor, saliency: Tensor, mask: Tensor) -> Tensor:
    return _rank(
        torch.cat((scores[real], wrong), 1),
        F.pad(saliency[real], (0, wrong.shape[1])),
        torch.cat((mask[real], mask[real]), 1),
    )
