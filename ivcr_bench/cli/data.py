"""``ivcr-bench data``: make and inspect datasets."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ivcr_bench.data.dataset import Dataset
    from ivcr_bench.data.mini.films import Scale


@click.group()
def command() -> None:
    """Make and inspect datasets."""


@command.command()
@click.option(
    "--seed", type=click.IntRange(0, 999_999_999), default=0, show_default=True, help="Another seed, another dataset."
)
@click.option(
    "--scale",
    type=click.Choice(["mini", "test", "paper"]),
    default="mini",
    show_default=True,
    help="400/50/50 films; 449 test films; or as many films and dialogues as IVCR-200K has.",
)
@click.option("--videos/--no-videos", default=True, show_default=True, help="Render the films now, or when needed.")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Where to.  [default: the user's cache]")
def mini(seed: int, scale: Scale, videos: bool, out: Path | None) -> None:
    """Make IVCR-Mini: rendered films and dialogues about them (docs/ivcr-mini.md).

    Stop it whenever you like: the next call renders the films that are still missing. Left in the cache, it is
    opened with --dataset mini, mini-seedN, mini-seedN-test or mini-seedN-paper; elsewhere with --dataset DIR.

    \b
    Examples:
      ivcr-bench data mini
      ivcr-bench data mini --seed 1 --out my-mini
      ivcr-bench data mini --scale paper --no-videos
    """
    from ivcr_bench.data.catalog import mini_folder
    from ivcr_bench.data.mini.build import ensure_videos, generate

    dataset = generate(seed, scale, out if out is not None else mini_folder(seed, scale))
    click.echo(_summary(dataset))
    if videos:
        made = ensure_videos(dataset, [video.video_id for video in dataset.videos])
        click.echo(f"rendered     {made:,} films, {len(dataset.videos) - made:,} were there already")


def _summary(dataset: Dataset) -> str:
    splits = Counter(video.split for video in dataset.videos)
    hours = sum(video.duration for video in dataset.videos) / 3600
    by_split = ", ".join(f"{count:,} {split}" for split, count in splits.items())
    languages = Counter(dialogue.language for dialogue in dataset.dialogues)
    by_language = ", ".join(f"{count:,} {language}" for language, count in sorted(languages.items()))
    lines = {
        "dataset": dataset.card.name,
        "films": f"{len(dataset.videos):,} ({by_split}), {hours:.1f} hours",
        "dialogues": f"{len(dataset.dialogues):,} ({by_language})",
        "turns": f"{sum(len(dialogue.turns) for dialogue in dataset.dialogues):,}",
        "fingerprint": dataset.card.fingerprint,
        "folder": str(dataset.root),
    }
    return "\n".join(f"{name:<12} {value}" for name, value in lines.items())
