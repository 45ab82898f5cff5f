"""Our reports in the shape of the paper's Tables 2, 3 and 4, below the rows that it published.

A `Layout` holds what a table says; `ivcr_bench.scoring.layout_formats` writes it as text, Markdown, LaTeX or CSV.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from ivcr_bench.schema import HistoryMode
from ivcr_bench.scoring.propagation import Propagation
from ivcr_bench.scoring.published import (
    DATASET,
    LOST,
    NOT_APPLICABLE,
    OVERALL,
    RETRIEVERS,
    TURNS,
    Column,
    Published,
)

if TYPE_CHECKING:
    from ivcr_bench.scoring.figures import Figure
    from ivcr_bench.scoring.report import Report

LayoutName = Literal["overall", "retrievers", "turns"]
LAYOUT_NAMES: tuple[LayoutName, ...] = get_args(LayoutName)

INTERVAL_NOTE = "[low, high]: 95 % bootstrap interval over dialogues."


@dataclass(frozen=True)
class Protocol:
    """How a table's figures come about: what stood in the history, and how errors travel."""

    name: str
    history: HistoryMode
    propagation: Propagation


SINGLE_TURN = Protocol("single-turn", "gold", "none")
MULTI_TURN = Protocol("multi-turn", "own", "video")


@dataclass(frozen=True)
class Shown:
    """A figure as it is printed, in the unit of its column; ``low`` and ``high`` bound its interval, empty if none."""

    value: str
    low: str = ""
    high: str = ""


@dataclass(frozen=True)
class Line:
    """A row of a layout.

    Attributes:
        labels: of the leading columns.
        figures: one a column.
        data: the dataset that the figures are of.
        protocol: "as published", the table's protocol, or how this row departs from it.
        continues: the first label is that of the line above.
        comparable: the row is of the table's protocol.
    """

    labels: tuple[str, ...]
    figures: tuple[Shown, ...]
    data: str
    protocol: str
    continues: bool = False
    comparable: bool = True


@dataclass(frozen=True)
class Layout:
    """A table: the lines that the paper published, ours, and what a reader has to know about both."""

    title: str
    label_headings: tuple[str, ...]
    columns: tuple[Column, ...]
    published: tuple[Line, ...]
    ours: tuple[Line, ...]
    notes: tuple[str, ...]


def lay_out(name: LayoutName, reports: Sequence[Report]) -> Layout:
    """The paper's table ``name`` with a row (``turns``: a row a turn number) for each of ``reports``, in their order.

    A report of another protocol than the table's is shown too, says what it is, and is noted as not comparable.
    """
    published, protocol = _TABLES[name]
    rows_of = {"overall": _overall_rows, "retrievers": _retriever_rows, "turns": _turn_rows}[name]
    ours = tuple(line for report in reports for line in rows_of(report, published.columns, protocol))
    return Layout(
        title=f"{published.caption} (the paper's Table {published.number})",
        label_headings=published.label_headings,
        columns=published.columns,
        published=_published_lines(published),
        ours=ours,
        notes=(*_notes(published, protocol, reports, ours), *_signature_notes(reports)),
    )


_TABLES: dict[LayoutName, tuple[Published, Protocol]] = {
    "overall": (OVERALL, SINGLE_TURN),
    "retrievers": (RETRIEVERS, SINGLE_TURN),
    "turns": (TURNS, MULTI_TURN),
}


def _published_lines(published: Published) -> tuple[Line, ...]:
    above: tuple[str, ...] = ()
    lines = []
    for row in published.rows:
        figures = tuple(map(Shown, row.figures))
        source = "as published, lost" if row.is_lost else "as published"
        continues = len(row.labels) > 1 and row.labels[:1] == above[:1]
        lines.append(Line(row.labels, figures, DATASET, source, continues))
        above = row.labels
    return tuple(lines)


def _overall_rows(report: Report, columns: Sequence[Column], protocol: Protocol) -> Iterator[Line]:
    figures = report.overall[protocol.propagation]
    yield _line((_task(report), _name(report)), figures, columns, report, protocol)


def _retriever_rows(report: Report, columns: Sequence[Column], protocol: Protocol) -> Iterator[Line]:
    figures = report.overall[protocol.propagation]
    yield _line((_name(report),), figures, columns, report, protocol)


