"""The words of a language for what IVCR-Mini's films show, and the sentences of its users and systems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Wording:
    """Synonyms by attribute value; ``does`` are predicates with ``{o}`` where the second actor stands."""

    colours: Mapping[str, Sequence[str]]
    shapes: Mapping[str, Sequence[str]]
    sizes: Mapping[str, Sequence[str]]
    settings: Mapping[str, Sequence[str]]
    genres: Mapping[str, Sequence[str]]
    does: Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Phrasebook:
    """Sentences with slots, by act.

    Attributes:
        openings: what may precede a user's first sentence; empty ones are common.
        resumptions: what may precede a later one.
        said: the user's sentences by act.
        answered: the system's sentences by act.
    """

    openings: Sequence[str]
    resumptions: Sequence[str]
    said: Mapping[str, Sequence[str]]
    answered: Mapping[str, Sequence[str]]


def pick(rng: np.random.Generator, options: Sequence[str]) -> str:
    """One of ``options``, each as likely."""
    return options[int(rng.integers(len(options)))]
