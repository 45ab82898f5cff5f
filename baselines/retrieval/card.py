"""The model card of trained retrieval weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from baselines.retrieval.methods import WEIGHTS, method_named
from baselines.retrieval.weights import load_weights
from ivcr_bench import __version__
from ivcr_bench.data.dataset import DatasetCard
from ivcr_bench.jsonl import write_atomically
from ivcr_bench.schema import QueryPolicy

POLICIES: Mapping[QueryPolicy, str] = {
    "last": "the last utterance of the user",
    "concat": "all utterances of the user so far, in order",
    "rewrite": "the user's utterances since the latest one that opens a topic, without small talk",
}


@dataclass(frozen=True)
class Origin:
    """What made some weights.

    Attributes:
        backbone: what the training started from.
        minutes: that it took.
        validation: figures on the validation films, of the weights as they are shipped; from 0 to 1.
    """

    command: str
    preset: str
    backbone: str
    dataset: DatasetCard
    minutes: float
    validation: Mapping[str, float]


def write_card(folder: Path, origin: Origin) -> None:
    """Write ``README.md`` into the weights folder ``folder``."""
    weights = load_weights(folder)
    parameters = sum(parameter.numel() for parameter in weights.model.parameters())
    size = (folder / "model.safetensors").stat().st_size / 2**20
    figures = ", ".join(f"{name} {100 * value:.1f} %" for name, value in origin.validation.items())
    policy = weights.trained_on.policy
    backbone = origin.backbone.removeprefix(f"{WEIGHTS}/")
    text = f"""# {method_named(weights.method).title}, preset `{origin.preset}`

A text-to-video retrieval baseline; models, departures and what all of them share: `docs/retrieval.md`.

| | |
| --- | --- |
| made by | `{origin.command}` |
| data | {origin.dataset.name}, fingerprint {origin.dataset.fingerprint}, train split |
| started from | `{backbone}` |
| query | `{policy}`: {POLICIES[policy]} |
| size | {parameters:,} parameters, {size:.2f} MiB of safetensors, float16 |
| training | {origin.minutes:.0f} minutes |
| validation films, gold history | {figures} |
| harness | ivcr-bench {__version__} |
"""
    if origin.preset.startswith("mini"):
        text += "\nIt knows the films of IVCR-Mini and nothing else, in English and Chinese.\n"
    write_atomically(folder / "README.md", [text.encode()])
