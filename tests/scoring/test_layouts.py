"""Our rows below the paper's; golden files in tests/scoring/golden hold one small table in each format."""

import csv
import io
from pathlib import Path

import pytest
from reports import figures, report

from ivcr_bench.scoring.layout_formats import FORMAT_NAMES, format_layout
from ivcr_bench.scoring.layouts import LAYOUT_NAMES, lay_out
from ivcr_bench.scoring.published import OVERALL, RETRIEVERS, TURNS

GOLDEN = Path(__file__).parent / "golden"
EVIL = 'x|y_\\z & =1 [2] <b>"\x1b[31m'


def cells(layout):
    return [[*line.labels, *(shown.value for shown in line.figures), line.data, line.protocol] for line in layout.ours]


@pytest.mark.parametrize(("name", "ending"), [("text", "txt"), ("markdown", "md"), ("latex", "tex"), ("csv", "csv")])
def test_golden(name, ending):
    # R@1 of 3/4 and 1/4; IoU=0.5 of 1/3, whose interval is not known; IoU=0.7 not done at all.
    whole = figures(R_1=(0.75, 4, 0.25, 1.0), IoU_5=(1 / 3, 3))
    other = figures(R_1=(0.25, 4, 0.0, 0.66667), IoU_5=(0.0, 3, 0.0, 0.0), IoU_7=(0.0, 3, 0.0, 0.0))
    layout = lay_out("retrievers", [report("x_pool+mine", overall=whole), report(EVIL, "own", other, limit=4)])
    assert format_layout(layout, name, intervals=True) == (GOLDEN / f"retrievers.{ending}").read_text("utf-8")


def test_overall_by_hand():
    shown = figures(R_1=(0.5, 4, 0.2, 0.8), R_10=(1.0, 4), IoU_5=(0.12345, 4), BLEU=(0.35123, 9))
    layout = lay_out("overall", [report(overall=shown)])
    # Figures times 100 with two digits, BLEU-4 as a fraction with four; no judge, so no score of one.
    assert cells(layout) == [
        ["IVCR", "mine", "50.00", "100.00", "12.35", "-", "0.3512", "-", "tiny test", "single-turn"]
    ]


@pytest.mark.parametrize(
    ("does", "task"),
    [
        (("video_retrieval",), "Video Retrieval"),
        (("moment_retrieval", "text"), "Moment Retrieval"),
        (("video_retrieval", "moment_retrieval", "natural_dialogue", "text"), "IVCR"),
        (("natural_dialogue", "text"), "Dialogue"),
    ],
)
def test_the_task_of_a_system(does, task):
    assert lay_out("overall", [report(does=does)]).ours[0].labels == (task, "mine")


def test_turns_are_in_order_and_propagated():
    counts = figures(R_1=(1.0, 4))
    counts["video"] = figures(R_1=(0.5, 4))["none"]
    layout = lay_out("turns", [report(history="own", by_turn=dict.fromkeys(("1", "10", "2"), counts))])
    assert [line.labels for line in layout.ours] == [("mine", "1"), ("mine", "2"), ("mine", "10")]
    assert {line.figures[0].value for line in layout.ours} == {"50.00"}
    assert [line.continues for line in layout.ours] == [False, True, True]
    assert {line.protocol for line in layout.ours} == {"multi-turn"}


@pytest.mark.parametrize(
    ("name", "settings", "protocol"),
    [
        ("overall", {"history": "own"}, "history own"),
        ("retrievers", {"history": None}, "history unstated"),
        ("turns", {"history": "gold"}, "history gold"),
        ("overall", {"scope": "candidates"}, "scope candidates"),
        ("overall", {"gated": False, "sees_gold": True}, "ungated, sees the gold answers"),
    ],
)
def test_a_row_of_another_protocol_says_so_and_is_not_comparable(name, settings, protocol):
    layout = lay_out(name, [report(by_turn={"1": figures()}, **settings)])
    (line,) = layout.ours
    assert (line.protocol, line.comparable) == (protocol, False)
    assert any(note.startswith("* ") and "not comparable" in note for note in layout.notes)
    assert f"{protocol} *" in format_layout(layout, "text")
    assert f"{protocol} (not comparable)" in format_layout(layout, "csv")


def test_without_departures_there_is_no_such_note():
    assert not any("*" in note for note in lay_out("overall", [report()]).notes)


@pytest.mark.parametrize("name", FORMAT_NAMES)
def test_every_published_row_says_so_and_names_its_data(name):
    text = format_layout(lay_out("turns", [report(history="own", by_turn={"1": figures()})]), name)
    assert text.count("as published") == len(TURNS.rows)
    rows = [line for line in text.splitlines() if "as published" in line]
    assert all("IVCR-200K" in row for row in rows)
    assert "tiny test" in text


@pytest.mark.parametrize("name", LAYOUT_NAMES)
def test_the_published_table_alone(name):
    published = {"overall": OVERALL, "retrievers": RETRIEVERS, "turns": TURNS}[name]
    layout = lay_out(name, [])
    assert [(line.labels, tuple(shown.value for shown in line.figures)) for line in layout.published] == [
        (row.labels, row.figures) for row in published.rows
    ]
    assert "Our rows" not in format_layout(layout, "text")
    assert all(note in layout.notes for note in published.notes)


def test_published_lines_only_are_grey():
    lines = format_layout(lay_out("retrievers", [report()]), "text", grey=lambda line: f"~{line}").splitlines()
    assert [line.split()[0] for line in lines if line.startswith("~")] == [
        "~CLIP4Clip",
        "~X-Pool",
        "~T-MASS",
        "~BLIP-2",
    ]


def test_equal_signatures_are_named_once_and_unequal_ones_with_their_systems():
    alike = lay_out("overall", [report("a"), report("b")]).notes
    assert [note for note in alike if note.startswith("signature")] == [f"signature: {report().signature}"]
    unlike = lay_out("overall", [report("a"), report("b", "own"), report("c")]).notes
    assert [note.split(":")[0] for note in unlike if note.startswith("signature")] == [
        "signature of a, c",
        "signature of b",
    ]


def test_csv_reads_back_as_numbers():
    shown = figures(R_1=(0.75, 4, 0.25, 1.0), BLEU=(0.1, 4, 0.05, 0.2))
    text = format_layout(lay_out("overall", [report(overall=shown)]), "csv", intervals=True)
    *_, ours = csv.DictReader(io.StringIO(text))
    assert [float(ours[f"R@1{bound}"]) for bound in ("", " low", " high")] == [75.0, 25.0, 100.0]
    assert [float(ours[f"BLEU-4{bound}"]) for bound in ("", " low", " high")] == [0.1, 0.05, 0.2]
    assert ours["R@10"] == ours["GPT-4 Score"] == ""


def test_a_formula_for_a_name():
    text = format_layout(lay_out("retrievers", [report("=cmd|' /C calc'!A0")]), "csv")
    assert text.splitlines()[-1].startswith("'=cmd")
