"""TS2-Net (Liu et al., ECCV 2022, arXiv 2207.07852): token shift and token selection on top of CLIP4Clip.

In the last two layers of the image tower some patches are read from the frame before or after. Of each frame's
tokens three soft mixtures are kept beside its class token; all go through CLIP4Clip's temporal transformer, and the
frames are weighed by how well each matches the text.

Module names are those of the authors' checkpoints, but for the inside of ``clip`` (`baselines.retrieval.checkpoints`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.retrieval.clip_backbone import ClipBackbone, ClipConfig
from baselines.retrieval.losses import symmetric_cross_entropy
from baselines.retrieval.perturbed_topk import hard_topk, perturbed_topk
from baselines.retrieval.protocol import Block, Encoded, Padding, in_blocks
from baselines.retrieval.temporal import INITIAL_STD, TemporalTransformer, copy_text_tower, initialise

SHIFTED_LAYERS = 2
SHARPNESS = 4.0
MASKED = -1e18


@dataclass(frozen=True)
class Ts2NetConfig:
    """What shapes the model.

    Attributes:
        clip: sizes of the backbone.
        frames: of a film; exactly as many must be given, with zeros and a mask where there are fewer.
        words: tokens of a text, begin and end included.
        layers: of the temporal transformer.
        selected: tokens kept of each frame beside its class token.
        samples, sigma: of the noisy choices that are averaged.
        selection: ``sample`` as the authors do, also when scoring; or ``hard``, the highest scores, when scoring.
        masks: ``fixed``, or ``upstream``: the mask is laid out for another order of tokens, so that films with
            padding are masked in the wrong places.
        activation: of a token's score: ``tanh``, or the ``softmax`` over one element, always 1, that the code
            had until July 2022 and that checkpoints of that time were trained with.
        scorer_std: deviation of the last weights of the scorer at the start; at the authors' 0.02 the scores
            of a small model differ by less than the noise.
        seed: of the noise when scoring.
    """

    clip: ClipConfig
    frames: int = 12
    words: int = 32
    layers: int = 4
    selected: int = 3
    samples: int = 500
    sigma: float = 0.05
    selection: Literal["sample", "hard"] = "sample"
    masks: Literal["fixed", "upstream"] = "fixed"
    activation: Literal["tanh", "softmax"] = "tanh"
    scorer_std: float = INITIAL_STD
    seed: int = 0

    @classmethod
    def paper(cls) -> Ts2NetConfig:
        """ViT-B/32 and the authors' sizes; 77 words, since IVCR's queries are longer than MSR-VTT's captions."""
        return cls(ClipConfig(), words=77)

    @classmethod
    def mini(cls, vocab_size: int, eos_token_id: int) -> Ts2NetConfig:
        """For IVCR-Mini on a CPU."""
        clip = ClipConfig.mini(vocab_size, eos_token_id)
        return cls(clip, frames=12, words=77, layers=2, samples=100, scorer_std=0.1)


