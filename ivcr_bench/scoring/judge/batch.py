"""The same judge for half the price: requests go to the provider by the thousand, and come back within a day.

A shard of requests is on disk before it is sent, with the handle of its batch as soon as there is one, so that a run
that was killed, or a machine switched off over night, finds its batches again and pays for none of them twice.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from decimal import Decimal
from typing import TypeVar

import msgspec
from openai.types import Batch

from ivcr_bench.errors import IvcrError
from ivcr_bench.scoring.judge.background import wait_for
from ivcr_bench.scoring.judge.budget import BudgetReached
from ivcr_bench.scoring.judge.costs import CostReport, Ended, Ledger, Sent
from ivcr_bench.scoring.judge.items import JudgeItem, Verdict
from ivcr_bench.scoring.judge.openai_client import (
    ChatClient,
    excerpt,
    read_completion,
    request_body,
    verdict_in,
)
from ivcr_bench.scoring.judge.openai_judge import OpenAIJudge, most_tokens
from ivcr_bench.scoring.judge.prompt import MAX_TOKENS
from ivcr_bench.scoring.judge.retries import TRANSIENT, CallFailure, Outcome
from ivcr_bench.scoring.judge.shards import Asked, Shard, open_shards
from ivcr_bench.scoring.judge.store import Attempt, Record, Usage, key_of

POLL_SECONDS = 30.0
SHARD_REQUESTS = 5_000
SHARD_BYTES = 50_000_000
"""Well below what providers accept (50,000 requests, 100 to 200 MB): a shard is held in memory when it is sent."""

CALL_SECONDS = 600.0
"""For the upload or the download of a shard."""

MOST_BATCHES_LISTED = 1_000
"""So many of the account's latest batches are searched for one that a killed run had sent."""

_SHARD = "ivcr_shard"
_FINISHED = frozenset({"completed", "expired", "cancelled", "failed"})

T = TypeVar("T")


class BatchJudge:
    """An `OpenAIJudge` that asks in batches; what they leave unanswered is asked at once, at the full price.

    Args:
        online: the judge; limits, budget, store and identity are its own.
        poll_seconds: how often the provider is asked whether a batch is done.
        shard_requests: requests in a batch, at most.
    """

    def __init__(
        self, online: OpenAIJudge, *, poll_seconds: float = POLL_SECONDS, shard_requests: int = SHARD_REQUESTS
    ) -> None:
        self.name, self.judge_id = online.name, online.judge_id
        self.online = online
        self.poll_seconds, self.shard_requests = poll_seconds, shard_requests
        self.costs = CostReport()

    def judge(self, items: Iterable[JudgeItem]) -> Iterator[tuple[JudgeItem, Verdict]]:
        """Yield each item once with its verdict; batches that an earlier run left behind are waited for first.

        Raises:
            BudgetReached: the most that the next item can cost does not fit what may be spent.
            IvcrError: the provider refuses a batch, or will never answer.
        """
        online = self.online
        client = ChatClient(online.settings, online.limits.concurrency)
        self.costs = CostReport()
        try:
            with Ledger(online.store.folder, self.judge_id) as ledger:
                run = _Run(self, client, ledger)
                for shard in open_shards(online.store.folder, self.judge_id):
                    run.bring_home(shard)
                yield from run.judged(items)
        finally:
            self.costs += ledger.report()
            wait_for(client.close())


