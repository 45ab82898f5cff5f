"""``ivcr-bench export``: a submission in the formats of other evaluators."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import click

from ivcr_bench.schema import Split

if TYPE_CHECKING:
    from ivcr_bench.submission import SubmissionFile


@click.command()
@click.argument("format_name", metavar="trec|moments", type=click.Choice(["trec", "moments"]))
@click.argument("submission", metavar="SUBMISSION")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The folder to write to.")
@click.option(
    "--dataset", metavar="mini|mini-seedN|DIR", help="What was answered.  [default: as its header says, else mini]"
)
@click.option(
    "--split", type=click.Choice(get_args(Split)), help="Which split.  [default: as its header says, else test]"
)
def command(
    format_name: Literal["trec", "moments"], submission: str, out: Path, dataset: str | None, split: Split | None
) -> None:
    """Write SUBMISSION and its gold in the format of other evaluators.

    trec writes the answers to video-retrieval turns: run.txt and qrels.txt. moments writes those to moment-retrieval
    turns in the format of QVHighlights: predictions.jsonl and gold.jsonl. Which figures these evaluators then share
    with ivcr-bench score is in docs/interoperability.md.

    \b
    Examples:
      ivcr-bench export trec runs/x_pool/submission.jsonl --out x_pool-trec
      ivcr-bench export moments runs/interllava/submission.jsonl --out interllava-moments
    """
    from ivcr_bench.submission import open_submission

    {"trec": _export_trec, "moments": _export_moments}[format_name](open_submission(submission), dataset, split, out)


def _export_trec(source: SubmissionFile, dataset: str | None, split: Split | None, out: Path) -> None:
    from ivcr_bench.jsonl import write_atomically
    from ivcr_bench.scoring.checking import checked_answers
    from ivcr_bench.scoring.gold import gold_of
    from ivcr_bench.scoring.trec import qrels_lines, run_lines

    gold = gold_of(source.header, dataset, split)
    system = (source.header and source.header.system) or "unnamed"
    write_atomically(out / "run.txt", run_lines(gold, checked_answers(gold, source), system))
    write_atomically(out / "qrels.txt", qrels_lines(gold))


def _export_moments(source: SubmissionFile, dataset: str | None, split: Split | None, out: Path) -> None:
    from ivcr_bench.data.catalog import open_dataset
    from ivcr_bench.jsonl import write_jsonl
    from ivcr_bench.scoring.checking import checked_answers
    from ivcr_bench.scoring.gold import dataset_named, gold_of
    from ivcr_bench.scoring.qvhighlights import gold_moments, predicted_moments

    gold = gold_of(source.header, dataset, split)
    dialogues = open_dataset(dataset_named(source.header, dataset)).split(gold.split)[: gold.limit]
    queries = gold_moments(dialogues, gold.durations)
    answers = (answer for _, answer in checked_answers(gold, source))
    write_jsonl(out / "predictions.jsonl", predicted_moments(queries, answers))
    write_jsonl(out / "gold.jsonl", queries)
