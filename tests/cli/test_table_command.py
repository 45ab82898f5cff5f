"""``ivcr-bench table`` and ``ivcr-bench export`` as a user types them."""

import csv
import io
import subprocess
import sys

import ir_measures
import msgspec
import pytest
from ir_measures import RR, Success

from ivcr_bench.data.catalog import open_dataset
from ivcr_bench.jsonl import write_jsonl
from ivcr_bench.schema import Dialogue, Gold, Moment, SubmissionHeader, SubmissionTurn, Turn, Video
from ivcr_bench.scoring.gold import GoldTurns
from ivcr_bench.scoring.report import score, write_report
from ivcr_bench.submission import Submission, write_submission

FIND = Turn("find it", "video_retrieval", "new_topic", Gold(videos=("f1",), response="here it is now"))
WHEN = Turn("when?", "moment_retrieval", "long2short", Gold(videos=("f1",), moments=((0.0, 10.0),)), (1,))
ANSWERS = (
    SubmissionTurn(dialogue_id="a", turn=1, intent="video_retrieval", videos=("f2", "f1"), text="here it is now"),
    SubmissionTurn(dialogue_id="a", turn=2, intent="moment_retrieval", moments=(Moment("f1", 0.0, 6.0),)),
)


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "tiny"
    write_jsonl(root / "corpus.jsonl", [Video(f"f{i}", f"{i}.mp4", 30.0, "hand") for i in range(3)])
    talks = [Dialogue("a", "en", "test", 1, (FIND, WHEN)), Dialogue("b", "zh", "test", 1, (FIND,))]
    write_jsonl(root / "dialogues.jsonl", talks)
    return root


@pytest.fixture
def run_folder(tmp_path, folder):
    """What a run leaves: a submission and its report."""
    header = SubmissionHeader(format="ivcr-submission/1", system="mine", dataset="tiny", history="gold")
    submission = Submission(header, ANSWERS)
    write_submission(tmp_path / "run" / "submission.jsonl", submission)
    write_report(tmp_path / "run" / "report.json", score(GoldTurns.of(open_dataset(str(folder)), "test"), submission))
    return tmp_path / "run"


def rows(out):
    return [line.split() for line in out.splitlines()]


def test_overall(ivcr_bench, run_folder):
    code, out, err = ivcr_bench("table", "overall", run_folder)
    assert (code, err) == (0, "")
    # R@1 0/2, R@10 1/2, IoU 0.6; one English text of two references is right, none of the Chinese.
    (ours,) = [row for row in rows(out) if row[:2] == ["IVCR", "mine"]]
    assert ours[2:6] == ["0.00", "50.00", "100.00", "0.00"]
    assert ours[7:] == ["-", "tiny", "test", "single-turn"]
    assert ["Video", "Retrieval", "CLIP4Clip", "25.9", "59.9", *"----", "IVCR-200K", "as", "published"] in rows(out)
    assert "\x1b" not in out  # no colour unless on a terminal


def test_a_report_file_and_its_folder_are_the_same(ivcr_bench, run_folder):
    assert ivcr_bench("table", "retrievers", run_folder) == ivcr_bench(
        "table", "retrievers", run_folder / "report.json"
    )


def test_turns_of_gold_history_are_not_comparable(ivcr_bench, run_folder):
    _, out, _ = ivcr_bench("table", "turns", run_folder)
    assert ["mine", "1", "0.00", "-", "-", "tiny", "test", "history", "gold", "*"] in rows(out)
    # Turn 2 follows a missed video turn, so it scores 0 under propagation "video".
    assert ["2", "-", "0.00", "0.00", "tiny", "test", "history", "gold", "*"] in rows(out)


