"""The transformer of CG-DETR: adaptive cross-attention to words, self-attention, and a DAB-DETR decoder."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.moment.cg_detr.config import CgDetrConfig
from baselines.moment.detr import (
    DecoderInput,
    DecoderLayer,
    Encoder,
    LayerConfig,
    Mlp,
    TextToVideoLayer,
    initialise_transformer,
    inverse_sigmoid,
    merge_heads,
    padding_pairs,
    span_code,
    split_heads,
)


@dataclass(frozen=True)
class TextKeys:
    """What clips attend to: dummy tokens, then words.

    Attributes:
        rows, positions: ``[batch, dummies + words, width]``.
        mask: which of them there are, ``[batch, dummies + words]``.
        dummies: how many of the rows are dummies.
    """

    rows: Tensor
    positions: Tensor
    mask: Tensor
    dummies: int

    def of(self, samples: Tensor) -> TextKeys:
        """Those of some samples of the batch, by place."""
        return TextKeys(self.rows[samples], self.positions[samples], self.mask[samples], self.dummies)


class AdaptiveAttention(nn.Module):
    """Attention to dummies and words without input projections; what goes to dummies carries no value and is lost."""

    def __init__(self, config: LayerConfig) -> None:
        super().__init__()
        self.config = config
        self.out_proj = nn.Linear(config.width, config.width)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, query: Tensor, text: TextKeys, blocked: Tensor) -> tuple[Tensor, Tensor]:
        """Attend with ``query`` ``[batch, clips, width]``.

        Args:
            blocked: where not to, bool, broadcast to ``[batch, heads, clips, dummies + words]``.

        Returns:
            ``[batch, clips, width]``, and the weights before dropout, ``[batch, clips, dummies + words]``.
        """
        heads = self.config.heads
        key = split_heads(text.rows + text.positions, heads)
        scores = split_heads(query, heads) @ key.transpose(-1, -2) / math.sqrt(key.shape[-1])
        weights = scores.masked_fill(blocked, -math.inf).softmax(-1)
        dropped = F.dropout(weights, self.config.dropout, self.training)
        words = split_heads(text.rows[:, text.dummies :], heads)
        return self.out_proj(merge_heads(dropped[..., text.dummies :] @ words)), weights.mean(1)


class AdaptiveLayer(TextToVideoLayer):
    """A text-to-video layer with adaptive attention."""

    def __init__(self, config: LayerConfig) -> None:
        super().__init__(config)
        self.self_attn = AdaptiveAttention(config)

    def forward(self, video: Tensor, positions: Tensor, text: TextKeys, blocked: Tensor) -> tuple[Tensor, Tensor]:
        """Clips ``[batch, clips, width]`` with what they take from the text, and the attention weights."""
        attended, weights = self.self_attn(video + positions, text, blocked)
        return self.merge(video, attended), weights

    def without_text(self, token: Tensor) -> Tensor:
        """What the layer makes of a row that attends to nothing."""
        return self.merge(token, self.self_attn.out_proj.bias.expand_as(token))


class AdaptiveEncoder(nn.Module):
    """The layers in which clips attend to dummies and words."""

    def __init__(self, config: LayerConfig, layers: int, mask_leak: bool) -> None:
        super().__init__()
        self.heads, self.mask_leak = config.heads, mask_leak
        self.layers = nn.ModuleList(AdaptiveLayer(config) for _ in range(layers))

    def forward(self, clips: DecoderInput, text: TextKeys) -> tuple[Tensor, Tensor]:
        """Clips ``[batch, clips, width]``, and the weights, a mean over layers: ``[batch, clips, dummies + words]``."""
        blocked = ~text.mask[:, None, None, :]
        if self.mask_leak:
            blocked = blocked | padding_pairs(clips.mask, text.mask, self.heads)
        video, weights = clips.memory, []
        for layer in self.layers:
            video, layer_weights = layer(video, clips.positions, text, blocked)
            weights.append(layer_weights)
        return video, torch.stack(weights).mean(0)

    def without_text(self, token: Tensor) -> Tensor:
        """`AdaptiveLayer.without_text`, through every layer."""
        for layer in self.layers:
            assert isinstance(layer, AdaptiveLayer)
            token = layer.without_text(token)
        return token


class SpanDecoder(nn.Module):
    """Proposals are spans that each layer moves; how widely a proposal looks follows the width of its span."""

    def __init__(self, config: LayerConfig, layers: int) -> None:
        super().__init__()
        width = config.width
        self.layers = nn.ModuleList(
            DecoderLayer(config, nn.Linear(width, width), first=not i, self_attention=True) for i in range(layers)
        )
        self.norm = nn.LayerNorm(width)
        self.query_scale = Mlp(width, width, width)
        self.ref_point_head = Mlp(width, width, width)
        self.ref_anchor_head = Mlp(width, width, 1)
        self.bbox_embed = Mlp(width, width, width, 2)
        nn.init.zeros_(self.bbox_embed.get_parameter("layers.2.bias"))

    def forward(self, spans: Tensor, clips: DecoderInput) -> tuple[Tensor, Tensor]:
        """Decode from (centre, width) ``spans`` ``[batch, proposals, 2]``.

        Returns:
            States ``[layers, batch, proposals, width]`` and the spans that each layer started from,
            ``[layers, batch, proposals, 2]``.
        """
        width = clips.memory.shape[-1]
        x = clips.memory.new_zeros(*spans.shape[:2], width)
        states, starts = [], []
        for number, layer in enumerate(self.layers):
            starts.append(spans)
            # A layer's own look at the clips does not teach the layer before it; the losses on its span do.
            spans = spans.detach() if number else spans
            code = span_code(spans, width)
            sine = code * self.query_scale(x) if number else code
            sine = sine * (self.ref_anchor_head(x).sigmoid() / spans[..., 1:])
            x = layer(x, self.ref_point_head(code), sine, clips)
            states.append(self.norm(x))
            if number + 1 < len(self.layers):
                spans = (self.bbox_embed(x) + inverse_sigmoid(spans)).sigmoid()
        return torch.stack(states), torch.stack(starts)


class CgTransformer(nn.Module):
    """What the authors' checkpoints hold under ``transformer``."""

    def __init__(self, config: CgDetrConfig) -> None:
        super().__init__()
        layer = config.layer
        self.mcls_encoder = Encoder(layer, config.moment_layers)
        self.t2v_encoder = AdaptiveEncoder(layer, config.text_to_video_layers, config.legacy_mask_leak)
        self.encoder = Encoder(layer, config.encoder_layers)
        self.decoder = SpanDecoder(layer, config.decoder_layers)
        initialise_transformer(self)
