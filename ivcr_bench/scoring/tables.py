"""A report as text for the terminal; figures are fractions times 100."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tabulate import tabulate

from ivcr_bench.scoring.metrics import METRICS, Figure
from ivcr_bench.scoring.propagation import RULES
from ivcr_bench.scoring.report import Report

NOTHING = "-"
"""What stands where the dataset has no such turn or the system does not do such turns."""

TURN_METRICS = ("R@1", "R@1 IoU=0.5", "R@1 IoU=0.7")
"""What the paper's Table 4 gives for each turn number."""

LANGUAGE_COLUMNS = ("R@1", "R@10", "R@1 IoU=0.5", "mIoU", "BLEU-4", "intent accuracy")


def render(report: Report) -> str:
    """The tables that ``ivcr-bench run`` and ``ivcr-bench score`` print."""
    blocks = [
        _settings(report),
        "Overall, x 100, by how errors travel (propagation)\n" + _overall(report),
        "By turn number, x 100\n" + _by_turn(report),
        "By language, x 100, propagation none\n" + _by_language(report),
        f"signature: {_plain(report.signature)}",
    ]
    return "\n\n".join(blocks) + "\n"


def _settings(report: Report) -> str:
    first = f"the first {report.dialogues}" if report.limit else f"all {report.dialogues}"
    statuses = ", ".join(f"{count} {name}" for name, count in report.statuses.items() if count)
    lines = [
        f"system    {_plain(report.system or 'unnamed')}" + ("  (sees the gold answers)" if report.sees_gold else ""),
        f"dataset   {_plain(report.dataset)}, split {report.split}, {first} dialogues",
        f"history   {report.history or 'unstated'}",
        f"turns     {sum(report.turns.values())}: {statuses}",
    ]
    if not report.gated:
        lines.append("ungated   answers under another intent than was asked for are scored too")
    return "\n".join(lines)


def _overall(report: Report) -> str:
    rows = [
        [
            metric.name,
            *(_cell(report.overall[rule][metric.name]) for rule in RULES),
            report.overall["none"][metric.name].n,
        ]
        for metric in METRICS
    ]
    return _table(["", *RULES, "n"], rows)


def _by_turn(report: Report) -> str:
    """Turn numbers run to the right, so that a line shows how a figure falls."""
    rows: list[list[object]] = []
    for name in TURN_METRICS:
        for rule in RULES:
            label = name if rule == "none" else ""
            rows.append([label, rule, *(_cell(figures[rule][name]) for figures in report.by_turn.values())])
        rows.append(["", "n", *(figures["none"][name].n for figures in report.by_turn.values())])
    return _table(["turn", "", *map(str, report.by_turn)], rows, left=2)


def _by_language(report: Report) -> str:
    rows = [
        [language, figures["none"]["intent accuracy"].n, *(_cell(figures["none"][name]) for name in LANGUAGE_COLUMNS)]
        for language, figures in report.by_language.items()
    ]
    return _table(["", "turns", *LANGUAGE_COLUMNS], rows)


def _table(header: Sequence[str], rows: Iterable[Sequence[object]], left: int = 1) -> str:
    """A plain table whose first ``left`` columns are labels."""
    alignment = [*["left"] * left, *["right"] * (len(header) - left)]
    return tabulate(rows, header, tablefmt="simple", colalign=alignment, disable_numparse=True)


def _cell(figure: Figure) -> str:
    return NOTHING if figure.value is None else f"{100 * figure.value:.2f}"


def _plain(text: str) -> str:
    """``text`` without what could steer a terminal: names come from strangers."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
