"""Moments in what GroundingGPT wrote: fractions of the film between braces, and what else language models write.

The authors publish no parser. Ours tries, in this order: ``{0.09,0.15}``; a pair in other brackets; ``from 0.2 to
0.4``; all with fractions. Then the same shapes with larger numbers: percent if a sign says so, else seconds.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from itertools import product

from baselines.mllm.times import Found, Rule, first_found

STEPS = 64
"""A moment without length is widened to this part of the film: one frame, at the published sizes."""
OVERSHOOT = 2.0
"""An end between braces may exceed the film; beyond this it is no fraction."""
_NUMBER = r"(?<![\d.-])(?<!\d:)((?>\d+(?:\.\d+)?|\.\d+))(?!\.?\d|:\d)\s*(%?)(?:\s*(?:seconds?|secs?|s|秒)(?![a-z]))?"
_SECOND = _NUMBER.replace("(?<![\\d.-])", "(?<![\\d.])")
_PAIR = rf"\s*{_NUMBER}\s*,\s*{_NUMBER}\s*"
_SHAPES = {
    "braces": re.compile(rf"\{{{_PAIR}\}}"),
    "brackets": re.compile(rf"[\[【]{_PAIR}[\]】]|\({_PAIR}\)|<{_PAIR}>"),
    "range": re.compile(
        rf"{_NUMBER}\s*(?:to|until|till|through|-|~|到|至)\s*第?\s*{_SECOND}(?!\s*-\s*\d)"
        rf"|between\s+{_NUMBER}\s+and\s+{_NUMBER}|在\s*{_NUMBER}\s*[和与]\s*{_NUMBER}"
    ),
}
"""Groups are, for each alternative: a number, its percent sign, the other number, its percent sign."""
Interval = tuple[float, float]
Reading = Callable[[float, float, bool, str, float], Interval | None]


def parse(text: str, duration: float) -> Found | None:
    """The first moment that ``text`` names, in seconds within the film; ``None`` if it names none."""
    found = first_found(text, _RULES, duration)
    if found is not None and found.start == found.end:
        return first_found(text, _RULES, duration, shortest=duration / STEPS)
    return found


def _fractions(first: float, last: float, percent: bool, shape: str, duration: float) -> Interval | None:
    most = OVERSHOOT if shape == "braces" else 1.0
    if percent or min(first, last) > 1.0 or max(first, last) > most:
        return None
    return first * duration, last * duration


def _larger(first: float, last: float, percent: bool, shape: str, duration: float) -> Interval | None:
    if percent:
        return first / 100 * duration, last / 100 * duration
    return first, last


def _find(shape: str, read: Reading, text: str, duration: float) -> Interval | None:
    """The first pair of a shape that ``read`` can make sense of."""
    for match in _SHAPES[shape].finditer(text):
        first, sign, last, other_sign = (part for part in match.groups() if part is not None)
        found = read(float(first), float(last), bool(sign or other_sign), shape, duration)
        if found is not None:
            return found
    return None


_RULES: list[Rule] = [
    (f"{unit} in {shape}", partial(_find, shape, read))
    for (unit, read), shape in product((("fractions", _fractions), ("percent or seconds", _larger)), _SHAPES)
]
