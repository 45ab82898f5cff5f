"""The authors' files, and how they become one model.

```
mm_projector.bin                   stage 1
STAGE2/adapter_model.bin           LoRA A   (and .../non_lora_trainables.bin, normally empty)
STAGE3/adapter_model.bin           LoRA B, trained upon the language model with A merged in
```

====================================================== ====================================================
theirs                                                 ours
====================================================== ====================================================
Vicuna: ``model.*``, ``lm_head.*``                     ``llama.model.*``, ``llama.lm_head.*``
``*mm_projector.{weight,bias}``                        ``mm_projector.{weight,bias}``
``base_model.model.model.layers.N.*.lora_{A,B}.weight`` added to ``llama.model.layers.N.*.weight``
====================================================== ====================================================

A checkpoint as `convert` takes it is all of these by name, those of the stages under ``stage2.`` and ``stage3.``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from baselines.mllm.lora import ATTENTION, LoraSizes, adapter_factors, merge
from baselines.mllm.vtimellm.config import VTimeLlmConfig
from ivcr_bench.checkpoints import read_checkpoint
from ivcr_bench.errors import IvcrError

STAGES = ("stage2", "stage3")
_PROJECTOR = "mm_projector."
_DEAD = ".rotary_emb.inv_freq"
"""A buffer of older versions of transformers."""
_VARIANTS = ("use_rslora", "use_dora", "fan_in_fan_out", "rank_pattern", "alpha_pattern", "modules_to_save")
"""Settings of peft under which an adapter is merged otherwise."""


def convert(checkpoint: Mapping[str, Tensor], config: VTimeLlmConfig) -> dict[str, Tensor]:
    """The authors' tensors under our names, both adapters merged: in float32, and then as the base weights were.

    Raises:
        IvcrError: an adapter leaves out a layer that it should adapt, or is of another model.
    """
    base = {
        _our_name(name): value
        for name, value in checkpoint.items()
        if not name.startswith(STAGES) and not name.endswith(_DEAD)
    }
    adapters = []
    for stage in STAGES:
        own = {name.removeprefix(f"{stage}."): value for name, value in checkpoint.items() if name.startswith(stage)}
        base |= {_our_name(_without_wrapper(name)): value for name, value in own.items() if ".lora_" not in name}
        if own:
            factors = {f"llama.{module}": pair for module, pair in adapter_factors(own).items()}
            _check_layers(stage, factors, config)
            adapters.append(factors)
    return _merged(base, adapters, config.lora.scale)


def read_authors_files(
    base: Mapping[str, Tensor], projector: Path, stages: tuple[Path, ...], config: VTimeLlmConfig
) -> dict[str, Tensor]:
    """One checkpoint, as `convert` takes it, of the authors' files.

    Args:
        base: weights of Vicuna v1.5 under Hugging Face's names.
        projector: ``mm_projector.bin``.
        stages: the folder of stage 2, or those of stages 2 and 3.

    Raises:
        IvcrError: a file cannot be read, or an adapter has other settings than ``config.lora``.
    """
    found = dict(base) | dict(read_checkpoint(projector))
    for stage, folder in zip(STAGES, stages, strict=False):
        _check_settings(folder / "adapter_config.json", config.lora)
        for name in ("non_lora_trainables.bin", "adapter_model.bin"):
            if name == "adapter_model.bin" or (folder / name).is_file():
                found |= {f"{stage}.{key}": value for key, value in read_checkpoint(folder / name).items()}
    return found


def _our_name(name: str) -> str:
    _, projector, rest = name.rpartition(_PROJECTOR)
    return _PROJECTOR + rest if projector else f"llama.{name}"


def _without_wrapper(name: str) -> str:
    """What peft calls ``base_model.model.X`` is our ``X``."""
    return name.removeprefix("base_model.").removeprefix("model.") if name.startswith("base_model.") else name


def _merged(
    base: Mapping[str, Tensor], adapters: list[dict[str, tuple[Tensor, Tensor]]], scale: float
) -> dict[str, Tensor]:
    """Weight by weight, so that only one is in float32 at a time."""
    merged = dict(base)
    for module in dict.fromkeys(module for factors in adapters for module in factors):
        name = f"{module}.weight"
        weight = {name: merged[name].float()} if name in merged else {}
        for factors in adapters:
            if module in factors:
                weight = merge(weight, {module: factors[module]}, scale)
        merged[name] = weight[name].to(merged[name].dtype)
    return merged


def _check_layers(stage: str, factors: Mapping[str, object], config: VTimeLlmConfig) -> None:
    expected = {
        f"llama.model.layers.{layer}.{'self_attn' if target in ATTENTION else 'mlp'}.{target}"
        for layer in range(config.llama.layers)
        for target in config.lora.targets
    }
    for missing in sorted(expected - factors.keys()):
        raise IvcrError(f"{stage}: no adapter for {missing.removeprefix('llama.')}", hint="is the file complete?")


def _check_settings(path: Path, expected: LoraSizes) -> None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        rank, alpha, targets = content["r"], content["lora_alpha"], set(content["target_modules"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IvcrError(f"{path}: cannot read the adapter's settings: {error!r}") from None
    if (rank, alpha, targets) != (expected.rank, expected.alpha, set(expected.targets)):
        raise IvcrError(
            f"{path}: found rank {rank}, alpha {alpha} on {sorted(targets)}, "
            f"expected {expected.rank}, {expected.alpha} on {sorted(expected.targets)}"
        )
    for setting in _VARIANTS:
        if content.get(setting):
            raise IvcrError(f"{path}: found {setting}={content[setting]!r}, expected plain LoRA")
