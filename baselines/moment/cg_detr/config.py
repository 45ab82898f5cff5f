"""Sizes and settings of CG-DETR."""

from __future__ import annotations

from dataclasses import dataclass

from baselines.moment.detr import LayerConfig


@dataclass(frozen=True)
class CgDetrConfig:
    """Everything that shapes the model and its losses.

    The ``legacy`` fields are faults of the authors' code. They are off, because with them an answer depends on the
    rest of its batch or a loss on padding; switch them on to reproduce that code or to use its checkpoints.

    Attributes:
        video_width, text_width: of the features; the video's with the two endpoints.
        encoder_layers, decoder_layers: of the transformer over clips and of the decoder.
        text_to_video_layers: in which clips attend to words and dummies.
        moment_layers, dummy_layers, sentence_layers: of the encoders that make these tokens.
        proposals: spans that are predicted.
        dummies: tokens that take up the attention of clips that the query is not about.
        prompts, prompts_used: rows that a film's saliency token is made of, and how many of them count in a film.
        saliency_weight, engagement_weight, align_weight, distill_weight: of the losses.
        legacy_mask_leak: clips of one film lose words because of the padding of another (`padding_pairs`).
        legacy_padding_in_losses: means over clips and words count padded ones.
        legacy_dummy_target: the dummies' contrast has one arbitrary positive, not all other sentences of the batch.
        legacy_false_negatives: samples whose neighbour is about the same film go without a ranking loss.
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
    text_to_video_layers: int = 1
    moment_layers: int = 1
    dummy_layers: int = 1
    sentence_layers: int = 1
    proposals: int = 5
    dummies: int = 8
    prompts: int = 10
    prompts_used: int = 2
    saliency_weight: float = 4.0
    engagement_weight: float = 1.0
    align_weight: float = 1.0
    distill_weight: float = 1.0
    legacy_mask_leak: bool = False
    legacy_padding_in_losses: bool = False
    legacy_dummy_target: bool = False
    legacy_false_negatives: bool = False

    @property
    def layer(self) -> LayerConfig:
        """Sizes of every layer."""
        return LayerConfig(self.width, self.heads, self.mlp, self.dropout, drop_path=True)


PRESETS = {
    "mini": CgDetrConfig(),
    "paper": CgDetrConfig(
        video_width=2818,
        text_width=512,
        width=256,
        mlp=1024,
        input_dropout=0.5,
        encoder_layers=3,
        decoder_layers=3,
        text_to_video_layers=2,
        dummy_layers=2,
        proposals=10,
        dummies=45,
    ),
}
"""``mini`` fits IVCR-Mini; ``paper`` has SlowFast and CLIP features and the authors' settings for Charades-STA."""
