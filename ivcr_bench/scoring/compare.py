"""Several systems on the same turns: how they rank, and which of the differences are more than chance.

Every system's own figures are those of its report, whoever it is compared with: all meet the same resamples. Only the
p-values after Holm's correction, and with them ranks and groups, depend on how many comparisons are made.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from ivcr_bench.errors import IvcrError
from ivcr_bench.jsonl import write_atomically
from ivcr_bench.progress import track
from ivcr_bench.schema import SubmissionHeader
from ivcr_bench.scoring.figures import Figure, interval_ends, plain_figure
from ivcr_bench.scoring.metrics import METRICS, Metric
from ivcr_bench.scoring.outcomes import Outcomes, abilities
from ivcr_bench.scoring.propagation import RULES, Propagation
from ivcr_bench.scoring.signature import settings_of, signature
from ivcr_bench.scoring.statistics.bootstrap import bootstrap_sums
from ivcr_bench.scoring.statistics.permutation import MOST, effect_size, permutation_p
from ivcr_bench.scoring.statistics.ranks import ALPHA, holm, rank_groups, rank_intervals
from ivcr_bench.scoring.statistics.resampling import unit_sums
from ivcr_bench.suggest import nearest

DEFAULT_METRICS = ("R@1", "R@1 IoU=0.5", "BLEU-4", "intent accuracy", "dialogue success")
"""One for each thing that a system is asked to do, so that Holm's correction has little to correct."""


class Standing(Struct, frozen=True):
    """A system in the order of one metric.

    Attributes:
        rank: best and worst rank that the significant differences leave open; ``None`` for who is not compared.
        groups: letters; systems that share one cannot be told apart.
    """

    system: str
    figure: Figure
    rank: tuple[int, int] | None
    groups: str


class Pair(Struct, frozen=True):
    """Two systems on one metric.

    Attributes:
        systems: the one with the higher figure first.
        difference: of the figures, with the interval of the difference; ``n`` as the figures have it.
        effect_size: Cohen's d_z over dialogues; ``None`` where the difference does not vary between them.
        p: of the paired permutation test.
        p_holm: corrected for all pairs of all metrics compared.
    """

    systems: tuple[str, str]
    difference: Figure
    effect_size: float | None
    p: float
    p_holm: float

    @property
    def significant(self) -> bool:
        """Whether the difference is more than chance, all comparisons considered."""
        return self.p_holm <= ALPHA


class Ranking(Struct, frozen=True):
    """What one metric says: the systems, best first, then those that do not do such turns; and every pair."""

    standings: tuple[Standing, ...]
    pairs: tuple[Pair, ...]


class Comparison(Struct, frozen=True, kw_only=True):
    """The result of `compare`, and the content of ``compare --json``."""

    format: Literal["ivcr-comparison/1"] = "ivcr-comparison/1"
    signature: str
    propagation: Propagation
    alpha: float
    rankings: dict[str, Ranking]


@dataclass(frozen=True, eq=False)
class Contender:
    """A system reduced to what comparing takes.

    Attributes:
        name: unique among those compared.
        settings: everything that decides its figures.
        rule: how errors travel; the same for all that are compared.
        scores: by metric name; the same metrics for all that are compared.
    """

    name: str
    settings: Mapping[str, str]
    rule: Propagation
    scores: Mapping[str, Score]


@dataclass(frozen=True, eq=False)
class Score:
    """A system's sums under one metric.

    Attributes:
        metric: that metric.
        units: column sums of each unit ``[units, columns]``.
        resampled: the value in each resample ``[RESAMPLES]``.
        dialogues: how many have a turn of the metric's kind.
        figure: as in the system's report.
    """

    metric: Metric
    units: NDArray[np.float64]
    resampled: NDArray[np.float64]
    dialogues: int
    figure: Figure


def contender(
    name: str,
    outcomes: Outcomes,
    header: SubmissionHeader | None,
    *,
    metrics: Sequence[Metric],
    rule: Propagation = "none",
    gated: bool = True,
) -> Contender:
    """Reduce ``outcomes`` to what `compare` needs of them."""
    does = abilities(outcomes)
    alive = RULES[rule](outcomes)
    scores = {}
    for metric in metrics:
        statistics = metric.statistics(outcomes, alive)
        units = unit_sums(statistics, outcomes.dialogue, len(outcomes.dialogue_ids))
        resampled = metric.value(bootstrap_sums(units))
        figure = _figure(plain_figure(metric, units.sum(axis=0), does), resampled)
        dialogues = len(np.unique(outcomes.dialogue[statistics.any(axis=1)]))
        scores[metric.name] = Score(metric, units, resampled, dialogues, figure)
    return Contender(name, settings_of(outcomes, header, gated=gated).settings, rule, scores)


