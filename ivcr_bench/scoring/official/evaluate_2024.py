"""``metrics/tvg/`` of the authors' repository, written anew with a switch for each of its faults.

Three scripts: ``eval_tvg.py`` (moments, overall), ``eval_video.py`` (videos, overall) and ``conv_cal.py`` (per turn,
with the rule that errors travel). Raw result files are first read as ``evaluate.py`` formats them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from ivcr_bench.scoring.moments import iou
from ivcr_bench.scoring.official.bilingual import index_bilingual, range_bilingual
from ivcr_bench.scoring.official.evaluate_2025 import IOU_DIGITS
from ivcr_bench.scoring.official.faults import CrashPolicy, OfficialScorerError
from ivcr_bench.scoring.official.files_2024 import DialogueTurn, Files2024, GoldQuery, Output
from ivcr_bench.scoring.official.parsing import hull_iou, index_2024, range_2024, sentences_2024
from ivcr_bench.scoring.official.tally import INTENT, MOMENT, THRESHOLDS, VIDEO, Tally

MOMENT_QUERIES = 1153
"""The length of the file whose path ``eval_tvg.py`` holds; its name says so."""

LAST_TURN = 6
CANDIDATES = 10
VIDEO_INTENT = ("video retrieval",)
MOMENT_INTENT = ("temporal video grounding", "video moment")

Range = tuple[float, ...]


@dataclass(frozen=True)
class _Read:
    """An output as the formatter read it.

    Attributes:
        sentence: where the index is looked for.
        ranges: what it says about time.
    """

    query: str
    films: tuple[str, ...] | str
    intent: str
    sentence: str
    ranges: tuple[Range, ...]

    def states(self, phrases: Iterable[str]) -> bool:
        return any(phrase in self.intent for phrase in phrases)


@dataclass(frozen=True)
class _Evaluation:
    """One pass over the files with the faults ``on``."""

    files: Files2024
    on: frozenset[str]
    tally: Tally

    @cached_property
    def videos(self) -> list[_Read]:
        """The outputs about videos that could be read."""
        return [read for output in self.files.videos if (read := self._format(output))]

    @cached_property
    def moments(self) -> dict[str, _Read]:
        """The outputs about moments that could be read, by query id; the last of an id wins."""
        return {output.number: read for output in self.files.moments if (read := self._format(output))}

    def _format(self, output: Output) -> _Read | None:
        """What ``evaluate.py`` keeps of an output; ``None`` if it drops it."""
        if output.record is not None:
            record = output.record
            intent = record.intent if isinstance(record.intent, str) else ""
            return _Read(output.query, output.films, intent, record.video_id or "", record.timestamp or ())
        text = output.text or ""
        found = sentences_2024(text, decimal_point_ends="V7" in self.on)
        if found is None and "V6" in self.on:
            return None
        intent, sentence = found or (text, text)
        return _Read(output.query, output.films, intent, sentence, self._ranges(text))

    def _ranges(self, text: str) -> tuple[Range, ...]:
        if "E10" in self.on:
            return tuple(map(tuple, range_2024(text)))
        found = range_bilingual(text)
        return () if found is None else (found,)

    # eval_tvg.py

    def overall_moments(self) -> None:
        """R@1 at IoU thresholds of all moment queries."""
        gold = {str(query.id): query for query in self.files.gold_moments}
        self.tally.count("overall", 0, *MOMENT, turns=MOMENT_QUERIES if "G1" in self.on else len(gold))
        if "G2" in self.on and len(gold) != len(self.moments):
            self.tally.crash("G2", f"{len(self.moments)} predictions could be read, --gold has {len(gold)} moments")
        for number, query in gold.items():
            for metric in self.tally.guard((), self._moment_of_query, number, query):
                self.tally.award("overall", 0, metric, ("moment", number))

    def _moment_of_query(self, number: str, query: GoldQuery) -> tuple[str, ...]:
        read = self.moments.get(number)
        if read is None:
            if "G5" in self.on:
                raise OfficialScorerError("G5", f"gold moment {number} has no prediction")
            return ()
        if "G3" in self.on and not read.states(MOMENT_INTENT):
            return ()
        return self._reached(read.ranges[0], query.gt_se or ()) if read.ranges else ()

    # eval_video.py

    def overall_videos(self) -> None:
        """R@1 of all video queries, and how many outputs state the intent."""
        gold = self.files.gold_videos
        self.tally.count("overall", 0, VIDEO, turns=len(gold))
        self.tally.count("overall", 0, INTENT, turns=len(self.videos) if "V9" in self.on else len(gold))
        for place, read in enumerate(self.videos):
            if read.states(VIDEO_INTENT):
                self.tally.award("overall", 0, INTENT, ("video", place))
        for place, query, read in self._pairs(gold):
            if self.tally.guard(False, self._right_video, query, read):
                self.tally.award("overall", 0, VIDEO, ("video", place))

    def _pairs(self, gold: Sequence[GoldQuery]) -> Iterable[tuple[int, GoldQuery, _Read]]:
        """Gold queries and the outputs that are held against them."""
        by_text: dict[str, list[_Read]] = defaultdict(list)
        for read in self.videos:
            by_text[read.query].append(read)
        met: dict[str, int] = defaultdict(int)
        for place, query in enumerate(gold):
            answers = by_text.get(query.Q, [])
            if "V1" not in self.on:
                answers = answers[met[query.Q] : met[query.Q] + 1]
                met[query.Q] += 1
            yield from ((place, query, read) for read in answers)

    def _right_video(self, query: GoldQuery, read: _Read) -> bool:
        index = index_2024(read.sentence) if "V2" in self.on else index_bilingual(read.sentence) or 0
        if not 1 <= index <= CANDIDATES:
            return False
        films = read.films
        if "V3" not in self.on and query.video_top10_list is not None:
            films = query.video_top10_list
        if index > len(films):
            if "V3" in self.on:
                raise OfficialScorerError("V3", f"query {query.Q[:60]!r}: index {index} of {len(films)} candidates")
            return False
        return films[index - 1] == query.video_path and ("V4" not in self.on or read.states(VIDEO_INTENT))

    # conv_cal.py

    def per_turn(self) -> None:
        """Figures by turn number; after a failed video turn all later turns of the dialogue score 0."""
        videos = _ByQuery(self.videos, last_wins="K1" in self.on)
        moments = _ByQuery(self.moments.values(), last_wins="K1" in self.on)
        for index, dialogue in enumerate(self.files.dialogues):
            alive = True
            for number, turn in enumerate(dialogue, start=1):
                judged = self._turn(turn, videos, moments, f"turn {number} of dialogue {index + 1}")
                if "K8" in self.on and number > LAST_TURN:
                    continue
                if judged is None:
                    self._without_task(dialogue, number, index)
                    continue
                self.tally.count("turn", number, *(MOMENT if turn.gt_se is not None else (VIDEO,)))
                for metric in judged if alive else ():
                    self.tally.award("turn", number, metric, (index, number))
                if "K6" in self.on and turn.gt_se is None and not judged:
                    alive = False
        self._check_cells()

    def _turn(self, turn: DialogueTurn, videos: _ByQuery, moments: _ByQuery, where: str) -> tuple[str, ...] | None:
        """The metrics for which a turn is right; ``None`` if it has no task."""
        if turn.gt_se is not None:
            return self.tally.guard((), self._moment_turn, turn, moments, where) if turn.gt_se else ()
        if turn.top10_list is not None:
            failed = turn.top10_list == 0
            return () if failed else self.tally.guard((), self._video_turn, turn, videos, where)
        return None

    def _moment_turn(self, turn: DialogueTurn, moments: _ByQuery, where: str) -> tuple[str, ...]:
        gold = turn.gt_se or ()
        read = moments.answer(turn.Q)
        if read is None:
            if "K2" not in self.on:
                return ()
            given = self._gold_ranges.get(turn.Q)
            if given is None or len(given) < 2:
                raise OfficialScorerError("K2", f"{where}: no prediction, and no gold moment in --gold to stand for it")
            return self._reached(given, gold)
        if "K7" not in self.on and not read.states(MOMENT_INTENT):
            return ()
        if "K5" in self.on:
            return self._reached(read.ranges[0] if len(read.ranges) == 1 else (0.0, 0.0), gold)
        return self._reached(read.ranges[0], gold) if read.ranges else ()

    @cached_property
    def _gold_ranges(self) -> dict[str, Range]:
        """Gold range by query; the first of a query stands, as in the script."""
        ranges: dict[str, Range] = {}
        for query in self.files.gold_moments:
            ranges.setdefault(query.Q, query.gt_se or ())
        return ranges

    def _video_turn(self, turn: DialogueTurn, videos: _ByQuery, where: str) -> tuple[str, ...]:
        films = turn.top10_list if isinstance(turn.top10_list, tuple) else ()
        if "K4" in self.on and turn.video_path not in films:
            raise OfficialScorerError("K4", f"{where}: the gold film is not among the candidates")
        read = videos.answer(turn.Q)
        if read is None:
            if "K3" in self.on:
                raise OfficialScorerError("K3", f"{where}: no prediction for the query {turn.Q[:60]!r}")
            return ()
        if "K7" not in self.on and not read.states(VIDEO_INTENT):
            return ()
        index = index_2024(read.sentence) if "V2" in self.on else index_bilingual(read.sentence) or 0
        if "K4" in self.on and index > len(films):
            raise OfficialScorerError("K4", f"{where}: index {index} of {len(films)} candidates")
        if "K4" not in self.on and not 1 <= index <= len(films):
            return ()
        return (VIDEO,) if films[index - 1] == turn.video_path else ()

    def _without_task(self, dialogue: Sequence[DialogueTurn], number: int, index: int) -> None:
        """The script looks up the first so many turns, as many as have a task, and finds this one missing."""
        with_task = sum(turn.gt_se is not None or turn.top10_list is not None for turn in dialogue)
        if "K8" in self.on and number <= with_task:
            self.tally.crash("K8", f"turn {number} of dialogue {index + 1} has neither gt_se nor top10_list")

    def _check_cells(self) -> None:
        """The script divides by the moments of each of its six turns, and by 1 where there is no video."""
        for number in range(1, LAST_TURN + 1) if "K8" in self.on else ():
            if not self.tally.totals["turn", number, MOMENT[0]]:
                self.tally.crash("K8", f"no query of turn {number} asks for a moment")
            if not self.tally.totals["turn", number, VIDEO]:
                self.tally.count("turn", number, VIDEO)

    def _reached(self, said: Range, gold: Range) -> tuple[str, ...]:
        if len(said) < 2 or len(gold) < 2:
            return ()
        a, b = (gold[0], gold[1]), (said[0], said[1])
        if "G6" not in self.on:
            value = round(iou(a, b), IOU_DIGITS)
        else:
            try:
                value = hull_iou(a, b)
            except ZeroDivisionError:
                raise OfficialScorerError("G6", f"gold and answer are the same instant {a}") from None
        return tuple(metric for metric, threshold in zip(MOMENT, THRESHOLDS, strict=True) if value >= threshold)


class _ByQuery:
    """Outputs by the text of their query."""

    def __init__(self, outputs: Iterable[_Read], *, last_wins: bool) -> None:
        self._last_wins = last_wins
        self._outputs: dict[str, list[_Read]] = defaultdict(list)
        self._asked: dict[str, int] = defaultdict(int)
        for output in outputs:
            self._outputs[output.query].append(output)

    def answer(self, query: str) -> _Read | None:
        """The last output about ``query``, or, each time it is asked, the next one as long as there are more."""
        outputs = self._outputs.get(query)
        if not outputs:
            return None
        turn = self._asked[query]
        self._asked[query] += 1
        return outputs[-1 if self._last_wins else min(turn, len(outputs) - 1)]


def evaluate_2024(files: Files2024, on: frozenset[str], crash_policy: CrashPolicy = "count_wrong") -> Tally:
    """Score ``files`` with the faults ``on`` (codes of `FAULTS_2024`): whatever the gold files allow.

    Raises:
        OfficialScorerError: the authors' script would have crashed, and ``crash_policy`` is "raise".
    """
    tally = Tally(crash_policy)
    evaluation = _Evaluation(files, on, tally)
    if files.gold_moments:
        evaluation.overall_moments()
    if files.gold_videos:
        evaluation.overall_videos()
    if files.dialogues:
        evaluation.per_turn()
    return tally
