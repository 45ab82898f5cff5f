"""What `benchmarks/score.py` measures, each in a process of its own: python benchmarks/score_phases.py PHASE FOLDER

Prints JSON: the processor's seconds of each lap.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from unittest.mock import patch

import msgspec
import numpy as np
from numpy.typing import NDArray

from ivcr_bench.data.dataset import load_folder
from ivcr_bench.scoring.checking import checked_answers
from ivcr_bench.scoring.gold import GoldTurns, gold_of
from ivcr_bench.scoring.judge.items import EMPTY, JudgeItem, Verdict
from ivcr_bench.scoring.judge.registry import RULE, judge_named
from ivcr_bench.scoring.outcomes import judge_turns
from ivcr_bench.scoring.report import report_on
from ivcr_bench.scoring.tables import render
from ivcr_bench.scoring.text import COLUMNS, MATCHES, ngram_statistics
from ivcr_bench.submission import Faults, open_submission, read_submission


class Laps:
    """The processor's seconds since the last lap ended, by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.process_time()

    def end(self, name: str) -> None:
        self.seconds[name] = time.process_time() - self._last
        self._last = time.process_time()


def decode_and_keep(folder: Path) -> Laps:
    lines = _lines(folder)
    laps = Laps()
    kept = [msgspec.json.decode(line) for line in lines]
    laps.end(f"decode and keep {len(kept)} lines")
    return laps


def decode_and_drop(folder: Path) -> Laps:
    lines = _lines(folder)
    laps = Laps()
    for line in lines:
        msgspec.json.decode(line)
    laps.end("decode")
    return laps


def load(folder: Path) -> Laps:
    laps = Laps()
    path = folder / "submission.jsonl"
    _exhaust(open_submission(path).numbered(Faults(path)))
    laps.end("load")
    return laps


def validate(folder: Path) -> Laps:
    laps = Laps()
    gold = _gold(folder, laps)
    _exhaust(checked_answers(gold, open_submission(folder / "submission.jsonl")))
    laps.end("validate")
    return laps


def score(folder: Path) -> Laps:
    laps = Laps()
    gold = _gold(folder, laps)
    judged = judge_turns(gold, open_submission(folder / "submission.jsonl"))
    laps.end("judge")
    del gold
    report = report_on(judged, None, gated=True)
    laps.end("report")
    render(report)
    laps.end("tables")
    return laps


def score_without_bleu(folder: Path) -> Laps:
    """As `score`, but the n-gram counts of a turn are made up beforehand; so the report has as much to do."""
    ready = _made_up_counts()

    def stand_in(answers: Sequence[str], references: Sequence[str]) -> NDArray[np.int32]:
        return ready[: len(answers)]

    with patch("ivcr_bench.scoring.outcomes.ngram_statistics", stand_in):
        return score(folder)


def score_with_rule(folder: Path) -> Laps:
    """The outcomes alone, with the texts judged by rules; not a row of the table."""
    laps = Laps()
    gold = _gold(folder, laps)
    with judge_named(RULE) as rule:
        judge_turns(gold, open_submission(folder / "submission.jsonl"), judge=rule)
    laps.end("judge")
    return laps


def score_with_screen(folder: Path) -> Laps:
    """As `score_with_rule`, with a judge that says the same of everything: what is around any judge."""
    laps = Laps()
    gold = _gold(folder, laps)
    judge_turns(gold, open_submission(folder / "submission.jsonl"), judge=_Indifferent())
    laps.end("judge")
    return laps


class _Indifferent:
    name, judge_id = "indifferent", "0" * 12

    def judge(self, items: Iterable[JudgeItem]) -> Iterator[tuple[JudgeItem, Verdict]]:
        return ((item, EMPTY) for item in items)


def bleu(folder: Path) -> Laps:
    """The n-gram counts of all turns of one language, then of the other."""
    answers = {(turn.dialogue_id, turn.turn): turn.text for turn in read_submission(folder / "submission.jsonl").turns}
    texts: dict[str, list[tuple[str, str]]] = {}
    for dialogue in load_folder(folder).dialogues:
        for number, turn in enumerate(dialogue.turns, start=1):
            pair = answers[dialogue.dialogue_id, number], turn.gold.response
            texts.setdefault(dialogue.language, []).append(pair)
    laps = Laps()
    for language, pairs in texts.items():
        for start in range(0, len(pairs), BATCH):
            said, expected = zip(*pairs[start : start + BATCH], strict=True)
            ngram_statistics(said, expected)
        laps.end(f"{language}, {len(pairs)} turns")
    return laps


BATCH = 1_024
PHASES: dict[str, Callable[[Path], Laps]] = {
    phase.__name__: phase
    for phase in (
        decode_and_keep,
        decode_and_drop,
        load,
        validate,
        score,
        score_without_bleu,
        score_with_rule,
        score_with_screen,
        bleu,
    )
}


def _lines(folder: Path) -> list[bytes]:
    return (folder / "submission.jsonl").read_bytes().splitlines()


def _gold(folder: Path, laps: Laps) -> GoldTurns:
    gold = gold_of(None, str(folder), "test")
    laps.end("gold")
    return gold


def _exhaust(items: Iterable[object]) -> None:
    for _ in items:
        pass


def _made_up_counts() -> NDArray[np.int32]:
    counts = np.random.default_rng(0).integers(50, 150, (BATCH, COLUMNS), np.int32)
    counts[:, MATCHES] //= 3
    return counts


if __name__ == "__main__":
    print(json.dumps(PHASES[sys.argv[1]](Path(sys.argv[2])).seconds))
