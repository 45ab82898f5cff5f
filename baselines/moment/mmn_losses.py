"""The losses of MMN: fit within a film, and two contrasts across the films of a batch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from baselines.moment.mmn import Joint, fit_logits
from baselines.moment.mmn_config import MmnConfig
from baselines.moment.spans import pairwise_iou
from baselines.moment.two_d_map import soft_labels

_EPSILON = 1e-6
"""In the denominator of the contrast of a sentence with moments."""

_TIE = 1e-6
"""An IoU so close below a limit is at it: moments often end where clips do, and fractions are rounded."""


@dataclass(frozen=True)
class SentenceTargets:
    """What the sentences of a batch are about.

    Attributes:
        film: the place of each one's film in the batch, int ``[texts]``; a film may have many sentences.
        edges: each one's gold moment, as fractions of the clips ``[texts, 2]``.
    """

    film: Tensor
    edges: Tensor


def mmn_losses(
    config: MmnConfig, texts: Joint, films: Joint, targets: SentenceTargets, late: bool = False
) -> dict[str, Tensor]:
    """The weighted losses ``iou``, ``video`` (a moment among sentences) and ``sentence`` (a sentence among moments).

    Args:
        texts: of all sentences of the batch.
        films: of all films of the batch.
        late: whether this is the late part of the training.
    """
    overlap = config.layout.gold_iou(targets.edges).to(texts.iou.dtype)
    labels = soft_labels(overlap, config.iou_min, config.iou_max)
    weight = config.contrastive_weight * (config.late_factor if late else 1)
    return {
        "iou": F.binary_cross_entropy_with_logits(fit_logits(texts, films[targets.film]), labels),
        "video": weight * video_loss(config, texts, films, targets, overlap),
        "sentence": weight * sentence_loss(config, texts, films, targets, overlap),
    }


def video_loss(config: MmnConfig, texts: Joint, films: Joint, targets: SentenceTargets, overlap: Tensor) -> Tensor:
    """How well a sentence's best proposals tell it from the other sentences of the batch.

    A sentence about nearly the same moment of the same film is not held against them.

    Args:
        overlap: IoU of the cells of its film with each sentence's gold moment, ``[texts, cells]``.
    """
    best = _positives(config, overlap)
    proposals = films.contrastive[targets.film[:, None], best]
    same_film = targets.film[:, None] == targets.film
    same_moment = pairwise_iou(targets.edges, targets.edges) >= config.same_moment_iou - _TIE
    own = torch.eye(len(texts), dtype=torch.bool, device=overlap.device)
    cosines = torch.einsum("skc,uc->sku", proposals, texts.contrastive)
    cosines = torch.where(own[:, None], cosines - config.margin, cosines)
    logits = (cosines / config.temperature).masked_fill((same_film & same_moment & ~own)[:, None], -torch.inf)
    positive = logits.diagonal(dim1=0, dim2=2).T
    return (logits.logsumexp(-1) - positive).mean()


def sentence_loss(config: MmnConfig, texts: Joint, films: Joint, targets: SentenceTargets, overlap: Tensor) -> Tensor:
    """How well a sentence tells its best proposals from distant ones of its film and from all of other films.

    Args:
        overlap: as in `video_loss`.
    """
    cosines = torch.einsum("sc,vpc->svp", texts.contrastive, films.contrastive)
    sentence = torch.arange(len(texts), device=overlap.device)
    own = cosines[sentence, targets.film]
    best = _positives(config, overlap)
    positive = (own.gather(1, best) - config.margin) / config.temperature
    logits = cosines / config.temperature
    near = torch.zeros_like(logits, dtype=torch.bool)
    near[sentence, targets.film] = overlap >= config.negative_iou - _TIE
    negatives = logits.masked_fill(near, 0.0 if config.legacy_zeroed_negatives else -torch.inf)
    others = negatives.flatten(1).logsumexp(1, keepdim=True)
    smallest = others.new_tensor(_EPSILON).log()
    return (positive.logaddexp(others).logaddexp(smallest) - positive).mean()


def _positives(config: MmnConfig, overlap: Tensor) -> Tensor:
    """The cells with the highest IoU, of equal ones the first: int ``[texts, positives]``."""
    return overlap.argsort(dim=1, descending=True, stable=True)[:, : config.positives]
