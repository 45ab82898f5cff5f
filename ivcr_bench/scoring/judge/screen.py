"""The fifth layer against attacks: answers that a person should see before any figure of them is published.

No model is asked, and no score is changed: what is found holds a submission until somebody has looked. An answer is
compared by the hash of its normalised text, so that a submission of any size takes 16 bytes a turn.
"""

from __future__ import annotations

import re
from array import array

import numpy as np
from numpy.typing import NDArray

FEWEST = 20
"""Fewer texts are not screened: any share of them is chance."""

LEAST_DISTINCT = 0.2
"""Distinct texts as a share of all."""

MOST_COMMON = 0.05
"""How often the most common text may stand, as a share of all."""

MOST_SUSPECT = 0.05
"""How many texts may be copies of the question or of another turn's reference, or of an odd shape, as a share."""

MOST_VOCABULARY = 0.01
"""How many texts may speak of grading; a film may, too, have a judge in it and end with a score."""

LONG = 200
"""Only a text of so many characters can be of an odd shape."""

MOST_LENGTHS, FEWEST_CHARACTERS = 10, 12
"""A long text is odd if it is so many times as long as its reference, or made of fewer different characters."""

VOCABULARY = re.compile(
    r"(?:highly|moderately|somewhat)[ _-]?relevant|\birrelevant\b|\brubrics?\b|\b(?:grader|evaluator|judge)s?\b"
    r"|\bscor(?:e|es|ing)\b|\"label\"|\b(?:system|developer) (?:prompt|message)\b"
    r"|评分|打分|满分|裁判|评判|评审|高度相关|系统提示",
    re.IGNORECASE,
)
"""What judges and their prompts speak of."""

_STEMS = (
    *("relevant", "rubric", "grader", "evaluator", "judge", "scor", '"label"', "prompt", "message"),
    *("评", "分", "裁判", "高度相关", "系统提示"),
)
"""Every match of `VOCABULARY` holds one; looking for them first takes a tenth of the time."""


class Screen:
    """Collects what is said to each turn.

    Args:
        turns: the number of gold turns.
    """

    def __init__(self, turns: int) -> None:
        self._said = array("q", bytes(8 * turns))
        self._expected = array("q", bytes(8 * turns))
        self._echoes = self._vocabulary = self._odd = 0

    def expect(self, row: int, reference: str) -> None:
        """Note the reference of a turn; `see` does that, too."""
        self._expected[row] = hash(reference)

    def see(self, row: int, text: str, reference: str, query: str) -> None:
        """Note the normalised text, not empty, that answers ``query``."""
        self._said[row] = hash(text)
        self.expect(row, reference)
        self._echoes += text == query
        self._vocabulary += speaks_of_grading(text)
        if len(text) >= LONG:
            self._odd += len(text) > MOST_LENGTHS * len(reference) or len(set(text)) < FEWEST_CHARACTERS

    def findings(self) -> tuple[str, ...]:
        """What a person should look at; each on one line, without a word of the submission."""
        said, expected = np.frombuffer(self._said, np.int64), np.frombuffer(self._expected, np.int64)
        texts, counts = np.unique(said[said != 0], return_counts=True)
        n = int(counts.sum())
        if n < FEWEST:
            return ()
        found = [
            *_finding(1 - len(texts) / n, 1 - LEAST_DISTINCT, "of the texts repeat another"),
            *_finding(counts.max() / n, MOST_COMMON, "of the texts are one and the same"),
            *_finding(self._echoes / n, MOST_SUSPECT, "of the texts are the question again"),
            *_finding(_copied(said, expected) / n, MOST_SUSPECT, "of the texts are another turn's reference"),
            *_finding(self._vocabulary / n, MOST_VOCABULARY, "of the texts speak of grading"),
            *_finding(self._odd / n, MOST_SUSPECT, "of the texts are of an odd length or made of few characters"),
        ]
        return tuple(found)


def speaks_of_grading(text: str) -> bool:
    """Whether ``text`` has a word of `VOCABULARY`."""
    small = text.lower()
    return any(stem in small for stem in _STEMS) and VOCABULARY.search(text) is not None


def _copied(said: NDArray[np.int64], expected: NDArray[np.int64]) -> int:
    """How many answers are the reference of another turn and not that of their own."""
    foreign = (said != 0) & (said != expected)
    return int(np.isin(said[foreign], expected[expected != 0]).sum())


def _finding(share: float, most: float, what: str) -> list[str]:
    return [f"{100 * share:.1f} % {what} (more than {100 * most:g} %)"] if share > most else []
