"""Rates and concurrency, on a clock that the tests move."""

import asyncio

import pytest

from ivcr_bench.scoring.judge.limits import Concurrency, Limiter, Limits, TokenBucket


class Clock:
    """Time passes only in sleep."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    async def sleep(self, seconds):
        self.now += seconds


def test_bucket_lets_a_second_through_at_once_and_then_the_rate():
    # 600 a minute = 10 a second: 10 at once, then one each 0.1 s
    clock, sent = Clock(), []

    async def run():
        bucket = TokenBucket(600, clock, clock.sleep)
        for _ in range(30):
            await bucket.take(1)
            sent.append(clock.now)

    asyncio.run(run())
    assert sent[:10] == [0.0] * 10
    assert sent[10:] == pytest.approx([0.1 * n for n in range(1, 21)])


def test_a_request_larger_than_the_burst_is_sent_and_the_next_one_pays():
    # 600 tokens a minute = 10 a second, a burst of 10: 35 go out at once, the debt of 25 + 10 takes 3.5 s
    clock, sent = Clock(), []

    async def run():
        bucket = TokenBucket(600, clock, clock.sleep)
        for units in (35, 10):
            await bucket.take(units)
            sent.append(clock.now)

    asyncio.run(run())
    assert sent == pytest.approx([0.0, 3.5])


def test_tokens_that_were_not_used_are_given_back():
    clock = Clock()

    async def run():
        limiter = Limiter(Limits(4, tokens_per_minute=600), clock, clock.sleep)
        async with limiter.call(10):
            limiter.used(10, 4)
        async with limiter.call(6):
            pass

    asyncio.run(run())
    assert clock.now == 0.0


def test_retry_after_pauses_every_call():
    clock = Clock()

    async def run():
        limiter = Limiter(Limits(4), clock, clock.sleep)
        limiter.pause(7.0)
        limiter.pause(2.0)
        async with limiter.call(1):
            return clock.now

    assert asyncio.run(run()) == 7.0


def test_concurrency_falls_and_recovers():
    async def run():
        concurrency = Concurrency(16)
        numbers = []
        for _ in range(16):
            async with concurrency.slot() as number:
                numbers.append(number)
        for number in numbers:
            concurrency.throttled(number)
        assert concurrency.allowed == 8  # sixteen refusals of one round are one halving
        async with concurrency.slot() as number:
            concurrency.throttled(number)
        assert concurrency.allowed == 4
        for _ in range(5):
            concurrency.went_well()
        assert concurrency.allowed == 5  # 4 + 1/4 + 1/4.25 + ...: one more after about a round
        for _ in range(1000):
            concurrency.went_well()
        assert concurrency.allowed == 16

    asyncio.run(run())


def test_no_more_than_allowed_run_at_once():
    async def run():
        concurrency, running, most = Concurrency(3), 0, 0

        async def call():
            nonlocal running, most
            async with concurrency.slot():
                running += 1
                most = max(most, running)
                await asyncio.sleep(0)
                running -= 1

        await asyncio.gather(*(call() for _ in range(20)))
        return most

    assert asyncio.run(run()) == 3


def test_places_that_are_won_back_are_taken_by_those_who_wait():
    async def run():
        concurrency, running, most = Concurrency(8), 0, []
        for number in (1, 2):  # 8 -> 4 -> 2
            concurrency._started = number
            concurrency.throttled(number)

        async def call():
            nonlocal running
            async with concurrency.slot():
                running += 1
                most.append(running)
                await asyncio.sleep(0)
                running -= 1
                concurrency.went_well()

        await asyncio.gather(*(call() for _ in range(200)))
        return most

    most = asyncio.run(run())
    assert max(most[:4]) == 2
    assert max(most) == 8
