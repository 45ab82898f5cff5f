"""What the transformer baselines share with Moment-DETR (Lei et al., NeurIPS 2021, arXiv 2107.09609): the layers.

Written from the papers' equations, with the module names of the authors' checkpoints. The conditional decoder layer
is that of Conditional DETR (Meng et al., ICCV 2021) and DAB-DETR (Liu et al., ICLR 2022). Losses are in
`baselines.moment.detr_losses`.

Masks are boolean and true where there is something. Tensors put the batch first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.moment.spans import ClipGrid, edges_of

FOREGROUND = 0
"""The class of proposals that are moments; the other one is 1."""


@dataclass(frozen=True)
class ClipBatch:
    """Films and the queries about them, padded to the longest of each.

    Attributes:
        video: features of the clips, ``[batch, clips, video width]``.
        video_mask: which clips there are, bool ``[batch, clips]``.
        text: features of the words of the queries, ``[batch, words, text width]``.
        text_mask: which words there are, bool ``[batch, words]``.
        audio: a second stream with one row for each clip (sound, optical flow), ``[batch, clips, audio width]``.
    """

    video: Tensor
    video_mask: Tensor
    text: Tensor
    text_mask: Tensor
    audio: Tensor | None = None

    def __len__(self) -> int:
        return len(self.video)

    def on(self, device: torch.device) -> ClipBatch:
        """The batch on ``device``."""
        video, video_mask, text, text_mask = (
            tensor.to(device) for tensor in (self.video, self.video_mask, self.text, self.text_mask)
        )
        audio = None if self.audio is None else self.audio.to(device)
        return ClipBatch(video, video_mask, text, text_mask, audio)

    def with_endpoints(self) -> ClipBatch:
        """The batch with two more video features: where each clip begins and ends, as fractions of its film."""
        clips = self.video_mask.sum(1)[:, None]
        starts = torch.arange(self.video.shape[1], device=self.video.device) / clips
        ends = torch.stack((starts, starts + 1 / clips), -1).to(self.video.dtype)
        return replace(self, video=torch.cat((self.video, ends * self.video_mask[..., None]), -1))


class InputBlock(nn.Module):
    """LayerNorm, dropout, a linear layer, and a ReLU if another block follows."""

    def __init__(self, in_width: int, width: int, dropout: float, relu: bool) -> None:
        super().__init__()
        self.LayerNorm = nn.LayerNorm(in_width)
        self.net = nn.Sequential(nn.Dropout(dropout), nn.Linear(in_width, width))
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        """``[..., in_width]`` to ``[..., width]``."""
        x = self.net(self.LayerNorm(x))
        return F.relu(x) if self.relu else x


def input_projection(in_width: int, width: int, dropout: float) -> nn.Sequential:
    """The two blocks that bring the features of one modality to the width of the transformer."""
    return nn.Sequential(InputBlock(in_width, width, dropout, relu=True), InputBlock(width, width, dropout, relu=False))


class Mlp(nn.Module):
    """Linear layers with ReLU between them.

    Args:
        widths: of the input, of each layer between, of the output.
    """

    def __init__(self, *widths: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))

    def forward(self, x: Tensor) -> Tensor:
        """``[..., widths[0]]`` to ``[..., widths[-1]]``."""
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        return self.layers[-1](x)


def sine_code(values: Tensor, width: int) -> Tensor:
    """Sine and cosine, interleaved, of ``2 pi value`` at ``width / 2`` frequencies: ``[..., width]``."""
    places = torch.arange(width, device=values.device)
    angles = 2 * math.pi * values[..., None] / 10000 ** (2 * (places // 2) / width)
    return torch.where(places % 2 == 0, angles.sin(), angles.cos())


def clip_positions(mask: Tensor, width: int) -> Tensor:
    """Position codes ``[batch, clips, width]``: of the clip's number as a fraction of the film's own length."""
    counted = mask.float().cumsum(1)
    return sine_code(counted / (counted[:, -1:] + 1e-6), width)


def span_code(spans: Tensor, width: int) -> Tensor:
    """The code of (centre, width) spans ``[..., 2]``: ``[..., width]``, half of it for each."""
    return sine_code(spans, width // 2).flatten(-2)


def inverse_sigmoid(x: Tensor, eps: float = 1e-3) -> Tensor:
    """The logit of ``x``, where ``x`` and ``1 - x`` are at least ``eps``."""
    x = x.clamp(0, 1)
    return torch.log(x.clamp(min=eps) / (1 - x).clamp(min=eps))


def padding_pairs(query_mask: Tensor, key_mask: Tensor, heads: int) -> Tensor:
    """The attention mask that the authors' code builds of padded queries times padded keys, heads and batch confused.

    It is tiled with the batch varying fastest and read with the heads varying fastest, so that a head of one film
    gets the mask of another. It serves no purpose but to reproduce the numbers of that code.

    Returns:
        bool ``[batch, heads, queries, keys]``, true where attention is *not* allowed.
    """
    pairs = ~query_mask[:, :, None] & ~key_mask[:, None, :]
    return pairs.repeat(heads, 1, 1).unflatten(0, (len(query_mask), heads))


class DropPath(nn.Module):
    """Drops a residual branch for whole samples; survivors are scaled up."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, x: Tensor) -> Tensor:
        """``x`` with some samples set to zero, in training."""
        if not self.training or not self.probability:
            return x
        keep = 1 - self.probability
        return x * x.new_empty(len(x), *[1] * (x.dim() - 1)).bernoulli_(keep) / keep


