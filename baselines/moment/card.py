"""The model card of trained moment weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from baselines.moment.methods import method_named
from baselines.moment.settings import Plan
from baselines.moment.weights import load_weights
from ivcr_bench import __version__
from ivcr_bench.data.dataset import DatasetCard


def write_card(folder: Path, plan: Plan, dataset: DatasetCard, minutes: float, figures: Mapping[str, float]) -> None:
    """Write ``README.md`` into the weights folder ``folder``.

    Args:
        minutes: that the training took.
        figures: on the validation films, of the weights as they are shipped; from 0 to 1.
    """
    weights = load_weights(folder)
    parameters = sum(parameter.numel() for parameter in weights.model.parameters())
    size = (folder / "model.safetensors").stat().st_size / 2**20
    reached = ", ".join(f"{name} {100 * value:.1f} %" for name, value in figures.items())
    text = f"""# {method_named(plan.method).title}, preset `{plan.preset}`

A moment localiser, trained from scratch; models and departures: `docs/moments.md`.

| | |
| --- | --- |
| made by | `ivcr-bench train {plan.method} --preset {plan.preset} --seed {plan.seed}` |
| data | {dataset.name}, fingerprint {dataset.fingerprint}, train split |
| features | of InterLLaVA-mini's first phase, fingerprint {weights.trained_on.features} |
| query | `{weights.trained_on.policy}`: {_POLICIES[weights.trained_on.policy]} |
| size | {parameters:,} parameters, {size:.2f} MiB of safetensors, float16 |
| training | {minutes:.0f} minutes on one core |
| validation films, right film given, gold history | {reached} |
| harness | ivcr-bench {__version__} |

It knows the films of IVCR-Mini and nothing else, in English and Chinese.
"""
    (folder / "README.md").write_text(text, encoding="utf-8")


_POLICIES = {
    "last": "the last utterance of the user",
    "concat": "all utterances of the user so far, in order",
}
