"""What is done with the features of a film before a model sees them: unit rows, a fixed number of rows, padding.

Features are float tensors ``[rows, width]``, one row for each clip of the film.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def normalise_rows(features: Tensor, added: float = 0.0) -> Tensor:
    """Rows ``[..., width]`` over their L2 norm; rows of zeros stay.

    Args:
        added: to the norm; the DETR family has 1e-5, so that weak rows come out shorter than 1.
    """
    return features / (features.norm(dim=-1, keepdim=True) + added).clamp(min=1e-12)


def resample(features: Tensor, length: int, legacy_last_row: bool = False) -> Tensor:
    """Features ``[rows, width]`` as ``[length, width]``: means of neighbours, or copies where there are too few.

    Boundary ``k`` is ``k * rows / length``, rounded half to even; output row ``k`` is the mean of the rows from
    boundary ``k`` up to the next one, or the row at the boundary if there is none between (2D-TAN, Zhang et al. 2020).

    Args:
        legacy_last_row: the last boundary is the last row, as in the authors' code, which leaves that row out
            whenever there are rows enough; off by default, for the end of a film may be what is asked for.
    """
    rows = len(features)
    # NumPy rounds half to even.
    bounds = np.round(np.arange(length + 1) * rows / length).astype(np.int64)
    starts = np.minimum(bounds[:-1], rows - 1)
    ends = np.maximum(np.minimum(bounds[1:], rows - 1) if legacy_last_row else bounds[1:], starts + 1)
    sums = torch.cat((torch.zeros_like(features[:1], dtype=torch.float64), features.double().cumsum(0)))
    counts = torch.from_numpy(ends - starts)[:, None].to(features.device)
    return ((sums[ends] - sums[starts]) / counts).to(features.dtype)


def resample_films(video: Tensor, mask: Tensor, length: int, legacy_last_row: bool = False) -> Tensor:
    """`resample` of each film of a padded batch ``[films, rows, width]``: ``[films, length, width]``."""
    return torch.stack([resample(rows[own], length, legacy_last_row) for rows, own in zip(video, mask, strict=True)])


def cut_to_shortest(streams: Sequence[Tensor]) -> list[Tensor]:
    """Features of one film from several encoders ``[rows, width]``, each without the rows that another lacks."""
    rows = min(map(len, streams))
    return [stream[:rows] for stream in streams]


def pad(features: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Features of several films or texts, with zeros after the shorter ones.

    Returns:
        ``[batch, longest, width]`` and the mask of what is not padding, bool ``[batch, longest]``.
    """
    padded = torch.nn.utils.rnn.pad_sequence(list(features), batch_first=True)
    lengths = torch.tensor([len(rows) for rows in features], device=padded.device)
    return padded, torch.arange(padded.shape[1], device=padded.device) < lengths[:, None]