class TokenScorer(nn.Module):
    """A score for each token, from itself and the class token of its frame."""

    def __init__(self, config: Ts2NetConfig, width: int) -> None:
        super().__init__()
        self.activation = config.activation
        self.in_conv = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width // 2, bias=False), nn.GELU())
        self.out_conv = nn.Sequential(
            nn.Linear(width, width // 2, bias=False), nn.GELU(), nn.Linear(width // 2, 1, bias=False)
        )
        initialise(self.in_conv)
        for weight in self.out_conv.parameters():
            nn.init.normal_(weight, std=config.scorer_std)

    def forward(self, tokens: Tensor) -> Tensor:
        """``[frames, tokens]`` of ``[frames, tokens, width]``, the class token first."""
        own = self.in_conv(tokens)
        scores = self.out_conv(torch.cat([own, own[:, :1].expand_as(own)], -1)).squeeze(-1)
        return scores.tanh() if self.activation == "tanh" else torch.ones_like(scores)


class TokenSelector(nn.Module):
    """Keeps the class token and a few mixtures of the others."""

    def __init__(self, config: Ts2NetConfig, width: int) -> None:
        super().__init__()
        self.config = config
        self.score_predictor = TokenScorer(config, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """``[frames, 1 + selected, width]`` of ``[frames, tokens, width]``."""
        choice = self._choice(self.score_predictor(tokens)[:, 1:].float()).to(tokens.dtype)
        return torch.cat([tokens[:, :1], choice @ tokens[:, 1:]], 1)

    def _choice(self, scores: Tensor) -> Tensor:
        config = self.config
        if config.selection == "hard" and not self.training:
            return hard_topk(scores, config.selected)
        return perturbed_topk(scores, self._noise(scores), config.selected, config.sigma)

    def _noise(self, scores: Tensor) -> Tensor:
        """Fresh for each frame in training; when scoring the same for all, so that a film's batch does not count."""
        rows, entries = scores.shape
        if self.training:
            return torch.randn(rows, self.config.samples, entries, device=scores.device)
        generator = torch.Generator().manual_seed(self.config.seed)
        return torch.randn(self.config.samples, entries, generator=generator, device="cpu").to(scores.device)


class Ts2Net(nn.Module):
    """The model; texts are encoded as ``vectors`` ``[texts, width]``.

    Videos are encoded as ``frames`` ``[videos, frames, width]``, normalised, and ``mask`` ``[videos, frames]``.
    """

    padding: Padding = "zeros"
    block = Block(texts=256, videos=512)

    def __init__(self, config: Ts2NetConfig, clip: ClipBackbone) -> None:
        super().__init__()
        self.config, self.clip = config, clip
        shift_attention(clip, config.frames)
        self.frame_position_embeddings = nn.Embedding(clip.max_text, clip.width)
        self.transformerClip = TemporalTransformer(clip.width, clip.text_heads, config.layers)
        self.visual_token_selector = TokenSelector(config, clip.width)
        initialise(self.transformerClip)
        copy_text_tower(clip, self.frame_position_embeddings, self.transformerClip)

    def encode_texts(self, input_ids: Tensor, mask: Tensor) -> Encoded:
        """Sentence vectors of ids and mask ``[texts, length]``."""
        return Encoded(vectors=self.clip.sentence_vectors(input_ids, mask))

    def encode_frames(self, pixels: Tensor, mask: Tensor | None = None) -> Encoded:
        """What the backbone alone makes of films: ``tokens`` ``[videos, frames, tokens, width]`` and ``mask``.

        Raises:
            ValueError: the films do not have exactly as many frames as the model.
        """
        if pixels.shape[1] != self.config.frames:
            raise ValueError(f"films of {pixels.shape[1]} frames, expected {self.config.frames}")
        tokens = self.clip.frame_tokens(pixels)
        return Encoded(tokens=tokens, mask=tokens.new_ones(tokens.shape[:2]) if mask is None else mask)

    def encode_videos(self, pixels: Tensor, mask: Tensor | None = None) -> Encoded:
        """Films ``[videos, frames, 3, height, width]``, missing frames zero and masked."""
        return self.index(self.encode_frames(pixels, mask))

    def index(self, films: Encoded) -> Encoded:
        """What the head makes of films (`encode_frames`) before it knows a text."""
        tokens = films["tokens"]
        selected = self.visual_token_selector(tokens.flatten(0, 1)).unflatten(0, tokens.shape[:2])
        return self.index_selected(selected, films["mask"])

    def index_selected(self, selected: Tensor, mask: Tensor) -> Encoded:
        """As `index`, from tokens ``[videos, frames, 1 + selected, width]`` that are already selected."""
        frames, each = selected.shape[1:3]
        if self.config.masks == "fixed":
            token_mask, frame_mask = mask.repeat_interleave(each, 1), mask
        else:
            token_mask = mask.repeat(1, each)
            frame_mask = token_mask[:, ::each]
        x = selected.flatten(1, 2)
        y = self.transformerClip(x + self.frame_position_embeddings.weight[: frames * each], token_mask) + x
        return Encoded(frames=F.normalize(y[:, ::each], dim=-1), mask=frame_mask)

    def similarity(self, texts: Encoded, videos: Encoded, block: Block | None = None) -> Tensor:
        """Scaled cosines ``[texts, videos]``, averaged over frames by how well each matches the text."""
        return self.clip.scale() * in_blocks(frame_softmax, texts, videos, block or self.block)

    def loss(self, texts: Encoded, videos: Encoded, positive: Tensor | None = None) -> Tensor:
        """Symmetric InfoNCE."""
        self.clip.clamp_logit_scale()
        return symmetric_cross_entropy(self.similarity(texts, videos), positive)


def frame_softmax(texts: Encoded, videos: Encoded) -> Tensor:
    """Cosines ``[texts, videos]`` as an average over frames, weighed by a softmax of the normalised cosines."""
    # Frames come first, so that what is done to each pair runs over adjacent films: half the time of frames last.
    frames, mask = videos["frames"].transpose(0, 1), videos["mask"].T[:, None]
    cosines = F.normalize(texts["vectors"], dim=-1) @ frames.transpose(1, 2)
    weights = F.normalize(cosines * mask, dim=0).masked_fill(mask == 0, MASKED)
    return ((SHARPNESS * weights).softmax(0) * cosines).sum(0)


def shift_attention(clip: ClipBackbone, frames: int) -> None:
    """Let the attention of the last two layers of the image tower read shifted tokens; names stay as they are."""
    for layer in clip.vision_model.encoder.layers[-SHIFTED_LAYERS:]:
        layer.self_attn.register_forward_pre_hook(partial(_shift_hook, frames=frames), with_kwargs=True)


def _shift_hook(module: nn.Module, args: Any, kwargs: dict[str, Any], *, frames: int) -> tuple[Any, dict[str, Any]]:
    return args, kwargs | {"hidden_states": shift_tokens(kwargs["hidden_states"], frames)}


def shift_tokens(x: Tensor, frames: int) -> Tensor:
    """Some tokens of each frame exchanged for those of its neighbours; first and last frame keep what they have.

    Args:
        x: ``[videos * frames, tokens, width]``, the class token first.
        frames: of a film.
    """
    films = x.unflatten(0, (-1, frames))
    from_before, from_after = shifted_places(x.shape[1])
    shifted = films.clone()
    shifted[:, 1:, from_before] = films[:, :-1, from_before]
    shifted[:, :-1, from_after] = films[:, 1:, from_after]
    return shifted.flatten(0, 1)


def shifted_places(tokens: int) -> tuple[list[int], list[int]]:
    """Which of ``tokens`` places are read from the frame before, and which from the frame after.

    With 50 tokens (a grid of 7x7) these are the first and the fourth column.

    Raises:
        ValueError: there are fewer than 7 tokens.
    """
    if tokens < 7:
        raise ValueError(f"{tokens} tokens in a frame, expected at least 7 for a token shift")
    fold = tokens // 7
    from_after = list(range(4, tokens, fold))
    return [place for place in range(1, tokens, fold) if place not in from_after], from_after
