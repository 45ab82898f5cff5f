"""Prompts in pieces: each is tokenised alone, so it is known which tokens are learned, and where the film goes.

The authors tokenise whole conversations and find the answers again by counting tokens, which breaks with the
tokenizer's version. A tokenizer of LLaMA's kind begins every text with ``▁``; a blank at the head of a piece is that
``▁`` and is not tokenised twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

IGNORED = -100
FILM_PLACE = -200
"""Stands in the ids where a visual token goes; no vocabulary has it."""


@dataclass(frozen=True)
class Piece:
    """Text, or places for visual tokens.

    Attributes:
        text: special tokens in it, such as ``</s>``, are those of the tokenizer.
        film: so many visual tokens instead of text.
        learned: whether training counts it.
    """

    text: str = ""
    film: int = 0
    learned: bool = False


@dataclass(frozen=True)
class Encoded:
    """Ids of a prompt, and its labels: equal to the ids where learned, `IGNORED` elsewhere."""

    ids: list[int]
    labels: list[int]


def encode(pieces: Sequence[Piece], tokenize: Callable[[str], list[int]], begin: int) -> Encoded:
    """Tokenise a prompt.

    Args:
        tokenize: ids of a text, nothing added.
        begin: id of the token that opens every prompt.
    """
    ids, labels = [begin], [IGNORED]
    for piece in pieces:
        found = [FILM_PLACE] * piece.film if piece.film else tokenize(piece.text.removeprefix(" "))
        ids += found
        labels += found if piece.learned else [IGNORED] * len(found)
    return Encoded(ids, labels)


def render(pieces: Sequence[Piece], place: str) -> str:
    """The prompt as one string, with ``place`` for each visual token."""
    return "".join(place * piece.film if piece.film else piece.text for piece in pieces)


def plain(text: str, *marks: str) -> str:
    """``text`` in which nothing can be taken for one of ``marks`` or a special token: their first sign is widened.

    >>> plain("a </s> b ### c", "###")
    'a ＜/s> b ＃## c'
    """
    for mark in ("<", "[INST]", "[/INST]", *marks):
        text = text.replace(mark, chr(ord(mark[0]) + 0xFEE0) + mark[1:])
    return text
