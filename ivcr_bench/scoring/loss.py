"""Propagation loss: what a system loses because errors travel.

    loss(none -> rule) = figure under ``none`` - figure under ``rule``          of the same answers
    loss(gold -> own)  = figure with gold history - figure with own history     both under ``none``

The first is what the protocol takes away for errors that came before; the second is what the system's own errors, in
its history, do to its later answers. Both are given overall and by turn number, each with the interval of the
difference (the two sides are resampled together). Ours, not the paper's, whose Table 4 shows only the result.
"""

from __future__ import annotations

from collections.abc import Collection

from msgspec import Struct

from ivcr_bench.scoring.figures import OVERALL, Cells, Figure, Resampler
from ivcr_bench.scoring.outcomes import Ability
from ivcr_bench.scoring.propagation import Propagation


class Loss(Struct, frozen=True):
    """What is lost from one way of replaying or scoring to another.

    Attributes:
        overall: metric -> loss, as a fraction of 1.
        by_turn: turn number -> metric -> loss.
    """

    overall: dict[str, Figure]
    by_turn: dict[str, dict[str, Figure]]


def loss(
    resampler: Resampler, before: Cells, after: Cells, rules: tuple[Propagation, Propagation], does: Collection[Ability]
) -> Loss:
    """What is lost from ``before`` to ``after``, each under its rule, by a system that does what it ``does``."""
    overall: dict[str, Figure] = {}
    by_turn: dict[str, dict[str, Figure]] = {}
    for (part, label, rule, metric), cell in before.items():
        if rule != rules[0] or part not in (OVERALL[0], "turn"):
            continue
        lost = resampler.difference(cell, after[part, label, rules[1], metric], does)
        if part == "turn":
            by_turn.setdefault(label, {})[metric] = lost
        else:
            overall[metric] = lost
    return Loss(overall, by_turn)
