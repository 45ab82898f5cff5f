import numpy as np
import pytest
from hand_made import dataset, dialogue, ranked, score, submission, video_turn

from ivcr_bench.scoring.retrieval import first_relevant_rank, recall_at_k


def test_five_turns_by_hand():
    # Ranks of the first relevant film: 1, 3, 7, 0 (not listed), 0 (no answer), so
    # R@1 = 1/5, R@5 = 2/5, R@10 = 3/5, MRR = (1 + 1/3 + 1/7) / 5 = (31/21) / 5 = 31/105.
    world = dataset(*(dialogue(f"d{i}", video_turn("f0")) for i in range(5)))
    answers = submission(
        ranked("d0", 1, "f0", "f1"),
        ranked("d1", 1, "f1", "f2", "f0"),
        ranked("d2", 1, "f1", "f2", "f3", "f4", "f5", "f6", "f0", "f7"),
        ranked("d3", 1, "f1"),
    )
    figures = score(world, "test", answers).overall["none"]
    assert figures["R@1"].value == pytest.approx(1 / 5, abs=1e-15)
    assert figures["R@5"].value == pytest.approx(2 / 5, abs=1e-15)
    assert figures["R@10"].value == pytest.approx(3 / 5, abs=1e-15)
    assert figures["MRR"].value == pytest.approx(31 / 105, abs=1e-15)
    assert {figures[name].n for name in ("R@1", "R@5", "R@10", "MRR")} == {5}


def test_any_relevant_film_counts_and_the_first_decides():
    # Relevant: f4 (canonical) and f2. f2 stands second: rank 2, although the canonical film stands third.
    assert first_relevant_rank(("f1", "f2", "f4"), ("f4", "f2")) == 2


def test_the_tenth_is_within_ten_and_the_eleventh_is_not():
    assert recall_at_k(np.array([10, 11]), 10).tolist() == [1, 0]


def test_mrr_reads_the_whole_list():
    # The relevant film is the 20th of 20: MRR = 1/20, R@10 = 0.
    world = dataset(dialogue("d", video_turn("f19")))
    figures = score(world, "test", submission(ranked("d", 1, *(f"f{i}" for i in range(20))))).overall["none"]
    assert figures["MRR"].value == 1 / 20
    assert figures["R@10"].value == 0
