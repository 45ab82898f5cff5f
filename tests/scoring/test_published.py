"""The paper's numbers, against a second transcription that was typed from its pages, not from the module."""

import re

import pytest

from ivcr_bench.scoring.published import LOST, OVERALL, RETRIEVERS, TURNS

TABLE_2 = """
    CLIP4Clip 25.9 59.9 - - - -
    X-Pool 25.3 61.1 - - - -
    TS2-Net 49.1 80.1 - - - -
    T-MASS 30.2 74.5 - - - -
    BLIP-2 53.5 88.6 - - - -
    2D-TAN - - 49.87 35.21 - -
    UMT - - 13.45 7.31 - -
    MMN - - 43.23 32.36 - -
    MomentDiff - - 11.59 3.4 - -
    CG-DETR - - 48.3 28.77 - -
    GroundingGPT - - 12.82 4.65 0.0018 0.68
    VTimeLLM - - 17.95 7.76 0.0035 0.74
    TimeChat - - 21.24 9.80 0.0 0.64
    InterLLaVA ? ? ? ? ? ?
"""
TABLE_3 = """
    CLIP4Clip 58.84 10.84 6.59
    X-Pool 58.61 11.18 6.15
    T-MASS 57.59 11.88 6.33
    BLIP-2 57.91 12.83 7.54
"""
TABLE_4 = """
    1 41.58 6.56 5.01
    2 15.54 9.30 5.34
    3 10.60 9.30 5.48
    4 6.25 12.41 8.62
"""


@pytest.mark.parametrize(("table", "text"), [(OVERALL, TABLE_2), (RETRIEVERS, TABLE_3), (TURNS, TABLE_4)])
def test_digit_for_digit(table, text):
    expected = [tuple(line.split()) for line in text.split("\n") if line.strip()]
    assert [(row.labels[-1], *row.figures) for row in table.rows] == expected


@pytest.mark.parametrize("table", [OVERALL, RETRIEVERS, TURNS])
def test_every_figure_is_possible_in_its_unit(table):
    for row in table.rows:
        assert len(row.labels) == len(table.label_headings)
        for column, figure in zip(table.columns, row.figures, strict=True):
            limit = {"percent": 100, "fraction": 1}[column.unit]
            assert figure in ("-", LOST) or (re.fullmatch(r"\d+\.\d+", figure) and float(figure) <= limit)


@pytest.mark.parametrize("table", [OVERALL, RETRIEVERS, TURNS])
def test_recall_falls_with_a_stricter_threshold_and_rises_with_k(table):
    for row in table.rows:
        values = {c.heading: float(f) for c, f in zip(table.columns, row.figures, strict=True) if f not in "-?"}
        if "R@1 IoU=0.5" in values:
            assert values["R@1 IoU=0.5"] > values["R@1 IoU=0.7"]
        if "R@10" in values:
            assert values["R@1"] < values["R@10"]


def test_only_what_is_lost_is_called_lost():
    assert [row.labels[-1] for row in OVERALL.rows if row.is_lost] == ["InterLLaVA"]
    assert not any(row.is_lost for row in (*RETRIEVERS.rows, *TURNS.rows))


def test_the_metrics_named_are_ours():
    from ivcr_bench.scoring.metrics import METRICS

    names = {metric.name for metric in METRICS} | {None}
    assert {column.metric for table in (OVERALL, RETRIEVERS, TURNS) for column in table.columns} <= names
