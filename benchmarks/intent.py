"""How often the built-in rules of intent are right: `python benchmarks/intent.py [DATASET] [SPLIT]`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import cast, get_args

from tabulate import tabulate

from ivcr_bench.data.catalog import open_dataset
from ivcr_bench.schema import Language, Split
from ivcr_bench.systems.intent import classify, refers_back


def main(dataset: str = "mini", split: str = "val") -> None:
    rows = []
    dialogues = open_dataset(dataset).split(cast("Split", split))
    for language in get_args(Language):
        turns = [turn for dialogue in dialogues if dialogue.language == language for turn in dialogue.turns]
        moments = [turn for turn in turns if turn.intent == "moment_retrieval"]
        intents = [classify(turn.utterance) == turn.intent for turn in turns]
        references = [refers_back(turn.utterance) == bool(turn.depends_on) for turn in moments]
        rows.append([language, *_share(intents), *_share(references)])
    print(tabulate(rows, ["", "intent right", "of turns", "reference right", "of moment turns"]))


def _share(right: Sequence[bool]) -> tuple[str, int]:
    return (f"{sum(right) / len(right):.1%}" if right else "-"), len(right)


if __name__ == "__main__":
    main(*sys.argv[1:])
