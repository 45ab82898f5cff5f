"""CG-DETR: the model, from clips and words to proposals, saliency and text engagement."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.moment.cg_detr.config import CgDetrConfig
from baselines.moment.cg_detr.transformer import CgTransformer, TextKeys
from baselines.moment.detr import (
    ClipBatch,
    DecoderInput,
    Encoder,
    Mlp,
    clip_positions,
    in_seconds,
    input_projection,
    inverse_sigmoid,
    prepend,
    prepend_true,
    ranked_edges,
)
from baselines.moment.spans import ClipGrid

VIDEO_TYPE, TEXT_TYPE = 1, 0
"""Rows of the token type table."""
NOT_USED = re.compile(r"txt_proj_linear\.|txt_position_embed\.")
"""Parameters of the authors' checkpoints that take part in nothing."""


@dataclass(frozen=True)
class Conditioned:
    """Clips that know the query.

    Attributes:
        memory: ``[batch, clips, width]``.
        saliency: the score of each clip, ``[batch, clips]``.
        weights: attention of the clips to dummies and words, ``[batch, clips, dummies + words]``.
        engagement: how much of it went to words, ``[batch, clips]``, between 0 and 1.
    """

    memory: Tensor
    saliency: Tensor
    weights: Tensor
    engagement: Tensor


@dataclass(frozen=True)
class Correlation:
    """What the correlation learner compares; it exists in training only.

    Attributes:
        moment, context: a token of the clips that are relevant, and of those that are not: ``[batch, width]``.
        relevant_frames, other_frames: the clips encoded with the one and with the other, ``[batch, clips, width]``.
        sentence, dummy_sentence: a token of the words and of the dummies: ``[batch, width]``.
        words: dummies and words, encoded with these, ``[batch, dummies + words, width]``.
    """

    moment: Tensor
    context: Tensor
    relevant_frames: Tensor
    other_frames: Tensor
    sentence: Tensor
    dummy_sentence: Tensor
    words: Tensor


@dataclass(frozen=True)
class CgDetrOutput:
    """What the model says of a batch.

    Attributes:
        logits: moment or not, of every decoder layer, ``[layers, batch, proposals, 2]``.
        spans: (centre, width) as fractions of the film, of the same shape.
        conditioned: the clips, with their saliency.
        clips: the clips before they saw the query.
        text: dummies and words.
    """

    logits: Tensor
    spans: Tensor
    conditioned: Conditioned
    clips: DecoderInput
    text: TextKeys


