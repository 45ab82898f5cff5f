"""Sizes and settings of InterLLaVA; presets are YAML files beside this module."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

import yaml

from ivcr_bench.errors import IvcrError

LossMode = Literal["paper", "official_logged"]
PRESETS = Path(__file__).parent / "presets"


@dataclass(frozen=True)
class InterLlavaConfig:
    """Everything that shapes the model; training settings are in `TrainingConfig`.

    Attributes:
        retrieval_frames: frames of a candidate, uniform over the film.
        moment_rate: frames a second of the film of a moment turn.
        max_frames: rows of the frame position table.
        window: frames that one pass of the sliding video Q-Former sees (= its hop).
        video_queries: visual tokens per window.
        keep_timestamp_rows: whether the image Q-Former's text rows are keys of the video Q-Former (TimeChat's way).
        match_code: add the phase-1 similarity of query and frames to the visual tokens (ours).
        lora_rank: LoRA on q, k, v, o of the LLM; 0 trains the whole LLM.
        stage1_weight: weight of the first stage's cosine beside the index logits in the final ranking (ours).
    """

    retrieval_frames: int = 12
    moment_rate: float = 2.0
    max_frames: int = 128
    window: int = 2
    video_queries: int = 2
    video_layers: int = 2
    vision_width: int = 96
    vision_heads: int = 4
    shared_width: int = 64
    keep_timestamp_rows: bool = True
    match_code: bool = True
    hidden: int = 128
    layers: int = 4
    heads: int = 4
    mlp: int = 384
    initializer_range: float = 0.09
    max_positions: int = 2048
    history_tokens: int = 192
    candidates: int = 10
    lora_rank: int = 0
    stage1_weight: float = 40.0

    def to_dict(self) -> dict[str, Any]:
        """As plain data, for ``config.json``."""
        return asdict(self)


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of phase 2.

    Attributes:
        alpha, beta: weights of L_V and L_C (equation 4).
        loss_mode: ``paper`` (differentiable) or ``official_logged`` (what the published code descends: L_M alone).
        half: compute in bfloat16 where that is safe.
        further_dialogue_seeds: dialogues about the training films are generated anew from this many seeds.
    """

    steps: int = 1000
    retrieval_batch: int = 16
    moment_batch: int = 16
    text_batch: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    warmup_steps: int = 100
    alpha: float = 1.0
    beta: float = 1.0
    loss_mode: LossMode = "paper"
    half: bool = True
    further_dialogue_seeds: int = 15


def load_preset(name: str) -> tuple[InterLlavaConfig, TrainingConfig]:
    """Read ``presets/NAME.yaml``.

    Raises:
        IvcrError: there is no such preset, or it has a field that the model does not know.
    """
    path = PRESETS / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in PRESETS.glob("*.yaml")))
        raise IvcrError(f"no preset {name!r}, expected one of {known}")
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    return _build(InterLlavaConfig, content["model"], path), _build(TrainingConfig, content["training"], path)


def _build(kind: Any, values: dict[str, Any], path: Path) -> Any:
    unknown = set(values) - {field.name for field in fields(kind)}
    if unknown:
        raise IvcrError(f"{path}: unknown field {sorted(unknown)[0]!r} of {kind.__name__}")
    return kind(**values)
