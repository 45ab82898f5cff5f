"""Which failures of a call pass, and how long to wait for that."""

from __future__ import annotations

import email.utils
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ivcr_bench.errors import IvcrError


class Outcome(StrEnum):
    """How an attempt ended, as the cost report counts it."""

    OK = "ok"
    THROTTLED = "throttled"
    SERVER_ERROR = "server_error"
    TIMEOUT = "timeout"
    CONNECTION = "connection"
    REJECTED = "rejected"
    NO_VERDICT = "no_verdict"
    REFUSED = "refused"
    WRONG_MODEL = "wrong_model"


TRANSIENT = frozenset({Outcome.THROTTLED, Outcome.SERVER_ERROR, Outcome.TIMEOUT, Outcome.CONNECTION})
"""They pass by themselves."""


class CallFailure(Exception):  # noqa: N818
    """A call that brought no verdict.

    Attributes:
        outcome: how it failed.
        retry_after: seconds that the provider asked to wait.
    """

    def __init__(self, outcome: Outcome, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.outcome, self.retry_after = outcome, retry_after


@dataclass(frozen=True)
class RetryPolicy:
    """How often and when to try again.

    Attributes:
        base, cap: seconds; the n-th wait is drawn from 0 to base * 2 ** n, at most ``cap`` ("full jitter").
        tries: calls on one item that fail in passing, at most.
        asks: answers that are no verdict, or come from another model, before the item counts as ``judge_error``.
        refusals: refusals before it does.
        patience: seconds; a provider that asks for a longer wait ends the run, which can be resumed.
        random: draws the jitter.
    """

    base: float = 1.0
    cap: float = 60.0
    tries: int = 8
    asks: int = 3
    refusals: int = 2
    patience: float = 600.0
    random: random.Random = field(default_factory=random.Random)

    def wait(self, failures: int, retry_after: float | None) -> float:
        """Seconds until the next try, after ``failures`` that pass (from 1); never less than the provider asked for.

        Raises:
            IvcrError: it asked for more than ``patience``.
        """
        jitter = self.random.uniform(0, min(self.cap, self.base * 2.0 ** (failures - 1)))
        if retry_after is None:
            return jitter
        if retry_after > self.patience:
            raise IvcrError(
                f"the provider asks to wait {retry_after:.0f} s, expected at most {self.patience:.0f} s",
                hint="resume later: nothing that was answered is asked again",
            )
        return retry_after + min(jitter, self.base)

    def allows(self, failures: Mapping[Outcome, int]) -> bool:
        """Whether an item that failed so often, by outcome, is tried again."""
        passing = sum(failures.get(outcome, 0) for outcome in TRANSIENT)
        useless = failures.get(Outcome.NO_VERDICT, 0) + failures.get(Outcome.WRONG_MODEL, 0)
        refused = failures.get(Outcome.REFUSED, 0)
        rejected = failures.get(Outcome.REJECTED, 0)
        return passing < self.tries and useless < self.asks and refused < self.refusals and not rejected


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a reply asks to wait; ``None`` if it asks for nothing.

    >>> retry_after({"retry-after": "2"}), retry_after({"retry-after-ms": "50"}), retry_after({"retry-after": "soon"})
    (2.0, 0.05, None)
    """
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) / unit
        except ValueError:
            continue
        return max(0.0, seconds) if seconds == seconds else None
    date = email.utils.parsedate_tz(headers.get("retry-after", ""))
    return None if date is None else max(0.0, email.utils.mktime_tz(date) - time.time())
