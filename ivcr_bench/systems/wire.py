"""The JSON that systems outside this process speak, over a pipe or HTTP (docs/systems.md).

```
{"prepare": {"root": "...", "videos": [Video, ...]}}   ->  {"intents": ["video_retrieval", ...]}
{"requests": [Request, ...]}                           ->  {"responses": [Response, ...]}
```
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import msgspec
from msgspec import Struct

from ivcr_bench.data.dataset import Corpus
from ivcr_bench.schema import Intent, Request, Response


class WireError(Exception):
    """The other side is gone, or what it said is not the protocol."""


class Ready(Struct, frozen=True, forbid_unknown_fields=True):
    """The reply to ``prepare``."""

    intents: frozenset[Intent]


class _Responses(Struct, frozen=True, forbid_unknown_fields=True):
    responses: list[msgspec.Raw]


T = TypeVar("T")

_ENCODER = msgspec.json.Encoder()


def prepare_message(corpus: Corpus) -> bytes:
    """Ask to index ``corpus``; paths of films are relative to ``root``."""
    return _ENCODER.encode({"prepare": {"root": str(corpus.root.resolve()), "videos": corpus.videos}})


def requests_message(requests: Sequence[Request]) -> bytes:
    """Ask for one response per request."""
    return _ENCODER.encode({"requests": requests})


def read_ready(reply: bytes) -> Ready:
    """The reply to ``prepare``.

    Raises:
        WireError: it is something else.
    """
    return _decode(reply, Ready)


def read_responses(reply: bytes) -> list[Response]:
    """The reply to ``requests``; a response that is malformed becomes one of that status and harms no other.

    Raises:
        WireError: the reply is no list of responses.
    """
    return [_response(raw) for raw in _decode(reply, _Responses).responses]


def _response(raw: msgspec.Raw) -> Response:
    try:
        return msgspec.json.decode(raw, type=Response)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Response(status="malformed", raw=bytes(raw).decode(errors="replace"))


def _decode(reply: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(reply, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        excerpt = reply[:200].decode(errors="replace")
        raise WireError(f"{error}; the reply starts {excerpt!r}") from None
