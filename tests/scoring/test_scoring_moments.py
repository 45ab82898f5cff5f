import pytest
from hand_made import dataset, dialogue, located, moment_turn, score, submission
from hypothesis import given
from hypothesis import strategies as st

from ivcr_bench.schema import Moment, SubmissionTurn
from ivcr_bench.scoring.moments import best_iou, iou

CELL = 0.25
cells = st.integers(0, 60)
intervals = st.tuples(cells, cells).map(lambda pair: (min(pair) * CELL, max(pair) * CELL))


def grid_iou(a, b):
    """IoU by counting cells of the time axis; the intervals start and end on cell borders."""

    def covered(interval):
        return {i for i in range(61) if interval[0] <= i * CELL < interval[1]}

    union = covered(a) | covered(b)
    return len(covered(a) & covered(b)) / len(union) if union else float(a == b)


@given(intervals, intervals)
def test_iou_equals_counting_cells(a, b):
    assert iou(a, b) == pytest.approx(grid_iou(a, b), abs=1e-12)


floats = st.floats(0, 1e6, allow_nan=False)
any_interval = st.tuples(floats, floats).map(lambda pair: (min(pair), max(pair)))


@given(any_interval, any_interval)
def test_iou_is_symmetric_and_bounded(a, b):
    assert iou(a, b) == iou(b, a)
    assert 0 <= iou(a, b) <= 1
    assert iou(a, a) == 1


def test_five_turns_by_hand():
    # Gold is [0, 10] throughout. IoU of the top moments:
    #   [0, 5]: 5/10 = 0.5     [0, 7]: 7/10 = 0.7     [5, 15]: 5/15 = 1/3     [20, 30]: 0     no answer: 0
    # R@1 IoU=0.3: 3/5, IoU=0.5: 2/5 (0.5 itself counts), IoU=0.7: 1/5; mIoU = (1/2 + 7/10 + 1/3) / 5 = (46/30) / 5.
    world = dataset(*(dialogue(f"d{i}", moment_turn("f0", (0, 10))) for i in range(5)))
    answers = submission(
        located("d0", 1, "f0", 0, 5),
        located("d1", 1, "f0", 0, 7),
        located("d2", 1, "f0", 5, 15),
        located("d3", 1, "f0", 20, 30),
    )
    figures = score(world, "test", answers).overall["none"]
    assert figures["R@1 IoU=0.3"].value == 3 / 5
    assert figures["R@1 IoU=0.5"].value == 2 / 5
    assert figures["R@1 IoU=0.7"].value == 1 / 5
    assert figures["mIoU"].value == pytest.approx(46 / 150, abs=1e-15)
    assert figures["mIoU"].n == 5


def test_a_threshold_that_is_met_in_decimals_is_met():
    # [12.3, 16.2] of [12.3, 20.1]: 3.9 s of 7.8 s is 0.5, but floating point says 0.4999999999999998.
    assert iou((12.3, 16.2), (12.3, 20.1)) < 0.5
    world = dataset(dialogue("d", moment_turn("f0", (12.3, 20.1))))
    figures = score(world, "test", submission(located("d", 1, "f0", 12.3, 16.2))).overall["none"]
    assert figures["R@1 IoU=0.5"].value == 1


def test_only_the_top_moment_counts():
    world = dataset(dialogue("d", moment_turn("f0", (0, 10))))
    moments = (Moment("f0", 50, 60, score=0.1), Moment("f0", 0, 10, score=0.9))
    answer = SubmissionTurn(dialogue_id="d", turn=1, intent="moment_retrieval", moments=moments)
    assert score(world, "test", submission(answer)).overall["none"]["mIoU"].value == 0


def test_the_best_gold_moment_counts():
    # [4, 8] and [2, 6] share 2 s of the 6 s that they cover: 1/3. [4, 8] and [4, 8] share all: 1.
    assert best_iou(Moment("f0", 4, 8), "f0", [(2, 6)]) == pytest.approx(1 / 3)
    assert best_iou(Moment("f0", 4, 8), "f0", [(2, 6), (4, 8)]) == 1


def test_the_right_seconds_of_another_film_are_wrong():
    world = dataset(dialogue("d", moment_turn("f0", (0, 10))))
    assert score(world, "test", submission(located("d", 1, "f1", 0, 10))).overall["none"]["mIoU"].value == 0


def test_instants():
    assert iou((5, 5), (5, 5)) == 1  # the same instant
    assert iou((5, 5), (6, 6)) == 0
    assert iou((5, 5), (0, 10)) == 0  # an instant covers nothing of an interval
