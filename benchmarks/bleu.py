"""BLEU's segments a second, beside sacrebleu: `python benchmarks/bleu.py [SEGMENTS]`.

Both start from texts in memory and end at the corpus figure, smoothed as is sacrebleu's default; the two figures must
first agree to 1e-9. Where the tokeniser is "none", sacrebleu is given our tokens with spaces between them; we always
find them in the plain text. Median CPU time of 5 runs, taken in turns, each with empty caches.
"""

from __future__ import annotations

import random
import sys
import time
import tracemalloc
from collections.abc import Callable
from itertools import accumulate
from statistics import median

from sacrebleu.metrics.bleu import BLEU
from tabulate import tabulate

from ivcr_bench.scoring.text import bleu, ngram_statistics, tokenise

RUNS = 5
ENGLISH_WORDS, CHINESE_CHARACTERS = 124, 180
Texts = list[str]


def main(segments: str = "3000") -> None:
    rows = []
    for language, texts, tokeniser in (("English", _english, "13a"), ("Chinese", _chinese, "zh")):
        answers, references = _pairs(texts(random.Random(1), int(segments)), random.Random(2))
        spaced = [" ".join(tokenise(text)) for text in answers], [" ".join(tokenise(text)) for text in references]
        for name, theirs in (("none", spaced), (tokeniser, (answers, references))):
            rows.append([language, name, *_compare(answers, references, name, theirs)])
    print(tabulate(rows, ["", "tokeniser", "sacrebleu/s", "ours/s", "ratio", "our peak MB"], floatfmt=".1f"))


def _compare(answers: Texts, references: Texts, tokeniser: str, theirs: tuple[Texts, Texts]) -> list[float]:
    def run_sacrebleu() -> float:
        metric = BLEU(tokenize=tokeniser, force=True)  # a new one finds nothing in the caches of its tokenisers
        return float(metric.corpus_score(theirs[0], [theirs[1]]).score / 100)

    def run_ours() -> float:
        return float(bleu(ngram_statistics(answers, references).sum(axis=0), smoothed=True))

    expected, found = run_sacrebleu(), run_ours()
    if abs(expected - found) > 1e-9:
        raise SystemExit(f"{tokeniser}: sacrebleu says {expected!r}, we say {found!r}")
    seconds = [(_time(run_sacrebleu), _time(run_ours)) for _ in range(RUNS)]
    slow, fast = (median(column) for column in zip(*seconds, strict=True))
    return [round(len(answers) / slow), round(len(answers) / fast), slow / fast, _peak(run_ours)]


def _time(run: Callable[[], float]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def _peak(run: Callable[[], float]) -> float:
    """The most memory that a run held, in MB, its result included and the texts not."""
    tracemalloc.start()
    run()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


def _english(rng: random.Random, segments: int) -> list[Texts]:
    """Words of 1 to 12 letters out of 20,000, as frequent as Zipf's law has it; a comma or stop every tenth word."""
    letters = "etaoinshrdlucmfwygpbvk"
    words = ["".join(rng.choices(letters, k=rng.randint(1, 12))) for _ in range(20_000)]
    return [
        [word + (rng.choice(",.") if rng.random() < 0.1 else "") + " " for word in text]
        for text in _by_zipf(rng, words, segments, ENGLISH_WORDS)
    ]


def _chinese(rng: random.Random, segments: int) -> list[Texts]:
    """Characters out of 3,000, as frequent as Zipf's law has it, the commonest being a comma."""
    return list(_by_zipf(rng, ["，", *map(chr, range(0x4E00, 0x4E00 + 3000))], segments, CHINESE_CHARACTERS))


def _by_zipf(rng: random.Random, words: Texts, segments: int, length: int) -> list[Texts]:
    weights = list(accumulate(1 / rank for rank in range(1, len(words) + 1)))
    return [rng.choices(words, cum_weights=weights, k=length) for _ in range(segments)]


def _pairs(texts: list[Texts], rng: random.Random) -> tuple[Texts, Texts]:
    """Answers and references: an answer keeps three words of four of its reference, the rest are of another text."""
    answers = [
        "".join(word if rng.random() < 0.75 else stray for word, stray in zip(text, other, strict=True))
        for text, other in zip(texts, texts[1:] + texts[:1], strict=True)
    ]
    return answers, ["".join(text) for text in texts]


if __name__ == "__main__":
    main(*sys.argv[1:])
