"""CLIP (Radford et al. 2021) as the retrieval baselines see it: frames and sentences to vectors of one space.

`ClipBackbone` is Hugging Face's `CLIPModel` under Hugging Face's names, so that its weights and those of the
authors who built on it load as they are. Vectors are returned as the projections give them, not normalised: the
methods differ in where they normalise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import AutoTokenizer, CLIPConfig, CLIPModel, PreTrainedTokenizerBase

from baselines.backbones.blip2 import ConvStem
from ivcr_bench.errors import IvcrError

MAX_LOGIT_SCALE = math.log(100)
PAD_ID = 0
READ_AT_LARGEST = 2
"""The ``eos_token_id`` of old configurations, under which Hugging Face reads a text at its largest id."""


@dataclass(frozen=True)
class ClipConfig:
    """Sizes of a CLIP; the defaults are those of OpenAI's ViT-B/32.

    Attributes:
        width: of the space that both towers project into.
        max_text: rows of the text's position table.
        eos_token_id: the text is read at the first token of this id.
        stem: `linear` patches, or `conv`: 3x3 convolutions of stride 2, which learn much faster from scratch.
        tubelet: consecutive frames that are seen as one "frame" of 3 * tubelet channels, so that motion shows.
    """

    image_size: int = 224
    patch_size: int = 32
    vision_width: int = 768
    vision_layers: int = 12
    vision_heads: int = 12
    text_width: int = 512
    text_layers: int = 12
    text_heads: int = 8
    width: int = 512
    vocab_size: int = 49_408
    max_text: int = 77
    eos_token_id: int = 49_407
    stem: Literal["linear", "conv"] = "linear"
    tubelet: int = 1

    @classmethod
    def mini(cls, vocab_size: int, eos_token_id: int) -> ClipConfig:
        """A little over two million parameters for 56x56 frames; 7x7 patches as in ViT-B/32 at 224.

        Stem and tubelets are those of the small BLIP-2, so that the baselines differ in their method alone.
        """
        return cls(
            image_size=56, patch_size=8, vision_width=128, vision_layers=4, vision_heads=2,
            text_width=128, text_layers=4, text_heads=2, width=128, vocab_size=vocab_size, eos_token_id=eos_token_id,
            stem="conv", tubelet=4,
        )  # fmt: skip

    @classmethod
    def patch16(cls) -> ClipConfig:
        """OpenAI's ViT-B/16."""
        return cls(patch_size=16)

    @classmethod
    def of(cls, clip: ClipBackbone) -> ClipConfig:
        """The sizes of a backbone, whoever made it."""
        text: Any = clip.config.text_config
        vision: Any = clip.config.vision_config
        return cls(
            image_size=vision.image_size, patch_size=vision.patch_size, vision_width=vision.hidden_size,
            vision_layers=vision.num_hidden_layers, vision_heads=vision.num_attention_heads,
            text_width=text.hidden_size, text_layers=text.num_hidden_layers, text_heads=text.num_attention_heads,
            width=clip.width, vocab_size=text.vocab_size, max_text=text.max_position_embeddings,
            eos_token_id=text.vocab_size - 1 if text.eos_token_id == READ_AT_LARGEST else text.eos_token_id,
            stem=getattr(vision, "stem", "linear"), tubelet=vision.num_channels // 3,
        )  # fmt: skip

    def hugging_face(self) -> CLIPConfig:
        """As Hugging Face describes it.

        Raises:
            ValueError: ``eos_token_id`` is 2, under which Hugging Face reads the text at its largest id instead.
        """
        if self.eos_token_id == READ_AT_LARGEST:
            raise ValueError("eos_token_id is 2, which Hugging Face takes for the mark of an old configuration")
        text = {
            "hidden_size": self.text_width, "intermediate_size": 4 * self.text_width,
            "num_hidden_layers": self.text_layers, "num_attention_heads": self.text_heads,
            "vocab_size": self.vocab_size, "max_position_embeddings": self.max_text, "projection_dim": self.width,
            "eos_token_id": self.eos_token_id, "bos_token_id": None, "pad_token_id": PAD_ID,
        }  # fmt: skip
        vision = {
            "hidden_size": self.vision_width, "intermediate_size": 4 * self.vision_width,
            "num_hidden_layers": self.vision_layers, "num_attention_heads": self.vision_heads,
            "image_size": self.image_size, "patch_size": self.patch_size, "projection_dim": self.width,
            "num_channels": 3 * self.tubelet, "stem": self.stem,
        }  # fmt: skip
        return CLIPConfig(text_config=text, vision_config=vision, projection_dim=self.width)


class TextFeatures(NamedTuple):
    """A text in the shared space: ``sentence`` ``[texts, width]``, ``tokens`` ``[texts, length, width]``."""

    sentence: Tensor
    tokens: Tensor


