"""MMN (Wang et al., AAAI 2022, arXiv 2109.04872): moments and sentences as points of common spaces.

The 2D map of 2D-TAN without a query in it: each proposal and each sentence has a vector in two spaces. One is trained
to tell how well a proposal fits within its film, the other to tell a sentence's moment from those of all films; a
moment's score is the product of both. As films do not depend on queries, a corpus is encoded once and searched with
dot products. Written from the paper's equations, with the module names of the authors' checkpoints.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import DistilBertConfig, DistilBertModel

from baselines.moment.clip_features import resample_films
from baselines.moment.detr import ClipBatch
from baselines.moment.mmn_config import MmnConfig
from baselines.moment.spans import ClipGrid
from baselines.moment.two_d_map import (
    ConvolvedProposals,
    MapConvolutions,
    MapLayout,
    MaxPooledProposals,
    RankedMoments,
    pool_clips,
)

SHARPNESS = 10.0
"""Of the sigmoid that makes a fit of a cosine."""


@dataclass(frozen=True)
class Joint:
    """Vectors of norm 1 in the two spaces, of sentences ``[n, joint]`` or of proposals ``[films, cells, joint]``."""

    contrastive: Tensor
    iou: Tensor

    def __len__(self) -> int:
        return len(self.iou)

    def __getitem__(self, places: Tensor | slice) -> Joint:
        return Joint(self.contrastive[places], self.iou[places])


class FeatPool(nn.Module):
    """The clips of a film."""

    def __init__(self, config: MmnConfig) -> None:
        super().__init__()
        self.conv = nn.Conv1d(config.video_width, config.width, 1)
        self.clips = config.clips

    def forward(self, video: Tensor) -> Tensor:
        """``[films, rows, video_width]`` to ``[films, width, clips]``."""
        return pool_clips(self.conv, video, self.clips)


class ProposalConv(MapConvolutions):
    """The trunk over the map, and its two heads."""

    def __init__(self, config: MmnConfig, layout: MapLayout) -> None:
        super().__init__(layout, config.width, config.kernel, config.layers, batch_norm=True)
        self.conv1x1_contrastive = nn.Conv2d(config.width, config.joint, 1)
        self.conv1x1_iou = nn.Conv2d(config.width, config.joint, 1)

    def heads(self, proposals: Tensor) -> tuple[Tensor, Tensor]:
        """Maps of the contrastive and of the IoU space, ``[films, joint, clips, clips]`` each."""
        trunk = self(proposals)
        return self.conv1x1_contrastive(trunk), self.conv1x1_iou(trunk)


class TextEncoder(nn.Module):
    """Sentences from the features of their tokens, or from their token ids if it has a DistilBERT."""

    def __init__(self, config: MmnConfig) -> None:
        super().__init__()
        if config.distilbert:
            self.bert = DistilBertModel(DistilBertConfig(dim=config.text_width))
        self.layernorm = nn.LayerNorm(config.text_width)
        self.fc_out1 = nn.Linear(config.text_width, config.joint)
        self.fc_out2 = nn.Linear(config.text_width, config.joint)

    def states(self, ids: Tensor, mask: Tensor) -> Tensor:
        """DistilBERT's token features ``[texts, tokens, text_width]`` of ids ``[texts, tokens]``."""
        return self.bert(input_ids=ids, attention_mask=mask.long()).last_hidden_state

    def forward(self, words: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors of the contrastive and of the IoU space, ``[texts, joint]`` each.

        Args:
            words: ``[texts, tokens, text_width]``.
            mask: bool ``[texts, tokens]``; special tokens count.
        """
        count = mask.sum(1, keepdim=True)
        mean = self.layernorm((words * mask[..., None]).sum(1) / count)
        return self.fc_out2(mean), self.fc_out1(mean)


class Mmn(nn.Module):
    """The model."""

    def __init__(self, config: MmnConfig) -> None:
        super().__init__()
        self.config, self.layout = config, config.layout
        self.featpool = FeatPool(config)
        self.feat2d: nn.Module = (
            MaxPooledProposals(self.layout)
            if config.proposals == "pool"
            else ConvolvedProposals(self.layout, config.width, first=False)
        )
        self.proposal_conv = ProposalConv(config, self.layout)
        self.text_encoder = TextEncoder(config)

    def encode_films(self, video: Tensor) -> Joint:
        """Proposals of films ``[films, rows, video_width]``; all that a search needs of them."""
        maps = self.proposal_conv.heads(self.feat2d(self.featpool(video)))
        contrastive, iou = (F.normalize(self.layout.gather(m), dim=1).transpose(1, 2) for m in maps)
        return Joint(contrastive, iou)

    def encode_texts(self, words: Tensor, mask: Tensor) -> Joint:
        """Sentences, from features of their tokens ``[texts, tokens, text_width]``; the mask is bool."""
        contrastive, iou = self.text_encoder(words, mask)
        return Joint(F.normalize(contrastive, dim=-1), F.normalize(iou, dim=-1))

    def forward(self, video: Tensor, words: Tensor, text_mask: Tensor) -> Tensor:
        """The score of each proposal for pairs of a film and a sentence: ``[pairs, cells]``, from 0 to 1."""
        return moment_scores(self.encode_texts(words, text_mask), self.encode_films(video), self.config.gamma)

    @torch.inference_mode()
    def localise(self, batch: ClipBatch, grids: Sequence[ClipGrid]) -> list[Tensor]:
        """Moments of each query, best first: float64 rows of (start, end, score), in seconds.

        Args:
            batch: films of any length, and the queries about them.
            grids: the clips of each film.
        """
        films = self.encode_films(self.fixed_rows(batch.video, batch.video_mask))
        scores = moment_scores(self.encode_texts(batch.text, batch.text_mask), films, self.config.gamma)
        return [
            ranked_moments(self.config, row, grid.resampled(self.config.clips)).rows
            for row, grid in zip(scores, grids, strict=True)
        ]

    def fixed_rows(self, video: Tensor, mask: Tensor) -> Tensor:
        """Padded films ``[films, rows, video_width]`` at the number of rows that `encode_films` takes."""
        return resample_films(video, mask, self.config.rows, self.config.legacy_last_row)


def fit_logits(texts: Joint, films: Joint) -> Tensor:
    """How well each proposal of its film fits a sentence, before the sigmoid: ``[texts, cells]``.

    Args:
        films: one for each sentence.
    """
    return SHARPNESS * torch.einsum("sc,spc->sp", texts.iou, films.iou)


def moment_scores(texts: Joint, films: Joint, gamma: float) -> Tensor:
    """``((cosine + 1) / 2) ** gamma * fit`` of each proposal of its film, one for each sentence: ``[texts, cells]``."""
    cosine = torch.einsum("sc,spc->sp", texts.contrastive, films.contrastive)
    # A cosine of -1 may come out a little below.
    return ((cosine + 1) / 2).clamp(min=0) ** gamma * fit_logits(texts, films).sigmoid()


@torch.no_grad()
def film_scores(texts: Joint, films: Joint, chunk: int = 64) -> Tensor:
    """How well each sentence's best proposal of each film matches it in the contrastive space: ``[texts, films]``.

    The authors search no corpus. This space alone is trained across films, so its cosines can be compared between
    them; those of the IoU space cannot.

    Args:
        chunk: films at once; bounds memory by ``texts * chunk * cells`` numbers.
    """
    parts = films.contrastive.split(chunk)
    best = [torch.einsum("sc,vpc->svp", texts.contrastive, part).amax(-1) for part in parts]
    return torch.cat(best, 1) if best else texts.iou.new_zeros(len(texts), 0)


@torch.no_grad()
def ranked_moments(config: MmnConfig, scores: Tensor, grid: ClipGrid) -> RankedMoments:
    """The answer for one pair.

    Args:
        scores: of `moment_scores`, ``[cells]``.
        grid: the film, as ``config.clips`` clips.
    """
    return config.layout.ranked(scores, grid, config.nms_threshold, config.keep)


def convert_checkpoint(state: Mapping[str, Any], config: MmnConfig) -> dict[str, Tensor]:
    """The authors' checkpoint as the ``state_dict`` of `Mmn`.

    It may be the model's own, or hold that under ``model`` beside the optimiser's, with ``module.`` before each name
    or without. The names are the same, but for the layers of convolved proposals, which the authors number through.

    Args:
        config: of the model that it is for.
    """
    inner: Mapping[str, Tensor] = state.get("model", state)
    numbered = [
        f"layers.{scale}.{place}" for scale, count in enumerate(config.scales) for place in range(count - (scale == 0))
    ]
    converted = {}
    for name, tensor in inner.items():
        name = name.removeprefix("module.")
        if name.startswith("feat2d.convs."):
            place, _, kind = name.removeprefix("feat2d.convs.").partition(".")
            name = f"feat2d.{numbered[int(place)]}.{kind}"
        if not name.endswith("embeddings.position_ids"):
            converted[name] = tensor
    return converted
