"""``openai:MODEL``: verdicts of a language model behind the OpenAI protocol, many calls at once."""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import count
from types import TracebackType
from typing import NamedTuple

import msgspec

from ivcr_bench.errors import IvcrError
from ivcr_bench.scoring.judge.background import Calls, wait_for
from ivcr_bench.scoring.judge.budget import Budget
from ivcr_bench.scoring.judge.costs import CostReport, Ended, Ledger, Sent, total
from ivcr_bench.scoring.judge.items import JudgeItem, Verdict
from ivcr_bench.scoring.judge.limits import Limiter, Limits
from ivcr_bench.scoring.judge.openai_client import (
    PARAMS,
    SEED,
    ChatClient,
    Completion,
    Settings,
    request_body,
    verdict_in,
)
from ivcr_bench.scoring.judge.prices import price_of
from ivcr_bench.scoring.judge.prompt import MAX_TOKENS, judge_id
from ivcr_bench.scoring.judge.retries import TRANSIENT, CallFailure, Outcome, RetryPolicy
from ivcr_bench.scoring.judge.store import Attempt, Record, Usage, VerdictStore, key_of

MOST_IN_A_ROW = 20
"""So many items in a row without a verdict end the run: something is wrong that trying again does not mend."""

AHEAD = 2
"""Items under way for each call that may run at once, so that none idles while others wait to be tried again."""

BYTES_A_TOKEN = 4
"""Of a request, roughly; used for the limit of tokens a minute, and corrected by what the provider says."""


class Judged(NamedTuple):
    """What became of an item."""

    key: str
    verdict: Verdict


class OpenAIJudge:
    """A language model as a judge. Verdicts that the store holds are not asked for again.

    Args:
        settings: whom to ask.
        store: where verdicts are kept; its folder holds the ledger of all attempts, too.
        limits: what the provider allows.
        policy: how failures are tried again.
        max_usd, max_requests: what this judge may spend in its life, at most.
        allow_unpriced: ask models whose price is not known.

    Raises:
        IvcrError: the model has no price, or is to be limited in USD without one.
    """

    def __init__(
        self,
        settings: Settings,
        store: VerdictStore,
        *,
        limits: Limits | None = None,
        policy: RetryPolicy | None = None,
        max_usd: Decimal | None = None,
        max_requests: int | None = None,
        allow_unpriced: bool = False,
    ) -> None:
        self.name = f"openai:{settings.model}"
        self.judge_id = judge_id(settings.provider, settings.model, PARAMS)
        self.settings, self.store = settings, store
        self.limits = limits or Limits()
        self.policy = policy or RetryPolicy()
        self.limiter = Limiter(self.limits)
        self.budget = Budget(max_usd, max_requests)
        self.price = price_of(settings.model, allow_unpriced=allow_unpriced)
        if max_usd is not None and not self.price.known:
            raise IvcrError(
                f"model {settings.model!r}: has no price, so --max-usd cannot limit what it costs",
                hint="limit it with --max-requests",
            )
        self.costs = CostReport()
        self._storing = threading.Lock()

    def judge(self, items: Iterable[JudgeItem]) -> Iterator[tuple[JudgeItem, Verdict]]:
        """Yield each item once with its verdict, in the order in which they come.

        Raises:
            BudgetReached: the limit is reached; all that was answered was yielded and is kept.
            IvcrError: the provider will never answer, or `MOST_IN_A_ROW` items in a row came to nothing.
        """
        waiting: dict[str, list[JudgeItem]] = {}
        window = AHEAD * self.limits.concurrency
        with (
            Ledger(self.store.folder, self.judge_id) as ledger,
            _Desk(self, ledger) as desk,
            Calls[Judged | IvcrError]() as calls,
        ):
            for item in items:
                key = key_of(self.judge_id, item)
                known = self.stored(key)
                if known is not None:
                    yield item, known
                    continue
                if key not in waiting:
                    calls.start(desk.decided(key, item))
                waiting.setdefault(key, []).append(item)
                for ended in calls.ended(leave=window - 1):
                    yield from self._settled(ended, waiting, desk)
                if desk.stopped is not None:
                    break
            for ended in calls.ended(leave=0):
                yield from self._settled(ended, waiting, desk)
            if desk.stopped is not None:
                raise desk.stopped

    def stored(self, key: str) -> Verdict | None:
        """The verdict in the store; ``None`` if there is none, or the judge failed, which is tried anew."""
        with self._storing:
            record = self.store.get(key)
        return None if record is None or record.verdict.label is None else record.verdict

    def keep(self, key: str, record: Record) -> None:
        """Put ``record`` into the store, from whichever thread has it."""
        with self._storing:
            self.store.put(key, record)

    def _settled(
        self, ended: Judged | IvcrError, waiting: dict[str, list[JudgeItem]], desk: _Desk
    ) -> Iterator[tuple[JudgeItem, Verdict]]:
        if isinstance(ended, IvcrError):
            desk.stopped = desk.stopped or ended
            return
        verdict = ended.verdict
        desk.count(verdict)
        for item in waiting.pop(ended.key):
            yield item, verdict


