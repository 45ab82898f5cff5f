"""What an evaluator found: how many turns count for each figure, and which of them were credited."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Literal, ParamSpec, TypeVar

from ivcr_bench.scoring.official.faults import CrashPolicy, OfficialScorerError

T = TypeVar("T")
P = ParamSpec("P")

Table = Literal["overall", "turn"]
Row = int
"""A turn number; 0 in the overall table."""

VIDEO = "R@1"
MOMENT = ("R@1 IoU=0.3", "R@1 IoU=0.5", "R@1 IoU=0.7")
THRESHOLDS = (0.3, 0.5, 0.7)
INTENT = "intent accuracy"
METRICS = (VIDEO, *MOMENT)


@dataclass(frozen=True)
class Cell:
    """One figure: ``right`` of ``total``; a fault can credit a turn more than once."""

    right: int
    total: int

    @property
    def percent(self) -> float | None:
        """The figure times 100; ``None`` where nothing counts."""
        return self.right / self.total * 100 if self.total else None


@dataclass
class Tally:
    """Counts and credits, kept turn by turn so that two tallies can be compared."""

    crash_policy: CrashPolicy = "count_wrong"
    totals: Counter[tuple[Table, Row, str]] = field(default_factory=Counter)
    credits: Counter[tuple[Table, Row, str, Hashable]] = field(default_factory=Counter)
    crashes: Counter[str] = field(default_factory=Counter)

    def count(self, table: Table, row: Row, *metrics: str, turns: int = 1) -> None:
        """``turns`` more turns count for ``metrics``."""
        for metric in metrics:
            self.totals[table, row, metric] += turns

    def award(self, table: Table, row: Row, metric: str, key: Hashable) -> None:
        """The turn ``key`` is right."""
        self.credits[table, row, metric, key] += 1

    def crash(self, code: str, message: str) -> None:
        """The script would have crashed; what it was judging is wrong.

        Raises:
            OfficialScorerError: the policy is to raise.
        """
        if self.crash_policy == "raise":
            raise OfficialScorerError(code, message)
        self.crashes[code] += 1

    def guard(self, otherwise: T, judge: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What ``judge`` gives, or ``otherwise`` if the script would have crashed in it and the policy is to go on."""
        try:
            return judge(*args, **kwargs)
        except OfficialScorerError as error:
            if self.crash_policy == "raise":
                raise
            self.crashes[error.code] += 1
            return otherwise

    def rows(self, table: Table) -> list[Row]:
        """The rows of ``table``, in order."""
        return sorted({row for name, row, _ in self.totals if name == table})

    def cells(self) -> dict[tuple[Table, Row, str], Cell]:
        """Every figure."""
        right: Counter[tuple[Table, Row, str]] = Counter()
        for (table, row, metric, _), times in self.credits.items():
            right[table, row, metric] += times
        return {place: Cell(right[place], total) for place, total in self.totals.items()}

    def cell(self, table: Table, metric: str, row: Row = 0) -> Cell:
        """One figure; 0 of 0 where the table has none."""
        return self.cells().get((table, row, metric), Cell(0, 0))
