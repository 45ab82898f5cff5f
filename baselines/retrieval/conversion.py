"""Checkpoints of the five methods' authors as weights of ours: the converters of `ivcr_bench.checkpoints`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

import torch
from torch import Tensor

from baselines.retrieval.blip2 import lavis_names
from baselines.retrieval.checkpoints import our_names
from baselines.retrieval.methods import CLIP, method_named
from ivcr_bench.checkpoints import Conversion
from ivcr_bench.errors import IvcrError

HOLDERS = ("state_dict", "model")
"""Under which of these a checkpoint keeps the model, beside the optimiser and the like."""
TOKENIZERS = {"clip": "openai/clip-vit-base-patch32", "blip2": "Salesforce/blip2-itm-vit-g"}
"""Names of Hugging Face; weights run where these are in the local cache, or a tokenizer is put beside them."""
AUTHORS_RATE = 1.0


def convert(name: str, checkpoint: Mapping[str, Any], *, preset: str) -> Conversion:
    """The converter of the method ``name``; see `ivcr_bench.checkpoints.Converter`."""
    method = method_named(name)
    config = method.preset(preset)
    with torch.device("meta"):
        expected = {key: tuple(tensor.shape) for key, tensor in method.build(config).state_dict().items()}
    found = _tensors(checkpoint)
    if method.family is CLIP:
        tensors = our_names(found, expected)
    else:
        tensors = {f"blip2.{key}": value for key, value in lavis_names(found).items()}
    return Conversion(
        tensors={key: value.float() for key, value in tensors.items()},
        expected=expected,
        config={
            "method": name,
            "model": asdict(config),
            "trained_on": {"policy": "last", "rate": AUTHORS_RATE},
            "tokenizer": TOKENIZERS[method.family.part],
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


def _converter(name: str) -> Callable[..., Conversion]:
    return partial(convert, name)


clip4clip = _converter("clip4clip")
x_pool = _converter("x_pool")
ts2_net = _converter("ts2_net")
t_mass = _converter("t_mass")
blip2 = _converter("blip2")
