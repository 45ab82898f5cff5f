"""LoRA (Hu et al. 2022): attached through peft for training, merged into the weights to load a checkpoint."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from transformers import LlamaForCausalLM

from ivcr_bench.errors import IvcrError

ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
ALL_LINEAR = (*ATTENTION, "gate_proj", "up_proj", "down_proj")
_FACTOR = re.compile(r"^(?:.*base_model\.model\.)?(?P<module>.+)\.lora_(?P<factor>[AB])(?:\.default)?\.weight$")


@dataclass(frozen=True)
class LoraSizes:
    """Sizes of an adapter, on the linear layers ``targets`` of every block."""

    rank: int
    alpha: int
    dropout: float = 0.0
    targets: tuple[str, ...] = ATTENTION

    @property
    def scale(self) -> float:
        """What the product of the factors is multiplied by."""
        return self.alpha / self.rank


def attach(llama: LlamaForCausalLM, sizes: LoraSizes) -> Any:
    """``llama`` frozen, with a fresh adapter: a `peft.PeftModel`."""
    from peft import LoraConfig, get_peft_model

    return get_peft_model(
        llama,
        LoraConfig(
            r=sizes.rank,
            lora_alpha=sizes.alpha,
            lora_dropout=sizes.dropout,
            target_modules=list(sizes.targets),
            task_type="CAUSAL_LM",
        ),
    )


def adapter_factors(state: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
    """The factors A and B of each adapted module of a checkpoint; what belongs to no adapter is left out.

    Names are those of peft, with or without ``.default`` and whatever stands before ``base_model.model.``:
    ``base_model.model.model.norm.lora_A.default.weight`` is of ``model.norm``.

    Raises:
        IvcrError: a module has one factor only.
    """
    halves: dict[str, dict[str, Tensor]] = {}
    for name, value in state.items():
        if match := _FACTOR.match(name):
            halves.setdefault(match["module"], {})[match["factor"]] = value
    for module, factors in halves.items():
        if len(factors) < 2:
            raise IvcrError(f"{module}: found lora_{next(iter(factors))} alone, expected lora_A and lora_B")
    return {module: (factors["A"], factors["B"]) for module, factors in halves.items()}


def merge(state: Mapping[str, Tensor], factors: Mapping[str, tuple[Tensor, Tensor]], scale: float) -> dict[str, Tensor]:
    """The weights ``state`` of a LLaMA with an adapter merged in, in float32 and then as they were.

    Raises:
        IvcrError: the adapter is of another model.
    """
    merged = dict(state)
    for module, (a, b) in factors.items():
        name = f"{module}.weight"
        if name not in merged:
            raise IvcrError(f"{name}: adapted by the checkpoint, not found in the language model")
        base, change = merged[name], b.float() @ a.float()
        if base.shape != change.shape:
            raise IvcrError(f"{name}: found an adapter for {tuple(change.shape)}, expected {tuple(base.shape)}")
        merged[name] = (base.float() + scale * change).to(base.dtype)
    return merged
