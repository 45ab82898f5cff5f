"""What words mean to the rule judge: synonyms, in English and Chinese, and which concepts exclude each other.

`lexicon.tsv` holds one concept a line. A word that stands in no line means itself: its stem in English, each of its
characters in Chinese.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from ivcr_bench.scoring.judge.numerals import NUMERALS, chinese_number

STOP, NEGATOR, RELATION, NUMBER, PERSON = "stop", "neg", "relation", "number", "person"
PLAIN = "plain"
"""The kind of what stands in no line."""
MARK = "mark"
"""The kind of a mark that ends a clause."""
SIZE = "size"
ATTRIBUTES = frozenset({"colour", SIZE, NUMBER})
"""Classes that say something about the thing named next."""
EXCLUSIVE = ATTRIBUTES | {"genre", PERSON, "shape", "place", "motion"}
"""Classes whose concepts exclude each other: a coat is not red if it is blue."""

_STEM_LENGTH = 7
_CONTRACTED = re.compile("['’](?:s|re|ll|ve|m|d)$")
_VOWEL = re.compile("[aeiouy]")


class Concept(NamedTuple):
    """What a word or phrase means: the same where keys are equal, in either language; ``kind`` is the line's class."""

    key: str
    kind: str


class Lexicon:
    """Concepts by word, in both languages; the first line that holds a word counts.

    Attributes:
        digest: changes with every letter of the lexicon.
    """

    def __init__(self, text: str) -> None:
        self.digest = hashlib.sha256(text.encode()).hexdigest()
        self._english = _English()
        self._chinese = _Chinese()
        for concept, english, chinese in _lines(text):
            for phrase in english:
                self._english.add(concept, phrase)
            for word in chinese:
                self._chinese.add(concept, word)

    def english(self, words: list[str]) -> list[Concept]:
        """The concepts of lower-case words and marks, phrases joined.

        >>> [concept.key for concept in lexicon().english("a ball hops up and down".split())]
        ['a', 'circle', 'bounce']
        """
        return self._english.read(words)

    def chinese(self, text: str) -> tuple[list[str], list[Concept]]:
        """The words of lower-case text, most of it Chinese, each the longest that the lexicon knows; their concepts.

        >>> words, concepts = lexicon().chinese("草原上有四千八百只iPad。")
        >>> words, [concept.key for concept in concepts]
        (['草原', '上', '有', '四千八百', '只', 'iPad', '。'], ['meadow', 'in', 'is', '4800', 'and', 'iPad', '。'])
        """
        words: list[str] = []
        concepts: list[Concept] = []
        characters, known = self._chinese.characters, self._chinese.words
        place = 0
        while place < len(text):
            lengths, concept = characters[text[place]]
            size = 1
            for length in lengths:
                if length == OTHER:
                    size, concept = self._other(text, place)
                    break
                if longer := known.get(text[place : place + length]):
                    size, concept = length, longer
                    break
            if concept is not None:
                words.append(text[place : place + size])
                concepts.append(concept)
            place += size
        return words, concepts

    def _other(self, text: str, place: int) -> tuple[int, Concept | None]:
        """The numeral or the word in Latin letters that begins at ``place``."""
        if match := _NUMERAL.match(text, place):
            size, concept = self._chinese.longest(text, place)
            if len(match[0]) > 1 and len(match[0]) >= size:
                return len(match[0]), number(float(chinese_number(match[0])))
            return size, concept
        match = _LATIN.match(text, place)
        return (len(match[0]), self._english.read([match[0]])[0]) if match else (1, None)


OTHER = 0
"""Stands for a length where a word does not begin as those of the lexicon do."""

_CHINESE = re.compile("[㐀-鿿豈-﫿]")
_NUMERAL = re.compile(f"[{''.join(sorted(NUMERALS))}]{{1,12}}")
_LATIN = re.compile(r"[^\W\d_㐀-鿿豈-﫿]+(?:['’][a-z]+)?|\d+(?:[.,]\d+)*")
_MARKS = frozenset(".,;:!?()，。；：！？（）")


class _Chinese:
    """The Chinese side.

    Attributes:
        words: concept by word.
        characters: what may begin with a character.
    """

    def __init__(self) -> None:
        self.words: dict[str, Concept] = {}
        self.characters = _Characters()

    def add(self, concept: Concept, word: str) -> None:
        self.words.setdefault(word, concept)
        self.characters.add(word)

    def longest(self, text: str, place: int) -> tuple[int, Concept]:
        """Length and concept of the longest word at ``place``, else of the character."""
        for length in self.characters.lengths.get(text[place], ()):
            if concept := self.words.get(text[place : place + length]):
                return length, concept
        return 1, Concept(text[place], PLAIN)


