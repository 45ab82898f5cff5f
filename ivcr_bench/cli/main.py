"""The `ivcr-bench` command: it loads a subcommand's module only when that subcommand is asked for."""

from __future__ import annotations

import importlib
import keyword
import sys
from difflib import get_close_matches

import click

from ivcr_bench import __version__
from ivcr_bench.errors import IvcrError, printable

COMMANDS = {
    "check": "Try your system on a dozen tiny dialogues before a long run.",
    "compare": "Say which of several submissions is better, and what is chance.",
    "data": "Make and inspect datasets.",
    "export": "Write a submission in the formats of other evaluators.",
    "import": "Turn the files of others into ours.",
    "judge": "Have the texts of answers judged: price, verdicts, agreement.",
    "run": "Replay the dialogues of a dataset against a system.",
    "score": "Score a submission.",
    "systems": "List the systems that --system accepts.",
    "table": "Lay reports below the paper's tables.",
    "train": "Train a model of this repository.",
    "weights": "Make others' checkpoints usable here.",
}
"""Subcommand -> its one-line help; NAME is ``command`` in ``ivcr_bench.cli.NAME``, ``import`` in ``import_``."""


class LazyGroup(click.Group):
    """A click group whose commands are imported on first use, so that `--help` and `score` start fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: D102
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: D102
        if name not in COMMANDS:
            near = get_close_matches(name, COMMANDS, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"one of {', '.join(sorted(COMMANDS))}"
            ctx.fail(f"no such command '{name}' ({hint})")
        module = f"{name}_" if keyword.iskeyword(name) else name
        command: click.Command = importlib.import_module(f"ivcr_bench.cli.{module}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: D102
        with formatter.section("Commands"):
            formatter.write_dl(sorted(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ivcr-bench")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def cli(debug: bool) -> None:
    """Interactive Video Corpus Retrieval: run systems on dialogues, score them, compare them.

    \b
    Examples:
      ivcr-bench run --system interllava
      ivcr-bench score runs/interllava/submission.jsonl
    """


def main() -> None:
    """Run the command line; whatever happens ends in one readable line on stderr and an exit code, never a traceback.

    Exit codes: 2 for what the user can put right, 130 for Ctrl-C, 1 for everything else.
    """
    try:
        sys.exit(cli(standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit(130)
    except (IvcrError, OSError, MemoryError, RecursionError) as error:
        if "--debug" in sys.argv:
            raise
        click.echo(f"Error: {_told(error)}", err=True)
        sys.exit(getattr(error, "exit_code", 1))


def _told(error: Exception) -> str:
    """What is said about ``error``; it may quote a stranger's file, so no line is long or steers the terminal."""
    if isinstance(error, MemoryError):
        return "not enough memory (close other programs, or score fewer answers at once)"
    if isinstance(error, RecursionError):
        return "something is nested too deep (run with --debug to see where)"
    return "\n".join(map(printable, str(error).split("\n")))
