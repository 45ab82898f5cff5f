"""CLIP4Clip (Luo et al. 2021, arXiv 2104.08860; Neurocomputing 508): CLIP on a dozen frames, and four heads.

``meanP`` averages the frame vectors; ``seqLSTM`` and ``seqTransf`` let the frames see each other first; in all
three a video is one vector. ``tightTransf`` reads sentence and frames together, once for every pair.

Module names are those of the authors' checkpoints, but for the inside of ``clip`` (`baselines.retrieval.checkpoints`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.activations import QuickGELUActivation

from baselines.retrieval.clip_backbone import ClipBackbone, ClipConfig
from baselines.retrieval.losses import symmetric_cross_entropy
from baselines.retrieval.patches import use_3d_patches
from baselines.retrieval.protocol import Block, Encoded, Padding, in_blocks
from baselines.retrieval.temporal import NORM_EPS, TemporalTransformer, copy_text_tower, initialise

Head = Literal["meanP", "seqLSTM", "seqTransf", "tightTransf"]


@dataclass(frozen=True)
class Clip4ClipConfig:
    """What shapes the model.

    Attributes:
        clip: sizes of the backbone.
        head: how frame vectors and a sentence become a score; ``meanP`` is the authors' recipe for every data set.
        frames: of a film.
        words: tokens of a text, begin and end included.
        layers: of the transformers of ``seqTransf`` and ``tightTransf``.
        dropout: on the input of ``tightTransf``.
        patches: ``2d``, or ``3d``: patches that reach into the frames before and after (not in the recipe).
    """

    clip: ClipConfig
    head: Head = "meanP"
    frames: int = 12
    words: int = 32
    layers: int = 4
    dropout: float = 0.1
    patches: Literal["2d", "3d"] = "2d"

    @classmethod
    def paper(cls, head: Head = "meanP") -> Clip4ClipConfig:
        """ViT-B/32 and the authors' sizes; 77 words, since IVCR's queries are longer than MSR-VTT's captions."""
        return cls(ClipConfig(), head, words=77)

    @classmethod
    def mini(cls, vocab_size: int, eos_token_id: int, head: Head = "meanP") -> Clip4ClipConfig:
        """For IVCR-Mini on a CPU."""
        return cls(ClipConfig.mini(vocab_size, eos_token_id), head, frames=12, words=77, layers=2)


