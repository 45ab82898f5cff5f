"""The gold side of a split, reduced to what scoring needs: one row a turn, in dataset order."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from ivcr_bench.data.catalog import MINI_NAME, find_dataset
from ivcr_bench.data.dataset import Dataset, scan_folder
from ivcr_bench.errors import IvcrError
from ivcr_bench.schema import (
    BEHAVIOURS,
    INTENTS,
    LANGUAGES,
    Dialogue,
    Interval,
    Split,
    SubmissionHeader,
    Turn,
)


class Place(Struct, frozen=True, gc=False):
    """Where the turns of a dialogue stand."""

    first_row: int
    turns: int


class Target(Struct, frozen=True, gc=False):
    """What the answer to a turn is compared with, but for its text."""

    intent: str
    videos: tuple[str, ...]
    moments: tuple[Interval, ...]


class Texts:
    """Texts in one block of memory, a third smaller than as objects, and given back at once and whole."""

    def __init__(self) -> None:
        self._utf8 = bytearray()
        self._ends = array("q", [0])

    def append(self, text: str) -> None:
        """Add a text behind the others."""
        self._utf8 += text.encode()
        self._ends.append(len(self._utf8))

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, row: int) -> str:
        return self._utf8[self._ends[row] : self._ends[row + 1]].decode()

    def empty(self) -> NDArray[np.bool_]:
        """Which are empty; bool ``[texts]``."""
        found: NDArray[np.bool_] = np.diff(np.frombuffer(self._ends, np.int64)) == 0
        return found


@dataclass(frozen=True)
class GoldTurns:
    """The gold turns of a split, or of its first dialogues; every array has one row a turn.

    Attributes:
        dataset: the dataset's name.
        limit: only the first so many dialogues are in here; ``None`` for all.
        durations: seconds of each film of the split's corpus, by film id.
        places: rows of each dialogue, by dialogue id, in dataset order.
        targets: what each turn's answer is compared with, but for its text.
        references: what each turn's text is compared with; empty where there is none.
        utterances: what the user says in each turn.
        dialogue: index into ``places``.
        turn: turn number, from 1.
        language, intent, behaviour: index into the tuple of that name in `ivcr_bench.schema`.
        type: pattern of the turn's dialogue, 0..7.
        dependent: the turn cannot be understood without an earlier one.
        ancestors: int32 ``[pairs, 2]``: (row, row of a turn that it depends on, directly or not).
    """

    dataset: str
    fingerprint: str
    split: Split
    limit: int | None
    durations: Mapping[str, float]
    places: Mapping[str, Place]
    targets: tuple[Target, ...]
    references: Texts
    utterances: Texts
    dialogue: NDArray[np.int32]
    turn: NDArray[np.int32]
    language: NDArray[np.int8]
    intent: NDArray[np.int8]
    behaviour: NDArray[np.int8]
    type: NDArray[np.int8]
    dependent: NDArray[np.bool_]
    ancestors: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.turn)

    @classmethod
    def of(cls, dataset: Dataset, split: Split, limit: int | None = None) -> GoldTurns:
        """The gold turns of a dataset in memory.

        Raises:
            IvcrError: the split has no dialogues.
        """
        rows = _Rows(split, limit)
        for dialogue in dataset.dialogues:
            rows.add(dialogue)
        durations = dataset.corpus(split).durations
        return rows.table(dataset.card.name, dataset.card.fingerprint, durations)

    @classmethod
    def read(cls, spec: str, split: Split, limit: int | None = None) -> GoldTurns:
        """The gold turns of the dataset that ``spec`` names, without ever holding all of it.

        Raises:
            IvcrError: there is no such dataset, it is broken, or the split has no dialogues.
        """
        rows = _Rows(split, limit)
        card, videos = scan_folder(find_dataset(spec), rows.add)
        durations = {video.video_id: video.duration for video in videos if video.in_corpus_of(split)}
        return rows.table(card.name, card.fingerprint, durations)


def gold_of(header: SubmissionHeader | None, dataset: str | None = None, split: Split | None = None) -> GoldTurns:
    """The gold turns that a submission with this header is about.

    Args:
        dataset: as for `dataset_named`.
        split: by default as the header says, else ``test``.

    Raises:
        IvcrError: as `GoldTurns.read`.
    """
    said = header or SubmissionHeader(format="ivcr-submission/1")
    return GoldTurns.read(dataset_named(header, dataset), split or said.split or "test", said.limit)


def dataset_named(header: SubmissionHeader | None, dataset: str | None = None) -> str:
    """``dataset`` if it is given; else the IVCR-Mini that the header names; else ``mini``.

    A header comes from a stranger, so it cannot name a folder.
    """
    named = header.dataset if header is not None else None
    return dataset or (named if named is not None and MINI_NAME.fullmatch(named) else "mini")


_INDEX = {name: index for names in (LANGUAGES, INTENTS, BEHAVIOURS) for index, name in enumerate(names)}


class _Rows:
    """A `GoldTurns` in the making, fed with dialogues."""

    def __init__(self, split: Split, limit: int | None) -> None:
        self._split, self._limit = split, limit
        self._places: dict[str, Place] = {}
        self._targets: list[Target] = []
        self._films: dict[str, str] = {}
        self._references, self._utterances = Texts(), Texts()
        self._dialogues: list[tuple[int, int, int]] = []
        self._turns = array("b")
        self._ancestors = array("i")

    def add(self, dialogue: Dialogue) -> None:
        if dialogue.split != self._split or len(self._places) == self._limit:
            return
        turns = dialogue.turns
        first_row = len(self._targets)
        self._places[dialogue.dialogue_id] = Place(first_row, len(turns))
        self._dialogues.append((len(turns), _INDEX[dialogue.language], dialogue.type))
        for turn in turns:
            self._targets.append(self._target(turn))
            self._references.append(turn.gold.response)
            self._utterances.append(turn.utterance)
            self._turns.extend((_INDEX[turn.intent], _INDEX[turn.behaviour], bool(turn.depends_on)))
        for row, ancestor in _ancestor_pairs(turns):
            self._ancestors.extend((first_row + row, first_row + ancestor))

    def _target(self, turn: Turn) -> Target:
        gold = turn.gold
        videos = tuple(map(self._films.setdefault, gold.videos, gold.videos))
        return Target(turn.intent, videos, gold.moments)

    def table(self, dataset: str, fingerprint: str, durations: Mapping[str, float]) -> GoldTurns:
        if not self._targets:
            raise IvcrError(f"dataset {dataset}: no dialogue has split {self._split!r}")
        lengths, languages, types = np.array(self._dialogues, np.int32).T
        dialogue = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
        starts = np.repeat(np.cumsum(lengths) - lengths, lengths)
        intent, behaviour, dependent = np.array(self._turns, np.int8).reshape(-1, 3).T
        return GoldTurns(
            dataset=dataset,
            fingerprint=fingerprint,
            split=self._split,
            limit=self._limit,
            durations=durations,
            places=self._places,
            targets=tuple(self._targets),
            references=self._references,
            utterances=self._utterances,
            dialogue=dialogue,
            turn=(np.arange(len(dialogue)) - starts + 1).astype(np.int32),
            language=languages[dialogue].astype(np.int8),
            intent=intent.copy(),
            behaviour=behaviour.copy(),
            type=types[dialogue].astype(np.int8),
            dependent=dependent.astype(np.bool_),
            ancestors=np.array(self._ancestors, np.int32).reshape(-1, 2),
        )


def _ancestor_pairs(turns: tuple[Turn, ...]) -> Iterator[tuple[int, int]]:
    """(turn, turn that it depends on, directly or not), counted from 0."""
    closure: dict[int, set[int]] = {}
    for index, turn in enumerate(turns):
        if turn.depends_on:
            direct = {number - 1 for number in turn.depends_on}
            closure[index] = direct.union(*(closure.get(parent, ()) for parent in direct))
            yield from ((index, ancestor) for ancestor in sorted(closure[index]))
