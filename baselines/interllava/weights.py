"""The weights folder of InterLLaVA: what training writes and `InterLLaVA` reads.

```
config.json            sizes (`InterLlavaConfig`)
tokenizer.json         phase 1's tokenizer with the tokens of the prompts added
model.safetensors      phase 2, float16
phase1/                BLIP-2, X-Pool and their settings (`baselines.interllava.phase1`)
README.md              the card: command, seed and data that made them
```
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers import PreTrainedTokenizerFast

from baselines.interllava import prompts
from baselines.interllava.config import InterLlavaConfig
from baselines.interllava.model import InterLlava
from baselines.interllava.phase1 import SHIPPED, Phase1, load_phase1
from ivcr_bench import __version__
from ivcr_bench.data.dataset import Dataset
from ivcr_bench.errors import IvcrError


@dataclass(frozen=True)
class Weights:
    """A trained InterLLaVA; ``fingerprint`` is a hash of everything that can change an answer."""

    phase1: Phase1
    model: InterLlava
    tokenizer: PreTrainedTokenizerFast
    fingerprint: str


def phase2_tokenizer(phase1: Phase1) -> PreTrainedTokenizerFast:
    """Phase 1's tokenizer with the tokens of the prompts added."""
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=phase1.tokenizer.backend_tokenizer, pad_token="[PAD]", unk_token="[UNK]"
    )
    tokenizer.add_tokens(list(prompts.ADDED_TOKENS), special_tokens=True)
    return tokenizer


def save_weights(folder: Path, model: InterLlava, tokenizer: PreTrainedTokenizerFast) -> None:
    """Write phase 2 into ``folder``; phase 1 writes its own part."""
    folder.mkdir(parents=True, exist_ok=True)
    half = {name: tensor.to(torch.float16).contiguous() for name, tensor in model.state_dict().items()}
    save_file(half, folder / "model.safetensors")
    tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "config.json").write_text(json.dumps(model.config.to_dict(), indent=2) + "\n", encoding="utf-8")


def load_weights(folder: Path | None = None) -> Weights:
    """Read a weights folder; the shipped ``mini`` weights by default.

    Raises:
        IvcrError: a file is missing, truncated, or belongs to another model.
    """
    folder = folder or SHIPPED
    try:
        config = InterLlavaConfig(**json.loads((folder / "config.json").read_text(encoding="utf-8")))
        tokenizer = PreTrainedTokenizerFast(
            tokenizer_file=str(folder / "tokenizer.json"), pad_token="[PAD]", unk_token="[UNK]"
        )
        state = {name: tensor.float() for name, tensor in load_file(folder / "model.safetensors").items()}
        model = InterLlava(config, len(tokenizer))
        model.load_state_dict(state)
    except (OSError, ValueError, TypeError, SafetensorError, RuntimeError) as error:
        raise IvcrError(f"{folder}: not an InterLLaVA weights folder: {error}") from None
    return Weights(load_phase1(folder / "phase1"), model.eval(), tokenizer, _fingerprint(folder))


def _fingerprint(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted([*folder.rglob("*.safetensors"), *folder.rglob("*.json")]):
        digest.update(path.relative_to(folder).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def write_card(folder: Path, dataset: Dataset, *, preset: str, seed: int, command: str) -> None:
    """Write the model card: what the weights are, and what made them."""
    size = sum(path.stat().st_size for path in folder.rglob("*.safetensors")) / 2**20
    (folder / "README.md").write_text(
        f"""# InterLLaVA, preset `{preset}`

The reference model of the IVCR-200K paper at a small scale; architecture and departures: `docs/interllava.md`.

| | |
| --- | --- |
| made by | `{command}` |
| seed | {seed} |
| data | {dataset.card.name}, fingerprint {dataset.card.fingerprint}, train split |
| size | {size:.1f} MiB of safetensors, float16 |
| harness | ivcr-bench {__version__} |

It knows the films of IVCR-Mini and nothing else, in English and Chinese. The pointer read-out, the shared space that
reaches the LLaMA, the tubelets and the tag warm-up of its vision encoder are ours, not the paper's.
""",
        encoding="utf-8",
    )
