"""The signature of a figure: everything that decides it, on one line. Figures of unequal signatures do not compare."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from ivcr_bench import __version__
from ivcr_bench.schema import HistoryMode, Scope, Split, SubmissionHeader
from ivcr_bench.scoring import text
from ivcr_bench.scoring.gold import GoldTurns
from ivcr_bench.scoring.outcomes import Outcomes
from ivcr_bench.scoring.statistics.resampling import GROUPS, RESAMPLES, SEED

INTERVAL = f"bootstrap95,dialogues,n:{RESAMPLES},groups:{GROUPS},seed:{SEED}"
"""Names every choice that changes an interval."""


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that decides a figure. What the submission does not state is ``None``.

    Attributes:
        limit: only the first so many dialogues of the split were scored.
        gated: an answer under another intent than was asked for scored nothing.
        bleu, interval: how BLEU and the intervals were computed.
        judge: who judged the texts, as ``NAME@JUDGE_ID``; ``None`` where nobody was asked.
    """

    dataset: str
    fingerprint: str
    split: Split
    limit: int | None
    history: HistoryMode | None
    scope: Scope | None
    gated: bool
    bleu: str = text.SIGNATURE
    interval: str = INTERVAL
    harness: str = __version__
    judge: str | None = None

    @property
    def settings(self) -> dict[str, str]:
        """Each by its name in the signature."""
        return {
            "data": f"{self.dataset}@{self.fingerprint}",
            "split": self.split if self.limit is None else f"{self.split}[:{self.limit}]",
            "history": self.history or "unstated",
            "scope": self.scope or "unstated",
            "gate": "on" if self.gated else "off",
            "iou": "ge",
            "bleu": self.bleu,
            "judge": self.judge or "none",
            "ci": self.interval,
            "ivcr-bench": self.harness,
        }

    @property
    def signature(self) -> str:
        """All on one line."""
        return signature(self.settings)


def settings_of(scored: GoldTurns | Outcomes, header: SubmissionHeader | None, *, gated: bool) -> Settings:
    """What decides the figures of a submission.

    Args:
        scored: the gold turns, or how each went.
        header: of the submission.
        gated: an answer under another intent than was asked for scores nothing.
    """
    judged = scored.judged if isinstance(scored, Outcomes) else None
    return Settings(
        dataset=scored.dataset,
        fingerprint=scored.fingerprint,
        split=scored.split,
        limit=scored.limit,
        history=header.history if header else None,
        scope=header.scope if header else None,
        gated=gated,
        judge=None if judged is None else f"{judged.name}@{judged.judge_id}",
    )


def signature(settings: Mapping[str, str]) -> str:
    """Named settings on one line.

    >>> signature({"gate": "on", "iou": "ge"})
    'gate:on|iou:ge'
    """
    return "|".join(f"{name}:{value}" for name, value in settings.items())
