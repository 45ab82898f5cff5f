"""Prices, budget, ledger and retries."""

import asyncio
import email.utils
import random
import time
from collections import Counter
from decimal import Decimal

import pytest

from ivcr_bench.errors import IvcrError
from ivcr_bench.scoring.judge.budget import Budget, BudgetReached
from ivcr_bench.scoring.judge.costs import LEDGER, Ended, Ledger, Sent, cost_report
from ivcr_bench.scoring.judge.openai_client import require_dated
from ivcr_bench.scoring.judge.prices import price_of, price_table
from ivcr_bench.scoring.judge.retries import Outcome, RetryPolicy, retry_after
from ivcr_bench.scoring.judge.store import Usage


def test_prices_are_dated_and_exact():
    table = price_table()
    assert table.version == "2026-07-24"
    assert "github.com" in table.source
    price = price_of("gpt-4o-mini-2024-07-18").price
    # 700 fresh * 0.15 + 300 cached * 0.075 + 81 * 0.60 = 105 + 22.5 + 48.6 = 176.1 millionths
    assert price.usd(Usage(1000, 81, 300)) == Decimal("0.0001761")
    # 1000 * 0.075 + 81 * 0.30 = 75 + 24.3
    assert price.usd(Usage(1000, 81, 300), batch=True) == Decimal("0.0000993")
    for model, entry in table.models.items():
        require_dated(model)
        assert 2 * entry.batch_input == entry.input
        assert 2 * entry.batch_output == entry.output


def test_unknown_price_is_refused_unless_allowed():
    with pytest.raises(IvcrError, match=r"no price in the table of 2026-07-24.*did you mean 'gpt-4o-2024-08-06'"):
        price_of("gpt-4o-2024-08-07")
    assert not price_of("gpt-4o-2024-08-07", allow_unpriced=True).known


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4o-latest", "org/Model", "gpt-4-9999", "m-2024-13-01"])
def test_aliases_are_refused(model):
    with pytest.raises(IvcrError, match="is an alias, which stands for another model tomorrow"):
        require_dated(model)


@pytest.mark.parametrize("model", ["gpt-4-0613", "gpt-4.1-2025-04-14", "claude-20250219", "Q-2507", "o/M@a09a354"])
def test_dated_models_are_accepted(model):
    require_dated(model)


def test_budget_reserves_before_it_spends():
    async def run():
        budget = Budget(max_usd=Decimal("1.0"))
        await budget.reserve(Decimal("0.6"))
        waiting = asyncio.create_task(budget.reserve(Decimal("0.6")))
        await asyncio.sleep(0)
        assert not waiting.done()  # 1.2 could be spent
        await budget.settle(Decimal("0.6"), Decimal("0.1"))
        await waiting  # 0.1 + 0.6 fit
        assert budget.left == Decimal("0.3")
        await budget.settle(Decimal("0.6"), Decimal("0.6"))
        with pytest.raises(BudgetReached, match=r"--max-usd 1.0: 0.7000 USD are spent") as reached:
            await budget.reserve(Decimal("0.31"))
        assert reached.value.exit_code == 3
        await budget.reserve(Decimal("0.30"))

    asyncio.run(run())


def test_budget_counts_requests():
    async def run():
        budget = Budget(max_requests=2)
        for _ in range(2):
            await budget.reserve(Decimal(5))
        with pytest.raises(BudgetReached, match="2 requests are sent"):
            await budget.reserve(Decimal(5))

    asyncio.run(run())


def test_budget_is_never_exceeded_whatever_the_order():
    drawn = random.Random(3)

    async def run():
        budget, spent = Budget(max_usd=Decimal(10)), Decimal(0)

        async def call():
            nonlocal spent
            at_most = Decimal(drawn.randrange(1, 100)) / 100
            try:
                await budget.reserve(at_most)
            except BudgetReached:
                return
            await asyncio.sleep(0)
            usd = at_most * drawn.randrange(101) / 100
            spent += usd
            assert spent <= 10
            await budget.settle(at_most, usd)

        await asyncio.gather(*(call() for _ in range(200)))
        assert budget.spent == spent
        assert spent > 9

    asyncio.run(run())


def test_ledger_adds_up_and_survives_a_torn_line(tmp_path):
    with Ledger(tmp_path, "judge") as ledger:
        ledger.write(Sent("a", "judge", Decimal("0.5")))
        ledger.write(Sent("b", "judge", Decimal("0.25")))
        ledger.write(Ended("a", Outcome.OK, Usage(100, 10, 40), Decimal("0.125")))
        ledger.write(Sent("c", "other", Decimal(9)))
    with (tmp_path / LEDGER).open("ab") as stream:
        stream.write(b'{"event":"ended","call":"b","outc')  # as a kill leaves it
    with Ledger(tmp_path, "judge") as ledger:
        ledger.write(Sent("d", "judge", Decimal("0.5")))
        ledger.write(Ended("d", Outcome.TIMEOUT))
    report = cost_report(tmp_path, "judge")
    assert report.attempts == Counter(ok=1, timeout=1)
    assert report.usage == Usage(100, 10, 40)
    assert report.usd == Decimal("0.125")
    assert (report.unknown, report.at_most) == (2, Decimal("0.75"))  # b was cut off, d timed out
    assert "unknown       2 calls, billed at most 0.75 USD more" in report.lines()


def test_damaged_ledger_names_its_line(tmp_path):
    (tmp_path / LEDGER).write_bytes(b'{"event":"sent","call":"a","judge_id":"j","at_most":"1"}\nnonsense\n')
    with pytest.raises(IvcrError, match=r"attempts.jsonl:2: is damaged"):
        cost_report(tmp_path, "j")


def test_waits_grow_are_jittered_and_capped():
    policy = RetryPolicy(base=1.0, cap=60.0, random=random.Random(0))
    for failures, most in ((1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (8, 60)):
        waits = [policy.wait(failures, None) for _ in range(200)]
        assert 0 <= min(waits) < 0.1 * most
        assert 0.9 * most < max(waits) <= most


def test_retry_after_is_a_lower_bound_and_an_endless_one_ends_the_run():
    policy = RetryPolicy()
    assert all(7.5 <= policy.wait(1, 7.5) <= 8.5 for _ in range(100))
    with pytest.raises(IvcrError, match="asks to wait 86400 s"):
        policy.wait(1, 86400)


def test_retry_after_of_every_form():
    assert retry_after({}) is None
    assert retry_after({"retry-after": "nan"}) is None
    assert retry_after({"retry-after-ms": "1500", "retry-after": "9"}) == 1.5
    date = email.utils.formatdate(time.time() + 100, usegmt=True)
    assert 95 < retry_after({"retry-after": date}) <= 100


@pytest.mark.parametrize(
    ("failures", "again"),
    [
        ({Outcome.THROTTLED: 4, Outcome.TIMEOUT: 3}, True),
        ({Outcome.THROTTLED: 4, Outcome.TIMEOUT: 4}, False),
        ({Outcome.NO_VERDICT: 2}, True),
        ({Outcome.NO_VERDICT: 2, Outcome.WRONG_MODEL: 1}, False),
        ({Outcome.REFUSED: 1}, True),
        ({Outcome.REFUSED: 2}, False),
        ({Outcome.REJECTED: 1}, False),
    ],
)
def test_what_is_tried_again(failures, again):
    assert RetryPolicy().allows(failures) is again