def test_intervals_are_those_of_the_report(ivcr_bench, run_folder):
    _, out, err = ivcr_bench("table", "overall", run_folder, "--format", "csv", "--intervals")
    figure = msgspec.json.decode((run_folder / "report.json").read_bytes())["overall"]["none"]["R@10"]
    *_, ours = csv.DictReader(io.StringIO(out))
    assert ours["Methods"] == "mine"
    expected = [f"{100 * figure['value']:.2f}", f"{100 * figure['low']:.1f}", f"{100 * figure['high']:.1f}"]
    assert [ours["R@10"], ours["R@10 low"], ours["R@10 high"]] == expected
    assert "IVCR-200K" in err  # the notes, which CSV has no place for


@pytest.mark.parametrize(("name", "start"), [("markdown", "**Multi-turn"), ("latex", "% Multi-turn")])
def test_formats(ivcr_bench, run_folder, name, start):
    code, out, _ = ivcr_bench("table", "turns", run_folder, "--format", name)
    assert code == 0
    assert out.startswith(start)


def test_without_results_the_paper_alone(ivcr_bench):
    code, out, _ = ivcr_bench("table", "turns")
    assert code == 0
    assert ["InterLLaVA", "1", "41.58", "6.56", "5.01", "IVCR-200K", "as", "published"] in rows(out)


def test_a_folder_without_a_report(ivcr_bench, tmp_path):
    code, out, err = ivcr_bench("table", "overall", tmp_path)
    assert (code, out) == (2, "")
    assert "found no report.json in this folder (make it: ivcr-bench score" in err


def test_what_is_no_report(ivcr_bench, folder):
    code, out, err = ivcr_bench("table", "overall", folder / "corpus.jsonl")
    assert (code, out) == (2, "")
    assert "corpus.jsonl: not a report" in err


def test_export_trec(ivcr_bench, run_folder, tmp_path, folder):
    assert ivcr_bench(
        "export", "trec", run_folder / "submission.jsonl", "--out", tmp_path / "trec", "--dataset", folder
    ) == (0, "", "")
    qrels = ir_measures.read_trec_qrels(str(tmp_path / "trec" / "qrels.txt"))
    run = ir_measures.read_trec_run(str(tmp_path / "trec" / "run.txt"))
    # Dialogue a: second of two; dialogue b: not answered.
    assert ir_measures.calc_aggregate([Success @ 1, Success @ 10, RR], qrels, run) == {
        Success @ 1: 0,
        Success @ 10: 1 / 2,
        RR: 1 / 4,
    }


def test_export_moments(ivcr_bench, run_folder, tmp_path, folder):
    assert ivcr_bench(
        "export", "moments", run_folder / "submission.jsonl", "--out", tmp_path / "m", "--dataset", folder
    ) == (0, "", "")
    (prediction,) = (msgspec.json.decode(line) for line in (tmp_path / "m" / "predictions.jsonl").open("rb"))
    (gold,) = (msgspec.json.decode(line) for line in (tmp_path / "m" / "gold.jsonl").open("rb"))
    assert (prediction["qid"], prediction["vid"], prediction["pred_relevant_windows"]) == (1, "f1", [[0, 6, 1]])
    assert (gold["qid"], gold["query"], gold["relevant_windows"]) == (1, "when?", [[0, 10]])


@pytest.mark.parametrize("name", ["trec", "moments"])
def test_a_wrong_submission_leaves_no_file(ivcr_bench, folder, tmp_path, name):
    wrong = SubmissionTurn(dialogue_id="a", turn=9, intent="video_retrieval", videos=("f1",))
    write_submission(tmp_path / "s.jsonl", Submission(None, (*ANSWERS, wrong)))
    code, _, err = ivcr_bench("export", name, tmp_path / "s.jsonl", "--out", tmp_path / "out", "--dataset", folder)
    assert code == 2
    assert "s.jsonl:3: field 'turn': found 9, expected 1 to 2" in err
    assert not list((tmp_path / "out").iterdir())


def test_a_table_imports_nothing_heavy(run_folder):
    probe = (
        "import sys; from ivcr_bench.cli.main import cli;"
        f"cli(['table', 'overall', {str(run_folder)!r}], standalone_mode=False);"
        "print(sorted({'torch', 'transformers', 'nltk', 'pandas', 'scipy', 'av', 'PIL'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
