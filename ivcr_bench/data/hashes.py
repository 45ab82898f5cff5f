"""Names of films and encoders by content: equal hashes mean equal bytes."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ivcr_bench.cache import cache_dir
from ivcr_bench.errors import IvcrError
from ivcr_bench.jsonl import write_atomically

_SETTLED_NS = 2_000_000_000
"""A file changed less than this ago may change again within one step of the file system's clock."""


class _Memo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The hash that a file had when it had this size and time of change."""

    size: int
    mtime_ns: int
    sha256: str

    def holds(self, status: os.stat_result) -> bool:
        """Whether the file is still the one that was hashed."""
        return (self.size, self.mtime_ns) == (status.st_size, status.st_mtime_ns)


def video_hash(path: str | Path) -> str:
    """SHA-256 of the bytes of a film, 64 hex digits.

    It is remembered in the user's cache by path, size and time of change, so that a film is read for it once.

    Raises:
        IvcrError: the film cannot be read.
    """
    return _file_hash(Path(path).resolve())


def weights_hash(weights: Mapping[str, Any] | str | Path, config: object = None) -> str:
    """SHA-256 of an encoder, 64 hex digits: of its weights and of what else decides its features.

    Args:
        weights: a state dict (torch tensors or numpy arrays; equal values give equal hashes), or a weights file,
            of which the bytes count.
        config: anything that msgspec writes as JSON (dict, dataclass, Struct); the order of fields does not count.

    Raises:
        IvcrError: the weights file cannot be read.
    """
    digest = hashlib.sha256(msgspec.json.encode(config, order="deterministic"))
    if isinstance(weights, str | Path):
        digest.update(_file_hash(Path(weights).resolve()).encode())
        return digest.hexdigest()
    for name in sorted(weights):
        tensor = weights[name]
        dtype = str(tensor.dtype).removeprefix("torch.")
        digest.update(msgspec.json.encode((name, dtype, list(tensor.shape))))
        digest.update(_raw(tensor).data)
    return digest.hexdigest()


def _file_hash(path: Path) -> str:
    memo_path = _memo_path(path)
    try:
        status = path.stat()
        memo = _recall(memo_path)
        if memo is not None and memo.holds(status):
            return memo.sha256
        with path.open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise IvcrError(f"{path}: cannot read: {error.strerror}") from None
    if time.time_ns() - status.st_mtime_ns > _SETTLED_NS:
        memo = _Memo(status.st_size, status.st_mtime_ns, sha256)
        with suppress(IvcrError):  # what is not remembered is computed again
            write_atomically(memo_path, [msgspec.json.encode(memo)])
    return sha256


def _raw(tensor: Any) -> NDArray[np.uint8]:
    """The values of a torch tensor or numpy array as bytes; numpy knows no bfloat16, so torch makes the view."""
    if isinstance(tensor, np.ndarray):
        return np.ascontiguousarray(tensor).reshape(-1).view(np.uint8)
    import torch

    flat: NDArray[np.uint8] = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    return flat


def _memo_path(path: Path) -> Path:
    name = hashlib.sha256(bytes(path)).hexdigest()
    return cache_dir("video-hashes") / name[:2] / f"{name}.json"


def _recall(memo_path: Path) -> _Memo | None:
    try:
        return msgspec.json.decode(memo_path.read_bytes(), type=_Memo)
    except (OSError, msgspec.DecodeError):
        return None
