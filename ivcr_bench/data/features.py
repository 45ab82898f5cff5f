"""Features of films, computed once: a folder of safetensors files, one for each film, sampling and encoder.

A file is written beside its place and renamed into it, so a reader sees a whole file or none, several processes
may write the same one, and a kill leaves nothing that is read. What is read is checked against a checksum.
"""

from __future__ import annotations

import hashlib
import logging
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ivcr_bench.cache import cache_dir
from ivcr_bench.data.hashes import video_hash, weights_hash
from ivcr_bench.errors import IvcrError
from ivcr_bench.jsonl import write_atomically
from ivcr_bench.progress import progress_bar

__all__ = ["Arrays", "FeatureCache", "FeatureKey", "video_hash", "weights_hash"]

Arrays: TypeAlias = dict[str, NDArray[Any]]
"""The features of one film, by name."""

log = logging.getLogger(__name__)

_FORMAT = "ivcr-features/1"
"""Part of every key: raise it when frames are chosen, scaled or stored in another way."""
_ABANDONED_SECONDS = 24 * 3600
"""A part file this old belongs to a writer that was killed."""


@dataclass(frozen=True)
class FeatureKey:
    """What features depend on; equal keys mean equal features.

    Attributes:
        video: `video_hash` of the film.
        sampling: which frames, and at what size, in a printed form such as ``uniform-12@112`` or ``rate-2@112``.
        encoder: `weights_hash` of what computes the features.
    """

    video: str
    sampling: str
    encoder: str

    @property
    def digest(self) -> str:
        """SHA-256 of the key, 64 hex digits."""
        return hashlib.sha256(_key_text(self).encode()).hexdigest()


class FeatureCache:
    """Features on disk, under 256 folders so that none grows large.

    Args:
        root: where; the user's cache if omitted (`ivcr_bench.cache.cache_dir`).
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = cache_dir("features") if root is None else root
        self._swept = False

    def path(self, key: FeatureKey) -> Path:
        """Where the features of ``key`` lie, if they are there."""
        digest = key.digest
        return self.root / digest[:2] / f"{digest}.safetensors"

    def get(self, key: FeatureKey) -> Arrays | None:
        """The features of ``key``, or ``None`` if they are not there; a damaged file is dropped with a warning.

        Raises:
            IvcrError: the file is there but cannot be opened.
        """
        path = self.path(key)
        try:
            return _load(path, key)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise IvcrError(f"{path}: cannot read the cached features: {error.strerror or error}") from None
        except (SafetensorError, KeyError, ValueError) as error:
            log.warning("%s: dropped a damaged cache file, its features are computed again: %s", path, error)
            with suppress(OSError):
                path.unlink()
            return None

    def put(self, key: FeatureKey, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Store ``arrays``, of any shape and any dtype that safetensors has.

        Raises:
            IvcrError: the cache cannot be written (disk full, read-only).
        """
        self._sweep()
        dense = {name: np.asarray(array, order="C") for name, array in arrays.items()}
        metadata = {"key": _key_text(key), "crc32": _checksum(dense)}
        try:
            write_atomically(self.path(key), [save(dense, metadata)])
        except IvcrError as error:
            hint = "free some space, or set IVCR_BENCH_CACHE to a folder that can be written"
            raise IvcrError(str(error), hint=hint) from None

    def get_or_compute(self, key: FeatureKey, compute: Callable[[], Mapping[str, NDArray[Any]]]) -> Arrays:
        """The features of ``key``, computed and stored if they are not there.

        Raises:
            IvcrError: as `put`, or what ``compute`` raises.
        """
        found = self.get(key)
        if found is None:
            found = dict(compute())
            self.put(key, found)
        return found

    def get_or_compute_many(
        self,
        keys: Sequence[FeatureKey],
        compute_batch: Callable[[list[int]], Sequence[Mapping[str, NDArray[Any]]]],
        batch_size: int = 16,
        progress: str | None = None,
    ) -> list[Arrays]:
        """The features of each of ``keys``; those that are not there are computed in batches.

        A batch is stored as soon as it is computed, so that a stop loses one batch at most.

        Args:
            keys: one for each film; equal keys are computed once.
            compute_batch: gets places in ``keys``, at most ``batch_size`` of them, and gives features for each.
            batch_size: how many films a batch has.
            progress: the title of a progress bar over the missing films; none is drawn if omitted.

        Raises:
            IvcrError: as `put`, or what ``compute_batch`` raises.
        """
        place = {key: i for i, key in reversed(list(enumerate(keys)))}
        found = {key: cached for key in place if (cached := self.get(key)) is not None}
        missing = sorted(i for key, i in place.items() if key not in found)
        bar = progress_bar()
        bar.disable = bar.disable or progress is None
        with bar:
            task = bar.add_task(progress or "", total=len(missing), visible=bool(missing))
            for start in range(0, len(missing), batch_size):
                batch = missing[start : start + batch_size]
                for i, arrays in zip(batch, compute_batch(batch), strict=True):
                    self.put(keys[i], arrays)
                    found[keys[i]] = dict(arrays)
                    bar.advance(task)
        return [found[key] for key in keys]

    def _sweep(self) -> None:
        """Once, before the first write: delete what killed writers left."""
        if self._swept:
            return
        self._swept = True
        abandoned = time.time() - _ABANDONED_SECONDS
        for part in self.root.glob("??/.*.part"):
            with suppress(OSError):
                if part.stat().st_mtime < abandoned:
                    part.unlink()


def _load(path: Path, key: FeatureKey) -> Arrays:
    with safe_open(path, framework="np") as stored:
        metadata = stored.metadata() or {}
        arrays: Arrays = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    if metadata.get("key") != _key_text(key):
        raise ValueError(f"it holds {metadata.get('key')}, expected {_key_text(key)}")
    if metadata.get("crc32") != _checksum(arrays):
        raise ValueError("its checksum differs")
    return arrays


def _key_text(key: FeatureKey) -> str:
    return msgspec.json.encode((_FORMAT, key.video, key.sampling, key.encoder)).decode()


def _checksum(arrays: Mapping[str, NDArray[Any]]) -> str:
    """CRC-32 of all names, dtypes, shapes and values."""
    total = 0
    for name, array in sorted(arrays.items()):
        total = zlib.crc32(msgspec.json.encode((name, array.dtype.str, array.shape)), total)
        total = zlib.crc32(array.reshape(-1).view(np.uint8).data, total)
    return f"{total:08x}"
