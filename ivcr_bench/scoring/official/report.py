"""The figures of an official evaluator as text for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from tabulate import tabulate

from ivcr_bench.scoring.official.explain import Effect, Explanation
from ivcr_bench.scoring.official.faults import FAULTS, Protocol
from ivcr_bench.scoring.official.tally import INTENT, METRICS, Cell, Table, Tally

NOTHING = "-"
_SHORT = ("R@1", "IoU.3", "IoU.5", "IoU.7")
_TABLES: tuple[tuple[Table, str], ...] = (("overall", "overall"), ("turn", "by turn"))


def render_official(protocol: Protocol, tally: Tally, notes: Sequence[str] = ()) -> str:
    """The authors' two tables."""
    blocks = [
        f"{protocol}: the authors' evaluator with all its faults (docs/official.md), x 100",
        "Overall\n" + _overall([("", tally)]),
        _per_turn("By turn number", tally),
        _crashes(tally),
        "\n".join(notes),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def render_explanation(protocol: Protocol, explanation: Explanation, notes: Sequence[str] = ()) -> str:
    """The authors' figures beside the correct ones, and what each fault moved."""
    official, correct = explanation.official, explanation.correct
    kept = ", ".join(fault.code for fault in FAULTS[protocol] if fault.kept)
    blocks = [
        f"{protocol}: the authors' evaluator with all its faults, and the correct figures, x 100",
        "Overall\n" + _overall([(protocol, official), ("correct", correct)]),
        _per_turn(f"By turn number, {protocol}", official),
        _per_turn("By turn number, correct", correct),
        _crashes(official),
        f"correct: all faults off but {kept}, which are rules of this benchmark too",
        "Turns that each fault moved: +gained -lost if it alone is repaired, n = change of the turns that count\n"
        + _effects(explanation.effects),
        _unmoved(protocol, explanation.effects),
        "\n".join(notes),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _overall(columns: Sequence[tuple[str, Tally]]) -> str:
    cells = [(name, tally.cells()) for name, tally in columns]
    rows = []
    for metric in (*METRICS, INTENT):
        figures = [by_place.get(("overall", 0, metric)) for _, by_place in cells]
        if any(figures):
            rows.append([metric, *(part for figure in figures for part in _parts(figure))])
    return _grid(["", *(part for name, _ in cells for part in (name, "turns"))], rows)


def _per_turn(title: str, tally: Tally) -> str:
    cells = tally.cells()
    rows = [
        [row, *(part for metric in METRICS for part in _parts(cells.get(("turn", row, metric))))]
        for row in tally.rows("turn")
    ]
    header = ["turn", *(part for metric in METRICS for part in (metric, "turns"))]
    return f"{title}\n{_grid(header, rows)}" if rows else ""


def _crashes(tally: Tally) -> str:
    if not tally.crashes:
        return ""
    places = ", ".join(f"{code} {count} x" for code, count in sorted(tally.crashes.items()))
    return f"the authors' script would have crashed: {places}; what it was judging counts as wrong"


def _effects(effects: Sequence[Effect]) -> str:
    rows = [
        [
            effect.fault.code,
            *(_moved(effect, table, metric) for table, _ in _TABLES for metric in METRICS),
            _change(effect),
            effect.crashes or "",
            effect.fault.effect.partition("; off: ")[0],
        ]
        for effect in effects
        if not effect.nothing
    ]
    header = ["", *(f"{name}\n{metric}" for _, name in _TABLES for metric in _SHORT), "n", "crashes", "what it does"]
    return tabulate(rows, header, tablefmt="simple", disable_numparse=True) if rows else "none"


def _unmoved(protocol: Protocol, effects: Sequence[Effect]) -> str:
    silent = ", ".join(effect.fault.code for effect in effects if effect.nothing)
    fixed = ", ".join(fault.code for fault in FAULTS[protocol] if not fault.switchable)
    lines = [f"moved nothing here: {silent}" if silent else "", f"no figure depends on: {fixed}"]
    return "\n".join(line for line in lines if line)


def _moved(effect: Effect, table: Table, metric: str) -> str:
    gained, lost = effect.gained[table, metric], effect.lost[table, metric]
    return " ".join(part for part in (f"+{gained}" if gained else "", f"-{lost}" if lost else "") if part)


def _change(effect: Effect) -> str:
    """Change of the turns that count; each once, although a moment counts for three thresholds."""
    changes = {effect.counted[table, metric] for table, _ in _TABLES for metric in (*METRICS, INTENT)} - {0}
    return "/".join(f"{change:+d}" for change in sorted(changes))


def _parts(cell: Cell | None) -> tuple[str, str]:
    if cell is None or cell.percent is None:
        return NOTHING, ""
    return f"{cell.percent:.2f}", f"{cell.right}/{cell.total}"


def _grid(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    alignment = ["left", *["right"] * (len(header) - 1)]
    return tabulate(rows, header, tablefmt="simple", colalign=alignment, disable_numparse=True)
