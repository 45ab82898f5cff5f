"""A `Layout` as text, Markdown, LaTeX or CSV.

Each format escapes labels and notes in its own way (`ivcr_bench.scoring.escaping`).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, get_args

from tabulate import tabulate

from ivcr_bench.errors import printable
from ivcr_bench.scoring.escaping import escape_csv, escape_latex, escape_markdown
from ivcr_bench.scoring.layouts import INTERVAL_NOTE, Layout, Line, Shown
from ivcr_bench.scoring.published import LOST, NOT_APPLICABLE

FormatName = Literal["text", "markdown", "latex", "csv"]
FORMAT_NAMES: tuple[FormatName, ...] = get_args(FormatName)

Style = Callable[[str], str]
"""Marks a line of text as published, by colour for instance."""


def format_layout(layout: Layout, name: FormatName, *, intervals: bool = False, grey: Style = str) -> str:
    """``layout`` in format ``name``; ends with a newline.

    Args:
        intervals: show the bounds of our figures: ``58.61 [53.1, 64.0]``, in CSV as columns of their own.
        grey: applied to each published line; ``text`` only.
    """
    match name:
        case "text":
            return _text(layout, intervals, grey)
        case "markdown":
            return _markdown(layout, intervals)
        case "latex":
            return _latex(layout, intervals)
        case "csv":
            return _csv(layout, intervals)


def _text(layout: Layout, intervals: bool, grey: Style) -> str:
    rows = _rows(layout, intervals, printable)
    header = [heading.replace(" IoU", "\nIoU") for heading in _header(layout)]
    table = tabulate(rows, header, tablefmt="simple", colalign=_alignment(layout), disable_numparse=True).split("\n")
    top, body = table[: -len(rows)], table[-len(rows) :]
    split = len(layout.published)
    rule = [top[-1]] if layout.ours else []
    lines = [layout.title, "", *top, *map(grey, body[:split]), *rule, *body[split:], "", *_notes(layout, intervals)]
    return "\n".join(lines) + "\n"


def _notes(layout: Layout, intervals: bool) -> list[str]:
    shown = any(figure.low for line in layout.ours for figure in line.figures)
    return [printable(note) for note in (*([INTERVAL_NOTE] if intervals and shown else []), *layout.notes)]


def _markdown(layout: Layout, intervals: bool) -> str:
    rows = _rows(layout, intervals, escape_markdown)
    table = tabulate(rows, _header(layout), tablefmt="pipe", colalign=_alignment(layout), disable_numparse=True)
    notes = [f"- {escape_markdown(note)}" for note in _notes(layout, intervals)]
    return "\n".join([f"**{escape_markdown(layout.title)}**", "", table, "", *notes]) + "\n"


def _latex(layout: Layout, intervals: bool) -> str:
    """A tabular for the package booktabs, the notes as comments above it."""
    alignment = "".join(side[0] for side in _alignment(layout))
    published, ours = (
        [f"{' & '.join(_row(line, intervals, escape_latex))} \\\\" for line in lines]
        for lines in (layout.published, layout.ours)
    )
    return "\n".join(
        [
            f"% {layout.title}",
            *(f"% {note}" for note in _notes(layout, intervals)),
            f"\\begin{{tabular}}{{{alignment}}}",
            "\\toprule",
            f"{' & '.join(map(escape_latex, _header(layout)))} \\\\",
            "\\midrule",
            *published,
            *(["\\midrule", *ours] if ours else []),
            "\\bottomrule",
            "\\end{tabular}\n",
        ]
    )


def _csv(layout: Layout, intervals: bool) -> str:
    """One header, one record a line, every label spelt out; a figure that is missing is an empty field."""
    figures = [column.heading for column in layout.columns]
    if intervals:
        figures = [field for heading in figures for field in (heading, f"{heading} low", f"{heading} high")]
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*layout.label_headings, *figures, "Data", "Protocol"])
    for line in (*layout.published, *layout.ours):
        numbers = [field for shown in line.figures for field in _fields(shown, intervals)]
        protocol = line.protocol if line.comparable else f"{line.protocol} (not comparable)"
        writer.writerow([*map(escape_csv, line.labels), *numbers, escape_csv(line.data), escape_csv(protocol)])
    return stream.getvalue()


def _fields(shown: Shown, intervals: bool) -> tuple[str, ...]:
    value = "" if shown.value in (NOT_APPLICABLE, LOST) else shown.value
    return (value, shown.low, shown.high) if intervals else (value,)


def _header(layout: Layout) -> list[str]:
    return [*layout.label_headings, *(column.heading for column in layout.columns), "Data", "Protocol"]


def _alignment(layout: Layout) -> list[str]:
    return [*["left"] * len(layout.label_headings), *["right"] * len(layout.columns), "left", "left"]


def _rows(layout: Layout, intervals: bool, escape: Callable[[str], str]) -> list[list[str]]:
    return [_row(line, intervals, escape) for line in (*layout.published, *layout.ours)]


def _row(line: Line, intervals: bool, escape: Callable[[str], str]) -> list[str]:
    first, *others = line.labels
    labels: Sequence[str] = ["" if line.continues else first, *others]
    protocol = line.protocol + ("" if line.comparable else " *")
    cells: Iterable[str] = (*labels, *(_figure(shown, intervals) for shown in line.figures), line.data, protocol)
    return [escape(cell) for cell in cells]


def _figure(shown: Shown, intervals: bool) -> str:
    return f"{shown.value} [{shown.low}, {shown.high}]" if intervals and shown.low else shown.value
