"""Submissions: what a system answered, read from and written to ``submission.jsonl``.

A file is read as a stream (`open_submission`), since one of paper size does not fit twice into anyone's memory, or as
a whole (`read_submission`). Either way every fault of a file is listed, up to `MAX_FAULTS`, and nothing is repaired:
a file is scored as it stands or not at all.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Protocol

import msgspec

from ivcr_bench.errors import IvcrError
from ivcr_bench.jsonl import decode_line, encode_line, iter_lines, write_atomically
from ivcr_bench.schema import Response, SubmissionHeader, SubmissionTurn
from ivcr_bench.suggest import nearest

MAX_FAULTS = 20
GRACE_SECONDS = 1.0
"""How far a moment may reach beyond the end of its film: containers and annotations round durations."""

_HEADER_DECODER = msgspec.json.Decoder(SubmissionHeader)
_TURN_DECODER = msgspec.json.Decoder(SubmissionTurn)


class Faults:
    """The faults of one file, collected so that its author sees them all at once.

    Args:
        path: the file's name, for messages.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = path
        self._messages: list[str] = []

    def add(self, line: int, fault: str) -> None:
        """Note ``fault`` of ``line``.

        Raises:
            IvcrError: there are more than `MAX_FAULTS` by now.
        """
        self.add_message(f"{self._path}:{line}: {fault}")

    def add_message(self, message: str) -> None:
        """Note a fault whose message names file and line already; raises as `add`."""
        self._messages.append(message)
        if len(self._messages) > MAX_FAULTS:
            self.raise_any()

    def raise_any(self) -> None:
        """Raise one `IvcrError` for all faults so far, if there are any."""
        if not self._messages:
            return
        if len(self._messages) == 1:
            raise IvcrError(self._messages[0])
        more = len(self._messages) > MAX_FAULTS
        count = f"more than {MAX_FAULTS} faults, the first are" if more else f"{len(self._messages)} faults"
        raise IvcrError("\n  ".join([f"{self._path}: {count}:", *self._messages[:MAX_FAULTS]]))


class AnswerSource(Protocol):
    """Answers to be checked and scored, from a file or from memory.

    Attributes:
        header: how the answers came about; ``None`` where nobody said.
        path: a name, for messages.
    """

    @property
    def header(self) -> SubmissionHeader | None: ...  # noqa: D102
    @property
    def path(self) -> str | Path: ...  # noqa: D102

    def numbered(self, faults: Faults) -> Iterator[tuple[int, SubmissionTurn]]:
        """Yield (line number, answer); malformed lines are added to ``faults`` and left out."""
        ...


@dataclass(frozen=True)
class Submission:
    """All answers of one system, in memory.

    Attributes:
        header: how the answers came about; ``None`` where the file has no header.
        turns: the answers, in file order.
        lines: the line number of each answer; empty for a submission that was not read from a file.
    """

    header: SubmissionHeader | None
    turns: tuple[SubmissionTurn, ...]
    lines: tuple[int, ...] = ()
    path: str | Path = field(default="submission", compare=False)

    def numbered(self, faults: Faults) -> Iterator[tuple[int, SubmissionTurn]]:
        """Yield (line number, answer), the line being where the answer stands, or will stand once written."""
        first = 1 if self.header is None else 2
        return zip(self.lines or range(first, first + len(self.turns)), self.turns, strict=True)


class SubmissionFile:
    """A submission that is read while it is iterated over, which can be done once; made by `open_submission`."""

    def __init__(self, path: str | Path) -> None:
        self.path = path
        self.header: SubmissionHeader | None = None
        self._lines = iter_lines(path)
        first = next(self._lines, None)
        if first is not None and _is_header(first[1]):
            self.header = decode_line(first[1], _HEADER_DECODER, path, first[0])
        elif first is not None:
            self._lines = chain([first], self._lines)

    def numbered(self, faults: Faults) -> Iterator[tuple[int, SubmissionTurn]]:
        """Yield (line number, answer); malformed lines are added to ``faults`` and left out.

        Raises:
            IvcrError: the file cannot be read on, has too many malformed lines, or holds no answer.
        """
        empty = True
        for number, line in self._lines:
            empty = False
            try:
                answer = decode_line(line, _TURN_DECODER, self.path, number)
            except IvcrError as error:
                late = _is_header(line)
                message = f"{self.path}:{number}: found a header, expected one on line 1 only" if late else str(error)
                faults.add_message(message)
            else:
                yield number, answer
        if empty:
            found = "a header and no answers" if self.header else "an empty file"
            hint = "see docs/submission-format.md"
            raise IvcrError(f"{self.path}: found {found}, expected one answer a line", hint=hint)


def open_submission(path: str | Path) -> SubmissionFile:
    """Open a submission; the first line may be a header, known by its ``format`` field, and is read at once.

    Args:
        path: a ``.jsonl`` or ``.jsonl.gz`` file, or ``-`` for standard input.

    Raises:
        IvcrError: the file cannot be opened, or its header is malformed.
    """
    return SubmissionFile(path)


def read_submission(path: str | Path) -> Submission:
    """Read a whole submission.

    Args:
        path: a ``.jsonl`` or ``.jsonl.gz`` file, or ``-`` for standard input.

    Raises:
        IvcrError: the file cannot be read, holds no answer, or some of its lines are malformed (all are listed).
    """
    source, faults = open_submission(path), Faults(path)
    numbered = list(source.numbered(faults))
    faults.raise_any()
    return Submission(source.header, tuple(a for _, a in numbered), tuple(n for n, _ in numbered), path)


def write_submission(path: str | Path, submission: Submission) -> None:
    """Write ``submission``, gzipped if ``path`` ends in ``.gz``; equal submissions give equal bytes.

    Raises:
        IvcrError: the file cannot be written; an older file of that name is then untouched.
    """
    header = () if submission.header is None else (submission.header,)
    chunks: Iterable[bytes] = map(encode_line, chain(header, submission.turns))
    if str(path).endswith(".gz"):
        chunks = [gzip.compress(b"".join(chunks), mtime=0)]
    write_atomically(path, chunks)


def answer_faults(response: Response, durations: Mapping[str, float]) -> Iterator[str]:
    """What makes ``response`` no answer about a corpus: films outside it, moments beyond their film's end.

    Args:
        durations: seconds of each film of the corpus, by film id.

    Yields:
        one message a fault, naming field, found and expected.
    """
    for index, video_id in enumerate(response.videos):
        if video_id not in durations:
            yield unknown(f"videos[{index}]", video_id, durations, "a film of the corpus")
    for index, moment in enumerate(response.moments):
        duration = durations.get(moment.video_id)
        if duration is None:
            yield unknown(f"moments[{index}].video_id", moment.video_id, durations, "a film of the corpus")
        elif moment.end > duration + GRACE_SECONDS:
            hint = " (are these milliseconds?)" if 1000 <= moment.end <= 1000 * duration else ""
            yield (
                f"field 'moments[{index}].end': found {moment.end:g}, expected at most {duration:g}, "
                f"the seconds that {moment.video_id!r} lasts{hint}"
            )


def unknown(name: str, found: str, known: Mapping[str, object], expected: str) -> str:
    """The message for a field whose value is none of the ``known``, with the nearest of them if there is one."""
    near = nearest(found, known)
    return f"field {name!r}: found {found!r}, expected {expected}" + (f" (did you mean {near!r}?)" if near else "")


class _Probe(msgspec.Struct):
    """Tells a header from an answer without reading either."""

    format: object = None


def _is_header(line: bytes) -> bool:
    try:
        return msgspec.json.decode(line, type=_Probe).format is not None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