class _Run:
    """One call of `BatchJudge.judge`."""

    def __init__(self, judge: BatchJudge, client: ChatClient, ledger: Ledger) -> None:
        self._judge, self._online = judge, judge.online
        self._client, self._ledger = client, ledger
        self._sent: deque[Shard] = deque()
        self._asked: set[bytes] = set()

    def judged(self, items: Iterable[JudgeItem]) -> Iterator[tuple[JudgeItem, Verdict]]:
        """Put the items into shards, send those, and yield what comes back, in the order in which they were sent."""
        try:
            yield from self._all_sent(items)
        except BudgetReached:
            yield from self._all_collected()
            raise
        yield from self._all_collected()

    def _all_sent(self, items: Iterable[JudgeItem]) -> Iterator[tuple[JudgeItem, Verdict]]:
        shard = self._new_shard()
        for item in items:
            key = key_of(self._judge.judge_id, item)
            known = self._online.stored(key)
            if known is not None:
                yield item, known
                continue
            asked, size = self._ask(key, item)
            if shard and self._is_full(shard, asked, size):
                yield from self._send(shard)
                shard = self._new_shard()
            shard.add(asked, size)
            self._asked.add(bytes.fromhex(key))
        if shard:
            yield from self._send(shard)

    def _all_collected(self) -> Iterator[tuple[JudgeItem, Verdict]]:
        while self._sent:
            yield from self._verdicts(self._sent.popleft())

    def bring_home(self, shard: Shard) -> None:
        """Wait for the batch of a shard that another run left; one that was never sent is asked for anew, later."""
        for asked in shard.requests():
            self._ledger.expect(Sent(shard.call(asked.key), self._judge.judge_id, asked.at_most))
        if shard.handle.batch_id is None:
            found = wait_for(self._persistent(lambda: self._batch_of(shard)))
            if found is None:
                for asked in shard.requests():
                    self._end(shard.call(asked.key), Outcome.REJECTED, Usage())
                shard.forget()
                return
            shard.set_batch(found.id)
        self._online.budget.adopt(self._collect(shard), len(shard))
        shard.forget()

    def _collect(self, shard: Shard) -> Decimal:
        """Wait for the shard's batch and put what it brought into the store; what it cost.

        Raises:
            IvcrError: the provider refused the batch.
        """
        batch = wait_for(self._finished(shard))
        spent = Decimal(0)
        open_requests = {asked.key: asked for asked in shard.requests()}
        for file_id in (batch.output_file_id, batch.error_file_id):
            for line in wait_for(self._lines(file_id)):
                asked = open_requests.pop(line.custom_id, None)
                if asked is not None:
                    spent += self._read(shard, asked, line)
        for key in open_requests:
            self._end(shard.call(key), Outcome.TIMEOUT, Usage())  # the batch expired, and what it left costs nothing
        self._online.store.sync()
        if batch.status == "failed":
            shard.forget()
            reasons = [error.message or "" for error in (batch.errors.data or [])] if batch.errors else []
            raise IvcrError(
                f"{self._judge.name}: the provider refused a batch: {excerpt('; '.join(reasons)) or 'no reason given'}",
                hint="resume once that is mended, or without batches",
            )
        return spent

    def _new_shard(self) -> Shard:
        return Shard.new(self._online.store.folder, self._judge.judge_id)

    def _ask(self, key: str, item: JudgeItem) -> tuple[Asked, int]:
        """What goes into a shard, and its bytes; nothing is asked twice."""
        if bytes.fromhex(key) in self._asked:
            return Asked(key, item, Decimal(0), repeated=True), 0
        size = most_tokens(request_body(item, self._judge.judge_id, self._online.settings.model))
        usage = Usage(size, MAX_TOKENS)
        return Asked(key, item, self._online.price.price.usd(usage, batch=True)), size

    def _is_full(self, shard: Shard, asked: Asked, size: int) -> bool:
        left = self._online.budget.left
        over = left is not None and shard.at_most + asked.at_most > left
        return over or len(shard) == self._judge.shard_requests or shard.size + size > SHARD_BYTES

    def _send(self, shard: Shard) -> Iterator[tuple[JudgeItem, Verdict]]:
        """Send ``shard``; yield what earlier ones brought if only their end makes room in the budget."""
        budget = self._online.budget
        while self._sent and budget.left is not None and budget.left < shard.at_most:
            yield from self._verdicts(self._sent.popleft())
        wait_for(budget.reserve(shard.at_most, len(shard)))
        shard.save()
        for asked in shard.requests():
            self._ledger.write(Sent(shard.call(asked.key), self._judge.judge_id, asked.at_most))
        shard.set_batch(wait_for(self._persistent(lambda: self._begun(shard))).id)
        self._sent.append(shard)

    def _verdicts(self, shard: Shard) -> Iterator[tuple[JudgeItem, Verdict]]:
        """Wait for ``shard``, yield its verdicts, and ask at once for those that it did not bring."""
        wait_for(self._online.budget.settle(shard.at_most, self._collect(shard)))
        missing = []
        for asked in shard.items():
            known = self._online.stored(asked.key)
            if known is None:
                missing.append(asked.item)
            else:
                yield asked.item, known
        shard.forget()
        if missing:
            try:
                yield from self._online.judge(missing)
            finally:
                self._judge.costs += self._online.costs

    async def _begun(self, shard: Shard) -> Batch:
        """A batch of ``shard``: the one that was made when this was tried before, or a new one."""
        found = await self._batch_of(shard)
        if found is not None:
            return found
        openai = self._client.openai
        body = shard.request_lines(self._judge.judge_id, self._online.settings.model)
        file = await openai.files.create(file=(f"{shard.name}.jsonl", body), purpose="batch")
        return await openai.batches.create(
            input_file_id=file.id,
            endpoint="/v1/chat/completions",
            completion_window="24h",
            metadata={_SHARD: shard.name},
        )

    async def _batch_of(self, shard: Shard) -> Batch | None:
        """The batch of ``shard`` among the latest of the account."""
        number = 0
        async for batch in self._client.openai.batches.list(limit=100):
            if (batch.metadata or {}).get(_SHARD) == shard.name:
                return batch
            number += 1
            if number == MOST_BATCHES_LISTED:
                break
        return None

    async def _finished(self, shard: Shard) -> Batch:
        batch_id = shard.handle.batch_id
        assert batch_id is not None
        while True:
            batch = await self._persistent(lambda: self._client.openai.batches.retrieve(batch_id))
            if batch.status in _FINISHED:
                return batch
            await asyncio.sleep(self._judge.poll_seconds)

    async def _lines(self, file_id: str | None) -> list[_Line]:
        if file_id is None:
            return []
        content = await self._persistent(lambda: self._client.openai.files.content(file_id))
        decoder = msgspec.json.Decoder(_Line)
        lines = []
        for line in self._client.keyless(content.content).splitlines():
            with suppress(msgspec.DecodeError, UnicodeDecodeError):  # then it counts as not answered
                lines.append(decoder.decode(line))
        return lines

    async def _persistent(self, call: Callable[[], Awaitable[T]]) -> T:
        """The reply to ``call``, tried again while it fails in passing."""
        policy, failures = self._online.policy, 0
        while True:
            try:
                return await self._client.reply_to(call(), CALL_SECONDS)
            except CallFailure as failure:
                failures += 1
                if failure.outcome not in TRANSIENT or failures == policy.tries:
                    raise IvcrError(
                        f"{self._judge.name}: {failure}", hint="resume: batches that were sent are found again"
                    ) from None
                await asyncio.sleep(policy.wait(failures, failure.retry_after))

    def _read(self, shard: Shard, asked: Asked, line: _Line) -> Decimal:
        """Put the verdict of one line into the store, if it holds one; what it cost."""
        call, usage, raw = shard.call(asked.key), Usage(), None
        try:
            if line.response is None or line.response.status_code != 200:
                raise CallFailure(Outcome.SERVER_ERROR, "the batch holds an error")
            completion = read_completion(line.response.body)
            raw, usage = completion.content, completion.tokens or Usage()
            verdict = verdict_in(completion, asked.item, self._online.settings.model)
        except CallFailure as failure:
            return self._end(call, failure.outcome, usage)
        if self._online.stored(asked.key) is None:
            attempt = Attempt(Outcome.OK.value, usage)
            self._online.keep(asked.key, Record(verdict, raw, usage, 0.0, (attempt,)))
        return self._end(call, Outcome.OK, usage)

    def _end(self, call: str, outcome: Outcome, usage: Usage) -> Decimal:
        usd = self._online.price.price.usd(usage, batch=True)
        self._ledger.write(Ended(call, outcome, usage, usd, batch=True))
        return usd


class _Reply(msgspec.Struct, frozen=True):
    status_code: int
    body: msgspec.Raw = msgspec.Raw()


class _Line(msgspec.Struct, frozen=True):
    """One line of the file that a batch brings."""

    custom_id: str
    response: _Reply | None = None
