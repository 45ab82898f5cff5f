"""How fast a provider may be asked: requests and tokens a minute, calls at once, and pauses that it asks for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

Clock = Callable[[], float]
Sleep = Callable[[float], Awaitable[None]]

BURST_SECONDS = 1.0
"""So many seconds' worth may be spent at once; a provider's own window is shorter than the minute it advertises."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a provider allows.

    Attributes:
        concurrency: calls at once, at most; fewer while the provider is throttling.
        requests_per_minute, tokens_per_minute: ``None`` for as many as it takes.
    """

    concurrency: int = 64
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None


class TokenBucket:
    """Lets ``per_minute`` units through, no more than `BURST_SECONDS` of them at once. Units may be owed.

    A caller takes its place in the queue when it asks; whoever asks for more than a whole burst waits for it
    afterwards (the next in line pays), so no request is too large to ever be sent.
    """

    def __init__(self, per_minute: float, clock: Clock = time.monotonic, sleep: Sleep = asyncio.sleep) -> None:
        self._rate = per_minute / 60
        self._burst = max(1.0, self._rate * BURST_SECONDS)
        self._clock, self._sleep = clock, sleep
        self._level, self._seen = self._burst, clock()

    async def take(self, units: float) -> None:
        """Wait until ``units`` may be used."""
        now = self._clock()
        self._level = min(self._burst, self._level + (now - self._seen) * self._rate)
        self._seen = now
        wait = max(0.0, (min(units, self._burst) - self._level) / self._rate)
        self._level -= units
        if wait:
            await self._sleep(wait)

    def give_back(self, units: float) -> None:
        """Return units that were taken and not used."""
        self._level += units


class Concurrency:
    """How many calls run at once: one more for each round that goes well, half as many when the provider throttles.

    (Additive increase, multiplicative decrease; the halvings of one round count as one.)
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._allowed = float(most)
        self._running = 0
        self._started = 0
        self._halved_at = 0
        self._freed = asyncio.Condition()

    @property
    def allowed(self) -> int:
        """Calls that may run at once, now."""
        return int(self._allowed)

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[int]:
        """Wait for a place and hold it; yields the call's number, for `throttled`."""
        async with self._freed:
            await self._freed.wait_for(lambda: self._running < self.allowed)
            self._running += 1
            self._started += 1
            number = self._started
        try:
            yield number
        finally:
            async with self._freed:
                self._running -= 1
                self._freed.notify(2)  # one for this place, one for a place that `went_well` may have made

    def went_well(self) -> None:
        """Note a call that the provider did not throttle."""
        self._allowed = min(float(self._most), self._allowed + 1 / self._allowed)

    def throttled(self, number: int) -> None:
        """Note that the provider throttled call ``number``; one sent before the last halving changes nothing."""
        if number > self._halved_at:
            self._allowed = max(1.0, self._allowed / 2)
            self._halved_at = self._started


class Limiter:
    """All limits of one provider; every call of the process to it goes through the same one."""

    def __init__(self, limits: Limits, clock: Clock = time.monotonic, sleep: Sleep = asyncio.sleep) -> None:
        self.concurrency = Concurrency(limits.concurrency)
        self._buckets = [
            (TokenBucket(per_minute, clock, sleep), counts_tokens)
            for per_minute, counts_tokens in ((limits.requests_per_minute, False), (limits.tokens_per_minute, True))
            if per_minute is not None
        ]
        self._clock, self._sleep = clock, sleep
        self._not_before = 0.0

    @asynccontextmanager
    async def call(self, tokens: int) -> AsyncIterator[int]:
        """Wait until a call of about ``tokens`` tokens may be made; yields its number, for `Concurrency.throttled`."""
        async with self.concurrency.slot() as number:
            while (wait := self._not_before - self._clock()) > 0:
                await self._sleep(wait)
            for bucket, counts_tokens in self._buckets:
                await bucket.take(tokens if counts_tokens else 1)
            yield number

    def pause(self, seconds: float) -> None:
        """Let no call start for ``seconds``: the provider said so."""
        self._not_before = max(self._not_before, self._clock() + seconds)

    def used(self, expected: int, tokens: int) -> None:
        """Correct the books: a call that was expected to take ``expected`` tokens took ``tokens``."""
        for bucket, counts_tokens in self._buckets:
            if counts_tokens:
                bucket.give_back(expected - tokens)
