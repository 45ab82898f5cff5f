"""The weights and the batch on which the transformer baselines were compared with the authors' code."""

import zlib

import numpy as np
import torch

from baselines.moment.detr import ClipBatch
from baselines.moment.detr_losses import MomentTargets

CLIPS, WORDS = (10, 8, 6, 6), (4, 6, 3, 5)
SPANS = ([[0.45, 0.3]], [[0.4375, 0.375], [0.8, 0.1]], [[0.25, 0.1666667]], [[0.25, 0.5]])
SALIENT = ((3, 6), (2, 5), (1, 2), (0, 3))
INSIDE, OUTSIDE = ((3, 5), (2, 4), (1, 1), (0, 2)), ((0, 8), (7, 6), (5, 4), (3, 4))


def fill_by_name(model):
    """Parameters by a formula over their names, so that any implementation can be compared."""
    for name, parameter in model.state_dict().items():
        if parameter.dtype == torch.float32:
            r = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(tuple(parameter.shape))
            r = torch.from_numpy(r.astype(np.float32))
            if name.endswith("activation.weight"):
                r = torch.full_like(r, 0.25)
            elif r.dim() >= 2:
                r = r / r.shape[-1] ** 0.5
            else:
                r = 1 + 0.1 * r if name.endswith(".weight") else 0.1 * r
            parameter.copy_(r)
    return model.eval()


def mask(lengths, longest):
    return torch.arange(longest) < torch.tensor(lengths)[:, None]


def batch(samples):
    """The first so many of the four samples."""
    video_mask, text_mask = mask(CLIPS[:samples], 10), mask(WORDS[:samples], 6)
    video = np.random.RandomState(100).standard_normal((samples, 10, 18)).astype(np.float32)
    text = np.random.RandomState(101).standard_normal((samples, 6, 12)).astype(np.float32)
    return ClipBatch(
        torch.from_numpy(video) * video_mask[..., None],
        video_mask,
        torch.from_numpy(text) * text_mask[..., None],
        text_mask,
    )


def targets(samples):
    saliency = torch.zeros(samples, 10)
    for row, (first, end) in zip(saliency, SALIENT, strict=False):
        row[first:end] = 1
    spans = [torch.tensor(rows) for rows in SPANS[:samples]]
    return MomentTargets(spans, saliency, torch.tensor(INSIDE[:samples]), torch.tensor(OUTSIDE[:samples]))


def only(full, places, clips, words):
    """Some samples of a batch, cut to so many clips and words."""
    return ClipBatch(
        full.video[places, :clips],
        full.video_mask[places, :clips],
        full.text[places, :words],
        full.text_mask[places, :words],
    )
