"""The verdict store: what was paid for once is never paid for twice, nor lost.

A folder of append-only JSONL shards. A line is ``{"sha256": ..., "key": ..., "record": ...}``, the checksum being of
the rest of the line; nothing expires, nothing is rewritten. Every opening that writes begins a shard of its own, so a
line that a kill or a full disk cut short can only be a shard's last: it is passed over. Any other line that does not
fit its checksum is an error, since somebody changed it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import msgspec

from ivcr_bench.errors import IvcrError
from ivcr_bench.scoring.judge.items import JudgeItem, Verdict
from ivcr_bench.scoring.judge.normalise import normalise

SYNC_SECONDS = 1.0
"""A record survives a kill of the process at once, and a loss of power after so long at the latest."""


class Usage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Tokens that were charged for; ``cached_tokens`` are those of the input that cost less."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0


class Attempt(msgspec.Struct, frozen=True, omit_defaults=True):
    """One request for a verdict, whether or not it brought one.

    Attributes:
        outcome: ``ok``, or what went wrong, such as ``429``, ``timeout``, ``schema``.
        usage: what it cost; zero if the provider charged nothing.
        latency_s: from sending to the end of the answer.
    """

    outcome: str
    usage: Usage = Usage()
    latency_s: float = 0.0


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """All that is known of how a verdict came about.

    Attributes:
        raw: the last answer, untouched; ``None`` if there never was one.
        usage: of all attempts together.
        latency_s: from the first attempt to the verdict, waiting included.
        attempts: all requests, in order; empty for a judge that sends none.
    """

    verdict: Verdict
    raw: str | None = None
    usage: Usage = Usage()
    latency_s: float = 0.0
    attempts: tuple[Attempt, ...] = ()


def key_of(judge_id: str, item: JudgeItem) -> str:
    """What a verdict is filed under, 64 hex digits: judge and texts, but not whose answer it is."""
    texts = [normalise(text).text for text in (*item.queries, item.reference, item.candidate or "")]
    content = json.dumps([judge_id, item.language, texts, item.repeat])
    return hashlib.sha256(content.encode()).hexdigest()


class VerdictStore:
    """Records by key, on disk; only where each stands is held in memory, some 150 bytes a record.

    A folder has one writer at a time: a second is refused, so that two runs do not pay for the same verdicts.

    Args:
        folder: made when the first record is put.

    Raises:
        IvcrError: the folder cannot be read, or a record in it was changed.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._places: dict[bytes, int] = {}
        self._shards: list[BinaryIO] = []
        self._writer: BinaryIO | None = None
        self._lock: BinaryIO | None = None
        self._written = 0
        self._synced = time.monotonic()
        self._index_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, key: str) -> bool:
        return _digest(key) in self._places

    def get(self, key: str) -> Record | None:
        """The record that was last put under ``key``.

        Raises:
            IvcrError: it was changed on disk.
        """
        place = self._places.get(_digest(key))
        if place is None:
            return None
        return _read(self._line_at(place), self._shards[place >> _OFFSET_BITS].name).record

    def claim(self) -> None:
        """Become the folder's writer, and find what others put since it was opened; to be done before paying.

        Raises:
            IvcrError: another process writes to this store, or the folder cannot be made.
        """
        if self._lock is not None:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = self._locked()
        except OSError as error:
            raise IvcrError(f"{self.folder}: cannot write verdicts: {error.strerror}") from None
        self._index_all()

    def put(self, key: str, record: Record) -> None:
        """Add ``record``; one that is there already under ``key`` stays on disk, but is no longer found.

        Raises:
            IvcrError: it cannot be written, or another process writes to this store.
        """
        try:
            writer = self._writer or self._begin_shard()
            line = _line(key, record)
            writer.write(line)
            self._places[_digest(key)] = _place(len(self._shards) - 1, self._written)
            self._written += len(line)
            if time.monotonic() - self._synced > SYNC_SECONDS:
                self.sync()
        except OSError as error:
            raise IvcrError(f"{self.folder}: cannot write a verdict: {error.strerror}") from None

    def sync(self) -> None:
        """Return once everything that was put survives a loss of power."""
        if self._writer is not None:
            os.fsync(self._writer.fileno())
        self._synced = time.monotonic()

    def close(self) -> None:
        """Sync, let the folder go to others, and close all files."""
        self.sync()
        for stream in (*self._shards, self._writer, self._lock):
            if stream is not None:
                stream.close()
        self._shards, self._writer, self._lock = [], None, None

    def lines(self) -> Iterator[bytes]:
        """The line of each record that `get` finds, by key: what to publish."""
        for digest in sorted(self._places):
            yield self._line_at(self._places[digest])

    def _line_at(self, place: int) -> bytes:
        stream = self._shards[place >> _OFFSET_BITS]
        stream.seek(place & ((1 << _OFFSET_BITS) - 1))
        return stream.readline()

    def _index_all(self) -> None:
        for stream in self._shards:
            stream.close()
        self._places, self._shards = {}, []
        for path in sorted(self.folder.glob("verdicts-*.jsonl")):
            self._index(path)

    def _index(self, path: Path) -> None:
        try:
            stream = path.open("rb")
        except OSError as error:
            raise IvcrError(f"{path}: cannot read: {error.strerror}") from None
        shard, offset = len(self._shards), 0
        self._shards.append(stream)
        for number, line in enumerate(stream, start=1):
            if not line.endswith(b"\n"):  # cut short by a kill, so it was never answered for
                break
            self._places[_digest(_read(line, f"{path}:{number}").key)] = _place(shard, offset)
            offset += len(line)

    def _begin_shard(self) -> BinaryIO:
        self.claim()
        number = sum(1 for _ in self.folder.glob("verdicts-*.jsonl")) + 1
        path = self.folder / f"verdicts-{number:06d}.jsonl"
        self._writer = path.open("xb", buffering=0)
        self._shards.append(path.open("rb"))
        return self._writer

    def _locked(self) -> BinaryIO:
        """The lock file; the operating system lets it go when its holder ends, however it ends."""
        lock = (self.folder / "lock").open("wb")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise IvcrError(
                f"{self.folder}: another run writes its verdicts here", hint="wait for it, or name another --store"
            ) from None
        return lock


class _Entry(msgspec.Struct, frozen=True):
    key: str
    record: Record


_OFFSET_BITS = 44


def _place(shard: int, offset: int) -> int:
    """Both in one number, which takes a third of a pair's memory."""
    return shard << _OFFSET_BITS | offset


def _digest(key: str) -> bytes:
    """Half of ``key``, which is enough to tell all verdicts ever given apart."""
    return bytes.fromhex(key[:32])


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(_Entry)
_HEAD = b'{"sha256":"'
_HEAD_LENGTH = len(_HEAD) + 64 + len(b'",')


def _line(key: str, record: Record) -> bytes:
    rest = _ENCODER.encode(_Entry(key, record))[1:]
    return _HEAD + hashlib.sha256(rest).hexdigest().encode() + b'",' + rest + b"\n"


def _read(line: bytes, where: str) -> _Entry:
    rest = line[_HEAD_LENGTH:-1]
    if line[:_HEAD_LENGTH] != _HEAD + hashlib.sha256(rest).hexdigest().encode() + b'",':
        raise IvcrError(f"{where}: the verdict does not fit its checksum", hint="restore the file, or delete the line")
    return _DECODER.decode(b"{" + rest)
