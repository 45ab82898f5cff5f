"""The sparse two-dimensional map of proposals that 2D-TAN and MMN share.

Place (i, j) of a map over ``n`` clips is the moment from the beginning of clip i to the end of clip j. Short moments
are all there, longer ones at ever coarser steps. Written from Zhang et al., AAAI 2020 (arXiv 1912.03590).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.moment.nms import greedy_nms
from baselines.moment.spans import ClipGrid, cell_edges, pairwise_iou
from ivcr_bench.errors import IvcrError


class RankedMoments(NamedTuple):
    """Moments of one film, best first: seconds, float64 ``[n, 2]``, and their scores ``[n]``."""

    seconds: Tensor
    scores: Tensor

    @property
    def rows(self) -> Tensor:
        """(start, end, score), float64 ``[n, 3]``."""
        return torch.cat((self.seconds, self.scores.double()[:, None]), 1)


@dataclass(frozen=True)
class MapLayout:
    """Which cells of a map hold a proposal.

    Attributes:
        clips: side of the map.
        scales: how many diagonals there are of each scale, the main one counted. From one scale to the next, both
            the step between diagonals and the step along a diagonal double.

    Raises:
        IvcrError: the scales do not fit the clips.
    """

    clips: int
    scales: tuple[int, ...]

    def __post_init__(self) -> None:
        length = self.clips - self.scales[0] + 1
        fits = min(self.scales) > 0 and length > 0
        for scale in self.scales[1:]:
            fits = fits and length % 2 == 1 and length >= 3
            length = (length - 1) // 2 - (scale - 1)
            fits = fits and length > 0
        if not fits:
            raise IvcrError(f"a map of {self.clips} clips has no diagonals {list(self.scales)}")

    @cached_property
    def diagonals(self) -> list[tuple[int, int]]:
        """Offset and step of each diagonal; it holds cells (i, i + offset) for i = 0, step, 2 step, ..."""
        found, offset, step = [(0, 1)], 0, 1
        for scale, count in enumerate(self.scales):
            for _ in range(count - (scale == 0)):
                offset += step
                found.append((offset, step))
            step *= 2
        return found

    @cached_property
    def along_diagonals(self) -> NDArray[np.int64]:
        """The cells, diagonal by diagonal: int64 ``[cells, 2]``."""
        rows = [np.arange(0, self.clips - offset, step) for offset, step in self.diagonals]
        offsets = [offset for offset, _ in self.diagonals]
        return np.concatenate([np.stack((row, row + offset), 1) for row, offset in zip(rows, offsets, strict=True)])

    @cached_property
    def mask(self) -> NDArray[np.bool_]:
        """Which cells hold a proposal: bool ``[clips, clips]``."""
        mask = np.zeros((self.clips, self.clips), bool)
        mask[tuple(self.along_diagonals.T)] = True
        return mask

    @cached_property
    def cells(self) -> NDArray[np.int64]:
        """The cells in the order in which `gather` takes them, row by row: int64 ``[cells, 2]``."""
        return np.argwhere(self.mask)

    def gather(self, maps: Tensor) -> Tensor:
        """The values at the cells of maps ``[..., clips, clips]``: ``[..., cells]``."""
        rows, columns = torch.from_numpy(self.cells).to(maps.device).T
        return maps[..., rows, columns]

    def gold_iou(self, edges: Tensor) -> Tensor:
        """IoU of each cell with moments, as fractions of the clips ``[moments, 2]``: ``[moments, cells]``."""
        proposals = cell_edges(torch.from_numpy(self.cells), self.clips).to(edges)
        return pairwise_iou(edges, proposals)

    def ranked(self, scores: Tensor, grid: ClipGrid, threshold: float, keep: int) -> RankedMoments:
        """The cells by their scores ``[cells]``, without those that overlap a better one by more than ``threshold``.

        Args:
            grid: the clips of the film.
            keep: at most so many.
        """
        return rank_cells(torch.from_numpy(self.cells).to(scores.device), scores, grid, threshold, keep)


def rank_cells(cells: Tensor, scores: Tensor, grid: ClipGrid, threshold: float, keep: int) -> RankedMoments:
    """As `MapLayout.ranked`, of any cells ``[cells, 2]``."""
    seconds = grid.cell_seconds(cells)
    kept = greedy_nms(seconds, scores, threshold, keep)
    return RankedMoments(seconds[kept], scores[kept])


def soft_labels(overlap: Tensor, lowest: float, highest: float) -> Tensor:
    """IoU as a target: 0 up to ``lowest``, 1 from ``highest``, a line between."""
    return ((overlap - lowest) / (highest - lowest)).clamp(0, 1)


def pool_clips(conv: nn.Conv1d, video: Tensor, clips: int) -> Tensor:
    """Features of each clip: a linear layer, ReLU, and the mean of the rows of the clip.

    Args:
        video: ``[films, rows, conv.in_channels]``, equally many rows for each of the clips.

    Returns:
        ``[films, conv.out_channels, clips]``.
    """
    return F.avg_pool1d(F.relu(conv(video.transpose(1, 2))), video.shape[1] // clips)


class MaxPooledProposals(nn.Module):
    """The feature of a proposal is the greatest value of each channel over its clips."""

    def __init__(self, layout: MapLayout) -> None:
        super().__init__()
        self.layout = layout

    def forward(self, clips: Tensor) -> Tensor:
        """``[films, width, clips]`` to ``[films, width, clips, clips]``, zero where there is no proposal."""
        diagonals = [clips]
        for (_, step), (_, next_step) in pairwise(self.layout.diagonals):
            # Windows of neighbours on one diagonal, joined, are those on the next; a coarser one takes every other.
            size, stride = (2, 1) if step == next_step else (3, 2)
            diagonals.append(F.max_pool1d(diagonals[-1], size, stride))
        return _as_map(diagonals, self.layout)


class ConvolvedProposals(nn.Module):
    """The feature of a proposal is a convolution over those of its parts.

    Args:
        first: whether the clips go through a layer of their own before they are the main diagonal.
    """

    def __init__(self, layout: MapLayout, width: int, first: bool) -> None:
        super().__init__()
        self.layout, self.first = layout, first
        self.layers = nn.ModuleList()
        for scale, count in enumerate(layout.scales):
            shapes = [(1, 1) if scale == 0 else (3, 2), *[(2, 1)] * (count - 1)]
            shapes = shapes[1:] if scale == 0 and not first else shapes
            self.layers.append(nn.ModuleList(nn.Conv1d(width, width, size, stride) for size, stride in shapes))

    def forward(self, clips: Tensor) -> Tensor:
        """As `MaxPooledProposals`."""
        diagonals = [] if self.first else [clips]
        for scale in self.layers:
            assert isinstance(scale, nn.ModuleList)
            for layer in scale:
                clips = layer(clips)
                diagonals.append(clips)
        return _as_map(diagonals, self.layout)


class MapConvolutions(nn.Module):
    """Convolutions over a map, in which cells with few neighbours weigh as much as those with many.

    The first layer widens the map by all that the layers take off it. After each one a value is divided by the number
    of live cells that it was made from, and a cell is live from then on if there was any.

    Args:
        layers: how many.
        kernel: of each, odd.
        batch_norm: normalise each layer's output over films and cells.
    """

    def __init__(self, layout: MapLayout, width: int, kernel: int, layers: int, batch_norm: bool = False) -> None:
        super().__init__()
        paddings = [(kernel - 1) * layers // 2] + [0] * (layers - 1)
        self.convs = nn.ModuleList(nn.Conv2d(width, width, kernel, padding=padding) for padding in paddings)
        if batch_norm:
            self.bn = nn.ModuleList(nn.BatchNorm2d(width) for _ in paddings)
        self.batch_norm = batch_norm
        live = layout.mask
        for place, padding in enumerate(paddings):
            count = _box_sum(live, kernel, padding)
            live = count > 0
            weight = np.divide(1.0, count, out=np.zeros(count.shape), where=live)
            # Not made by a torch factory, so that models on the meta device can still read their layout.
            self.register_buffer(f"weight_{place}", torch.from_numpy(weight.astype(np.float32)), persistent=False)

    def forward(self, maps: Tensor) -> Tensor:
        """``[films, width, clips, clips]`` to the same shape."""
        for place, convolution in enumerate(self.convs):
            maps = convolution(maps)
            if self.batch_norm:
                maps = self.bn[place](maps)
            maps = F.relu(maps) * self.get_buffer(f"weight_{place}").to(maps.dtype)
        return maps


def _as_map(diagonals: list[Tensor], layout: MapLayout) -> Tensor:
    """Lay out ``[films, width, cells of the diagonal]`` each."""
    values = torch.cat(diagonals, -1)
    rows, columns = torch.from_numpy(layout.along_diagonals).to(values.device).T
    maps = values.new_zeros(*values.shape[:-1], layout.clips**2)
    places = (rows * layout.clips + columns).expand_as(values)
    return maps.scatter(-1, places, values).unflatten(-1, (layout.clips, layout.clips))


def _box_sum(live: NDArray[np.bool_], kernel: int, padding: int) -> NDArray[np.int64]:
    """How many live cells each window of the padded map has, by a summed-area table."""
    table = np.pad(np.pad(live, padding).astype(np.int64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    return table[kernel:, kernel:] - table[:-kernel, kernel:] - table[kernel:, :-kernel] + table[:-kernel, :-kernel]
