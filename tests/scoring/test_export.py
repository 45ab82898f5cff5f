"""The exported table of outcomes: figures folded from it are those of the report."""

import sys

import numpy as np
import pandas as pd
import pytest
from hand_made import chat_turn, dataset, dialogue, located, moment_turn, ranked, said, submission, video_turn

from ivcr_bench.errors import IvcrError
from ivcr_bench.scoring.export import export_outcomes, outcomes_frame
from ivcr_bench.scoring.gold import GoldTurns
from ivcr_bench.scoring.outcomes import judge_turns
from ivcr_bench.scoring.text import bleu

WORLD = dataset(
    dialogue(
        "a",
        video_turn("f1", response="here it is , look"),
        moment_turn("f1", (0, 10), depends_on=(1,)),
        chat_turn("see you next time"),
    ),
    dialogue("b", chat_turn("你好吗朋友"), video_turn("f2"), moment_turn("f2", (0, 4), depends_on=(2,)), language="zh"),
)
ANSWERS = submission(
    ranked("a", 1, "f3", "f1", text="here it is , see"),
    located("a", 2, "f1", 0, 5),
    said("b", 1, "你好吗朋友"),
    ranked("b", 2, "f2", status="timeout"),
    located("b", 3, "f9", 0, 4),
)
OUTCOMES = judge_turns(GoldTurns.of(WORLD, "test"), ANSWERS)


@pytest.fixture(params=["parquet", "csv"])
def table(request, tmp_path):
    """The exported file, read back."""
    path = tmp_path / f"outcomes.{request.param}"
    export_outcomes(path, OUTCOMES, "me")
    return pd.read_parquet(path) if request.param == "parquet" else pd.read_csv(path)


def test_words_in_place_of_indices(table):
    shown = table[["dialogue_id", "turn", "language", "intent", "behaviour", "status"]].astype(str).to_numpy().tolist()
    assert shown == [
        ["a", "1", "en", "video_retrieval", "new_topic", "ok"],
        ["a", "2", "en", "moment_retrieval", "long2short", "ok"],
        ["a", "3", "en", "natural_dialogue", "chitchat", "missing"],
        ["b", "1", "zh", "natural_dialogue", "chitchat", "ok"],
        ["b", "2", "zh", "video_retrieval", "new_topic", "timeout"],
        ["b", "3", "zh", "moment_retrieval", "long2short", "ok"],
    ]
    assert set(table["system"]) == {"me"}


def test_null_where_a_column_says_nothing_about_the_turn(table):
    assert table["rank"].isna().tolist() == [False, True, True, True, False, True]
    assert table["iou"].isna().tolist() == [True, False, True, True, True, False]
    assert table["film_right"].isna().tolist() == table["iou"].isna().tolist()
    assert table["answered_intent"].isna().tolist() == [False, False, True, False, True, False]
    assert table["rank"].dropna().tolist() == [2, 0]
    assert table["iou"].dropna().tolist() == [0.5, 0]
    assert table["film_right"].dropna().astype(bool).tolist() == [True, False]


def test_propagation_by_hand(table):
    # a: turn 1 missed, so 2 and 3 are dead under "video"; only 2 depends on 1. b: turn 2 missed, 3 depends on it.
    assert table["alive_video"].tolist() == [True, False, False, True, True, False]
    assert table["alive_dependency"].tolist() == [True, False, True, True, True, False]
    assert table["dependent"].tolist() == [False, True, False, False, False, True]
    assert table["succeeded"].tolist() == [False, True, False, True, False, False]


def test_bleu_is_a_fold_over_the_columns(table):
    english = table[(table["language"] == "en") & table["has_reference"]]
    columns = [f"{kind}_{n}" for kind in ("matches", "ngrams") for n in (1, 2, 3, 4)]
    sums = english[[*columns, "answer_tokens", "reference_tokens"]].sum().to_numpy(np.float64)
    # "here it is , see" of "here it is , look": 4 of 5 words, 3 of 4 pairs, 2 of 3, 1 of 2; the goodbye is missing:
    # no token, and one n-gram of each order that cannot match. So 4/6, 3/5, 2/4, 1/3; 5 tokens for 5 + 4.
    expected = (4 / 6 * 3 / 5 * 2 / 4 * 1 / 3) ** 0.25 * np.exp(1 - 9 / 5)
    assert bleu(sums) == pytest.approx(expected)


def test_parquet_and_csv_hold_the_same(tmp_path):
    for name in ("o.parquet", "o.csv"):
        export_outcomes(tmp_path / name, OUTCOMES, "me")
    parquet, csv = pd.read_parquet(tmp_path / "o.parquet"), pd.read_csv(tmp_path / "o.csv")
    pd.testing.assert_frame_equal(parquet.astype(str), outcomes_frame(OUTCOMES, "me").astype(str))
    assert csv.columns.tolist() == parquet.columns.tolist()
    assert csv["iou"].tolist() == pytest.approx(parquet["iou"].tolist(), nan_ok=True)


def test_a_name_in_csv_starts_no_formula(tmp_path):
    export_outcomes(tmp_path / "o.csv", OUTCOMES, "=1+1")
    assert set(pd.read_csv(tmp_path / "o.csv")["system"]) == {"'=1+1"}


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(IvcrError, match=r"o\.xlsx: found the ending '\.xlsx', expected \.parquet or \.csv"):
        export_outcomes(tmp_path / "o.xlsx", OUTCOMES, "me")


def test_parquet_without_pyarrow_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(IvcrError, match=r"pip install 'ivcr-bench\[parquet\]'"):
        export_outcomes(tmp_path / "o.parquet", OUTCOMES, "me")
    assert not list(tmp_path.iterdir())
