"""What a text says, as far as the rule judge can tell: its concepts in order, its times, and what it denies."""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

from ivcr_bench.schema import Interval
from ivcr_bench.scoring.judge.lexicon import (
    ATTRIBUTES,
    EXCLUSIVE,
    MARK,
    NEGATOR,
    PERSON,
    RELATION,
    STOP,
    Concept,
    Lexicon,
)
from ivcr_bench.scoring.judge.times import times_in

REACH = 3
"""An attribute belongs to the next thing among so many concepts."""

CHINESE = re.compile("[㐀-鿿豈-﫿]")

_WORDS = re.compile(r"[^\W\d_]+(?:['’][a-z]+)?|\d+(?:[.,]\d+)*|[.,;:!?()]")
_PASSIVE = re.compile(r"\b(?:is|are|was|were|been|being|gets?|got) \w+(?: \w+)? by\b|被")


class Reading(Struct, frozen=True):
    """A text, read.

    Attributes:
        text: lower-case.
        words: every word and mark, Chinese ones as the lexicon cuts them.
        function_words: how many of them say nothing by themselves.
        units: keys of the concepts that carry content, in order; ``kinds`` and ``clauses`` run parallel.
        unit_set: the units, each once.
        values: exclusive class -> its concepts in the text.
        denied: what stands right after a negator: one unit, or two where they are single Chinese characters.
        times: in seconds.
    """

    text: str
    words: list[str]
    function_words: int
    units: list[str]
    kinds: list[str]
    clauses: list[int]
    unit_set: set[str]
    values: dict[str, set[str]]
    denied: set[tuple[str, ...]]
    times: tuple[Interval, ...]

    def bindings(self) -> dict[tuple[str, str], set[str]]:
        """(thing, class) -> the attributes of that class that the thing has: its own, and a person's clothes' too."""
        bindings: dict[tuple[str, str], set[str]] = {}
        if ATTRIBUTES.isdisjoint(self.values):
            return bindings
        person: tuple[int, str] | None = None
        for place, (unit, kind, clause) in enumerate(zip(self.units, self.kinds, self.clauses, strict=True)):
            if kind == PERSON:
                person = clause, unit
            if kind in ATTRIBUTES:
                thing = self._next_thing(place, clause)
                if thing is not None:
                    bindings.setdefault((thing, kind), set()).add(unit)
                if person is not None and person[0] == clause and thing != person[1]:
                    bindings.setdefault((person[1], kind), set()).add(unit)
        return bindings

    def passive(self) -> bool:
        """Whether the done-to may stand before the doer."""
        return _PASSIVE.search(self.text) is not None

    def sides(self) -> Iterator[tuple[str, set[str], set[str]]]:
        """Each relation where it stands first: its key, what stands before it in its clause and what after it."""
        for unit in {unit for unit, kind in zip(self.units, self.kinds, strict=True) if kind == RELATION}:
            place = self.units.index(unit)
            clause = self.clauses[place]
            same = [index for index, other in enumerate(self.clauses) if other == clause and index != place]
            before = {self.units[index] for index in same if index < place}
            yield unit, before, {self.units[index] for index in same if index > place}

    def _next_thing(self, place: int, clause: int) -> str | None:
        for index in range(place + 1, min(place + 1 + REACH, len(self.units))):
            if self.clauses[index] != clause:
                return None
            if self.kinds[index] not in ATTRIBUTES:
                return self.units[index]
        return None


def read(text: str, lexicon: Lexicon) -> Reading:
    """Read ``text``, in English, in Chinese or mixed."""
    lowered = text.lower()
    times, rest = times_in(lowered)
    if rest.isascii() or not CHINESE.search(rest):
        words = _WORDS.findall(rest)
        concepts = lexicon.english(words)
    else:
        words, concepts = lexicon.chinese(rest)
    return _reading(lowered, words, concepts, times)


def _reading(text: str, words: list[str], concepts: list[Concept], times: tuple[Interval, ...]) -> Reading:
    units: list[str] = []
    kinds: list[str] = []
    clauses: list[int] = []
    values: dict[str, set[str]] = {}
    denied: set[tuple[str, ...]] = set()
    clause = function_words = 0
    denial: list[str] | None = None
    for key, kind in concepts:
        if kind == STOP:
            function_words += 1
        elif kind == MARK:
            clause, denial = clause + 1, None
        elif kind == NEGATOR:
            denial = []
        else:
            units.append(key)
            kinds.append(kind)
            clauses.append(clause)
            if kind in EXCLUSIVE:
                values.setdefault(kind, set()).add(key)
            if denial is not None:
                denial.append(key)
                if len(denial) == 2 or not CHINESE.match(key):
                    denied.add(tuple(denial))
                    denial = None
    return Reading(text, words, function_words, units, kinds, clauses, set(units), values, denied, times)
