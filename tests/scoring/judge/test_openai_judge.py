"""The OpenAI judge against a server on loopback that fails in every way that providers do."""

import logging
import os
from collections import Counter
from decimal import Decimal

import pytest
from judged import items, name_of, openai_judge
from loopback import KEY, MODEL, Faults, Loopback, label_of

from ivcr_bench.errors import IvcrError
from ivcr_bench.scoring.judge.budget import BudgetReached
from ivcr_bench.scoring.judge.costs import cost_report
from ivcr_bench.scoring.judge.items import JudgeItem
from ivcr_bench.scoring.judge.openai_client import Settings
from ivcr_bench.scoring.judge.prices import price_of
from ivcr_bench.scoring.judge.store import Usage, VerdictStore

TURNS = 2589
SHARES = {
    "429": 0.04,
    "500": 0.03,
    "503": 0.01,
    "cut": 0.02,
    "bad_json": 0.02,
    "off_menu": 0.02,
    "made_up_evidence": 0.01,
    "too_long": 0.01,
    "wrong_model": 0.01,
    "refusal": 0.01,
}
STUBBORN = {
    "turn-3-1": "500",
    "turn-7-2": "off_menu",
    "turn-11-5": "wrong_model",
    "turn-20-1": "refusal",
    "turn-31-3": "400",
    "turn-40-4": "bad_json",
}
BILLED = {"ok", "bad_json", "off_menu", "made_up_evidence", "too_long", "wrong_model", "refusal"}


def billed(server):
    """What the server billed, as the client counts it."""
    return Usage(*(sum(tokens[place] for tokens in server.billed) for place in (0, 2, 1)))


def test_2589_turns_under_every_fault(tmp_path):
    asked = list(items(TURNS))
    with Loopback(Faults(SHARES, STUBBORN)) as server, VerdictStore(tmp_path) as store:
        judge = openai_judge(server.url, store, concurrency=32)
        verdicts = {name_of(item): verdict for item, verdict in judge.judge(asked)}

    assert len(verdicts) == TURNS  # each once: a repeated one would have been overwritten, a lost one be missing
    failed = {turn: verdict.error for turn, verdict in verdicts.items() if verdict.label is None}
    assert set(failed) >= set(STUBBORN)
    # what drew three useless answers, two refusals or eight passing faults by itself is judge_error, too
    faults = Faults(SHARES, STUBBORN)
    assert all(hopeless(faults, turn) for turn in failed)
    assert len(failed) < 0.005 * TURNS
    assert failed["turn-11-5"].startswith(
        "wrong_model: model 'gpt-4o-2024-05-13' answered, expected 'gpt-4o-2024-08-06'"
    )
    assert all(verdict.label == label_of(turn) for turn, verdict in verdicts.items() if verdict.label is not None)

    # nobody is asked again who had answered
    answered = Counter(turn for turn, outcome in server.asks if outcome == "ok")
    assert set(answered.values()) == {1}
    assert len(answered) == TURNS - len(failed)

    # every attempt is in the report, and the cost is exact to the token
    outcomes = Counter(outcome for _, outcome in server.asks)
    attempts = judge.costs.attempts
    assert attempts.total() == len(server.asks)
    assert attempts["ok"] == outcomes["ok"]
    assert attempts["throttled"] == outcomes["429"]
    assert attempts["server_error"] == outcomes["500"] + outcomes["503"]
    assert attempts["connection"] == outcomes["cut"] == judge.costs.unknown
    assert attempts["wrong_model"] == outcomes["wrong_model"]
    assert attempts["refused"] == outcomes["refusal"]
    assert sum(outcomes[outcome] for outcome in BILLED) == len(server.billed)
    assert judge.costs.usage == billed(server)
    assert judge.costs.usd == price_of(MODEL).price.usd(billed(server))
    assert cost_report(tmp_path, judge.judge_id) == judge.costs


def hopeless(faults, turn):
    drawn = [faults(turn, ask) for ask in range(12)]
    spoilt = [fault for fault in drawn if fault in BILLED - {"refusal"}]
    passing = [fault for fault in drawn if fault in ("429", "500", "503", "cut")]
    return turn in STUBBORN or len(spoilt) >= 3 or drawn.count("refusal") >= 2 or len(passing) >= 8


