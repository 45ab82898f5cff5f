"""The weights folder of a retrieval baseline: what training writes and `CorpusRetriever` reads.

```
config.json            which method, its sizes, what its queries are, how films are sampled
model.safetensors      float16
tokenizer.json, tokenizer_config.json
README.md              the card
```

Converted checkpoints of the authors have no tokenizer beside them; their ``config.json`` names one of Hugging Face's.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from baselines.retrieval.clip_backbone import load_tokenizer
from baselines.retrieval.methods import METHODS
from ivcr_bench.errors import IvcrError
from ivcr_bench.jsonl import write_atomically
from ivcr_bench.schema import QueryPolicy


@dataclass(frozen=True)
class TrainedOn:
    """What a model expects of its inputs.

    Attributes:
        policy: what of a dialogue is the query.
        rate: frames a second of which those of a film are chosen.
    """

    policy: QueryPolicy
    rate: float


@dataclass(frozen=True)
class RetrievalWeights:
    """A trained model.

    Attributes:
        method: a key of `METHODS`.
        fingerprint: a hash of everything that can change a score.
    """

    method: str
    model: nn.Module
    tokenizer: PreTrainedTokenizerBase
    trained_on: TrainedOn
    fingerprint: str


def save_weights(
    folder: Path, method: str, model: nn.Module, tokenizer: PreTrainedTokenizerBase, trained_on: TrainedOn
) -> None:
    """Write ``model`` into ``folder``; the card is written by whoever knows the training."""
    sizes: Any = model.config
    content = {"method": method, "model": asdict(sizes), "trained_on": asdict(trained_on)}
    write_atomically(folder / "model.safetensors", [save(half(model.state_dict()))])
    tokenizer.save_pretrained(folder)
    write_atomically(folder / "config.json", [json.dumps(content, indent=2).encode(), b"\n"])


def load_weights(folder: Path) -> RetrievalWeights:
    """Read a weights folder.

    Raises:
        IvcrError: a file is missing, truncated, or belongs to another model.
    """
    try:
        content = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        method = METHODS[content["method"]]
        model = method.build(msgspec.convert(content["model"], method.config))
        state = load_file(folder / "model.safetensors")
        model.load_state_dict({k: v.float() if v.dtype == torch.float16 else v for k, v in state.items()})
        trained_on = msgspec.convert(content["trained_on"], TrainedOn)
        own_tokenizer = (folder / "tokenizer_config.json").is_file()
        source = folder if own_tokenizer else content["tokenizer"]
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError, msgspec.MsgspecError) as error:
        first_line = next(iter(str(error).splitlines()), "")
        reason = f"no field {first_line}" if isinstance(error, KeyError) else first_line
        raise IvcrError(f"{folder}: not the weights folder of a retrieval model: {reason}") from None
    model.eval().requires_grad_(False)
    return RetrievalWeights(content["method"], model, load_tokenizer(source), trained_on, _fingerprint(folder))


def half(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A state dict as it is shipped: float16."""
    return {name: (t.half() if t.is_floating_point() else t).contiguous() for name, t in state.items()}


def _fingerprint(folder: Path) -> str:
    digest = hashlib.sha256()
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        if (folder / name).is_file():
            digest.update((folder / name).read_bytes())
    return digest.hexdigest()[:16]
