"""``ivcr-bench judge``: have texts judged, know the price before, prove the verdicts after."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Unpack, get_args

import click

from ivcr_bench.cli.judging import JudgeOptions, asking_of, gold_turns, judge_of, judge_options, names_of, require_sound
from ivcr_bench.errors import IvcrError
from ivcr_bench.schema import Split

if TYPE_CHECKING:
    from ivcr_bench.scoring.judge.accounting import Judged
    from ivcr_bench.scoring.judge.registry import Asking

_DATASET = click.option("--dataset", metavar="mini|mini-seedN|DIR", help="What was answered.  [default: as for score]")
_SPLIT = click.option("--split", type=click.Choice(get_args(Split)), help="Which split.  [default: as for score]")
_JSON = click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write it to this file, too.")


@click.group()
def command() -> None:
    """Have the texts of a submission judged: highly, moderately, somewhat relevant, or irrelevant.

    \b
    Examples:
      ivcr-bench judge estimate submission.jsonl --judge openai:gpt-4o-2024-08-06
      ivcr-bench judge run submission.jsonl --judge openai:gpt-4o-2024-08-06 --max-usd 10 --store verdicts
      ivcr-bench judge replay submission.jsonl --store verdicts
      ivcr-bench judge agreement
    """


@command.command()
@click.argument("submission")
@_DATASET
@_SPLIT
@judge_options
def estimate(submission: str, dataset: str | None, split: Split | None, **options: Unpack[JudgeOptions]) -> None:
    """Say what it would cost to have SUBMISSION judged; sends nothing and needs no key."""
    from ivcr_bench.scoring.checking import checked_answers
    from ivcr_bench.scoring.judge.estimate import estimate as estimated
    from ivcr_bench.scoring.judge.hearing import Hearing
    from ivcr_bench.scoring.judge.registry import openai_judge
    from ivcr_bench.scoring.judge.store import VerdictStore
    from ivcr_bench.submission import open_submission

    kind, _, model = options["judge"].partition(":")
    if kind != "openai" or options["panel"]:
        raise click.UsageError("only openai:MODEL has a price; estimate the members of a panel one by one")
    asking = asking_of(options)
    gold = gold_turns(submission, dataset, split)
    with VerdictStore(asking.folder) as store:
        judge = openai_judge(model, asking, store, key_needed=False)
        items = Hearing(gold, judge).items(checked_answers(gold, open_submission(submission)))
        lines = estimated(judge, items).lines()
    click.echo("\n".join([f"judge         {judge.name} ({judge.judge_id})", *lines]))


@command.command()
@click.argument("submission")
@_DATASET
@_SPLIT
@_JSON
@judge_options
def run(
    submission: str,
    dataset: str | None,
    split: Split | None,
    json_path: Path | None,
    **options: Unpack[JudgeOptions],
) -> None:
    """Have SUBMISSION judged. What the store holds already is not asked again, so a run can be stopped at any moment.

    Exit code 3: --max-usd or --max-requests is reached; what was answered is kept.
    """
    _run(submission, dataset, split, json_path, options)


@command.command()
@click.argument("submission")
@_DATASET
@_SPLIT
@_JSON
@judge_options
def resume(
    submission: str,
    dataset: str | None,
    split: Split | None,
    json_path: Path | None,
    **options: Unpack[JudgeOptions],
) -> None:
    """Go on with a run that was stopped: as run, but an error if the store holds nothing to go on from."""
    folder = asking_of(options).folder
    if not any(folder.glob("judge-*.json")):
        raise IvcrError(f"{folder}: found no run to go on with", hint="name its --store, or begin one with judge run")
    _run(submission, dataset, split, json_path, options)


@command.command()
@click.argument("submission")
@_DATASET
@_SPLIT
@_JSON
@click.option("--store", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="Where verdicts are.")
@click.option("--judge-id", default="", metavar="ID", help="Whose verdicts, where the store holds several judges'.")
def replay(
    submission: str, dataset: str | None, split: Split | None, json_path: Path | None, store: Path | None, judge_id: str
) -> None:
    """Judge SUBMISSION from the verdicts of a store alone: no network, no key; a missing verdict is an error."""
    from ivcr_bench.scoring.judge.registry import Asking, judge_named
    from ivcr_bench.scoring.outcomes import judge_turns
    from ivcr_bench.submission import open_submission

    gold = gold_turns(submission, dataset, split)
    with judge_named(f"replay:{judge_id}", Asking(store=store)) as judge:
        judged = judge_turns(gold, open_submission(submission), judge=judge).judged
    _show(judged, json_path)


@command.command()
@click.argument("labels", required=False, type=click.Path(path_type=Path, dir_okay=False))
@_JSON
@judge_options
def agreement(labels: Path | None, json_path: Path | None, **options: Unpack[JudgeOptions]) -> None:
    """Compare a judge with LABELS (.jsonl), by default the 120 turns that the project labelled itself."""
    import msgspec

    from ivcr_bench.jsonl import write_atomically
    from ivcr_bench.scoring.judge.agreement import agreement_report, render_agreement
    from ivcr_bench.scoring.judge.labelled import read_labels, shipped_labels

    turns = shipped_labels() if labels is None else read_labels(labels)
    with judge_of(**options) as judge:
        report = agreement_report(judge, turns)
    if json_path is not None:
        write_atomically(json_path, [msgspec.json.format(msgspec.json.encode(report), indent=2), b"\n"])
    click.echo(render_agreement(report), nl=False)


def _run(
    submission: str, dataset: str | None, split: Split | None, json_path: Path | None, options: JudgeOptions
) -> None:
    from ivcr_bench.scoring.outcomes import judge_turns
    from ivcr_bench.submission import open_submission

    gold = gold_turns(submission, dataset, split)
    require_sound(gold, submission, options)
    with judge_of(**options) as judge:
        judge_id = judge.judge_id
        try:
            judged = judge_turns(gold, open_submission(submission), judge=judge).judged
        finally:
            _show_costs(names_of(options), asking_of(options), judge_id)
    _show(judged, json_path)


def _show(judged: Judged | None, json_path: Path | None) -> None:
    import msgspec

    from ivcr_bench.jsonl import write_atomically
    from ivcr_bench.scoring.tables import judged_lines

    if judged is None:
        return
    if json_path is not None:
        write_atomically(json_path, [msgspec.json.format(msgspec.json.encode(judged), indent=2), b"\n"])
    mean = "-" if judged.mean is None else f"{100 * judged.mean:.2f}"
    click.echo("\n".join([*judged_lines(judged), f"mean      {mean}, of the labels' values x 100"]))


def _show_costs(names: str | list[str], asking: Asking, judge_id: str) -> None:
    """What the judge has cost in all runs with this store, on standard error."""
    if isinstance(names, str) and names.startswith("openai:"):
        from ivcr_bench.scoring.judge.costs import cost_report

        for line in cost_report(asking.folder, judge_id).lines():
            click.echo(line, err=True)