def test_what_is_stored_is_not_asked_again_and_needs_no_server(tmp_path):
    with Loopback() as server, VerdictStore(tmp_path) as store:
        first = list(openai_judge(server.url, store).judge(items(40)))
        again = list(openai_judge(server.url, store).judge(items(40)))
        assert len(server.asks) == 40
    with VerdictStore(tmp_path) as store:  # the server is gone
        offline = list(openai_judge(server.url, store).judge(items(40)))
    assert sorted(first, key=str) == sorted(again, key=str) == sorted(offline, key=str)


def test_equal_content_is_asked_once(tmp_path):
    same = [JudgeItem(f"d{n}", 1, "en", ("who?",), "turn-0-1 a red star", "a red star") for n in range(9)]
    other = JudgeItem("d9", 1, "en", ("who?",), "turn-0-1 a red star", "a red star", repeat=1)
    with Loopback(latency=0.01) as server, VerdictStore(tmp_path) as store:
        verdicts = list(openai_judge(server.url, store).judge([*same, other]))
    assert len(server.asks) == 2
    assert [item.dialogue_id for item, _ in sorted(verdicts, key=lambda pair: pair[0].dialogue_id)] == [
        f"d{n}" for n in range(10)
    ]


def test_a_call_that_hangs_is_cut_off_and_made_again(tmp_path):
    faults = Faults({}, {"turn-0-1": "hang"})
    with Loopback(faults, hang=60) as server, VerdictStore(tmp_path) as store:
        judge = openai_judge(server.url, store, seconds=0.5)
        verdicts = {name_of(item): verdict for item, verdict in judge.judge(items(2))}
        faults.stubborn.clear()
    assert verdicts["turn-0-1"].error == "timeout: no answer within 0.5 s"
    assert judge.costs.attempts["timeout"] == judge.costs.unknown == 8
    assert judge.costs.at_most > 0


def test_judge_errors_are_tried_anew_by_the_next_run(tmp_path):
    faults = Faults({}, {"turn-0-1": "off_menu"})
    with Loopback(faults) as server, VerdictStore(tmp_path) as store:
        failed = [verdict for _, verdict in openai_judge(server.url, store).judge(items(2)) if verdict.label is None]
        assert [verdict.error.split(":")[0] for verdict in failed] == ["no_verdict"]
        faults.stubborn.clear()
        assert all(verdict.label for _, verdict in openai_judge(server.url, store).judge(items(2)))
    assert Counter(turn for turn, _ in server.asks) == {"turn-0-1": 4, "turn-0-2": 1}


def test_retry_after_is_honoured_by_all_calls(tmp_path):
    first = {"turn-0-1": "429"}
    faults = Faults({}, first)
    with Loopback(faults, retry_after="0.4") as server, VerdictStore(tmp_path) as store:
        judged = openai_judge(server.url, store, concurrency=1).judge(items(3))
        faults_end = [next(judged) for _ in range(2)]  # the two others; by then turn-0-1 was refused once
        first.clear()
        faults_end += list(judged)
    assert len(faults_end) == 3
    refused = next(at for at, turn in server.arrived if turn == "turn-0-1")
    assert all(at - refused >= 0.4 for at, _ in server.arrived if at > refused)


def test_more_at_once_than_allowed_is_given_up(tmp_path):
    with Loopback(latency=0.01, slots=4) as server, VerdictStore(tmp_path) as store:
        judge = openai_judge(server.url, store, concurrency=32)
        assert all(verdict.label for _, verdict in judge.judge(items(150)))
    assert judge.limiter.concurrency.allowed < 16  # it began with 32
    assert server.at_once >= 4


def test_max_usd_is_never_exceeded_and_the_rest_is_asked_later(tmp_path):
    limit = Decimal("0.20")
    with Loopback() as server, VerdictStore(tmp_path) as store:
        judge, done = openai_judge(server.url, store, max_usd=limit), []
        with pytest.raises(BudgetReached, match=r"--max-usd 0.20: .* USD are spent") as reached:
            done.extend(judge.judge(items(200)))
        assert reached.value.exit_code == 3
        spent = price_of(MODEL).price.usd(billed(server))
        assert Decimal("0.15") < spent <= limit
        assert judge.costs.usd == spent
        assert len(done) == len(server.asks)  # what was paid for was yielded
        rest = list(openai_judge(server.url, store).judge(items(200)))
    assert len(rest) == 200
    assert Counter(Counter(turn for turn, _ in server.asks).values()) == {1: 200}


def test_max_requests(tmp_path):
    with Loopback() as server, VerdictStore(tmp_path) as store:
        with pytest.raises(BudgetReached, match="--max-requests 30: 30 requests are sent"):
            list(openai_judge(server.url, store, max_requests=30).judge(items(100)))
        assert len(server.asks) == 30


