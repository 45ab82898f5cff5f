"""A report as text for the terminal; figures are fractions times 100."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tabulate import tabulate

from ivcr_bench.errors import printable
from ivcr_bench.scoring.figures import Figure
from ivcr_bench.scoring.judge.accounting import Judged
from ivcr_bench.scoring.loss import Loss
from ivcr_bench.scoring.metrics import METRICS, RELEVANCE
from ivcr_bench.scoring.propagation import RULES
from ivcr_bench.scoring.report import Figures, Report

NOTHING = "-"
"""What stands where the dataset has no such turn or the system does not do such turns."""

TURN_METRICS = ("R@1", "R@1 IoU=0.5", "R@1 IoU=0.7")
"""What the paper's Table 4 gives for each turn number."""

SLICE_METRICS = {"R@1": "R@1", "R@1 IoU=0.5": "R@1 IoU=0.5", "BLEU-4": "BLEU-4", "intent accuracy": "intent"}
"""Metric -> heading."""

INTERVAL_RULES = ("none", "video")
"""The rules whose intervals are shown: those of the single-turn and the multi-turn protocol. All are in the file."""


def render(report: Report) -> str:
    """The tables that ``ivcr-bench run`` and ``ivcr-bench score`` print."""
    blocks = [
        _settings(report),
        "Overall, x 100, by how errors travel (propagation); 95 % interval over dialogues\n" + _overall(report),
        "By turn number, x 100\n" + _by_turn(report.slices["turn"]),
        "Propagation loss, x 100: what errors cost later turns\n" + _losses(report.losses),
        "Slices, x 100, propagation none\n" + _slices(report),
        *(["\n".join(judged_lines(report.judged))] if report.judged else []),
        f"signature: {printable(report.signature)}",
    ]
    return "\n\n".join(blocks) + "\n"


def _settings(report: Report) -> str:
    first = f"the first {report.dialogues}" if report.limit else f"all {report.dialogues}"
    statuses = ", ".join(f"{count} {name}" for name, count in report.statuses.items() if count)
    lines = [
        f"system    {printable(report.system or 'unnamed')}"
        + ("  (sees the gold answers)" if report.sees_gold else ""),
        f"dataset   {printable(report.dataset)}, split {report.split}, {first} dialogues",
        f"history   {report.history or 'unstated'}",
        f"turns     {sum(report.turns.values())}: {statuses}",
    ]
    if not report.gated:
        lines.append("ungated   answers under another intent than was asked for are scored too")
    return "\n".join(lines)


def _overall(report: Report) -> str:
    rows: list[list[object]] = []
    for metric in METRICS:
        row: list[object] = [_heading(metric.name, report)]
        for rule in RULES:
            figure = report.overall[rule][metric.name]
            row += [_value(figure), _interval(figure)] if rule in INTERVAL_RULES else [_value(figure)]
        rows.append([*row, report.overall["none"][metric.name].n])
    header = ["", *(part for rule in RULES for part in ((rule, "") if rule in INTERVAL_RULES else (rule,))), "n"]
    return _table(header, rows)


def _by_turn(by_turn: dict[str, Figures]) -> str:
    """Turn numbers run to the right, so that a line shows how a figure falls."""
    rows: list[list[object]] = []
    for name in TURN_METRICS:
        for rule in RULES:
            label = name if rule == "none" else ""
            rows.append([label, rule, *(_value(figures[rule][name]) for figures in by_turn.values())])
        rows.append(["", "n", *(figures["none"][name].n for figures in by_turn.values())])
    return _table(["turn", "", *by_turn], rows, left=2)


def _losses(losses: dict[str, Loss]) -> str:
    rows: list[list[object]] = []
    for name, loss in losses.items():
        for index, metric in enumerate(TURN_METRICS):
            overall = loss.overall[metric]
            by_turn = [_value(figures[metric]) for figures in loss.by_turn.values()]
            rows.append(["" if index else name, metric, _value(overall), _interval(overall), *by_turn])
    turns = next(iter(losses.values())).by_turn
    return _table(["turn", "", "all", "", *turns], rows, left=2)


def _slices(report: Report) -> str:
    metrics = SLICE_METRICS if report.judged is None else {**SLICE_METRICS, RELEVANCE: _heading(RELEVANCE, report)}
    rows: list[list[object]] = []
    for name, labels in report.slices.items():
        if name == "turn":
            continue
        for index, (label, figures) in enumerate(labels.items()):
            values = (_value(figures["none"][metric]) for metric in metrics)
            rows.append(["" if index else name, label, figures["none"]["intent accuracy"].n, *values])
    return _table(["", "", "turns", *metrics.values()], rows, left=2)


def judged_lines(judged: Judged) -> list[str]:
    """Who judged the texts, and what came of it, in counts of turns."""
    labels = ", ".join(f"{count} {name}" for name, count in judged.labels.items() if count)
    lines = [
        f"judge     {printable(judged.name)} ({judged.judge_id}), an own judge: not the paper's GPT-4 Score",
        f"texts     {judged.turns}: {labels or 'none'}; {judged.empty} of them without an answer",
    ]
    if judged.truncated:
        lines.append(f"cut       {judged.truncated} texts were longer than the judge reads")
    if judged.wrong_language and judged.uncapped is not None:
        uncapped = f"without the cap for that, the mean of the labels is {100 * judged.uncapped:.2f}"
        lines.append(f"language  {judged.wrong_language} answers in another language; {uncapped}")
    if judged.canaries is not None:
        lines.append(f"canaries  {100 * judged.canaries:.2f}, the mean of answers swapped for those to other turns")
    return [*lines, *(f"held      {reason}" for reason in judged.held)]


def _heading(metric: str, report: Report) -> str:
    """The name of ``metric``; where a judge decides it, with that judge's."""
    return f"{metric} ({printable(report.judge)})" if metric == RELEVANCE and report.judge else metric


def _table(header: Sequence[str], rows: Iterable[Sequence[object]], left: int = 1) -> str:
    """A plain table whose first ``left`` columns are labels."""
    alignment = [*["left"] * left, *["right"] * (len(header) - left)]
    return tabulate(rows, header, tablefmt="simple", colalign=alignment, disable_numparse=True)


def _value(figure: Figure) -> str:
    return NOTHING if figure.value is None else f"{100 * figure.value:.2f}"


def _interval(figure: Figure) -> str:
    if figure.value is None or figure.low is None or figure.high is None:
        return ""
    return f"[{100 * figure.low:.1f}, {100 * figure.high:.1f}]"
