"""BLIP-2's first stage (Li et al., ICML 2023, arXiv 2301.12597) as a retriever of films.

Its contrastive head (ITC) scores every film; its matching head (ITM), which sees text and film together, orders the
best of them again, as LAVIS does for images. LAVIS has no films: how frames become one score is an option, and
`frame_mean`, the score of an image averaged over frames, is the default. No pooling knows the order of frames.

Under ``blip2.`` parameters bear the names of Hugging Face's `Blip2ForImageTextRetrieval`; LAVIS's are renamed
(`lavis_names`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedTokenizerBase

from baselines.backbones import blip2_losses as losses
from baselines.backbones.blip2 import TEMPERATURES, Blip2RetrieverConfig, Blip2VideoRetriever, Pooling, score_itc
from baselines.backbones.frames import uniform_starts
from baselines.retrieval.protocol import Block, Encoded, Padding, in_blocks

BELOW = 100.0
"""Taken off the score of a film that was not matched; LAVIS gives all of those -100 instead, and so no order."""


@dataclass(frozen=True)
class Blip2Config:
    """What shapes the model and its scores.

    Attributes:
        blip2: sizes of the backbone.
        frames: of a film.
        words: tokens of a text.
        pooling: of the frames for the contrastive score.
        matched: so many films, best by the contrastive score, are ordered by the matching head; 0 for none.
        matching: of the frames: ``concat``, all of them keys of one pass (BLIP's way with films), or
            ``frame_mean``, the mean of a pass a frame.
        matching_frames: of the film's frames so many, uniform over it, are seen by the matching head.
        itm_weight: of the matching loss beside the contrastive one; 0 leaves it out.
        separator: whether a text ends in [SEP], as the published models were trained.
    """

    blip2: Blip2RetrieverConfig
    frames: int = 12
    words: int = 128
    pooling: Pooling = "frame_mean"
    matched: int = 10
    matching: Literal["concat", "frame_mean"] = "concat"
    matching_frames: int = 4
    itm_weight: float = 1.0
    separator: bool = True

    @classmethod
    def paper(cls) -> Blip2Config:
        """EVA-CLIP ViT-g and a Q-Former of BERT's size."""
        return cls(Blip2RetrieverConfig())

    @classmethod
    def mini(cls, vocab_size: int) -> Blip2Config:
        """For IVCR-Mini on a CPU, on the BLIP-2 that InterLLaVA's first phase trains.

        Nothing is matched: a matching head of this size orders the best films worse (docs/retrieval.md).
        """
        return cls(Blip2RetrieverConfig.mini(vocab_size), words=96, matched=0, separator=False)


class Blip2(nn.Module):
    """The model; texts are encoded as ``vectors`` ``[texts, width]``, ``input_ids`` and ``mask`` ``[texts, words]``.

    Videos are encoded as ``itc`` ``[videos, frames, queries, width]``, and if films are to be matched ``tokens``
    ``[videos, matching frames, patches, vision width]``.
    """

    padding: Padding = "repeat"
    block = Block(texts=64, videos=64)

    def __init__(self, config: Blip2Config, blip2: Blip2VideoRetriever) -> None:
        super().__init__()
        self.config, self.blip2 = config, blip2

    def encode_texts(self, input_ids: Tensor, mask: Tensor) -> Encoded:
        """Text vectors of ids and mask ``[texts, length]``, and the ids themselves for the matching head."""
        missing = (0, self.config.words - input_ids.shape[1])
        vectors = self.blip2.encode_text(input_ids, mask)
        return Encoded(vectors=vectors, input_ids=F.pad(input_ids, missing), mask=F.pad(mask, missing))

    def encode_frames(self, pixels: Tensor, mask: Tensor | None = None) -> Encoded:
        """What the backbone makes of films.

        Raises:
            ValueError: ``mask`` hides a frame, which the method has no way to leave out.
        """
        if mask is not None and not mask.all():
            raise ValueError("a masked frame: this method has no frame mask, repeat the last frame instead")
        found = self.blip2.encode_frames(pixels)
        films = Encoded(itc=found.itc)
        if not (self.config.matched or (self.training and self.config.itm_weight)):
            return films
        places = uniform_starts(pixels.shape[1], min(self.config.matching_frames, pixels.shape[1]))
        return films.with_(tokens=found.tokens[:, torch.from_numpy(places).to(pixels.device)])

    def encode_videos(self, pixels: Tensor, mask: Tensor | None = None) -> Encoded:
        """Films ``[videos, frames, 3 * tubelet, height, width]`` without padding."""
        return self.index(self.encode_frames(pixels, mask))

    def index(self, films: Encoded) -> Encoded:
        """Films as they are: there is nothing more to do before a text is known."""
        return films

    def similarity(self, texts: Encoded, videos: Encoded, block: Block | None = None) -> Tensor:
        """For each text the matching logit plus the cosine of its best films, for others the cosine less `BELOW`.

        Without ``matched`` films, cosines alone: ``[texts, videos]``.
        """
        block = block or self.block
        cosines = in_blocks(self._itc, texts, videos, block)
        depth = min(self.config.matched, len(videos))
        if not depth or not len(texts):
            return cosines
        best = cosines.topk(depth).indices
        rows = torch.arange(len(texts), device=best.device).repeat_interleave(depth)
        pairs = zip(rows.split(block.texts), best.flatten().split(block.texts), strict=True)
        matches = torch.cat([self.match(texts.rows(some), videos.rows(films)) for some, films in pairs])
        scores = cosines - BELOW
        return scores.scatter(1, best, cosines.gather(1, best) + matches.view_as(best))

    def match(self, texts: Encoded, videos: Encoded) -> Tensor:
        """The logit that text ``i`` is about video ``i``: ``[pairs]``."""
        return self._match_logits(texts, videos)[:, 1]

    def loss(self, texts: Encoded, videos: Encoded, positive: Tensor | None = None) -> Tensor:
        """Contrast of film scores, and matching of each pair, of a hard wrong film and of a hard wrong text."""
        if positive is None:
            positive = torch.eye(len(texts), dtype=torch.bool, device=texts["vectors"].device)
        with torch.no_grad():
            self.blip2.temp.clamp_(*TEMPERATURES)
        cosines = self._itc(texts, videos)
        total = losses.contrast(cosines, self.blip2.temp, positive)
        if self.config.itm_weight:
            total = total + self.config.itm_weight * self._matching_loss(texts, videos, cosines.detach(), positive)
        return total

    def _matching_loss(self, texts: Encoded, videos: Encoded, cosines: Tensor, positive: Tensor) -> Tensor:
        logits = cosines / self.blip2.temp.detach()
        wrong_videos = losses.draw_negatives(logits, positive)
        wrong_texts = losses.draw_negatives(logits.T, positive.T)
        own = torch.arange(len(texts), device=cosines.device)
        pairs = texts.rows(torch.cat([own, own, wrong_texts])), videos.rows(torch.cat([own, wrong_videos, own]))
        return losses.itm_loss(self._match_logits(*pairs), positives=len(texts))

    def _match_logits(self, texts: Encoded, videos: Encoded) -> Tensor:
        longest = int(texts["mask"].sum(1).max())
        ids, mask = texts["input_ids"][:, :longest], texts["mask"][:, :longest]
        tokens = videos["tokens"]
        if self.config.matching == "concat":
            return self.blip2.score_itm(tokens, ids, mask)
        frames = tokens.shape[1]
        each = self.blip2.score_itm(
            tokens.flatten(0, 1)[:, None], ids.repeat_interleave(frames, 0), mask.repeat_interleave(frames, 0)
        )
        return each.unflatten(0, (-1, frames)).mean(1)

    def _itc(self, texts: Encoded, videos: Encoded) -> Tensor:
        return score_itc(videos["itc"], texts["vectors"], self.config.pooling)


def tokenize(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], longest: int, separator: bool
) -> tuple[Tensor, Tensor]:
    """Ids and mask ``[texts, length]``: [CLS], the tokens of the lower-cased text, [SEP] if wanted, then zeros."""
    end = [tokenizer.sep_token_id] if separator else []
    plain = tokenizer(
        [text.lower() for text in texts],
        add_special_tokens=False,
        truncation=True,
        max_length=longest - 1 - len(end),
        return_attention_mask=False,
    )["input_ids"]
    rows = [torch.tensor([tokenizer.cls_token_id, *ids, *end]) for ids in plain]
    mask = nn.utils.rnn.pad_sequence([torch.ones_like(row) for row in rows], batch_first=True)
    return nn.utils.rnn.pad_sequence(rows, batch_first=True), mask


