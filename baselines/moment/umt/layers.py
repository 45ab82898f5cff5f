"""The layers of UMT."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.moment.detr import merge_heads, split_heads
from baselines.moment.umt.config import UmtConfig
from ivcr_bench.errors import IvcrError


class PositionTable(nn.Module):
    """Learned positions, with dropout."""

    def __init__(self, config: UmtConfig) -> None:
        super().__init__()
        self.pe = nn.Parameter(torch.randn(1, config.max_clips, config.width) / math.sqrt(config.width))
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, clips: int) -> Tensor:
        """The first ``clips`` positions, ``[1, clips, width]``.

        Raises:
            IvcrError: there are not so many.
        """
        if clips > self.pe.shape[1]:
            raise IvcrError(
                f"UMT: a film has {clips} clips, the model has positions for {self.pe.shape[1]}",
                hint="use fewer clips a second, or train with a larger max_clips",
            )
        return self.dropout(self.pe[:, :clips])


class Attention(nn.Module):
    """Multi-head attention; ``m`` projects its output."""

    def __init__(self, config: UmtConfig) -> None:
        super().__init__()
        self.heads, self.dropout = config.heads, config.dropout
        self.q, self.k, self.v, self.m = (nn.Linear(config.width, config.width) for _ in range(4))

    def forward(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
        """Attend; ``mask`` ``[batch, keys]`` says which keys there are."""
        q, k, v = (split_heads(layer(x), self.heads) for layer, x in ((self.q, query), (self.k, key), (self.v, value)))
        allowed = None if mask is None else mask[:, None, None]
        dropout = self.dropout if self.training else 0.0
        return self.m(merge_heads(F.scaled_dot_product_attention(q, k, v, allowed, dropout)))


class FeedForward(nn.Module):
    """Two linear layers with a ReLU between them."""

    def __init__(self, config: UmtConfig) -> None:
        super().__init__()
        width, dropout = config.width, config.dropout
        self.mapping = nn.Sequential(
            nn.Linear(width, 4 * width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(4 * width, width),
            nn.Dropout(dropout),
        )

    def forward(self, x: Tensor) -> Tensor:
        """``[..., width]`` to the same shape."""
        return self.mapping(x)


class EncoderLayer(nn.Module):
    """Pre-norm self-attention over clips."""

    def __init__(self, config: UmtConfig) -> None:
        super().__init__()
        self.att, self.ffn = Attention(config), FeedForward(config)
        self.norm1, self.norm2 = nn.LayerNorm(config.width), nn.LayerNorm(config.width)

    def forward(self, x: Tensor, positions: Tensor, mask: Tensor) -> Tensor:
        """``x`` is ``[batch, clips, width]``."""
        y = self.norm1(x)
        x = x + self.att(y + positions, y + positions, y, mask)
        return x + self.ffn(self.norm2(x))


class Projection(nn.Module):
    """Dropout on features, a linear layer, and a LayerNorm for text."""

    def __init__(self, in_width: int, width: int, dropout: float, text: bool) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(in_width, width, bias=not text)
        self.norm = nn.LayerNorm(width) if text else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """``[..., in_width]`` to ``[..., width]``."""
        return self.norm(self.linear(self.dropout(x)))


class StreamEncoder(nn.Module):
    """Encodes one stream of clip features."""

    def __init__(self, config: UmtConfig, in_width: int) -> None:
        super().__init__()
        self.mapping = Projection(in_width, config.width, config.input_dropout, text=False)
        self.pos_enc = PositionTable(config)
        self.encoder = EncoderLayer(config)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """``[batch, clips, in_width]`` to ``[batch, clips, width]``."""
        return self.encoder(self.mapping(x), self.pos_enc(x.shape[1]), mask)


class BottleneckLayer(nn.Module):
    """Tokens take up both streams, then both streams take up the tokens."""

    def __init__(self, config: UmtConfig) -> None:
        super().__init__()
        self.att1, self.att2, self.att3, self.att4 = (Attention(config) for _ in range(4))
        self.ffn1, self.ffn2 = FeedForward(config), FeedForward(config)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(config.width) for _ in range(3))
        self.norm4, self.norm5, self.norm6 = (nn.LayerNorm(config.width) for _ in range(3))

    def forward(
        self, video: Tensor, audio: Tensor, tokens: Tensor, positions: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Both streams ``[batch, clips, width]`` and the tokens ``[batch, tokens, width]``, each updated."""
        v, a, t = self.norm1(video), self.norm2(audio), self.norm3(tokens)
        tokens = tokens + self.att1(t, v + positions, v, mask) + self.att2(t, a + positions, a, mask)
        t = self.norm4(tokens)
        video = video + self.att3(v + positions, t, t)
        audio = audio + self.att4(a + positions, t, t)
        return video + self.ffn1(self.norm5(video)), audio + self.ffn2(self.norm6(audio)), tokens


