"""How often a 95 % interval holds the truth when turns depend on each other, and what intervals cost.

    python benchmarks/intervals.py

Worlds: dialogues of 1 to 7 turns; each dialogue has its own chance that a turn is right, Beta(0.3, 0.3), so that two of
its turns correlate by 0.625; the truth is 1/2. The naive interval resamples turns instead of dialogues.
"""

from __future__ import annotations

import time

import numpy as np
from tabulate import tabulate

from ivcr_bench.scoring.statistics.bootstrap import bootstrap_sums, percentile_interval
from ivcr_bench.scoring.statistics.resampling import GROUPS, unit_sums

WORLDS, REPEATS = 400, 5


def coverage(units: np.ndarray) -> float:
    sums = bootstrap_sums(units)
    low, high = percentile_interval(sums[:, 0::2] / sums[:, 1::2])
    return float(((low <= 0.5) & (high >= 0.5)).mean())


def measure(random: np.random.Generator, dialogues: int) -> tuple[float, float]:
    dialogue = np.repeat(np.arange(dialogues), random.integers(1, 8, dialogues))
    chance = random.beta(0.3, 0.3, (dialogues, WORLDS))
    statistics = np.ones((len(dialogue), 2 * WORLDS))
    statistics[:, 0::2] = random.random((len(dialogue), WORLDS)) < chance[dialogue]
    turn_by_turn = unit_sums(statistics, np.arange(len(dialogue)), len(dialogue))
    return coverage(unit_sums(statistics, dialogue, dialogues)), coverage(turn_by_turn)


def main() -> None:
    random = np.random.default_rng(1)
    rows = []
    for dialogues in (10, 20, 50, 200, 1_000, 5_000):
        by_dialogue, by_turn = np.mean([measure(random, dialogues) for _ in range(REPEATS)], axis=0)
        rows.append([dialogues, f"{100 * by_dialogue:.1f}", f"{100 * by_turn:.1f}"])
    print(f"coverage in %, {WORLDS * REPEATS} worlds each (standard error of 95 %: 0.5)")
    print(tabulate(rows, ["dialogues", "over dialogues", "over turns"], disable_numparse=True))
    for columns in (750, 2_000):
        units = random.integers(0, 100, (GROUPS, columns)).astype(float)
        start = time.perf_counter()
        bootstrap_sums(units)
        print(f"{columns} columns of {GROUPS} units: {time.perf_counter() - start:.2f} s")


if __name__ == "__main__":
    main()
