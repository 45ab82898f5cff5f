"""``ivcr-bench compare`` as a user types it, on a dataset folder of forty dialogues."""

import subprocess
import sys

import msgspec
import pytest

from ivcr_bench.data.dataset import load_folder
from ivcr_bench.jsonl import write_jsonl
from ivcr_bench.schema import Dialogue, Gold, SubmissionHeader, SubmissionTurn, Turn, Video
from ivcr_bench.scoring.compare import Comparison
from ivcr_bench.submission import Submission, write_submission

DIALOGUES = 40
FIND = Turn("find it", "video_retrieval", "new_topic", Gold(videos=("f1",), response="here it is now"))


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "tiny"
    write_jsonl(root / "corpus.jsonl", [Video(f"f{i}", f"{i}.mp4", 30.0, "hand") for i in range(3)])
    write_jsonl(root / "dialogues.jsonl", [Dialogue(f"d{i}", "en", "test", 0, (FIND,)) for i in range(DIALOGUES)])
    return root


@pytest.fixture
def submit(tmp_path, folder):
    """Writes a submission that is right in the first so many dialogues; gives its path."""
    fingerprint = load_folder(folder).card.fingerprint

    def write(name, right, **header):
        answers = tuple(
            SubmissionTurn(dialogue_id=f"d{i}", turn=1, intent="video_retrieval", videos=("f1" if i < right else "f2",))
            for i in range(DIALOGUES)
        )
        said = {"system": name, "dataset": "tiny", "fingerprint": fingerprint, "history": "own", **header}
        path = tmp_path / f"{name}-{said['history']}.jsonl"
        write_submission(path, Submission(SubmissionHeader(format="ivcr-submission/1", **said), answers))
        return path

    return write


def rows(out):
    return [line.split() for line in out.splitlines()]


def test_ranks_groups_and_pairs(ivcr_bench, submit, folder):
    code, out, err = ivcr_bench(
        "compare", submit("weak", 4), submit("strong", 36), submit("even", 34), "--metric", "R@1", "--dataset", folder
    )
    assert (code, err) == (0, "")
    table = rows(out)
    assert ["strong", "90.00", "1-2", "a"] in [[row[0], row[1], *row[-2:]] for row in table if len(row) == 6]
    assert ["even", "85.00", "1-2", "a"] in [[row[0], row[1], *row[-2:]] for row in table if len(row) == 6]
    assert ["weak", "10.00", "3", "b"] in [[row[0], row[1], *row[-2:]] for row in table if len(row) == 6]
    # 34 and 36 right: 2 dialogues differ, p = 2 / 2^2
    (even,) = [row for row in table if row[:3] == ["strong", "-", "even"]]
    assert (even[3], even[-2:]) == ("5.00", ["0.5000", "0.5000"])
    (weak,) = [row for row in table if row[:3] == ["strong", "-", "weak"]]
    assert (weak[3], weak[-3:]) == ("80.00", ["<0.0001", "<0.0001", "*"])
    assert "for all 3 comparisons above" in out
    assert "signature: data:" in out


def test_all_metrics_by_default_and_as_json(ivcr_bench, submit, tmp_path, folder):
    path = tmp_path / "c.json"
    code, out, _ = ivcr_bench(
        "compare", submit("a", 9), submit("b", 20), "--json", path, "--propagation", "video", "--dataset", folder
    )
    comparison = msgspec.json.decode(path.read_bytes(), type=Comparison)
    assert code == 0
    assert list(comparison.rankings) == ["R@1", "R@1 IoU=0.5", "BLEU-4", "intent accuracy", "dialogue success"]
    assert all(f"{metric}, x 100, propagation video" in out for metric in comparison.rankings)
    assert [s.system for s in comparison.rankings["R@1"].standings] == ["b", "a"]


def test_another_history_is_refused(ivcr_bench, submit, folder):
    own, gold = submit("a", 9), submit("a", 9, history="gold")
    code, out, err = ivcr_bench("compare", own, gold, "--dataset", folder)
    assert (code, out) == (2, "")
    assert f"field 'history': found own (a ({own})), gold (a ({gold}))" in err
    assert "Traceback" not in err


def test_the_same_file_twice_is_two_systems(ivcr_bench, submit, folder):
    path = submit("a", 9, sees_gold=True)
    code, out, _ = ivcr_bench("compare", path, path, submit("b", 8), "--metric", "R@1", "--dataset", folder)
    assert code == 0
    assert f"a (sees gold) ({path}) #1 - a (sees gold) ({path}) #2" in out
    assert "\nb " in out


def test_headerless_files_are_named_by_their_path(ivcr_bench, folder, tmp_path):
    answer = SubmissionTurn(dialogue_id="d0", turn=1, intent="video_retrieval", videos=("f1",))
    paths = [tmp_path / "one.jsonl", tmp_path / "two.jsonl"]
    for path in paths:
        write_submission(path, Submission(None, (answer,)))
    code, out, _ = ivcr_bench("compare", *paths, "--dataset", folder, "--metric", "R@1")
    assert code == 0
    assert all(str(path) in out for path in paths)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["a.jsonl"], "found 1 submissions, expected two or more"),
        (["a.jsonl", "b.jsonl", "--metric", "R1"], "--metric: found 'R1', expected one of R@1"),
        (["a.jsonl", "b.jsonl"], "a.jsonl"),
    ],
)
def test_a_wrong_call_is_one_message(ivcr_bench, arguments, expected):
    code, out, err = ivcr_bench("compare", *arguments)
    assert (code, out) == (2, "")
    assert expected in err
    assert "Traceback" not in err


def test_comparing_imports_nothing_heavy(submit, folder):
    probe = (
        "import sys; from ivcr_bench.cli.main import cli;"
        f"cli(['compare', {str(submit('a', 3))!r}, {str(submit('b', 2))!r}, '--dataset', {str(folder)!r}],"
        "standalone_mode=False);"
        "print(sorted({'torch', 'transformers', 'nltk', 'pandas', 'scipy', 'av', 'PIL'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
