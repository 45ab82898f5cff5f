"""Words and Chinese characters: the tokens that `ivcr_bench.scoring.text` counts."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from itertools import chain, count, repeat
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_CHINESE = re.compile("([⺀-⿿、-〿㐀-䶿一-鿿豈-﫿！-｠\U00020000-\U000323af]+)")  # not U+3000, a space
_ENTITIES = (("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"))
_MTEVAL_13A = (
    (re.compile(r"([\{-\~\[-\` -\&\(-\+\:-\@\/])"), r" \1 "),
    (re.compile(r"([^0-9])([\.,])"), r"\1 \2 "),
    (re.compile(r"([\.,])([^0-9])"), r" \1 \2"),
    (re.compile(r"([0-9])(-)"), r"\1 \2 "),
)


def tokenise(text: str) -> list[str]:
    """The tokens that BLEU counts: those of mteval-v13a (sacrebleu's default), but each Chinese character is one.

    Chinese characters are the ideographs and radicals of Unicode and the punctuation set with them, full-width forms
    included. So English is counted by words, Chinese by characters, and a text may mix them. Case is kept.

    >>> tokenise("It's at 12.5 s, look!")
    ["It's", 'at', '12.5', 's', ',', 'look', '!']
    >>> tokenise("在视频3里。")
    ['在', '视', '频', '3', '里', '。']
    """
    return [token for word in _words(text) for token in _TOKENS[word]]


class Numbered(NamedTuple):
    """Texts as one row of numbers, one number for each distinct token, from 1; 0 stands for no token."""

    tokens: NDArray[np.int64]
    """``[places]``: the tokens of each text, then its gap of zeros."""
    lengths: NDArray[np.int64]
    """``[texts]``: the tokens of each text, without its gap."""
    distinct: int
    """The greatest number."""


def number_tokens(texts: Iterable[str], gap: int) -> Numbered:
    """What `tokenise` gives for each of the texts, ``gap`` zeros after each, at a cost of one look-up a word.

    >>> number_tokens(["red, red", "", "red star"], gap=1)
    Numbered(tokens=array([1, 2, 1, 0, 0, 1, 3, 0]), lengths=array([3, 0, 2]), distinct=3)
    """
    word_number = defaultdict[str, int](count(1).__next__)  # word 0 is the gap
    words: list[int] = []
    ends = []
    for text in texts:
        words += map(word_number.__getitem__, _words(text))
        ends.append(len(words))
        words.append(0)
    spelled = [_TOKENS[word] for word in word_number]
    token_number = defaultdict[str, int](count(1).__next__)
    letters = chain(repeat(0, gap), map(token_number.__getitem__, chain.from_iterable(spelled)))
    sizes = np.fromiter(chain([gap], map(len, spelled)), np.int64)
    row = np.fromiter(words, np.int64, len(words))
    tokens = _concatenate(row, np.fromiter(letters, np.int64), sizes)
    lengths = np.diff(sizes[row].cumsum()[np.array(ends, np.int64)], prepend=0) - gap
    return Numbered(tokens, lengths, len(token_number))


def _concatenate(row: NDArray[np.int64], letters: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """The words of ``row``, spelled out: word w is the w-th piece of ``letters``, cut into pieces of ``sizes``."""
    size = sizes[row]
    starts_in_letters = (sizes.cumsum() - sizes)[row]
    starts = size.cumsum() - size
    return letters.take(np.repeat(starts_in_letters - starts, size) + np.arange(size.sum()))


def _words(text: str) -> list[str]:
    """The text without markup of mteval, split at spaces and around each Chinese character."""
    text = text.replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    if "&" in text:
        for entity, character in _ENTITIES:
            text = text.replace(entity, character)
    if text.isascii():
        return text.split()
    words: list[str] = []
    for place, piece in enumerate(_CHINESE.split(text)):  # every other piece is a run of Chinese characters
        words += piece if place % 2 else piece.split()
    return words


class _Remembered(dict[str, tuple[str, ...]]):
    """The tokens of each word met so far, since most words come again.

    The rules of mteval look no further than one character to either side, and only ask if that is a digit or a full
    stop, so that a word between spaces has the same tokens in every text.

    Bounded to some 20 MB: long words are not kept, and when there are too many, all are forgotten.
    """

    MOST, LONGEST = 1 << 16, 24

    def __missing__(self, word: str) -> tuple[str, ...]:
        spaced = f" {word} "
        for pattern, replacement in _MTEVAL_13A:
            spaced = pattern.sub(replacement, spaced)
        tokens = tuple(spaced.split())
        if len(word) <= self.LONGEST:
            if len(self) >= self.MOST:
                self.clear()
            self[word] = tokens
        return tokens


_TOKENS = _Remembered()
