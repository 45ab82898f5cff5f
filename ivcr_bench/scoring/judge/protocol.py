"""What every judge is, whatever stands behind it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from ivcr_bench.scoring.judge.items import JudgeItem, Verdict


class Judge(Protocol):
    """Says how relevant answers are. Whoever asks has normalised the texts and kept back the empty ones."""

    @property
    def name(self) -> str:
        """As ``--judge`` takes it: ``rule``, ``openai:gpt-4o-2024-08-06``, ``local:PATH``, ``panel(...)``."""
        ...

    @property
    def judge_id(self) -> str:
        """12 hex digits: a hash of everything that could change a verdict."""
        ...

    def judge(self, items: Iterable[JudgeItem]) -> Iterator[tuple[JudgeItem, Verdict]]:
        """Yield each item once with its verdict, in any order; items are drawn as they are needed."""
        ...
