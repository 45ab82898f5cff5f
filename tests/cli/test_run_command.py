"""``ivcr-bench run`` as a user types it, on a dataset folder and a system that the tests write."""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ivcr_bench.cli.main import main
from ivcr_bench.cli.run import default_out
from ivcr_bench.jsonl import write_jsonl
from ivcr_bench.schema import Dialogue, Gold, Turn, Video
from ivcr_bench.submission import read_submission

SYSTEM = """
import os, time
from ivcr_bench.schema import INTENTS, Response

class Slow:
    name = "slow"
    intents = frozenset(INTENTS)
    reads_films = False

    def prepare(self, corpus):
        self.films = [video.video_id for video in corpus.videos]

    def respond(self, requests):
        time.sleep(float(os.environ.get("SLOW_SECONDS", "0")))
        return [self.answer(request) for request in requests]

    def answer(self, request):
        if request.dialogue_id == "d3" and request.turn == 2:
            raise RuntimeError("cannot say")
        # What is answered depends on the whole past, so an answer lost or repeated shows in all later ones.
        told = sum(len(past.answer.text) if past.answer else 7 for past in request.history)
        film = self.films[(told + len(request.dialogue_id)) % len(self.films)]
        return Response(intent="video_retrieval", videos=(film,), text="so " * (told % 5 + 1) + film)
"""


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "tiny"
    write_jsonl(root / "corpus.jsonl", [Video(f"f{i}", f"{i}.mp4", 30.0, "hand") for i in range(5)])
    turn = Turn("find it", "video_retrieval", "new_topic", Gold(videos=("f1",), response="so so f1 it is"))
    talks = [Dialogue(f"d{i}", "en" if i % 2 else "zh", "test", 1, (turn,) * (i % 4 + 1)) for i in range(12)]
    write_jsonl(root / "dialogues.jsonl", talks)
    (tmp_path / "slow_module.py").write_text(SYSTEM)
    return root


