"""``ivcr-bench score --protocol official-2025|official-2024``: what the authors' scripts would have printed."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from ivcr_bench.errors import IvcrError
from ivcr_bench.scoring.official.evaluate_2024 import evaluate_2024
from ivcr_bench.scoring.official.evaluate_2025 import evaluate_2025
from ivcr_bench.scoring.official.explain import Evaluate
from ivcr_bench.scoring.official.explain import explain as explain_faults
from ivcr_bench.scoring.official.faults import CrashPolicy, Protocol, all_faults
from ivcr_bench.scoring.official.files import Files2025, read_files_2025
from ivcr_bench.scoring.official.files_2024 import read_files_2024
from ivcr_bench.scoring.official.report import render_explanation, render_official


def score_official(
    protocol: Protocol,
    result: str | Path,
    gold: str | Path | None,
    all_dialogues: str | Path | None,
    explain: bool = False,
    crash_policy: CrashPolicy = "raise",
) -> str:
    """The tables of an evaluator of the authors, as text.

    Args:
        result: what the model said, in the authors' format; a folder of such files is accepted for 2024.
        gold: the authors' gold file; a folder for 2024.
        all_dialogues: the raw file of all dialogues; optional for 2024, which has no per-turn table without it.
        explain: also the correct figures, and what each fault moved.

    Raises:
        OfficialScorerError: the authors' script would have crashed, and ``crash_policy`` is "raise".
        IvcrError: a file cannot be read, or is not in the authors' format.
    """
    evaluate, notes = _evaluator(protocol, Path(result), gold, all_dialogues)
    tally = evaluate(all_faults(protocol), crash_policy)
    if explain:
        return render_explanation(protocol, explain_faults(protocol, evaluate), notes)
    return render_official(protocol, tally, notes)


def _evaluator(
    protocol: Protocol, result: Path, gold: str | Path | None, all_dialogues: str | Path | None
) -> tuple[Evaluate, list[str]]:
    if gold is None:
        raise IvcrError(f"--protocol {protocol} needs --gold", hint="see docs/official.md for the files")
    if protocol == "official-2024":
        older = read_files_2024(result, Path(gold), Path(all_dialogues) if all_dialogues else None)
        return partial(evaluate_2024, older), []
    if all_dialogues is None:
        raise IvcrError("--protocol official-2025 needs --all, the file IVCR-200K.json of all dialogues")
    files = read_files_2025(result, Path(gold), Path(all_dialogues))
    return partial(evaluate_2025, files), _notes(files)


def _notes(files: Files2025) -> list[str]:
    """What the reader should know about the files before the figures."""
    asked = {key for key, turn in files.turns.items() if turn.answer is not None and turn.answer.task}
    never_run = asked.difference(files.turn_of_sample)
    notes = [f"{len(never_run)} of {len(asked)} test turns have no sample in --gold, and are wrong"]
    if lost := files.turn_of_sample.count(None):
        notes.append(f"{lost} of {len(files.samples)} samples begin no test dialogue of --all")
    if unanswered := files.prediction_of_sample.count(None):
        notes.append(f"{unanswered} of {len(files.samples)} samples have no prediction with their query's text")
    return notes
