"""`ivcr-bench train`: train a model of this repository, or a plug-in's."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from functools import partial
from importlib.metadata import entry_points
from inspect import signature
from pathlib import Path
from typing import Protocol, get_args

import click

from ivcr_bench.data.dataset import Dataset
from ivcr_bench.errors import IvcrError
from ivcr_bench.schema import QueryPolicy

GROUP = "ivcr_bench.trainers"


class Trainer(Protocol):
    """What an entry point of the group ``ivcr_bench.trainers`` must be."""

    def __call__(self, dataset: Dataset, *, preset: str, out: Path, seed: int, resume: bool) -> Path:
        """Train on the train split of ``dataset``; return the folder that holds the finished weights.

        A trainer may have further keyword arguments ``backbone`` and ``query``, which the options of these names set.
        """
        ...


@click.command("train")
@click.argument("name")
@click.option("--preset", default="mini", show_default=True, help="Size and hyper-parameters.")
@click.option("--dataset", "dataset_spec", default="mini", show_default=True, help="'mini', or a dataset folder.")
@click.option("--out", type=click.Path(path_type=Path), help="Where to train.  [default: runs/train-NAME-PRESET]")
@click.option("--seed", default=0, show_default=True, help="Seed of initialisation, batches and dropout.")
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint in --out.")
@click.option("--backbone", help="Retrieval baselines: start from this folder, or cached Hugging Face name.")
@click.option(
    "--query",
    type=click.Choice(get_args(QueryPolicy)),
    help="Retrieval baselines: what of a dialogue is the query.  [default: the preset's]",
)
def command(
    name: str,
    preset: str,
    dataset_spec: str,
    out: Path | None,
    seed: int,
    resume: bool,
    backbone: str | None,
    query: str | None,
) -> None:
    """Train the model NAME; checkpoints and logs go to --out, so that --resume can go on after a kill.

    \b
    Examples:
      ivcr-bench train interllava --preset mini
      ivcr-bench train interllava --preset mini --out runs/mine --resume
      ivcr-bench train clip4clip --preset mini --query last
      ivcr-bench train x_pool --preset paper --dataset DIR --backbone clip-vit-base-patch32/
      torchrun --nproc-per-node 8 --no-python ivcr-bench train ts2_net --preset paper --dataset DIR
    """
    from ivcr_bench.data.catalog import open_dataset

    options = {option: value for option, value in (("backbone", backbone), ("query", query)) if value is not None}
    trainer = _with_options(find_trainer(name), name, options)
    folder = out or Path("runs") / f"train-{name}-{preset}"
    if folder.is_dir() and any(folder.iterdir()) and not resume:
        raise IvcrError(f"{folder}: already holds a training run", hint="pass --resume, or another --out")
    weights = trainer(open_dataset(dataset_spec), preset=preset, out=folder, seed=seed, resume=resume)
    click.echo(f"Weights: {weights}")


def _with_options(trainer: Callable[..., Path], name: str, options: dict[str, str]) -> Callable[..., Path]:
    unknown = options.keys() - signature(trainer).parameters.keys()
    if unknown:
        raise IvcrError(f"trainer {name!r} has no option --{min(unknown)}")
    return partial(trainer, **options) if options else trainer


def find_trainer(name: str) -> Trainer:
    """The trainer registered under ``name``.

    Raises:
        IvcrError: there is none, or it needs packages that are not installed.
    """
    known = {point.name: point for point in entry_points(group=GROUP)}
    if name not in known:
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"one of {', '.join(sorted(known))}"
        raise IvcrError(f"no trainer {name!r}", hint=hint)
    try:
        trainer: Trainer = known[name].load()
    except ModuleNotFoundError as error:
        raise IvcrError(f"trainer {name!r} needs {error.name!r}", hint='pip install "ivcr-bench[models]"') from None
    return trainer
