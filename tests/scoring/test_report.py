import pytest
from hand_made import chat_turn, dataset, dialogue, located, moment_turn, ranked, said, score, submission, video_turn
from scripted import ScriptedJudge, exact

from ivcr_bench.errors import IvcrError
from ivcr_bench.schema import INTENTS, SubmissionTurn
from ivcr_bench.scoring.report import read_report, write_report
from ivcr_bench.scoring.tables import render

WORLD = dataset(
    dialogue(
        "a", video_turn("f1", response="here it is , look"), moment_turn("f1", (0, 10)), chat_turn("see you next time")
    ),
    dialogue("b", chat_turn("你好吗朋友"), video_turn("f2"), language="zh"),
)
PERFECT = (
    ranked("a", 1, "f1", text="here it is , look"),
    located("a", 2, "f1", 0, 10),
    said("a", 3, "see you next time"),
    said("b", 1, "你好吗朋友"),
    ranked("b", 2, "f2"),
)


def test_a_perfect_system_scores_100_on_everything():
    report = score(WORLD, "test", submission(*PERFECT), judge=ScriptedJudge(exact))
    for figures in report.overall.values():
        assert {figure.value for figure in figures.values()} == {1.0}


def test_by_turn_number_by_hand():
    # Turn 1: one video turn, hit; turn 2: a moment turn (IoU 0.4) and a video turn (missed); turn 3: chat only.
    answers = submission(PERFECT[0], located("a", 2, "f1", 0, 4), *PERFECT[2:4], ranked("b", 2, "f9"))
    by_turn = score(WORLD, "test", answers).slices["turn"]
    assert list(by_turn) == ["1", "2", "3"]
    assert (by_turn["1"]["none"]["R@1"].value, by_turn["1"]["none"]["R@1"].n) == (1, 1)
    assert (by_turn["2"]["none"]["R@1"].value, by_turn["2"]["none"]["R@1"].n) == (0, 1)
    assert by_turn["2"]["none"]["mIoU"].value == pytest.approx(0.4)
    assert (by_turn["3"]["none"]["R@1"].value, by_turn["3"]["none"]["R@1"].n) == (None, 0)
    assert "dialogue success" not in by_turn["1"]["none"]


def test_languages_add_up():
    report = score(WORLD, "test", submission(*PERFECT[:3]))
    assert report.slices["language"]["en"]["none"]["R@1"].value == 1
    assert report.slices["language"]["zh"]["none"]["R@1"].value == 0
    assert sum(figures["none"]["intent accuracy"].n for figures in report.slices["language"].values()) == 5


def test_a_system_that_never_does_an_intent_gets_no_figure_for_it():
    report = score(WORLD, "test", submission(PERFECT[0]))
    figures = report.overall["none"]
    assert report.does == ("video_retrieval", "text")
    assert (figures["mIoU"].value, figures["mIoU"].n) == (None, 1)
    assert figures["R@1"].value == 1 / 2


def test_a_system_that_fails_on_everything_scores_zero_and_is_not_excused():
    failures = [
        SubmissionTurn(dialogue_id="a", turn=1, status="system_error"),
        SubmissionTurn(dialogue_id="b", turn=2, status="timeout"),
    ]
    report = score(WORLD, "test", submission(*failures), judge=ScriptedJudge(exact))
    assert report.does == (*INTENTS, "text")
    assert {figure.value for figure in report.overall["none"].values()} == {0.0}
    assert report.statuses == {"ok": 0, "refused": 0, "malformed": 0, "timeout": 1, "system_error": 1, "missing": 3}


def test_limit_scores_the_first_dialogues_only():
    by_header = score(WORLD, "test", submission(*PERFECT[:3], limit=1))
    by_argument = score(WORLD, "test", submission(*PERFECT[:3], system=None), limit=1)
    assert by_header.dialogues == by_argument.dialogues == 1
    assert by_header.overall == by_argument.overall
    assert by_header.overall["none"]["R@1"].n == 1
    assert "split:test[:1]" in by_header.signature
    assert "the first 1 dialogues" in render(by_header)


def test_a_report_survives_its_file(tmp_path):
    report = score(WORLD, "test", submission(*PERFECT, system="me", history="own"))
    write_report(tmp_path / "report.json", report)
    assert read_report(tmp_path / "report.json") == report
    assert render(read_report(tmp_path / "report.json")) == render(report)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format": "ivcr-report/3"}', b"\xff", b"[" * 100_000])
def test_what_is_no_report_is_refused(tmp_path, content):
    (tmp_path / "report.json").write_bytes(content)
    with pytest.raises(IvcrError, match=r"report\.json: not a report"):
        read_report(tmp_path / "report.json")


def test_a_missing_report_is_named(tmp_path):
    with pytest.raises(IvcrError, match=r"none\.json: cannot read: No such file"):
        read_report(tmp_path / "none.json")


def test_the_table():
    answers = submission(ranked("a", 1, "f2", "f1"), system="evil\x1b[31m", history="own", split="test")
    table = render(score(WORLD, "test", answers)).splitlines()
    assert table[0] == "system    evil\\x1b[31m"
    assert "turns     5: 1 ok, 4 missing" in table
    rows = {tuple(line.split()) for line in table}
    # R@1: 0 of 2; MRR: (1/2 + 0) / 2 = 25 %; no moments, no words: "-" with the turns that it did not do
    assert ("R@1", "0.00", "0.00", "0.00", "2") in rows
    assert ("MRR", "25.00", "25.00", "25.00", "2") in rows
    assert ("mIoU", "-", "-", "-", "1") in rows
    assert ("BLEU-4", "-", "-", "-", "3") in rows
    assert ("R@1", "none", "0.00", "0.00", "-") in rows  # turn 1: film second; turn 2: no answer; turn 3: chat
    assert ("n", "1", "1", "0") in rows
    assert max(map(len, table[:-1])) <= 80
