"""The five methods by name: how each is built, what it reads, what it descends, and how it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from baselines.moment import cg_detr, mmn, mmn_config, momentdiff, objectives, two_d_tan, umt
from baselines.moment.clip_features import pad
from baselines.moment.detr import ClipBatch
from baselines.moment.features import FilmFeatures
from baselines.moment.objectives import Objective
from ivcr_bench.errors import IvcrError

ENDPOINTS = 2
"""Features that the endpoints of a clip are."""


@dataclass(frozen=True)
class Method:
    """One of the five.

    Attributes:
        title: as its authors write it.
        config: makes a configuration from its fields.
        build: makes a model of a configuration, with random weights.
        presets: configurations by name.
        objective: the parts of the loss.
        convert: names of a checkpoint of the authors to ours, for a configuration.
        endpoints: whether it takes the endpoints of clips as features (`ClipBatch.with_endpoints`).
    """

    title: str
    config: Callable[..., Any]
    build: Callable[[Any], nn.Module]
    presets: Mapping[str, Any]
    objective: Objective
    convert: Callable[[Mapping[str, Any], Any], dict[str, Tensor]]
    endpoints: bool = False

    def preset(self, name: str) -> Any:
        """A configuration.

        Raises:
            IvcrError: there is no such preset.
        """
        if name not in self.presets:
            raise IvcrError(f"{self.title}: no preset {name!r}, expected one of {', '.join(self.presets)}")
        return self.presets[name]

    def sized(self, config: Any, video_width: int, text_width: int) -> Any:
        """``config`` for features of other widths."""
        return replace(config, video_width=video_width + ENDPOINTS * self.endpoints, text_width=text_width)

    def batch(self, films: Sequence[FilmFeatures], words: Sequence[Tensor]) -> ClipBatch:
        """What the model reads of films, and of a query about each."""
        batch = ClipBatch(*pad([film.rows for film in films]), *pad(words))
        return batch.with_endpoints() if self.endpoints else batch


METHODS: Mapping[str, Method] = {
    "2d_tan": Method(
        "2D-TAN",
        two_d_tan.TwoDTanConfig,
        two_d_tan.TwoDTan,
        two_d_tan.PRESETS,
        objectives.two_d_tan_objective,
        lambda state, _: two_d_tan.convert_checkpoint(state),
    ),
    "mmn": Method(
        "MMN",
        mmn_config.MmnConfig,
        mmn.Mmn,
        mmn_config.PRESETS,
        objectives.mmn_objective,
        mmn.convert_checkpoint,
    ),
    "umt": Method(
        "UMT",
        umt.UmtConfig,
        umt.Umt,
        umt.PRESETS,
        objectives.umt_objective,
        lambda state, _: umt.convert_checkpoint(state),
    ),
    "momentdiff": Method(
        "MomentDiff",
        momentdiff.MomentDiffConfig,
        momentdiff.MomentDiff,
        momentdiff.PRESETS,
        objectives.momentdiff_objective,
        lambda state, _: momentdiff.convert_checkpoint(state),
        endpoints=True,
    ),
    "cg_detr": Method(
        "CG-DETR",
        cg_detr.CgDetrConfig,
        cg_detr.CgDetr,
        cg_detr.PRESETS,
        objectives.cg_detr_objective,
        lambda state, _: cg_detr.convert_checkpoint(state),
        endpoints=True,
    ),
}


def method_named(name: str) -> Method:
    """The method that is called ``name``.

    Raises:
        IvcrError: none is.
    """
    if name not in METHODS:
        raise IvcrError(f"no moment method {name!r}, expected one of {', '.join(METHODS)}")
    return METHODS[name]


@torch.inference_mode()
def localise(
    method: Method, model: nn.Module, films: Sequence[FilmFeatures], words: Sequence[Tensor], texts: Sequence[str]
) -> list[Tensor]:
    """Moments of each query in its film, best first: float64 rows of (start, end, score), in seconds.

    Args:
        words: features of the queries.
        texts: the queries themselves; with the film they are what MomentDiff's random numbers depend on.
    """
    batch, grids = method.batch(films, words), [film.grid for film in films]
    if isinstance(model, momentdiff.MomentDiff):
        return model.localise(batch, grids, [f"{f.video_id}\n{text}" for f, text in zip(films, texts, strict=True)])
    assert isinstance(model, two_d_tan.TwoDTan | mmn.Mmn | umt.Umt | cg_detr.CgDetr)
    return model.localise(batch, grids)
