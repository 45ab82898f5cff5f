"""Which known name a misspelt one was meant to be, found in bounded time among tens of thousands."""

from __future__ import annotations

import re
from collections.abc import Collection
from difflib import get_close_matches
from heapq import nlargest

LEAST_RATIO = 0.6
"""As difflib measures it: twice the letters in common over the letters of both."""

_LONGEST, _MOST_PIECES, _MOST_CANDIDATES = 64, 12, 200
_PADDING = re.compile(r"(?<!\d)0+(?=\d)")


def nearest(found: str, known: Collection[str]) -> str | None:
    """The name in ``known`` that is most like ``found``; ``None`` if none is like it.

    Case does not count, nor do zeros before a number.

    difflib needs seconds for each question about 50,000 names. Here it is asked about 200 of them only: those that
    share most pairs of neighbouring letters with ``found``, and its first half or its last, one of which survives
    any single slip. Only the first 64 letters of ``found`` are looked at.

    >>> nearest("film-00l2", ["film-0001", "film-0012", "clip-0012"])
    'film-0012'
    >>> nearest("FILM-0012", ["film-0001", "film-0012"])
    'film-0012'
    >>> nearest("zebra", ["film-0001"]) is None
    True
    """
    sought = found[:_LONGEST].casefold()
    longest = len(sought) * (2 / LEAST_RATIO - 1)  # no longer or shorter name can reach the ratio
    shortest = len(sought) / (2 / LEAST_RATIO - 1)
    candidates = {name.casefold(): name for name in known if shortest <= len(name) <= longest}
    likely: Collection[str] = candidates
    if len(candidates) > _MOST_CANDIDATES:
        likely = _most_alike(sought, candidates)
    plain = {_PADDING.sub("", name): candidates[name] for name in likely}
    match = get_close_matches(_PADDING.sub("", sought), plain, n=1, cutoff=LEAST_RATIO)
    return plain[match[0]] if match else None


def _most_alike(sought: str, names: Collection[str]) -> list[str]:
    """The few of ``names`` that have most in common with ``sought``, by substring tests alone."""
    pairs = list({sought[start : start + 2] for start in range(len(sought) - 1)})
    pieces = pairs[:: len(pairs) // _MOST_PIECES + 1] or [sought]
    middle = (len(sought) + 1) // 2
    head, tail = sought[:middle], sought[-middle:]

    def alike(name: str) -> int:
        halves = name.startswith(head) + name.endswith(tail)
        return sum(map(name.__contains__, pieces)) + halves * len(pieces)

    return nlargest(_MOST_CANDIDATES, names, key=alike)
