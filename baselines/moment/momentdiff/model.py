"""MomentDiff: the condition generator, the denoiser, and sampling."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from baselines.moment.detr import (
    ClipBatch,
    DecoderInput,
    DecoderLayer,
    Encoder,
    LayerConfig,
    Mlp,
    TextToVideoLayer,
    clip_positions,
    in_seconds,
    initialise_transformer,
    input_projection,
    inverse_sigmoid,
    padding_pairs,
    prepend,
    prepend_true,
    ranked_edges,
    span_code,
)
from baselines.moment.momentdiff.config import MomentDiffConfig
from baselines.moment.momentdiff.diffusion import denoising_step, query_noise, sampling_times, to_span
from baselines.moment.spans import ClipGrid

TIME_CODE_WEIGHT = 0.1
NOT_USED = re.compile(
    r"txt_position_embed\.|contrastive_align_projection_(query|txt)\."
    r"|transformer\.(\w+$|t2v_encoder\.layers\.\d+\.self_attn_new\.|diffusion_decoder\.(bbox_embed|ref_anchor_head)\.)"
    r"|transformer\.diffusion_decoder\.layers\.\d+\.(sa_|self_attn\.|norm1\.)"
)
"""What takes part in nothing in the authors' checkpoints, and the tables of the noise schedule."""


@dataclass(frozen=True)
class Words:
    """The query: ``rows`` ``[batch, words, width]``, and which there are, ``[batch, words]``."""

    rows: Tensor
    mask: Tensor

    def roll(self) -> Words:
        """The query of the next sample of the batch."""
        return Words(self.rows.roll(-1, 0), self.mask.roll(-1, 0))


@dataclass(frozen=True)
class Proposals:
    """What the denoiser makes of noisy spans.

    Attributes:
        logits: moment or not, of every decoder layer, ``[layers, batch, proposals, 2]``.
        spans: (centre, width) as fractions of the film, of the same shape.
    """

    logits: Tensor
    spans: Tensor


class WordAttentionLayer(TextToVideoLayer):
    """A text-to-video layer with ordinary attention."""

    def __init__(self, config: LayerConfig) -> None:
        super().__init__(config)
        self.self_attn = nn.MultiheadAttention(config.width, config.heads, config.dropout, batch_first=True)

    def forward(self, video: Tensor, positions: Tensor, words: Words, blocked: Tensor | None) -> Tensor:
        """Clips ``[batch, clips, width]`` with what they take from the words."""
        attended, _ = self.self_attn(
            video + positions,
            words.rows,
            words.rows,
            key_padding_mask=~words.mask,
            attn_mask=blocked,
            need_weights=False,
        )
        return self.merge(video, attended)


class WordEncoder(nn.Module):
    """The layers in which clips attend to words."""

    def __init__(self, config: LayerConfig, layers: int, mask_leak: bool) -> None:
        super().__init__()
        self.heads, self.mask_leak = config.heads, mask_leak
        self.layers = nn.ModuleList(WordAttentionLayer(config) for _ in range(layers))

    def forward(self, clips: DecoderInput, words: Words) -> Tensor:
        """Clips ``[batch, clips, width]`` that know the words."""
        blocked = padding_pairs(clips.mask, words.mask, self.heads).flatten(0, 1) if self.mask_leak else None
        video = clips.memory
        for layer in self.layers:
            video = layer(video, clips.positions, words, blocked)
        return video


class SpanDenoiser(nn.Module):
    """Proposals look at the clips around their noisy spans, each for itself."""

    def __init__(self, config: LayerConfig, layers: int) -> None:
        super().__init__()
        width = config.width
        self.layers = nn.ModuleList(
            DecoderLayer(config, Mlp(width, width, width, width), first=not i, self_attention=False)
            for i in range(layers)
        )
        self.norm = nn.LayerNorm(width)
        self.query_scale = Mlp(width, width, width)
        self.ref_point_head = Mlp(width, width)
        self.noise_embed = Mlp(2, width)

    def forward(self, spans: Tensor, times: Tensor, clips: DecoderInput) -> Tensor:
        """States ``[layers, batch, proposals, width]`` of (centre, width) ``spans`` at ``times`` ``[batch]``."""
        width = clips.memory.shape[-1]
        spans = inverse_sigmoid(spans).sigmoid().to(clips.memory.dtype)
        x = self.noise_embed(spans) + TIME_CODE_WEIGHT * time_code(times, width)[:, None].to(spans)
        code = span_code(spans, width)
        positions, states = self.ref_point_head(code), []
        for number, layer in enumerate(self.layers):
            sine = code * self.query_scale(x) if number else code
            x = layer(x, positions, sine, clips)
            states.append(self.norm(x))
        return torch.stack(states)


