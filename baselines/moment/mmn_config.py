"""Sizes and settings of MMN."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from baselines.moment.two_d_map import MapLayout


@dataclass(frozen=True)
class MmnConfig:
    """Everything that shapes the model, its losses and its answers.

    The ``legacy`` fields are faults of the authors' code, off by default; switch them on to reproduce it.

    Attributes:
        video_width, text_width: of the features; those of the film have rows of norm 1.
        distilbert: the text features come from a DistilBERT of the model's own; else they are given.
        width, joint: of the trunk, and of the two spaces in which moments and sentences meet.
        rows: that a film's features are resampled to, a multiple of ``clips``.
        clips: side of the map.
        scales: diagonals of the map at each scale, the main one counted (`MapLayout`).
        proposals: how a proposal's feature comes from its clips.
        kernel, layers: of the convolutions over the map.
        iou_min, iou_max: between these an IoU is a soft label (`soft_labels`).
        temperature, margin: of the contrastive losses.
        positives: how many proposals, by their IoU with the gold moment, are positives of a sentence.
        negative_iou: proposals of the film with less are negatives.
        same_moment_iou: two sentences about moments with as much are not each other's negatives.
        contrastive_weight: of the contrastive losses.
        late_factor: what their weight is multiplied with in the late part of the training.
        gamma: exponent of the contrastive score in an answer.
        nms_threshold, keep: moments of an answer.
        legacy_last_row: resampling leaves out the last row of a film (`resample`).
        legacy_zeroed_negatives: a proposal near the gold moment is no negative of its sentence, yet stays in the
            denominator with a cosine of 0.
    """

    video_width: int = 64
    text_width: int = 96
    distilbert: bool = False
    width: int = 96
    joint: int = 96
    rows: int = 64
    clips: int = 32
    scales: tuple[int, ...] = (16, 8)
    proposals: Literal["pool", "conv"] = "pool"
    kernel: int = 5
    layers: int = 3
    iou_min: float = 0.5
    iou_max: float = 1.0
    temperature: float = 0.1
    margin: float = 0.3
    positives: int = 1
    negative_iou: float = 0.5
    same_moment_iou: float = 0.5
    contrastive_weight: float = 0.1
    late_factor: float = 0.01
    gamma: float = 0.5
    nms_threshold: float = 0.5
    keep: int = 5
    legacy_last_row: bool = False
    legacy_zeroed_negatives: bool = False

    @property
    def layout(self) -> MapLayout:
        """The map of proposals."""
        return MapLayout(self.clips, tuple(self.scales))


_ACTIVITYNET = MmnConfig(
    video_width=500,
    text_width=768,
    distilbert=True,
    width=512,
    joint=256,
    rows=256,
    clips=64,
    scales=(16, 8, 8),
    kernel=9,
    layers=4,
)
_CHARADES = replace(
    _ACTIVITYNET,
    video_width=4096,
    rows=32,
    clips=16,
    scales=(16,),
    kernel=5,
    layers=8,
    margin=0.4,
    contrastive_weight=0.05,
)
_TACOS = replace(
    _CHARADES,
    rows=256,
    clips=128,
    scales=(16, 8, 8, 8),
    iou_min=0.3,
    iou_max=0.7,
    margin=0.1,
    positives=3,
    contrastive_weight=0.1,
    gamma=0.3,
    nms_threshold=0.4,
)
PRESETS = {
    "mini": MmnConfig(),
    "paper": _ACTIVITYNET,
    "paper-activitynet": _ACTIVITYNET,
    "paper-charades": _CHARADES,
    "paper-tacos": _TACOS,
}
"""``mini`` fits IVCR-Mini; the others are the authors' settings for each data set, ``paper`` being ActivityNet."""
