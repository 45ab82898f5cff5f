"""BLIP-2's first stage (Li et al. 2023) as a retriever of films: ViT, Q-Former, and its three heads.

Built from Hugging Face's modules under Hugging Face's names, so that the state dict of their
`Blip2ForImageTextRetrieval` loads as it is. Ours on top: the training losses, which Hugging Face dropped
(temperature and LM head included), scores of films of several frames, and for small models a convolutional stem.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import Blip2QFormerConfig, Blip2QFormerModel, Blip2VisionConfig, Blip2VisionModel
from transformers.models.blip_2.modeling_blip_2 import Blip2TextEmbeddings

from baselines.backbones import blip2_losses as losses

Pooling = Literal["frame_mean", "query_mean", "max", "lse"]
LSE_SHARPNESS = 10.0
RARE = -4.0
"""The log-odds of a word to stand in a caption, before training."""
TEMPERATURES = (0.01, 0.5)


@dataclass(frozen=True)
class Blip2RetrieverConfig:
    """Sizes; the defaults are those of the published model (EVA-CLIP ViT-g, BERT-base Q-Former).

    Attributes:
        stem: `linear` patches, or `conv`: 3x3 convolutions of stride 2 (Xiao et al. 2021), which learn much
            faster from scratch. ``patch_size`` is then a power of two: one convolution per halving.
        tubelet: consecutive frames, half a second apart, that are seen as one "frame" of 3 * tubelet channels.
        initializer_range: deviation of the initial weights; small widths need more than BERT's 0.02.
    """

    image_size: int = 224
    patch_size: int = 14
    vision_width: int = 1408
    vision_layers: int = 39
    vision_heads: int = 16
    vision_mlp: int = 6144
    vision_norm_eps: float = 1e-6
    stem: Literal["linear", "conv"] = "linear"
    tubelet: int = 1
    width: int = 768
    layers: int = 12
    heads: int = 12
    mlp: int = 3072
    cross_attention_frequency: int = 2
    queries: int = 32
    vocab_size: int = 30_523
    max_text: int = 512
    shared_width: int = 256
    dropout: float = 0.1
    initializer_range: float = 0.02

    @classmethod
    def mini(cls, vocab_size: int) -> Blip2RetrieverConfig:
        """Two thirds of a million parameters for 56x56 frames, trained from scratch on two CPU cores."""
        return cls(
            image_size=56, patch_size=8, vision_width=96, vision_layers=3, vision_heads=4, vision_mlp=192,
            stem="conv", tubelet=4, width=96, layers=2, heads=4, mlp=192, cross_attention_frequency=1,
            queries=8, vocab_size=vocab_size, max_text=128, shared_width=64, initializer_range=0.1, dropout=0.0,
        )  # fmt: skip

    def vision(self) -> Blip2VisionConfig:
        """The ViT, as Hugging Face describes it."""
        return Blip2VisionConfig(
            hidden_size=self.vision_width,
            intermediate_size=self.vision_mlp,
            num_hidden_layers=self.vision_layers,
            num_attention_heads=self.vision_heads,
            image_size=self.image_size,
            patch_size=self.patch_size,
            layer_norm_eps=self.vision_norm_eps,
            initializer_range=self.initializer_range,
        )

    def qformer(self) -> Blip2QFormerConfig:
        """The Q-Former, as Hugging Face describes it."""
        return Blip2QFormerConfig(
            vocab_size=self.vocab_size,
            hidden_size=self.width,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            intermediate_size=self.mlp,
            max_position_embeddings=self.max_text,
            hidden_dropout_prob=self.dropout,
            attention_probs_dropout_prob=self.dropout,
            cross_attention_frequency=self.cross_attention_frequency,
            encoder_hidden_size=self.vision_width,
            initializer_range=self.initializer_range,
            use_qformer_text_input=True,
        )


@dataclass(frozen=True)
class FrameFeatures:
    """What the encoder knows of ``videos`` films of ``frames`` frames each.

    Attributes:
        tokens: ViT outputs ``[videos, frames, tokens, vision_width]``.
        queries: Q-Former outputs ``[videos, frames, queries, width]``.
        itc: projected and normalised queries ``[videos, frames, queries, shared_width]``.
    """

    tokens: Tensor
    queries: Tensor
    itc: Tensor


class ConvStem(nn.Sequential):
    """3x3 convolutions of stride 2, one per halving, each but the first followed by one of stride 1; then 1x1."""

    def __init__(self, channels: int, width: int, patch_size: int) -> None:
        halvings = patch_size.bit_length() - 1
        if 2**halvings != patch_size:
            raise ValueError(f"patch_size is {patch_size}, expected a power of two for a convolutional stem")
        widths = [channels, width // 3, *[2 * width // 3] * (halvings > 2), *[width] * max(1, halvings - 2)]
        blocks = _convolution(widths[0], widths[1], stride=2)
        for before, after in pairwise(widths[1:]):
            blocks += [*_convolution(before, after, stride=2), *_convolution(after, after, stride=1)]
        last = nn.Conv2d(widths[-1], width, 1)
        super().__init__(*blocks, last)

    @property
    def weight(self) -> Tensor:
        """Of the last convolution; Hugging Face reads the dtype of the patch embedding from it."""
        weight = self[-1].weight
        assert isinstance(weight, Tensor)
        return weight


def _convolution(before: int, after: int, stride: int) -> list[nn.Module]:
    return [nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]


class LanguageHead(nn.Module):
    """BERT's masked-language head; its decoder shares the word embeddings."""

    def __init__(self, width: int, vocab_size: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width, eps=1e-12)
        self.bias = nn.Parameter(torch.zeros(vocab_size))

    def forward(self, hidden: Tensor, word_embeddings: Tensor) -> Tensor:
        """Logits ``[..., vocabulary]`` from hidden states ``[..., width]``."""
        return F.linear(self.norm(F.gelu(self.dense(hidden))), word_embeddings, self.bias)


