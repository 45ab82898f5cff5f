"""The one place where seconds, clips and fractions of a film become each other, and where moments are compared.

Four ways to say when a moment is:

- *seconds*: (start, end) from the film's first frame; what the harness takes and gives.
- *edges*: (start, end) as fractions of the clips of a film, whatever a clip lasts: clip ``k`` of ``n`` is
  ``(k / n, (k + 1) / n)``.
- *spans*: the same fractions as (centre, width), which is what networks of the DETR family predict.
- *cells*: (first, last) numbers of clips, both inside; a place in a 2D map of proposals.

`ClipGrid` knows how long the clips of one film last. Moments are the last axis of a tensor, ``[..., 2]``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ivcr_bench.errors import IvcrError


@dataclass(frozen=True)
class ClipGrid:
    """The clips that the rows of a film's features stand for: one after another from 0 s, all equally long.

    Attributes:
        clips: how many there are.
        clip_seconds: how long each one lasts.
        duration: of the film, in seconds; a last clip may reach past it, features may end before it.

    Raises:
        IvcrError: a number is not positive.
    """

    clips: int
    clip_seconds: float
    duration: float

    def __post_init__(self) -> None:
        if not (self.clips > 0 and self.clip_seconds > 0 and self.duration > 0):
            raise IvcrError(f"clips, their length and the duration of a film must be positive, found {self}")

    @classmethod
    def equal(cls, clips: int, duration: float) -> ClipGrid:
        """A film cut into equal parts, as features resampled to a fixed number of rows are."""
        return cls(clips, duration / max(clips, 1), duration)

    @classmethod
    def at_rate(cls, clips: int, rate: float, duration: float) -> ClipGrid:
        """Features at a fixed ``rate``, rows a second, of which the film has ``clips``."""
        return cls(clips, 1 / rate if rate > 0 else 0.0, duration)

    def resampled(self, clips: int) -> ClipGrid:
        """The same stretch of film as another number of clips."""
        return ClipGrid(clips, self.extent / max(clips, 1), self.duration)

    @property
    def extent(self) -> float:
        """Where the last clip ends, in seconds: what fractions are fractions of."""
        return self.clips * self.clip_seconds

    def seconds(self, edges: Tensor) -> Tensor:
        """Edges ``[..., 2]`` in seconds, cut at the ends of the film."""
        return (edges * self.extent).clamp(0, self.duration)

    def edges(self, seconds: Tensor) -> Tensor:
        """Seconds ``[..., 2]`` as fractions of the clips, cut where these end."""
        return (seconds / self.extent).clamp(0, 1)

    def cell_seconds(self, cells: Tensor) -> Tensor:
        """When cells, int ``[..., 2]``, begin and end: float64 ``[..., 2]``, cut at the ends of the film."""
        return self.seconds(cell_edges(cells, self.clips))

    def clip_seconds_table(self) -> Tensor:
        """When each clip begins and ends: float64 ``[clips, 2]``, cut at the ends of the film."""
        place = torch.arange(self.clips)
        return self.cell_seconds(torch.stack((place, place), -1))

    def inside(self, seconds: Tensor) -> Tensor:
        """Which clips have their middle in a moment, or at least the clip that the moment's own middle is in.

        Args:
            seconds: ``[..., 2]``.

        Returns:
            bool ``[..., clips]``, some clip true for every moment.
        """
        start, end = seconds.double().unsqueeze(-1).unbind(-2)
        place = torch.arange(self.clips, device=seconds.device)
        middle = (place + 0.5) * self.clip_seconds
        nearest = ((start + end) / 2 / self.clip_seconds).floor().clamp(0, self.clips - 1)
        return ((middle >= start) & (middle < end)) | (place == nearest)


def cell_edges(cells: Tensor, clips: int) -> Tensor:
    """The fractions that cells, int ``[..., 2]``, of ``clips`` clips cover: float64 ``[..., 2]``."""
    return (cells + torch.tensor([0, 1], device=cells.device)).double() / clips


def edges_of(spans: Tensor) -> Tensor:
    """(centre, width) ``[..., 2]`` as (start, end), which may stick out of the film."""
    center, width = spans.unbind(-1)
    return torch.stack((center - width / 2, center + width / 2), -1)


def spans_of(edges: Tensor) -> Tensor:
    """(start, end) ``[..., 2]`` as (centre, width)."""
    start, end = edges.unbind(-1)
    return torch.stack(((start + end) / 2, end - start), -1)


def iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of moments (start, end) in one unit, ``[..., 2]`` each, broadcast: ``[...]``.

    Two moments of no length have 0.
    """
    overlap, union, _ = _overlap(a, b)
    return overlap / union


def giou(a: Tensor, b: Tensor) -> Tensor:
    """Generalised IoU (Rezatofighi et al., CVPR 2019) in one dimension, as `iou`; from -1 to 1.

    The part of the hull of both that neither covers, over the hull, is taken from the IoU, so that moments that do
    not meet have a gradient towards each other.
    """
    overlap, union, hull = _overlap(a, b)
    return overlap / union - (hull - union) / hull


def pairwise_iou(a: Tensor, b: Tensor) -> Tensor:
    """`iou` of each of ``a`` ``[..., n, 2]`` with each of ``b`` ``[..., m, 2]``: ``[..., n, m]``."""
    return iou(a.unsqueeze(-2), b.unsqueeze(-3))


def pairwise_giou(a: Tensor, b: Tensor) -> Tensor:
    """`giou` of each of ``a`` ``[..., n, 2]`` with each of ``b`` ``[..., m, 2]``: ``[..., n, m]``."""
    return giou(a.unsqueeze(-2), b.unsqueeze(-3))


def _overlap(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Lengths of intersection, union and hull; the latter two never quite 0."""
    (start_a, end_a), (start_b, end_b) = a.unbind(-1), b.unbind(-1)
    overlap = (torch.minimum(end_a, end_b) - torch.maximum(start_a, start_b)).clamp(min=0)
    union = (end_a - start_a) + (end_b - start_b) - overlap
    hull = torch.maximum(end_a, end_b) - torch.minimum(start_a, start_b)
    tiny = torch.finfo(union.dtype).eps
    return overlap, union.clamp(min=tiny), hull.clamp(min=tiny)