def test_a_model_without_price_is_refused_or_free_of_limits(tmp_path):
    with VerdictStore(tmp_path) as store:
        with pytest.raises(IvcrError, match="--allow-unpriced"):
            openai_judge("http://x/v1", store, model="mine-2026-01-01")
        with pytest.raises(IvcrError, match="--max-usd cannot limit"):
            openai_judge("http://x/v1", store, model="mine-2026-01-01", allow_unpriced=True, max_usd=Decimal(1))
        with Loopback() as server:
            judge = openai_judge(server.url, store, model="mine-2026-01-01", allow_unpriced=True)
            assert all(verdict.label for _, verdict in judge.judge(items(3)))
        assert (judge.costs.usd, judge.costs.usage) == (0, billed(server))


@pytest.mark.parametrize("fault", ["wrong_model", "400", "500"])
def test_a_provider_where_nothing_works_is_given_up(tmp_path, fault):
    with Loopback(lambda turn, ask: fault) as server, VerdictStore(tmp_path) as store:
        judge = openai_judge(server.url, store, concurrency=4)
        with pytest.raises(IvcrError, match="20 turns in a row got no verdict, the last one: "):
            list(judge.judge(items(500)))
    assert len(server.asks) <= (20 + 8) * 8


def test_nobody_listens(tmp_path):
    with VerdictStore(tmp_path) as store, pytest.raises(IvcrError, match="connection: the connection failed"):
        list(openai_judge("http://127.0.0.1:9/v1", store).judge(items(100)))


def test_leaving_early_stops_the_calls(tmp_path):
    with Loopback(latency=0.05) as server, VerdictStore(tmp_path) as store:
        judged = openai_judge(server.url, store, concurrency=4).judge(items(400))
        for _ in range(3):
            next(judged)
        judged.close()
        sent = len(server.asks)
        assert sent < 40
        assert all(verdict.label for _, verdict in openai_judge(server.url, store).judge(items(10)))
        assert len(server.asks) <= sent + 10


def test_identity_holds_all_that_could_change_a_verdict(tmp_path):
    with VerdictStore(tmp_path) as store:
        here, port = openai_judge("http://127.0.0.1:1/v1", store), openai_judge("http://127.0.0.1:2/v1", store)
        there = openai_judge("http://example.org/v1", store)
        other = openai_judge("http://127.0.0.1:1/v1", store, model="gpt-4o-2024-11-20")
    assert here.judge_id == port.judge_id  # a tunnel may end anywhere
    assert len({here.judge_id, there.judge_id, other.judge_id}) == 3
    assert here.name == "openai:gpt-4o-2024-08-06"


def test_settings_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "")
    with pytest.raises(IvcrError, match="OPENAI_API_KEY is not set"):
        Settings.of(MODEL)
    assert Settings.of(MODEL, key_needed=False).api_key == ""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with pytest.raises(IvcrError, match="'gpt-4o': is an alias"):
        Settings.of("gpt-4o")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://localhost:8000/v1/")
    assert Settings.of(MODEL).provider == "localhost"
    assert Settings.of(MODEL, "https://api.openai.com/v1").provider == "openai"


def test_the_key_is_never_told(tmp_path, caplog, capfd):
    """The server sends the key back in every error and in an answer; everything logs as much as it can."""
    caplog.set_level(logging.DEBUG)
    for name in ("openai", "httpx2", "httpcore2", "asyncio"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    told = [repr(Settings(MODEL, KEY))]
    faults = Faults({"429": 0.1, "500": 0.1, "400": 0.1, "echo_key": 0.2})
    with Loopback(faults) as server, VerdictStore(tmp_path) as store:
        judge = openai_judge(server.url, store)
        told += [str(verdict) for _, verdict in judge.judge(items(60))]
        told += judge.costs.lines()
        with pytest.raises(IvcrError, match="is OPENAI_API_KEY the key of this provider") as refused:
            list(openai_judge(server.url, store, key=KEY + "x").judge(items(80)))
        told += [str(refused.value), repr(refused.value.__cause__), repr(refused.value.__context__)]
    assert any(outcome == "echo_key" for _, outcome in server.asks)
    told += ["".join(capfd.readouterr()), caplog.text]
    told += [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
    assert len(caplog.text) > 1000
    assert "injected" in "".join(told)
    assert not [text for text in told if KEY in text]
    assert KEY not in str(os.environ)
