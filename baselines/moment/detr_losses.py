"""What the transformer baselines share with Moment-DETR and QD-DETR in training: targets, matching and losses.

Every gold moment is matched with one proposal (Hungarian matching, as in DETR); matched proposals learn its span,
all learn whether they were matched. Saliency losses teach the score of each clip: margins between clips inside and
outside, and a ranking against all clips of the film and of a film that the query is not about (QD-DETR, Moon et al.,
CVPR 2023).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn import functional as F

from baselines.moment.detr import FOREGROUND
from baselines.moment.spans import ClipGrid, edges_of, giou, pairwise_giou, spans_of

PAIRS = 2
"""How many clips inside a moment the margin loss compares with as many outside."""
RANK_TEMPERATURE = 0.5


@dataclass(frozen=True)
class MomentTargets:
    """What a batch should predict.

    Attributes:
        spans: for each query its moments, (centre, width) as fractions of the film: ``[moments, 2]``.
        saliency: how salient each clip is, 0 where padded: ``[batch, clips]``.
        inside, outside: places of clips that should score high and low, int ``[batch, pairs]``.
    """

    spans: Sequence[Tensor]
    saliency: Tensor
    inside: Tensor
    outside: Tensor


def moment_targets(
    moments: Sequence[Tensor], grids: Sequence[ClipGrid], clips: int, rng: np.random.Generator
) -> MomentTargets:
    """Targets where a clip is either inside a moment or not.

    Args:
        moments: for each query its moments in seconds, float ``[moments, 2]``.
        grids: the clips of its film.
        clips: as many as the batch is padded to.
        rng: picks the clips that the margin loss compares; where none is outside, it compares those inside.
    """
    saliency = torch.zeros(len(grids), clips)
    pairs = []
    for row, seconds, grid in zip(saliency, moments, grids, strict=True):
        chosen = grid.inside(seconds).any(0).cpu()
        row[: grid.clips] = chosen
        inside = _pick(chosen, rng)
        pairs.append((inside, inside if chosen.all() else _pick(~chosen, rng)))
    spans = [spans_of(grid.edges(seconds)).float() for seconds, grid in zip(moments, grids, strict=True)]
    places = torch.from_numpy(np.array(pairs))
    return MomentTargets(spans, saliency, inside=places[:, 0], outside=places[:, 1])


def _pick(chosen: Tensor, rng: np.random.Generator) -> np.ndarray:
    places = chosen.nonzero().squeeze(1).numpy()
    return rng.choice(places, PAIRS, replace=len(places) < PAIRS)


@dataclass(frozen=True)
class DetectionWeights:
    """Weights of the three losses of a proposal, which are also those of the matching."""

    span: float = 10.0
    giou: float = 1.0
    label: float = 4.0


class Matches(NamedTuple):
    """Matched proposals: of which sample, which proposal, and its gold span ``[matches, 2]``."""

    sample: Tensor
    proposal: Tensor
    gold: Tensor


@torch.no_grad()
def match(logits: Tensor, spans: Tensor, gold: Sequence[Tensor], weights: DetectionWeights) -> Matches:
    """Assign each gold span to the proposal that fits, no proposal twice, at the least cost.

    Args:
        logits: ``[batch, proposals, 2]``.
        spans: (centre, width), ``[batch, proposals, 2]``.
        gold: as `MomentTargets.spans`.
    """
    foreground = logits.softmax(-1)[..., FOREGROUND]
    found: list[tuple[int, int, int]] = []
    for i, wanted in enumerate(gold):
        cost = (
            weights.span * torch.cdist(spans[i], wanted, p=1)
            - weights.giou * pairwise_giou(edges_of(spans[i]), edges_of(wanted))
            - weights.label * foreground[i, :, None]
        )
        found += [(i, int(p), int(g)) for p, g in zip(*linear_sum_assignment(cost.cpu().numpy()), strict=True)]
    sample, proposal, _ = torch.tensor(found, device=spans.device).T
    return Matches(sample, proposal, torch.stack([gold[i][g] for i, _, g in found]))


def detection_losses(
    logits: Tensor, spans: Tensor, gold: Sequence[Tensor], weights: DetectionWeights, background: float = 0.1
) -> dict[str, Tensor]:
    """``span``, ``giou`` and ``label`` losses of one decoder layer, weighted.

    Args:
        logits, spans, gold: as `match`.
        background: weight of the proposals that were not matched.
    """
    matches = match(logits, spans, gold, weights)
    matched = spans[matches.sample, matches.proposal]
    labels = torch.full(logits.shape[:2], 1 - FOREGROUND, device=logits.device)
    labels[matches.sample, matches.proposal] = FOREGROUND
    class_weights = logits.new_tensor([1.0, background])
    # The plain mean: class weights do not enter the denominator.
    label = F.cross_entropy(logits.transpose(1, 2), labels, class_weights, reduction="none").mean()
    return {
        "span": weights.span * F.l1_loss(matched, matches.gold),
        "giou": weights.giou * (1 - giou(edges_of(matched), edges_of(matches.gold))).mean(),
        "label": weights.label * label,
    }


def layered_detection_losses(
    logits: Tensor, spans: Tensor, gold: Sequence[Tensor], weights: DetectionWeights
) -> dict[str, Tensor]:
    """`detection_losses` of the last layer, and of every earlier one with its number behind the name.

    Args:
        logits, spans: ``[layers, batch, proposals, 2]``.
    """
    *earlier, last = zip(logits, spans, strict=True)
    losses = detection_losses(*last, gold, weights)
    for layer, predicted in enumerate(earlier):
        losses |= {f"{name}_{layer}": loss for name, loss in detection_losses(*predicted, gold, weights).items()}
    return losses


def margin_loss(scores: Tensor, targets: MomentTargets, margin: float = 0.2) -> Tensor:
    """How far clips outside come within ``margin`` of clips inside; ``scores`` is ``[batch, clips]``."""
    gap = scores.gather(1, targets.outside) - scores.gather(1, targets.inside)
    return 2 * (margin + gap).clamp(min=0).mean()


def rank_contrastive_loss(scores: Tensor, saliency: Tensor, mask: Tensor, levels: int = 1) -> Tensor:
    """For each level, the clips at or above it against all clips; summed over levels.

    Args:
        scores, saliency, mask: ``[batch, clips]``.
        levels: the highest level of ``saliency`` that counts.
    """
    log_probability = (torch.where(mask, scores, -1000.0) / RANK_TEMPERATURE).log_softmax(-1)
    total = scores.new_zeros(())
    for level in range(1, levels + 1):
        chosen = saliency >= level
        total = total - ((log_probability * chosen).sum(1) / (chosen.sum(1) + 1e-6)).mean()
    return total


def about_other_film(films: Sequence[Hashable]) -> Tensor:
    """Whether the next sample of the batch (of the last one: the first) is about another film, bool ``[batch]``."""
    return torch.tensor([film != films[(i + 1) % len(films)] for i, film in enumerate(films)])
