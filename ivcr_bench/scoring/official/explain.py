"""What each fault does to a result: the authors' figures again, with one fault repaired at a time.

A fault is weighed against the authors' figure, not against the correct one: the question is what a published number
would have been without it. Faults interact (a text join that never matches hides which prediction it would have
matched), so the effects do not add up to the whole difference.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from ivcr_bench.scoring.official.faults import FAULTS, CrashPolicy, Fault, Protocol, all_faults, kept_faults
from ivcr_bench.scoring.official.tally import Table, Tally

Evaluate = Callable[[frozenset[str], CrashPolicy], Tally]
"""Scores the files at hand with the given faults on."""


@dataclass(frozen=True)
class Effect:
    """What changes when one fault alone is repaired.

    Attributes:
        gained: turns that are credited then and were not, by table and metric.
        lost: turns that were credited and are not then.
        counted: change of the number of turns that count, by table and metric.
        crashes: places where the script would have crashed for this fault.
    """

    fault: Fault
    gained: Counter[tuple[Table, str]]
    lost: Counter[tuple[Table, str]]
    counted: Counter[tuple[Table, str]]
    crashes: int

    @property
    def nothing(self) -> bool:
        """Whether the fault does not show in these files."""
        return not (self.gained or self.lost or any(self.counted.values()) or self.crashes)


@dataclass(frozen=True)
class Explanation:
    """The authors' figures, the correct ones, and what each fault has to do with the difference."""

    official: Tally
    correct: Tally
    effects: tuple[Effect, ...]


def explain(protocol: Protocol, evaluate: Evaluate) -> Explanation:
    """Score once as the authors do, once correctly, and once for each fault with that fault alone repaired."""
    everything = all_faults(protocol)
    official = evaluate(everything, "count_wrong")
    return Explanation(
        official,
        evaluate(kept_faults(protocol), "count_wrong"),
        tuple(
            _effect(fault, official, evaluate(everything - {fault.code}, "count_wrong"))
            for fault in FAULTS[protocol]
            if fault.switchable
        ),
    )


def _effect(fault: Fault, official: Tally, repaired: Tally) -> Effect:
    before, after = _credits(official), _credits(repaired)
    counted = _totals(repaired)
    counted.subtract(_totals(official))
    return Effect(fault, _by_metric(after - before), _by_metric(before - after), counted, official.crashes[fault.code])


def _credits(tally: Tally) -> Counter[tuple[Table, str, object]]:
    """How often each turn is credited, in whatever row."""
    merged: Counter[tuple[Table, str, object]] = Counter()
    for (table, _, metric, key), times in tally.credits.items():
        merged[table, metric, key] += times
    return merged


def _by_metric(credits: Counter[tuple[Table, str, object]]) -> Counter[tuple[Table, str]]:
    merged: Counter[tuple[Table, str]] = Counter()
    for (table, metric, _), times in credits.items():
        merged[table, metric] += times
    return merged


def _totals(tally: Tally) -> Counter[tuple[Table, str]]:
    merged: Counter[tuple[Table, str]] = Counter()
    for (table, _, metric), turns in tally.totals.items():
        merged[table, metric] += turns
    return merged
