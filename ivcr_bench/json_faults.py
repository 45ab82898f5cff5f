"""What is said about a line that is not the JSON it should be: field, found, expected, and what to do about it."""

from __future__ import annotations

import codecs
import json
import re
from typing import Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

import msgspec

from ivcr_bench.errors import printable
from ivcr_bench.suggest import nearest

SHOWN = 60
"""So many characters of what was found are shown."""

_LONGEST_LOOKED_INTO = 1 << 20
"""In a longer line, the value at fault is not looked for, since that takes parsing it again."""

_DUMPS = "write lines with json.dumps"
_LONE_SURROGATE = re.compile(
    rb"(?<!\\)(?:\\\\)*+(?:\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2})"
)
_FIELD_BEFORE = re.compile(rb'"([^"\\]{1,64})"\s*:[^"]*$')

_FOREIGN = {
    codecs.BOM_UTF32_LE: ("UTF-32", "save the file as UTF-8"),
    codecs.BOM_UTF16_LE: ("UTF-16", "the file is UTF-16; save it as UTF-8"),
    codecs.BOM_UTF16_BE: ("UTF-16", "the file is UTF-16; save it as UTF-8"),
    codecs.BOM_UTF8: ("a byte-order mark", "save the file as UTF-8 without a byte-order mark"),
    b"\x1f\x8b": ("gzip data inside gzip data", "pack the file once"),
    b"PK\x03\x04": ("a zip archive", "unpack it, or pack it with gzip"),
    b"BZh": ("bzip2 data", "unpack it, or pack it with gzip"),
    b"\xfd7zXZ": ("xz data", "unpack it, or pack it with gzip"),
    b"\x28\xb5\x2f\xfd": ("zstandard data", "unpack it, or pack it with gzip"),
    b"PAR1": ("a Parquet file", "write one JSON object a line"),
    b"\x89PNG": ("a picture", "is this the right file?"),
    b"%PDF": ("a PDF", "is this the right file?"),
    b"\x93NUMPY": ("a NumPy array", "write one JSON object a line"),
    b"\x80": ("a pickle", "write one JSON object a line"),
}
"""How files of other kinds start -> their kind, what to do; longer marks before those that they start with."""


_FORMS = {
    "Expected `object`": "one JSON object a line",
    "Expected `array`": "a list, in [ ]",
    "Expected `str": "text, in quotes",
}
"""What msgspec calls a form -> how it is written."""


class Fault(NamedTuple):
    """What is wrong, and what to do about it."""

    message: str
    hint: str | None


def foreign_file(first_line: bytes) -> Fault | None:
    """What kind of file it is that starts with ``first_line``, if it is none of JSON objects, one a line."""
    for mark, (kind, hint) in _FOREIGN.items():
        if first_line.startswith(mark):
            return Fault(f"found {kind}, expected one JSON object a line", hint)
    if b"\0" in first_line[:4]:
        return _with_null_bytes(first_line)
    if first_line.startswith(b"["):
        return Fault("found an array, expected one JSON object a line", "write one object a line, without [ ] around")
    if first_line == b"{":
        hint = "write each object on one line: json.dumps without indent"
        return Fault("found an object spread over several lines, expected one JSON object a line", hint)
    if b"\r" in first_line:
        return Fault("lines end in carriage return alone, expected line feed", "save the file with Unix line ends")
    return None


def _with_null_bytes(first_line: bytes) -> Fault:
    expected = "expected one JSON object a line"
    if not first_line.strip(b"\0"):
        return Fault(f"found null bytes, {expected}", "did the disk run full, or the machine crash?")
    even, odd = first_line[:8:2], first_line[1:8:2]
    if any(not zeros.strip(b"\0") and b"\0" not in others for zeros, others in ((even, odd), (odd, even))):
        return Fault(f"found UTF-16 without a byte-order mark, {expected}", "save the file as UTF-8")
    return Fault(f"found binary data, {expected}", "is this the right file?")


def undecodable(error: Exception, line: bytes, kind: type[msgspec.Struct]) -> Fault:
    """What is wrong with ``line``, given what msgspec said when it was to be a ``kind``."""
    if isinstance(error, msgspec.ValidationError):
        return _misfit(str(error), line, kind)
    if isinstance(error, RecursionError):
        return Fault("not valid JSON: nested too deep", "an answer nests three levels")
    if isinstance(error, UnicodeDecodeError):
        return Fault(f"not valid JSON: {_not_utf8(line) or error}", "save the file as UTF-8")
    return _malformed(str(error), line)


def excerpt(line: bytes) -> str:
    """The start of ``line``, quoted, safe to show."""
    text = line[:SHOWN].decode("utf-8", errors="replace")
    return repr(text + ("..." if len(line) > SHOWN else ""))


def _malformed(said: str, line: bytes) -> Fault:
    """What is wrong with a line that is no JSON."""
    place = re.search(r"\(byte (\d+)\)", said)
    at = int(place[1]) if place else len(line)
    known = _known_mistake(said, line, at)
    if known is None:
        return Fault(f"not valid JSON: {said}", "expected one whole JSON object a line, in UTF-8")
    found = known.message if place is None else f"{known.message}, at byte {at}"
    field = _FIELD_BEFORE.search(line[max(0, at - 200) : at])
    name = f"field {printable(field[1].decode(errors='replace'))!r}: " if field else ""
    return Fault(f"not valid JSON: {name}{found}", known.hint)


