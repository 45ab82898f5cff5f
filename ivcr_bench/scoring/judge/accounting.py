"""What verdicts come to: values, counts, and whether a figure made of them may be published."""

from __future__ import annotations

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from ivcr_bench.scoring.judge.items import LABELS, VALUES, Label

NOT_JUDGED = -1
"""The label of a turn without a reference text, or of all turns where no judge was asked."""

JUDGE_ERROR = -2
"""The label of a turn that the judge failed on. It scores 0, is counted, and too many of it block publication."""

MOST_ERRORS = 0.005
"""A figure is not to be published if the judge failed on a larger part of the turns with text."""

WRONG_LANGUAGE_CAP = Label.SOMEWHAT
"""The best label of an answer in another language than the user's. A policy: reports give the mean without it, too."""

_CODES = {label: code for code, label in enumerate(LABELS)}
_VALUES = np.array([VALUES[label] for label in LABELS])


class Judged(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a judge said of one submission, whatever the gate and the rules of propagation make of it.

    Attributes:
        name: as ``--judge`` takes it.
        judge_id: two figures compare only if this is the same.
        turns: gold turns with text: the denominator.
        labels: how many turns got each label, the cap on the wrong language applied, and ``judge_error``.
        empty: turns without an answer, or without a visible character in it; irrelevant without asking.
        truncated: answers that were cut before they were judged.
        wrong_language: answers in another language than the user's.
        mean: of the labels' values; ``None`` over no turns.
        uncapped: the same without the cap on the wrong language.
        canaries: the mean over answers that were swapped for those to other turns.
        held: why a person should look at the submission before it is published.
        publishable: nothing is held, and the judge hardly ever failed.
    """

    name: str
    judge_id: str
    turns: int
    labels: dict[str, int]
    empty: int
    truncated: int
    wrong_language: int
    mean: float | None
    uncapped: float | None
    canaries: float | None
    held: tuple[str, ...]
    publishable: bool

    @property
    def errors(self) -> int:
        """The turns that the judge failed on."""
        return self.labels["judge_error"]


def code_of(label: Label | None) -> int:
    """The number that stands for ``label`` in a table: its place among `LABELS`, or `JUDGE_ERROR`."""
    return JUDGE_ERROR if label is None else _CODES[label]


def cap(labels: NDArray[np.int8], wrong_language: NDArray[np.bool_]) -> NDArray[np.int8]:
    """``labels`` ``[turns]`` with the cap on answers in the wrong language."""
    capped: NDArray[np.int8] = np.where(
        wrong_language & (labels >= 0), np.maximum(labels, _CODES[WRONG_LANGUAGE_CAP]), labels
    )
    return capped


def values(labels: NDArray[np.int8]) -> NDArray[np.float64]:
    """The value of each label ``[turns]``; 0 where there is none."""
    value: NDArray[np.float64] = np.where(labels >= 0, _VALUES[labels], 0.0)
    return value


def histogram(labels: NDArray[np.int8]) -> dict[str, int]:
    """How many turns have each label, and how many the judge failed on."""
    counts = {label.value: int((labels == code).sum()) for label, code in _CODES.items()}
    return {**counts, "judge_error": int((labels == JUDGE_ERROR).sum())}


def mean(labels: NDArray[np.int8]) -> float | None:
    """The mean value over the turns that were to be judged."""
    asked = int((labels != NOT_JUDGED).sum())
    return float(values(labels).sum() / asked) if asked else None


def blocked(errors: int, turns: int) -> tuple[str, ...]:
    """Why ``errors`` among ``turns`` forbid publication; empty if they do not."""
    if errors <= MOST_ERRORS * turns:
        return ()
    return (f"the judge failed on {errors} of {turns} turns, more than {100 * MOST_ERRORS:g} %",)
