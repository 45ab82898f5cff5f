"""What is fuzzed: bytes are read from standard input, checked and scored against a tiny dataset in memory."""

import gzip
import io
import json
import math
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from wrong_files import DIALOGUES, FILMS, RIGHT, WRONG

from ivcr_bench.data.dataset import Dataset, DatasetCard
from ivcr_bench.data.fingerprint import fingerprint
from ivcr_bench.errors import IvcrError
from ivcr_bench.jsonl import encode_line
from ivcr_bench.scoring.gold import GoldTurns
from ivcr_bench.scoring.report import score
from ivcr_bench.submission import MAX_FAULTS, Submission, open_submission, read_submission

LONGEST_MESSAGE = 2500 * (MAX_FAULTS + 1)
MOST_SECONDS = 2.0
"""Of CPU, for one input; one takes half a millisecond or so."""

LONGEST_SEED = 20_000
SEEDS = [*RIGHT.values()] * 10 + [
    content for cases in WRONG.values() for content, _ in cases.values() if len(content) < LONGEST_SEED
]
"""Mostly right files, since those still do something once they are changed."""

GOLD = GoldTurns.of(
    Dataset(Path("tiny"), DatasetCard(name="tiny", fingerprint=fingerprint(FILMS, DIALOGUES)), FILMS, DIALOGUES), "test"
)


def try_one(content: bytes) -> bool:
    """Whether ``content`` was scored rather than refused.

    Raises:
        AssertionError: it was scored wrongly, refused badly, or took long; anything else is a crash.
    """
    start = time.process_time()
    sys.stdin = io.TextIOWrapper(io.BytesIO(content))
    try:
        report = score(GOLD, open_submission("-"), intervals=False)
    except IvcrError as error:
        _check_message(str(error))
        scored = False
    else:
        _check_figures(report)
        _check_read(content)
        scored = True
    assert time.process_time() - start < MOST_SECONDS, f"took {time.process_time() - start:.1f} s"
    return scored


def _check_message(message: str) -> None:
    assert message.startswith("-"), message
    assert len(message) < LONGEST_MESSAGE, f"{len(message)} characters"
    odd = {character for character in message if not character.isprintable()} - {"\n"}
    assert not odd, f"steers the terminal: {odd}"


def _check_figures(report) -> None:
    assert sum(report.statuses.values()) == len(GOLD)
    for figures in report.overall.values():
        for name, figure in figures.items():
            assert figure.value is None or (math.isfinite(figure.value) and 0 <= figure.value <= 1), (name, figure)


def _check_read(content: bytes) -> None:
    """What was scored says one thing only, and says it again when it is written and read again."""
    plain = gzip.decompress(content) if content[:1] == b"\x1f" else content
    for line in plain.split(b"\n"):
        if line.strip():
            json.loads(line, object_pairs_hook=_require_unique)
    sys.stdin = io.TextIOWrapper(io.BytesIO(content))
    first = read_submission("-")
    header = () if first.header is None else (first.header,)
    sys.stdin = io.TextIOWrapper(io.BytesIO(b"".join(map(encode_line, (*header, *first.turns)))))
    again = read_submission("-")
    assert again == Submission(first.header, first.turns, again.lines)


def _require_unique(pairs):
    names = [name for name, _ in pairs]
    assert len(set(names)) == len(names), f"scored although a key is repeated: {names}"
