"""What a judge is asked, and what it answers: items, labels, verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from ivcr_bench.schema import Language


class Label(StrEnum):
    """A bucket of relevance, best first. A judge chooses a word; only `VALUES` turns it into a number."""

    HIGHLY = "highly_relevant"
    MODERATELY = "moderately_relevant"
    SOMEWHAT = "somewhat_relevant"
    IRRELEVANT = "irrelevant"


LABELS: tuple[Label, ...] = tuple(Label)

VALUES: Mapping[Label, float] = MappingProxyType(
    {Label.HIGHLY: 1.0, Label.MODERATELY: 0.6, Label.SOMEWHAT: 0.4, Label.IRRELEVANT: 0.0}
)
"""The paper's values of the buckets."""

FLAGS = ("addresses_judge", "empty", "wrong_language", "contradiction", "off_topic")

QUERIES = 3
"""So many utterances of the user are shown at most: this turn's and those before it."""


@dataclass(frozen=True, slots=True)
class JudgeItem:
    """One gold turn with text, and what was answered to it.

    Attributes:
        queries: the last `QUERIES` utterances of the user, oldest first, as the dataset has them.
        reference: the gold text.
        candidate: the answer's text; ``None`` where the answer is missing, failed or refused.
        repeat: counts judgements of the same content, where one is to be judged more than once.
    """

    dialogue_id: str
    turn: int
    language: Language
    queries: tuple[str, ...]
    reference: str
    candidate: str | None
    repeat: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a judge says about an item.

    Attributes:
        label: ``None`` where the judge failed (``judge_error``), which is never the candidate's fault.
        evidence: quotations from the reference that the candidate covers or contradicts.
        flags: some of `FLAGS`.
        error: why there is no label.
    """

    label: Label | None
    evidence: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    error: str | None = None


EMPTY = Verdict(Label.IRRELEVANT, flags=("empty",))
"""The verdict on no text, for which no judge is asked."""
