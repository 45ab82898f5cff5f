"""Typed JSONL: one object a line, UTF-8, plain or gzip; errors name file, line, field, found and expected."""

from __future__ import annotations

import gzip
import io
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeVar

import msgspec

from ivcr_bench.errors import IvcrError

T = TypeVar("T", bound=msgspec.Struct)

_ENCODER = msgspec.json.Encoder()


def encode_line(record: msgspec.Struct) -> bytes:
    """``record`` as one JSON line, newline included; equal records give equal bytes."""
    return _ENCODER.encode(record) + b"\n"


def read_jsonl(path: str | Path, kind: type[T]) -> list[T]:
    """Read every line of ``path`` as a ``kind``.

    Args:
        path: a ``.jsonl`` or ``.jsonl.gz`` file, or ``-`` for standard input.
        kind: the Struct that each line must be.

    Raises:
        IvcrError: the file cannot be read, or a line is not a valid ``kind``.
    """
    decoder = msgspec.json.Decoder(kind)
    return [decode_line(line, decoder, path, number) for number, line in iter_lines(path)]


def decode_line(line: bytes, decoder: msgspec.json.Decoder[T], path: str | Path, number: int) -> T:
    """Decode one line; on failure raise an error that names file, line, field, found and expected."""
    try:
        return decoder.decode(line)
    except msgspec.ValidationError as error:
        raise IvcrError(f"{path}:{number}: {_describe(error)}; line starts {_excerpt(line)}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise IvcrError(f"{path}:{number}: not valid JSON: {error}; line starts {_excerpt(line)}") from None


def iter_lines(path: str | Path) -> Iterator[tuple[int, bytes]]:
    """Yield ``(line number, line)`` for each line that is not blank."""
    with open_binary(path) as stream:
        number = 0
        while True:
            try:
                line = stream.readline()
            except (EOFError, gzip.BadGzipFile, OSError) as error:
                raise IvcrError(
                    f"{path}:{number + 1}: cannot read on: {error}", hint="is the file cut short?"
                ) from None
            if not line:
                return
            number += 1
            line = line.strip()
            if line:
                yield number, line


@contextmanager
def open_binary(path: str | Path) -> Iterator[BinaryIO]:
    """Open ``path`` (plain, gzip, or ``-`` for standard input) for reading bytes."""
    if str(path) == "-":
        yield sys.stdin.buffer
        return
    try:
        raw = Path(path).open("rb")  # noqa: SIM115 - only opening may fail here; `with` below closes it
    except OSError as error:
        raise IvcrError(f"{path}: cannot open: {error.strerror}") from None
    with raw:
        zipped = raw.peek(2)[:2] == b"\x1f\x8b"
        yield io.BufferedReader(gzip.GzipFile(fileobj=raw)) if zipped else raw


def write_jsonl(path: str | Path, records: Iterable[msgspec.Struct]) -> None:
    """Write ``records`` to ``path`` so that a kill leaves either the old file or the new one, never half."""
    path = Path(path)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as stream:
            stream.writelines(map(encode_line, records))
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise IvcrError(f"{path}: cannot write: {error.strerror}") from None


def _describe(error: msgspec.ValidationError) -> str:
    message = str(error)
    text, _, place = message.partition(" - at `$")
    field = place.rstrip("`").lstrip(".")
    return f"field {field!r}: {text}" if field else text


def _excerpt(line: bytes, length: int = 60) -> str:
    text = line[:length].decode("utf-8", errors="replace")
    return repr(text + ("..." if len(line) > length else ""))
