"""How an answer's text should be read: the index of a candidate and a time range, in English and Chinese.

An answer that cannot be read gives ``None``, which is wrong and equals nothing. A structured prediction is always
better than text; this is for result files that hold nothing else.
"""

from __future__ import annotations

import re
from functools import lru_cache

MAX_INDEX = 10

_NUMERALS = {numeral: value for value, numeral in enumerate("一二三四五六七八九十", start=1)} | {"两": 2}
_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
_WORDS: dict[str, int] = _NUMERALS | {word: value for value, word in enumerate(_ORDINALS, start=1)}

_HAN = "[一二三四五六七八九十两]"
# Not part of an index: more digits, decimals, seconds; a measure word ("视频一段" is "a piece of film").
_NUMBER_END = r"(?![0-9０-９]|[.:]\d|\s*(?:s|sec|secs|seconds?)\b|\s*秒)"
_HAN_END = rf"(?!{_HAN}|[个段秒分条部样直共起开致般些点边定种位])"
_FORWARD = (
    rf"(?<![a-z])(?:video|vid|视频)\s*(?:number\b|no\b|编号|第)?[\s.:：,，#_\"'“‘(（\[【<>*-]*"
    rf"(?:(?P<n1>[0-9０-９]{{1,4}}){_NUMBER_END}|(?P<h1>{_HAN}){_HAN_END})"
)
_BACKWARD = (
    rf"(?<![\d.])(?:(?P<n2>\d{{1,4}})(?:st|nd|rd|th)?|\b(?P<w2>{'|'.join(_ORDINALS)}))[>\])]?\s*video\b"
    rf"|第\s*(?:(?P<n3>\d{{1,4}})|(?P<h3>{_HAN}))\s*[个号部条段]?\s*视频"
    rf"|(?<!\d)(?:(?P<n4>\d{{1,4}})|(?P<h4>{_HAN}))\s*号\s*视频"
)
_INDEX = re.compile(f"{_FORWARD}|{_BACKWARD}", re.IGNORECASE)
_INDEX_BEFORE_RANGE = re.compile(_FORWARD, re.IGNORECASE)

_SECOND = r"(?:seconds?|secs?|s|秒钟?)(?![a-z])"
_CLOCK = r"(?:\d{1,3}:)?\d{1,3}:\d{2}(?:\.\d+)?"
_MINUTES = (
    r"(?:\d{1,3}\s*小?时\s*)?\d{1,4}\s*(?:分钟?|minutes?|mins?|m)(?![a-z])"
    rf"(?:\s*(?:and\s*)?\d{{1,4}}(?:\.\d+)?\s*{_SECOND})?"
)
_PLAIN = r"\d{1,9}(?:\.\d+)?"
_TO = r"\s*(?:开始)?\s*[,，]?\s*(?:-|–|—|−|~|～|〜|\bto\b|\buntil\b|\btill\b|至|到)\s*(?:第|the\s+)?\s*"
_BEGIN, _END = r"(?<![\d.:-])", r"(?![\d:]|\.\d|\s*-\s*\d)"
_RANGE = re.compile(
    rf"{_BEGIN}(?:(?P<clock1>{_CLOCK})|(?P<minutes1>{_MINUTES})|(?P<plain1>{_PLAIN})(?:\s*(?P<unit1>{_SECOND}))?)"
    rf"{_TO}(?:(?P<clock2>{_CLOCK})|(?P<minutes2>{_MINUTES})|(?P<plain2>{_PLAIN})(?:\s*(?P<unit2>{_SECOND}))?){_END}",
    re.IGNORECASE,
)
_BETWEEN = re.compile(
    rf"between (?P<start>{_CLOCK}|{_PLAIN})[a-z ]{{0,10}} and (?P<end>{_CLOCK}|{_PLAIN})", re.IGNORECASE
)
_START_AND_END = re.compile(
    rf"(?:start|begin)[a-z]*[^\d\n]{{0,20}}?(?P<start>{_CLOCK}|{_PLAIN})[^\d]{{0,40}}?"
    rf"(?:end|finish|stop)[a-z]*[^\d\n]{{0,20}}?(?P<end>{_CLOCK}|{_PLAIN})",
    re.IGNORECASE,
)


def index_bilingual(text: str) -> int | None:
    """The candidate that ``text`` names, 1 to `MAX_INDEX`, first mention.

    >>> [index_bilingual(text) for text in ("video 3.", "video #3", "happens in 3 video", "the third video")]
    [3, 3, 3, 3]
    >>> [index_bilingual(text) for text in ("在视频3中", "视频：三", "第十个视频", "<vid_7>")]
    [3, 3, 10, 7]
    >>> [index_bilingual(text) for text in ("video 12", "video 0", "10 videos", "这个视频一样好", "no idea")]
    [None, None, None, None, None]
    """
    match = _INDEX.search(text)
    if match is None:
        return None
    found = next(group for group in match.groups() if group is not None)
    value = _WORDS.get(found.lower()) or (int(found) if found.isdecimal() else 0)
    return value if 1 <= value <= MAX_INDEX else None


# An explanation reads each answer several times.
@lru_cache(maxsize=1 << 17)
def range_bilingual(text: str) -> tuple[float, float] | None:
    """The time range that ``text`` names, in seconds, earlier time first.

    A range with a unit or a clock time is preferred to a bare ``5-10``, which may be a date or a score.

    >>> range_bilingual("from 5 to 10 seconds"), range_bilingual("从5秒到10.5秒"), range_bilingual("1:05–1:20")
    ((5.0, 10.0), (5.0, 10.5), (65.0, 80.0))
    >>> range_bilingual("2024-05-01 at 5s-10s"), range_bilingual("video 3-5: 10-20"), range_bilingual("soon")
    ((5.0, 10.0), (10.0, 20.0), None)
    """
    return _range_in(_INDEX_BEFORE_RANGE.sub(" ", text)) or _range_in(text)


def _range_in(text: str) -> tuple[float, float] | None:
    bare = None
    match: re.Match[str] | None
    for match in _RANGE.finditer(text):
        start, end = (match[f"clock{n}"] or match[f"minutes{n}"] or match[f"plain{n}"] for n in (1, 2))
        plain = match["plain1"] and match["plain2"]
        if not plain or match["unit1"] or match["unit2"]:
            return _ordered(start, end)
        bare = bare or _ordered(start, end)
    if bare is None and (match := _BETWEEN.search(text) or _START_AND_END.search(text)):
        return _ordered(match["start"], match["end"])
    return bare


def _ordered(start: str, end: str) -> tuple[float, float]:
    a, b = _seconds(start), _seconds(end)
    return min(a, b), max(a, b)


def _seconds(time: str) -> float:
    """Seconds of ``12.5``, ``1:05``, ``1:02:03`` or ``1分5秒``.

    The numbers of a time stand largest unit first, so its last one is seconds, unless minutes end it.
    """
    numbers = [float(number) for number in re.findall(r"\d+(?:\.\d+)?", time)]
    if ":" not in time and re.search(r"(?:分钟?|m|mins?|minutes?)\s*$", time, re.IGNORECASE):
        numbers.append(0.0)
    seconds = 0.0
    for number in numbers:
        seconds = 60 * seconds + number
    return seconds
