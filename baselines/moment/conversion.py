"""Checkpoints of the five methods' authors as weights of ours: the converters of `ivcr_bench.checkpoints`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from baselines.moment.methods import method_named
from baselines.moment.weights import FOREIGN_FEATURES
from ivcr_bench.checkpoints import Conversion
from ivcr_bench.errors import IvcrError

HOLDERS = ("model", "state_dict", "model_state_dict")
"""Under which of these a checkpoint keeps the model, beside the optimiser and the like."""


def convert(name: str, checkpoint: Mapping[str, Any], preset: str) -> Conversion:
    """The converter of the method ``name``; see `ivcr_bench.checkpoints.Converter`."""
    method = method_named(name)
    config = method.preset(preset)
    with torch.device("meta"):
        model = method.build(config)
    return Conversion(
        tensors=method.convert(_tensors(checkpoint), config),
        expected={key: tuple(tensor.shape) for key, tensor in model.state_dict().items()},
        config={
            "method": name,
            "model": asdict(config),
            "trained_on": {"features": FOREIGN_FEATURES, "policy": "last"},
        },
    )


def _tensors(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    for holder in HOLDERS:
        if isinstance(checkpoint.get(holder), Mapping):
            checkpoint = checkpoint[holder]
    found = {name: value for name, value in checkpoint.items() if isinstance(value, Tensor)}
    if not found:
        raise IvcrError(f"found no tensors among {sorted(checkpoint)[:8]}, expected them by name or under {HOLDERS}")
    return found


def two_d_tan(checkpoint: Mapping[str, Any], *, preset: str) -> Conversion:
    """The converter ``2d_tan``."""
    return convert("2d_tan", checkpoint, preset)


def mmn(checkpoint: Mapping[str, Any], *, preset: str) -> Conversion:
    """The converter ``mmn``."""
    return convert("mmn", checkpoint, preset)


def umt(checkpoint: Mapping[str, Any], *, preset: str) -> Conversion:
    """The converter ``umt``."""
    return convert("umt", checkpoint, preset)


def momentdiff(checkpoint: Mapping[str, Any], *, preset: str) -> Conversion:
    """The converter ``momentdiff``."""
    return convert("momentdiff", checkpoint, preset)


def cg_detr(checkpoint: Mapping[str, Any], *, preset: str) -> Conversion:
    """The converter ``cg_detr``."""
    return convert("cg_detr", checkpoint, preset)
