"""Fuzz with coverage to guide it, where atheris is installed: ``python tests/fuzz/atheris_submission.py -runs=100000``.

Takes libFuzzer's options; half of the new inputs are made by `mutations.mutate`, half by libFuzzer.
"""

import sys
from random import Random

import atheris
from mutations import LONGEST, mutate

with atheris.instrument_imports(include=["ivcr_bench"]):
    from target import SEEDS, try_one


def mutator(content: bytes, most: int, seed: int) -> bytes:
    chance = Random(seed)
    kind = chance.random()
    if kind < 0.1 or not content:
        content = chance.choice(SEEDS)
    return mutate(content, SEEDS, chance)[:most] if kind < 0.5 else atheris.Mutate(content[:most], most)


def main() -> None:
    options = sys.argv if any(o.startswith("-max_len") for o in sys.argv) else [*sys.argv, f"-max_len={LONGEST}"]
    atheris.Setup(options, try_one, custom_mutator=mutator)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
