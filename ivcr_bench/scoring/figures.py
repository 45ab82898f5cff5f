"""Figures: a metric under a propagation rule over a set of turns, with its interval.

All sets of turns of all systems are reduced to sums over *units*, the dialogues (`statistics.resampling`), and
resampled together: one matrix of resamples serves every figure, so that differences of figures are paired.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from typing import NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from ivcr_bench.scoring.metrics import METRICS, Metric, Statistics
from ivcr_bench.scoring.outcomes import Ability, Outcomes
from ivcr_bench.scoring.propagation import RULES, Alive, Propagation
from ivcr_bench.scoring.slices import SLICES
from ivcr_bench.scoring.statistics.bootstrap import bootstrap_sums, percentile_interval
from ivcr_bench.scoring.statistics.resampling import units_of

DIGITS = 6
"""Interval ends are rounded to so many digits, far beyond what resampling decides, so that they read the same on
processors whose sums differ in the last bit."""

OVERALL = ("", "")
"""Slice and label of all turns."""


class Figure(Struct, frozen=True):
    """A value, a fraction of 1, and the number of gold units (turns or dialogues) that it is over.

    Attributes:
        value: ``None`` where there is no such unit or the system does not do such turns: "-" in a table.
        low, high: 95 % bootstrap interval over dialogues.
    """

    value: float | None
    n: int
    low: float | None = None
    high: float | None = None


def plain_figure(metric: Metric, sums: Statistics, does: Collection[Ability]) -> Figure:
    """The figure of column sums ``[columns]``, without interval, of a system that does what it ``does``."""
    n = metric.n(sums)
    done = metric.needs is None or metric.needs in does
    return Figure(float(metric.value(sums)) if done and n else None, n)


@dataclass(frozen=True)
class Cell:
    """A figure before it is one: the sums of a metric over a set of turns.

    Attributes:
        sums: over all units; float64 ``[columns]``.
        columns: where the same sums stand among the resamples.
    """

    metric: Metric
    sums: Statistics
    columns: tuple[int, ...]


Cells = dict[tuple[str, str, Propagation, str], Cell]
"""(slice, label, rule, metric) -> cell; `OVERALL` is slice and label of all turns."""


class Resampler:
    """Makes cells of outcomes, and figures of cells. All cells are to be made before the first figure is.

    Args:
        dialogues: the number of dialogues; the same for all outcomes.
        intervals: whether figures are to have one.
    """

    def __init__(self, dialogues: int, *, intervals: bool = True) -> None:
        self._unit_of = units_of(dialogues)
        self._units = int(self._unit_of.max()) + 1
        self._wanted = intervals
        self._columns: list[NDArray[np.float64]] = []
        self._column_of: dict[bytes, int] = {}
        self._intervals: dict[object, _Interval] = {}

    def cells(self, outcomes: Outcomes) -> Cells:
        """The cells of one system: every slice, rule and metric."""
        cells: Cells = {}
        cuts = list(_cuts(outcomes, self._unit_of[outcomes.dialogue], self._units))
        for rule, mask in RULES.items():
            alive = mask(outcomes)
            for counted, metrics in _by_statistics().items():
                columns = np.ascontiguousarray(counted(outcomes, alive).T)
                for cut in cuts:
                    self._fill(cells, cut, rule, metrics, cut.sums(columns, self._units))
        return cells

    def figure(self, cell: Cell, does: Collection[Ability]) -> Figure:
        """The figure of one cell, of a system that does what it ``does``."""
        return self._figure((cell,), does)

    def difference(self, minuend: Cell, subtrahend: Cell, does: Collection[Ability]) -> Figure:
        """By how much one cell is more than another of the same metric and turns; its interval is of the difference."""
        return self._figure((minuend, subtrahend), does)

    def _figure(self, cells: tuple[Cell, ...], does: Collection[Ability]) -> Figure:
        """The first of ``cells`` less the others."""
        plain = [plain_figure(cell.metric, cell.sums, does) for cell in cells]
        values = [figure.value for figure in plain if figure.value is not None]
        if len(values) < len(cells):
            return plain[0]
        return Figure(values[0] - sum(values[1:]), plain[0].n, *self._interval(cells))

    def _fill(self, cells: Cells, cut: _Cut, rule: Propagation, metrics: list[Metric], sums: Statistics) -> None:
        for label, of_label in zip(cut.names, sums, strict=True):
            columns = tuple(map(self._column, of_label))
            for metric in metrics:
                if cut.of_dialogues or not metric.of_dialogues:
                    cells[cut.slice, label, rule, metric.name] = Cell(metric, of_label.sum(axis=-1), columns)

    def _column(self, of_units: NDArray[np.float64]) -> int:
        """The number of this column among those resampled; equal columns are resampled once."""
        digest = hashlib.blake2b(of_units.tobytes(), digest_size=16).digest()
        column = self._column_of.setdefault(digest, len(self._columns))
        if column == len(self._columns):
            self._columns.append(of_units.copy())
        return column

    def _interval(self, cells: tuple[Cell, ...]) -> _Interval:
        if not self._wanted:
            return None, None
        key = tuple((cell.metric.value, cell.columns) for cell in cells)
        if key not in self._intervals:
            values = [cell.metric.value(self._drawn[:, cell.columns]) for cell in cells]
            self._intervals[key] = interval_ends(values[0] - sum(values[1:], np.zeros(1)))
        return self._intervals[key]

    @cached_property
    def _drawn(self) -> Statistics:
        """The columns, summed over each resample; float64 ``[resamples, columns]``."""
        units = np.column_stack(self._columns)
        self._columns.clear()
        return bootstrap_sums(units)


def interval_ends(resampled: NDArray[np.float64]) -> _Interval:
    """The 95 % interval of values ``[resamples]``, rounded to `DIGITS`; ``None`` where there is none."""
    low, high = (None if math.isnan(end) else round(float(end), DIGITS) for end in percentile_interval(resampled))
    return low, high


_Interval = tuple[float | None, float | None]


class _Cut(NamedTuple):
    """A slice; ``cells`` is label and unit of each turn in one number, label * units + unit."""

    slice: str
    names: tuple[str, ...]
    of_dialogues: bool
    cells: NDArray[np.intp]

    def sums(self, columns: Statistics, units: int) -> Statistics:
        """``[columns, turns]`` to ``[labels, columns, units]``."""
        shape = len(self.names), units
        return np.stack(
            [np.bincount(self.cells, column, shape[0] * units).reshape(shape) for column in columns], axis=1
        )


def _cuts(outcomes: Outcomes, unit: NDArray[np.int64], units: int) -> Iterator[_Cut]:
    """All turns as one slice, then every slice."""
    yield _Cut(OVERALL[0], (OVERALL[1],), of_dialogues=True, cells=unit)
    for part in SLICES:
        names, codes = part.labels(outcomes)
        yield _Cut(part.name, names, part.of_dialogues, codes * units + unit)


@cache
def _by_statistics() -> dict[Callable[[Outcomes, Alive], Statistics], list[Metric]]:
    """The metrics that share their statistics, so that those are counted once."""
    grouped: dict[Callable[[Outcomes, Alive], Statistics], list[Metric]] = {}
    for metric in METRICS:
        grouped.setdefault(metric.statistics, []).append(metric)
    return grouped
