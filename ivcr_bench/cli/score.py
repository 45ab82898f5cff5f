"""``ivcr-bench score``: figures of a submission."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Unpack, get_args

import click

from ivcr_bench.cli.judging import NOBODY, JudgeOptions, judge_of, judge_options, require_sound
from ivcr_bench.schema import Split

if TYPE_CHECKING:
    from ivcr_bench.scoring.judge.protocol import Judge
    from ivcr_bench.scoring.official.faults import CrashPolicy, Protocol
    from ivcr_bench.scoring.outcomes import Outcomes
    from ivcr_bench.submission import SubmissionFile


@click.command()
@click.argument("submission", metavar="SUBMISSION")
@click.option(
    "--dataset", metavar="mini|mini-seedN|DIR", help="What was answered.  [default: as its header says, else mini]"
)
@click.option(
    "--split", type=click.Choice(get_args(Split)), help="Which split.  [default: as its header says, else test]"
)
@click.option("--ungated", is_flag=True, help="Score answers under another intent than was asked for, too.")
@click.option(
    "--gold-history",
    metavar="SUBMISSION",
    help="The same system's answers with gold history: adds what it loses from gold to own history.",
)
@click.option(
    "--protocol",
    type=click.Choice(["official-2025", "official-2024"]),
    help="Score the authors' own files as the authors' own script does, faults included (docs/official.md).",
)
@click.option("--gold", metavar="FILE", help="With --protocol: the authors' gold file (a folder for 2024).")
@click.option("--all", "all_dialogues", metavar="FILE", help="With --protocol: IVCR-200K.json, all dialogues.")
@click.option(
    "--crash-policy",
    type=click.Choice(["raise", "count_wrong"]),
    default="raise",
    show_default=True,
    help="With --protocol: where the authors' script crashes, stop and say so, or count the turn as wrong.",
)
@click.option("--explain", is_flag=True, help="With --protocol: the correct figures, and what each fault moved.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write all figures to this file, too.")
@click.option(
    "--export",
    "table_path",
    type=click.Path(path_type=Path),
    metavar="FILE.csv|FILE.parquet",
    help="Write how each turn went to this file, too.",
)
@judge_options
def command(
    submission: str,
    dataset: str | None,
    split: Split | None,
    ungated: bool,
    gold_history: str | None,
    protocol: Protocol | None,
    gold: str | None,
    all_dialogues: str | None,
    crash_policy: CrashPolicy,
    explain: bool,
    json_path: Path | None,
    table_path: Path | None,
    **options: Unpack[JudgeOptions],
) -> None:
    """Score SUBMISSION (.jsonl, .jsonl.gz, or - for standard input).

    Every gold turn counts: one without an answer is wrong. Figures are given for the three ways in which errors
    travel through a dialogue (docs/protocols.md); what they mean is in docs/metrics.md.

    \b
    Examples:
      ivcr-bench score runs/interllava/submission.jsonl
      ivcr-bench score submission.jsonl.gz --json report.json --export outcomes.csv
      ivcr-bench score own.jsonl --gold-history gold.jsonl
      ivcr-bench score submission.jsonl --judge openai:gpt-4o-2024-08-06 --max-usd 10 --store verdicts
      python my_system.py | ivcr-bench score - --dataset mini --split val
      ivcr-bench score result.json --protocol official-2025 --gold test.json --all IVCR-200K.json --explain
    """
    if protocol is not None:
        from ivcr_bench.cli.official import score_official

        click.echo(score_official(protocol, submission, gold, all_dialogues, explain, crash_policy), nl=False)
        return
    if gold is not None or all_dialogues is not None or explain:
        raise click.UsageError("--gold, --all and --explain belong to --protocol official-2025 or official-2024")
    from ivcr_bench.scoring.report import report_on, write_report
    from ivcr_bench.scoring.tables import render
    from ivcr_bench.submission import open_submission

    source = open_submission(submission)
    outcomes, forced = _judge(source, gold_history, dataset, split, options, gated=not ungated)
    report = report_on(outcomes, source.header, gated=not ungated, teacher_forced=forced)
    if json_path is not None:
        write_report(json_path, report)
    if table_path is not None:
        from ivcr_bench.scoring.export import export_outcomes

        export_outcomes(table_path, outcomes, report.system or "unnamed")
    click.echo(render(report), nl=False)


def _judge(
    source: SubmissionFile,
    gold_history: str | None,
    dataset: str | None,
    split: Split | None,
    options: JudgeOptions,
    *,
    gated: bool,
) -> tuple[Outcomes, Outcomes | None]:
    """The outcomes of ``source``, and of the answers with gold history; the gold turns are let go on return."""
    from ivcr_bench.scoring.gold import gold_of
    from ivcr_bench.scoring.outcomes import judge_turns
    from ivcr_bench.scoring.report import require_history
    from ivcr_bench.submission import open_submission

    gold = gold_of(source.header, dataset, split)
    require_sound(gold, str(source.path), options)
    if gold_history is None:
        with _asked(options) as judge:
            return judge_turns(gold, source, gated=gated, judge=judge), None
    forced = open_submission(gold_history)
    require_history(source, "own")
    require_history(forced, "gold")
    require_sound(gold, gold_history, options)
    with _asked(options) as judge:
        outcomes = judge_turns(gold, source, gated=gated, judge=judge)
        return outcomes, judge_turns(gold, forced, gated=gated, judge=judge)


def _asked(options: JudgeOptions) -> AbstractContextManager[Judge | None]:
    """The judge, or nobody."""
    return nullcontext() if options["judge"] == NOBODY and options["panel"] is None else judge_of(**options)
