"""2D-TAN (Zhang et al., AAAI 2020, arXiv 1912.03590): a map of all moments, scored for one query.

Every proposal of the map is multiplied with the sentence; convolutions over the map let each one see its neighbours.
Written from the paper's equations, with the module names of the authors' checkpoints.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.moment.clip_features import resample_films
from baselines.moment.detr import ClipBatch
from baselines.moment.spans import ClipGrid
from baselines.moment.two_d_map import (
    ConvolvedProposals,
    MapConvolutions,
    MapLayout,
    MaxPooledProposals,
    RankedMoments,
    pool_clips,
    rank_cells,
    soft_labels,
)


@dataclass(frozen=True)
class TwoDTanConfig:
    """Everything that shapes the model, its loss and its answers.

    The ``legacy`` fields are faults of the authors' code. They are off, because with them an answer can be a moment
    that was never scored, or miss the end of a film; switch them on to reproduce that code.

    Attributes:
        video_width, text_width: of the features, whose rows have norm 1.
        rows: that a film's features are resampled to, a multiple of ``clips``.
        clips: side of the map.
        scales: diagonals of the map at each scale (`MapLayout`).
        proposals: how a proposal's feature comes from its clips.
        kernel, layers: of the convolutions over the map.
        lstm_layers: of the LSTM over the words.
        iou_min, iou_max: between these an IoU is a soft label (`soft_labels`).
        nms_threshold, keep: moments of an answer.
        legacy_last_row: resampling leaves out the last row of a film (`resample`).
        legacy_empty_cells: cells without a proposal are ranked too, with probability 0.
    """

    video_width: int = 64
    text_width: int = 96
    width: int = 64
    rows: int = 64
    clips: int = 32
    scales: tuple[int, ...] = (16, 8)
    proposals: Literal["pool", "conv"] = "pool"
    kernel: int = 5
    layers: int = 3
    lstm_layers: int = 1
    iou_min: float = 0.5
    iou_max: float = 1.0
    nms_threshold: float = 0.5
    keep: int = 5
    legacy_last_row: bool = False
    legacy_empty_cells: bool = False

    @property
    def layout(self) -> MapLayout:
        """The map of proposals."""
        return MapLayout(self.clips, tuple(self.scales))


_ACTIVITYNET = TwoDTanConfig(
    video_width=500,
    text_width=300,
    width=512,
    rows=256,
    clips=64,
    scales=(16, 8, 8),
    kernel=9,
    layers=4,
    lstm_layers=3,
)
_CHARADES = replace(_ACTIVITYNET, video_width=4096, clips=16, scales=(16,), kernel=5, layers=8, nms_threshold=0.45)
_TACOS = replace(_CHARADES, clips=128, scales=(16, 8, 8, 8), iou_min=0.3, iou_max=0.7, nms_threshold=0.4)
PRESETS = {
    "mini": TwoDTanConfig(),
    "paper": _ACTIVITYNET,
    "paper-activitynet": _ACTIVITYNET,
    "paper-charades": _CHARADES,
    "paper-tacos": _TACOS,
    "paper-activitynet-conv": replace(_ACTIVITYNET, proposals="conv"),
    "paper-charades-conv": replace(_CHARADES, proposals="conv", nms_threshold=0.5),
    "paper-tacos-conv": replace(_TACOS, proposals="conv", nms_threshold=0.5),
}
"""``mini`` fits IVCR-Mini; the others are the authors' settings for each data set, ``paper`` being ActivityNet."""


class FrameLayer(nn.Module):
    """The clips of a film."""

    def __init__(self, config: TwoDTanConfig) -> None:
        super().__init__()
        self.vis_conv = nn.Conv1d(config.video_width, config.width, 1)
        self.clips = config.clips

    def forward(self, video: Tensor) -> Tensor:
        """``[films, rows, video_width]`` to ``[films, width, clips]``."""
        return pool_clips(self.vis_conv, video, self.clips)


class FusionLayer(nn.Module):
    """The sentence, and its product with each proposal."""

    def __init__(self, config: TwoDTanConfig) -> None:
        super().__init__()
        self.textual_encoder = nn.LSTM(config.text_width, config.width, config.lstm_layers, batch_first=True)
        self.tex_linear = nn.Linear(config.width, config.width)
        self.vis_conv = nn.Conv2d(config.width, config.width, 1)

    def sentence(self, words: Tensor, mask: Tensor) -> Tensor:
        """The LSTM's state at the last word, projected: ``[texts, width]``."""
        states, _ = self.textual_encoder(words)
        last = mask.sum(1) - 1
        return self.tex_linear(states[torch.arange(len(words), device=words.device), last])

    def forward(self, sentence: Tensor, proposals: Tensor) -> Tensor:
        """Sentences ``[n, width]`` times projected proposals ``[n, width, clips, clips]``, of norm 1."""
        return F.normalize(sentence[:, :, None, None] * proposals, dim=1)


