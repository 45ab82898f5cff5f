"""Typed JSONL: one object a line, UTF-8, plain or gzip; errors name file, line, field, found and expected."""

from __future__ import annotations

import codecs
import gzip
import io
import os
import re
import secrets
import sys
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from pathlib import Path
from typing import BinaryIO, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from ivcr_bench.errors import IvcrError

T = TypeVar("T", bound=msgspec.Struct)

MAX_LINE_BYTES = 64 << 20
"""A line longer than this is an error, so that a file of another kind cannot fill the memory."""

_BARE_NUMBER_WORD = re.compile(rb"[:,\[]\s*-?(NaN|Infinity)\b")
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
        message, hint = _describe(error), _field_hint(str(error), decoder.type)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        message, hint = f"not valid JSON: {error}", "expected one whole JSON object a line, in UTF-8"
    message = f"{path}:{number}: {message}; line starts {_excerpt(line)}"
    raise IvcrError(message, hint=_form_hint(line) or hint)


def iter_lines(path: str | Path) -> Iterator[tuple[int, bytes]]:
    """Yield ``(line number, line)`` for each line that is not blank.

    Raises:
        IvcrError: the file cannot be opened or read to its end, or a line is longer than `MAX_LINE_BYTES`.
    """
    with open_binary(path) as stream:
        number = 0
        while True:
            try:
                line = stream.readline(MAX_LINE_BYTES + 1)
            except (EOFError, zlib.error, OSError) as error:
                raise IvcrError(
                    f"{path}:{number + 1}: cannot read on: {error}", hint="is the file cut short?"
                ) from None
            if not line:
                return
            number += 1
            if len(line) > MAX_LINE_BYTES:
                raise IvcrError(
                    f"{path}:{number}: line is longer than {MAX_LINE_BYTES >> 20} MiB",
                    hint="expected one JSON object a line",
                )
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


def _describe(error: msgspec.ValidationError) -> str:
    message = str(error)
    text, _, place = message.partition(" - at `$")
    field = place.rstrip("`").lstrip(".")
    return f"field {field!r}: {text}" if field else text


def _form_hint(line: bytes) -> str | None:
    """What is wrong with the form of the file, if it is one of the usual things."""
    if line.startswith(codecs.BOM_UTF8):
        return "save the file as UTF-8 without a byte-order mark"
    if line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "the file is UTF-16; save it as UTF-8"
    if line.startswith(b"["):
        return "an array; write one JSON object a line instead"
    if _BARE_NUMBER_WORD.search(line):
        return "JSON has no NaN and no Infinity"
    return None


def _field_hint(message: str, kind: type[msgspec.Struct]) -> str | None:
    """The names or values that are allowed where ``message`` found another."""
    if unknown := re.match("Object contains unknown field `(.*)`$", message):
        near = get_close_matches(unknown[1], kind.__struct_fields__, n=1)
        return f"did you mean {near[0]!r}?" if near else f"one of {', '.join(kind.__struct_fields__)}"
    if wrong := re.match(r"Invalid enum value .* - at `\$\.(\w+)`$", message):
        annotation = get_type_hints(kind).get(wrong[1])
        literals = [part for part in (annotation, *get_args(annotation)) if get_origin(part) is Literal]
        return f"expected {' | '.join(get_args(literals[0]))}" if literals else None
    return None


def _excerpt(line: bytes, length: int = 60) -> str:
    text = line[:length].decode("utf-8", errors="replace")
    return repr(text + ("..." if len(line) > length else ""))
