"""``metrics/eval.py`` of the authors' repository, written anew with a switch for each of its faults.

It prints two tables. *Overall*: the last turn of each sample of --gold, joined to the result file by position. *Per
turn*: each query of --all, joined to the result file by its text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from ivcr_bench.scoring.moments import iou
from ivcr_bench.scoring.official.alignment import TurnKey
from ivcr_bench.scoring.official.bilingual import index_bilingual, range_bilingual
from ivcr_bench.scoring.official.faults import CrashPolicy, OfficialScorerError
from ivcr_bench.scoring.official.files import MARKER, VIDEO_MARKERS, Files2025, GoldTurn, Message, Task
from ivcr_bench.scoring.official.parsing import gold_range, hull_iou, index_2025, range_2025, strip_prompt
from ivcr_bench.scoring.official.tally import MOMENT, THRESHOLDS, VIDEO, Tally

LAST_TURN = 7
"""The per-turn table ends here."""

IOU_DIGITS = 9
"""Decimal seconds have no exact binary form; a threshold that is met in decimals is met after rounding."""


@dataclass(frozen=True)
class _Evaluation:
    """One pass over the files with the faults ``on``."""

    files: Files2025
    on: frozenset[str]
    tally: Tally

    def overall(self) -> None:
        """Figures of all samples together."""
        seen: set[Task] = set()
        done: set[TurnKey] = set()
        for index, sample in enumerate(self.files.samples):
            turn = self.files.turns.get(self.files.turn_of_sample[index] or (-1, 0))
            task = self._task(sample[-2].content, turn)
            if task is None or self._beyond_the_count(turn, done):
                continue
            if "E1" in self.on and task not in seen:
                seen.add(task)
                continue
            seen.add(task)
            output = self.tally.guard(None, self._output, index)
            if output is not None:
                key = turn.key if turn else ("sample", index)
                for metric in self._credited(task, sample[-1].content, turn, output, f"sample {index + 1}"):
                    self.tally.award("overall", 0, metric, key)
        self._count_overall(seen)

    def per_turn(self) -> None:
        """Figures by turn number."""
        outputs = self._outputs_of_turns()
        failed: set[int] = set()
        for key, turn in self.files.turns.items():
            row = key[1] if "E13" not in self.on else int((turn.message + 2) / 2)
            task = self._task_of_query(turn)
            if task is None:
                continue
            output = outputs.get(key)
            credited: tuple[str, ...] = ()
            if output is not None and turn.answer is not None:
                where = f"turn {key[1]} of dialogue {key[0] + 1}"
                credited = self._credited(task, turn.answer.value, turn, output, where)
            if "E15" in self.on and row > LAST_TURN:
                continue
            self.tally.count("turn", row, *((VIDEO,) if task == "video" else MOMENT))
            if "E14" in self.on or key[0] not in failed:
                for metric in credited:
                    self.tally.award("turn", row, metric, key)
            if task == "video" and not credited:
                failed.add(key[0])
        self._check_cells()

    def _task(self, prompt: str, turn: GoldTurn | None) -> Task | None:
        if "E8" not in self.on and turn is not None:
            return turn.answer.task if turn.answer else None
        return "video" if prompt.count(MARKER) == VIDEO_MARKERS else "moment"

    def _task_of_query(self, turn: GoldTurn) -> Task | None:
        if turn.answer is None:
            if "E13" in self.on:
                self.tally.crash("E13", f"turn {turn.key[1]} of dialogue {turn.key[0] + 1} has no answer")
            return None
        return turn.answer.task if isinstance(turn.answer.gt_se, tuple) else self._without_target(turn.answer, turn.key)

    def _without_target(self, answer: Message, key: TurnKey) -> Task | None:
        """The script reads a missing ``gt_se`` with a crash, and a null one as a moment."""
        if "E15" not in self.on:
            return None
        if answer.gt_se is None:
            return "moment"
        self.tally.crash("E15", f"turn {key[1]} of dialogue {key[0] + 1} has no gt_se")
        return None

    def _beyond_the_count(self, turn: GoldTurn | None, done: set[TurnKey]) -> bool:
        """Whether a sample must not be credited, being none of the turns that count, or one again."""
        if "E2" in self.on:
            return False
        if turn is None or turn.key in done:
            return True
        done.add(turn.key)
        return False

    def _output(self, index: int) -> str | None:
        predictions = self.files.predictions
        if "E4" not in self.on:
            found = self.files.prediction_of_sample[index]
            return None if found is None else predictions[found].output
        if index < len(predictions):
            return predictions[index].output
        raise OfficialScorerError(
            "E4", f"the result file has {len(predictions)} records, --gold has {len(self.files.samples)}"
        )

    def _outputs_of_turns(self) -> dict[TurnKey, str]:
        """The answer to each turn, by text or by alignment."""
        if "E12" not in self.on:
            return dict(self._aligned_outputs())
        exact = "E11" in self.on
        by_text: dict[str, str] = {}
        for prediction in self.files.predictions:
            by_text.setdefault(prediction.user_q if exact else strip_prompt(prediction.user_q), prediction.output)
        asked = {key: turn.query if exact else turn.query.strip() for key, turn in self.files.turns.items()}
        return {key: by_text[query] for key, query in asked.items() if query in by_text}

    def _aligned_outputs(self) -> Iterator[tuple[TurnKey, str]]:
        for index, key in enumerate(self.files.turn_of_sample):
            if key is not None and ("E4" not in self.on or index < len(self.files.predictions)):
                output = self._output(index)
                if output is not None:
                    yield key, output

    def _credited(self, task: Task, gold_text: str, turn: GoldTurn | None, output: str, where: str) -> tuple[str, ...]:
        """The metrics for which ``output`` is right."""
        answer = turn.answer if turn else None
        if task == "video":
            return (VIDEO,) if self._right_video(gold_text, answer, output) else ()
        return self.tally.guard((), self._reached, gold_text, answer, output, where)

    def _right_video(self, gold_text: str, answer: Message | None, output: str) -> bool:
        read = index_2025 if "E9" in self.on else index_bilingual
        said = read(output)
        gold = read(gold_text)
        if "E5" not in self.on and answer is not None and answer.candidate_videos and answer.video_id is not None:
            films = answer.candidate_videos
            gold = films.index(answer.video_id) + 1 if answer.video_id in films else None
        return said == gold and ("E3" in self.on or gold is not None)

    def _reached(self, gold_text: str, answer: Message | None, output: str, where: str) -> tuple[str, ...]:
        gold = self._gold_range(gold_text, answer)
        said = range_2025(output) if "E10" in self.on else range_bilingual(output)
        if len(gold) < 2 and "E5" in self.on:
            raise OfficialScorerError("E5", f"{where}: no range like 5s-10s in the gold answer {gold_text[:60]!r}")
        if said is None or len(gold) < 2:
            return ()
        value = self._iou((gold[0], gold[1]), (said[0], said[1]), where)
        exceeds_only = "E7" not in self.on
        return tuple(
            metric
            for metric, threshold in zip(MOMENT, THRESHOLDS, strict=True)
            if value > threshold or (value == threshold and not exceeds_only)
        )

    def _gold_range(self, gold_text: str, answer: Message | None) -> tuple[float, ...]:
        if "E5" not in self.on and answer is not None and isinstance(answer.gt_se, tuple):
            return answer.gt_se
        return tuple(gold_range(gold_text))

    def _iou(self, gold: tuple[float, float], said: tuple[float, float], where: str) -> float:
        if "E6" not in self.on:
            return round(iou(gold, said), IOU_DIGITS)
        try:
            return hull_iou(gold, said)
        except ZeroDivisionError:
            raise OfficialScorerError("E6", f"{where}: gold and answer are the same instant {gold}") from None

    def _count_overall(self, seen: set[Task]) -> None:
        """The denominators: every turn of the dialogues that count."""
        turns: Counter[Task] = Counter()
        for index, dialogue in enumerate(self.files.dialogues):
            for message in dialogue.conversations if dialogue.counted else ():
                if message.speaker == "gpt":
                    task = message.task or self._without_target(message, (index, 0))
                    turns.update([task] if task else [])
        self.tally.count("overall", 0, VIDEO, turns=turns["video"])
        self.tally.count("overall", 0, *MOMENT, turns=turns["moment"])
        for task in ("video", "moment"):
            if "E15" in self.on and (task not in seen or not turns[task]):
                self.tally.crash("E15", f"there is no {task} turn in --gold or none in --all")

    def _check_cells(self) -> None:
        """The script divides by the number of turns of every cell that it prints."""
        if "E15" not in self.on:
            return
        for row in self.tally.rows("turn"):
            for task, metric in (("video", VIDEO), ("moment", MOMENT[0])):
                if not self.tally.totals["turn", row, metric]:
                    self.tally.crash("E15", f"no query of turn {row} asks for a {task}")


def evaluate_2025(files: Files2025, on: frozenset[str], crash_policy: CrashPolicy = "count_wrong") -> Tally:
    """Score ``files`` with the faults ``on`` (codes of `FAULTS_2025`).

    Raises:
        OfficialScorerError: the authors' script would have crashed, and ``crash_policy`` is "raise".
    """
    tally = Tally(crash_policy)
    evaluation = _Evaluation(files, on, tally)
    evaluation.per_turn()
    evaluation.overall()
    return tally