class CgDetr(nn.Module):
    """Call it on a `ClipBatch` whose video has endpoints (`ClipBatch.with_endpoints`)."""

    def __init__(self, config: CgDetrConfig) -> None:
        super().__init__()
        self.config, width = config, config.width
        self.input_vid_proj = input_projection(config.video_width, width, config.input_dropout)
        self.input_txt_proj = input_projection(config.text_width, width, config.input_dropout)
        self.token_type_embeddings = nn.Embedding(2, width)
        nn.init.normal_(self.token_type_embeddings.weight, std=0.02)
        self.global_rep_token = nn.Parameter(torch.randn(config.prompts, width))
        self.global_rep_pos = nn.Parameter(torch.randn(1, width))
        self.moment_rep_token = nn.Parameter(torch.randn(width))
        self.moment_rep_pos = nn.Parameter(torch.randn(width))
        self.dummy_rep_token = nn.Parameter(torch.randn(config.dummies, width))
        self.dummy_rep_pos = nn.Parameter(torch.randn(config.dummies, width))
        self.sent_rep_token = nn.Parameter(torch.randn(width))
        self.sent_rep_pos = nn.Parameter(torch.randn(width))
        self.txtproj_encoder = Encoder(config.layer, config.dummy_layers)
        self.scls_encoder = Encoder(config.layer, config.sentence_layers)
        self.transformer = CgTransformer(config)
        self.query_embed = nn.Embedding(config.proposals, 2)
        self.span_embed = Mlp(width, width, width, 2)
        self.class_embed = nn.Linear(width, 2)
        self.saliency_proj1 = nn.Linear(width, width)
        self.saliency_proj2 = nn.Linear(width, width)

    def forward(self, batch: ClipBatch) -> CgDetrOutput:
        """Proposals and saliency for each query of the batch."""
        clips, text = self._project_clips(batch), self._text_keys(batch)
        conditioned = self.condition(clips, text)
        start = self.query_embed.weight.sigmoid().expand(len(batch), -1, -1)
        memory = DecoderInput(conditioned.memory, clips.positions, clips.mask)
        states, starts = self.transformer.decoder(start, memory)
        spans = (self.span_embed(states) + inverse_sigmoid(starts)).sigmoid()
        return CgDetrOutput(self.class_embed(states), spans, conditioned, clips, text)

    @torch.inference_mode()
    def localise(self, batch: ClipBatch, grids: Sequence[ClipGrid]) -> list[Tensor]:
        """Moments of each query, best first: float64 rows of (start, end, score), in seconds."""
        output = self(batch)
        return in_seconds(ranked_edges(output.logits[-1], output.spans[-1]), grids)

    def condition(self, clips: DecoderInput, text: TextKeys) -> Conditioned:
        """Let the clips attend to the text, and score them; film and text need not belong together."""
        video, weights = self.transformer.t2v_encoder(clips, text)
        words = weights[..., text.dummies :]
        token = self._saliency_token(clips, words.sum(-1).detach())
        encoded = self.transformer.encoder(
            torch.cat((token[:, None], video), 1),
            prepend(self.global_rep_pos, clips.positions),
            prepend_true(clips.mask),
        )
        memory, whole = encoded[:, 1:] + encoded[:, :1], encoded[:, 0]
        saliency = (self.saliency_proj1(memory) * self.saliency_proj2(whole)[:, None]).sum(-1)
        engagement = (words * text.mask[:, None, text.dummies :]).sum(-1).clamp(0, 1)
        return Conditioned(memory, saliency / self.config.width**0.5, weights, engagement)

    def correlate(self, output: CgDetrOutput, relevant: Tensor) -> Correlation:
        """Tokens of moments and sentences; ``relevant`` says which clips belong to the moment, ``[batch, clips]``."""
        clips, text = output.clips, output.text
        encode, placed = self.transformer.mcls_encoder, prepend(self.moment_rep_pos, clips.positions)
        with_token = prepend(self.moment_rep_token, clips.memory)
        inside = encode(with_token, placed, prepend_true(clips.mask & relevant))
        outside = encode(with_token, placed, prepend_true(clips.mask & ~relevant))
        dummies, words = (
            self.scls_encoder(
                prepend(self.sent_rep_token, text.rows[:, rows]),
                prepend(self.sent_rep_pos, text.positions[:, rows]),
                prepend_true(text.mask[:, rows]),
            )
            for rows in (slice(text.dummies), slice(text.dummies, None))
        )
        return Correlation(
            moment=inside[:, 0],
            context=outside[:, 0],
            relevant_frames=inside[:, 1:],
            other_frames=outside[:, 1:],
            sentence=words[:, 0],
            dummy_sentence=dummies[:, 0],
            words=torch.cat((dummies[:, 1:], words[:, 1:]), 1),
        )

    def _project_clips(self, batch: ClipBatch) -> DecoderInput:
        rows = self.input_vid_proj(batch.video) + self.token_type_embeddings.weight[VIDEO_TYPE]
        return DecoderInput(rows, clip_positions(batch.video_mask, self.config.width), batch.video_mask)

    def _text_keys(self, batch: ClipBatch) -> TextKeys:
        words = self.input_txt_proj(batch.text) + self.token_type_embeddings.weight[TEXT_TYPE]
        dummies = self.config.dummies
        positions = prepend(self.dummy_rep_pos, torch.zeros_like(words))
        mask = prepend_true(batch.text_mask, dummies)
        encoded = self.txtproj_encoder(prepend(self.dummy_rep_token, words), positions, mask)
        return TextKeys(torch.cat((encoded[:, :dummies], words), 1), positions, mask, dummies)

    def _saliency_token(self, clips: DecoderInput, engagement: Tensor) -> Tensor:
        """The film's context and the prompts nearest to the clips that engage with the query: ``[batch, width]``."""
        present = clips.mask[..., None]
        context = ((clips.memory * present).sum(1) / present.sum(1)).detach()
        prompts = self.global_rep_token
        difference = F.normalize(clips.memory - context[:, None], dim=-1)
        nearness = (difference @ F.normalize(prompts, dim=-1).T).softmax(-1)
        engagement = engagement * clips.mask
        share = (engagement / engagement.sum(1, keepdim=True))[:, None] @ nearness
        strongest, places = share.squeeze(1).topk(self.config.prompts_used)
        token = (strongest[..., None] * prompts[places]).sum(1) + context
        return self.transformer.t2v_encoder.without_text(token)


def convert_checkpoint(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The authors' ``model`` state dict (also one saved under `nn.DataParallel`) as that of `CgDetr`."""
    names = {name: name.removeprefix("module.") for name in state}
    return {new: state[old] for old, new in names.items() if not NOT_USED.match(new)}
