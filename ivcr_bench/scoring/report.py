"""The report: every figure of one submission, with what it takes to compare it with another."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Literal

import msgspec
from msgspec.structs import asdict

from ivcr_bench.errors import IvcrError
from ivcr_bench.jsonl import write_atomically
from ivcr_bench.schema import INTENTS, STATUSES, HistoryMode, Intent, SubmissionHeader
from ivcr_bench.scoring.figures import OVERALL, Cells, Figure, Resampler
from ivcr_bench.scoring.gold import GoldTurns
from ivcr_bench.scoring.judge.accounting import Judged
from ivcr_bench.scoring.judge.protocol import Judge
from ivcr_bench.scoring.loss import Loss, loss
from ivcr_bench.scoring.outcomes import MISSING, Ability, Outcomes, abilities, judge_turns
from ivcr_bench.scoring.propagation import Propagation
from ivcr_bench.scoring.signature import Settings, settings_of
from ivcr_bench.submission import AnswerSource

Figures = dict[Propagation, dict[str, Figure]]
"""Propagation rule -> metric -> figure."""


class Report(Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The content of ``report.json``.

    Attributes:
        dialogues: the number scored.
        turns: the number of gold turns of each intent.
        statuses: the number of gold turns with each status, ``missing`` among them.
        does: what the system does at all; figures about the rest are ``None``.
        slices: slice (`ivcr_bench.scoring.slices`) -> label -> figures.
        judged: what the judge said of the texts; ``None`` where nobody was asked.
        losses: propagation losses by name: ``none->video``, ``none->dependency``, and ``gold->own`` where the same
            system's answers with gold history were given, too.
    """

    format: Literal["ivcr-report/3"] = "ivcr-report/3"
    system: str | None
    sees_gold: bool
    dialogues: int
    turns: dict[Intent, int]
    statuses: dict[str, int]
    does: tuple[Ability, ...]
    judged: Judged | None
    overall: Figures
    slices: dict[str, dict[str, Figures]]
    losses: dict[str, Loss]


def score(
    gold: GoldTurns,
    source: AnswerSource,
    *,
    gated: bool = True,
    intervals: bool = True,
    judge: Judge | None = None,
) -> Report:
    """Check and score the answers of ``source``.

    Args:
        gated: an answer under another intent than was asked for scores nothing.
        intervals: give each figure its interval; that takes longer than all the rest on small datasets.
        judge: is asked about the texts; nobody is by default, and relevance has no figure then.

    Raises:
        IvcrError: answers are malformed, unknown or repeated; all are listed.
    """
    outcomes = judge_turns(gold, source, gated=gated, judge=judge)
    return report_on(outcomes, source.header, gated=gated, intervals=intervals)


def report_on(
    outcomes: Outcomes,
    header: SubmissionHeader | None,
    *,
    gated: bool,
    teacher_forced: Outcomes | None = None,
    intervals: bool = True,
) -> Report:
    """The report on ``outcomes``.

    Args:
        teacher_forced: the outcomes of the same system with gold history.
        intervals: give each figure its interval.
    """
    resampler = Resampler(len(outcomes.dialogue_ids), intervals=intervals)
    cells = resampler.cells(outcomes)
    forced_cells = None if teacher_forced is None else resampler.cells(teacher_forced)
    does = abilities(outcomes)
    figures = _figures(resampler, cells, does)
    return Report(
        **asdict(settings_of(outcomes, header, gated=gated)),
        system=header.system if header else None,
        sees_gold=header.sees_gold if header else False,
        dialogues=len(outcomes.dialogue_ids),
        turns={intent: int(outcomes.asks(intent).sum()) for intent in INTENTS},
        statuses=_count_statuses(outcomes),
        does=does,
        judged=outcomes.judged,
        overall=figures.pop(OVERALL[0])[OVERALL[1]],
        slices=figures,
        losses=_losses(resampler, cells, forced_cells, does),
    )


def write_report(path: str | Path, report: Report) -> None:
    """Write ``report`` as indented JSON; equal reports give equal bytes.

    Raises:
        IvcrError: the file cannot be written; an older file of that name is then untouched.
    """
    write_atomically(path, [msgspec.json.format(msgspec.json.encode(report), indent=2), b"\n"])


def read_report(path: str | Path) -> Report:
    """Read what `write_report` wrote.

    Raises:
        IvcrError: there is no such file, or it is no report.
    """
    try:
        return msgspec.json.decode(Path(path).read_bytes(), type=Report)
    except OSError as error:
        raise IvcrError(f"{path}: cannot read: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise IvcrError(f"{path}: not a report: {error}") from None


def _figures(resampler: Resampler, cells: Cells, does: tuple[Ability, ...]) -> dict[str, dict[str, Figures]]:
    """Slice -> label -> rule -> metric -> figure."""
    figures: dict[str, dict[str, Figures]] = {}
    for (part, label, rule, metric), cell in cells.items():
        figures.setdefault(part, {}).setdefault(label, {}).setdefault(rule, {})[metric] = resampler.figure(cell, does)
    return figures


def _losses(
    resampler: Resampler, cells: Cells, forced_cells: Cells | None, does: tuple[Ability, ...]
) -> dict[str, Loss]:
    losses = {
        "none->video": loss(resampler, cells, cells, ("none", "video"), does),
        "none->dependency": loss(resampler, cells, cells, ("none", "dependency"), does),
    }
    if forced_cells is not None:
        losses["gold->own"] = loss(resampler, forced_cells, cells, ("none", "none"), does)
    return losses


def require_history(source: AnswerSource, expected: HistoryMode) -> None:
    """Raise an `IvcrError` unless the answers of ``source`` were given with the ``expected`` history."""
    found = (source.header and source.header.history) or "unstated"
    if found != expected:
        raise IvcrError(
            f"{source.path}: field 'history': found {found!r}, expected {expected!r}",
            hint="the loss from gold to own history takes a run with --history own and one with --history gold",
        )


def _count_statuses(outcomes: Outcomes) -> dict[str, int]:
    counts = Counter(outcomes.status.tolist())
    return {name: counts[index] for index, name in [*enumerate(STATUSES), (MISSING, "missing")]}