class _Characters(dict[str, tuple[tuple[int, ...], Concept | None]]):
    """Character -> lengths of the words that begin with it, longest first, and what it means where none is there."""

    def __init__(self) -> None:
        super().__init__()
        self.lengths: dict[str, list[int]] = {}

    def add(self, word: str) -> None:
        lengths = self.lengths.setdefault(word[0], [])
        if len(word) not in lengths:
            lengths.append(len(word))
            lengths.sort(reverse=True)

    def __missing__(self, character: str) -> tuple[tuple[int, ...], Concept | None]:
        if character in NUMERALS or (character.isalnum() and not _CHINESE.match(character)):
            entry: tuple[tuple[int, ...], Concept | None] = (OTHER,), None
        elif character in _MARKS:
            entry = (), Concept(character, MARK)
        elif _CHINESE.match(character):
            entry = tuple(self.lengths.get(character, ())), Concept(character, PLAIN)
        else:
            entry = (), None
        self[character] = entry
        return entry


class _Word(NamedTuple):
    concept: Concept
    stem: str
    phrases: tuple[tuple[tuple[str, ...], Concept], ...]
    """What may follow to make a phrase, longest first, and what that means."""


class _English(dict[str, _Word]):
    """The English side: grows with the words met, up to a bound."""

    WORDS = 1 << 16

    def __init__(self) -> None:
        super().__init__()
        self._exact: dict[str, Concept] = {}
        self._stems: dict[str, Concept] = {}
        self._phrases: dict[str, list[tuple[tuple[str, ...], Concept]]] = {}

    def add(self, concept: Concept, phrase: str) -> None:
        first, *rest = phrase.split()
        if rest:
            self._phrases.setdefault(stem(first), []).append((tuple(map(stem, rest)), concept))
        else:
            self._exact.setdefault(first, concept)
            self._stems.setdefault(stem(first), concept)

    def read(self, words: list[str]) -> list[Concept]:
        found = [self[word] for word in words]
        if not any(word.phrases for word in found):
            return [word.concept for word in found]
        concepts: list[Concept] = []
        place = 0
        while place < len(found):
            word = found[place]
            place += 1
            concept = word.concept
            for rest, meaning in word.phrases:
                if rest == tuple(other.stem for other in found[place : place + len(rest)]):
                    concept = meaning
                    place += len(rest)
                    break
            concepts.append(concept)
        return concepts

    def __missing__(self, word: str) -> _Word:
        root = stem(word)
        phrases = sorted(self._phrases.get(root, ()), key=lambda phrase: -len(phrase[0]))
        entry = _Word(self._concept(word, root), root, tuple(phrases))
        if len(self) < self.WORDS:
            self[word] = entry
        return entry

    def _concept(self, word: str, root: str) -> Concept:
        if word.endswith(("n't", "n’t")):
            return Concept("not", NEGATOR)
        if not word[0].isalnum():
            return Concept(word, MARK)
        if word[0].isdecimal() and word.count(".") < 2:
            return number(float(word.replace(",", "")))
        return self._exact.get(word) or self._stems.get(root) or Concept(root, PLAIN)


def number(value: float) -> Concept:
    """A number as a concept, the same as its word is.

    >>> number(2.0)
    Concept(key='2', kind='number')
    """
    return Concept(str(int(value)) if value.is_integer() else str(value), NUMBER)


def stem(word: str) -> str:
    """A lower-case English word without its ending or contracted verb, and not longer than seven letters.

    >>> [stem(word) for word in ("hopping", "stories", "chased", "chase", "boxes", "grass", "Kim's".lower())]
    ['hop', 'stori', 'chas', 'chas', 'box', 'grass', 'kim']
    """
    root = word if word.isalnum() else _CONTRACTED.sub("", word)
    if len(root) > 4 and root.endswith(("ies", "ses", "xes", "zes", "ches", "shes")):
        root = root[:-2]
    elif len(root) > 3 and root.endswith("s") and not root.endswith(("ss", "us", "is")):
        root = root[:-1]
    for ending in ("ing", "ed"):
        rest = root.removesuffix(ending)
        if rest != root and len(rest) > 2 and _VOWEL.search(rest):
            root = rest[:-1] if rest[-1] == rest[-2] and rest[-1] not in "lsz" else rest
            break
    if len(root) > 3 and root[-1] == "e":
        root = root[:-1]
    elif len(root) > 3 and root[-1] == "y":
        root = root[:-1] + "i"
    return root[:_STEM_LENGTH]


@cache
def lexicon() -> Lexicon:
    """The lexicon of the package."""
    return Lexicon((files(__package__) / "lexicon.tsv").read_text(encoding="utf-8"))


def _lines(text: str) -> Iterator[tuple[Concept, list[str], list[str]]]:
    for line in text.splitlines():
        if line and not line.startswith("#"):
            kind, english, chinese = line.split("\t")
            words = english.split(", ")
            yield Concept(words[0], kind), words, chinese.split("、")
