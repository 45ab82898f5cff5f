"""Whether answers are answers to the gold turns: known dialogue and turn, answered once, films of the corpus."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from pathlib import Path

from ivcr_bench.errors import IvcrError
from ivcr_bench.schema import SubmissionHeader, SubmissionTurn
from ivcr_bench.scoring.gold import GoldTurns
from ivcr_bench.submission import AnswerSource, Faults, answer_faults, unknown


def checked_answers(gold: GoldTurns, source: AnswerSource) -> Iterator[tuple[int, SubmissionTurn]]:
    """Yield (row of ``gold``, answer) for each answer of ``source``, in file order.

    Nothing that is made of the answers counts until this has run to its end: it raises there.

    Raises:
        IvcrError: the header is about other gold, or some answers are malformed, unknown, repeated or about other films
            than the corpus holds; all faults are listed, up to `ivcr_bench.submission.MAX_FAULTS`.
    """
    if source.header is not None:
        _check_header(source.header, gold, source.path)
    faults = Faults(source.path)
    line_of = array("i", bytes(4 * len(gold)))
    for line, answer in source.numbered(faults):
        place = gold.places.get(answer.dialogue_id)
        if place is None or answer.turn > place.turns:
            faults.add(line, _turn_fault(answer, gold))
            continue
        row = place.first_row + answer.turn - 1
        if line_of[row]:
            repeated = f"turn {answer.turn} of dialogue {answer.dialogue_id!r}"
            faults.add(line, f"field 'turn': found {repeated} again, expected it once: line {line_of[row]} answers it")
        line_of[row] = line
        found = list(answer_faults(answer, gold.durations))
        for fault in found:
            faults.add(line, fault)
        if not found:
            yield row, answer
    faults.raise_any()


def check_answers(gold: GoldTurns, source: AnswerSource) -> None:
    """Check ``source`` without scoring it; raises as `checked_answers`."""
    for _ in checked_answers(gold, source):
        pass


def _check_header(header: SubmissionHeader, gold: GoldTurns, path: str | Path) -> None:
    if header.fingerprint not in (None, gold.fingerprint):
        raise IvcrError(
            f"{path}: field 'fingerprint': found {header.fingerprint!r}, expected {gold.fingerprint!r} "
            f"of {gold.dataset}",
            hint=f"the answers are about another dataset, {header.dataset or 'unnamed'}; name it with --dataset",
        )
    if header.split not in (None, gold.split):
        raise IvcrError(
            f"{path}: field 'split': found {header.split!r}, expected {gold.split!r}",
            hint=f"score it with --split {header.split}",
        )


def _turn_fault(answer: SubmissionTurn, gold: GoldTurns) -> str:
    place = gold.places.get(answer.dialogue_id)
    if place is None:
        expected = f"one of the {len(gold.places)} dialogues scored"
        return unknown("dialogue_id", answer.dialogue_id, gold.places, expected)
    expected = f"1 to {place.turns}, the turns of dialogue {answer.dialogue_id!r}"
    return f"field 'turn': found {answer.turn}, expected {expected}"