@pytest.fixture
def ivcr_bench(monkeypatch, capsys, tmp_path, folder):
    """Runs the command line in ``tmp_path``; gives exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "slow_module", raising=False)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["ivcr-bench", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        captured = capsys.readouterr()
        return stopped.value.code, captured.out, captured.err

    return run


RUN = ("run", "--system", "slow_module:Slow", "--dataset", "tiny")


def test_prints_what_score_prints_and_writes_all_files(ivcr_bench, folder):
    code, out, err = ivcr_bench(*RUN)
    written = Path("runs/slow_module-Slow-tiny")
    assert code == 0
    assert str(written / "submission.jsonl") in err
    assert ivcr_bench("score", written / "submission.jsonl", "--dataset", folder)[:2] == (0, out)
    assert ivcr_bench("score", written / "submission.jsonl", "--dataset", folder, "--json", "again.json")[0] == 0
    assert Path("again.json").read_bytes() == (written / "report.json").read_bytes()
    # Dialogues of 1, 2, 3 and 4 turns, three of each: 30 turns.
    assert "turns     30: 29 ok, 1 system_error" in out
    header = read_submission(written / "submission.jsonl").header
    assert (header.system, header.dataset, header.split, header.history) == ("slow", "tiny", "test", "own")
    timings = json.loads((written / "timings.json").read_bytes())
    assert (timings["turns"], len(timings["batches"])) == (30, 4)
    assert timings["total_seconds"] == pytest.approx(sum(b["seconds"] for b in timings["batches"]), abs=1e-5)


def test_own_and_gold_history_differ_for_a_system_that_errs(ivcr_bench):
    own, gold = ivcr_bench(*RUN)[1], ivcr_bench(*RUN, "--history", "gold")[1]
    assert "history   own" in own
    assert "history   gold" in gold
    first, second = Path("runs/slow_module-Slow-tiny"), Path("runs/slow_module-Slow-gold-tiny")
    assert read_submission(first / "submission.jsonl").turns != read_submission(second / "submission.jsonl").turns


def test_limit_is_kept_in_the_submission(ivcr_bench, folder):
    code, out, _ = ivcr_bench(*RUN, "--limit", 2, "--out", "two")
    assert code == 0
    assert "the first 2 dialogues" in out
    assert "turns     3: 3 ok" in out
    assert ivcr_bench("score", "two/submission.jsonl", "--dataset", folder)[1] == out


def test_oracle_is_marked_and_right(ivcr_bench):
    _, out, _ = ivcr_bench("run", "--system", "oracle", "--dataset", "tiny")
    assert "(sees the gold answers)" in out
    interval = ["[100.0,", "100.0]"]
    row = ["R@1", "100.00", *interval, "100.00", *interval, "100.00", "30"]
    assert row in [line.split() for line in out.splitlines()]


def test_failures_are_told_with_their_reason(ivcr_bench, caplog):
    ivcr_bench(*RUN)
    assert "dialogue 'd3', turn 2: system_error: RuntimeError: cannot say" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("run", "--system", "slow_module:Slow", "--dataset", "nowhere"), "no dataset 'nowhere'"),
        (("run", "--system", "oracel", "--dataset", "tiny"), "oracle"),
        ((*RUN, "--split", "val"), "no dialogue has split 'val'"),
        ((*RUN, "--scope", "candidates"), "no turn has candidates"),
        ((*RUN, "--out", "slow_module.py/x"), "slow_module.py/x/journal.jsonl: cannot write"),
        ((*RUN, "--batch-size", "0"), "--batch-size"),
    ],
)
def test_what_cannot_be_run_is_one_message(ivcr_bench, arguments, expected):
    code, out, err = ivcr_bench(*arguments)
    assert (code, out) == (2, "")
    assert expected in err
    assert "Traceback" not in err
    assert not Path("runs").exists()


def test_an_occupied_out_is_refused_and_resume_goes_on(ivcr_bench):
    _, out, _ = ivcr_bench(*RUN)
    code, _, err = ivcr_bench(*RUN)
    assert code == 2
    assert "already holds a run (pass --resume" in err
    assert ivcr_bench(*RUN, "--resume")[:2] == (0, out)


def test_three_kills_do_not_change_a_byte(ivcr_bench, folder, tmp_path):
    settings = (*RUN, "--batch-size", "2")
    assert ivcr_bench(*settings, "--out", "whole")[0] == 0
    chance = random.Random(2026)
    total = 6 + 5 + 3 + 2  # batches: 12 dialogues reach turn 1, 9 turn 2, 6 turn 3, 3 turn 4
    seen = 0
    for _ in range(3):
        seen = kill_after(chance.randint(seen + 1, seen + 4), chance.random() / 5, settings, tmp_path)
        assert 0 < seen < total
    assert ivcr_bench(*settings, "--out", "killed", "--resume")[0] == 0
    for name in ("submission.jsonl", "report.json"):
        assert Path("killed", name).read_bytes() == Path("whole", name).read_bytes()


def kill_after(batches, seconds, settings, cwd):
    """Resume in another process, kill it when the journal holds so many batches and some; the number it holds then."""
    environment = os.environ | {"PYTHONPATH": str(cwd), "SLOW_SECONDS": "0.2"}
    program = "from ivcr_bench.cli.main import main; main()"
    command = [sys.executable, "-c", program, *settings, "--out", "killed", "--resume"]
    journal = cwd / "killed" / "journal.jsonl"
    with subprocess.Popen(command, cwd=cwd, env=environment, stderr=subprocess.PIPE) as process:
        while not journal.exists() or journal.read_bytes().count(b"\n") <= batches:
            assert process.poll() is None, process.stderr.read().decode()
            time.sleep(0.01)
        time.sleep(seconds)
        process.kill()
    assert process.returncode < 0
    return journal.read_bytes().count(b"\n") - 1


@pytest.mark.parametrize(
    ("spec", "history", "dataset", "expected"),
    [
        ("interllava", "own", "mini", "runs/interllava"),
        ("interllava", "gold", "mini-seed1", "runs/interllava-gold-mini-seed1"),
        ("cmd:./a b.sh --x=1", "own", "mini", "runs/cmd-.-a-b.sh---x-1"),
        ("../..", "own", "mini", "runs/run"),
        ("interllava@x_pool", "own", "/data/ivcr", "runs/interllava@x_pool-ivcr"),
    ],
)
def test_default_folder(spec, history, dataset, expected):
    assert default_out(spec, history, dataset) == Path(expected)


def test_default_folder_names_the_query_policy():
    assert default_out("clip4clip", "gold", "mini", "last") == Path("runs/clip4clip-last-gold")


def test_help_has_examples(ivcr_bench):
    code, out, _ = ivcr_bench("run", "--help")
    assert code == 0
    assert "ivcr-bench run --system interllava --history gold" in out
