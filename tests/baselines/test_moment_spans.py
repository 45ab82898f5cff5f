import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from baselines.moment.spans import (
    ClipGrid,
    cell_edges,
    edges_of,
    giou,
    iou,
    pairwise_giou,
    pairwise_iou,
    spans_of,
)
from ivcr_bench.errors import IvcrError

DURATIONS = st.floats(0.1, 20_000)
CLIPS = st.integers(1, 700)
RATES = st.floats(0.05, 30)


def double(rows):
    return torch.tensor(rows, dtype=torch.float64)


def test_cells_of_equal_clips():
    # 20 s in 16 clips of 1.25 s: cell (3, 7) is 3 * 1.25 = 3.75 to 8 * 1.25 = 10.
    grid = ClipGrid.equal(16, 20.0)
    assert_close(grid.cell_seconds(torch.tensor([[3, 7], [0, 15]])), double([[3.75, 10], [0, 20]]))


def test_features_at_a_rate_keep_their_seconds_at_an_odd_length():
    # 23.7 s at 2 rows a second: 48 rows, the last from 23.5 to 24, of which the film has 0.2 s.
    grid = ClipGrid.at_rate(48, 2.0, 23.7)
    assert grid.extent == 24.0
    assert_close(grid.cell_seconds(torch.tensor([[47, 47], [3, 4]])), double([[23.5, 23.7], [1.5, 2.5]]))
    assert_close(grid.edges(double([6.0, 18.0])), double([0.25, 0.75]))
    assert_close(grid.seconds(double([0.25, 1.0])), double([6.0, 23.7]))


def test_features_that_end_early_do_not_stretch_the_film():
    # 30 rows at 1 a second of a film of 100 s: row 29 is 29 to 30 s, not 96.7 to 100 s.
    grid = ClipGrid.at_rate(30, 1.0, 100.0)
    assert_close(grid.cell_seconds(torch.tensor([29, 29])), double([29.0, 30.0]))


def test_the_charades_unit_of_the_umt_sheet():
    # VGG features of Charades have 6 rows a second: rows 12 to 17 are the third second.
    grid = ClipGrid.at_rate(185, 6.0, 30.96)
    assert_close(grid.cell_seconds(torch.tensor([12, 17])), double([2.0, 3.0]))


@given(CLIPS, RATES, DURATIONS, st.floats(0, 1), st.floats(0, 1))
def test_seconds_come_back(clips, rate, duration, a, b):
    grid = ClipGrid.at_rate(clips, rate, duration)
    end = min(grid.extent, duration)
    moment = double(sorted([a * end, b * end]))
    assert_close(grid.seconds(grid.edges(moment)), moment, atol=1e-9 * end, rtol=0)


@given(CLIPS, DURATIONS)
def test_equal_clips_tile_the_film(clips, duration):
    table = ClipGrid.equal(clips, duration).clip_seconds_table()
    assert table.shape == (clips, 2)
    assert table[0, 0] == 0
    assert_close(table[-1, 1].item(), duration, rtol=1e-12, atol=0)
    assert torch.equal(table[1:, 0], table[:-1, 1])


@given(CLIPS, RATES, DURATIONS, st.floats(0, 1), st.floats(0, 1))
def test_a_moment_has_a_clip(clips, rate, duration, a, b):
    grid = ClipGrid.at_rate(clips, rate, duration)
    moment = double(sorted([a * duration, b * duration]))
    assert grid.inside(moment).any()


def test_clips_inside_a_moment():
    # Clips of 2 s have their middles at 1, 3, 5, ...: 2.5 to 7 s has those of clips 1 and 2 (7 itself is outside).
    grid = ClipGrid.at_rate(6, 0.5, 11.0)
    found = grid.inside(double([[2.5, 7.0], [4.2, 4.4], [99.0, 100.0]]))
    assert [row.nonzero().flatten().tolist() for row in found] == [[1, 2], [2], [5]]


@pytest.mark.parametrize(("clips", "rate", "duration"), [(0, 1.0, 3.0), (3, 0.0, 3.0), (3, 1.0, 0.0), (3, -1.0, 3.0)])
def test_a_grid_of_nothing_is_refused(clips, rate, duration):
    with pytest.raises(IvcrError, match="must be positive"):
        ClipGrid.at_rate(clips, rate, duration)


@given(st.integers(1, 200), st.data())
def test_cells_and_spans_say_the_same(clips, data):
    first = data.draw(st.integers(0, clips - 1))
    last = data.draw(st.integers(first, clips - 1))
    edges = cell_edges(torch.tensor([first, last]), clips)
    assert_close(edges, double([first / clips, (last + 1) / clips]))
    assert_close(edges_of(spans_of(edges)), edges)


def test_generalised_iou_of_the_detr_sheet():
    a, b = double([[0, 0.2], [0.5, 1]]), double([[0, 0.3], [0, 1]])
    assert_close(pairwise_giou(a, b), double([[2 / 3, 0.2], [-0.2, 0.5]]))


def test_iou_by_hand():
    # [0, 10] and [5, 20]: 5 common of 20. [0, 10] and [10, 20] only touch.
    assert_close(iou(double([0, 10]), double([[5, 20], [10, 20], [0, 10]])), double([0.25, 0, 1]))
    # The hull of [0, 1] and [3, 4] is 4 long, 2 of it covered by neither.
    assert_close(giou(double([0, 1]), double([3, 4])), double(-0.5))


def test_moments_of_no_length_are_finite():
    point = double([1.0, 1.0]).requires_grad_()
    giou(point, double([1.0, 1.0])).backward()
    assert torch.isfinite(point.grad).all()
    assert iou(point, point) == 0


@given(st.lists(st.floats(-50, 50), min_size=4, max_size=4))
def test_iou_is_that_of_the_scorer(values):
    a, b = sorted(values[:2]), sorted(values[2:])
    if a[1] - a[0] < 1e-6 or b[1] - b[0] < 1e-6:
        return
    overlap = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
    expected = overlap / ((a[1] - a[0]) + (b[1] - b[0]) - overlap)
    np.testing.assert_allclose(pairwise_iou(double([a]), double([b])).item(), expected, atol=1e-12)
    assert -1 <= giou(double(a), double(b)) <= expected + 1e-12
