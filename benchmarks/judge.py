"""How fast a language model behind a network is asked, and in how much memory.

python benchmarks/judge.py [--turns 3200] [--latency 0.2] [--slots 64]
python benchmarks/judge.py --offline --turns 200000

A server on loopback, in a process of its own, answers each call after ``--latency`` seconds and refuses more than
``--slots`` at once. The ideal is turns * latency / slots. Memory is the resident set of this process, read at each
tenth of the turns. With ``--offline`` an answer is there at once, without a server: the memory and the processor's time
of all but HTTP; the verdicts are then read back from the store.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tabulate import tabulate

from ivcr_bench.scoring.judge.items import JudgeItem
from ivcr_bench.scoring.judge.limits import Limits
from ivcr_bench.scoring.judge.openai_client import ChatClient, Choice, Completion, Message, Settings, _Usage
from ivcr_bench.scoring.judge.openai_judge import OpenAIJudge
from ivcr_bench.scoring.judge.retries import RetryPolicy
from ivcr_bench.scoring.judge.store import VerdictStore

SERVER = Path(__file__).parents[1] / "tests/scoring/judge/loopback.py"
MODEL, KEY = "gpt-4o-2024-08-06", "any"
TEXT = "the red star circles a blue square at night while small snow falls on the desert sea and cities glow"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=3200)
    parser.add_argument("--latency", type=float, default=0.2)
    parser.add_argument("--slots", type=int, default=64)
    parser.add_argument("--offline", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, VerdictStore(folder) as store:
        if asked.offline:
            offline(store, asked.turns)
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


def offline(store: VerdictStore, turns: int) -> None:
    async def ask(_: ChatClient, body: dict[str, Any]) -> Completion:
        data, _ = json.JSONDecoder().raw_decode(body["messages"][1]["content"])
        reference = next(value for name, value in data.items() if name.startswith("reference"))
        verdict = {"evidence": [reference[:40]], "flags": [], "label": "somewhat_relevant"}
        return Completion(MODEL, (Choice(Message(json.dumps(verdict))),), _Usage(1000, 80))

    ChatClient.ask = ask
    judge = OpenAIJudge(Settings(MODEL, KEY, "http://127.0.0.1:9/v1"), store)
    for what in ("judged", "read back"):
        wall, cpu = time.perf_counter(), time.process_time()
        memory = watched(judge, turns)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        print(f"{what}: {wall:.1f} s, cpu ms a turn {1e3 * cpu / turns:.3f}, memory, MiB:", *memory)
    print(f"store and ledger, MiB: {sum(path.stat().st_size for path in store.folder.rglob('*')) >> 20}")


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
