"""The rule judge on texts whose worth is known, and its time: ``python benchmarks/rule_judge.py FOLDER``.

The texts are the references of FOLDER, a dataset such as ``ivcr-bench data make`` puts in the cache. Each turn is
answered with its own reference, with another wording of the same moment, with the reference of a random turn, and with
the question. Time is the processor's, of one run.
"""

from __future__ import annotations

import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

from tabulate import tabulate

from ivcr_bench.data.dataset import load_folder
from ivcr_bench.scoring.judge.items import LABELS, VALUES, JudgeItem
from ivcr_bench.scoring.judge.rule import RuleJudge

SEED = 1
Turns = list[tuple[JudgeItem, tuple[object, ...]]]
Pairs = list[tuple[JudgeItem, str]]


def main() -> None:
    turns = _turns(sys.argv[1])
    shuffled = random.Random(SEED).sample(turns, len(turns))
    answers = {
        "its own reference": [(turn, turn.reference) for turn, _ in turns],
        "the same moment in other words": _same_moment(turns),
        "a random turn's reference": [
            (turn, other.reference) for (turn, _), (other, _) in zip(turns, shuffled, strict=True)
        ],
        "the question": [(turn, turn.queries[-1]) for turn, _ in turns],
    }
    header = ["answered with", "language", "n", "mean", *LABELS, "us a turn"]
    print(tabulate([row for name, pairs in answers.items() for row in _rows(name, pairs)], header, tablefmt="github"))


def _turns(folder: str) -> Turns:
    """(item without an answer, what its moment is) of every turn with text."""
    turns = []
    for dialogue in load_folder(folder).dialogues:
        queries = [turn.utterance for turn in dialogue.turns]
        for number, turn in enumerate(dialogue.turns, start=1):
            if turn.gold.response:
                asked = tuple(queries[max(0, number - 3) : number])
                item = JudgeItem(dialogue.dialogue_id, number, dialogue.language, asked, turn.gold.response, None)
                turns.append((item, (dialogue.language, turn.gold.videos[:1], turn.gold.moments)))
    return turns


def _same_moment(turns: Turns) -> Pairs:
    described: dict[tuple[object, ...], list[JudgeItem]] = defaultdict(list)
    for item, moment in turns:
        if moment[-1]:
            described[moment].append(item)
    return [
        (item, other.reference)
        for items in described.values()
        for item, other in pairwise(items)
        if item.reference != other.reference
    ]


def _rows(name: str, pairs: Pairs) -> Iterator[list[object]]:
    items = [replace(item, candidate=text) for item, text in pairs]
    judge = RuleJudge()
    for language in ("en", "zh"):
        of_language = [item for item in items if item.language == language]
        start = time.process_time()
        said = Counter(verdict.label for _, verdict in judge.judge(of_language))
        microseconds = 1e6 * (time.process_time() - start) / len(of_language)
        mean = sum(VALUES[label] * count for label, count in said.items()) / len(of_language)
        yield [name, language, len(of_language), f"{mean:.3f}", *(said[label] for label in LABELS), round(microseconds)]


if __name__ == "__main__":
    main()
