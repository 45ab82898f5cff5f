"""X-Pool (Gorti et al., CVPR 2022, arXiv 2203.15086): a video vector that depends on the query.

The sentence attends over the frames of a film; the mixture of frames, after a residual linear layer, is compared
with the sentence. The head works on any sentence and frame vectors of one width. Written from the paper's
equations, with the module names of the authors' checkpoints.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

MAX_LOGIT_SCALE = math.log(100)


@dataclass(frozen=True)
class FrameIndex:
    """What is kept of each film for scoring: keys and values after the output projection.

    Attributes:
        keys: ``[videos, frames, width]``.
        values: ``[videos, heads, frames, width]``; summed over heads with the attention weights they give the
            output of the cross-attention.
    """

    keys: Tensor
    values: Tensor

    def __len__(self) -> int:
        return len(self.keys)

    def slice(self, start: int, stop: int) -> FrameIndex:
        """Films ``start`` to ``stop``."""
        return FrameIndex(self.keys[start:stop], self.values[start:stop])


class CrossAttention(nn.Module):
    """Attention of each sentence over the frames of each video."""

    def __init__(self, width: int, heads: int = 1) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def index(self, frames: Tensor) -> FrameIndex:
        """Keys and projected values of ``frames`` ``[videos, frames, width]``.

        The output projection is applied here, once a frame, not once a pair: attention weights sum to one, so
        the bias may be shared out over the heads.
        """
        values = self._split(self.v_proj(frames)).transpose(1, 2)
        blocks = self.out_proj.weight.view(-1, self.heads, values.shape[-1])
        projected = torch.einsum("vhfc,ohc->vhfo", values, blocks) + self.out_proj.bias / self.heads
        return FrameIndex(self.k_proj(frames), projected)

    def forward(self, text: Tensor, index: FrameIndex) -> Tensor:
        """Each sentence's view of each video: ``[videos, texts, width]`` from text ``[texts, width]``."""
        query, key = self._split(self.q_proj(text)), self._split(index.keys)
        scores = torch.einsum("thc,vfhc->vhtf", query, key) / math.sqrt(query.shape[-1])
        return torch.einsum("vhtf,vhfo->vto", scores.softmax(-1), index.values)

    def _split(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:-1], self.heads, -1)


class PoolFrames(nn.Module):
    """The pooling head: from sentences and frames to one vector per pair of sentence and video."""

    def __init__(self, width: int, heads: int = 1, dropout: float = 0.3) -> None:
        super().__init__()
        self.cross_attn = CrossAttention(width, heads)
        self.linear_proj = nn.Linear(width, width)
        self.layer_norm1 = nn.LayerNorm(width)
        self.layer_norm2 = nn.LayerNorm(width)
        self.layer_norm3 = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.eye_(module.weight)
                nn.init.zeros_(module.bias)

    def index(self, frames: Tensor) -> FrameIndex:
        """What scoring needs of ``frames`` ``[videos, frames, width]``."""
        return self.cross_attn.index(self.layer_norm1(frames))

    def forward(self, text: Tensor, index: FrameIndex) -> Tensor:
        """Pooled video vectors ``[videos, texts, width]``."""
        pooled = self.layer_norm2(self.cross_attn(self.layer_norm1(text), index))
        return self.layer_norm3(pooled + self.dropout(self.linear_proj(pooled)))


class XPool(nn.Module):
    """The head with its learnable logit scale."""

    def __init__(self, width: int, heads: int = 1, dropout: float = 0.3) -> None:
        super().__init__()
        self.pool_frames = PoolFrames(width, heads, dropout)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def forward(self, text: Tensor, frames: Tensor) -> Tensor:
        """Cosine of every sentence ``[texts, width]`` with every video ``[videos, frames, width]``.

        Returns:
            ``[texts, videos]``.
        """
        return self._score(text, self.pool_frames.index(frames))

    def logits(self, text: Tensor, frames: Tensor) -> Tensor:
        """The cosines times the (clamped) learned scale: ``[texts, videos]``."""
        return self.logit_scale.clamp(max=MAX_LOGIT_SCALE).exp() * self(text, frames)

    def index(self, frames: Tensor) -> FrameIndex:
        """What scoring needs of a corpus ``[videos, frames, width]``."""
        return self.pool_frames.index(frames)

    @torch.inference_mode()
    def score(self, text: Tensor, index: FrameIndex, *, text_chunk: int = 64, video_chunk: int = 512) -> Tensor:
        """As `forward`, in blocks: memory is bounded by ``text_chunk * video_chunk * width`` numbers."""
        rows = []
        for sentences in text.split(text_chunk):
            blocks = range(0, len(index), video_chunk)
            rows.append(
                torch.cat([self._score(sentences, index.slice(start, start + video_chunk)) for start in blocks], 1)
            )
        return torch.cat(rows)

    def _score(self, text: Tensor, index: FrameIndex) -> Tensor:
        pooled = F.normalize(self.pool_frames(text, index), dim=-1)
        return torch.einsum("td,vtd->tv", F.normalize(text, dim=-1), pooled)
