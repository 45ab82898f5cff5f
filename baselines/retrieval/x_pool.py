"""X-Pool (Gorti et al., CVPR 2022, arXiv 2203.15086): a video vector that depends on the query.

The sentence attends over the frames of a film; the mixture of frames, after a residual linear layer, is compared
with the sentence. Written from the paper's equations, with the module names of the authors' checkpoints.

`XPool` is the head alone, for any sentence and frame vectors of one width; `ClipXPool` is the published method, on
CLIP.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.retrieval.clip_backbone import MAX_LOGIT_SCALE, ClipBackbone, ClipConfig
from baselines.retrieval.losses import symmetric_cross_entropy
from baselines.retrieval.protocol import Block, Encoded, Padding, in_blocks


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
        return x.unflatten(-1, (self.heads, x.shape[-1] // self.heads))


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


@dataclass(frozen=True)
class XPoolConfig:
    """What shapes the published method.

    Attributes:
        clip: sizes of the backbone.
        frames: of a film, the middles of as many equal parts; no mask hides the frames of a film that has fewer.
        words: tokens of a text, begin and end included.
        heads: of the attention over frames.
        dropout: of the head; 0.3 for MSR-VTT-9k and LSMDC, 0.4 for MSR-VTT-7k and MSVD.
    """

    clip: ClipConfig
    frames: int = 12
    words: int = 77
    heads: int = 1
    dropout: float = 0.3

    @classmethod
    def paper(cls) -> XPoolConfig:
        """ViT-B/32 and the authors' sizes."""
        return cls(ClipConfig())

    @classmethod
    def mini(cls, vocab_size: int, eos_token_id: int) -> XPoolConfig:
        """For IVCR-Mini on a CPU."""
        return cls(ClipConfig.mini(vocab_size, eos_token_id), frames=12, dropout=0.1)


class ClipXPool(nn.Module):
    """X-Pool on CLIP; texts are encoded as ``vectors`` ``[texts, width]``, videos as the parts of a `FrameIndex`.

    All parameters bear the names of the authors' checkpoints.
    """

    padding: Padding = "repeat"
    block = Block(texts=64, videos=64)

    def __init__(self, config: XPoolConfig, clip: ClipBackbone) -> None:
        super().__init__()
        self.config, self.clip = config, clip
        self.pool_frames = PoolFrames(clip.width, config.heads, config.dropout)

    def encode_texts(self, input_ids: Tensor, mask: Tensor) -> Encoded:
        """Sentence vectors of ids and mask ``[texts, length]``."""
        return Encoded(vectors=self.clip.sentence_vectors(input_ids, mask))

    def encode_frames(self, pixels: Tensor, mask: Tensor | None = None) -> Encoded:
        """What the backbone alone makes of films: ``frames`` ``[videos, frames, width]``.

        Raises:
            ValueError: ``mask`` hides a frame, which the method has no way to leave out.
        """
        if mask is not None and not mask.all():
            raise ValueError("a masked frame: this method has no frame mask, repeat the last frame instead")
        return Encoded(frames=self.clip.frame_vectors(pixels))

    def encode_videos(self, pixels: Tensor, mask: Tensor | None = None) -> Encoded:
        """Films ``[videos, frames, 3, height, width]`` without padding."""
        return self.index(self.encode_frames(pixels, mask))

    def index(self, films: Encoded) -> Encoded:
        """What the head makes of films (`encode_frames`) before it knows a text."""
        index = self.pool_frames.index(films["frames"])
        return Encoded(keys=index.keys, values=index.values)

    def pooled(self, texts: Encoded, videos: Encoded) -> Tensor:
        """Each video as each text sees it: ``[texts, videos, width]``."""
        return self.pool_frames(texts["vectors"], FrameIndex(videos["keys"], videos["values"])).transpose(0, 1)

    def similarity(self, texts: Encoded, videos: Encoded, block: Block | None = None) -> Tensor:
        """Cosines ``[texts, videos]`` of each text with each video as it sees it."""
        return in_blocks(self._cosines, texts, videos, block or self.block)

    def loss(self, texts: Encoded, videos: Encoded, positive: Tensor | None = None) -> Tensor:
        """Symmetric InfoNCE over the scaled cosines."""
        self.clip.clamp_logit_scale()
        return symmetric_cross_entropy(self.clip.scale() * self.similarity(texts, videos), positive)

    def _cosines(self, texts: Encoded, videos: Encoded) -> Tensor:
        return cosine(texts["vectors"][:, None], self.pooled(texts, videos))


def cosine(a: Tensor, b: Tensor) -> Tensor:
    """Cosines ``[...]`` of vectors ``[..., width]``."""
    return (F.normalize(a, dim=-1) * F.normalize(b, dim=-1)).sum(-1)