def time_code(times: Tensor, width: int) -> Tensor:
    """Sines, then cosines, of ``times`` ``[batch]`` at geometric frequencies: ``[batch, width]``."""
    half = width // 2
    frequencies = torch.exp(-math.log(10000) * torch.arange(half, device=times.device) / (half - 1))
    angles = times[:, None] * frequencies
    return torch.cat((angles.sin(), angles.cos()), -1)


class DiffusionTransformer(nn.Module):
    """What the authors' checkpoints hold under ``transformer``."""

    def __init__(self, config: MomentDiffConfig) -> None:
        super().__init__()
        self.t2v_encoder = WordEncoder(config.layer, config.encoder_layers, config.legacy_mask_leak)
        self.encoder = Encoder(config.layer, config.encoder_layers)
        self.diffusion_decoder = SpanDenoiser(config.layer, config.decoder_layers)
        self.diff_span_embed = Mlp(config.width, 2)
        self.diff_class_embed = nn.Linear(config.width, 2)
        initialise_transformer(self)


class MomentDiff(nn.Module):
    """Call it on a `ClipBatch` whose video has endpoints, with noise from `query_noise`."""

    def __init__(self, config: MomentDiffConfig) -> None:
        super().__init__()
        self.config, width = config, config.width
        self.input_vid_proj = input_projection(config.video_width, width, config.input_dropout)
        self.input_txt_proj = input_projection(config.text_width, width, config.input_dropout)
        self.global_rep_token = nn.Parameter(torch.randn(width))
        self.global_rep_pos = nn.Parameter(torch.randn(width))
        self.transformer = DiffusionTransformer(config)
        self.contrastive_align_projection_vid = nn.Linear(width, 1)

    def forward(self, batch: ClipBatch, noise: Tensor) -> Proposals:
        """Denoise spans for each query of the batch; ``noise`` is ``[steps, batch, proposals, 2]``."""
        clips = self.condition(self.project_clips(batch), self.project_words(batch))
        times, noisy = sampling_times(self.config.steps), noise[0].double()
        following = dict(pairwise(times))
        for step, time in enumerate(times):
            at = torch.full((len(batch),), time, device=noisy.device)
            proposals = self.denoise(to_span(self.config, noisy), at, clips)
            if time in following:
                spans = proposals.spans[-1].double()
                noisy = denoising_step(self.config, noisy, spans, time, following[time], noise[step + 1])
        return proposals

    @torch.inference_mode()
    def localise(
        self, batch: ClipBatch, grids: Sequence[ClipGrid], query_ids: Sequence[str], seed: int = 0
    ) -> list[Tensor]:
        """Moments of each query, best first: float64 rows of (start, end, score), in seconds.

        They are sampled; those of a query depend on its id and ``seed``, and on nothing else of its batch.
        """
        noise = query_noise(self.config, query_ids, seed).to(batch.video.device)
        found = self(batch, noise)
        return in_seconds(ranked_edges(found.logits[-1], found.spans[-1]), grids)

    def project_clips(self, batch: ClipBatch) -> DecoderInput:
        """Clips that do not know the query."""
        positions = clip_positions(batch.video_mask, self.config.width)
        return DecoderInput(self.input_vid_proj(batch.video), positions, batch.video_mask)

    def project_words(self, batch: ClipBatch) -> Words:
        """The words of the queries."""
        return Words(self.input_txt_proj(batch.text), batch.text_mask)

    def condition(self, clips: DecoderInput, words: Words) -> DecoderInput:
        """Clips that know the query; film and query need not belong together."""
        encoded = self.transformer.encoder(
            prepend(self.global_rep_token, self.transformer.t2v_encoder(clips, words)),
            prepend(self.global_rep_pos, clips.positions),
            prepend_true(clips.mask),
        )
        return DecoderInput(encoded[:, 1:], clips.positions, clips.mask)

    def saliency(self, clips: DecoderInput) -> Tensor:
        """How well each clip fits the query that it knows, logits ``[batch, clips]``."""
        return self.contrastive_align_projection_vid(clips.memory).squeeze(-1)

    def denoise(self, spans: Tensor, times: Tensor, clips: DecoderInput) -> Proposals:
        """Clean spans from noisy ones ``[batch, proposals, 2]`` at ``times`` ``[batch]``."""
        states = self.transformer.diffusion_decoder(spans, times, clips)
        clean = self.transformer.diff_span_embed(states).sigmoid()
        return Proposals(self.transformer.diff_class_embed(states), clean)


def convert_checkpoint(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The authors' ``model`` state dict (also one saved under `nn.DataParallel`) as that of `MomentDiff`."""
    names = {name: name.removeprefix("module.") for name in state}
    return {new: state[old] for old, new in names.items() if not NOT_USED.match(new)}
