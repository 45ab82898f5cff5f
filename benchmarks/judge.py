"""How fast a language model behind a network is asked, and in how much memory.

python benchmarks/judge.py [--turns 3200] [--latency 0.2] [--slots 64] [--stored 0]

A server on loopback, in a process of its own, answers each call after ``--latency`` seconds and refuses more than
``--slots`` at once. The ideal is turns * latency / slots. Memory is the resident set of this process, read at each
tenth of the turns. With ``--stored N`` so many turns are first put into the store and then read back, as in a replay.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tabulate import tabulate

from ivcr_bench.scoring.judge.items import JudgeItem, Label, Verdict
from ivcr_bench.scoring.judge.limits import Limits
from ivcr_bench.scoring.judge.openai_client import Settings
from ivcr_bench.scoring.judge.openai_judge import OpenAIJudge
from ivcr_bench.scoring.judge.retries import RetryPolicy
from ivcr_bench.scoring.judge.store import Record, VerdictStore, key_of

SERVER = Path(__file__).parents[1] / "tests/scoring/judge/loopback.py"
MODEL, KEY = "gpt-4o-2024-08-06", "any"
TEXT = "the red star circles a blue square at night while small snow falls on the desert sea and cities glow"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=3200)
    parser.add_argument("--latency", type=float, default=0.2)
    parser.add_argument("--slots", type=int, default=64)
    parser.add_argument("--stored", type=int, default=0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, VerdictStore(folder) as store:
        if asked.stored:
            replayed(store, asked.stored)
            return
        command = [sys.executable, str(SERVER), KEY, str(asked.latency), str(asked.slots)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
            throughput(store, server.stdout.readline().strip(), asked.turns, asked.latency, asked.slots)
            server.stdin.close()


def throughput(store: VerdictStore, url: str, turns: int, latency: float, slots: int) -> None:
    judge = OpenAIJudge(Settings(MODEL, KEY, url), store, limits=Limits(slots), policy=RetryPolicy(base=0.05))
    for _ in judge.judge(made_up(slots, "warm")):  # connections are made, modules loaded
        pass
    wall, cpu = time.perf_counter(), time.process_time()
    memory = watched(judge, turns)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    ideal = turns * latency / slots
    row = [turns, ideal, wall, 100 * ideal / wall, turns / wall, 1e3 * cpu / turns, os.getloadavg()[0]]
    print(tabulate([row], ["turns", "ideal s", "s", "% of ideal", "turns/s", "cpu ms a turn", "load"], floatfmt=".2f"))
    print("memory, MiB:", *memory)
    print(*judge.costs.lines(), sep="\n")


def replayed(store: VerdictStore, turns: int) -> None:
    judge = OpenAIJudge(Settings(MODEL, KEY, "http://127.0.0.1:9/v1"), store)
    wall = time.perf_counter()
    for item in made_up(turns):
        store.put(key_of(judge.judge_id, item), Record(Verdict(Label.SOMEWHAT, (item.reference[:40],)), raw="x" * 120))
    print(f"{turns} verdicts stored in {time.perf_counter() - wall:.1f} s, memory {resident()} MiB")
    wall = time.perf_counter()
    memory = watched(judge, turns)
    print(f"read back in {time.perf_counter() - wall:.1f} s, memory, MiB:", *memory)


def watched(judge: OpenAIJudge, turns: int) -> list[int]:
    """Judge so many turns; the resident set in MiB at each tenth."""
    memory = []
    for number, _ in enumerate(judge.judge(made_up(turns)), 1):
        if number % max(1, turns // 10) == 0:
            memory.append(resident())
    return memory


def resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") >> 20


def made_up(turns: int, name: str = "turn") -> Iterator[JudgeItem]:
    """Turns of the paper's size: questions of 24 words, references and answers of 124."""
    drawn, words = random.Random(0), TEXT.split()
    for number in range(turns):
        label = f"turn-{number // 5}-{number % 5 + 1}" if name == "turn" else f"turn-{number}-0"
        reference = f"{label} {' '.join(drawn.choices(words, k=123))}"
        candidate = " ".join(drawn.choices(words, k=124))
        query = " ".join(drawn.choices(words, k=24))
        yield JudgeItem(f"d{number // 5}", number % 5 + 1, "en", (query,), reference, candidate)


if __name__ == "__main__":
    main()
