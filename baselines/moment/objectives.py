"""What each of the five methods descends: from a batch of questions with their answers to the parts of its loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from baselines.moment import cg_detr, momentdiff, umt
from baselines.moment.cg_detr.losses import training_losses as cg_detr_losses
from baselines.moment.clip_features import pad, resample_films
from baselines.moment.detr import ClipBatch
from baselines.moment.detr_losses import MomentTargets, moment_targets
from baselines.moment.features import FilmFeatures
from baselines.moment.mmn import Mmn
from baselines.moment.mmn_losses import SentenceTargets, mmn_losses
from baselines.moment.momentdiff.losses import training_losses as momentdiff_losses
from baselines.moment.two_d_tan import TwoDTan, two_d_tan_loss
from baselines.moment.umt.losses import training_losses as umt_losses


@dataclass(frozen=True)
class AnsweredBatch:
    """Questions about films, and the moments that answer them.

    Attributes:
        clips: films and queries, with the endpoints of clips if the method takes them.
        films: the film of each query.
        moments: the right ones of each query in seconds, float64 ``[moments, 2]``.
        rng: of what targets draw.
        late: whether this is the late part of the training.
    """

    clips: ClipBatch
    films: Sequence[FilmFeatures]
    moments: Sequence[Tensor]
    rng: np.random.Generator
    late: bool = False

    @property
    def film_ids(self) -> list[str]:
        """What tells the films apart."""
        return [film.video_id for film in self.films]

    def on(self, device: torch.device, *, late: bool) -> AnsweredBatch:
        """The batch with its clips on ``device``, in or before the late part of the training."""
        return replace(self, clips=self.clips.on(device), late=late)

    def targets(self) -> MomentTargets:
        """For the transformer methods."""
        grids = [film.grid for film in self.films]
        return moment_targets(self.moments, grids, self.clips.video.shape[1], self.rng)


Objective = Callable[[nn.Module, AnsweredBatch], dict[str, Tensor]]


def cg_detr_objective(model: nn.Module, batch: AnsweredBatch) -> dict[str, Tensor]:
    """Detection, saliency, and the losses of the correlation learner."""
    assert isinstance(model, cg_detr.CgDetr)
    return cg_detr_losses(model, batch.clips, batch.targets(), batch.film_ids)


def momentdiff_objective(model: nn.Module, batch: AnsweredBatch) -> dict[str, Tensor]:
    """Denoising and saliency."""
    assert isinstance(model, momentdiff.MomentDiff)
    return momentdiff_losses(model, batch.clips, batch.targets(), batch.film_ids)


def umt_objective(model: nn.Module, batch: AnsweredBatch) -> dict[str, Tensor]:
    """The keypoint of the moment."""
    assert isinstance(model, umt.Umt)
    return umt_losses(model, batch.clips, batch.targets())


def two_d_tan_objective(model: nn.Module, batch: AnsweredBatch) -> dict[str, Tensor]:
    """Cross-entropy of every proposal; of several right moments, the nearest one counts."""
    assert isinstance(model, TwoDTan)
    config, clips = model.config, batch.clips
    video = resample_films(clips.video, clips.video_mask, config.rows, config.legacy_last_row)
    overlap = torch.stack(
        [
            config.layout.gold_iou(film.grid.edges(moments)).amax(0)
            for film, moments in zip(batch.films, batch.moments, strict=True)
        ]
    )
    logits = model(video, clips.text, clips.text_mask)
    return {"iou": two_d_tan_loss(config, logits, overlap.to(logits.dtype))}


def mmn_objective(model: nn.Module, batch: AnsweredBatch) -> dict[str, Tensor]:
    """Fit and contrasts; a film is encoded once for all its queries, and one right moment of each query is drawn."""
    assert isinstance(model, Mmn)
    once = {film.video_id: film for film in batch.films}
    places = {video_id: place for place, video_id in enumerate(once)}
    film = torch.tensor([places[video_id] for video_id in batch.film_ids])
    video = model.fixed_rows(*pad([each.rows for each in once.values()])).to(batch.clips.text.device)
    chosen = [moments[int(batch.rng.integers(len(moments)))] for moments in batch.moments]
    edges = torch.stack([each.grid.edges(moment) for each, moment in zip(batch.films, chosen, strict=True)])
    targets = SentenceTargets(film.to(video.device), edges.to(video.device))
    texts = model.encode_texts(batch.clips.text, batch.clips.text_mask)
    return mmn_losses(model.config, texts, model.encode_films(video), targets, batch.late)
