import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from baselines.moment.nms import gaussian, greedy_nms, linear, soft_nms


def double(rows):
    return torch.tensor(rows, dtype=torch.float64)


MOMENTS = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 20), st.integers(0, 5)), min_size=1, max_size=25).map(
    lambda rows: (double([[s, s + n] for s, n, _ in rows]), double([score / 5 for *_, score in rows]))
)


def reference_nms(moments, scores, threshold):
    """The rule, word by word: go through the list, keep what no kept moment overlaps too much."""
    kept = []
    for i in sorted(range(len(scores)), key=lambda i: -scores[i]):
        for j in kept:
            overlap = max(0, min(moments[i][1], moments[j][1]) - max(moments[i][0], moments[j][0]))
            total = moments[i][1] - moments[i][0] + moments[j][1] - moments[j][0]
            if overlap / (total - overlap) > threshold:
                break
        else:
            kept.append(i)
    return kept


def test_greedy_by_hand():
    # [0, 10] drops [1, 10] (9 of 10) at 0.5; [5, 15] has 5 of 15 with it and stays.
    moments, scores = double([[0, 10], [1, 10], [5, 15], [12, 20]]), double([0.9, 0.8, 0.7, 0.6])
    assert greedy_nms(moments, scores, 0.5).tolist() == [0, 2, 3]
    assert greedy_nms(moments, scores, 0.3).tolist() == [0, 3]
    assert greedy_nms(moments, scores, 0.5, keep=2).tolist() == [0, 2]


def test_an_overlap_of_exactly_the_threshold_stays():
    # 5 of 10.
    moments = double([[0, 10], [0, 5]])
    assert greedy_nms(moments, double([1, 0.5]), 0.5).tolist() == [0, 1]


@given(MOMENTS, st.sampled_from([0.0, 0.25, 0.45, 0.5, 0.7]))
def test_greedy_is_the_rule(data, threshold):
    moments, scores = data
    assert greedy_nms(moments, scores, threshold).tolist() == reference_nms(
        moments.tolist(), scores.tolist(), threshold
    )


@given(MOMENTS)
def test_equal_moments_leave_one(data):
    moments, scores = data
    twice = greedy_nms(moments.repeat(2, 1), scores.repeat(2), 0.99)
    assert twice.tolist() == greedy_nms(moments, scores, 0.99).tolist()


def test_gaussian_decay_of_the_umt_sheet():
    # IoU of the first two is 9/10: 0.8 * exp(-0.81 / 0.5) = 0.8 * 0.197899 = 0.158319.
    order, scores = soft_nms(double([[0, 10], [1, 10], [12, 20]]), double([0.9, 0.8, 0.5]), gaussian(0.5))
    assert order.tolist() == [0, 2, 1]
    assert_close(scores, double([0.9, 0.5, 0.158319]), atol=1e-6, rtol=0)


def test_linear_decay_by_hand():
    # [5, 15] overlaps [0, 10] by 1/3, not above 0.5; [1, 10] by 0.9: 0.8 * 0.1.
    moments, scores = double([[0, 10], [1, 10], [5, 15]]), double([0.9, 0.8, 0.7])
    order, found = soft_nms(moments, scores, linear(0.5))
    assert order.tolist() == [0, 2, 1]
    # [1, 10] overlaps [5, 15] by 5 of 14 = 0.357, which does not count either.
    assert_close(found, double([0.9, 0.7, 0.08]))


@given(MOMENTS, st.integers(0, 30))
def test_soft_lists_fall(data, keep):
    moments, scores = data
    order, found = soft_nms(moments, scores, gaussian(0.5), keep)
    assert len(set(order.tolist())) == len(order) == min(keep, len(scores))
    assert np.all(np.diff(found.numpy()) <= 0)
    whole, _ = soft_nms(moments, scores, gaussian(0.5))
    assert whole[: len(order)].tolist() == order.tolist()


def test_nothing_in_nothing_out():
    empty = torch.zeros(0, 2), torch.zeros(0)
    assert greedy_nms(*empty, 0.5).tolist() == []
    assert [len(part) for part in soft_nms(*empty, gaussian(0.5))] == [0, 0]
