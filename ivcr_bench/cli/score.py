"""``ivcr-bench score``: figures of a submission."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from ivcr_bench.errors import IvcrError
from ivcr_bench.schema import Split, SubmissionHeader

if TYPE_CHECKING:
    from ivcr_bench.data.dataset import Dataset


@click.command()
@click.argument("submission", metavar="SUBMISSION")
@click.option(
    "--dataset", metavar="mini|mini-seedN|DIR", help="What was answered.  [default: as its header says, else mini]"
)
@click.option(
    "--split", type=click.Choice(get_args(Split)), help="Which split.  [default: as its header says, else test]"
)
@click.option("--ungated", is_flag=True, help="Score answers under another intent than was asked for, too.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write all figures to this file, too.")
def command(submission: str, dataset: str | None, split: Split | None, ungated: bool, json_path: Path | None) -> None:
    """Score SUBMISSION (.jsonl, .jsonl.gz, or - for standard input).

    Every gold turn counts: one without an answer is wrong. Figures are given for the three ways in which errors
    travel through a dialogue (docs/protocols.md); what they mean is in docs/metrics.md.

    \b
    Examples:
      ivcr-bench score runs/interllava/submission.jsonl
      ivcr-bench score submission.jsonl.gz --json report.json
      python my_system.py | ivcr-bench score - --dataset mini --split val
    """
    from ivcr_bench.scoring.report import score, write_report
    from ivcr_bench.scoring.tables import render
    from ivcr_bench.submission import check_submission, read_submission

    answers = read_submission(submission)
    opened = _open_dataset(dataset, answers.header)
    split = split or (answers.header and answers.header.split) or "test"
    check_submission(answers, opened, split, submission)
    report = score(opened, split, answers, gated=not ungated)
    if json_path is not None:
        write_report(json_path, report)
    click.echo(render(report), nl=False)


def _open_dataset(spec: str | None, header: SubmissionHeader | None) -> Dataset:
    """The dataset that the user names; else the one that the header names, if it is known here; else mini."""
    from ivcr_bench.data.catalog import open_dataset

    if spec is None and header is not None and header.dataset is not None:
        try:
            return open_dataset(header.dataset)
        except IvcrError:
            pass
    return open_dataset(spec or "mini")
