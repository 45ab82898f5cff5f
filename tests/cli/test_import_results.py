"""``ivcr-bench import results``: the authors' result files as submissions."""

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from ivcr_bench.cli.import_ import command
from ivcr_bench.cli.main import main
from ivcr_bench.errors import IvcrError
from ivcr_bench.jsonl import write_jsonl
from ivcr_bench.schema import Dialogue, Gold, Turn, Video
from ivcr_bench.scoring.official.evaluate_2025 import evaluate_2025
from ivcr_bench.scoring.official.faults import kept_faults
from ivcr_bench.scoring.official.files import read_files_2025
from ivcr_bench.scoring.official.importing import dialogue_id
from ivcr_bench.scoring.official.tally import METRICS
from ivcr_bench.submission import read_submission

sys.path.insert(0, str(Path(__file__).parent.parent / "scoring"))
from official_files import FILMS, vector, write_files, write_json


def ivcr_bench_import(*arguments):
    result = CliRunner().invoke(command, ["results", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def paths(tmp_path):
    return write_files(tmp_path, vector(chinese=True))


def test_every_answer_becomes_a_line(tmp_path, paths):
    result, gold, everything = paths
    out = tmp_path / "submission.jsonl"
    text = ivcr_bench_import(result, "--gold", gold, "--all", everything, "--out", out, "--system", "theirs")
    submission = read_submission(out)
    header = submission.header
    assert (header.system, header.dataset, header.split, header.history) == ("theirs", "ivcr200k", "test", "gold")
    assert header.sees_gold
    by_key = {(turn.dialogue_id, turn.turn): turn for turn in submission.turns}
    # Records 1 to 3 and 7 of the raw file; record 4 (type 7) was not run.
    assert sorted(by_key) == [(f"ivcr200k-00000{d}", t) for d, t in ((1, 1), (1, 2), (2, 1), (3, 1), (3, 2), (7, 1))]
    first = by_key["ivcr200k-000001", 1]
    assert first.intent == "video_retrieval"
    assert first.videos == (FILMS[1], FILMS[0], *FILMS[2:])
    moment = by_key["ivcr200k-000003", 1].moments[0]
    assert (moment.video_id, moment.start, moment.end) == (FILMS[0], 1.0, 3.0)
    assert by_key["ivcr200k-000007", 1].videos[0] == FILMS[8]  # 在视频9中
    rows = [line.split() for line in text.splitlines()]
    assert ["video", "en", "3", "3", "100.0", "%", "0", "1"] in rows
    assert ["video", "zh", "1", "1", "100.0", "%", "0", "0"] in rows
    assert ["moment", "en", "2", "2", "100.0", "%", "0", "0"] in rows
    assert text.splitlines()[-1] == f"wrote 6 answers to {out}"


def test_an_unreadable_answer_is_malformed_and_keeps_its_text(tmp_path, paths):
    result, gold, everything = paths
    records = json.loads(result.read_text())
    records[0]["output"], records[1]["output"] = "I do not know.", "sometime"
    write_json(result, records)
    text = ivcr_bench_import(result, "--gold", gold, "--all", everything, "--out", tmp_path / "s.jsonl.gz")
    turns = read_submission(tmp_path / "s.jsonl.gz").turns
    assert [(turn.status, turn.text, turn.videos, turn.moments) for turn in turns[:2]] == [
        ("malformed", "I do not know.", (), ()),
        ("malformed", "sometime", (), ()),
    ]
    assert len(turns) == 6
    assert ["video", "en", "3", "2", "66.7", "%", "1", "1"] in [line.split() for line in text.splitlines()]


def test_an_answer_that_states_another_intent_commits_to_it(tmp_path, paths):
    result, gold, everything = paths
    records = json.loads(result.read_text())
    records[0]["output"] = "The intent is natural dialogue. Hello, video 2."
    write_json(result, records)
    ivcr_bench_import(result, "--gold", gold, "--all", everything, "--out", tmp_path / "s.jsonl")
    turn = read_submission(tmp_path / "s.jsonl").turns[0]
    assert (turn.intent, turn.videos, turn.status) == ("natural_dialogue", (), "ok")


def test_records_without_a_turn_are_counted(tmp_path, paths):
    result, gold, everything = paths
    records = json.loads(result.read_text())
    write_json(result, [*records, {"user_q": "never asked", "output": "video 1"}])
    text = ivcr_bench_import(result, "--gold", gold, "--all", everything, "--out", tmp_path / "s.jsonl")
    assert "not written: 1 records that belong to no test turn of --all" in text
    assert len(read_submission(tmp_path / "s.jsonl").turns) == 6


def test_results_of_2024_are_joined_by_text(tmp_path, paths):
    films = list(FILMS)
    folder = tmp_path / "results"
    folder.mkdir()
    write_json(
        folder / "video.json",
        [
            {"vname": films, "query": "same", "generated_cap": "The intent is video retrieval. In <3> video. So."},
            {"vname": films, "query": "never asked", "generated_cap": "The intent is video retrieval. 1. So."},
        ],
    )
    formatted = {"timestamp": [[5.0, 10.0]], "intent": "The intent is video moment.", "query": "q2", "vid": "film2"}
    write_json(folder / "moment.json", {"0": formatted})
    text = ivcr_bench_import(folder, "--all", paths[2], "--out", tmp_path / "s.jsonl")
    submission = read_submission(tmp_path / "s.jsonl")
    assert not submission.header.sees_gold
    found = [(turn.dialogue_id, turn.turn, turn.videos[:1], turn.moments) for turn in submission.turns]
    assert [(d, t, v) for d, t, v, _ in found] == [
        ("ivcr200k-000001", 2, ()),
        ("ivcr200k-000002", 1, (FILMS[2],)),
        ("ivcr200k-000003", 2, (FILMS[2],)),
    ]
    assert found[0][3][0].video_id == "film2"
    assert "shared: 1 turns" in text
    assert "not written: 1 records" in text


def test_a_result_of_2025_needs_the_prompts(tmp_path, paths):
    with pytest.raises(IvcrError, match="name the prompts that it answers with --gold"):
        ivcr_bench_import(paths[0], "--all", paths[2], "--out", tmp_path / "s.jsonl")


def dataset_folder(root, files):
    """``files.dialogues`` as a dataset of this benchmark."""
    films = [Video(film, film, 1000.0, "hand") for film in FILMS]
    write_jsonl(root / "corpus.jsonl", films)
    dialogues = [
        Dialogue(dialogue_id(index), "en", dialogue.split, dialogue.type[0], tuple(_turns(dialogue)))
        for index, dialogue in enumerate(files.dialogues)
    ]
    write_jsonl(root / "dialogues.jsonl", dialogues)
    return root


def _turns(dialogue):
    for query, answer in zip(dialogue.conversations[::2], dialogue.conversations[1::2], strict=True):
        if answer.task is None:
            yield Turn(query.value, "natural_dialogue", "chitchat", Gold())
        elif answer.task == "video":
            yield Turn(query.value, "video_retrieval", "new_topic", Gold(videos=(answer.video_id,)))
        else:
            gold = Gold(videos=(answer.video_id,), moments=(answer.gt_se,))
            yield Turn(query.value, "moment_retrieval", "new_topic", gold)


def test_an_imported_result_scores_as_the_correct_figure_says(tmp_path, paths, monkeypatch):
    result, gold, everything = paths
    ivcr_bench_import(result, "--gold", gold, "--all", everything, "--out", tmp_path / "s.jsonl")
    root = dataset_folder(tmp_path / "data", vector(chinese=True))
    report = tmp_path / "report.json"
    monkeypatch.setattr(
        sys, "argv", ["ivcr-bench", "score", str(tmp_path / "s.jsonl"), "--dataset", str(root), "--json", str(report)]
    )
    with pytest.raises(SystemExit) as stopped:
        main()
    assert not stopped.value.code
    figures = json.loads(report.read_text())["overall"]["none"]
    tally = evaluate_2025(read_files_2025(*paths), kept_faults("official-2025"))
    for metric in METRICS:
        cell = tally.cell("overall", metric)
        assert (figures[metric]["value"], figures[metric]["n"]) == (pytest.approx(cell.right / cell.total), cell.total)
