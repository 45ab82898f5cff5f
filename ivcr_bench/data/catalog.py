"""Datasets by name: what ``--dataset`` accepts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ivcr_bench.cache import cache_dir
from ivcr_bench.data.dataset import Dataset, load_folder
from ivcr_bench.data.mini import VERSION
from ivcr_bench.errors import IvcrError

if TYPE_CHECKING:
    from ivcr_bench.data.mini.films import Scale

MINI_NAME = re.compile(r"mini(?:-seed(?P<seed>[0-9]{1,9})(?:-(?P<scale>test|paper))?)?")


def open_dataset(spec: str) -> Dataset:
    """The dataset that ``spec`` names, in memory.

    Raises:
        IvcrError: there is no such dataset, or it is broken.
    """
    return load_folder(find_dataset(spec))


def find_dataset(spec: str) -> Path:
    """The folder of the dataset that ``spec`` names.

    Args:
        spec: ``mini``; ``mini-seedN``, ``mini-seedN-test`` or ``mini-seedN-paper``, which are IVCR-Mini of another
            seed or size; or a folder. IVCR-Mini is made in the user's cache when it is first asked for, its films
            only by `ivcr_bench.data.mini.build.ensure_videos`.

    Raises:
        IvcrError: there is no such dataset, or it cannot be made.
    """
    name = MINI_NAME.fullmatch(spec)
    if name is not None:
        return _find_mini(int(name["seed"] or 0), cast("Scale", name["scale"] or "mini"))
    if not Path(spec).is_dir():
        raise IvcrError(
            f"no dataset {spec!r}: neither 'mini', 'mini-seedN' nor a folder",
            hint="make one with 'ivcr-bench data mini --out DIR'",
        )
    return Path(spec)


def mini_folder(seed: int, scale: Scale) -> Path:
    """The folder of the user's cache that holds this IVCR-Mini, made if missing."""
    return cache_dir(f"mini-v{VERSION}-seed{seed}-{scale}")


def _find_mini(seed: int, scale: Scale) -> Path:
    folder = mini_folder(seed, scale)
    if not (folder / "dataset.json").is_file():
        # Imported here, since scoring against a dataset that exists should not wait for PyAV and Pillow.
        from ivcr_bench.data.mini.build import generate

        generate(seed, scale, folder)
    return folder
