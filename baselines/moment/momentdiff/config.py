"""Sizes and settings of MomentDiff."""

from __future__ import annotations

from dataclasses import dataclass

from baselines.moment.detr import LayerConfig


@dataclass(frozen=True)
class MomentDiffConfig:
    """Everything that shapes the model, its sampling and its losses.

    The ``legacy`` fields are faults of the authors' code. They are off, because with them an answer depends on the
    rest of its batch or a loss on padding; switch them on to reproduce that code or to use its checkpoints.

    Attributes:
        video_width, text_width: of the features; the video's with the two endpoints.
        encoder_layers: of the layers in which clips attend to words, and of those in which they attend to clips.
        proposals: spans that are denoised.
        signal_scale: spans are scaled to plus or minus this before noise of variance 1 is added.
        steps: denoising steps of an answer, out of the `TIMES` that training knows.
        saliency_weight: of the losses on the similarity of clips and query.
        legacy_mask_leak: clips of one film lose words because of the padding of another (`padding_pairs`).
        legacy_padding_in_losses: means over clips count padded ones.
    """

    video_width: int = 66
    text_width: int = 64
    width: int = 64
    heads: int = 8
    mlp: int = 128
    dropout: float = 0.1
    input_dropout: float = 0.2
    encoder_layers: int = 1
    decoder_layers: int = 2
    proposals: int = 5
    signal_scale: float = 2.0
    steps: int = 10
    saliency_weight: float = 4.0
    legacy_mask_leak: bool = False
    legacy_padding_in_losses: bool = False

    @property
    def layer(self) -> LayerConfig:
        """Sizes of every layer."""
        return LayerConfig(self.width, self.heads, self.mlp, self.dropout)


PRESETS = {
    "mini": MomentDiffConfig(),
    "paper": MomentDiffConfig(
        video_width=2818, text_width=512, width=256, mlp=1024, input_dropout=0.5, encoder_layers=2
    ),
}
"""``mini`` fits IVCR-Mini; ``paper`` has SlowFast and CLIP features and the authors' settings for Charades-STA."""
