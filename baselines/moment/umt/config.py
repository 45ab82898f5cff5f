"""Sizes and settings of UMT."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class UmtConfig:
    """Everything that shapes the model and its losses.

    The ``legacy`` fields are faults of the authors' code. They are off, because with them an answer depends on how
    far its film was padded; switch them on to reproduce that code.

    Attributes:
        video_width, audio_width, text_width: of the features. Without audio (any second stream) there is no exchange
            of streams; without text the clips are their own queries.
        max_clips: rows of the tables of positions.
        bottlenecks: tokens through which the streams exchange what they know.
        saliency, boundary: which heads there are.
        saliency_weight, center_weight, window_weight, offset_weight: of the losses.
        candidates: how many clips, by their centre score, become moments.
        nms_sigma: of the Gaussian with which moments lower the scores of those they overlap; they do not if ``None``.
        answers: how many moments are given.
        legacy_unmasked_decoder: padded clips are attended to in the decoder.
        legacy_padded_length: the padded length stands for the film's own in clamps and means.
    """

    video_width: int = 64
    audio_width: int | None = None
    text_width: int | None = 64
    width: int = 128
    heads: int = 4
    dropout: float = 0.1
    input_dropout: float = 0.2
    text_dropout: float = 0.1
    decoder_layers: int = 2
    bottlenecks: int = 4
    max_clips: int = 256
    saliency: bool = False
    boundary: bool = True
    saliency_weight: float = 3.0
    center_weight: float = 1.0
    window_weight: float = 0.1
    offset_weight: float = 1.0
    candidates: int = 100
    nms_sigma: float | None = 0.5
    answers: int = 10
    legacy_unmasked_decoder: bool = False
    legacy_padded_length: bool = False


PRESETS = {
    "mini": UmtConfig(),
    "paper": UmtConfig(
        video_width=2816,
        audio_width=2048,
        text_width=512,
        width=256,
        heads=8,
        input_dropout=0.5,
        text_dropout=0.3,
        decoder_layers=3,
        max_clips=5000,
        saliency=True,
        nms_sigma=None,
    ),
}
"""``mini`` fits IVCR-Mini; ``paper`` is the authors' base model for QVHighlights."""
