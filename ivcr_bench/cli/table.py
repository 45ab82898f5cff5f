"""``ivcr-bench table``: our figures below the paper's, in the shape of its tables."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ivcr_bench.errors import IvcrError

if TYPE_CHECKING:
    from ivcr_bench.scoring.layout_formats import FormatName
    from ivcr_bench.scoring.layouts import LayoutName


@click.command()
@click.argument("layout", type=click.Choice(["overall", "retrievers", "turns"]))
@click.argument("results", metavar="[RESULTS]...", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--format",
    "format_name",
    type=click.Choice(["text", "markdown", "latex", "csv"]),
    default="text",
    show_default=True,
    help="How to write the table.",
)
@click.option("--intervals", is_flag=True, help="Give our figures with their 95 % intervals.")
def command(layout: LayoutName, results: tuple[Path, ...], format_name: FormatName, intervals: bool) -> None:
    """Lay RESULTS below the numbers that the paper published.

    Each of RESULTS is a report.json, or the folder of a run that holds one. The tables are the paper's: overall is
    Table 2, retrievers is Table 3 (both single-turn: history gold), turns is Table 4 (multi-turn: history own).
    What each column means, and why published and measured figures do not simply compare, is in docs/tables.md.

    \b
    Examples:
      ivcr-bench table overall runs/interllava-gold runs/x_pool-gold --intervals
      ivcr-bench table turns runs/interllava --format latex > table4.tex
    """
    from ivcr_bench.errors import printable
    from ivcr_bench.scoring.layout_formats import format_layout
    from ivcr_bench.scoring.layouts import lay_out
    from ivcr_bench.scoring.report import read_report

    table = lay_out(layout, [read_report(_report_path(result)) for result in results])
    grey = partial(click.style, fg="bright_black")
    click.echo(format_layout(table, format_name, intervals=intervals, grey=grey), nl=False)
    if format_name == "csv":  # which has no place for them
        for note in table.notes:
            click.echo(printable(note), err=True)


def _report_path(result: Path) -> Path:
    if not result.is_dir():
        return result
    if not (result / "report.json").is_file():
        raise IvcrError(
            f"{result}: found no report.json in this folder",
            hint=f"make it: ivcr-bench score {result / 'submission.jsonl'} --json {result / 'report.json'}",
        )
    return result / "report.json"
