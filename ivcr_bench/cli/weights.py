"""``ivcr-bench weights``: checkpoints of other people, made usable here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ivcr_bench.errors import IvcrError

if TYPE_CHECKING:
    from ivcr_bench.checkpoints import Comparison

_SHOWN = 20


@click.group()
def command() -> None:
    """Make others' checkpoints usable here."""


@command.command()
@click.argument("name")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--preset", default="paper", show_default=True, help="Which size of the model the checkpoint is of.")
@click.option("--out", type=click.Path(path_type=Path), help="Where to write.  [default: weights/NAME-PRESET]")
def convert(name: str, file: Path, preset: str, out: Path | None) -> None:
    """Convert FILE, a checkpoint of the model NAME by its authors, to a weights folder.

    Only tensors and plain data are read; a checkpoint that holds anything else is refused. What the model lacks and
    what it does not know is listed; nothing is written unless the model can be loaded from it.

    \b
    Examples:
      ivcr-bench weights convert cg_detr model_best.ckpt
      ivcr-bench weights convert 2d_tan tacos.pkl --preset paper-tacos --out weights/tacos
    """
    from ivcr_bench.checkpoints import compare, find_converter, read_checkpoint, write_weights

    conversion = find_converter(name)(read_checkpoint(file), preset=preset)
    comparison = compare(conversion)
    _report(comparison)
    if not comparison.fits:
        count = len(comparison.missing) + len(comparison.misshapen)
        raise IvcrError(
            f"{file}: {count} of the {len(conversion.expected)} tensors of {name} ({preset}) are missing or misshapen",
            hint="is it another size (--preset) or another model?",
        )
    folder = out or Path("weights") / f"{name}-{preset}"
    write_weights(folder, conversion)
    click.echo(f"{len(conversion.expected)} tensors: {folder}")


def _report(comparison: Comparison) -> None:
    misshapen = [f"{name}: {list(found)}, expected {list(shape)}" for name, found, shape in comparison.misshapen]
    for title, lines in (
        ("missing", comparison.missing),
        ("misshapen", misshapen),
        ("unexpected, left out", comparison.unexpected),
    ):
        for line in lines[:_SHOWN]:
            click.echo(f"{title}: {line}", err=True)
        if len(lines) > _SHOWN:
            click.echo(f"{title}: {len(lines) - _SHOWN} more", err=True)
