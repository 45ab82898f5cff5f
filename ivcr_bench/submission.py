"""Submissions: what a system answered, read from and written to ``submission.jsonl``.

Reading (`read_submission`) checks the form of each line, `check_submission` checks it against the dataset. Both list
every fault of a file, up to `MAX_FAULTS`, and repair nothing: a file is scored as it stands or not at all.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import chain, islice
from pathlib import Path
from typing import NoReturn

import msgspec

from ivcr_bench.data.dataset import Corpus, Dataset
from ivcr_bench.errors import IvcrError
from ivcr_bench.jsonl import decode_line, encode_line, iter_lines, write_atomically
from ivcr_bench.schema import Dialogue, Response, Split, SubmissionHeader, SubmissionTurn

MAX_FAULTS = 20
GRACE_SECONDS = 1.0
"""How far a moment may reach beyond the end of its film: containers and annotations round durations."""

_HEADER_DECODER = msgspec.json.Decoder(SubmissionHeader)
_TURN_DECODER = msgspec.json.Decoder(SubmissionTurn)


@dataclass(frozen=True)
class Submission:
    """All answers of one system.

    Attributes:
        header: how the answers came about; ``None`` where the file has no header.
        turns: the answers, in file order.
        lines: the line number of each answer; empty for a submission that was not read from a file.
    """

    header: SubmissionHeader | None
    turns: tuple[SubmissionTurn, ...]
    lines: tuple[int, ...] = ()

    def line(self, index: int) -> int:
        """The line (1-based) on which ``turns[index]`` stands, or will stand once written."""
        return self.lines[index] if self.lines else index + 1 + (self.header is not None)


class _Probe(msgspec.Struct):
    """Tells a header from an answer without reading either."""

    format: object = None


def read_submission(path: str | Path) -> Submission:
    """Read a submission; the first line may be a header, known by its ``format`` field.

    Args:
        path: a ``.jsonl`` or ``.jsonl.gz`` file, or ``-`` for standard input.

    Raises:
        IvcrError: the file cannot be read, holds no answer, or some of its lines are malformed (all are listed).
    """
    header: SubmissionHeader | None = None
    turns: list[SubmissionTurn] = []
    lines: list[int] = []
    faults: list[str] = []
    for number, line in iter_lines(path):
        first = not (turns or header or faults)
        try:
            if first and _is_header(line):
                header = decode_line(line, _HEADER_DECODER, path, number)
            else:
                turns.append(decode_line(line, _TURN_DECODER, path, number))
                lines.append(number)
        except IvcrError as error:
            late = not first and _is_header(line)
            faults.append(f"{path}:{number}: found a header, expected one on line 1 only" if late else str(error))
            if len(faults) > MAX_FAULTS:
                break
    if faults:
        _refuse(path, faults)
    if not turns:
        found = "a header and no answers" if header else "an empty file"
        raise IvcrError(f"{path}: found {found}, expected one answer a line", hint="see docs/submission-format.md")
    return Submission(header, tuple(turns), tuple(lines))


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


def check_submission(submission: Submission, dataset: Dataset, split: Split, path: str | Path) -> None:
    """Check that ``submission`` answers turns of ``split`` with films of its corpus, each turn at most once.

    Args:
        path: the file's name, for messages.

    Raises:
        IvcrError: it does not; all faults are listed, up to `MAX_FAULTS`.
    """
    header = submission.header
    if header is not None:
        _check_header(header, dataset, split, path)
    dialogues = dataset.split(split)
    scored = dialogues[: header.limit] if header else dialogues
    faults = _faults(submission, scored, dataset.corpus(split))
    found = [f"{path}:{line}: {fault}" for line, fault in islice(faults, MAX_FAULTS + 1)]
    if found:
        _refuse(path, found)


def answer_faults(response: Response, corpus: Corpus) -> Iterator[str]:
    """What makes ``response`` no answer about ``corpus``: films outside it, moments beyond their film's end.

    Yields:
        one message a fault, naming field, found and expected.
    """
    for index, video_id in enumerate(response.videos):
        if video_id not in corpus.by_id:
            yield _unknown(f"videos[{index}]", video_id, corpus.by_id, "a film of the corpus")
    for index, moment in enumerate(response.moments):
        film = corpus.by_id.get(moment.video_id)
        if film is None:
            yield _unknown(f"moments[{index}].video_id", moment.video_id, corpus.by_id, "a film of the corpus")
        elif moment.end > film.duration + GRACE_SECONDS:
            hint = " (are these milliseconds?)" if 1000 <= moment.end <= 1000 * film.duration else ""
            yield (
                f"field 'moments[{index}].end': found {moment.end:g}, expected at most {film.duration:g}, "
                f"the seconds that {moment.video_id!r} lasts{hint}"
            )


def _check_header(header: SubmissionHeader, dataset: Dataset, split: Split, path: str | Path) -> None:
    if header.fingerprint not in (None, dataset.card.fingerprint):
        raise IvcrError(
            f"{path}: field 'fingerprint': found {header.fingerprint!r}, expected {dataset.card.fingerprint!r} "
            f"of {dataset.card.name}",
            hint=f"the answers are about another dataset, {header.dataset or 'unnamed'}; name it with --dataset",
        )
    if header.split not in (None, split):
        raise IvcrError(
            f"{path}: field 'split': found {header.split!r}, expected {split!r}",
            hint=f"score it with --split {header.split}",
        )


def _faults(submission: Submission, dialogues: Sequence[Dialogue], corpus: Corpus) -> Iterator[tuple[int, str]]:
    """Every fault of every answer, in file order: (line, message)."""
    lengths = {dialogue.dialogue_id: len(dialogue.turns) for dialogue in dialogues}
    first_line: dict[tuple[str, int], int] = {}
    for index, answer in enumerate(submission.turns):
        line = submission.line(index)
        if fault := _turn_fault(answer, lengths):
            yield line, fault
        earlier = first_line.setdefault((answer.dialogue_id, answer.turn), line)
        if earlier != line:
            repeated = f"turn {answer.turn} of dialogue {answer.dialogue_id!r}"
            yield line, f"field 'turn': found {repeated} again, expected it once: line {earlier} answers it"
        for fault in answer_faults(answer, corpus):
            yield line, fault


def _turn_fault(answer: SubmissionTurn, lengths: Mapping[str, int]) -> str | None:
    length = lengths.get(answer.dialogue_id)
    if length is None:
        return _unknown("dialogue_id", answer.dialogue_id, lengths, f"one of the {len(lengths)} dialogues scored")
    if answer.turn > length:
        expected = f"1 to {length}, the turns of dialogue {answer.dialogue_id!r}"
        return f"field 'turn': found {answer.turn}, expected {expected}"
    return None


def _unknown(field: str, found: str, known: Iterable[str], expected: str) -> str:
    near = get_close_matches(found, known, n=1)
    return f"field {field!r}: found {found!r}, expected {expected}" + (f" (did you mean {near[0]!r}?)" if near else "")


def _is_header(line: bytes) -> bool:
    try:
        return msgspec.json.decode(line, type=_Probe).format is not None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def _refuse(path: str | Path, faults: list[str]) -> NoReturn:
    """Raise one error for all ``faults``; a fault more than `MAX_FAULTS` stands for any number of them."""
    if len(faults) == 1:
        raise IvcrError(faults[0])
    more = len(faults) > MAX_FAULTS
    count = f"more than {MAX_FAULTS} faults, the first are" if more else f"{len(faults)} faults"
    raise IvcrError("\n  ".join([f"{path}: {count}:", *faults[:MAX_FAULTS]]))
