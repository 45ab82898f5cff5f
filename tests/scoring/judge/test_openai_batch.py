"""Batches from end to end: partial, out of order, spoilt, killed at every step."""

from collections import Counter
from decimal import Decimal

import pytest
from judged import items, name_of, openai_judge
from loopback import MODEL, Faults, Loopback, label_of

from ivcr_bench.errors import IvcrError
from ivcr_bench.scoring.judge import batch as batches
from ivcr_bench.scoring.judge.batch import BatchJudge
from ivcr_bench.scoring.judge.budget import BudgetReached
from ivcr_bench.scoring.judge.costs import cost_report
from ivcr_bench.scoring.judge.prices import price_of
from ivcr_bench.scoring.judge.store import Usage, VerdictStore


def batch_judge(server, store, shard_requests=40, **settings):
    online = openai_judge(server.url, store, **settings)
    return BatchJudge(online, poll_seconds=0.005, shard_requests=shard_requests)


def billed(server, asks):
    """Usage of the server's answers to ``asks``, in batches or not: it bills in the order of its asks."""
    answers = [outcome for _, outcome in server.asks if outcome.split()[-1] not in ("429", "500", "lost")]
    chosen = [tokens for tokens, outcome in zip(server.billed, answers, strict=True) if asks(outcome)]
    return Usage(*(sum(tokens[place] for tokens in chosen) for place in (0, 2, 1)))


def test_a_batch_that_comes_back_spoilt_and_in_parts(tmp_path):
    faults = Faults({"429": 0.05, "bad_json": 0.05, "off_menu": 0.03, "wrong_model": 0.03, "refusal": 0.02})
    with Loopback(faults) as server, VerdictStore(tmp_path) as store:
        server.batch_loses = 0.1
        judge = batch_judge(server, store)
        verdicts = {name_of(item): verdict for item, verdict in judge.judge(items(100))}
    assert len(verdicts) == 100
    assert all(verdict.label == label_of(turn) for turn, verdict in verdicts.items() if verdict.label)
    assert len(server.batches) == 3  # 40 + 40 + 20
    assert {batch["status"] for batch in server.batches.values()} == {"expired"}
    answered = Counter(turn for turn, outcome in server.asks if outcome.split()[-1] == "ok")
    assert set(answered.values()) == {1}
    # exact to the token, at two prices
    in_batches = billed(server, lambda outcome: outcome.startswith("batch"))
    at_once = billed(server, lambda outcome: not outcome.startswith("batch"))
    price = price_of(MODEL).price
    assert judge.costs.usd == price.usd(in_batches, batch=True) + price.usd(at_once)
    assert judge.costs.batched == 100
    assert judge.costs.attempts["ok"] == sum(answered.values())
    assert cost_report(tmp_path, judge.judge_id) == judge.costs
    assert not list((tmp_path / "batches").iterdir())


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


@pytest.mark.parametrize("step", ["before_it_is_sent", "after_upload", "before_the_handle", "waiting", "reading"])
def test_a_run_that_is_killed_finds_its_batch(tmp_path, monkeypatch, step):
    def kill(*_, **__):
        raise Killed

    with Loopback() as server, VerdictStore(tmp_path) as store, monkeypatch.context() as patch:
        judge = batch_judge(server, store)
        if step == "before_it_is_sent":
            patch.setattr(batches._Run, "_begun", kill)
        elif step == "after_upload":
            patch.setattr("openai.resources.batches.AsyncBatches.create", kill)
        elif step == "before_the_handle":
            patch.setattr("ivcr_bench.scoring.judge.shards.Shard.set_batch", kill)
        elif step == "waiting":
            patch.setattr(batches._Run, "_finished", kill)
        else:
            read, seen = batches._Run._read, []

            def read_some(self, *arguments):
                seen.append(1)
                if len(seen) > 15:
                    raise Killed
                return read(self, *arguments)

            patch.setattr(batches._Run, "_read", read_some)
        with pytest.raises(Killed):
            list(judge.judge(items(30)))
        left = sorted(path.suffix for path in (tmp_path / "batches").iterdir())
        assert left == [".json", ".jsonl"]
        patch.undo()

        verdicts = list(batch_judge(server, store).judge(items(30)))
        assert len(verdicts) == 30
        assert all(verdict.label == label_of(name_of(item)) for item, verdict in verdicts)
        assert len(server.batches) == 1
        assert set(server.contents.values()) == {1}
        assert len(server.billed) == 30
        assert not list((tmp_path / "batches").iterdir())
    costs = cost_report(tmp_path, judge.judge_id)
    assert costs.unknown == 0
    assert costs.usage == Usage(*(sum(tokens[place] for tokens in server.billed) for place in (0, 2, 1)))


def test_equal_content_is_in_a_batch_once(tmp_path):
    same = [item for item in items(3, "en") for _ in range(4)]
    with Loopback() as server, VerdictStore(tmp_path) as store:
        verdicts = list(batch_judge(server, store, shard_requests=2).judge(same))
    assert [item for item, _ in verdicts] == same
    assert Counter(turn for turn, _ in server.asks) == {"turn-0-1": 1, "turn-0-2": 1, "turn-0-3": 1}


def test_a_batch_is_cut_to_what_may_be_spent(tmp_path):
    limit = Decimal("0.30")
    with Loopback() as server, VerdictStore(tmp_path) as store:
        judge, done = batch_judge(server, store, shard_requests=1000, max_usd=limit), []
        with pytest.raises(BudgetReached, match=r"--max-usd 0\.30"):
            done.extend(judge.judge(items(400)))
        spent = price_of(MODEL).price.usd(billed(server, bool), batch=True)
        assert limit / 2 < spent <= limit
        assert len(done) == len(server.asks)
        assert len(server.batches) > 1


def test_a_refused_batch_is_told(tmp_path):
    with Loopback() as server, VerdictStore(tmp_path) as store:
        server.batch_refusal = "Enqueued token limit reached"
        with pytest.raises(IvcrError, match="the provider refused a batch: Enqueued token limit reached"):
            list(batch_judge(server, store).judge(items(10)))
        server.batch_refusal = None
        assert len(list(batch_judge(server, store).judge(items(10)))) == 10
        assert cost_report(tmp_path, batch_judge(server, store).judge_id).unknown == 0
