"""Fuzz the reading and scoring of submissions, without any dependency: ``python tests/fuzz/run.py --inputs 100000``.

Every input that crashes, hangs or is refused badly is written to ``--crashes``, and the exit code is 1.
"""

import argparse
import hashlib
import resource
import sys
import time
import traceback
from collections import Counter
from pathlib import Path
from random import Random

from mutations import mutate
from target import SEEDS, try_one

SPARE_MEMORY = 1 << 30
"""In bytes; an input that needs more ends in MemoryError, which counts as a crash."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--crashes", type=Path, default=Path("fuzz-crashes"))
    options = parser.parse_args()
    _limit_memory()
    chance, ends, crashes, slowest = Random(options.seed), Counter(), Counter(), 0.0
    start = time.monotonic()
    for number in range(options.inputs):
        content = mutate(chance.choice(SEEDS), SEEDS, chance)
        before = time.process_time()
        try:
            ends["scored" if try_one(content) else "refused"] += 1
        except Exception as error:
            ends["crashed"] += 1
            where = traceback.extract_tb(error.__traceback__)[-1]
            crashes[f"{type(error).__name__} at {Path(where.filename).name}:{where.lineno}"] += 1
            options.crashes.mkdir(exist_ok=True)
            (options.crashes / hashlib.sha256(content).hexdigest()[:16]).write_bytes(content)
        slowest = max(slowest, time.process_time() - before)
        if sys.stderr.isatty() and number % 1000 == 0:
            print(f"\r{number} inputs", end="", file=sys.stderr)
    seconds = time.monotonic() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(f"seed {options.seed}: {options.inputs} inputs in {seconds:.0f} s: {dict(ends)}")
    print(f"slowest input {slowest:.3f} s of CPU, peak memory {peak} MiB")
    for crash, count in crashes.most_common():
        print(f"  {count} x {crash}")
    return 1 if crashes else 0


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + SPARE_MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


if __name__ == "__main__":
    sys.exit(main())