class Cross(nn.Module):
    """Sentence and frames of each pair in one transformer, read at the sentence."""

    def __init__(self, width: int, heads: int, layers: int, positions: int, dropout: float) -> None:
        super().__init__()
        self.embeddings = nn.ModuleDict({"position_embeddings": nn.Embedding(positions, width)})
        self.transformer = TemporalTransformer(width, heads, layers)
        self.pooler = nn.ModuleDict({"ln_pool": nn.LayerNorm(width, eps=NORM_EPS), "dense": nn.Linear(width, width)})
        self.dropout = nn.Dropout(dropout)
        self.activation = QuickGELUActivation()

    @property
    def positions(self) -> nn.Embedding:
        """One row a token: the sentence, then the frames."""
        table = self.embeddings["position_embeddings"]
        assert isinstance(table, nn.Embedding)
        return table

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Pooled pairs ``[pairs, width]`` of tokens ``[pairs, 1 + frames, width]`` and their mask."""
        x = self.dropout(tokens + self.positions.weight[: tokens.shape[1]])
        first = self.transformer(x, mask)[:, 0]
        return self.activation(self.pooler["dense"](self.pooler["ln_pool"](first)))


class Clip4Clip(nn.Module):
    """The model; texts are encoded as ``vectors`` ``[texts, width]``.

    Videos are encoded as ``vectors`` ``[videos, width]``, normalised, or for ``tightTransf`` as ``frames``
    ``[videos, frames, width]`` and ``mask`` ``[videos, frames]``.
    """

    padding: Padding = "zeros"
    block = Block(texts=8, videos=64)

    def __init__(self, config: Clip4ClipConfig, clip: ClipBackbone) -> None:
        super().__init__()
        self.config, self.clip = config, clip
        width, heads, positions = clip.width, clip.text_heads, clip.max_text
        if config.patches == "3d":
            use_3d_patches(clip, config.frames)
        if config.head == "seqLSTM":
            self.lstm_visual = nn.LSTM(width, width, batch_first=True)
        if config.head == "seqTransf":
            self.frame_position_embeddings = nn.Embedding(positions, width)
            self.transformerClip = TemporalTransformer(width, heads, config.layers)
            initialise(self.transformerClip)
            copy_text_tower(clip, self.frame_position_embeddings, self.transformerClip)
        if config.head == "tightTransf":
            self.cross = Cross(width, heads, config.layers, positions, config.dropout)
            self.similarity_dense = nn.Linear(width, 1)
            initialise(self.cross)
            initialise(self.similarity_dense)
            copy_text_tower(clip, self.cross.positions, self.cross.transformer)

    def encode_texts(self, input_ids: Tensor, mask: Tensor) -> Encoded:
        """Sentence vectors of ids and mask ``[texts, length]``."""
        return Encoded(vectors=self.clip.sentence_vectors(input_ids, mask))

    def encode_frames(self, pixels: Tensor, mask: Tensor | None = None) -> Encoded:
        """What the backbone alone makes of films: ``frames`` and ``mask``."""
        frames = self.clip.frame_vectors(pixels)
        return Encoded(frames=frames, mask=frames.new_ones(frames.shape[:2]) if mask is None else mask)

    def encode_videos(self, pixels: Tensor, mask: Tensor | None = None) -> Encoded:
        """Films ``[videos, frames, 3, height, width]``, missing frames zero and masked."""
        return self.index(self.encode_frames(pixels, mask))

    def index(self, films: Encoded) -> Encoded:
        """What the head makes of films (`encode_frames`) before it knows a text."""
        if self.config.head == "tightTransf":
            return films
        frames, mask = self._in_sequence(films["frames"], films["mask"]), films["mask"]
        weights = mask[..., None].to(frames.dtype)
        mean = (weights * F.normalize(frames, dim=-1)).sum(1) / weights.sum(1).clamp(min=1)
        return Encoded(vectors=F.normalize(mean, dim=-1))

    def similarity(self, texts: Encoded, videos: Encoded, block: Block | None = None) -> Tensor:
        """Scaled cosines, or for ``tightTransf`` plain logits: ``[texts, videos]``."""
        if self.config.head == "tightTransf":
            return in_blocks(self._cross_scores, texts, videos, block or self.block)
        return self.clip.scale() * (F.normalize(texts["vectors"], dim=-1) @ videos["vectors"].T)

    def loss(self, texts: Encoded, videos: Encoded, positive: Tensor | None = None) -> Tensor:
        """Symmetric InfoNCE."""
        self.clip.clamp_logit_scale()
        return symmetric_cross_entropy(self.similarity(texts, videos), positive)

    def _in_sequence(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Frames that have seen each other, or for ``meanP`` themselves: ``[videos, frames, width]``."""
        if self.config.head == "seqLSTM":
            # An LSTM of one direction never sees the padding behind a frame, so there is no need to pack.
            return self.lstm_visual(frames)[0] + frames
        if self.config.head == "seqTransf":
            placed = frames + self.frame_position_embeddings.weight[: frames.shape[1]]
            return self.transformerClip(placed, mask) + frames
        return frames

    def _cross_scores(self, texts: Encoded, videos: Encoded) -> Tensor:
        rows, columns = len(texts), len(videos)
        sentence = texts["vectors"][:, None, None].expand(-1, columns, 1, -1)
        frames = videos["frames"].expand(rows, -1, -1, -1)
        mask = F.pad(videos["mask"], (1, 0), value=1).expand(rows, -1, -1)
        pooled = self.cross(torch.cat([sentence, frames], 2).flatten(0, 1), mask.flatten(0, 1))
        return self.similarity_dense(pooled).view(rows, columns)