class BottleneckEncoder(nn.Module):
    """The tokens and the one layer that uses them."""

    def __init__(self, config: UmtConfig) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.randn(config.bottlenecks, config.width) / math.sqrt(config.width))
        self.encoder = nn.ModuleList([BottleneckLayer(config)])

    def forward(self, video: Tensor, audio: Tensor, positions: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Both streams, updated."""
        tokens = self.token.expand(len(video), -1, -1)
        for layer in self.encoder:
            video, audio, tokens = layer(video, audio, tokens, positions, mask)
        return video, audio


class CrossEncoder(nn.Module):
    """Exchanges what two streams know, and adds them up."""

    def __init__(self, config: UmtConfig) -> None:
        super().__init__()
        self.pos_enc = PositionTable(config)
        self.encoder = BottleneckEncoder(config)
        self.norm = nn.LayerNorm(config.width)

    def forward(self, video: Tensor, audio: Tensor, mask: Tensor) -> Tensor:
        """Two streams ``[batch, clips, width]`` to one."""
        video, audio = self.encoder(video, audio, self.pos_enc(video.shape[1]), mask)
        return self.norm(video + audio)


class QueryGenerator(nn.Module):
    """Makes a query of each clip: the mixture of words that it attends to."""

    def __init__(self, config: UmtConfig, text_width: int) -> None:
        super().__init__()
        self.mapping = Projection(text_width, config.width, config.text_dropout, text=True)
        self.encoder = Attention(config)

    def forward(self, clips: Tensor, text: Tensor, mask: Tensor) -> Tensor:
        """Queries ``[batch, clips, width]`` of clips of that shape and ``text`` ``[batch, words, text_width]``."""
        words = self.mapping(text)
        return self.encoder(clips, words, words, mask)


class DecoderLayer(nn.Module):
    """Queries attend to one another, then to the clips."""

    def __init__(self, config: UmtConfig) -> None:
        super().__init__()
        self.att1, self.att2, self.ffn = Attention(config), Attention(config), FeedForward(config)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(config.width) for _ in range(3))

    def forward(self, x: Tensor, positions: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
        """One step of the queries ``x`` ``[batch, clips, width]``; ``key`` and ``value`` are the clips."""
        y = self.norm1(x)
        x = x + self.att1(y + positions, y + positions, y, mask)
        x = x + self.att2(self.norm2(x) + positions, key, value, mask)
        return x + self.ffn(self.norm3(x))


class Decoder(nn.Module):
    """Refines the queries of the clips."""

    def __init__(self, config: UmtConfig) -> None:
        super().__init__()
        self.q_pos_enc, self.k_pos_enc = PositionTable(config), PositionTable(config)
        self.decoder = nn.ModuleList(DecoderLayer(config) for _ in range(config.decoder_layers))
        self.norm = nn.LayerNorm(config.width)

    def forward(self, queries: Tensor, clips: Tensor, mask: Tensor | None) -> Tensor:
        """Refined ``queries`` ``[batch, clips, width]``; all clips are attended to if there is no ``mask``."""
        length = clips.shape[1]
        positions, keys = self.q_pos_enc(length), clips + self.k_pos_enc(length)
        for layer in self.decoder:
            queries = layer(queries, positions, keys, clips, mask)
        return self.norm(queries)
