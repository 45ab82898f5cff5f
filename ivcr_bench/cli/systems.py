"""``ivcr-bench systems``: what ``--system`` accepts."""

from __future__ import annotations

import click

FORMS = """
Also accepted:
  package.module:Class          your own, see docs/systems.md
  NAME:FOLDER                   a registered one with the weights in FOLDER
  A+B                           retriever A with moment localiser B: oracle+whole-film
  A@B                           system A re-ranks what retriever B finds: interllava@x_pool
  first-turn-only:SYSTEM        SYSTEM without the history of the dialogue
  cmd:PROGRAM, http://...       a process or a server that speaks JSON

Try one with 'ivcr-bench check SYSTEM'."""


@click.command()
def command() -> None:
    """List the systems that --system accepts, and what each can answer.

    \b
    Examples:
      ivcr-bench systems
    """
    from tabulate import tabulate

    from ivcr_bench.schema import INTENTS
    from ivcr_bench.systems.listing import list_systems

    rows = [
        [name, *("?" if intents is None else "yes" if intent in intents else "-" for intent in INTENTS), source]
        for name, intents, source in list_systems()
    ]
    click.echo(tabulate(rows, ["system", "video", "moment", "dialogue", "from"], tablefmt="simple"))
    click.echo(FORMS)
