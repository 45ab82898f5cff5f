"""Sizes and settings of VTimeLLM."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from baselines.mllm.llama import Decoding, LlamaSizes
from baselines.mllm.lora import ALL_LINEAR, LoraSizes


@dataclass(frozen=True)
class VTimeLlmConfig:
    """Everything that shapes the model and its answers; the defaults are the authors' 7B.

    Attributes:
        frames: of a film, first and last included; each becomes one token.
        feature_width: of a frame's vector.
        llama: the language model.
        lora: of each of the two adapters that are merged into it, one after the other.
        frame_code: add a fixed sinusoidal code of the frame's number to its token. Ours, for small models; the
            authors leave it to LLaMA's rotary positions to tell the frames apart.
        antialias: smooth frames before they are made smaller. The authors' features were made without.
        decoding: of an answer. The authors sample at a temperature of 0.05, which is all but greedy.
    """

    frames: int = 100
    feature_width: int = 768
    llama: LlamaSizes = field(default_factory=LlamaSizes)
    lora: LoraSizes = field(default_factory=lambda: LoraSizes(64, 128, dropout=0.05, targets=ALL_LINEAR))
    frame_code: bool = False
    antialias: bool = False
    decoding: Decoding = field(default_factory=lambda: Decoding(longest=1024))


_PAPER = VTimeLlmConfig()
PRESETS: Mapping[str, VTimeLlmConfig] = {
    "mini": VTimeLlmConfig(
        frames=16,
        feature_width=64,
        llama=LlamaSizes.mini(2000),
        frame_code=True,
        decoding=Decoding(longest=24),
    ),
    "paper": _PAPER,
    "paper-13b": replace(_PAPER, llama=LlamaSizes(hidden=5120, layers=40, heads=40, mlp=13_824)),
}
"""``mini`` fits IVCR-Mini; the others stand on Vicuna v1.5 of 7B and 13B parameters."""
