"""The first layer against attacks: texts without what a reader cannot see, and of bounded length."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

PREPROCESSING = "normalise/1"
"""Changes whenever a text could come out otherwise; part of a judge's identity."""

LONGEST = 2000
"""A text is cut to so many characters."""

_NEWLINES = re.compile(r"\n{4,}")
_UNSEEN = frozenset({"Cc", "Cf", "Co", "Cs", "Cn"})
_SEEN_AS_NEWLINE = frozenset("\r\u2028\u2029")
_UNSEEN_LETTERS_AND_MARKS = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""What Unicode calls default ignorable although its category is a letter's or a mark's."""


@dataclass(frozen=True, slots=True)
class Normalised:
    """A text as judges see it; ``truncated`` if it was longer than `LONGEST`."""

    text: str
    truncated: bool


def normalise(text: str) -> Normalised:
    r"""NFC without invisible characters, with at most three newlines in a row, cut to `LONGEST` characters.

    Controls (but for newline and tab), format characters (bidirectional overrides, zero-width), surrogates, private
    and unassigned code points are dropped, white space at either end too. Applying it twice changes nothing.

    >>> normalise("\u202ehigh\u200bly\x00 \n\n\n\n\n rele\u0301vant ")
    Normalised(text='highly \n\n\n relévant', truncated=False)
    """
    if text.isprintable() and not _UNSEEN_LETTERS_AND_MARKS.search(text) and unicodedata.is_normalized("NFC", text):
        text = text.strip()
        return Normalised(text[:LONGEST].strip(), len(text) > LONGEST)
    seen = _NEWLINES.sub("\n\n\n", text.replace("\r\n", "\n").translate(_KEPT)).strip()
    # Composing takes quadratic time on a flood of marks, so what is cut anyway is cut before, too.
    composed = unicodedata.normalize("NFC", seen[: 2 * LONGEST])
    return Normalised(composed[:LONGEST].strip(), len(seen) > 2 * LONGEST or len(composed) > LONGEST)


class _Kept(dict[int, str | None]):
    """What `str.translate` makes of each character; grows with the characters met."""

    def __missing__(self, code: int) -> str | None:
        character = chr(code)
        if character in _SEEN_AS_NEWLINE:
            kept: str | None = "\n"
        elif character in "\n\t":
            kept = character
        elif unicodedata.category(character) in _UNSEEN or _UNSEEN_LETTERS_AND_MARKS.match(character):
            kept = None
        else:
            kept = character
        self[code] = kept
        return kept


_KEPT = _Kept()
