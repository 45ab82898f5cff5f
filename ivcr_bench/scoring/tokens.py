"""Words and Chinese characters: the tokens that `ivcr_bench.scoring.text` counts."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from itertools import chain, count
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_CHINESE = re.compile("([⺀-⿿、-〿㐀-䶿一-鿿豈-﫿！-｠\U00020000-\U000323af]+)")  # not U+3000, a space
_ENTITIES = (("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"))
_MTEVAL_13A = (
    (re.compile(r"([\{-\~\[-\`!-\&\(-\+\:-\@\/])"), r" \1 "),
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
    return [token for word in _words(text) for token in _spell(word)]


class Numbered(NamedTuple):
    """Texts as one row of numbers, the same number for the same token; 0 stands for no token."""

    tokens: NDArray[np.int64]
    """``[places]``: the tokens of each text, then its gap of zeros."""
    lengths: NDArray[np.int64]
    """``[texts]``: the tokens of each text, without its gap."""
    greatest: int
    """No number is greater."""


def number_tokens(texts: Iterable[str], gap: int) -> Numbered:
    """What `tokenise` gives for each of the texts, ``gap`` zeros after each, at a cost of one look-up a word.

    >>> number_tokens(["red, red", "", "red star"], gap=1)
    Numbered(tokens=array([2, 4, 2, 0, 0, 2, 3, 0]), lengths=array([3, 0, 2]), greatest=4)
    """
    number = defaultdict[str, int](count(1).__next__)  # of a word, and of a token; word 0 is the gap
    words: list[int] = []
    ends = []
    for text in texts:
        words += map(number.__getitem__, _words(text))
        ends.append(len(words))
        words.append(0)
    row = np.fromiter(words, np.int64, len(words))

    spelled = {0: [0] * gap}
    for word in [word for word in number if not word.isalnum()]:
        spelled[number[word]] = [number[token] for token in _spell(word)]
    odd = list(spelled)
    letters = np.arange(len(number) + 1)  # any other word is its own only token
    starts, sizes = letters.copy(), np.ones_like(letters)
    sizes[odd] = [len(tokens) for tokens in spelled.values()]
    starts[odd] = len(letters) + sizes[odd].cumsum() - sizes[odd]
    letters = np.append(letters, list(chain.from_iterable(spelled.values())))

    size = sizes[row]
    after = size.cumsum()
    from_letters: NDArray[np.int64] = np.repeat(starts[row] - (after - size), size)
    tokens = letters.take(from_letters + np.arange(len(from_letters)))
    return Numbered(tokens, np.diff(after[ends], prepend=0) - gap, len(number))


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


def _spell(word: str) -> list[str]:
    """The tokens of a word without Chinese characters.

    mteval looks no further than one character to either side, and only asks if that is a digit, a comma or a full stop.
    So a word between spaces has the same tokens in every text.
    """
    stem, last = word[:-1], word[-1:]
    if word.isalnum():
        return [word]
    if stem.isalnum() and last in ".,:;!?":  # a short cut for what most words look like: mteval's rules say the same
        return [stem, last]
    spaced = f" {word} "
    for pattern, replacement in _MTEVAL_13A:
        spaced = pattern.sub(replacement, spaced)
    return spaced.split()
