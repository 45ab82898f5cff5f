"""``ivcr-bench run``: replay dialogues against a system."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import click

from ivcr_bench.schema import HistoryMode, QueryPolicy, Scope, Split


@click.command()
@click.option("--system", "spec", required=True, metavar="SYSTEM", help="Which system; see 'ivcr-bench systems'.")
@click.option("--dataset", default="mini", show_default=True, metavar="mini|mini-seedN|DIR", help="Whose dialogues.")
@click.option("--split", type=click.Choice(get_args(Split)), default="test", show_default=True)
@click.option(
    "--history",
    type=click.Choice(get_args(HistoryMode)),
    default="own",
    show_default=True,
    help="Whose answers are the past: the system's own, or the reference answers.",
)
@click.option(
    "--scope",
    type=click.Choice(get_args(Scope)),
    default="corpus",
    show_default=True,
    help="Search the whole corpus, or re-rank the candidates of each turn.",
)
@click.option(
    "--query",
    type=click.Choice(get_args(QueryPolicy)),
    help="What of a dialogue a retriever of single turns is asked.  [default: what it was trained on]",
)
@click.option("--out", type=click.Path(path_type=Path), help="Where to write.  [default: runs/SYSTEM...]")
@click.option("--limit", type=click.IntRange(min=1), help="Only the first so many dialogues.")
@click.option("--batch-size", type=click.IntRange(min=1), default=32, show_default=True, help="Requests at a time.")
@click.option("--resume", is_flag=True, help="Go on with the run that --out holds.")
def command(
    spec: str,
    dataset: str,
    split: Split,
    history: HistoryMode,
    scope: Scope,
    query: QueryPolicy | None,
    out: Path | None,
    limit: int | None,
    batch_size: int,
    resume: bool,
) -> None:
    """Replay the dialogues of a dataset against a system, turn by turn, and score its answers.

    A run can be stopped at any moment; the same command with --resume goes on with it, to the same result.

    \b
    Examples:
      ivcr-bench run --system interllava
      ivcr-bench run --system my_pkg.my_module:MySystem --limit 20 --out runs/try
      ivcr-bench run --system interllava --history gold --dataset mini-seed1 --resume
      ivcr-bench run --system clip4clip+cg_detr --query last
    """
    from ivcr_bench.replay.run import Settings, run
    from ivcr_bench.scoring.tables import render

    folder = out or default_out(spec, history, dataset, query)
    settings = Settings(split=split, history=history, scope=scope, limit=limit, batch_size=batch_size, query=query)
    try:
        report = run(spec, dataset, folder, settings, resume=resume)
    except KeyboardInterrupt:
        click.echo("Stopped; the same command with --resume goes on.", err=True)
        raise
    click.echo(render(report), nl=False)
    click.echo(f"Answers: {folder / 'submission.jsonl'}, figures: {folder / 'report.json'}", err=True)


def default_out(spec: str, history: HistoryMode, dataset: str, query: QueryPolicy | None = None) -> Path:
    """Where a run is written if nobody says: ``runs/interllava``, ``runs/interllava-gold-mini-seed1``."""
    parts = [_slug(spec)]
    if query is not None:
        parts.append(query)
    if history == "gold":
        parts.append(history)
    if dataset != "mini":
        parts.append(_slug(Path(dataset).resolve().name))
    return Path("runs") / "-".join(parts)


def _slug(text: str) -> str:
    return re.sub(r"[^\w.+@-]+", "-", text).strip("-.")[:80] or "run"
