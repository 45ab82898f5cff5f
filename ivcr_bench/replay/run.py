"""A whole run: open, prepare, play, write, score."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from ivcr_bench import __version__
from ivcr_bench.data.catalog import open_dataset
from ivcr_bench.data.dataset import Corpus, Dataset
from ivcr_bench.errors import IvcrError
from ivcr_bench.jsonl import write_atomically
from ivcr_bench.progress import progress_bar
from ivcr_bench.replay.journal import Identity, Journal, require_free
from ivcr_bench.replay.loop import Batch, play
from ivcr_bench.schema import Dialogue, HistoryMode, QueryPolicy, Scope, Split, SubmissionHeader, SubmissionTurn
from ivcr_bench.scoring.gold import GoldTurns
from ivcr_bench.scoring.judge.registry import RULE, judge_named
from ivcr_bench.scoring.report import Report, score, write_report
from ivcr_bench.submission import Submission, open_submission, write_submission
from ivcr_bench.systems.protocol import System
from ivcr_bench.systems.traits import fingerprint_of, reads_films, sees_gold

SHOWN_FAILURES = 5
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How dialogues are replayed; see docs/replay.md.

    Attributes:
        limit: replay the first so many dialogues of the split; ``None`` for all.
        query: what of a dialogue a retriever of single turns is asked; ``None`` for what it was trained on.
    """

    split: Split = "test"
    history: HistoryMode = "own"
    scope: Scope = "corpus"
    limit: int | None = None
    batch_size: int = 32
    query: QueryPolicy | None = None


class BatchTime(Struct, frozen=True):
    """How long the system took over one batch."""

    turn: int
    number: int
    turns: int
    seconds: float


class Timings(Struct, frozen=True):
    """The content of ``timings.json``; seconds are the system's, those before a resume included."""

    turns: int
    total_seconds: float
    turns_a_second: float | None
    batches: list[BatchTime]
    format: Literal["ivcr-timings/1"] = "ivcr-timings/1"


def run(spec: str, dataset_spec: str, out: Path, settings: Settings, *, resume: bool = False) -> Report:
    """Replay dialogues against a system; write ``submission.jsonl``, ``report.json`` and ``timings.json`` to ``out``.

    Args:
        spec: names the system (`ivcr_bench.systems.registry`).
        dataset_spec: names the dataset (`ivcr_bench.data.catalog`).
        resume: go on with the run that ``out`` holds, if it holds one.

    Raises:
        IvcrError: system or dataset cannot be had, or ``out`` holds another run or cannot be written.
    """
    from ivcr_bench.systems.registry import create_system

    require_free(out, resume=resume)
    dataset = open_dataset(dataset_spec)
    dialogues = dataset.split(settings.split)[: settings.limit]
    _require_candidates(dataset, dialogues, settings.scope)
    system = create_system(spec, dialogues=dialogues, query=settings.query)
    replay(system, spec, dataset, dialogues, out, settings, resume=resume)
    return _report(out, dataset, settings)


def replay(
    system: System,
    spec: str,
    dataset: Dataset,
    dialogues: Sequence[Dialogue],
    out: Path,
    settings: Settings,
    *,
    resume: bool,
) -> list[Batch]:
    """The part of `run` between opening and scoring: from a system, not yet prepared, to files in ``out``."""
    identity = _identity(spec, system, dataset, settings)
    with Journal(out, identity, resume=resume) as journal:
        batches = _play(system, dataset, dialogues, settings, journal)
    header = _header(system, dataset, settings)
    write_submission(out / "submission.jsonl", Submission(header, _in_dialogue_order(dialogues, batches)))
    _write_timings(out / "timings.json", batches)
    return batches