def _turn_rows(report: Report, columns: Sequence[Column], protocol: Protocol) -> Iterator[Line]:
    by_turn = report.slices["turn"]
    for index, turn in enumerate(sorted(by_turn, key=int)):
        figures = by_turn[turn][protocol.propagation]
        yield _line((_name(report), turn), figures, columns, report, protocol, continues=index > 0)


def _line(
    labels: tuple[str, ...],
    figures: Mapping[str, Figure],
    columns: Iterable[Column],
    report: Report,
    protocol: Protocol,
    *,
    continues: bool = False,
) -> Line:
    departures = _departures(report, protocol)
    return Line(
        labels=labels,
        figures=tuple(_show(figures, column) for column in columns),
        data=_data(report),
        protocol=", ".join(departures) or protocol.name,
        continues=continues,
        comparable=not departures,
    )


def _name(report: Report) -> str:
    return report.system or "unnamed"


def _task(report: Report) -> str:
    """What the paper's column "Types" would say of the system."""
    video, moment = "video_retrieval" in report.does, "moment_retrieval" in report.does
    if video == moment:
        return "IVCR" if video else "Dialogue"
    return "Video Retrieval" if video else "Moment Retrieval"


def _data(report: Report) -> str:
    return f"{report.dataset} {report.split}" + (f"[:{report.limit}]" if report.limit else "")


def _departures(report: Report, protocol: Protocol) -> list[str]:
    """In what the report is not of ``protocol``; empty if it is."""
    departures = []
    if report.history != protocol.history:
        departures.append(f"history {report.history or 'unstated'}")
    if report.scope == "candidates":
        departures.append("scope candidates")
    if not report.gated:
        departures.append("ungated")
    if report.sees_gold:
        departures.append("sees the gold answers")
    return departures


def _show(figures: Mapping[str, Figure], column: Column) -> Shown:
    figure = figures.get(column.metric) if column.metric else None
    if figure is None or figure.value is None:
        return Shown(NOT_APPLICABLE)
    value = _number(figure.value, column, bound=False)
    if figure.low is None or figure.high is None:
        return Shown(value)
    return Shown(value, _number(figure.low, column, bound=True), _number(figure.high, column, bound=True))


def _number(fraction: float, column: Column, *, bound: bool) -> str:
    """As many digits as the paper gives; one fewer for a bound, whose last digit would be noise of the resampling."""
    if column.unit == "percent":
        return f"{100 * fraction:.{1 if bound else 2}f}"
    return f"{fraction:.{3 if bound else 4}f}"


def _notes(published: Published, protocol: Protocol, reports: Sequence[Report], ours: Iterable[Line]) -> list[str]:
    fractions = [column.heading for column in published.columns if column.unit == "fraction"]
    notes = [
        f"R@k in percent; {' and '.join(fractions)} as fractions of 1, as the paper prints them."
        if fractions
        else "All figures in percent.",
        f"As published: the paper's numbers, on the test split of {DATASET}.",
    ]
    if reports:
        notes.append("Rows of different data do not compare, whatever their figures: read each with its column Data.")
        notes.append(
            f"Our rows are {protocol.name}: history {protocol.history}, propagation {protocol.propagation}"
            " (docs/protocols.md)."
        )
    if not all(line.comparable for line in ours):
        notes.append(f"* not {protocol.name}: not comparable with the other rows; the column Protocol says why.")
    if reports and any(column.metric is None for column in published.columns):
        notes.append(
            "No judge of ours fills the column GPT-4 Score: the paper's prompt and model are not published"
            " (docs/judge.md)."
        )
    if any(LOST in row.figures for row in published.rows):
        notes.append(f"{LOST}: a figure of the paper that is not known here.")
    return [*notes, *published.notes]


def _signature_notes(reports: Sequence[Report]) -> list[str]:
    """Each signature once, with the systems that it holds for."""
    systems: dict[str, list[str]] = {}
    for report in reports:
        names = systems.setdefault(report.signature, [])
        if _name(report) not in names:
            names.append(_name(report))
    if len(systems) == 1:
        return [f"signature: {signature}" for signature in systems]
    return [f"signature of {', '.join(names)}: {signature}" for signature, names in systems.items()]