_OUTSIDE = (
    ("visual_encoder.cls_token", "vision_model.embeddings.class_embedding"),
    ("visual_encoder.pos_embed", "vision_model.embeddings.position_embedding"),
    ("visual_encoder.patch_embed.proj.", "vision_model.embeddings.patch_embedding."),
    ("visual_encoder.blocks.", "vision_model.encoder.layers."),
    ("ln_vision.", "vision_model.post_layernorm."),
    ("Qformer.bert.embeddings.word_embeddings.", "embeddings.word_embeddings."),
    ("Qformer.bert.embeddings.position_embeddings.", "embeddings.position_embeddings."),
    ("Qformer.bert.embeddings.LayerNorm.", "qformer.layernorm."),
    ("Qformer.bert.encoder.", "qformer.encoder."),
    ("Qformer.cls.predictions.bias", "lm_head.bias"),
    ("Qformer.cls.predictions.transform.dense.", "lm_head.dense."),
    ("Qformer.cls.predictions.transform.LayerNorm.", "lm_head.norm."),
    ("vision_proj.", "vision_projection."),
    ("text_proj.", "text_projection."),
)
_IN_BLOCK = (
    (".norm1.", ".layer_norm1."),
    (".norm2.", ".layer_norm2."),
    (".attn.qkv.", ".self_attn.qkv."),
    (".attn.proj.", ".self_attn.projection."),
    (".attention.self.", ".attention.attention."),
    (".crossattention.self.", ".crossattention.attention."),
)
_DEAD = ("Qformer.bert.embeddings.position_ids", "Qformer.cls.predictions.decoder.")
"""A buffer, and a decoder that shares the word embeddings."""
BIASES = (".attn.q_bias", ".attn.v_bias")


