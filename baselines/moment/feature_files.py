"""Features that others computed (C3D, VGG, SlowFast, CLIP, ...), in the files that they are passed around in.

- HDF5, a dataset for each film, or a group for each film with a named dataset in it (``v_abc/c3d_features``);
- one ``.npz`` with an array for each film;
- a folder with an ``ID.npy`` or an ``ID.npz`` for each film.

HDF5 needs ``h5py``, which is not a dependency of this package.
"""

from __future__ import annotations

import importlib
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivcr_bench.errors import IvcrError


class FeatureFiles:
    """The features of many films; a context manager, which closes the file.

    Args:
        path: an HDF5 file, an ``.npz``, or a folder.
        array: which array of a film to take, where a film may have several; the only one if omitted.

    Raises:
        IvcrError: there is nothing of the kind at ``path``, or ``h5py`` is missing.
    """

    def __init__(self, path: Path, array: str | None = None) -> None:
        self.path, self._array = path, array
        self._close: Callable[[], None] = lambda: None
        if path.is_dir():
            self._find = self._in_folder
        elif path.suffix in (".h5", ".hdf5"):
            self._store, self._find = self._open(_hdf5(path).File, path, "r"), self._in_store
        elif path.suffix == ".npz":
            self._store, self._find = self._open(np.load, path), self._in_store
        else:
            raise IvcrError(f"{path}: found no features, expected a .h5, .hdf5 or .npz file or a folder")

    def __enter__(self) -> FeatureFiles:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def __contains__(self, video_id: str) -> bool:
        if self._find == self._in_folder:
            return any(path.is_file() for path in self._candidates(video_id))
        return video_id in self._store

    def read(self, video_id: str) -> NDArray[np.float32]:
        """The features of a film: float32 ``[rows, width]``.

        Raises:
            IvcrError: they are not there, or are not finite rows of numbers.
        """
        if video_id not in self:
            raise IvcrError(f"{self.path}: no features of the film {video_id!r}")
        try:
            found = np.asarray(self._find(video_id))
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise IvcrError(f"{self.path}: cannot read the features of {video_id!r}: {error}") from None
        if found.ndim != 2 or not found.size or found.dtype.kind not in "fiu":
            shape = f"{found.dtype} {list(found.shape)}"
            raise IvcrError(f"{self.path}: features of {video_id!r}: found {shape}, expected numbers [rows, width]")
        if not np.isfinite(found).all():
            raise IvcrError(f"{self.path}: features of {video_id!r}: a value is not finite")
        return found.astype(np.float32)

    def _open(self, opener: Callable[..., Any], *args: Any) -> Any:
        try:
            store = opener(*args)
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise IvcrError(f"{self.path}: cannot open the features: {error}") from None
        self._close = store.close
        return store

    def _candidates(self, video_id: str) -> tuple[Path, Path]:
        return self.path / f"{video_id}.npy", self.path / f"{video_id}.npz"

    def _in_folder(self, video_id: str) -> Any:
        plain, archive = self._candidates(video_id)
        if plain.is_file():
            return np.load(plain)
        with np.load(archive) as arrays:
            return self._choose(arrays, video_id)

    def _in_store(self, video_id: str) -> Any:
        entry = self._store[video_id]
        return self._choose(entry, video_id) if hasattr(entry, "keys") else entry

    def _choose(self, arrays: Any, video_id: str) -> Any:
        """One of the arrays of a film."""
        names = list(arrays.keys())
        if self._array in names:
            return arrays[self._array]
        if self._array is None and len(names) == 1:
            return arrays[names[0]]
        wanted = "only one array" if self._array is None else repr(self._array)
        raise IvcrError(f"{self.path}: features of {video_id!r}: found {names}, expected {wanted}")


def _hdf5(path: Path) -> Any:
    try:
        return importlib.import_module("h5py")
    except ImportError:
        raise IvcrError(f"{path}: reading HDF5 needs h5py", hint="pip install h5py") from None
