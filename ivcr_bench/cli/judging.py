"""The options of every command that asks a judge, and the judge that they mean."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, Unpack

import click

if TYPE_CHECKING:
    from ivcr_bench.schema import Split
    from ivcr_bench.scoring.gold import GoldTurns
    from ivcr_bench.scoring.judge.protocol import Judge
    from ivcr_bench.scoring.judge.registry import Asking

NOBODY = "none"
"""As a judge: texts are not judged, which saves most of the time that scoring takes."""

Command = TypeVar("Command", bound=Callable[..., Any])


class JudgeOptions(TypedDict):
    """What `judge_options` adds to a command."""

    judge: str
    panel: str | None
    store: Path | None
    base_url: str | None
    max_usd: float | None
    max_requests: int | None
    allow_unpriced: bool
    concurrency: int
    requests_per_minute: float | None
    tokens_per_minute: float | None
    batch: bool
    sentinel: bool


_OPTIONS = (
    click.option(
        "--judge",
        default="rule",
        show_default=True,
        metavar="rule|openai:MODEL|local:PATH|replay[:ID]",
        help="Who judges the texts (docs/judge.md); for score also none.",
    ),
    click.option("--panel", metavar="A,B,C", help="Several judges instead of one: the median of their labels."),
    click.option(
        "--store",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="DIR",
        help="Where verdicts are kept.  [default: in the cache]",
    ),
    click.option("--base-url", metavar="URL", help="A server that speaks the OpenAI protocol."),
    click.option("--max-usd", type=click.FloatRange(min=0), help="Spend no more than this in one run."),
    click.option("--max-requests", type=click.IntRange(min=0), help="Send no more requests than this in one run."),
    click.option("--allow-unpriced", is_flag=True, help="Ask a model whose price is not known."),
    click.option("--concurrency", type=click.IntRange(min=1), default=64, show_default=True, help="Calls at once."),
    click.option("--requests-per-minute", type=click.FloatRange(min=0, min_open=True), help="What you may send."),
    click.option("--tokens-per-minute", type=click.FloatRange(min=0, min_open=True), help="What you may send."),
    click.option("--batch", is_flag=True, help="Ask in batches: half the price, within a day."),
    click.option("--sentinel/--no-sentinel", default=True, help="Check a served model for drift first."),
)


def judge_options(command: Command) -> Command:
    """Add the options that choose a judge, and say how it is asked."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def asking_of(options: JudgeOptions) -> Asking:
    """How a judge is to be asked."""
    from ivcr_bench.scoring.judge.registry import Asking

    max_usd = options["max_usd"]
    return Asking(
        store=options["store"],
        base_url=options["base_url"],
        max_usd=None if max_usd is None else Decimal(str(max_usd)),
        max_requests=options["max_requests"],
        allow_unpriced=options["allow_unpriced"],
        concurrency=options["concurrency"],
        requests_per_minute=options["requests_per_minute"],
        tokens_per_minute=options["tokens_per_minute"],
        batch=options["batch"],
        sentinel=options["sentinel"],
    )


def names_of(options: JudgeOptions) -> str | list[str]:
    """The judge's name, or those of a panel."""
    panel = options["panel"]
    return options["judge"] if panel is None else [name.strip() for name in panel.split(",")]


def judge_of(**options: Unpack[JudgeOptions]) -> AbstractContextManager[Judge]:
    """The judge, until the context is left."""
    from ivcr_bench.scoring.judge.registry import judge_named

    return judge_named(names_of(options), asking_of(options))


def require_sound(gold: GoldTurns, submission: str, options: JudgeOptions) -> None:
    """Check the answers before a judge that costs something sees the first of them.

    Raises:
        IvcrError: answers are malformed, unknown or repeated, or come from standard input, which is read once only.
    """
    from ivcr_bench.errors import IvcrError
    from ivcr_bench.scoring.checking import check_answers
    from ivcr_bench.scoring.judge.registry import is_free
    from ivcr_bench.submission import open_submission

    names = names_of(options)
    if names == NOBODY or is_free(names):
        return
    if submission == "-":
        raise IvcrError("-: standard input is read once only, and this judge wants it checked first", hint="use a file")
    check_answers(gold, open_submission(submission))


def gold_turns(submission: str, dataset: str | None, split: Split | None) -> GoldTurns:
    """The gold turns that a submission is about."""
    from ivcr_bench.scoring.gold import gold_of
    from ivcr_bench.submission import open_submission

    return gold_of(open_submission(submission).header, dataset, split)
