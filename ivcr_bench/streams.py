"""Files of lines that strangers made: plain, gzip or standard input, read with bounded memory and without a hang."""

from __future__ import annotations

import errno
import gzip
import io
import os
import select
import stat
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ivcr_bench.errors import IvcrError, printable

MAX_LINE_BYTES = 16 << 20
"""A line longer than this is an error, so that a file of another kind cannot fill the memory."""

MAX_BLANK_BYTES = 1 << 20
"""So much white space between two lines is an error: a few kB of gzip can hold hours of it."""

PIPE_SECONDS = 10.0
"""How long a named pipe may have no writer."""

JSON_SPACE = b" \t\r\n"

_GZIP_FIRST_BYTE = b"\x1f"
_OPEN_HINTS = {
    errno.ENOENT: "is the name spelt right?",
    errno.EISDIR: "name a file in it",
    errno.EACCES: "may you read it?",
}


def numbered_lines(path: str | Path) -> Iterator[tuple[int, bytes]]:
    """Yield ``(line number, line)`` for each line that is not blank, without the white space around it.

    Args:
        path: a plain or gzip file, or ``-`` for standard input.

    Raises:
        IvcrError: the file cannot be opened or read to its end, a line is longer than `MAX_LINE_BYTES`, or blank lines
            go on for `MAX_BLANK_BYTES`.
    """
    with open_binary(path) as stream:
        number = blank = 0
        while line := _read_line(stream, path, number + 1):
            number += 1
            length = len(line)
            line = line.strip(JSON_SPACE)
            if line:
                blank = 0
                yield number, line
                continue
            blank += length
            if blank > MAX_BLANK_BYTES:
                raise IvcrError(
                    f"{path}:{number}: found {MAX_BLANK_BYTES >> 20} MiB of blank lines, expected a JSON object a line",
                    hint="is this the right file?",
                )


@contextmanager
def open_binary(path: str | Path) -> Iterator[BinaryIO]:
    """Open ``path`` (plain, gzip, or ``-`` for standard input, which may be either) for reading bytes.

    Raises:
        IvcrError: it cannot be opened, or is a named pipe that nobody writes to.
    """
    if str(path) == "-":
        yield _unpacked(_standard_input(), path)  # who opened it will close it
        return
    with _open(Path(path)) as raw:
        yield _unpacked(raw, path)


def _read_line(stream: BinaryIO, path: str | Path, number: int) -> bytes:
    try:
        line = stream.readline(MAX_LINE_BYTES + 1)
    except (EOFError, zlib.error, OSError) as error:
        what, hint = _read_fault(error)
        raise IvcrError(f"{path}:{number}: cannot read on: {what}", hint=hint) from None
    if len(line) > MAX_LINE_BYTES:
        raise IvcrError(
            f"{path}:{number}: line is longer than {MAX_LINE_BYTES >> 20} MiB, expected one JSON object a line",
            hint="is the file one long array, or not JSON at all?",
        )
    return line


def _read_fault(error: Exception) -> tuple[str, str | None]:
    """What went wrong, and a hint."""
    if isinstance(error, EOFError):
        return "the gzip data end too early", "is the file cut short? copy it again"
    if isinstance(error, zlib.error):
        return "the gzip data are damaged", "copy the file again, in binary mode"
    if isinstance(error, gzip.BadGzipFile):
        if "Not a gzipped file" not in str(error):
            return f"the gzip data are damaged: {error}", "copy the file again, in binary mode"
        if r"(b'\x1f" in str(error):
            return "it starts as gzip does, but is none", "is it packed otherwise? unpack it first"
        return "other bytes follow the gzip data", "was something appended to the file?"
    return str(getattr(error, "strerror", None) or error), None


def _unpacked(raw: io.BufferedReader, path: str | Path) -> BinaryIO:
    try:
        first = raw.peek(1)[:1]  # no JSON starts as gzip does, and a pipe may have no second byte yet
    except OSError as error:
        raise IvcrError(f"{path}: cannot read: {error.strerror}") from None
    return io.BufferedReader(gzip.GzipFile(fileobj=raw)) if first == _GZIP_FIRST_BYTE else raw


def _standard_input() -> io.BufferedReader:
    if sys.stdin is None or sys.stdin.closed:
        raise IvcrError("-: standard input is closed", hint="pipe a file into it, or name one")
    stream = sys.stdin.buffer
    return stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(_Borrowed(stream))


class _Borrowed(io.RawIOBase):
    """A stream that stands in for standard input, which is not to be closed with what reads it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        chunk = self._stream.read(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)


def _open(path: Path) -> io.BufferedReader:
    try:
        if stat.S_ISFIFO(path.stat().st_mode):
            return _open_pipe(path)
        return path.open("rb")
    except OSError as error:
        hint = _OPEN_HINTS.get(error.errno or 0)
        raise IvcrError(f"{printable(str(path))}: cannot open: {error.strerror}", hint=hint) from None
    except ValueError as error:  # a null character
        raise IvcrError(f"{printable(str(path))}: cannot open: {error}") from None


def _open_pipe(path: Path) -> io.BufferedReader:
    """Open a named pipe; unlike ``open``, do not wait for a writer for ever."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    ready, _, _ = select.select([descriptor], [], [], PIPE_SECONDS)
    if not ready and not _has_writer(descriptor):
        os.close(descriptor)
        raise IvcrError(f"{path}: is a pipe that nobody writes to", hint="start the program that writes to it first")
    os.set_blocking(descriptor, True)
    return open(descriptor, "rb")


def _has_writer(descriptor: int) -> bool:
    """Whether an empty pipe, opened without blocking, is open at its other end, too."""
    try:
        os.read(descriptor, 1)
    except BlockingIOError:
        return True
    return False
