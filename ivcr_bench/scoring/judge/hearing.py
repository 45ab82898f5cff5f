"""Answers before a judge: which are heard, in what form, and what is kept of the verdicts.

Answers stream through: an item is made when the judge draws it, and a verdict is one byte once it is given. So a judge
that takes its items one by one, as `rule` does, needs no memory for a submission of any size.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from ivcr_bench.schema import LANGUAGES, SubmissionTurn
from ivcr_bench.scoring.gold import GoldTurns
from ivcr_bench.scoring.judge import accounting, canaries
from ivcr_bench.scoring.judge.accounting import JUDGE_ERROR, NOT_JUDGED, Judged, code_of
from ivcr_bench.scoring.judge.items import QUERIES, JudgeItem, Label, Verdict
from ivcr_bench.scoring.judge.normalise import normalise
from ivcr_bench.scoring.judge.protocol import Judge
from ivcr_bench.scoring.judge.screen import Screen

CANARY = 1
"""The ``repeat`` of an item whose candidate is swapped."""


class Hearing:
    """One submission before one judge.

    Attributes:
        labels: int8 ``[turns]``: index into `LABELS`, `NOT_JUDGED` or `JUDGE_ERROR`.
        wrong_language: bool ``[turns]``.
    """

    def __init__(self, gold: GoldTurns, judge: Judge) -> None:
        self._gold, self._judge = gold, judge
        turns = len(gold)
        without = gold.references.empty()
        # A turn that nobody answers, or that is not spoken of again, stands as it begins here.
        self.labels: NDArray[np.int8] = np.where(without, NOT_JUDGED, code_of(Label.IRRELEVANT)).astype(np.int8)
        self.wrong_language: NDArray[np.bool_] = np.zeros(turns, np.bool_)
        self._with_text = ~without
        self._heard = bytearray(turns)
        self._truncated = 0
        self._screen = Screen(turns)
        self._swaps = canaries.swaps(gold)
        self._kept: dict[int, str] = dict.fromkeys(self._swaps.values(), "")
        self._canaries = array("b")

    def hear(self, answers: Iterable[tuple[int, SubmissionTurn]]) -> Judged:
        """Have the answers judged, then the canaries.

        Args:
            answers: (row of the gold turns, answer); drawn as the judge draws its items.
        """
        for item, verdict in self._judge.judge(self.items(answers)):
            if item.repeat == CANARY:
                self._canaries.append(code_of(verdict.label))
            else:
                self._record(self._row(item), verdict)
        return self._judged()

    def items(self, answers: Iterable[tuple[int, SubmissionTurn]]) -> Iterator[JudgeItem]:
        """What the judge is asked about ``answers``, the canaries last."""
        for row, answer in answers:
            if self._with_text[row] and (item := self._item(row, answer)) is not None:
                self.labels[row] = JUDGE_ERROR  # unless a verdict comes
                yield item
        yield from self._swapped()

    def _item(self, row: int, answer: SubmissionTurn) -> JudgeItem | None:
        """What the judge is asked about an answer; ``None`` if it says nothing."""
        if answer.status != "ok":
            return None
        said = normalise(answer.text)
        self._truncated += said.truncated
        if not said.text:
            return None
        self._heard[row] = True
        if row in self._kept:
            self._kept[row] = said.text
        item = self._asked(row, answer.dialogue_id, answer.turn, said.text)
        self._screen.see(row, said.text, item.reference, item.queries[-1])
        return item

    def _asked(self, row: int, dialogue_id: str, turn: int, text: str, repeat: int = 0) -> JudgeItem:
        gold = self._gold
        first = row - min(turn, QUERIES) + 1
        return JudgeItem(
            dialogue_id=dialogue_id,
            turn=turn,
            language=LANGUAGES[gold.language[row]],
            queries=tuple(normalise(gold.utterances[earlier]).text for earlier in range(first, row + 1)),
            reference=normalise(gold.references[row]).text,
            candidate=text,
            repeat=repeat,
        )

    def _swapped(self) -> Iterator[JudgeItem]:
        """The canaries; one whose two answers are the same text is judged already, one without a text is irrelevant."""
        dialogue_ids = list(self._gold.places) if self._swaps else []
        for row, other in self._swaps.items():
            text = self._kept[other]
            if not text:
                self._canaries.append(code_of(Label.IRRELEVANT))
                continue
            dialogue_id = dialogue_ids[self._gold.dialogue[row]]
            yield self._asked(row, dialogue_id, int(self._gold.turn[row]), text, CANARY)

    def _record(self, row: int, verdict: Verdict) -> None:
        self.labels[row] = code_of(verdict.label)
        self.wrong_language[row] = "wrong_language" in verdict.flags

    def _row(self, item: JudgeItem) -> int:
        return self._gold.places[item.dialogue_id].first_row + item.turn - 1

    def _judged(self) -> Judged:
        for row in np.flatnonzero(~np.frombuffer(self._heard, np.bool_) & self._with_text).tolist():
            self._screen.expect(row, normalise(self._gold.references[row]).text)
        labels, swapped = accounting.cap(self.labels, self.wrong_language), np.array(self._canaries, np.int8)
        turns, errors = int((labels != NOT_JUDGED).sum()), int((labels == JUDGE_ERROR).sum())
        of_canaries = accounting.mean(swapped[swapped != JUDGE_ERROR])
        held = (*accounting.blocked(errors, turns), *self._screen.findings(), *canaries.findings(of_canaries))
        return Judged(
            name=self._judge.name,
            judge_id=self._judge.judge_id,
            turns=turns,
            labels=accounting.histogram(labels),
            empty=turns - sum(self._heard),
            truncated=self._truncated,
            wrong_language=int(self.wrong_language.sum()),
            mean=accounting.mean(labels),
            uncapped=accounting.mean(self.labels),
            canaries=of_canaries,
            held=held,
            publishable=not held,
        )
