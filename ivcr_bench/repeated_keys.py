"""Keys that stand twice in one JSON object: readers silently keep one of the two values, and not all keep the same."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache

import msgspec
from msgspec import inspect, structs

_ENCODER = msgspec.json.Encoder()


def repeated_key(line: bytes, record: msgspec.Struct) -> str | None:
    r"""A key that some object of ``line`` has twice or more; ``None`` if there is none.

    A key costs at least one colon, and a field that is not at its default has a key. So a line with just as many
    colons as its record has such fields repeats none: that is seen in half a microsecond, and settles most lines.
    Where texts have colons, those of the record written afresh must be as many. Lines that spell defaults out are
    parsed again.

    Args:
        line: valid JSON, from which ``record`` was decoded.
        record: of a kind that forbids unknown fields, at all levels.

    >>> from ivcr_bench.schema import Moment
    >>> line = b'{"video_id": "a", "start": 1, "end": 2, "sta\u0072t": 0}'
    >>> repeated_key(line, msgspec.json.decode(line, type=Moment))
    'start'
    """
    shape = _shape(type(record))
    colons, keys = line.count(b":"), shape.keys_of(record)
    if colons == keys:
        return None
    spelled = shape.defaults_in(line, record, most=colons - keys)
    if colons == keys + spelled or (shape.omits_defaults and colons == _colons_written(record, line) + spelled):
        return None
    return _parse_again(line)


class _Shape:
    """What is known of all records of one kind.

    Attributes:
        required: how many fields every line has.
        optional: the other fields, by index, with the value that each has where the line has no such key.
        parts: the fields that hold records, or tuples of records, by index, with their shapes.
        omits_defaults: whether an encoded record has no key of a field at its default, at any level.
    """

    def __init__(self, kind: type[msgspec.Struct]) -> None:
        fields = structs.fields(kind)
        self.required = sum(field.required for field in fields)
        self.optional = [(i, f.default) for i, f in enumerate(fields) if f.default is not msgspec.NODEFAULT]
        found = [(index, _struct_in(inspect.type_info(field.type))) for index, field in enumerate(fields)]
        self.parts = [(index, _shape(part)) for index, part in found if part is not None]
        inner = {name for _, part in self.parts for name in part.names}
        self.names: set[str] = inner | {field.encode_name for field in fields}
        self.spelled = [
            (index, field.default, f'"{field.encode_name}":'.encode())
            for index, field in enumerate(fields)
            if field.default is not msgspec.NODEFAULT and field.encode_name not in inner
        ]
        self.omits_defaults: bool = kind.__struct_config__.omit_defaults and all(
            s.omits_defaults for _, s in self.parts
        )

    def defaults_in(self, line: bytes, record: msgspec.Struct, most: int) -> int:
        """How many fields ``line`` spells out although they are at their default; stops looking at ``most``."""
        values = structs.astuple(record)
        count = 0
        for index, default, key in self.spelled:
            if count == most:
                break
            count += values[index] is default and key in line
        return count

    def keys_of(self, record: msgspec.Struct) -> int:
        """The least number of keys that a line of ``record`` can have.

        A field whose value is another object than its default was given in the line.
        """
        values = structs.astuple(record)
        count = self.required
        for index, default in self.optional:
            if values[index] is not default:
                count += 1
        for index, shape in self.parts:
            part = values[index]
            if type(part) is tuple:
                for item in part:
                    count += shape.keys_of(item)
            elif part is not None:
                count += shape.keys_of(part)
        return count


def _colons_written(record: msgspec.Struct, line: bytes) -> int:
    """The colons of ``record`` without its defaults; -1 if ``line`` may spell a colon as an escape."""
    return -1 if b"\\u003" in line else _ENCODER.encode(record).count(b":")


@cache
def _shape(kind: type[msgspec.Struct]) -> _Shape:
    return _Shape(kind)


def _struct_in(info: inspect.Type) -> type[msgspec.Struct] | None:
    """The kind of record that a field holds, alone or in a tuple."""
    if isinstance(info, inspect.StructType):
        return info.cls
    if isinstance(info, inspect.VarTupleType):
        return _struct_in(info.item_type)
    if isinstance(info, inspect.UnionType):
        return next((kind for kind in map(_struct_in, info.types) if kind is not None), None)
    return None


class _Repeated(Exception):  # noqa: N818 - a way out of the parser, never seen outside
    pass


def _parse_again(line: bytes) -> str | None:
    try:
        json.loads(line, object_pairs_hook=_require_unique, parse_int=str, parse_float=str)
    except _Repeated as repeated:
        return str(repeated.args[0])
    return None


def _require_unique(pairs: Sequence[tuple[str, object]]) -> None:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            raise _Repeated(key)
        seen.add(key)
