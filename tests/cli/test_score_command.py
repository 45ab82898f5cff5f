"""``ivcr-bench score`` as a user types it, on a dataset folder of two dialogues."""

import gzip
import io
import subprocess
import sys

import pytest

from ivcr_bench.data.dataset import load_folder
from ivcr_bench.jsonl import write_jsonl
from ivcr_bench.schema import Dialogue, Gold, Moment, SubmissionHeader, SubmissionTurn, Turn, Video
from ivcr_bench.scoring.gold import GoldTurns
from ivcr_bench.scoring.judge.rule import RuleJudge
from ivcr_bench.scoring.report import read_report, score
from ivcr_bench.scoring.tables import render
from ivcr_bench.submission import Submission, write_submission

FIND = Turn("find it", "video_retrieval", "new_topic", Gold(videos=("f1",), response="here it is now"))
WHEN = Turn("when?", "moment_retrieval", "long2short", Gold(videos=("f1",), moments=((0.0, 10.0),)), (1,))
FOUND = SubmissionTurn(dialogue_id="a", turn=1, intent="video_retrieval", videos=("f1",), text="here it is now")
THEN = SubmissionTurn(dialogue_id="a", turn=2, intent="moment_retrieval", moments=(Moment("f1", 0.0, 5.0),))


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "tiny"
    write_jsonl(root / "corpus.jsonl", [Video(f"f{i}", f"{i}.mp4", 30.0, "hand") for i in range(3)])
    talks = [Dialogue("a", "en", "test", 1, (FIND, WHEN)), Dialogue("b", "zh", "val", 1, (FIND,))]
    write_jsonl(root / "dialogues.jsonl", talks)
    return root


@pytest.fixture
def submission(tmp_path, folder):
    header = SubmissionHeader(
        format="ivcr-submission/1", system="mine", dataset="tiny", fingerprint=load_folder(folder).card.fingerprint
    )
    write_submission(tmp_path / "s.jsonl", Submission(header, (FOUND, THEN)))
    return tmp_path / "s.jsonl"


def test_prints_the_table_that_score_and_render_give(ivcr_bench, folder, submission):
    code, out, err = ivcr_bench("score", submission, "--dataset", folder)
    answers = Submission(SubmissionHeader(format="ivcr-submission/1", system="mine"), (FOUND, THEN))
    assert (code, err) == (0, "")
    assert out == render(score(GoldTurns.of(load_folder(folder), "test"), answers, judge=RuleJudge()))
    # R@1 1/1; IoU of [0, 5] with [0, 10] is 0.5
    assert ["R@1", "100.00", "100.00", "100.00", "1"] in [line.split() for line in out.splitlines()]
    assert ["mIoU", "50.00", "50.00", "50.00", "1"] in [line.split() for line in out.splitlines()]


def test_json_holds_what_the_table_shows(ivcr_bench, folder, submission, tmp_path):
    _, out, _ = ivcr_bench("score", submission, "--dataset", folder, "--json", tmp_path / "report.json")
    assert render(read_report(tmp_path / "report.json")) == out


def test_without_header_the_dataset_is_named(ivcr_bench, folder, tmp_path):
    write_submission(tmp_path / "bare.jsonl", Submission(None, (FOUND,)))
    code, out, _ = ivcr_bench("score", tmp_path / "bare.jsonl", "--dataset", folder)
    assert code == 0
    assert "turns     2: 1 ok, 1 missing" in out


def test_gzip_and_standard_input_give_the_same(ivcr_bench, submission, tmp_path, monkeypatch, folder):
    expected = ivcr_bench("score", submission, "--dataset", folder)
    (tmp_path / "s.jsonl.gz").write_bytes(gzip.compress(submission.read_bytes()))
    assert ivcr_bench("score", tmp_path / "s.jsonl.gz", "--dataset", folder) == expected
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(submission.read_bytes())))
    assert ivcr_bench("score", "-", "--dataset", folder) == expected


def test_ungated_scores_what_was_answered_under_another_intent(ivcr_bench, folder, tmp_path):
    chatty = SubmissionTurn(dialogue_id="a", turn=1, intent="natural_dialogue", videos=("f1",))
    write_submission(tmp_path / "chatty.jsonl", Submission(None, (chatty, THEN)))
    rows = {}
    for flag in ([], ["--ungated"]):
        _, out, _ = ivcr_bench("score", tmp_path / "chatty.jsonl", "--dataset", folder, *flag)
        rows[bool(flag)] = next(line.split()[1:] for line in out.splitlines() if line.startswith("mIoU"))
    # Gated, turn 1 failed, and turn 2 depends on it.
    assert rows == {False: ["50.00", "0.00", "0.00", "1"], True: ["50.00", "50.00", "50.00", "1"]}


def test_the_split_of_the_header_is_the_default(ivcr_bench, folder, tmp_path):
    answer = SubmissionTurn(dialogue_id="b", turn=1, intent="video_retrieval", videos=("f1",))
    header = SubmissionHeader(format="ivcr-submission/1", split="val")
    write_submission(tmp_path / "val.jsonl", Submission(header, (answer,)))
    code, out, _ = ivcr_bench("score", tmp_path / "val.jsonl", "--dataset", folder)
    assert code == 0
    assert "split val" in out


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"{]", "s.jsonl:1: not valid JSON"),
        (
            b'{"dialogue_id":"a","turn":7,"intent":"natural_dialogue"}',
            "s.jsonl:1: field 'turn': found 7, expected 1 to 2",
        ),
    ],
)
def test_a_wrong_file_is_one_message_and_no_figures(ivcr_bench, folder, tmp_path, line, expected):
    (tmp_path / "s.jsonl").write_bytes(line)
    code, out, err = ivcr_bench("score", tmp_path / "s.jsonl", "--dataset", folder)
    assert (code, out) == (2, "")
    assert expected in err
    assert "Traceback" not in err


def test_another_dataset_is_refused(ivcr_bench, folder, submission, tmp_path):
    other = tmp_path / "other"
    write_jsonl(other / "corpus.jsonl", [Video("f1", "1.mp4", 30.0, "hand")])
    write_jsonl(other / "dialogues.jsonl", [Dialogue("a", "en", "test", 1, (FIND,))])
    code, out, err = ivcr_bench("score", submission, "--dataset", other)
    assert (code, out) == (2, "")
    assert "field 'fingerprint': found" in err


def test_help_has_examples(ivcr_bench):
    code, out, _ = ivcr_bench("score", "--help")
    assert code == 0
    assert "ivcr-bench score submission.jsonl.gz --json report.json" in out


def test_scoring_imports_nothing_heavy(folder, submission):
    probe = (
        "import sys; from ivcr_bench.cli.main import cli;"
        f"cli(['score', {str(submission)!r}, '--dataset', {str(folder)!r}], standalone_mode=False);"
        "print(sorted({'torch', 'transformers', 'nltk', 'pandas', 'scipy', 'av', 'PIL'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
