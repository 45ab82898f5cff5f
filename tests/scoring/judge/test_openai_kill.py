"""A run that is killed, goes on, and is replayed without a server: each verdict is paid for once."""

import signal
import subprocess
import sys
import time

import pytest
from judged import items
from loopback import KEY, MODEL, Loopback

from ivcr_bench.cli.main import cli
from ivcr_bench.data.dataset import load_folder
from ivcr_bench.jsonl import write_jsonl
from ivcr_bench.schema import Dialogue, Gold, SubmissionHeader, SubmissionTurn, Turn, Video
from ivcr_bench.scoring.judge.costs import cost_report
from ivcr_bench.scoring.judge.replay import _signed
from ivcr_bench.scoring.judge.store import VerdictStore
from ivcr_bench.submission import Submission, write_submission

AT_ONCE = 8
TURNS = 200
PROGRAM = "from ivcr_bench.cli.main import main; main()"


@pytest.fixture
def world(tmp_path):
    """A dataset folder, and answers to all of its turns."""
    root = tmp_path / "tiny"
    write_jsonl(root / "corpus.jsonl", [Video("f0", "0.mp4", 30.0, "hand")])
    turns = {}
    for item in items(TURNS):
        gold = Gold(response=item.reference)
        turns.setdefault((item.dialogue_id, item.language), []).append(
            Turn(f"what is {item.turn}?", "natural_dialogue", "chitchat", gold)
        )
    talks = [Dialogue(name, language, "test", 1, tuple(spoken)) for (name, language), spoken in turns.items()]
    write_jsonl(root / "dialogues.jsonl", talks)
    answers = tuple(
        SubmissionTurn(dialogue_id=i.dialogue_id, turn=i.turn, intent="natural_dialogue", text=f"{i.reference}, I say")
        for i in items(TURNS)
    )
    fingerprint = load_folder(root).card.fingerprint
    header = SubmissionHeader(format="ivcr-submission/1", system="mine", dataset="tiny", fingerprint=fingerprint)
    write_submission(tmp_path / "s.jsonl", Submission(header, answers))
    return [str(tmp_path / "s.jsonl"), "--dataset", str(root)]


def killed(arguments, server, asks):
    """Run the command line and kill it after the server was asked so often."""
    with subprocess.Popen([sys.executable, "-c", PROGRAM, *arguments], stderr=subprocess.PIPE) as run:
        deadline = time.monotonic() + 60
        while len(server.asks) < asks and run.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        run.send_signal(signal.SIGKILL)
        assert run.wait() == -signal.SIGKILL, run.stderr.read().decode()
    time.sleep(0.2)  # what is under way on the server ends


def test_sigkill_resume_and_replay(world, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    store = ["--store", str(tmp_path / "verdicts")]
    with Loopback(latency=0.02) as server:
        asked = ["--judge", f"openai:{MODEL}", "--base-url", server.url, "--no-sentinel", "--concurrency", str(AT_ONCE)]
        killed(["judge", "run", *world, *asked, *store], server, 60)
        at_kill = len(server.asks)
        with VerdictStore(tmp_path / "verdicts") as kept:
            assert at_kill - AT_ONCE <= len(kept) < at_kill <= TURNS
            answered_before = len(kept)

        cli.main(["score", *world, *asked, *store, "--json", str(tmp_path / "a.json")], standalone_mode=False)
        shown = capsys.readouterr().out

    # what was stored when the run was killed is not asked again, and no more than was on its way is lost
    questions = len(server.contents)
    again = sum(server.contents.values()) - questions
    assert again == at_kill - answered_before <= AT_ONCE
    (judge,) = _signed(tmp_path / "verdicts")
    costs = cost_report(tmp_path / "verdicts", judge.judge_id)
    assert costs.attempts == {"ok": questions}
    assert again <= costs.unknown <= AT_ONCE  # some had not even left
    assert len(server.billed) == questions + again
    assert costs.at_most > 0

    # the server is gone
    monkeypatch.delenv("OPENAI_API_KEY")
    cli.main(["score", *world, "--judge", "replay", *store, "--json", str(tmp_path / "b.json")], standalone_mode=False)
    assert capsys.readouterr().out == shown
    assert (tmp_path / "b.json").read_bytes() == (tmp_path / "a.json").read_bytes()
    assert f'"judge_id": "{judge.judge_id}"' in (tmp_path / "a.json").read_text()
