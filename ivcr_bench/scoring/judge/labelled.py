"""Turns with the bucket that their answer belongs in, to hold a judge against."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated, Literal, get_args

from msgspec import Meta, Struct

from ivcr_bench.errors import IvcrError
from ivcr_bench.jsonl import read_jsonl
from ivcr_bench.schema import LANGUAGES, Id, Language
from ivcr_bench.scoring.judge.items import QUERIES, JudgeItem, Label
from ivcr_bench.scoring.judge.normalise import normalise

Half = Literal["tuning", "held_out"]


class LabelledTurn(Struct, frozen=True, gc=False, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """One line of a file of labels.

    Attributes:
        queries: the user's last utterances, oldest first.
        candidate: the answer; empty if there was none.
        case: what makes the turn hard.
        half: whether a judge may be tuned on the turn.
    """

    turn_id: Id
    language: Language
    queries: Annotated[tuple[str, ...], Meta(min_length=1)]
    reference: Annotated[str, Meta(min_length=1)]
    candidate: str
    label: Label
    case: str | None = None
    half: Half | None = None

    def item(self) -> JudgeItem:
        """What a judge is asked."""
        return JudgeItem(
            dialogue_id=self.turn_id,
            turn=1,
            language=self.language,
            queries=tuple(normalise(query).text for query in self.queries[-QUERIES:]),
            reference=normalise(self.reference).text,
            candidate=normalise(self.candidate).text or None,
        )


def read_labels(path: str | Path) -> list[LabelledTurn]:
    """The labelled turns of a JSONL file.

    Raises:
        IvcrError: the file cannot be read, a line is not a labelled turn, a turn is labelled twice, or there is none.
    """
    turns = read_jsonl(path, LabelledTurn)
    if not turns:
        raise IvcrError(f"{path}: holds no labelled turn", hint="docs/judge-agreement.md says what a line looks like")
    turn_id, count = Counter(turn.turn_id for turn in turns).most_common(1)[0]
    if count > 1:
        raise IvcrError(f"{path}: field 'turn_id': found {turn_id!r} {count} times, expected once")
    return turns


def shipped_labels() -> list[LabelledTurn]:
    """The project's own 120 turns; `labels/guideline.md` says how they were labelled, and by whom."""
    with as_file(files(__package__) / "labels" / "turns.jsonl") as path:
        return read_labels(path)


def groups_of(turns: Iterable[LabelledTurn]) -> Iterator[tuple[str, LabelledTurn]]:
    """(group, turn) for each group that a turn is reported in, group by group: all, languages, halves, both."""
    turns = list(turns)
    yield from (("all", turn) for turn in turns)
    for language in LANGUAGES:
        yield from ((language, turn) for turn in turns if turn.language == language)
    for half in get_args(Half):
        of_half = [turn for turn in turns if turn.half == half]
        yield from ((half, turn) for turn in of_half)
        for language in LANGUAGES:
            yield from ((f"{half}, {language}", turn) for turn in of_half if turn.language == language)