class _Desk:
    """Decides items for one call of `OpenAIJudge.judge`."""

    def __init__(self, judge: OpenAIJudge, ledger: Ledger) -> None:
        self._judge, self._ledger = judge, ledger
        self.client = ChatClient(judge.settings, judge.limits.concurrency)
        self.stopped: IvcrError | None = None
        self._in_a_row = 0
        self._run, self._numbers = secrets.token_hex(4), count(1)

    def __enter__(self) -> _Desk:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._judge.costs = self._ledger.report()
        wait_for(self.client.close())

    def count(self, verdict: Verdict) -> None:
        """Stop the run where nothing works any more."""
        self._in_a_row = 0 if verdict.label is not None else self._in_a_row + 1
        if self._in_a_row == MOST_IN_A_ROW and self.stopped is None:
            self.stopped = IvcrError(
                f"{self._judge.name}: {MOST_IN_A_ROW} turns in a row got no verdict, the last one: {verdict.error}",
                hint="resume once that is mended: nothing that was answered is asked again",
            )

    async def decided(self, key: str, item: JudgeItem) -> Judged | IvcrError:
        """Ask until there is a verdict on ``item`` or no sense in asking on; or the error that ends the run."""
        policy, begun = self._judge.policy, time.monotonic()
        failures: Counter[Outcome] = Counter()
        attempts: list[Attempt] = []
        raw: str | None = None
        try:
            while True:
                if self.stopped is not None:
                    return self.stopped
                answered = sum(failures.values()) - sum(failures[outcome] for outcome in TRANSIENT)
                call = _Call(self._judge, self._ledger, f"{self._run}-{next(self._numbers)}")
                try:
                    verdict = await call.verdict(self.client, item, SEED + answered)
                except CallFailure as failure:
                    failures[failure.outcome] += 1
                    verdict = Verdict(None, error=f"{failure.outcome.value}: {failure}")
                    if failure.outcome in TRANSIENT and policy.allows(failures):
                        passing = sum(failures[outcome] for outcome in TRANSIENT)
                        await asyncio.sleep(policy.wait(passing, failure.retry_after))
                finally:
                    raw = call.raw or raw
                    attempts += call.attempts
                if verdict.label is not None or not policy.allows(failures):
                    usage = total(attempt.usage for attempt in attempts)
                    # kept at once: a run that is killed before anybody takes the verdict has paid for it, too
                    record = Record(verdict, raw, usage, time.monotonic() - begun, tuple(attempts))
                    self._judge.keep(key, record)
                    return Judged(key, verdict)
        except IvcrError as error:
            return error


class _Call:
    """One request on its way: limited, paid for and written down, whatever becomes of it.

    Attributes:
        raw: what the model said.
        attempts: this one, once it has ended.
    """

    def __init__(self, judge: OpenAIJudge, ledger: Ledger, name: str) -> None:
        self._judge, self._ledger, self._name = judge, ledger, name
        self.raw: str | None = None
        self.attempts: list[Attempt] = []

    async def verdict(self, client: ChatClient, item: JudgeItem, seed: int) -> Verdict:
        """Ask for a verdict on ``item``.

        Raises:
            CallFailure: this call brought none.
            IvcrError: no call will.
        """
        judge = self._judge
        body = request_body(item, judge.judge_id, judge.settings.model, seed)
        size = most_tokens(body)
        at_most = judge.price.price.usd(Usage(size, MAX_TOKENS))
        expected = size // BYTES_A_TOKEN + MAX_TOKENS
        async with judge.limiter.call(expected) as number:
            await judge.budget.reserve(at_most)
            self._ledger.write(Sent(self._name, judge.judge_id, at_most))
            begun, completion, outcome = time.monotonic(), None, None
            try:
                completion = await client.ask(body)
                self.raw = completion.content
                verdict = verdict_in(completion, item, judge.settings.model)
                outcome = Outcome.OK
            except CallFailure as failure:
                outcome = failure.outcome
                if outcome is Outcome.THROTTLED:
                    self._slow_down(number, failure)
                raise
            except IvcrError:
                outcome = Outcome.REJECTED
                raise
            finally:
                usd = self._end(completion, outcome, time.monotonic() - begun, expected)
                await judge.budget.settle(at_most, at_most if usd is None else usd)
        judge.limiter.concurrency.went_well()
        return verdict

    def _slow_down(self, number: int, failure: CallFailure) -> None:
        limiter = self._judge.limiter
        limiter.concurrency.throttled(number)
        if failure.retry_after is not None and failure.retry_after <= self._judge.policy.patience:
            limiter.pause(failure.retry_after)

    def _end(
        self, completion: Completion | None, outcome: Outcome | None, seconds: float, expected: int
    ) -> Decimal | None:
        """Write down how the call ended; return what it cost, if that is known."""
        if outcome is None:
            return None  # cancelled on its way: the ledger keeps it open
        usage = completion.tokens if completion is not None else None
        unbilled = completion is None and outcome in _UNBILLED
        if unbilled:
            usage = Usage()
        usd = None if usage is None else self._judge.price.price.usd(usage)
        self._judge.limiter.used(expected, 0 if usage is None else usage.input_tokens + usage.output_tokens)
        self._ledger.write(Ended(self._name, outcome, usage, usd, round(seconds, 4)))
        self.attempts.append(Attempt(outcome.value, usage or Usage(), seconds))
        return usd


_UNBILLED = frozenset({Outcome.THROTTLED, Outcome.SERVER_ERROR, Outcome.REJECTED, Outcome.REFUSED})
"""A provider that answers with a status of failure bills nothing."""


def most_tokens(body: dict[str, object]) -> int:
    """More tokens than ``body`` can have: each stands for at least one byte of it."""
    return len(msgspec.json.encode(body))
