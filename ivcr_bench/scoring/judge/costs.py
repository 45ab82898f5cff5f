"""Every attempt that was ever made, written down before and after: the ledger, and the cost report folded from it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from types import TracebackType

import msgspec

from ivcr_bench.errors import IvcrError
from ivcr_bench.scoring.judge.retries import Outcome
from ivcr_bench.scoring.judge.store import Usage

LEDGER = "attempts.jsonl"
"""The ledger's name in the folder of a verdict store."""


class Sent(msgspec.Struct, frozen=True, tag="sent", tag_field="event", omit_defaults=True):
    """A call is about to be sent.

    Attributes:
        call: names the call, once in a ledger.
        at_most: USD that it can cost.
    """

    call: str
    judge_id: str
    at_most: Decimal


class Ended(msgspec.Struct, frozen=True, tag="ended", tag_field="event", omit_defaults=True):
    """A call has ended.

    Attributes:
        usage: as the answer says; ``None`` where no answer came, or it does not say.
        usd: what it cost; ``None`` where that is not known (cut off, timed out, an answer without its usage).
        seconds: from sending to the end.
    """

    call: str
    outcome: Outcome
    usage: Usage | None = None
    usd: Decimal | None = None
    seconds: float = 0.0
    batch: bool = False


@dataclass
class CostReport:
    """What the calls of one judge came to. Sums of decimals are exact, so their order does not matter.

    Attributes:
        attempts: calls that ended, by outcome.
        usage: tokens of all calls that were answered, whether the answer was of use or not.
        usd: what those cost.
        unknown: calls whose cost is not known: `Ended.usd` is none, or they were on their way in a run that was killed.
        at_most: USD that those may have cost in addition; only the provider's bill knows.
        batched: calls that were made in batches, at the price of those.
    """

    attempts: Counter[str] = field(default_factory=Counter)
    usage: Usage = field(default_factory=Usage)
    usd: Decimal = Decimal(0)
    unknown: int = 0
    at_most: Decimal = Decimal(0)
    batched: int = 0

    def __add__(self, other: CostReport) -> CostReport:
        return CostReport(
            self.attempts + other.attempts,
            total([self.usage, other.usage]),
            self.usd + other.usd,
            self.unknown + other.unknown,
            self.at_most + other.at_most,
            self.batched + other.batched,
        )

    def lines(self) -> list[str]:
        """The report, as it is shown."""
        outcomes = ", ".join(f"{name} {count}" for name, count in sorted(self.attempts.items()))
        tokens = self.usage
        shown = [
            f"calls         {self.attempts.total():,} ({outcomes})" if outcomes else "calls         0",
            f"tokens        {tokens.input_tokens:,} in ({tokens.cached_tokens:,} cached), {tokens.output_tokens:,} out",
            f"cost          {plain(self.usd)} USD",
        ]
        if self.unknown:
            shown.append(f"unknown       {self.unknown:,} calls, billed at most {plain(self.at_most)} USD more")
        return shown


class Tally:
    """A cost report in the making; only calls on their way are remembered one by one."""

    def __init__(self, judge_id: str) -> None:
        self._judge_id = judge_id
        self._report = CostReport()
        self._open: dict[str, Decimal] = {}

    def note(self, event: Sent | Ended) -> None:
        """Count ``event``, if it is about a call of this judge."""
        if isinstance(event, Sent):
            if event.judge_id == self._judge_id:
                self._open[event.call] = event.at_most
        elif event.call in self._open:
            self._end(event, self._open.pop(event.call))

    def report(self) -> CostReport:
        """All that was noted; a call that has not ended is of unknown cost."""
        report = replace(self._report, attempts=self._report.attempts.copy())
        report.unknown += len(self._open)
        report.at_most += sum(self._open.values(), Decimal(0))
        return report

    def _end(self, event: Ended, at_most: Decimal) -> None:
        report = self._report
        report.attempts[event.outcome.value] += 1
        report.batched += event.batch
        if event.usage is not None:
            report.usage = total([report.usage, event.usage])
        if event.usd is None:
            report.unknown += 1
            report.at_most += at_most
        else:
            report.usd += event.usd


class Ledger:
    """Appends to the ledger of a folder; what is in it survives a kill at any point."""

    def __init__(self, folder: str | Path, judge_id: str) -> None:
        self._path = Path(folder) / LEDGER
        self._tally = Tally(judge_id)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            _cut_torn_line(self._path)
            self._stream = self._path.open("ab", buffering=0)
        except OSError as error:
            raise IvcrError(f"{self._path}: cannot write: {error.strerror}") from None

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        os.fsync(self._stream.fileno())
        self._stream.close()

    def write(self, event: Sent | Ended) -> None:
        """Append ``event``, in one system call.

        Raises:
            IvcrError: it cannot be written (disk full).
        """
        self._tally.note(event)
        try:
            self._stream.write(_ENCODER.encode(event) + b"\n")
        except OSError as error:
            raise IvcrError(f"{self._path}: cannot write: {error.strerror}") from None

    def expect(self, event: Sent) -> None:
        """Count the end of a call that another run wrote down when it sent it."""
        self._tally.note(event)

    def report(self) -> CostReport:
        """What the calls came to that this object wrote down."""
        return self._tally.report()


def cost_report(folder: str | Path, judge_id: str) -> CostReport:
    """What ``judge_id`` has cost in all runs with the verdict store ``folder``.

    Raises:
        IvcrError: a line of the ledger is damaged.
    """
    tally = Tally(judge_id)
    for event in _events(Path(folder) / LEDGER):
        tally.note(event)
    return tally.report()


def total(usages: Iterable[Usage]) -> Usage:
    """Their sum."""
    listed = list(usages)
    return Usage(
        sum(usage.input_tokens for usage in listed),
        sum(usage.output_tokens for usage in listed),
        sum(usage.cached_tokens for usage in listed),
    )


def plain(usd: Decimal) -> str:
    """``usd`` with all its digits and without an exponent.

    >>> plain(Decimal("1.50000")), plain(Decimal(100)), plain(Decimal("0.00000015"))
    ('1.5', '100', '0.00000015')
    """
    text = f"{usd:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _events(path: Path) -> Iterator[Sent | Ended]:
    if not path.exists():
        return
    decoder = msgspec.json.Decoder(Sent | Ended)
    with path.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            if not line.endswith(b"\n"):
                return  # cut off by a kill
            try:
                yield decoder.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError):
                raise IvcrError(f"{path}:{number}: is damaged, expected an attempt of a judge") from None


def _cut_torn_line(path: Path) -> None:
    """Drop a last line that a kill left without its end, so that the next one starts a line."""
    if not path.exists():
        return
    with path.open("r+b") as stream:
        size = stream.seek(0, os.SEEK_END)
        start = max(0, size - (1 << 16))
        stream.seek(start)
        tail = stream.read()
        if tail and not tail.endswith(b"\n"):
            stream.truncate(start + tail.rfind(b"\n") + 1)


_ENCODER = msgspec.json.Encoder()
