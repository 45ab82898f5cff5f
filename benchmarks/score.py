"""What scoring costs at the paper's size, beside decoding the file, sacrebleu and the authors' scorer.

python benchmarks/score.py [--turns 193434] [--runs 3] [--keep DIR] [--json FILE]

Everything runs in fresh processes of one thread that take turns; a figure is the median of the runs. Ratios are of the
processor's seconds, which a busy machine disturbs least. The targets are meant for the paper's size. Some 20 minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from math import exp, inf, log
from pathlib import Path
from statistics import linear_regression, median
from typing import NamedTuple

from tabulate import tabulate

HERE = Path(__file__).parent
IVCR_BENCH = str(Path(sys.executable).with_name("ivcr-bench"))
PAPER_TURNS = 193_434
SCAN_TURNS = (2_000, 4_000, 8_000, 16_000)
START_RUNS = 7

KEEP, DROP = "msgspec decodes, keeps all", "msgspec decodes, keeps nothing"
REST, BLEU = "everything but BLEU", "BLEU"

Laps = dict[str, float]
"""The processor's seconds, by name."""


class Cost(NamedTuple):
    """Of a process, from start to end; ``peak`` is the most memory that it held, in bytes."""

    cpu: float
    wall: float
    peak: int


class Figures:
    """The tables, printed as they come, and what is aimed at."""

    def __init__(self) -> None:
        self.tables: dict[str, list[dict[str, object]]] = {}
        self._targets: list[tuple[str, float, str, float, str]] = []

    def show(self, headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Print a table; the first of the headers names it."""
        rows = list(rows)
        self.tables[headers[0]] = [dict(zip(headers, row, strict=True)) for row in rows]
        print(tabulate(rows, headers, floatfmt=".2f"), end="\n\n")

    def aim(self, name: str, found: float, *, least: float | None = None, most: float = inf) -> None:
        """Note a target: ``found`` is to be at least, or at most, so much."""
        met = found <= most if least is None else found >= least
        bound, limit = ("<=", most) if least is None else (">=", least)
        self._targets.append((name, found, bound, limit, "met" if met else "MISSED"))

    def show_targets(self) -> None:
        self.show(("target", "found", "", "limit", "is"), self._targets)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=PAPER_TURNS)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="make the datasets in DIR, or find them there")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to FILE, too")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    figures = Figures()
    with tempfile.TemporaryDirectory() as name:
        worlds = Worlds(options.keep or Path(name))
        measure_start(worlds, figures)
        measure_bleu(figures)
        measure_phases(worlds.of(options.turns), options.runs, figures)
        measure_growth(worlds, options.turns, options.runs, figures)
    figures.show_targets()
    if options.json is not None:
        options.json.write_text(json.dumps(figures.tables, indent=2) + "\n")


class Worlds:
    """Datasets with a submission each, made when they are first asked for."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def of(self, turns: int) -> Path:
        """The folder with so many turns."""
        folder = self._root / f"{turns}-turns"
        if not (folder / "dataset.json").is_file():
            say(f"making {turns:,} turns")
            folder.mkdir(parents=True, exist_ok=True)
            run_script("score_world.py", folder, turns)
        return folder

    def mini(self) -> tuple[Path, Path]:
        """IVCR-Mini, and a submission of ten lines."""
        folder, submission = self._root / "mini", self._root / "ten-lines.jsonl"
        run([IVCR_BENCH, "data", "mini", "--no-videos", "--out", folder])
        with (folder / "dialogues.jsonl").open(encoding="utf-8") as lines:
            tested = [dialogue for dialogue in map(json.loads, lines) if dialogue["split"] == "test"]
        answer = {"turn": 1, "intent": "video_retrieval", "text": "Here it is."}
        answers = [json.dumps({"dialogue_id": dialogue["dialogue_id"], **answer}) for dialogue in tested[:10]]
        submission.write_text("\n".join(answers) + "\n", encoding="utf-8")
        return folder, submission


def measure_start(worlds: Worlds, figures: Figures) -> None:
    mini, ten_lines = worlds.mini()
    commands: dict[str, list[str | Path]] = {
        "--help": [IVCR_BENCH, "--help"],
        "score, ten lines on ten turns": score_command(worlds.of(10)),
        "score, ten lines on IVCR-Mini": [IVCR_BENCH, "score", ten_lines, "--dataset", mini],
    }
    rows = []
    for name, command in commands.items():
        costs = [cost_of(command) for _ in range(START_RUNS)]
        walls = [cost.wall for cost in costs]
        rows.append((name, median(cost.cpu for cost in costs), min(walls), median(walls)))
    figures.show(("start", "cpu s", "wall s, least", "wall s, median"), rows)
    for name, _, _, wall in rows:
        figures.aim(f"start, {name}: wall s", wall, most=0.5)


def measure_bleu(figures: Figures) -> None:
    """What `benchmarks/bleu.py` prints."""
    rows = [line.split() for line in run_script("bleu.py").decode().splitlines()[2:]]
    table = [(f"{language}, {tokeniser}", *map(float, numbers)) for language, tokeniser, *numbers in rows]
    figures.show(("BLEU, tokeniser", "sacrebleu/s", "ours/s", "ratio", "our peak MB"), table)
    for language, tokeniser, *numbers in rows:
        figures.aim(f"BLEU, {language}, {tokeniser}: ours / sacrebleu", float(numbers[2]), least=5)


def measure_phases(world: Path, runs: int, figures: Figures) -> None:
    names = ("decode_and_keep", "decode_and_drop", "load", "validate", "score_without_bleu", "score", "bleu")
    found: dict[str, list[Laps]] = {name: [] for name in names}
    costs: list[Cost] = []
    for number in range(1, runs + 1):
        for name in names:
            say(f"run {number} of {runs}: {name}")
            found[name].append(laps_of("score_phases.py", name, world))
        costs.append(cost_of(score_command(world)))
    rows = phase_rows(
        {name: {lap: median(run[lap] for run in laps) for lap in laps[0]} for name, laps in found.items()}
    )
    rows["ivcr-bench score, as a command"] = median(cost.cpu for cost in costs)
    keep, drop = rows[KEEP], rows[DROP]
    table = [(name, seconds, seconds / keep, seconds / drop) for name, seconds in rows.items()]
    figures.show(("phase", "cpu s", "/ keeps all", "/ keeps nothing"), table)
    file, peak = (world / "submission.jsonl").stat().st_size, max(cost.peak for cost in costs)
    figures.show(("memory", "MiB"), [("submission", file / 2**20), ("ivcr-bench score, peak", peak / 2**20)])
    figures.aim(f"{REST} / {KEEP}", rows[REST] / keep, most=6)
    figures.aim(f"{REST} / {DROP}", rows[REST] / drop, most=6)
    figures.aim("peak memory / submission", peak / file, most=2)


def phase_rows(laps: dict[str, Laps]) -> Laps:
    """The rows of the table; what is only ever done together with something else is a difference."""
    rest, whole = laps["score_without_bleu"], laps["score"]
    load, validate = laps["load"]["load"], laps["validate"]["validate"]
    return {
        KEEP: sum(laps["decode_and_keep"].values()),
        DROP: sum(laps["decode_and_drop"].values()),
        "gold: read, check, fingerprint": rest["gold"],
        "load": load,
        "validate": validate - load,
        "outcomes": rest["judge"] - validate,
        "report, intervals included": rest["report"],
        "tables": rest["tables"],
        REST: sum(rest.values()),
        BLEU: sum(laps["bleu"].values()),
        "BLEU, by what it adds": whole["judge"] - rest["judge"],
        "everything": sum(whole.values()),
    }


def measure_growth(worlds: Worlds, turns: int, runs: int, figures: Figures) -> None:
    """The authors' scan beside ours, in seconds of the processor; beyond `SCAN_TURNS` a fitted law.

    The law falls short: a longer list of results leaves the processor's caches, and each look at one takes longer.
    """
    sizes = (*SCAN_TURNS, turns)
    scan: list[float] = []
    ours: list[float] = []
    rest: list[float] = []
    for size in sizes:
        say(f"growth: {size:,} turns")
        world = worlds.of(size)
        if len(scan) < len(SCAN_TURNS):
            scan.append(median(laps_of("authors_scan.py", world)["scan"] for _ in range(runs)))
        ours.append(median(cost_of(score_command(world)).cpu for _ in range(runs)))
        rest.append(median(sum(laps_of("score_phases.py", "score_without_bleu", world).values()) for _ in range(runs)))
    law = Law.of(SCAN_TURNS, scan)
    scan.append(law.at(turns))
    rows = [(n, a, o, a / o, r, a / r) for n, a, o, r in zip(sizes, scan, ours, rest, strict=True)]
    figures.show(("turns", "authors' scan", "ours", "ratio", f"ours, {REST}", "its ratio"), rows)
    laws = ("authors' scan", law), ("ours", Law.of(sizes, ours)), (f"ours, {REST}", Law.of(sizes, rest))
    table = [(name, grown.exponent, 1e9 * grown.factor) for name, grown in laws]
    figures.show(("cpu s = factor x turns ^ exponent", "exponent", "factor / 1e-9"), table)
    print(f"The authors' scan was measured up to {SCAN_TURNS[-1]:,} turns, and EXTRAPOLATED to {turns:,} by its law.\n")
    figures.aim(f"authors' scan (extrapolated) / ours, {turns:,} turns", scan[-1] / ours[-1], least=50)
    figures.aim(f"authors' scan (extrapolated) / ours, {REST}", scan[-1] / rest[-1], least=50)


class Law(NamedTuple):
    """Seconds as a power of the number of turns."""

    exponent: float
    factor: float

    @classmethod
    def of(cls, sizes: Sequence[int], seconds: Sequence[float]) -> Law:
        """The law nearest to what was measured, by least squares of the logarithms."""
        slope, intercept = linear_regression([log(size) for size in sizes], [log(second) for second in seconds])
        return cls(slope, exp(intercept))

    def at(self, turns: int) -> float:
        return self.factor * float(turns**self.exponent)


def score_command(world: Path) -> list[str | Path]:
    return [IVCR_BENCH, "score", world / "submission.jsonl", "--dataset", world, "--judge", "none"]


def laps_of(script: str, *arguments: object) -> Laps:
    laps: Laps = json.loads(run_script(script, *arguments))
    return laps


def run_script(name: str, *arguments: object) -> bytes:
    return run([sys.executable, HERE / name, *map(str, arguments)])


def run(command: Sequence[str | Path]) -> bytes:
    """What ``command`` prints."""
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout


def cost_of(command: Sequence[str | Path]) -> Cost:
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}: exit code {process.returncode}")
    return Cost(used.ru_utime + used.ru_stime, time.perf_counter() - start, used.ru_maxrss * 1024)


def say(what: str) -> None:
    print(f"... {what}", file=sys.stderr)


if __name__ == "__main__":
    main()