class ClipBackbone(CLIPModel):
    """Both towers with their projections, and the learned logit scale."""

    def __init__(self, config: CLIPConfig) -> None:
        super().__init__(config)
        vision: Any = config.vision_config
        if getattr(vision, "stem", "linear") == "conv":
            stem = ConvStem(vision.num_channels, vision.hidden_size, vision.patch_size)
            self.vision_model.embeddings.register_module("patch_embedding", stem)

    @classmethod
    def build(cls, config: ClipConfig) -> ClipBackbone:
        """With fresh weights, on the current default device (`torch.device` as a context)."""
        return cls(config.hugging_face())

    @classmethod
    def load(cls, source: str | Path) -> ClipBackbone:
        """Read safetensors weights from this machine; nothing is downloaded.

        Args:
            source: a folder as `save_pretrained` writes it, or a Hugging Face name that is in the local cache.

        Raises:
            IvcrError: there is no such folder or cached name, or it holds no CLIP.
        """
        try:
            loaded: Any = cls.from_pretrained(
                str(source), local_files_only=True, use_safetensors=True, dtype=torch.float32, output_loading_info=True
            )
        except (OSError, ValueError, RuntimeError, SafetensorError) as error:
            raise _no_clip(source, str(error).splitlines()[0]) from None
        model, report = loaded
        if report["missing_keys"]:
            raise _no_clip(source, f"it lacks {min(report['missing_keys'])}")
        assert isinstance(model, cls)
        return model

    @property
    def width(self) -> int:
        """Of the shared space."""
        return self.visual_projection.out_features

    @property
    def text_heads(self) -> int:
        """Of the attention of the text tower."""
        heads: int = self.text_model.encoder.layers[0].self_attn.num_heads
        return heads

    @property
    def max_text(self) -> int:
        """Rows of the text's position table."""
        return self.text_model.embeddings.position_embedding.num_embeddings

    def frame_vectors(self, pixels: Tensor) -> Tensor:
        """One vector a frame: ``[videos, frames, width]``.

        Args:
            pixels: ``[videos, frames, 3 * tubelet, height, width]``.
        """
        pooled = self.vision_model(pixel_values=pixels.flatten(0, 1)).pooler_output
        return self.visual_projection(pooled).unflatten(0, pixels.shape[:2])

    def frame_tokens(self, pixels: Tensor) -> Tensor:
        """All tokens of each frame, the first of which is its vector: ``[videos, frames, 1 + patches, width]``."""
        hidden = self.vision_model(pixel_values=pixels.flatten(0, 1)).last_hidden_state
        normed = self.vision_model.post_layernorm(hidden)
        return self.visual_projection(normed).unflatten(0, pixels.shape[:2])

    def text_features(self, input_ids: Tensor, mask: Tensor) -> TextFeatures:
        """Sentence and tokens of ids and mask ``[texts, length]``, as `tokenize` gives them."""
        out = self.text_model(input_ids=input_ids, attention_mask=mask)
        return TextFeatures(self.text_projection(out.pooler_output), self.text_projection(out.last_hidden_state))

    def sentence_vectors(self, input_ids: Tensor, mask: Tensor) -> Tensor:
        """One vector a text: ``[texts, width]``."""
        return self.text_projection(self.text_model(input_ids=input_ids, attention_mask=mask).pooler_output)

    def scale(self) -> Tensor:
        """What cosines are multiplied by: the exponential of ``logit_scale``."""
        return self.logit_scale.exp()

    @torch.no_grad()
    def clamp_logit_scale(self) -> None:
        """Keep the scale at 100 or below; to be called once a training step.

        In place, not in the forward pass: OpenAI's value lies a hair above the bound, where a clamp has no gradient.
        """
        self.logit_scale.clamp_(max=MAX_LOGIT_SCALE)

    def freeze_embeddings(self) -> None:
        """Train neither patch convolution nor tables nor the first norm: CLIP4Clip's ``freeze_layer_num 0``."""
        for module in (self.vision_model.embeddings, self.vision_model.pre_layrnorm, self.text_model.embeddings):
            module.requires_grad_(False)


def _no_clip(source: str | Path, reason: str) -> IvcrError:
    hint = "name a folder with config.json and model.safetensors, or fetch it with `hf download`"
    return IvcrError(f"{source}: no CLIP here: {reason}", hint=hint)


def load_tokenizer(source: str | Path) -> PreTrainedTokenizerBase:
    """The tokenizer in a folder, or of a Hugging Face name that is in the local cache; it cuts long texts in front.

    The end of a dialogue says what is wanted, so the beginning is what may be lost.

    Raises:
        IvcrError: there is none.
    """
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(str(source), local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise IvcrError(f"{source}: no tokenizer here: {str(error).splitlines()[0]}") from None
    tokenizer.truncation_side = "left"
    assert isinstance(tokenizer, PreTrainedTokenizerBase)
    return tokenizer


def tokenize(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], longest: int) -> tuple[Tensor, Tensor]:
    """Ids and mask ``[texts, length]``: begin, the tokens of the lower-cased text, end, then zeros.

    Args:
        tokenizer: one with begin and end tokens; on which side it cuts a text that is too long is its own affair.
        texts: at least one.
        longest: tokens of a text, begin and end included.
    """
    begin, end = tokenizer.bos_token_id, tokenizer.eos_token_id
    plain = tokenizer(
        [text.lower() for text in texts],
        add_special_tokens=False,
        truncation=True,
        max_length=longest - 2,
        return_attention_mask=False,
    )["input_ids"]
    rows = [torch.tensor([begin, *ids, end]) for ids in plain]
    mask = nn.utils.rnn.pad_sequence([torch.ones_like(row) for row in rows], batch_first=True)
    return nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=PAD_ID), mask
