"""The figures of IVCR-Mini's dataset card: ``python -m ivcr_bench.data.mini.statistics [SEED ...]``."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence

import numpy as np

from ivcr_bench.data.mini.dialogues import generate_dialogues
from ivcr_bench.data.mini.films import sample_films
from ivcr_bench.schema import Dialogue, Split


def describe(dialogues: Sequence[Dialogue], split: Split) -> dict[str, float]:
    """Counts and shares of one split; shares are fractions of 1."""
    chosen = [dialogue for dialogue in dialogues if dialogue.split == split]
    turns = [turn for dialogue in chosen for turn in dialogue.turns]
    later = [turn for dialogue in chosen for turn in dialogue.turns[1:]]
    intents: Counter[str] = Counter(turn.intent for turn in turns)
    relevant = [len(turn.gold.videos) for turn in turns if turn.intent == "video_retrieval"]
    return {
        "dialogues": len(chosen),
        "turns": len(turns),
        **intents,
        "turns after the first": len(later),
        "of these, need the history": float(np.mean([bool(turn.depends_on) for turn in later])),
        "relevant films a video turn": float(np.mean(relevant)),
    }


def main() -> None:
    """Print a Markdown table for each seed."""
    for seed in map(int, sys.argv[1:] or ["0"]):
        dialogues = list(generate_dialogues(sample_films(seed, "mini"), seed, "mini"))
        columns = [describe(dialogues, split) for split in ("train", "val", "test")]
        print(f"seed {seed} | train | val | test\n--- | --- | --- | ---")
        for name in columns[0]:
            print(" | ".join([name, *(f"{column[name]:.4g}" for column in columns)]))


if __name__ == "__main__":
    main()
