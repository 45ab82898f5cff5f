"""``ivcr-bench check``: try a system before a long run."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ivcr_bench.replay.check import Verdict

CHECK_FILMS = 12
SHOWN_PROBLEMS = 5


@click.command()
@click.argument("spec", metavar="SYSTEM")
def command(spec: str) -> None:
    """Try SYSTEM on a dozen tiny dialogues in both languages, and say what is malformed.

    Exit code 1 if something has to be mended; warnings (!) are things to know. Whether answers are right is not
    looked at: that is what 'ivcr-bench run' is for.

    \b
    Examples:
      ivcr-bench check my_pkg.my_module:MySystem
      ivcr-bench check 'cmd:python my_system.py'
    """
    from ivcr_bench.data.catalog import open_dataset
    from ivcr_bench.data.dataset import Corpus
    from ivcr_bench.replay.check import check_system
    from ivcr_bench.replay.check_dialogues import check_dialogues
    from ivcr_bench.systems.registry import create_system
    from ivcr_bench.systems.traits import reads_films

    dataset = open_dataset("mini")
    corpus = Corpus(dataset.root, dataset.corpus("test").videos[:CHECK_FILMS])
    dialogues = check_dialogues(corpus)
    system = create_system(spec, dialogues=dialogues)
    if reads_films(system):
        from ivcr_bench.data.mini.build import ensure_videos

        ensure_videos(dataset, corpus.by_id)
    verdicts: list[Verdict] = []
    for verdict in check_system(system, dialogues, corpus):
        click.echo(_show(verdict))
        verdicts.append(verdict)
    failed = sum(verdict.failed for verdict in verdicts)
    click.echo(f"{system.name}: " + (f"{failed} checks failed; see docs/systems.md" if failed else "ready to run"))
    sys.exit(1 if failed else 0)


def _show(verdict: Verdict) -> str:
    mark = "x" if verdict.failed else "!" if verdict.problems else "ok"
    note = f" ({verdict.note})" if verdict.note else ""
    shown = [f"     {line}" for problem in verdict.problems[:SHOWN_PROBLEMS] for line in problem.splitlines()]
    more = len(verdict.problems) - SHOWN_PROBLEMS
    tail = [f"     and {more} more"] if more > 0 else []
    return "\n".join([f"{mark:>2} {verdict.what}{note}", *shown, *tail])
