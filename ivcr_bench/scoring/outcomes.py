"""The table that every figure is folded from: one row a gold turn, in dataset order, whatever was submitted."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ivcr_bench.schema import INTENTS, STATUSES, Intent, Split, SubmissionTurn
from ivcr_bench.scoring.checking import checked_answers
from ivcr_bench.scoring.gold import GoldTurns, Texts
from ivcr_bench.scoring.judge.accounting import NOT_JUDGED, Judged
from ivcr_bench.scoring.judge.hearing import Hearing
from ivcr_bench.scoring.judge.protocol import Judge
from ivcr_bench.scoring.moments import best_iou, recall_at_iou
from ivcr_bench.scoring.retrieval import first_relevant_rank, recall_at_k
from ivcr_bench.scoring.text import COLUMNS, MATCHES, ngram_statistics
from ivcr_bench.submission import AnswerSource

Ability = Intent | Literal["text"]

MISSING = -1
"""The status of a turn that the submission has no line for, and the intent of a turn without an answer."""

SUCCESS_IOU = 0.5
"""The IoU at which a moment turn counts as done, for what depends on it and for its dialogue."""


@dataclass(frozen=True)
class Outcomes:
    """How each gold turn went; every array has one row a turn.

    Attributes:
        dataset, fingerprint, split, limit: where the gold turns come from; see `GoldTurns`.
        dialogue_ids: the dialogues that were judged.
        dialogue: index into ``dialogue_ids``; ascending.
        turn: turn number, from 1.
        language, intent, behaviour: of the gold turn; index into the tuple of that name in `ivcr_bench.schema`.
        type: pattern of the turn's dialogue, 0..7.
        dependent: the turn cannot be understood without an earlier one.
        ancestors: int32 ``[pairs, 2]``: (row, row of a turn that it depends on, directly or not).
        status: index into ``STATUSES``, or `MISSING`.
        answered_intent: what was answered (status ``ok``); index into ``INTENTS``, or `MISSING`.
        answered_text: the answer has a word of text.
        credited: may score at all: the intent is right or, ungated, answered. Where not, rank, IoU and matches are 0.
        rank: position (1-based) of the first relevant film; 0 if none was listed.
        film_right: the top moment lies in the canonical film.
        iou: of the top moment with the best gold moment.
        has_reference: there is a text to compare the answer's with.
        ngrams: `ngram_statistics` of answer and reference, 0 where there is no reference; int32 ``[turns, 10]``.
        label: what the judge said of the text, whether or not it is credited; index into
            `ivcr_bench.scoring.judge.items.LABELS`, ``NOT_JUDGED`` or ``JUDGE_ERROR``.
        wrong_language: the judge found the text to be in another language than the user's.
        judged: what all verdicts come to, and whose they are; ``None`` where no judge was asked.
    """

    dataset: str
    fingerprint: str
    split: Split
    limit: int | None
    dialogue_ids: tuple[str, ...]
    dialogue: NDArray[np.int32]
    turn: NDArray[np.int32]
    language: NDArray[np.int8]
    intent: NDArray[np.int8]
    behaviour: NDArray[np.int8]
    type: NDArray[np.int8]
    dependent: NDArray[np.bool_]
    ancestors: NDArray[np.int32]
    status: NDArray[np.int8]
    answered_intent: NDArray[np.int8]
    answered_text: NDArray[np.bool_]
    credited: NDArray[np.bool_]
    rank: NDArray[np.int32]
    film_right: NDArray[np.bool_]
    iou: NDArray[np.float64]
    has_reference: NDArray[np.bool_]
    ngrams: NDArray[np.int32]
    label: NDArray[np.int8]
    wrong_language: NDArray[np.bool_]
    judged: Judged | None

    def __len__(self) -> int:
        return len(self.turn)

    def asks(self, intent: Intent) -> NDArray[np.bool_]:
        """The turns that ask for ``intent``; bool ``[turns]``."""
        asked: NDArray[np.bool_] = self.intent == INTENTS.index(intent)
        return asked

    @property
    def intent_right(self) -> NDArray[np.bool_]:
        """Answered (status ``ok``) under the intent that was asked for; bool ``[turns]``."""
        right: NDArray[np.bool_] = self.intent == self.answered_intent
        return right

    @property
    def succeeded(self) -> NDArray[np.bool_]:
        """R@1 for video turns, IoU >= `SUCCESS_IOU` for moment turns, credit for natural dialogue; bool ``[turns]``."""
        video, moment = self.asks("video_retrieval"), self.asks("moment_retrieval")
        hit = np.where(video, recall_at_k(self.rank, 1), recall_at_iou(self.iou, SUCCESS_IOU)) > 0
        return np.where(video | moment, hit, self.credited)


def judge_turns(gold: GoldTurns, source: AnswerSource, *, gated: bool = True, judge: Judge | None = None) -> Outcomes:
    """Judge every turn of ``gold`` by what ``source`` answers, checking each answer on the way.

    Args:
        gated: an answer under another intent than was asked for scores nothing.
        judge: is asked about the texts, while the answers stream by; nobody is by default.

    Raises:
        IvcrError: as `ivcr_bench.scoring.checking.checked_answers`.
    """
    rows = _Rows(gold, gated)
    answers = rows.filled_from(checked_answers(gold, source))
    if judge is None:
        for _ in answers:
            pass
        return rows.outcomes(np.full(len(gold), NOT_JUDGED, np.int8), np.zeros(len(gold), np.bool_), None)
    hearing = Hearing(gold, judge)
    judged = hearing.hear(answers)
    return rows.outcomes(hearing.labels, hearing.wrong_language, judged)


def abilities(outcomes: Outcomes) -> tuple[Ability, ...]:
    """What the system does at all: the intents that it ever answers under, and ``text`` if it ever says a word.

    A system none of whose answers is ``ok`` is not excused from anything.
    """
    if not (outcomes.answered_intent != MISSING).any():
        return (*INTENTS, "text")
    does: list[Ability] = [intent for index, intent in enumerate(INTENTS) if (outcomes.answered_intent == index).any()]
    return (*does, "text") if outcomes.answered_text.any() else tuple(does)


class _Rows:
    """Outcomes in the making: columns that start as "no answer" and are filled row by row."""

    def __init__(self, gold: GoldTurns, gated: bool) -> None:
        self._gold, self._gated = gold, gated
        turns = len(gold)
        self._status = array("b", [MISSING]) * turns
        self._answered_intent = array("b", [MISSING]) * turns
        self._answered_text = bytearray(turns)
        self._credited = bytearray(turns)
        self._rank = array("i", bytes(4 * turns))
        self._film_right = bytearray(turns)
        self._iou = array("d", bytes(8 * turns))
        self._texts = _Texts(gold.references, len(gold))

    def filled_from(self, answers: Iterable[tuple[int, SubmissionTurn]]) -> Iterator[tuple[int, SubmissionTurn]]:
        """Pass ``answers`` on, each once its row is filled."""
        for row, answer in answers:
            self._fill(row, answer)
            yield row, answer

    def _fill(self, row: int, answer: SubmissionTurn) -> None:
        target = self._gold.targets[row]
        self._status[row] = _STATUS_INDEX[answer.status]
        self._texts.add(row, answer.text)
        if answer.status != "ok" or answer.intent is None:
            return
        self._answered_intent[row] = _INTENT_INDEX[answer.intent]
        self._answered_text[row] = bool(answer.text)
        if self._gated and answer.intent != target.intent:
            return
        self._credited[row] = True
        self._rank[row] = first_relevant_rank(answer.videos, target.videos)
        if answer.moments and target.videos:
            top, film = answer.moments[0], target.videos[0]
            self._film_right[row] = top.video_id == film
            self._iou[row] = best_iou(top, film, target.moments)

    def outcomes(self, label: NDArray[np.int8], wrong_language: NDArray[np.bool_], judged: Judged | None) -> Outcomes:
        gold = self._gold
        ngrams = self._texts.ngrams()
        credited = np.frombuffer(self._credited, np.bool_)
        ngrams[~credited, MATCHES] = 0
        return Outcomes(
            dataset=gold.dataset,
            fingerprint=gold.fingerprint,
            split=gold.split,
            limit=gold.limit,
            dialogue_ids=tuple(gold.places),
            dialogue=gold.dialogue,
            turn=gold.turn,
            language=gold.language,
            intent=gold.intent,
            behaviour=gold.behaviour,
            type=gold.type,
            dependent=gold.dependent,
            ancestors=gold.ancestors,
            status=np.frombuffer(self._status, np.int8),
            answered_intent=np.frombuffer(self._answered_intent, np.int8),
            answered_text=np.frombuffer(self._answered_text, np.bool_),
            credited=credited,
            rank=np.frombuffer(self._rank, np.int32),
            film_right=np.frombuffer(self._film_right, np.bool_),
            iou=np.frombuffer(self._iou, np.float64),
            has_reference=~gold.references.empty(),
            ngrams=ngrams,
            label=label,
            wrong_language=wrong_language,
            judged=judged,
        )


class _Texts:
    """Counts the n-grams of answers batch by batch, so that no more than a batch of texts is held."""

    TURNS = 256
    CHARACTERS = 1 << 18

    def __init__(self, references: Texts, turns: int) -> None:
        self._references = references
        self._without = references.empty()
        self._ngrams = np.zeros((turns, COLUMNS), np.int32)
        self._answered = bytearray(turns)
        self._rows: list[int] = []
        self._answers: list[str] = []
        self._characters = 0

    def add(self, row: int, text: str) -> None:
        self._answered[row] = True
        if self._without[row]:
            return
        self._rows.append(row)
        self._answers.append(text)
        self._characters += len(text)
        if len(self._rows) == self.TURNS or self._characters > self.CHARACTERS:
            self._count()

    def ngrams(self) -> NDArray[np.int32]:
        """The counts of all turns; one without an answer has an empty text."""
        for row in np.flatnonzero(~np.frombuffer(self._answered, np.bool_)).tolist():
            self.add(row, "")
        self._count()
        return self._ngrams

    def _count(self) -> None:
        if self._rows:
            references = [self._references[row] for row in self._rows]
            self._ngrams[self._rows] = ngram_statistics(self._answers, references)
        self._rows, self._answers, self._characters = [], [], 0


_STATUS_INDEX = {status: index for index, status in enumerate(STATUSES)}
_INTENT_INDEX = {intent: index for index, intent in enumerate(INTENTS)}
