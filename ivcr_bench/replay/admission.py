"""What a system returned, made a line of the submission; or a status, where it is no answer."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np

from ivcr_bench.data.dataset import Corpus
from ivcr_bench.jsonl import MAX_LINE_BYTES
from ivcr_bench.schema import Request, Response, Status, SubmissionTurn
from ivcr_bench.submission import answer_faults

MAX_REASON = 2000
"""Longer reasons are cut, in characters: an exception may hold a whole tensor."""


class Failure(NamedTuple):
    """Stands for a response that a system did not give."""

    status: Status
    reason: str


def admit(outcome: object, request: Request, corpus: Corpus) -> tuple[SubmissionTurn, str | None]:
    """The line that ``outcome`` makes in the submission, and why it is a failure, if it is one.

    Args:
        outcome: a `Failure`, or whatever the system returned for ``request``.
    """
    if isinstance(outcome, Failure):
        failure = outcome
    else:
        try:
            answer = _as_line(outcome, request)
            fault = next(answer_faults(answer, corpus.durations), None)
        except Exception as error:  # whatever a strange object does when it is looked at
            fault = str(error)
        if fault is None:
            return answer, None
        failure = Failure("malformed", fault)
    failed = SubmissionTurn(
        dialogue_id=request.dialogue_id, turn=request.turn, status=failure.status, raw=_raw_of(outcome)
    )
    return failed, _encodable(failure.reason)[:MAX_REASON]


def _as_line(response: object, request: Request) -> SubmissionTurn:
    """``response`` as it will be read back: Python checks no types where a Struct is made, reading does."""
    if not isinstance(response, Response):
        raise TypeError(f"found {type(response).__name__}, expected ivcr_bench.schema.Response")
    fields = {name: getattr(response, name) for name in Response.__struct_fields__}
    turn = SubmissionTurn(**fields, dialogue_id=request.dialogue_id, turn=request.turn)
    line = _ENCODER.encode(turn)
    if len(line) >= MAX_LINE_BYTES:
        raise ValueError(f"response takes {len(line)} bytes, expected less than {MAX_LINE_BYTES}")
    return _DECODER.decode(line)


def _raw_of(outcome: object) -> str | None:
    """The model's output, which readers want to see most where nothing could be made of it."""
    raw = outcome.raw if isinstance(outcome, Response) else None
    return _encodable(raw) if isinstance(raw, str) and len(raw) < MAX_LINE_BYTES // 8 else None


def _encodable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def _plain(value: object) -> object:
    """NumPy's scalars are welcome: ids and seconds often come out of arrays."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"found a value of type {type(value).__name__}, expected text or a number")


_ENCODER = msgspec.json.Encoder(enc_hook=_plain)
_DECODER = msgspec.json.Decoder(SubmissionTurn)
