"""Where ivcr-bench keeps what it can make again: rendered films, decoded features."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_path

from ivcr_bench.errors import IvcrError


def cache_dir(*parts: str) -> Path:
    """A folder of the user's cache, made if missing; ``IVCR_BENCH_CACHE`` moves the whole cache.

    Raises:
        IvcrError: the folder cannot be made (read-only, disk full).
    """
    root = os.environ.get("IVCR_BENCH_CACHE")
    folder = (Path(root) if root else user_cache_path("ivcr-bench")).joinpath(*parts)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise IvcrError(
            f"{folder}: cannot make the cache folder: {error.strerror}",
            hint="set IVCR_BENCH_CACHE to a folder that can be written",
        ) from None
    return folder
