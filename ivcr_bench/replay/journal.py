"""The journal of a run: what it is on line 1, then one finished batch a line; a killed run goes on from here."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import msgspec
from msgspec import Struct

from ivcr_bench.errors import IvcrError
from ivcr_bench.jsonl import decode_line, encode_line, write_atomically
from ivcr_bench.replay.loop import Batch
from ivcr_bench.schema import HistoryMode, Scope, Split

NAME = "journal.jsonl"
SYNC_SECONDS = 1.0
"""Lines reach the disk at least so often; a kill of the process alone loses none."""


class Identity(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that decides what a run answers; line 1 of the journal.

    Attributes:
        system: what ``--system`` named.
        weights: the system's ``fingerprint``; ``None`` if it has none.
        dataset: its name.
        fingerprint: of the dataset.
        limit: the first so many dialogues of the split; ``None`` for all.
        harness: version of ivcr-bench.
    """

    system: str
    weights: str | None
    dataset: str
    fingerprint: str
    split: Split
    history: HistoryMode
    scope: Scope
    batch_size: int
    limit: int | None
    harness: str


class Journal:
    """An open journal, to be used in a ``with``.

    Attributes:
        done: (turn, number) -> the batches of earlier runs.
    """

    def __init__(self, out: Path, identity: Identity, *, resume: bool) -> None:
        """Start the journal of ``out``, or go on with the one that is there.

        Raises:
            IvcrError: ``out`` holds a run and ``resume`` is false, its journal is of another run or broken, or the
                folder cannot be written.
        """
        self.path = out / NAME
        self.done: dict[tuple[int, int], Batch] = {}
        require_free(out, resume=resume)
        if self.path.is_file():
            self._read(identity)
        else:
            write_atomically(self.path, [encode_line(identity)])
        try:
            self._stream = self.path.open("ab", buffering=0)
        except OSError as error:
            raise IvcrError(f"{self.path}: cannot write: {error.strerror}") from None
        self._synced = time.monotonic()

    def append(self, batch: Batch) -> None:
        """Add a finished batch.

        Raises:
            IvcrError: it cannot be written; the journal then ends with the batch before.
        """
        end = self._stream.tell()
        try:
            self._write(encode_line(batch))
            if time.monotonic() - self._synced >= SYNC_SECONDS:
                self._sync()
        except OSError as error:
            with suppress(OSError):
                self._stream.truncate(end)
            raise IvcrError(
                f"{self.path}: cannot write: {error.strerror}", hint="earlier answers are kept; go on with --resume"
            ) from None

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with suppress(OSError):
            self._sync()
        self._stream.close()

    def _write(self, line: bytes) -> None:
        """One write, unless the system takes only a part of it."""
        rest = memoryview(line)
        while rest:
            rest = rest[self._stream.write(rest) or 0 :]

    def _sync(self) -> None:
        os.fsync(self._stream.fileno())
        self._synced = time.monotonic()

    def _read(self, identity: Identity) -> None:
        try:
            content = self.path.read_bytes()
            whole = content.rfind(b"\n") + 1
            if whole < len(content):
                os.truncate(self.path, whole)
        except OSError as error:
            raise IvcrError(f"{self.path}: cannot open: {error.strerror}") from None
        first, *lines = content[:whole].splitlines() or [b""]
        _require_same(self.path, decode_line(first, msgspec.json.Decoder(Identity), self.path, 1), identity)
        decoder = msgspec.json.Decoder(Batch)
        for number, line in enumerate(lines, start=2):
            batch = decode_line(line, decoder, self.path, number)
            self.done[batch.turn, batch.number] = batch


def require_free(out: Path, *, resume: bool) -> None:
    """Check that a run may write to ``out``.

    Raises:
        IvcrError: ``out`` holds a run and ``resume`` is false, or holds a submission that no journal tells about.
    """
    journal, submission = (out / NAME).exists(), (out / "submission.jsonl").exists()
    if journal and not resume:
        raise IvcrError(f"{out}: already holds a run", hint="pass --resume to go on with it, or another --out")
    if submission and not journal:
        raise IvcrError(f"{out}: holds a submission.jsonl without its {NAME}", hint="pass another --out")


def _require_same(path: Path, found: Identity, expected: Identity) -> None:
    differing = [
        f"field {name!r}: found {getattr(found, name)!r}, expected {getattr(expected, name)!r}"
        for name in Identity.__struct_fields__
        if getattr(found, name) != getattr(expected, name)
    ]
    if differing:
        raise IvcrError(
            f"{path}:1: cannot resume another run: {'; '.join(differing)}",
            hint="give the options of that run, or another --out",
        )
