"""The signature of a figure: everything that decides it, on one line. Figures of unequal signatures do not compare."""

from __future__ import annotations

from collections.abc import Mapping

from ivcr_bench import __version__
from ivcr_bench.schema import HistoryMode, Scope, Split
from ivcr_bench.scoring import text
from ivcr_bench.scoring.statistics.resampling import GROUPS, RESAMPLES, SEED

INTERVAL = f"bootstrap95,dialogues,n:{RESAMPLES},groups:{GROUPS},seed:{SEED}"
"""Names every choice that changes an interval."""


def settings(
    *,
    dataset: str,
    fingerprint: str,
    split: Split,
    limit: int | None,
    history: HistoryMode | None,
    scope: Scope | None,
    gated: bool,
    bleu: str = text.SIGNATURE,
    interval: str = INTERVAL,
    harness: str = __version__,
) -> dict[str, str]:
    """Every setting that decides a figure, by its name in the signature."""
    return {
        "data": f"{dataset}@{fingerprint}",
        "split": split if limit is None else f"{split}[:{limit}]",
        "history": history or "unstated",
        "scope": scope or "unstated",
        "gate": "on" if gated else "off",
        "iou": "ge",
        "bleu": bleu,
        "ci": interval,
        "ivcr-bench": harness,
    }


def signature(named: Mapping[str, str]) -> str:
    """`settings` on one line.

    >>> signature({"gate": "on", "iou": "ge"})
    'gate:on|iou:ge'
    """
    return "|".join(f"{name}:{value}" for name, value in named.items())