@dataclass(frozen=True)
class LayerConfig:
    """Sizes that all layers of a transformer share.

    Attributes:
        mlp: width of the hidden layer of the feed-forward part.
        drop_path: drop residual branches of whole samples, not single numbers.
    """

    width: int
    heads: int
    mlp: int
    dropout: float
    drop_path: bool = False


class FeedForwardLayer(nn.Module):
    """What every layer has: the feed-forward part, and the dropout of the residual branches."""

    def __init__(self, config: LayerConfig) -> None:
        super().__init__()
        self.config = config
        self.linear1 = nn.Linear(config.width, config.mlp)
        self.linear2 = nn.Linear(config.mlp, config.width)
        self.activation = nn.PReLU()
        self.dropout = nn.Dropout(config.dropout)
        self.branch = DropPath(config.dropout) if config.drop_path else nn.Dropout(config.dropout)

    def feed_forward(self, x: Tensor) -> Tensor:
        """The residual branch of the feed-forward part, ``[..., width]``."""
        return self.branch(self.linear2(self.dropout(self.activation(self.linear1(x)))))


class EncoderLayer(FeedForwardLayer):
    """Self-attention and feed-forward, each followed by its LayerNorm; positions are added to queries and keys."""

    def __init__(self, config: LayerConfig) -> None:
        super().__init__(config)
        self.self_attn = nn.MultiheadAttention(config.width, config.heads, config.dropout, batch_first=True)
        self.norm1 = nn.LayerNorm(config.width)
        self.norm2 = nn.LayerNorm(config.width)

    def forward(self, x: Tensor, positions: Tensor, mask: Tensor) -> Tensor:
        """``x`` and ``positions`` are ``[batch, rows, width]``, ``mask`` is ``[batch, rows]``."""
        placed = x + positions
        attended, _ = self.self_attn(placed, placed, x, key_padding_mask=~mask, need_weights=False)
        x = self.norm1(x + self.branch(attended))
        return self.norm2(x + self.feed_forward(x))


class Encoder(nn.Module):
    """Layers of self-attention, without a last LayerNorm."""

    def __init__(self, config: LayerConfig, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(layers))

    def forward(self, x: Tensor, positions: Tensor, mask: Tensor) -> Tensor:
        """As `EncoderLayer`, through every layer."""
        for layer in self.layers:
            x = layer(x, positions, mask)
        return x


class TextToVideoLayer(FeedForwardLayer):
    """The residual form in which clips take up what they attended to; ``self_attn`` is the subclass's.

    The feed-forward part reads the normalised sum but is added to the sum itself.
    """

    def __init__(self, config: LayerConfig) -> None:
        super().__init__(config)
        self.norm1 = nn.LayerNorm(config.width)
        self.norm2 = nn.LayerNorm(config.width)

    def merge(self, video: Tensor, attended: Tensor) -> Tensor:
        """Clips ``[..., width]`` with what they attended to, of the same shape."""
        summed = video + self.branch(attended)
        return self.norm2(summed + self.feed_forward(self.norm1(summed)))


def prepend(token: Tensor, rows: Tensor) -> Tensor:
    """``rows`` ``[batch, rows, width]`` behind the same token(s) ``[width]`` or ``[tokens, width]`` in each sample."""
    return torch.cat((token.view(1, -1, token.shape[-1]).expand(len(rows), -1, -1), rows), 1)


def prepend_true(mask: Tensor, tokens: int = 1) -> Tensor:
    """The mask of `prepend`: as many true entries in front of ``mask`` ``[batch, rows]``."""
    return F.pad(mask, (tokens, 0), value=True)


def split_heads(x: Tensor, heads: int) -> Tensor:
    """``[batch, rows, width]`` to ``[batch, heads, rows, width / heads]``."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def merge_heads(x: Tensor) -> Tensor:
    """The inverse of `split_heads`."""
    return x.transpose(1, 2).flatten(-2)


class HeadAttention(nn.Module):
    """Multi-head attention that projects its output only."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.out_proj = nn.Linear(width, width)
        nn.init.zeros_(self.out_proj.bias)

    def split(self, x: Tensor) -> Tensor:
        """`split_heads` with this attention's number of heads."""
        return split_heads(x, self.heads)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
        """Attend with split ``query``, ``key`` and ``value``; keys may be wider than values.

        Args:
            mask: which keys there are, ``[batch, keys]``; all if omitted.

        Returns:
            ``[batch, queries, width]``.
        """
        allowed = None if mask is None else mask[:, None, None, :]
        dropout = self.dropout if self.training else 0.0
        attended = F.scaled_dot_product_attention(query, key, value, allowed, dropout)
        return self.out_proj(merge_heads(attended))