class Blip2VideoRetriever(nn.Module):
    """One space for texts and for the frames of films."""

    def __init__(self, config: Blip2RetrieverConfig) -> None:
        super().__init__()
        self.config = config
        self.vision_model = Blip2VisionModel(config.vision())
        if config.stem == "conv":
            stem: nn.Module = ConvStem(3 * config.tubelet, config.vision_width, config.patch_size)
            self.vision_model.embeddings.register_module("patch_embedding", stem)
            self.tag_head = nn.Linear(config.vision_width, config.vocab_size)
            nn.init.constant_(self.tag_head.bias, RARE)
        self.embeddings = Blip2TextEmbeddings(config.qformer())
        self.qformer = Blip2QFormerModel(config.qformer())
        self.query_tokens = nn.Parameter(torch.empty(1, config.queries, config.width))
        self.vision_projection = nn.Linear(config.width, config.shared_width)
        self.text_projection = nn.Linear(config.width, config.shared_width)
        self.itm_head = nn.Linear(config.width, 2)
        self.temp = nn.Parameter(torch.tensor(0.07))
        self.lm_head = LanguageHead(config.width, config.vocab_size)
        self._initialise()

    def _initialise(self) -> None:
        std = self.config.initializer_range
        # Hugging Face would start all queries at zero, and equal queries stay equal for ever.
        for parameter in (self.query_tokens, *self.embeddings.parameters()):
            nn.init.normal_(parameter, std=std)
        for linear in (self.vision_projection, self.text_projection, self.itm_head, self.lm_head.dense):
            nn.init.normal_(linear.weight, std=std)
            nn.init.zeros_(linear.bias)

    def encode_frames(self, pixels: Tensor) -> FrameFeatures:
        """Encode films of normalised frames ``[videos, frames, 3 * tubelet, height, width]``."""
        videos, frames = pixels.shape[:2]
        tokens = self.vision_model(pixels.flatten(0, 1)).last_hidden_state
        queries = self.qformer(
            query_embeds=self.query_tokens.expand(len(tokens), -1, -1), encoder_hidden_states=tokens
        ).last_hidden_state
        itc = F.normalize(self.vision_projection(queries), dim=-1)
        shape = (videos, frames)
        return FrameFeatures(tokens.unflatten(0, shape), queries.unflatten(0, shape), itc.unflatten(0, shape))

    def encode_text(self, input_ids: Tensor, mask: Tensor) -> Tensor:
        """Normalised text vectors ``[texts, shared_width]`` of ids ``[texts, length]``; the first is [CLS]."""
        return F.normalize(self.project_text(input_ids, mask), dim=-1)

    def project_text(self, input_ids: Tensor, mask: Tensor) -> Tensor:
        """As `encode_text`, before normalising."""
        hidden = self.qformer(
            query_embeds=self.embeddings(input_ids=input_ids), query_length=0, attention_mask=mask
        ).last_hidden_state
        return self.text_projection(hidden[:, 0])

    def joint_rows(self, keys: Tensor, input_ids: Tensor, mask: Tensor) -> Tensor:
        """Queries and text in one self-attention, the queries looking at ``keys``.

        Args:
            keys: ViT outputs ``[pairs, tokens, vision_width]``.
            input_ids, mask: ``[pairs, length]``.

        Returns:
            Hidden states ``[pairs, queries + length, width]``.
        """
        queries = mask.new_ones(len(mask), self.config.queries)
        return self._joint(keys, input_ids, torch.cat([queries, mask], dim=1))

    def score_itm(self, tokens: Tensor, input_ids: Tensor, mask: Tensor) -> Tensor:
        """Match logits ``[pairs, 2]`` of paired films and texts; column 1 is "match".

        Args:
            tokens: ViT outputs ``[pairs, frames, tokens, vision_width]``; all frames are keys of one pass
                (BLIP's way for videos, without frame positions).
        """
        hidden = self.joint_rows(tokens.flatten(1, 2), input_ids, mask)
        return self.itm_head(hidden[:, : self.config.queries]).mean(1)

    def generate_logits(self, tokens: Tensor, input_ids: Tensor, mask: Tensor) -> Tensor:
        """Next-token logits ``[pairs, length, vocabulary]``, teacher-forced; the first id is [DEC]."""
        attention = losses.itg_attention_mask(mask, self.config.queries)
        hidden = self._joint(tokens.flatten(1, 2), input_ids, attention)
        return self.lm_head(hidden[:, self.config.queries :], self.embeddings.word_embeddings.weight)

    def tag_logits(self, tokens: Tensor) -> Tensor:
        """Which words a caption may hold: for each word, its strongest token (Fang et al. 2015).

        Args:
            tokens: ViT outputs ``[images, tokens, vision_width]``.

        Returns:
            ``[images, vocabulary]``.
        """
        return self.tag_head(tokens).amax(1)

    def training_losses(
        self,
        pixels: Tensor,
        input_ids: Tensor,
        mask: Tensor,
        ids: Tensor,
        *,
        decoder_start: int,
        tags: Tensor | None = None,
        pooling: Pooling = "frame_mean",
        generator: torch.Generator | None = None,
    ) -> dict[str, Tensor]:
        """The three losses of a batch of pairs, ``itc``, ``itm``, ``itg``; with ``tags`` also our ``tag``.

        Args:
            pixels: ``[batch, frames, 3 * tubelet, height, width]``.
            input_ids, mask: ``[batch, length]``.
            ids: ``[batch]``; equal ids are positives of one another.
            decoder_start: id of [DEC].
            tags: ``[batch, vocabulary]``, 1 for a word of the image's captions.
        """
        with torch.no_grad():
            self.temp.clamp_(*TEMPERATURES)
        frames = self.encode_frames(pixels)
        similarity = score_itc(frames.itc, self.encode_text(input_ids, mask), pooling)
        itc = losses.itc_loss(similarity, self.temp, ids)
        itm = self._itm(frames.tokens, similarity.detach() / self.temp.detach(), input_ids, mask, ids, generator)
        decoded = input_ids.clone()
        decoded[:, 0] = decoder_start
        logits = self.generate_logits(frames.tokens, decoded, mask)
        parts = {"itc": itc, "itm": itm, "itg": losses.itg_loss(logits, decoded, mask)}
        if tags is not None:
            parts["tag"] = losses.tag_loss(self.tag_logits(frames.tokens.flatten(1, 2)), tags)
        return parts

    def _itm(
        self,
        tokens: Tensor,
        logits: Tensor,
        input_ids: Tensor,
        mask: Tensor,
        ids: Tensor,
        generator: torch.Generator | None,
    ) -> Tensor:
        films = losses.hard_negatives(logits, ids, generator)
        texts = losses.hard_negatives(logits.T, ids, generator)
        match = self.score_itm(
            torch.cat([tokens, tokens[films], tokens]),
            torch.cat([input_ids, input_ids, input_ids[texts]]),
            torch.cat([mask, mask, mask[texts]]),
        )
        return losses.itm_loss(match, positives=len(tokens))

    def _joint(self, keys: Tensor, input_ids: Tensor, attention: Tensor) -> Tensor:
        queries = self.query_tokens.expand(len(keys), -1, -1)
        return self.qformer(
            query_embeds=self.embeddings(input_ids=input_ids, query_embeds=queries),
            query_length=self.config.queries,
            attention_mask=attention,
            encoder_hidden_states=keys,
        ).last_hidden_state


def score_itc(itc: Tensor, text: Tensor, pooling: Pooling = "frame_mean") -> Tensor:
    """Score every film for every text; with one frame, every pooling is LAVIS's image score.

    Args:
        itc: ``[videos, frames, queries, shared_width]``, normalised.
        text: ``[texts, shared_width]``, normalised.

    Returns:
        ``[texts, videos]``.
    """
    if pooling == "query_mean":
        mean = F.normalize(itc.mean(1), dim=-1)
        return torch.einsum("td,vqd->tvq", text, mean).amax(-1)
    # Queries come first, so that the best is taken of large adjacent blocks.
    by_query = itc.permute(2, 3, 0, 1)
    best = (text @ by_query.flatten(2)).amax(0).unflatten(-1, by_query.shape[2:])
    if pooling == "frame_mean":
        return best.mean(-1)
    if pooling == "max":
        return best.amax(-1)
    return ((LSE_SHARPNESS * best).exp().mean(-1).log()) / LSE_SHARPNESS
