"""How each of the five methods is trained on IVCR-Mini."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from baselines.moment.training_data import MomentQueryPolicy
from ivcr_bench.errors import IvcrError


@dataclass(frozen=True)
class MomentTraining:
    """Settings of a training.

    Attributes:
        films, queries: of a batch; so many films, so many queries about each.
        late: from this share of the steps on, a method that has a late part is in it.
        evaluation_steps: between two evaluations on the validation films, each with a checkpoint.
        half: compute in bfloat16 where that is safe.
        policy: what of a dialogue is the query.
        dialogue_seeds: dialogues about the training films are generated anew from this many further seeds.
        caption_share: of the queries that are a sentence about one shot, not a turn of a dialogue.
    """

    steps: int
    learning_rate: float
    films: int = 32
    queries: int = 1
    weight_decay: float = 1e-4
    warmup_steps: int = 100
    largest_gradient: float = 1.0
    late: float = 0.4
    evaluation_steps: int = 250
    half: bool = False
    policy: MomentQueryPolicy = "concat"
    dialogue_seeds: int = 15
    caption_share: float = 0.4


_MINI: Mapping[str, MomentTraining] = {
    "2d_tan": MomentTraining(steps=1250, learning_rate=1e-3, largest_gradient=10.0, weight_decay=0.0, half=True),
    "mmn": MomentTraining(
        steps=1500, learning_rate=1e-3, films=12, queries=6, largest_gradient=5.0, weight_decay=1e-5, half=True
    ),
    "umt": MomentTraining(steps=3000, learning_rate=1e-3),
    "momentdiff": MomentTraining(steps=5000, learning_rate=1e-3, largest_gradient=0.1),
    "cg_detr": MomentTraining(steps=3000, learning_rate=1e-3, largest_gradient=0.1),
}


def training_named(method: str, preset: str) -> MomentTraining:
    """How ``method`` is trained: ``mini``, or ``mini-last``, which is the same without the history of a dialogue.

    Raises:
        IvcrError: there is no such preset.
    """
    presets = {"mini": _MINI[method], "mini-last": replace(_MINI[method], policy="last")}
    if preset not in presets:
        raise IvcrError(f"{method}: no preset {preset!r} to train, expected one of {', '.join(presets)}")
    return presets[preset]


@dataclass(frozen=True)
class Plan:
    """One training: of which method, by which preset, from which seed; ``settings`` stand in for the preset's."""

    method: str
    preset: str
    seed: int
    settings: MomentTraining | None = None

    @property
    def training(self) -> MomentTraining:
        """The settings.

        Raises:
            IvcrError: there is no such preset.
        """
        return self.settings or training_named(self.method, self.preset)
