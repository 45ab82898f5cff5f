"""How the authors' scripts read an answer's text, written anew; their oddities are the point of this module.

Sources: ``metrics/eval.py`` (2025); ``utils/format_tvg.py``, ``evaluate.py``, ``metrics/tvg/eval_video.py`` (2024) of
ivcr200k/ivcr200k.github.io. How an answer should be read is in `ivcr_bench.scoring.official.bilingual`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

_INDEX = re.compile(r"\bvideo\s+(10|[0-9])\b", re.IGNORECASE)
_GOLD_RANGE = re.compile(r"(\d+(?:\.\d+)?)s-(\d+(?:\.\d+)?)s")
_RANGE = re.compile(r"(\d+\.*\d*)s?\s*-\s*(\d+\.*\d*)s?")
_FIRST_NUMBER = re.compile(r"\b(\d+\.\d+\b|\b\d+)\b")
_INSTRUCTION = "a specific example is : 20.8 - 30.0 seconds"
_LINE_WORDS = ("start", "end", "happen")
"""What `range_2024` looks for in a line; the script's longer words all contain one of these."""

_TAGS_END = "</VIDEO>."
_TIMES_START = "The video contains"
_TIMES_END = "seconds."


def index_2025(text: str) -> int | None:
    """The first ``video N``, N from 0 to 10.

    >>> index_2025("Video  7, as asked"), index_2025("happens in 3 video"), index_2025("在video 3中")
    (7, None, None)
    """
    match = _INDEX.search(text)
    return int(match[1]) if match else None


def index_2024(sentence: str) -> int:
    """The first run of digits; 0 if there is none.

    >>> index_2024(" It happens in <12> video."), index_2024("none")
    (12, 0)
    """
    match = re.search(r"\d+", sentence)
    return int(match[0]) if match else 0


def gold_range(text: str) -> list[float]:
    """All ``Xs-Ys`` of a gold answer, flat; the scorer uses the first two numbers.

    >>> gold_range("in video 1 at 1.5s-3.2s and 10s-15.5s"), gold_range("12.3 - 20.1 seconds")
    ([1.5, 3.2, 10.0, 15.5], [])
    """
    return [float(seconds) for match in _GOLD_RANGE.findall(text) for seconds in match]


# An explanation reads each answer twenty times.
@lru_cache(maxsize=1 << 17)
def range_2025(text: str) -> tuple[float, float]:
    """The first ``X-Y``, else the first numbers of the first two lines that have one; (0, 0) if nothing is found.

    >>> range_2025("7-3"), range_2025("from 5 to 10 seconds"), range_2025("video 3 from 5 to 10\\nline 7")
    ((3.0, 7.0), (0.0, 0.0), (3.0, 7.0))
    """
    found = _extract_time(text, ("",))
    return (found[0][0], found[0][1]) if found else (0.0, 0.0)


def range_2024(text: str) -> list[list[float]]:
    """As `range_2025`, but only lines that speak of a start or an end give numbers; at most one range.

    >>> range_2024("It starts at 5.\\nIt ends at 9."), range_2024("5 to\\n10")
    ([[5.0, 9.0]], [])
    """
    return _extract_time(text, _LINE_WORDS)


def hull_iou(a: Sequence[float], b: Sequence[float]) -> float:
    """Overlap over hull; true IoU wherever the two overlap, else 0.

    Raises:
        ZeroDivisionError: both are the same instant.
    """
    overlap = min(a[1], b[1]) - max(a[0], b[0])
    return max(overlap, 0) / (max(a[1], b[1]) - min(a[0], b[0]))


def sentences_2024(text: str, *, decimal_point_ends: bool = True) -> tuple[str, str] | None:
    """The first two sentences, each up to its period; ``None`` with fewer than two periods.

    >>> sentences_2024("The intent is video retrieval. It is video 3. So.")
    ('The intent is video retrieval.', ' It is video 3.')
    >>> sentences_2024("It is at 1.5 s. Yes."), sentences_2024("It is at 1.5 s. Yes.", decimal_point_ends=False)
    (('It is at 1.', '5 s.'), ('It is at 1.5 s.', ' Yes.'))
    """
    period = r"\." if decimal_point_ends else r"\.(?!\d)"
    match = re.match(rf"((?:(?!{period}).)*\.)((?:(?!{period}).)*\.)", text, re.DOTALL)
    return (match[1], match[2]) if match else None


def strip_prompt(user_q: str) -> str:
    """The query alone: without candidate tags, without the times of the frames, without outer blanks.

    >>> strip_prompt("Candidate videos : <VID> 1 </VID> <VIDEO> <VIDEOTOKEN> </VIDEO>.a dog runs ")
    'a dog runs'
    >>> strip_prompt("Current video : <VID> 2 </VID> <VIDEO> <VIDEOTOKEN> </VIDEO>. "
    ...              "The video contains 2 frames sampled at 0.0, 3.2 seconds.when?")
    'when?'
    """
    text = user_q.rpartition(_TAGS_END)[2].lstrip()
    if text.startswith(_TIMES_START) and _TIMES_END in text:
        text = text.partition(_TIMES_END)[2]
    return text.strip()


def _extract_time(text: str, line_words: Sequence[str]) -> list[list[float]]:
    """The script's third stage, for HH:MM:SS, is left out: it asks a tuple for its colons and never finds one."""
    text = re.sub(r"\.{2,}", ".", text.lower().replace(_INSTRUCTION, ""))
    pairs = [(float(start), float(end)) for start, end in _RANGE.findall(text)]
    if not pairs:
        lines = (line for line in re.split(r"[!?\n]", text) if any(word in line for word in line_words))
        numbers = [float(match[1]) for line in lines if (match := _FIRST_NUMBER.search(line))]
        pairs = list(zip(numbers[::2], numbers[1::2], strict=False))
    return [[min(pair), max(pair)] for pair in pairs[:1]]