def lavis_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict of LAVIS under Hugging Face's names; what bears them already stays as it is.

    =========================================== =====================================================
    LAVIS                                       Hugging Face
    =========================================== =====================================================
    ``visual_encoder.cls_token``                ``vision_model.embeddings.class_embedding``
    ``visual_encoder.pos_embed``                ``vision_model.embeddings.position_embedding``
    ``visual_encoder.patch_embed.proj.``        ``vision_model.embeddings.patch_embedding.``
    ``visual_encoder.blocks.N.``                ``vision_model.encoder.layers.N.``
    in it: ``norm1``, ``norm2``                 ``layer_norm1``, ``layer_norm2``
    in it: ``attn.qkv``, ``attn.proj``          ``self_attn.qkv``, ``self_attn.projection``
    in it: ``attn.q_bias``, ``attn.v_bias``     ``self_attn.qkv.bias``, with zeros for the keys between
    ``ln_vision.``                              ``vision_model.post_layernorm.``
    ``Qformer.bert.embeddings.*_embeddings.``   ``embeddings.*_embeddings.``
    ``Qformer.bert.embeddings.LayerNorm.``      ``qformer.layernorm.``
    ``Qformer.bert.encoder.layer.N.``           ``qformer.encoder.layer.N.``
    in it: ``attention.self``                   ``attention.attention``, and so for ``crossattention``
    ``Qformer.cls.predictions.transform.``      ours: ``lm_head.dense.``, ``lm_head.norm.``
    ``Qformer.cls.predictions.bias``            ours: ``lm_head.bias``
    ``vision_proj.``, ``text_proj.``            ``vision_projection.``, ``text_projection.``
    =========================================== =====================================================
    """
    renamed = {}
    for name, value in state.items():
        if name.startswith(_DEAD) or name.endswith(BIASES):
            continue
        renamed[_renamed(name)] = value
    for name, value in state.items():
        if name.endswith(BIASES[0]):
            block = name.removesuffix(BIASES[0])
            whole = torch.cat([value, torch.zeros_like(value), state[block + BIASES[1]]])
            renamed[_renamed(block + ".attn.qkv.bias")] = whole
    return renamed


def _renamed(name: str) -> str:
    for theirs, ours in _OUTSIDE:
        if name.startswith(theirs):
            name = ours + name.removeprefix(theirs)
            break
    else:
        return name
    for theirs, ours in _IN_BLOCK:
        name = name.replace(theirs, ours)
    return name
