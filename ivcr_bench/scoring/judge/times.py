"""Times in a text, however they are written: ``1:12``, ``72 s``, ``1分12秒``, "between 72 and 80 seconds"."""

from __future__ import annotations

import re
from typing import NamedTuple

from ivcr_bench.schema import Interval
from ivcr_bench.scoring.judge.numerals import chinese_number

_NUMBER = r"(?:\d{1,6}(?:\.\d{1,6})?|[零〇一二两三四五六七八九十百]{1,7})"
_POINT = re.compile(
    rf"""
    (?=[\d第零〇一二两三四五六七八九十百]) (?<![\d:.]) (?!(?:1[5-9]|20)\d0s\b)
    (?: (?:(?P<clock_hours>\d{{1,2}}):)? (?P<clock_minutes>\d{{1,3}})
        :(?P<clock_seconds>\d{{2}}(?:\.\d{{1,6}})?)(?!:?\d)
      | 第?(?:(?P<hours>{_NUMBER})\s?(?:hours?|hrs?|h|小时)\s?)?
        (?:(?P<minutes>{_NUMBER})\s?(?:minutes?|mins?|m|分钟?)\s?(?:and\s)?)?
        (?P<seconds>{_NUMBER})\s?(?:seconds?|secs?|s|秒钟?)(?![a-z])
      | (?P<only_minutes>{_NUMBER})\s?(?:minutes?|mins?|分钟)(?![a-z])
      | (?P<bare>{_NUMBER})
    )""",
    re.VERBOSE | re.IGNORECASE,
)
_BETWEEN = re.compile(r"\s*(?:to|until|till|and|through|up to|[-–—~～]|至|到|起?到|直到|和)\s*", re.IGNORECASE)
_MAY_HOLD_TIMES = re.compile(r"\d|[一二三四五六七八九十零]\s?[分秒]")


class Times(NamedTuple):
    """Times of a text, in seconds.

    Attributes:
        intervals: in the order of the text; a time that stands alone is an instant.
        rest: the text with a space for each time.
    """

    intervals: tuple[Interval, ...]
    rest: str


def times_in(text: str) -> Times:
    """Read the times of ``text``.

    >>> times_in("Between 72 and 80 seconds the keeper dives.")
    Times(intervals=((72.0, 80.0),), rest='Between   the keeper dives.')
    >>> times_in("两分零五秒到2分20秒，新娘扔捧花").intervals
    ((125.0, 140.0),)
    >>> times_in("it starts at 3:30 and lasts until 4:05").intervals
    ((210.0, 245.0),)
    """
    if not _MAY_HOLD_TIMES.search(text):
        return Times((), text)
    intervals: list[Interval] = []
    spans: list[tuple[int, int]] = []
    points = list(_POINT.finditer(text))
    place = 0
    while place < len(points):
        first, second = points[place], points[place + 1] if place + 1 < len(points) else None
        place += 1
        if second is not None and _is_interval(text, first, second):
            place += 1
            ends = _seconds(first), _seconds(second)
            intervals.append((min(ends), max(ends)))
            spans.append((first.start(), second.end()))
        elif not first["bare"]:
            intervals.append((_seconds(first), _seconds(first)))
            spans.append(first.span())
    if len(intervals) == 2 and all(start == end for start, end in intervals):
        intervals = [(min(intervals)[0], max(intervals)[0])]
    return Times(tuple(intervals), _without(text, spans))


def _is_interval(text: str, first: re.Match[str], second: re.Match[str]) -> bool:
    """Whether two points are the ends of one; numbers without a unit are points only if they have decimals."""
    if second["bare"] and not (first["bare"] and "." in first["bare"] and "." in second["bare"]):
        return False
    return _BETWEEN.fullmatch(text, first.end(), second.start()) is not None


def _seconds(point: re.Match[str]) -> float:
    hours = point["clock_hours"] or point["hours"]
    minutes = point["clock_minutes"] or point["minutes"] or point["only_minutes"]
    seconds = point["clock_seconds"] or point["seconds"] or point["bare"]
    return 3600 * _value(hours) + 60 * _value(minutes) + _value(seconds)


def _value(numeral: str | None) -> float:
    if numeral is None:
        return 0.0
    return float(numeral) if numeral.isascii() else float(chinese_number(numeral))


def _without(text: str, spans: list[tuple[int, int]]) -> str:
    for start, end in reversed(spans):
        text = f"{text[:start]} {text[end:]}"
    return text
