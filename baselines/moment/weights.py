"""The weights folder of a moment model: what training writes and `MomentSystem` reads.

```
config.json          which method, its sizes, and what its queries and features are
model.safetensors    float16
standard.safetensors what features are brought to (`baselines.moment.features.Standard`)
README.md            the card
```
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from baselines.moment.features import Standard
from baselines.moment.methods import METHODS
from baselines.moment.training_data import MomentQueryPolicy
from ivcr_bench.errors import IvcrError

FOREIGN_FEATURES = "the authors'"
"""Stands for the features of a converted checkpoint, which are not ours to make."""


@dataclass(frozen=True)
class TrainedOn:
    """What a model expects of its inputs.

    Attributes:
        features: fingerprint of the encoders of films and words (`SharedFeatures.fingerprint`).
        policy: what of a dialogue is the query.
    """

    features: str
    policy: MomentQueryPolicy


@dataclass(frozen=True)
class MomentWeights:
    """A trained model.

    Attributes:
        method: a key of `METHODS`.
        fingerprint: a hash of everything that can change an answer.
    """

    method: str
    model: nn.Module
    trained_on: TrainedOn
    standard: Standard
    fingerprint: str


def save_weights(folder: Path, method: str, model: nn.Module, trained_on: TrainedOn, standard: Standard) -> None:
    """Write ``model``, which has a ``config``, into ``folder``; the card is written by whoever knows the training."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {
        name: (tensor.half() if tensor.is_floating_point() else tensor).contiguous()
        for name, tensor in model.state_dict().items()
    }
    save_file(state, folder / "model.safetensors")
    save_file({name: tensor.contiguous() for name, tensor in vars(standard).items()}, folder / "standard.safetensors")
    sizes: Any = model.config
    content = {"method": method, "model": asdict(sizes), "trained_on": asdict(trained_on)}
    (folder / "config.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def load_weights(folder: Path) -> MomentWeights:
    """Read a weights folder.

    Raises:
        IvcrError: the folder or a file is missing, truncated, or belongs to another model.
    """
    if not folder.is_dir():
        raise IvcrError(
            f"{folder}: no such weights folder",
            hint="'ivcr-bench train NAME --preset mini' makes one, and NAME:FOLDER names it",
        )
    try:
        content = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        method = METHODS[content["method"]]
        model = method.build(method.config(**content["model"]))
        state = load_file(folder / "model.safetensors")
        model.load_state_dict({k: v.float() if v.dtype == torch.float16 else v for k, v in state.items()})
        trained_on = TrainedOn(**content["trained_on"])
        standard = _standard(folder, trained_on, model)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError, RuntimeError) as error:
        raise IvcrError(f"{folder}: not the weights folder of a moment model: {error}") from None
    model.eval().requires_grad_(False)
    return MomentWeights(content["method"], model, trained_on, standard, _fingerprint(folder))


def _standard(folder: Path, trained_on: TrainedOn, model: nn.Module) -> Standard:
    if trained_on.features == FOREIGN_FEATURES:
        sizes: Any = model.config
        return Standard.none(sizes.video_width, sizes.text_width)
    return Standard(**load_file(folder / "standard.safetensors"))


def _fingerprint(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted([*folder.glob("*.json"), *folder.glob("*.safetensors")]):
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
