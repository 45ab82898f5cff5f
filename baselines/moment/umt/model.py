"""UMT: the model, from clips and words to a moment at each clip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from baselines.moment.detr import ClipBatch, in_seconds
from baselines.moment.nms import gaussian, soft_nms
from baselines.moment.spans import ClipGrid
from baselines.moment.umt.config import UmtConfig
from baselines.moment.umt.layers import CrossEncoder, Decoder, QueryGenerator, StreamEncoder


@dataclass(frozen=True)
class UmtOutput:
    """What the model says of each clip; all ``[batch, clips]``, ``None`` where the model has no such head.

    Attributes:
        saliency: logits.
        center: logits of the clip being the centre of the moment.
        window: length of the moment, in clips, less one.
        offset: from the clip to the true centre, in clips.
    """

    saliency: Tensor | None = None
    center: Tensor | None = None
    window: Tensor | None = None
    offset: Tensor | None = None


class ClipHead(nn.Module):
    """Numbers for each clip, from a linear layer each."""

    def __init__(self, width: int, *names: str) -> None:
        super().__init__()
        self.names = names
        for name in names:
            self.add_module(f"{name}_pred", nn.ModuleDict({"linear": nn.Linear(width, 1)}))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """``[batch, clips, width]`` to ``[batch, clips]``, by name."""
        return {name: self.get_submodule(f"{name}_pred.linear")(x).squeeze(-1) for name in self.names}


class Umt(nn.Module):
    """Call it on a `ClipBatch`, which has ``audio`` if the model was built for it."""

    def __init__(self, config: UmtConfig) -> None:
        super().__init__()
        self.config = config
        self.video_enc = StreamEncoder(config, config.video_width)
        if config.audio_width is not None:
            self.audio_enc = StreamEncoder(config, config.audio_width)
            self.cross_enc = CrossEncoder(config)
        if config.text_width is not None:
            self.query_gen = QueryGenerator(config, config.text_width)
        self.query_dec = Decoder(config)
        heads = [("saliency",)] * config.saliency + [("center", "window", "offset")] * config.boundary
        self.pred_head = nn.ModuleList(ClipHead(config.width, *names) for names in heads)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_normal_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, batch: ClipBatch) -> UmtOutput:
        """Heads of each clip of the batch."""
        return self.decode(self.encode_films(batch), batch)

    @torch.inference_mode()
    def localise(self, batch: ClipBatch, grids: Sequence[ClipGrid]) -> list[Tensor]:
        """Moments of each query, best first: float64 rows of (start, end, score), in seconds."""
        found = ranked_edges(self.config, self(batch), batch.video_mask)
        return in_seconds([self._thin_out(rows)[: self.config.answers] for rows in found], grids)

    def encode_films(self, batch: ClipBatch) -> Tensor:
        """Clips that do not know the query, ``[batch, clips, width]``."""
        video = self.video_enc(batch.video, batch.video_mask)
        if self.config.audio_width is None:
            return video
        return self.cross_enc(video, self.audio_enc(batch.audio, batch.video_mask), batch.video_mask)

    def decode(self, clips: Tensor, batch: ClipBatch) -> UmtOutput:
        """Heads for films encoded by `encode_films` and the queries of ``batch``."""
        outputs: dict[str, Tensor] = {}
        states = self.refine(clips, self.queries(clips, batch), batch.video_mask)
        for head in self.pred_head:
            outputs |= head(states)
        return UmtOutput(**outputs)

    def _thin_out(self, rows: Tensor) -> Tensor:
        if self.config.nms_sigma is None:
            return rows
        places, scores = soft_nms(rows[:, :2], rows[:, 2], gaussian(self.config.nms_sigma), self.config.answers)
        return torch.cat((rows[places, :2], scores[:, None]), 1)

    def queries(self, clips: Tensor, batch: ClipBatch) -> Tensor:
        """The query of each clip, ``[batch, clips, width]``."""
        return clips if self.config.text_width is None else self.query_gen(clips, batch.text, batch.text_mask)

    def refine(self, clips: Tensor, queries: Tensor, mask: Tensor) -> Tensor:
        """The queries after the decoder, of the same shape."""
        return self.query_dec(queries, clips, None if self.config.legacy_unmasked_decoder else mask)


def ranked_edges(config: UmtConfig, output: UmtOutput, mask: Tensor) -> list[Tensor]:
    """Moments of each sample, best first: rows of (start, end, score), start and end as fractions of the clips."""
    assert output.center is not None
    assert output.window is not None
    assert output.offset is not None
    length = mask.sum(1, keepdim=True)
    last = (torch.full_like(length, mask.shape[1]) if config.legacy_padded_length else length) - 1
    centers = torch.arange(mask.shape[1], device=mask.device) + output.offset.clamp(min=0)
    half = output.window.clamp(min=0) / 2
    starts = (centers - half).clamp(min=0).minimum(last) / length
    ends = ((centers + half).clamp(min=0).minimum(last) + 1) / length
    rows = torch.stack((starts, ends, output.center.sigmoid()), -1)
    order = output.center.masked_fill(~mask, -torch.inf).argsort(dim=1, descending=True, stable=True)
    return [
        sample[places[: min(config.candidates, int(clips))]]
        for sample, places, clips in zip(rows, order, length, strict=True)
    ]


def convert_checkpoint(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The authors' ``state_dict`` (also one saved under `nn.DataParallel`) as that of `Umt`; the names are the same."""
    return {name.removeprefix("module."): tensor for name, tensor in state.items()}
