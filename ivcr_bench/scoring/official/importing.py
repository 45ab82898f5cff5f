"""The authors' result files as submissions: every answer read with the bilingual parser, none dropped.

A result of 2025 was made with the gold history and, on moment turns, with the gold film; its prompt told the model what
is asked. The submission's header says so. Answers that cannot be read become ``malformed``.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ivcr_bench.schema import Intent, Language, Moment, SubmissionHeader, SubmissionTurn
from ivcr_bench.scoring.official.alignment import TurnKey
from ivcr_bench.scoring.official.bilingual import index_bilingual, range_bilingual
from ivcr_bench.scoring.official.files import Files2025, GoldTurn, RawDialogue, Task, counted_turns
from ivcr_bench.scoring.official.files_2024 import Output

DATASET = "ivcr200k"
_INTENT_OF: dict[Task, Intent] = {"video": "video_retrieval", "moment": "moment_retrieval"}
_STATED: tuple[tuple[Intent, re.Pattern[str]], ...] = (
    ("video_retrieval", re.compile(r"intent is (?:a )?video retrieval|意图[是为:：]\s*视频检索", re.IGNORECASE)),
    (
        "moment_retrieval",
        re.compile(
            r"intent is (?:a )?(?:temporal video grounding|video moment)|意图[是为:：]\s*(?:视频)?(?:时刻|片段|时序)",
            re.IGNORECASE,
        ),
    ),
    ("natural_dialogue", re.compile(r"intent is (?:a )?natural dialogue|意图[是为:：]\s*自然对话", re.IGNORECASE)),
)
_CHINESE = re.compile("[\u4e00-\u9fff]")

Read = Literal["read", "unreadable"]


@dataclass
class ImportReport:
    """What became of the records of a result file.

    Attributes:
        read: answers by task, language, and whether they could be read.
        unanswered: turns by task and language that the result file has no answer to; they will score 0.
        homeless: records of the result file that belong to no test turn; they are not written.
        shared: turns that were given an answer by their text alone, which other turns have too.
    """

    read: Counter[tuple[Task, Language, Read]] = field(default_factory=Counter)
    unanswered: Counter[tuple[Task, Language]] = field(default_factory=Counter)
    homeless: int = 0
    shared: int = 0

    def rate(self, task: Task, language: Language) -> float | None:
        """The share of the answers that could be read; ``None`` without answers."""
        good, bad = self.read[task, language, "read"], self.read[task, language, "unreadable"]
        return good / (good + bad) if good + bad else None


def dialogue_id(index: int) -> str:
    """The id of a dialogue of ``IVCR-200K.json``, which has none: its place in the file, from 1.

    >>> dialogue_id(0)
    'ivcr200k-000001'
    """
    return f"{DATASET}-{index + 1:06d}"


def header(system: str | None, *, with_gold: bool) -> SubmissionHeader:
    """The header of an imported submission; ``with_gold`` for results of 2025, which were shown gold."""
    return SubmissionHeader(
        format="ivcr-submission/1",
        system=system,
        dataset=DATASET,
        split="test",
        history="gold" if with_gold else None,
        scope="candidates",
        sees_gold=with_gold,
    )


def import_2025(files: Files2025) -> tuple[list[SubmissionTurn], ImportReport]:
    """Turn a result of 2025 into answers, in the order of the raw file."""
    report = ImportReport()
    outputs: dict[TurnKey, str] = {}
    placed = 0
    for key, place in zip(files.turn_of_sample, files.prediction_of_sample, strict=True):
        if key is not None and place is not None:
            outputs[key] = files.predictions[place].output
            placed += 1
    report.homeless = len(files.predictions) - placed
    answers = []
    for key, turn, task in _asked(files.turns):
        if key not in outputs:
            report.unanswered[task, language_of(turn.query)] += 1
            continue
        candidates = turn.answer.candidate_videos if turn.answer else None
        film = turn.answer.video_id if turn.answer else None
        answer = _answer(key, task, outputs[key], candidates or (), film)
        answers.append(_noted(answer, task, turn, report))
    return answers, report


def import_2024(
    outputs: Sequence[Output], dialogues: Sequence[RawDialogue]
) -> tuple[list[SubmissionTurn], ImportReport]:
    """Turn a result of 2024 into answers, joined to turns by the text of the query, the only thing that it holds.

    Turns of one text take the outputs about it in order, and share the last one if there are more turns.
    """
    report = ImportReport()
    by_text: dict[tuple[Task, str], deque[Output]] = defaultdict(deque)
    for output in outputs:
        by_text[output.task, output.query.strip()].append(output)
    used: set[int] = set()
    answers = []
    for key, turn, task in _asked(counted_turns(dialogues)):
        queue = by_text.get((task, turn.query.strip()))
        if not queue:
            report.unanswered[task, language_of(turn.query)] += 1
            continue
        output = queue.popleft() if len(queue) > 1 else queue[0]
        report.shared += id(output) in used
        used.add(id(output))
        answers.append(_noted(_answer_2024(key, output), task, turn, report))
    report.homeless = len(outputs) - len(used)
    return answers, report


def language_of(text: str) -> Language:
    """``zh`` if ``text`` has a Chinese character, else ``en``."""
    return "zh" if _CHINESE.search(text) else "en"


def _asked(turns: dict[TurnKey, GoldTurn]) -> Iterator[tuple[TurnKey, GoldTurn, Task]]:
    """The turns that ask for a video or a moment."""
    for key, turn in turns.items():
        task = turn.answer.task if turn.answer else None
        if task is not None:
            yield key, turn, task


def _noted(answer: SubmissionTurn, task: Task, turn: GoldTurn, report: ImportReport) -> SubmissionTurn:
    read: Read = "read" if answer.status == "ok" else "unreadable"
    report.read[task, language_of(turn.query), read] += 1
    return answer


def _answer(key: TurnKey, task: Task, said: str, candidates: Sequence[str], film: str | None) -> SubmissionTurn:
    """What ``said`` commits to: the intent that it states, else the one that the prompt asked for."""
    intent = _stated(said) or _INTENT_OF[task]
    index, times = index_bilingual(said), range_bilingual(said)
    return _submitted(key, intent, said, candidates, index, film, times)


def _answer_2024(key: TurnKey, output: Output) -> SubmissionTurn:
    candidates = output.films if isinstance(output.films, tuple) else ()
    film = output.films if isinstance(output.films, str) else None
    if output.record is None:
        return _answer(key, output.task, output.text or "", candidates, film)
    record = output.record
    first = record.intent if isinstance(record.intent, str) else ""
    said = first + (record.video_id or "")
    times = next(((min(t[:2]), max(t[:2])) for t in record.timestamp or () if len(t) > 1), None)
    index = index_bilingual(record.video_id or "")
    return _submitted(key, _stated(first) or _INTENT_OF[output.task], said, candidates, index, film, times)


def _submitted(
    key: TurnKey,
    intent: Intent,
    said: str,
    candidates: Sequence[str],
    index: int | None,
    film: str | None,
    times: tuple[float, float] | None,
) -> SubmissionTurn:
    videos: tuple[str, ...] = ()
    moments: tuple[Moment, ...] = ()
    if intent == "video_retrieval" and index is not None and index <= len(candidates):
        videos = tuple(dict.fromkeys((candidates[index - 1], *candidates)))
    elif intent == "moment_retrieval" and times is not None and film:
        moments = (Moment(film, times[0], times[1]),)
    readable = bool(videos or moments) or intent == "natural_dialogue"
    return SubmissionTurn(
        dialogue_id=dialogue_id(key[0]),
        turn=key[1],
        intent=intent,
        videos=videos,
        moments=moments,
        text=said,
        status="ok" if readable else "malformed",
    )


def _stated(text: str) -> Intent | None:
    """The intent that an answer states, where it does."""
    return next((intent for intent, pattern in _STATED if pattern.search(text)), None)
