"""``ivcr-bench compare``: which of several submissions is better, and what is chance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from ivcr_bench.schema import Split

if TYPE_CHECKING:
    from ivcr_bench.scoring.compare import Contender
    from ivcr_bench.scoring.gold import GoldTurns
    from ivcr_bench.scoring.judge.protocol import Judge
    from ivcr_bench.scoring.metrics import Metric
    from ivcr_bench.scoring.propagation import Propagation
    from ivcr_bench.submission import SubmissionFile


@click.command()
@click.argument("submissions", metavar="A B [C]...", nargs=-1)
@click.option(
    "--dataset", metavar="mini|mini-seedN|DIR", help="What was answered.  [default: as the headers say, else mini]"
)
@click.option(
    "--split", type=click.Choice(get_args(Split)), help="Which split.  [default: as the headers say, else test]"
)
@click.option(
    "--metric",
    "metric_names",
    metavar="NAME",
    multiple=True,
    help="Compare on this metric; may be repeated.  [default: R@1, R@1 IoU=0.5, BLEU-4, intent accuracy, "
    "dialogue success]",
)
@click.option(
    "--propagation",
    type=click.Choice(["none", "video", "dependency"]),
    default="none",
    show_default=True,
    help="How errors travel.",
)
@click.option(
    "--judge",
    default="rule",
    show_default=True,
    metavar="rule|replay[:ID]",
    help="With --metric relevance: whose verdicts. A judge that costs something is asked by score, then replayed here.",
)
@click.option(
    "--store", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="Where replay finds its verdicts."
)
@click.option("--ungated", is_flag=True, help="Score answers under another intent than was asked for, too.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write all numbers to this file, too.")
def command(
    submissions: tuple[str, ...],
    dataset: str | None,
    split: Split | None,
    metric_names: tuple[str, ...],
    propagation: Propagation,
    judge: str,
    store: Path | None,
    ungated: bool,
    json_path: Path | None,
) -> None:
    """Compare submissions A, B, ... on the same turns.

    For each metric: every system's figure with its 95 % interval, the ranks it may have, and letters, where systems
    that share one cannot be told apart; then every pair: the difference, its interval, the effect size, and p of a
    paired permutation test over dialogues, before and after Holm's correction (docs/statistics.md).

    Submissions whose figures do not compare (another history, scope, split, dataset) are refused.

    \b
    Examples:
      ivcr-bench compare runs/interllava/submission.jsonl runs/random/submission.jsonl
      ivcr-bench compare a.jsonl b.jsonl c.jsonl --metric R@1 --metric mIoU --propagation video --json comparison.json
    """
    from ivcr_bench.scoring.compare import DEFAULT_METRICS, compare, metrics_named, write_comparison
    from ivcr_bench.scoring.comparison_tables import render_comparison
    from ivcr_bench.scoring.judge.registry import Asking, is_free, judge_named
    from ivcr_bench.scoring.metrics import RELEVANCE

    if len(submissions) < 2:
        raise click.UsageError(f"found {len(submissions)} submissions, expected two or more")
    if not is_free(judge):
        raise click.UsageError(f"--judge {judge}: found a judge that costs something, expected rule or replay")
    metrics = metrics_named(metric_names or DEFAULT_METRICS)
    judged = any(metric.name == RELEVANCE for metric in metrics)
    with judge_named(judge, Asking(store=store)) if judged else nullcontext() as asked:
        contenders = list(_contenders(submissions, dataset, split, metrics, propagation, asked, gated=not ungated))
    comparison = compare(contenders)
    if json_path is not None:
        write_comparison(json_path, comparison)
    click.echo(render_comparison(comparison), nl=False)


def _contenders(
    paths: Sequence[str],
    dataset: str | None,
    split: Split | None,
    metrics: Sequence[Metric],
    rule: Propagation,
    judge: Judge | None,
    *,
    gated: bool,
) -> Iterator[Contender]:
    """Judge the submissions one after the other."""
    from ivcr_bench.scoring.compare import contender, require_comparable
    from ivcr_bench.scoring.outcomes import judge_turns
    from ivcr_bench.scoring.signature import settings_of
    from ivcr_bench.submission import open_submission

    sources = [open_submission(path) for path in paths]
    named = list(zip(_names(sources), sources, _golds(sources, dataset, split), strict=True))
    require_comparable({name: settings_of(gold, source.header, gated=gated).settings for name, source, gold in named})
    for name, source, gold in named:
        outcomes = judge_turns(gold, source, gated=gated, judge=judge)
        yield contender(name, outcomes, source.header, metrics=metrics, rule=rule, gated=gated)


def _golds(sources: Sequence[SubmissionFile], dataset: str | None, split: Split | None) -> Iterator[GoldTurns]:
    """The gold turns of each submission, read once for all that are about the same."""
    from ivcr_bench.scoring.gold import gold_of

    read: dict[object, GoldTurns] = {}
    for source in sources:
        said = source.header
        about = None if said is None else (said.dataset, said.split, said.limit)
        if about not in read:
            read[about] = gold_of(said, dataset, split)
        yield read[about]


def _names(sources: Sequence[SubmissionFile]) -> list[str]:
    """The names of the systems, with those of their files where two share one, and numbers where that is not enough."""
    systems = [_name(source) for source in sources]
    of_files = [f"{system} ({source.path})" for system, source in zip(systems, sources, strict=True)]
    numbered = [f"{name} #{of_files[: index + 1].count(name)}" for index, name in enumerate(of_files)]
    return [
        system if systems.count(system) == 1 else of_file if of_files.count(of_file) == 1 else number
        for system, of_file, number in zip(systems, of_files, numbered, strict=True)
    ]


def _name(source: SubmissionFile) -> str:
    header = source.header
    name = (header and header.system) or str(source.path)
    return f"{name} (sees gold)" if header and header.sees_gold else name
