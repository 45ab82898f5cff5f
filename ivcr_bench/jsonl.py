"""Typed JSONL: one object a line, UTF-8, plain or gzip; errors name file, line, field, found and expected."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from ivcr_bench.errors import IvcrError, printable
from ivcr_bench.json_faults import SHOWN, Fault, excerpt, foreign_file, undecodable
from ivcr_bench.repeated_keys import repeated_key
from ivcr_bench.streams import MAX_LINE_BYTES, numbered_lines

__all__ = [
    "MAX_LINE_BYTES",
    "decode_line",
    "encode_line",
    "iter_lines",
    "read_jsonl",
    "write_atomically",
    "write_jsonl",
]

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
    """Decode one line.

    Raises:
        IvcrError: it is no JSON, does not fit, or has a key twice; file, line, field, found and expected are named.
    """
    try:
        record = decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        fault = foreign_file(line) or undecodable(error, line, decoder.type)
    else:
        repeated = repeated_key(line, record)
        if repeated is None:
            return record
        fault = Fault(
            f"field {printable(repeated, SHOWN)!r}: found twice in one object, expected once",
            "which of the two counts?",
        )
    raise IvcrError(f"{path}:{number}: {fault.message}; line starts {excerpt(line)}", hint=fault.hint)


def decode_canonical(line: bytes, decoder: msgspec.json.Decoder[T], path: str | Path, number: int) -> tuple[T, bytes]:
    """Decode one line; return it as `encode_line` writes it, too. A line that is so already repeats no key."""
    try:
        record = decoder.decode(line)
        canonical = encode_line(record)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        canonical = b""
    if canonical[:-1] != line:
        record = decode_line(line, decoder, path, number)
        canonical = encode_line(record)
    return record, canonical


def iter_lines(path: str | Path) -> Iterator[tuple[int, bytes]]:
    """Yield ``(line number, line)`` for each line that is not blank, without the white space around it.

    Args:
        path: a plain or gzip file, or ``-`` for standard input.

    Raises:
        IvcrError: the file cannot be opened or read to its end, holds something else than one JSON object a line (an
            array, an archive, another encoding), or a line is longer than `MAX_LINE_BYTES`.
    """
    lines = numbered_lines(path)
    for number, line in lines:
        if fault := foreign_file(line):
            raise IvcrError(f"{path}:{number}: {fault.message}", hint=fault.hint)
        yield number, line
        yield from lines


def write_jsonl(path: str | Path, records: Iterable[msgspec.Struct]) -> None:
    """Write ``records`` to ``path``, one a line, as `write_atomically` does."""
    write_atomically(path, map(encode_line, records))


def write_atomically(path: str | Path, chunks: Iterable[bytes]) -> None:
    """Write ``chunks`` to ``path`` so that a kill leaves either the old file or the new one, never half.

    Raises:
        IvcrError: the file cannot be written (read-only folder, disk full).
    """
    path = Path(path)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as stream:
            stream.writelines(chunks)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    except OSError as error:
        raise IvcrError(f"{path}: cannot write: {error.strerror}") from None
    finally:
        with suppress(OSError):
            part.unlink()
