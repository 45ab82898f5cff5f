"""The table that every figure is folded from: one row a gold turn, in dataset order, whatever was submitted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from ivcr_bench.schema import INTENTS, STATUSES, Dialogue, Intent, Language, Response, Turn
from ivcr_bench.scoring.moments import best_iou, recall_at_iou
from ivcr_bench.scoring.retrieval import first_relevant_rank, recall_at_k
from ivcr_bench.scoring.text import COLUMNS, MATCHES, ngram_statistics, tokenise
from ivcr_bench.submission import Submission

LANGUAGES: tuple[Language, ...] = get_args(Language)
MISSING = -1
"""The status of a turn that the submission has no line for."""

SUCCESS_IOU = 0.5
"""The IoU at which a moment turn counts as done, for what depends on it and for its dialogue."""


@dataclass(frozen=True)
class Outcomes:
    """How each gold turn went; every array has one row a turn.

    Attributes:
        dialogue: index into the dialogues that were judged.
        turn: turn number, from 1.
        language: index into `LANGUAGES`.
        intent: what the turn asks for; index into ``INTENTS``.
        status: index into ``STATUSES``, or `MISSING`.
        intent_right: answered (status ``ok``) under the intent that was asked for.
        credited: may score at all: ``intent_right`` or, ungated, answered. Where not, rank, IoU and matches are 0.
        rank: position (1-based) of the first relevant film; 0 if none was listed.
        film_right: the top moment lies in the canonical film.
        iou: of the top moment with the best gold moment.
        has_reference: there is a text to compare the answer's with.
        ngrams: `ngram_statistics` of answer and reference; int32 ``[turns, 10]``.
        ancestors: int32 ``[pairs, 2]``: (row, row of a turn that it depends on, directly or not).
    """

    dialogue: NDArray[np.int32]
    turn: NDArray[np.int32]
    language: NDArray[np.int8]
    intent: NDArray[np.int8]
    status: NDArray[np.int8]
    intent_right: NDArray[np.bool_]
    credited: NDArray[np.bool_]
    rank: NDArray[np.int32]
    film_right: NDArray[np.bool_]
    iou: NDArray[np.float64]
    has_reference: NDArray[np.bool_]
    ngrams: NDArray[np.int32]
    ancestors: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.turn)

    def asks(self, intent: Intent) -> NDArray[np.bool_]:
        """The turns that ask for ``intent``; bool ``[turns]``."""
        asked: NDArray[np.bool_] = self.intent == INTENTS.index(intent)
        return asked

    @property
    def succeeded(self) -> NDArray[np.bool_]:
        """R@1 for video turns, IoU >= `SUCCESS_IOU` for moment turns, credit for natural dialogue; bool ``[turns]``."""
        video, moment = self.asks("video_retrieval"), self.asks("moment_retrieval")
        hit = np.where(video, recall_at_k(self.rank, 1), recall_at_iou(self.iou, SUCCESS_IOU)) > 0
        return np.where(video | moment, hit, self.credited)


class _Row(NamedTuple):
    status: int
    intent_right: bool
    credited: bool
    rank: int
    film_right: bool
    iou: float
    ngrams: list[int]


def judge_turns(dialogues: Sequence[Dialogue], submission: Submission, *, gated: bool = True) -> Outcomes:
    """Judge every turn of ``dialogues`` by what ``submission`` answers.

    Args:
        submission: checked by `ivcr_bench.submission.check_submission`.
        gated: an answer under another intent than was asked for scores nothing.
    """
    answers = {(answer.dialogue_id, answer.turn): answer for answer in submission.turns}
    places = [
        (index, number, dialogue, turn)
        for index, dialogue in enumerate(dialogues)
        for number, turn in enumerate(dialogue.turns, start=1)
    ]
    rows = [_judge(turn, answers.get((dialogue.dialogue_id, number)), gated) for _, number, dialogue, turn in places]
    return Outcomes(
        dialogue=np.array([index for index, *_ in places], np.int32),
        turn=np.array([number for _, number, *_ in places], np.int32),
        language=np.array([LANGUAGES.index(dialogue.language) for *_, dialogue, _ in places], np.int8),
        intent=np.array([INTENTS.index(turn.intent) for *_, turn in places], np.int8),
        status=np.array([row.status for row in rows], np.int8),
        intent_right=np.array([row.intent_right for row in rows], np.bool_),
        credited=np.array([row.credited for row in rows], np.bool_),
        rank=np.array([row.rank for row in rows], np.int32),
        film_right=np.array([row.film_right for row in rows], np.bool_),
        iou=np.array([row.iou for row in rows], np.float64),
        has_reference=np.array([bool(turn.gold.response) for *_, turn in places], np.bool_),
        ngrams=np.array([row.ngrams for row in rows], np.int32).reshape(-1, COLUMNS),
        ancestors=np.array(list(_ancestor_rows(dialogues)), np.int32).reshape(-1, 2),
    )


def _judge(turn: Turn, answer: Response | None, gated: bool) -> _Row:
    gold = turn.gold
    reference = tokenise(gold.response)
    if answer is None:
        return _Row(MISSING, False, False, 0, False, 0.0, ngram_statistics((), reference))
    answered = answer.status == "ok"
    intent_right = answered and answer.intent == turn.intent
    credited = answered and (intent_right or not gated)
    ngrams = ngram_statistics(tokenise(answer.text), reference)
    status = STATUSES.index(answer.status)
    if not credited:
        ngrams[MATCHES] = [0] * len(ngrams[MATCHES])
        return _Row(status, intent_right, credited, 0, False, 0.0, ngrams)
    top = answer.moments[0] if answer.moments else None
    film = gold.videos[0] if gold.videos else None
    film_right = top is not None and film is not None and top.video_id == film
    rank = first_relevant_rank(answer.videos, gold.videos)
    return _Row(status, intent_right, credited, rank, film_right, best_iou(top, film, gold.moments), ngrams)


def _ancestor_rows(dialogues: Sequence[Dialogue]) -> Iterator[tuple[int, int]]:
    first_row = 0
    for dialogue in dialogues:
        closure: list[set[int]] = []
        for row, turn in enumerate(dialogue.turns):
            direct = {number - 1 for number in turn.depends_on}
            closure.append(direct.union(*(closure[parent] for parent in direct)))
            yield from ((first_row + row, first_row + ancestor) for ancestor in sorted(closure[row]))
        first_row += len(dialogue.turns)