def compare(contenders: Sequence[Contender]) -> Comparison:
    """Compare every two of ``contenders`` on every metric.

    Raises:
        IvcrError: their figures do not compare, or there are too many of them.
    """
    require_comparable({one.name: one.settings for one in contenders})
    orders = {metric: _best_first(contenders, metric) for metric in contenders[0].scores}
    duels = [(metric, first, second) for metric, order in orders.items() for first, second in combinations(order, 2)]
    _require_few(len(duels))
    tested = [(metric, _pair(first, second, metric)) for metric, first, second in track(duels, "testing pairs")]
    corrected = holm([pair.p for _, pair in tested])
    pairs: dict[str, list[Pair]] = {metric: [] for metric in orders}
    for (metric, pair), p_holm in zip(tested, corrected, strict=True):
        pairs[metric].append(replace(pair, p_holm=p_holm))
    return Comparison(
        signature=signature(contenders[0].settings),
        propagation=contenders[0].rule,
        alpha=ALPHA,
        rankings={metric: _ranking(contenders, metric, orders[metric], pairs[metric]) for metric in orders},
    )


def write_comparison(path: str | Path, comparison: Comparison) -> None:
    """Write ``comparison`` as indented JSON; equal comparisons give equal bytes.

    Raises:
        IvcrError: the file cannot be written; an older file of that name is then untouched.
    """
    write_atomically(path, [msgspec.json.format(msgspec.json.encode(comparison), indent=2), b"\n"])


def metrics_named(names: Sequence[str]) -> list[Metric]:
    """The metrics of these names.

    Raises:
        IvcrError: there is no such metric.
    """
    known = {metric.name: metric for metric in METRICS}
    for name in names:
        if name not in known:
            near = nearest(name, known)
            hint = f"did you mean {near!r}?" if near else None
            raise IvcrError(f"--metric: found {name!r}, expected one of {', '.join(known)}", hint=hint)
    return [known[name] for name in dict.fromkeys(names)]


def require_comparable(settings: Mapping[str, Mapping[str, str]]) -> None:
    """Raise an `IvcrError` that names every setting in which submissions differ.

    Args:
        settings: by submission, as `ivcr_bench.scoring.signature.settings` gives them.
    """
    names = dict.fromkeys(name for own in settings.values() for name in own)
    found = {name: {file: own.get(name, "unstated") for file, own in settings.items()} for name in names}
    faults = [
        f"field {name!r}: found " + ", ".join(f"{value} ({file})" for file, value in values.items())
        for name, values in found.items()
        if len(set(values.values())) > 1
    ]
    if faults:
        raise IvcrError("\n  ".join(["these submissions do not compare; expected the same in all:", *faults]))


def _require_few(comparisons: int) -> None:
    """Raise an `IvcrError` if Holm's correction would make even the smallest possible p insignificant."""
    most = int(ALPHA * (1 + MOST))
    if comparisons > most:
        raise IvcrError(
            f"found {comparisons} comparisons, expected at most {most}: no difference could be significant among more",
            hint="name fewer submissions, or fewer metrics with --metric",
        )


def _best_first(contenders: Sequence[Contender], metric: str) -> list[Contender]:
    """Those who do what the metric is about."""
    compared = [one for one in contenders if one.scores[metric].figure.value is not None]
    return sorted(compared, key=lambda one: (-(one.scores[metric].figure.value or 0), one.name))


def _pair(first: Contender, second: Contender, metric: str) -> Pair:
    one, other = first.scores[metric], second.scores[metric]
    value = one.metric.value
    difference = (one.figure.value or 0) - (other.figure.value or 0)
    effect = effect_size(one.units, other.units, value, one.dialogues)
    p = permutation_p(one.units, other.units, value)
    return Pair(
        systems=(first.name, second.name),
        difference=_figure(Figure(difference, one.figure.n), one.resampled - other.resampled),
        effect_size=effect if math.isfinite(effect) else None,
        p=p,
        p_holm=p,
    )


def _figure(figure: Figure, resampled: NDArray[np.float64]) -> Figure:
    """``figure`` with its interval."""
    if figure.value is None:
        return figure
    return Figure(figure.value, figure.n, *interval_ends(resampled))


def _ranking(
    contenders: Sequence[Contender], metric: str, order: Sequence[Contender], pairs: Sequence[Pair]
) -> Ranking:
    better = np.zeros((len(order), len(order)), np.bool_)
    for (row, column), pair in zip(combinations(range(len(order)), 2), pairs, strict=True):
        better[row, column] = pair.significant
    placed = zip(order, rank_intervals(better), rank_groups(better), strict=True)
    standings = [Standing(one.name, one.scores[metric].figure, rank, groups) for one, rank, groups in placed]
    absent = sorted((one for one in contenders if one not in order), key=lambda one: one.name)
    standings += [Standing(one.name, one.scores[metric].figure, None, "") for one in absent]
    return Ranking(tuple(standings), tuple(pairs))
