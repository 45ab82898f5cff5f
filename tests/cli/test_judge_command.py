"""``ivcr-bench judge`` and ``score --judge`` as a user types them, without a network."""

import json
import subprocess
import sys

import pytest

from ivcr_bench.data.dataset import load_folder
from ivcr_bench.jsonl import write_jsonl
from ivcr_bench.schema import Dialogue, Gold, SubmissionTurn, Turn, Video
from ivcr_bench.scoring.gold import GoldTurns
from ivcr_bench.scoring.judge.hearing import Hearing
from ivcr_bench.scoring.judge.items import Label, Verdict
from ivcr_bench.scoring.judge.replay import sign
from ivcr_bench.scoring.judge.rule import RuleJudge
from ivcr_bench.scoring.judge.store import Record, VerdictStore, key_of
from ivcr_bench.submission import Submission, write_submission

MODEL = "openai:gpt-4o-2024-08-06"
SAID = "a white cat in the snow"
FIND = Turn("find it", "video_retrieval", "new_topic", Gold(videos=("f1",), response=SAID))
ANSWER = SubmissionTurn(
    dialogue_id="a", turn=1, intent="video_retrieval", videos=("f1",), text="a white cat in the snow"
)


class Served(RuleJudge):
    """The rule judge under the name of a served one."""

    name = MODEL


@pytest.fixture
def world(tmp_path, monkeypatch):
    monkeypatch.setenv("IVCR_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    root = tmp_path / "tiny"
    write_jsonl(root / "corpus.jsonl", [Video(f"f{i}", f"{i}.mp4", 30.0, "hand") for i in range(3)])
    write_jsonl(root / "dialogues.jsonl", [Dialogue("a", "en", "test", 1, (FIND,))])
    write_submission(tmp_path / "s.jsonl", Submission(None, (ANSWER,)))
    return root, tmp_path / "s.jsonl", tmp_path / "store"


def judged_before(root, store, label):
    """A store that holds one verdict on the answer."""
    gold = GoldTurns.of(load_folder(root), "test")
    judge = Served()
    with VerdictStore(store) as verdicts:
        for item in Hearing(gold, judge).items([(0, ANSWER)]):
            verdicts.put(key_of(judge.judge_id, item), Record(Verdict(label)))
        sign(store, judge)


def test_the_rule_judge_runs_without_a_key(ivcr_bench, world):
    root, submission, _ = world
    code, out, err = ivcr_bench("judge", "run", submission, "--dataset", root)
    assert (code, err) == (0, "")
    assert "texts     1: 1 highly_relevant; 0 of them without an answer" in out
    assert "mean      100.00" in out


def test_scoring_can_do_without_a_judge(ivcr_bench, world):
    root, submission, _ = world
    code, out, _ = ivcr_bench("score", submission, "--dataset", root, "--judge", "none")
    assert code == 0
    assert "|judge:none|" in out
    assert ["relevance", "-", "-", "-", "0"] in [line.split() for line in out.splitlines()]


def test_replay_gives_what_was_judged_and_score_agrees(ivcr_bench, world, tmp_path):
    root, submission, store = world
    judged_before(root, store, Label.SOMEWHAT)
    code, out, err = ivcr_bench("judge", "replay", submission, "--dataset", root, "--store", store)
    assert (code, err) == (0, "")
    assert f"judge     {MODEL}" in out
    assert "mean      40.00" in out
    report = tmp_path / "report.json"
    code, out, _ = ivcr_bench(
        "score", submission, "--dataset", root, "--judge", "replay", "--store", store, "--json", report
    )
    assert code == 0
    assert json.loads(report.read_bytes())["judge"].startswith(f"{MODEL}@")
    assert json.loads(report.read_bytes())["overall"]["none"]["relevance"]["value"] == 0.4


def test_replay_with_a_missing_verdict_fails(ivcr_bench, world):
    root, submission, store = world
    judged_before(root, store, Label.SOMEWHAT)
    write_submission(submission, Submission(None, (SubmissionTurn(**{**_fields(ANSWER), "text": "another"}),)))
    code, _, err = ivcr_bench("judge", "replay", submission, "--dataset", root, "--store", store)
    assert code == 2
    assert "holds no verdict" in err


def test_estimate_needs_no_key_and_sends_nothing(ivcr_bench, world):
    root, submission, store = world
    code, out, _ = ivcr_bench("judge", "estimate", submission, "--dataset", root, "--store", store, "--judge", MODEL)
    assert code == 0
    assert "requests      1 " in out
    assert "USD" in out


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--judge", "openai:gpt-4o"), "alias"),
        (("--judge", MODEL), "OPENAI_API_KEY is not set"),
        (("--judge", "rulle"), "did you mean 'rule'"),
        (("--panel", "rule,rule"), "2 judges, 1 different"),
    ],
)
def test_a_judge_that_cannot_be_asked_is_one_line(ivcr_bench, world, arguments, reason):
    root, submission, store = world
    code, _, err = ivcr_bench("judge", "run", submission, "--dataset", root, "--store", store, *arguments)
    assert code == 2
    assert reason in err
    assert len(err.splitlines()) == 1


def test_a_broken_submission_costs_nothing(ivcr_bench, world, monkeypatch):
    root, submission, store = world
    monkeypatch.setenv("OPENAI_API_KEY", "canary-key")
    write_submission(submission, Submission(None, (ANSWER, ANSWER)))
    code, _, err = ivcr_bench("score", submission, "--dataset", root, "--store", store, "--judge", MODEL)
    assert code == 2
    assert "again, expected it once" in err
    assert "canary-key" not in err
    assert not store.exists()


def test_resume_wants_something_to_go_on_from(ivcr_bench, world):
    root, submission, store = world
    code, _, err = ivcr_bench("judge", "resume", submission, "--dataset", root, "--store", store, "--judge", MODEL)
    assert code == 2
    assert "found no run to go on with" in err


def test_agreement_with_the_shipped_labels(ivcr_bench, tmp_path):
    code, out, _ = ivcr_bench("judge", "agreement", "--json", tmp_path / "agreement.json")
    assert code == 0
    assert "weighted kappa" in out
    assert json.loads((tmp_path / "agreement.json").read_bytes())["judge"] == "rule"


def test_scoring_and_help_import_nothing_heavy():
    program = (
        "import sys, ivcr_bench.cli.main, ivcr_bench.cli.score, ivcr_bench.cli.judge, ivcr_bench.scoring.report,"
        " ivcr_bench.scoring.judge.registry, ivcr_bench.scoring.judge.rule\n"
        "print([name for name in ('openai', 'torch', 'scipy', 'transformers', 'httpx') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout == "[]\n"


def _fields(answer):
    return {name: getattr(answer, name) for name in ("dialogue_id", "turn", "intent", "videos", "text")}