@dataclass(frozen=True)
class DecoderInput:
    """What the proposals of a decoder layer look at.

    Attributes:
        memory: encoded clips, ``[batch, clips, width]``.
        positions: their position codes, of the same shape.
        mask: which clips there are, ``[batch, clips]``.
    """

    memory: Tensor
    positions: Tensor
    mask: Tensor


class DecoderLayer(FeedForwardLayer):
    """Proposals attend to clips by content and, apart from that, by where they are (Conditional DETR).

    Args:
        key_position: what projects the position codes of the clips.
        first: the first layer, where positions are also added to the content.
        self_attention: whether the proposals see one another.
    """

    def __init__(self, config: LayerConfig, key_position: nn.Module, *, first: bool, self_attention: bool) -> None:
        super().__init__(config)
        width = config.width
        self.has_self_attention = self_attention
        if self_attention:
            self.sa_qcontent_proj = nn.Linear(width, width)
            self.sa_qpos_proj = nn.Linear(width, width)
            self.sa_kcontent_proj = nn.Linear(width, width)
            self.sa_kpos_proj = nn.Linear(width, width)
            self.sa_v_proj = nn.Linear(width, width)
            self.self_attn = HeadAttention(width, config.heads, config.dropout)
            self.norm1 = nn.LayerNorm(width)
        self.ca_qcontent_proj = nn.Linear(width, width)
        self.ca_qpos_proj = nn.Linear(width, width) if first else None
        self.ca_kcontent_proj = nn.Linear(width, width)
        self.ca_kpos_proj = key_position
        self.ca_v_proj = nn.Linear(width, width)
        self.ca_qpos_sine_proj = nn.Linear(width, width)
        self.cross_attn = HeadAttention(width, config.heads, config.dropout)
        self.norm2 = nn.LayerNorm(width)
        self.norm3 = nn.LayerNorm(width)

    def forward(self, x: Tensor, query_positions: Tensor, sine: Tensor, clips: DecoderInput) -> Tensor:
        """One step of the proposals ``x`` ``[batch, proposals, width]``.

        Args:
            query_positions: learned position of each proposal, of the shape of ``x``.
            sine: the (modulated) sine code of each proposal's span, of the shape of ``x``.
            clips: what is attended to.
        """
        if self.has_self_attention:
            x = self.norm1(x + self.branch(self._attend_to_proposals(x, query_positions)))
        x = self.norm2(x + self.branch(self._attend_to_clips(x, query_positions, sine, clips)))
        return self.norm3(x + self.feed_forward(x))

    def _attend_to_proposals(self, x: Tensor, query_positions: Tensor) -> Tensor:
        query = self.sa_qcontent_proj(x) + self.sa_qpos_proj(query_positions)
        key = self.sa_kcontent_proj(x) + self.sa_kpos_proj(query_positions)
        split = self.self_attn.split
        return self.self_attn(split(query), split(key), split(self.sa_v_proj(x)))

    def _attend_to_clips(self, x: Tensor, query_positions: Tensor, sine: Tensor, clips: DecoderInput) -> Tensor:
        query, key = self.ca_qcontent_proj(x), self.ca_kcontent_proj(clips.memory)
        key_positions = self.ca_kpos_proj(clips.positions)
        if self.ca_qpos_proj is not None:
            query, key = query + self.ca_qpos_proj(query_positions), key + key_positions
        split = self.cross_attn.split
        return self.cross_attn(
            torch.cat((split(query), split(self.ca_qpos_sine_proj(sine))), -1),
            torch.cat((split(key), split(key_positions)), -1),
            split(self.ca_v_proj(clips.memory)),
            clips.mask,
        )


def initialise_transformer(module: nn.Module) -> None:
    """Xavier-uniform for everything that is not a vector."""
    for parameter in module.parameters():
        if parameter.dim() > 1:
            nn.init.xavier_uniform_(parameter)


def ranked_edges(logits: Tensor, spans: Tensor) -> list[Tensor]:
    """Proposals of each sample, best first: rows of (start, end, score), start and end as fractions of the clips.

    Args:
        logits: moment or not, ``[batch, proposals, 2]``.
        spans: ``[batch, proposals, 2]``.
    """
    scores = logits.softmax(-1)[..., FOREGROUND]
    order = scores.argsort(dim=1, descending=True, stable=True)
    rows = torch.cat((edges_of(spans), scores[..., None]), -1)
    return [sample[places] for sample, places in zip(rows, order, strict=True)]


def in_seconds(ranked: Sequence[Tensor], grids: Sequence[ClipGrid], *, whole_clips: bool = False) -> list[Tensor]:
    """Rows of (start, end, score) in fractions of the clips as float64 rows in seconds, within the film.

    Args:
        ranked: ``[moments, 3]`` for each query.
        grids: the clips of its film.
        whole_clips: round to where clips begin and end, as the authors' evaluations do; a moment may become empty.
    """
    found = []
    for rows, grid in zip(ranked, grids, strict=True):
        seconds = grid.seconds(rows[:, :2].double())
        if whole_clips:
            seconds = grid.seconds((seconds / grid.clip_seconds).round() / grid.clips)
        found.append(torch.cat((seconds, rows[:, 2:].double()), 1))
    return found
