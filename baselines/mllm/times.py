"""Times in what a language model writes: the parts of the three parsers that are the same."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_SIGNS = str.maketrans({"、": ",", "。": ".", "〜": "~", **dict.fromkeys("‐‑‒–—―−", "-")})


@dataclass(frozen=True)
class Found:
    """A moment in seconds, and the name of the rule that found it."""

    start: float
    end: float
    rule: str


Rule = tuple[str, Callable[[str, float], tuple[float, float] | None]]
"""The name of a rule, and what finds a moment, in seconds, in a `simple` text about a film of so many seconds."""


def simple(text: str) -> str:
    """``text`` in lower case, full-width signs as ASCII, every dash a hyphen.

    >>> simple("从１２．５到 20 秒，｛0.1－0.2｝")
    '从12.5到 20 秒,{0.1-0.2}'
    """
    return unicodedata.normalize("NFKC", text).translate(_SIGNS).lower()


def first_found(text: str, rules: Sequence[Rule], duration: float, *, shortest: float = 0.0) -> Found | None:
    """The moment that the first applicable rule finds, its ends in order and within the film.

    Args:
        duration: of the film, in seconds.
        shortest: a moment shorter than this many seconds is made so long, within the film.
    """
    plain = simple(text)
    for name, rule in rules:
        pair = rule(plain, duration)
        if pair is not None:
            start, end = sorted(min(max(time, 0.0), duration) for time in pair)
            if end - start < shortest:
                start = max(min(start, duration - shortest), 0.0)
                end = min(start + shortest, duration)
            return Found(start, end, name)
    return None


def pair_of(pattern: str, whole: float | None = None) -> Callable[[str, float], tuple[float, float] | None]:
    """A rule: the first two groups of the first match of ``pattern``.

    Args:
        whole: what the end of the film is called, such as 100 where numbers are percent; ``None`` for seconds.
    """
    compiled = re.compile(pattern)

    def find(text: str, duration: float) -> tuple[float, float] | None:
        match = compiled.search(text)
        if match is None:
            return None
        unit = duration / whole if whole else 1.0
        return float(match[1]) * unit, float(match[2]) * unit

    return find
