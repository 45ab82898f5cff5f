"""Ways to cut the table of outcomes: every turn has one label in each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ivcr_bench.schema import BEHAVIOURS, INTENTS, LANGUAGES
from ivcr_bench.scoring.outcomes import Outcomes


class Labels(NamedTuple):
    """A label for each turn: ``names[codes]``; only names that occur."""

    names: tuple[str, ...]
    codes: NDArray[np.intp]


@dataclass(frozen=True)
class Slice:
    """A way to cut.

    Attributes:
        labels: of outcomes.
        of_dialogues: all turns of a dialogue have the same label.
    """

    name: str
    labels: Callable[[Outcomes], Labels]
    of_dialogues: bool = False


def _labels(codes: NDArray[Any], name: Callable[[int], str]) -> Labels:
    present, inverse = np.unique(codes, return_inverse=True)
    return Labels(tuple(name(code) for code in present.tolist()), inverse)


SLICES: tuple[Slice, ...] = (
    Slice("turn", lambda outcomes: _labels(outcomes.turn, str)),
    Slice("intent", lambda outcomes: _labels(outcomes.intent, INTENTS.__getitem__)),
    Slice("behaviour", lambda outcomes: _labels(outcomes.behaviour, BEHAVIOURS.__getitem__)),
    Slice("language", lambda outcomes: _labels(outcomes.language, LANGUAGES.__getitem__), of_dialogues=True),
    Slice("type", lambda outcomes: _labels(outcomes.type, str), of_dialogues=True),
    Slice("dependent", lambda outcomes: _labels(outcomes.dependent, ("no", "yes").__getitem__)),
)
"""By turn number, intent, behaviour, language, dialogue type, and whether the turn depends on an earlier one."""