def _play(
    system: System, dataset: Dataset, dialogues: Sequence[Dialogue], settings: Settings, journal: Journal
) -> list[Batch]:
    corpus = dataset.corpus(settings.split)
    turns = sum(len(dialogue.turns) for dialogue in dialogues)
    if sum(len(batch.answers) for batch in journal.done.values()) < turns:
        _prepare(system, dataset, corpus)
    batches: list[Batch] = []
    failed = 0
    with progress_bar() as bar:
        task = bar.add_task("Replaying turns", total=turns)
        for batch in play(
            system,
            dialogues,
            corpus,
            journal.done,
            history=settings.history,
            scope=settings.scope,
            batch_size=settings.batch_size,
        ):
            if (batch.turn, batch.number) not in journal.done:
                journal.append(batch)
                failed = _tell(batch.failures, failed, journal.path)
            batches.append(batch)
            bar.advance(task, len(batch.answers))
    return batches


def _prepare(system: System, dataset: Dataset, corpus: Corpus) -> None:
    if reads_films(system):
        # Imported here, since rendering brings PyAV and Pillow, which a system that reads no film can do without.
        from ivcr_bench.data.mini.build import ensure_videos

        ensure_videos(dataset, corpus.by_id)
    system.prepare(corpus)


def _tell(failures: Iterable[str], told: int, journal: Path) -> int:
    """Log failures, the first few; return how many there have been."""
    for failure in failures:
        told += 1
        if told <= SHOWN_FAILURES:
            _LOG.warning("%s", failure)
        elif told == SHOWN_FAILURES + 1:
            _LOG.warning("more turns failed; all reasons are in %s", journal)
    return told


def _identity(spec: str, system: System, dataset: Dataset, settings: Settings) -> Identity:
    return Identity(
        system=spec if settings.query is None else f"{spec} --query {settings.query}",
        weights=fingerprint_of(system),
        dataset=dataset.card.name,
        fingerprint=dataset.card.fingerprint,
        split=settings.split,
        history=settings.history,
        scope=settings.scope,
        batch_size=settings.batch_size,
        limit=settings.limit,
        harness=__version__,
    )


def _header(system: System, dataset: Dataset, settings: Settings) -> SubmissionHeader:
    return SubmissionHeader(
        format="ivcr-submission/1",
        system=system.name,
        dataset=dataset.card.name,
        fingerprint=dataset.card.fingerprint,
        split=settings.split,
        history=settings.history,
        scope=settings.scope,
        limit=settings.limit,
        harness=__version__,
        sees_gold=sees_gold(system),
    )


def _in_dialogue_order(dialogues: Sequence[Dialogue], batches: Iterable[Batch]) -> tuple[SubmissionTurn, ...]:
    answers: dict[str, list[SubmissionTurn]] = {dialogue.dialogue_id: [] for dialogue in dialogues}
    for batch in batches:
        for answer in batch.answers:
            answers[answer.dialogue_id].append(answer)
    return tuple(answer for part in answers.values() for answer in part)


def _write_timings(path: Path, batches: Sequence[Batch]) -> None:
    times = [BatchTime(b.turn, b.number, len(b.answers), round(b.seconds, 6)) for b in batches]
    turns, seconds = sum(time.turns for time in times), sum(batch.seconds for batch in batches)
    timings = Timings(turns, round(seconds, 6), round(turns / seconds, 3) if seconds else None, times)
    write_atomically(path, [msgspec.json.format(msgspec.json.encode(timings), indent=2), b"\n"])


def _report(out: Path, dataset: Dataset, settings: Settings) -> Report:
    """Score what stands on disk, so that ``ivcr-bench score`` can only agree."""
    gold = GoldTurns.of(dataset, settings.split, settings.limit)
    with judge_named(RULE) as judge:
        report = score(gold, open_submission(out / "submission.jsonl"), judge=judge)
    write_report(out / "report.json", report)
    return report


def _require_candidates(dataset: Dataset, dialogues: Sequence[Dialogue], scope: Scope) -> None:
    if scope == "candidates" and not any(turn.candidates for dialogue in dialogues for turn in dialogue.turns):
        raise IvcrError(f"{dataset.root / 'dialogues.jsonl'}: no turn has candidates", hint="use --scope corpus")
