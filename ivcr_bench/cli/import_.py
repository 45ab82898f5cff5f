"""``ivcr-bench import``: what others have made, in our formats."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from ivcr_bench.errors import IvcrError

if TYPE_CHECKING:
    from ivcr_bench.scoring.official.importing import ImportReport


@click.group()
def command() -> None:
    """Turn files of the authors of IVCR-200K into files of this benchmark."""


@command.command()
@click.argument("result", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--all",
    "all_dialogues",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="IVCR-200K.json, the raw file of all dialogues.",
)
@click.option(
    "--gold",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The prompts that RESULT answers, in its order; not needed for results of 2024.",
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="The submission to write.")
@click.option("--system", help="The system's name in tables.")
def results(result: Path, all_dialogues: Path, gold: Path | None, out: Path, system: str | None) -> None:
    """Make a submission of RESULT, a result file of the authors (a folder of them for 2024).

    Answers are read in English and Chinese. One that cannot be read is written as malformed and counts as wrong; how
    many could be read is printed by task and language (docs/official.md).

    \b
    Examples:
      ivcr-bench import results result.json --gold dialogues_test_7.json --all IVCR-200K.json --out submission.jsonl
      ivcr-bench import results results-2024/ --all IVCR-200K.json --out submission.jsonl.gz --system interllava
    """
    from ivcr_bench.scoring.official.files import RawDialogue, read_files_2025, read_records
    from ivcr_bench.scoring.official.files_2024 import is_2024_result, read_result
    from ivcr_bench.scoring.official.importing import header, import_2024, import_2025
    from ivcr_bench.submission import Submission, write_submission

    older = is_2024_result(result)
    if older:
        answers, report = import_2024(read_result(result), read_records(all_dialogues, RawDialogue))
    elif gold is None:
        raise IvcrError(f"{result}: a result of 2025 holds no ids", hint="name the prompts that it answers with --gold")
    else:
        answers, report = import_2025(read_files_2025(result, gold, all_dialogues))
    write_submission(out, Submission(header(system, with_gold=not older), tuple(answers)))
    click.echo(_summary(report))
    click.echo(f"wrote {len(answers):,} answers to {out}")


def _summary(report: ImportReport) -> str:
    from tabulate import tabulate

    from ivcr_bench.schema import Language
    from ivcr_bench.scoring.official.files import Task

    rows = []
    for task in get_args(Task):
        for language in get_args(Language):
            good, bad = report.read[task, language, "read"], report.read[task, language, "unreadable"]
            missing, rate = report.unanswered[task, language], report.rate(task, language)
            if good or bad or missing:
                share = "-" if rate is None else f"{100 * rate:.1f} %"
                rows.append([task, language, good + bad, good, share, bad, missing])
    header = ["asked for", "", "answers", "read", "parse rate", "malformed", "without answer"]
    lines = [
        tabulate(rows, header, tablefmt="simple", disable_numparse=True, colalign=["left", "left", *["right"] * 5])
    ]
    if report.homeless:
        lines.append(f"not written: {report.homeless} records that belong to no test turn of --all")
    if report.shared:
        lines.append(f"shared: {report.shared} turns have an answer that another turn with the same text has too")
    return "\n".join(lines)
