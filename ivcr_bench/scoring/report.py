"""The report: every figure of one submission, with what it takes to compare it with another."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from ivcr_bench import __version__
from ivcr_bench.data.dataset import Dataset
from ivcr_bench.errors import IvcrError
from ivcr_bench.jsonl import write_atomically
from ivcr_bench.schema import INTENTS, STATUSES, HistoryMode, Intent, Language, Scope, Split, SubmissionHeader
from ivcr_bench.scoring import text
from ivcr_bench.scoring.metrics import METRICS, Figure, Metric, Statistics
from ivcr_bench.scoring.outcomes import LANGUAGES, MISSING, Outcomes, judge_turns
from ivcr_bench.scoring.propagation import RULES, Propagation
from ivcr_bench.submission import Submission

Figures = dict[Propagation, dict[str, Figure]]
"""Propagation rule -> metric -> figure."""


class Report(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The content of ``report.json``. Settings that the submission does not state are ``None``.

    Attributes:
        limit: only the first so many dialogues of the split were scored.
        gated: an answer under another intent than was asked for scored nothing.
        bleu: how BLEU was computed.
        dialogues: the number scored.
        turns: the number of gold turns of each intent.
        statuses: the number of gold turns with each status, ``missing`` among them.
        does: what the system does at all; figures about the rest are ``None``.
    """

    format: Literal["ivcr-report/1"] = "ivcr-report/1"
    harness: str
    system: str | None
    dataset: str
    fingerprint: str
    split: Split
    limit: int | None
    history: HistoryMode | None
    scope: Scope | None
    sees_gold: bool
    gated: bool
    bleu: str
    dialogues: int
    turns: dict[Intent, int]
    statuses: dict[str, int]
    does: tuple[str, ...]
    overall: Figures
    by_language: dict[Language, Figures]
    by_turn: dict[int, Figures]

    @property
    def signature(self) -> str:
        """Everything that decides a figure, on one line; figures of unequal signatures do not compare."""
        settings = {
            "data": f"{self.dataset}@{self.fingerprint}",
            "split": self.split if self.limit is None else f"{self.split}[:{self.limit}]",
            "history": self.history or "unstated",
            "scope": self.scope or "unstated",
            "gate": "on" if self.gated else "off",
            "iou": "ge",
            "bleu": self.bleu,
            "ivcr-bench": self.harness,
        }
        return "|".join(f"{name}:{value}" for name, value in settings.items())


def score(
    dataset: Dataset, split: Split, submission: Submission, *, gated: bool = True, limit: int | None = None
) -> Report:
    """Score ``submission`` on ``split`` of ``dataset``.

    Args:
        submission: checked by `ivcr_bench.submission.check_submission`.
        gated: an answer under another intent than was asked for scores nothing.
        limit: score the first so many dialogues only; by default what the submission's header says.

    Raises:
        IvcrError: the split has no dialogues.
    """
    header = submission.header or SubmissionHeader(format="ivcr-submission/1")
    limit = header.limit if limit is None else limit
    dialogues = dataset.split(split)[:limit]
    outcomes = judge_turns(dialogues, submission, gated=gated)
    does = _does(submission)
    folds = _Folds(outcomes, does)
    return Report(
        harness=__version__,
        system=header.system,
        dataset=dataset.card.name,
        fingerprint=dataset.card.fingerprint,
        split=split,
        limit=limit,
        history=header.history,
        scope=header.scope,
        sees_gold=header.sees_gold,
        gated=gated,
        bleu=text.SIGNATURE,
        dialogues=len(dialogues),
        turns={intent: int(outcomes.asks(intent).sum()) for intent in INTENTS},
        statuses=_count_statuses(outcomes),
        does=does,
        overall=folds.over(np.ones(len(outcomes), np.bool_)),
        by_language={
            language: folds.over(outcomes.language == index)
            for index, language in enumerate(LANGUAGES)
            if (outcomes.language == index).any()
        },
        by_turn={int(n): folds.over(outcomes.turn == n, by_turn=True) for n in np.unique(outcomes.turn)},
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


class _Folds:
    """The statistics of every metric under every rule, computed once and summed over any set of turns."""

    def __init__(self, outcomes: Outcomes, does: tuple[str, ...]) -> None:
        self._does = does
        alive = {rule: mask(outcomes) for rule, mask in RULES.items()}
        self._statistics: dict[Propagation, list[tuple[Metric, Statistics]]] = {
            rule: [(metric, metric.statistics(outcomes, alive[rule])) for metric in METRICS] for rule in RULES
        }

    def over(self, turns: NDArray[np.bool_], *, by_turn: bool = False) -> Figures:
        """All figures over ``turns`` (a mask); ``by_turn`` leaves out what is about whole dialogues."""
        return {
            rule: {
                metric.name: self._figure(metric, statistics[turns].sum(axis=0))
                for metric, statistics in table
                if metric.by_turn or not by_turn
            }
            for rule, table in self._statistics.items()
        }

    def _figure(self, metric: Metric, sums: Statistics) -> Figure:
        figure = metric.figure(sums)
        return figure if metric.needs is None or metric.needs in self._does else Figure(None, figure.n)


def _does(submission: Submission) -> tuple[str, ...]:
    """The intents that the system ever answers under, and ``text`` if it ever says a word.

    A system none of whose answers is ``ok`` is not excused from anything.
    """
    answers = [answer for answer in submission.turns if answer.status == "ok"]
    if not answers:
        return (*INTENTS, "text")
    used = {answer.intent for answer in answers}
    text_used = any(answer.text for answer in answers)
    return (*(intent for intent in INTENTS if intent in used), *(["text"] if text_used else []))


def _count_statuses(outcomes: Outcomes) -> dict[str, int]:
    counts = Counter(outcomes.status.tolist())
    return {name: counts[index] for index, name in [*enumerate(STATUSES), (MISSING, "missing")]}
