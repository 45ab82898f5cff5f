"""The three stages in which VTimeLLM is trained: what learns in each, and how the authors set it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from baselines.mllm.lora import attach
from baselines.mllm.vtimellm.model import VTimeLlm

Stage = Literal[1, 2, 3]


@dataclass(frozen=True)
class StageSettings:
    """Of one stage; common to all: AdamW, no weight decay, cosine, warm-up over 3 % of the steps, bfloat16.

    Attributes:
        batch: in all, over all devices and accumulation steps; a reproduction with another one failed.
        longest: positions of a text before the frames are in.
    """

    learning_rate: float
    epochs: int
    batch: int = 128
    warmup_ratio: float = 0.03
    weight_decay: float = 0.0
    longest: int = 2048


PAPER: Mapping[Stage, StageSettings] = {
    1: StageSettings(learning_rate=1e-3, epochs=1),
    2: StageSettings(learning_rate=1e-4, epochs=2),
    3: StageSettings(learning_rate=1e-4, epochs=2),
}


def begin(model: VTimeLlm, stage: Stage) -> Any:
    """Let only that learn which is trained in ``stage``: the projection, or a fresh LoRA.

    Returns:
        The adapter, a `peft.PeftModel` around ``model.llama``, or ``None`` in stage 1.
    """
    model.requires_grad_(False)
    if stage == 1:
        model.mm_projector.requires_grad_(True)
        return None
    return attach(model.llama, model.config.lora)


def finish(model: VTimeLlm, adapter: Any) -> None:
    """Merge what a stage's LoRA has learnt into the language model."""
    if adapter is not None:
        model.llama = adapter.merge_and_unload()