class TwoDTan(nn.Module):
    """The model; a film is encoded once, for all queries about it."""

    mask: Tensor

    def __init__(self, config: TwoDTanConfig) -> None:
        super().__init__()
        self.config, self.layout = config, config.layout
        self.frame_layer = FrameLayer(config)
        self.prop_layer: nn.Module = (
            MaxPooledProposals(self.layout)
            if config.proposals == "pool"
            else ConvolvedProposals(self.layout, config.width, first=True)
        )
        self.fusion_layer = FusionLayer(config)
        self.map_layer = MapConvolutions(self.layout, config.width, config.kernel, config.layers)
        self.pred_layer = nn.Conv2d(config.width, 1, 1)
        self.register_buffer("mask", torch.from_numpy(self.layout.mask), persistent=False)

    def forward(self, video: Tensor, words: Tensor, text_mask: Tensor) -> Tensor:
        """Logits of each proposal for each pair of a film and a sentence.

        Args:
            video: ``[pairs, rows, video_width]``.
            words: features of the sentence's tokens ``[pairs, words, text_width]``.
            text_mask: which tokens there are, bool ``[pairs, words]``; they come first.

        Returns:
            ``[pairs, cells]``, in the order of ``layout.cells``.
        """
        return self.score(self.encode_films(video), words, text_mask)

    @torch.inference_mode()
    def localise(self, batch: ClipBatch, grids: Sequence[ClipGrid]) -> list[Tensor]:
        """Moments of each query, best first: float64 rows of (start, end, score), in seconds.

        Args:
            batch: films of any length, and the queries about them.
            grids: the clips of each film.
        """
        config = self.config
        video = resample_films(batch.video, batch.video_mask, config.rows, config.legacy_last_row)
        logits = self(video, batch.text, batch.text_mask)
        return [
            ranked_moments(config, row, grid.resampled(config.clips)).rows
            for row, grid in zip(logits, grids, strict=True)
        ]

    def encode_films(self, video: Tensor) -> Tensor:
        """What does not depend on the query: ``[films, width, clips, clips]``."""
        return self.fusion_layer.vis_conv(self.prop_layer(self.frame_layer(video)))

    def score(self, films: Tensor, words: Tensor, text_mask: Tensor) -> Tensor:
        """As `forward`, of films encoded by `encode_films`; one film for all sentences, or one for each."""
        fused = self.fusion_layer(self.fusion_layer.sentence(words, text_mask), films) * self.mask
        return self.layout.gather(self.pred_layer(self.map_layer(fused)).squeeze(1))


def two_d_tan_loss(config: TwoDTanConfig, logits: Tensor, overlap: Tensor) -> Tensor:
    """Cross-entropy of the logits ``[pairs, cells]`` with soft labels of the proposals' IoU with the gold moment."""
    return F.binary_cross_entropy_with_logits(logits, soft_labels(overlap, config.iou_min, config.iou_max))


@torch.no_grad()
def ranked_moments(config: TwoDTanConfig, logits: Tensor, grid: ClipGrid) -> RankedMoments:
    """The answer for one pair.

    Args:
        logits: ``[cells]``.
        grid: the film, as ``config.clips`` clips.
    """
    cells, probabilities = config.layout.cells, logits.sigmoid()
    if config.legacy_empty_cells:
        empty = np.argwhere(np.triu(~config.layout.mask))
        cells = np.concatenate((cells, empty))
        probabilities = torch.cat((probabilities, probabilities.new_zeros(len(empty))))
    return rank_cells(torch.from_numpy(cells).to(logits.device), probabilities, grid, config.nms_threshold, config.keep)


_THIRD_PARTY = {
    "featpool.conv.": "frame_layer.vis_conv.",
    "integrator.lstm.": "fusion_layer.textual_encoder.",
    "integrator.fc.": "fusion_layer.tex_linear.",
    "integrator.conv.": "fusion_layer.vis_conv.",
    "predictor.convs.": "map_layer.convs.",
    "predictor.pred.": "pred_layer.",
}


def convert_checkpoint(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A ``state_dict`` as that of `TwoDTan`.

    The authors' names are the same; those of the re-implementation by Joya Chen (``featpool``, ``integrator``,
    ``predictor``) are translated.
    """
    converted = {}
    for name, tensor in state.items():
        name = name.removeprefix("module.")
        for theirs, ours in _THIRD_PARTY.items():
            if name.startswith(theirs):
                name = ours + name.removeprefix(theirs)
        converted[name] = tensor
    return converted
