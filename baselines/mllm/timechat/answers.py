"""The moment that an answer of TimeChat names: by the authors' rules, and by ours, which find more (sheet 4.3)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from baselines.mllm.times import Found, Rule, first_found

_NUMBER = r"(?<![a-z0-9.])(?<!\d:)\d+(?:\.\d+)?(?!\d|:\d|\.\d)(?!\s*%)"
_CLOCK = r"(?<![\d.])(?<!\d:)(?:\d{1,2}:)?\d{1,2}:\d{2}(?:\.\d+)?(?!\d|:\d)"
_MINUTES = (
    r"(?<![a-z0-9.])(?<!\d:)\d+\s*(?:分钟?|minutes?|mins?)(?:\s*(?:and\s*)?\d+(?:\.\d+)?\s*(?:秒|seconds?|secs?|s\b))?"
)
_UNIT = r"\s*(?:秒钟?|seconds?|secs?|s)(?![a-z])"
_TIME = rf"(?:{_CLOCK}|{_MINUTES}|{_NUMBER}(?:{_UNIT})?)"
_GAP = r"(?:\s|[*,'\"]|开始|起)*"
_STRONG = r"(?:-+|~+|to|until|till|through|直?到|直?至)"
_WEAK = r"(?:and|和|与|跟)"
_AFTER = r"(?:\s|[*'\"]|第|the|about|around|at)*"
_START = r"(?:start|begin|onset|开始|起始|起点)"
_END = r"(?:end|finish|stop|conclud|结束|终止|终点|截止)"
_ABOUT_TIME = re.compile(
    rf"{_START}|{_END}|happen|occur|between|from|time|second|\bsec|\d\s*s\b|秒|分|时间|发生|出现|:\d"
)
_SENTENCE = re.compile(r"[!?;\n]|\.(?!\d)")
_HYPHENATED = re.compile(r"(\d+\.*\d*)\s*-\s*(\d+\.*\d*)")
_WHOLE_NUMBER = re.compile(r"\b(\d+\.\d+\b|\b\d+)\b")
_KEYWORDS = ("start", "end", "happen")


def seconds_of(text: str) -> float:
    """A single time, in any of the ways in which it may be written, in seconds.

    >>> [seconds_of(text) for text in ("12.5 seconds", "1:05", "01:00:02.5", "2分3秒", "1 minute")]
    [12.5, 65.0, 3602.5, 123.0, 60.0]
    """
    if ":" in text:
        total = 0.0
        for part in text.split(":"):
            total = 60 * total + float(part)
        return total
    numbers = [float(number) for number in re.findall(r"\d+(?:\.\d+)?", text)]
    if re.search("分|min", text):
        return 60 * numbers[0] + sum(numbers[1:])
    return numbers[0]


def _two_times(pattern: str) -> Callable[[str, float], tuple[float, float] | None]:
    compiled = re.compile(pattern)

    def find(text: str, duration: float) -> tuple[float, float] | None:
        match = compiled.search(text)
        return (seconds_of(match[1]), seconds_of(match[2])) if match else None

    return find


def _sentence(text: str, duration: float) -> tuple[float, float] | None:
    """The first two times of the first sentence about time that has two."""
    for sentence in _SENTENCE.split(text):
        times = re.findall(_TIME, sentence)
        if len(times) > 1 and _ABOUT_TIME.search(sentence):
            return seconds_of(times[0]), seconds_of(times[1])
    return None


RULES: tuple[Rule, ...] = (
    ("range", _two_times(rf"({_TIME}){_GAP}{_STRONG}{_AFTER}({_TIME})")),
    ("start and end", _two_times(rf"{_START}[^\d%]*?({_TIME})[^\d%]*?{_END}[^\d%]*?({_TIME})")),
    ("end and start", _two_times(rf"{_END}[^\d%]*?({_TIME})[^\d%]*?{_START}[^\d%]*?({_TIME})")),
    ("between", _two_times(rf"(?:between|在|从)\s*第?({_TIME}){_GAP}{_WEAK}{_AFTER}({_TIME})")),
    ("brackets", _two_times(rf"[\[(<{{]\s*({_TIME})\s*,\s*({_TIME})\s*[\])>}}]")),
    ("sentence", _sentence),
)


def parse(text: str, duration: float) -> Found | None:
    """The moment in ``text``, within a film of ``duration`` seconds, or ``None``."""
    return first_found(text, RULES, duration)


def parse_upstream(text: str, duration: float) -> Found | None:
    """As the authors read answers: not cut to the film, and blind to "starts at 3 and ends at 9".

    Their code stops with an error at a number such as ``12..5``; here nothing is found. Their rule for clock times
    never applies and is left out.
    """
    lower = text.lower()
    numbers: list[str] = []
    if hyphenated := _HYPHENATED.search(lower):
        numbers = [hyphenated[1], hyphenated[2]]
    else:
        for line in re.split(r"[!?\n]", lower):
            if any(keyword in line for keyword in _KEYWORDS) and (number := _WHOLE_NUMBER.search(line)):
                numbers.append(number[1])
    try:
        start, end = sorted(float(number) for number in numbers[:2])
    except ValueError:
        return None
    return Found(start, end, "upstream")


PARSERS: Mapping[str, Callable[[str, float], Found | None]] = {"robust": parse, "upstream": parse_upstream}