def _known_mistake(said: str, line: bytes, at: int) -> Fault | None:
    """The usual ways in which lines come to be no JSON."""
    if "truncated" in said or "surrogate" in said:
        if line.endswith(b"}") and (lone := _LONE_SURROGATE.search(line)):
            return Fault(f"half a character, {lone[0][-6:].decode()}", "write text as UTF-8, or both its surrogates")
        hint = "is the file cut short, or one object spread over several lines?"
        return Fault("Input data was truncated", hint)
    word = _word_at(line, at)
    if word.lower().lstrip("-") in ("nan", "inf", "infinity"):
        return Fault(f"found {word}, expected a number", "JSON has no NaN and no Infinity")
    if word in ("None", "True", "False"):
        return Fault(f"found {word}, expected JSON, not Python", _DUMPS)
    if "trailing characters" in said:
        rest = line[at - 1 :]
        hint = "no comma after a line" if rest[:1] == b"," else "one object a line"
        return Fault(f"found {excerpt(rest)} after the object, expected the line to end", hint)
    character = line[at : at + 1]
    if character == b"'":
        return Fault("found ', expected \"", _DUMPS)
    if character and character < b" ":
        return Fault(f"found the control character {character[0]:#04x} in a text, expected an escape", _DUMPS)
    return None


def _word_at(line: bytes, at: int) -> str:
    before = re.search(rb"-?[A-Za-z]*$", line[max(0, at - 12) : at])
    after = re.match(rb"-?[A-Za-z]*", line[at : at + 12])
    return ((before[0] if before else b"") + (after[0] if after else b"")).decode()


def _not_utf8(line: bytes) -> str | None:
    try:
        line.decode()
    except UnicodeDecodeError as error:  # that of msgspec counts from the start of the text, not of the line
        return str(error)
    return None


def _misfit(said: str, line: bytes, kind: type[msgspec.Struct]) -> Fault:
    """What is wrong with a line that is JSON, but no ``kind``."""
    text, _, place = said.rpartition(" - at `$") if " - at `$" in said else (said, "", "")
    place = place.rstrip("`")
    value = _value_at(line, place) if place else None
    found = f", found {value}" if value is not None and "Invalid enum" not in text else ""
    field = f"field {place.lstrip('.')!r}: " if place else ""
    return Fault(f"{field}{printable(text, 200)}{found}", _misfit_hint(text, place, value, kind))


def _misfit_hint(text: str, place: str, value: str | None, kind: type[msgspec.Struct]) -> str | None:
    holder = _kind_at(kind, place)
    if unknown := re.match("Object contains unknown field `(.*)`$", text, re.DOTALL):
        near = nearest(unknown[1], holder.__struct_fields__)
        return f"did you mean {near!r}?" if near else f"one of {', '.join(holder.__struct_fields__)}"
    if missing := re.match("Object missing required field `(.*)`$", text):
        return f"write {missing[1]!r} on every such line" if holder is kind else f"write {missing[1]!r} in each"
    if text.startswith("Invalid enum value"):
        return _allowed(kind, place)
    if "expected 0 <= start <= end" in text:
        return "seconds from the start of the film" if "[-" in text else "are start and end swapped?"
    if "out of range" in text:
        return "expected a finite number" if "Number" in text else "expected a number of some digits"
    if text.startswith(("Expected `int`", "Expected `float`")):
        return _number_hint(text, value)
    if text.startswith("Expected `object`") and place:
        return f"an object with {', '.join(holder.__struct_fields__)}"
    return next((hint for start, hint in _FORMS.items() if text.startswith(start)), None)


def _number_hint(text: str, value: str | None) -> str | None:
    if "got `str`" in text:
        return "a number, without quotes"
    if "got `float`" in text:
        return "a whole number, without a point"
    return "counted from 1" if ">= 1" in text else None


def _allowed(kind: type[msgspec.Struct], place: str) -> str | None:
    """The values that the field at ``place`` may have, where they are few."""
    holder = _kind_at(kind, place.rpartition(".")[0])
    annotation = get_type_hints(holder).get(place.rpartition(".")[2])
    literals = [part for part in (annotation, *get_args(annotation)) if get_origin(part) is Literal]
    return f"expected {' | '.join(get_args(literals[0]))}" if literals else None


def _kind_at(kind: type[msgspec.Struct], place: str) -> type[msgspec.Struct]:
    """The kind of the object at ``place``, such as ``.moments[0]``, or of the nearest object around it."""
    for name in re.findall(r"\.(\w+)", place):
        part = _struct_in(get_type_hints(kind).get(name))
        if part is not None:
            kind = part
    return kind


def _struct_in(annotation: Any) -> type[msgspec.Struct] | None:
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return annotation
    return next((kind for kind in map(_struct_in, get_args(annotation)) if kind is not None), None)


class _Spelt(str):
    """A number as the line spells it."""


def _value_at(line: bytes, place: str) -> str | None:
    """The value at ``place`` as JSON, cut short; ``None`` if it is an object or an array."""
    if len(line) > _LONGEST_LOOKED_INTO:
        return None
    try:
        value = json.loads(line, parse_int=_Spelt, parse_float=_Spelt)
        for name, index in re.findall(r"\.(\w+)|\[(\d+)\]", place):
            value = value[name] if name else value[int(index)]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    if isinstance(value, (dict, list)):
        return None
    return printable(value if isinstance(value, _Spelt) else json.dumps(value, ensure_ascii=False), SHOWN)
