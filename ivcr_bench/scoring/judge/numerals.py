"""Chinese numerals as numbers."""

from __future__ import annotations

DIGITS = "零〇一二两三四五六七八九"
UNITS = {"十": 10, "百": 100, "千": 1000}
TEN_THOUSAND = "万"
NUMERALS = frozenset(DIGITS + "".join(UNITS) + TEN_THOUSAND)

_VALUES = dict(zip(DIGITS, (0, 0, 1, 2, 2, 3, 4, 5, 6, 7, 8, 9), strict=True))


def chinese_number(numeral: str) -> int:
    """The value of a numeral below 100 million; digits without units are read one by one.

    >>> [chinese_number(numeral) for numeral in ("两", "十二", "四千八百", "一九九六", "三万零五")]
    [2, 12, 4800, 1996, 30005]
    """
    if len(numeral) > 1 and all(character in _VALUES for character in numeral):
        return int("".join(str(_VALUES[character]) for character in numeral))
    total = section = digit = 0
    for character in numeral:
        if character in _VALUES:
            digit = _VALUES[character]
        elif character == TEN_THOUSAND:
            total, section, digit = (section + digit or 1) * 10_000, 0, 0
        else:
            section, digit = section + (digit or 1) * UNITS[character], 0
    return total + section + digit
