"""Differences: against scipy, under the null hypothesis, and effect sizes against textbook formulas."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from ivcr_bench.scoring.statistics.permutation import MOST, effect_size, permutation_p
from ivcr_bench.scoring.statistics.resampling import RESAMPLES
from ivcr_bench.scoring.text import bleu


def share(sums):
    with np.errstate(invalid="ignore"):
        return sums[..., 0] / sums[..., 1]


def scipy_p(first, second, value, resamples):
    """The same test by `scipy.stats.permutation_test`, which swaps indices of dialogues."""
    table = np.stack([first, second])

    def statistic(own, other):
        rows = np.arange(len(first))
        return float(value(table[own, rows].sum(axis=0)) - value(table[other, rows].sum(axis=0)))

    zero, one = np.zeros(len(first), int), np.ones(len(first), int)
    return stats.permutation_test(
        (zero, one),
        statistic,
        permutation_type="samples",
        vectorized=False,
        n_resamples=resamples,
        rng=np.random.default_rng(1),
    ).pvalue


def scored(random, units):
    """Right turns and turns of each dialogue of two systems; the turns are the same."""
    turns = random.integers(1, 8, units)
    return [np.column_stack([random.binomial(turns, chance), turns]).astype(float) for chance in (0.6, 0.5)]


def counted(random, units):
    """n-gram counts of two systems."""
    totals = random.integers(10, 30, (units, 1)) - np.arange(4)
    tokens = np.column_stack([totals[:, 0], random.integers(10, 30, units)])
    return [
        np.hstack([random.binomial(totals, chance * 0.7 ** np.arange(4)), totals, tokens]).astype(float)
        for chance in (0.7, 0.6)
    ]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("make", "value"), [(scored, share), (counted, bleu)])
def test_equals_scipy_where_all_swaps_are_tried(seed, make, value):
    first, second = make(np.random.default_rng(seed), 8)
    # The first two swaps by hand: none, then the first dialogue's, are among the 2^8; scipy tries the same 256.
    assert permutation_p(first, second, value) == pytest.approx(scipy_p(first, second, value, np.inf), abs=1e-12)


@pytest.mark.parametrize(("make", "value"), [(scored, share), (counted, bleu)])
def test_agrees_with_scipy_where_swaps_are_drawn(make, value):
    first, second = make(np.random.default_rng(11), 60)
    p, theirs = permutation_p(first, second, value), scipy_p(first, second, value, 4_000)
    assert abs(p - theirs) < 4 * math.sqrt(0.25 / 4_000 + 0.25 / RESAMPLES)


def test_ties_count_as_extreme():
    # Differences 1, 1, -1, 0: of the 2^3 swaps of what differs, sums 3, 1, 1, 1, -1, -1, -1, -3: all are at least 1.
    first = np.array([[1.0, 1], [1, 1], [0, 1], [1, 1]])
    second = np.array([[0.0, 1], [0, 1], [1, 1], [1, 1]])
    assert permutation_p(first, second, share) == 1


def test_p_is_never_zero():
    first, second = np.tile([1.0, 1], (200, 1)), np.tile([0.0, 1], (200, 1))
    assert permutation_p(first, second, share) == 1 / (1 + MOST)


def test_small_p_are_found_with_more_swaps():
    """17 of 20 dialogues are won by as much as 3 are lost: 2 * sum over k <= 3 of C(20, k) / 2^20 = 0.00258."""
    first = np.column_stack([[1.0] * 17 + [0] * 3, np.ones(20)])
    second = np.column_stack([[0.0] * 17 + [1] * 3, np.ones(20)])
    exact = 2 * stats.binom.cdf(3, 20, 0.5)
    p = permutation_p(first, second, share)
    assert abs(p - exact) < 4 * math.sqrt(exact / MOST)
    assert (p * (1 + MOST)) == pytest.approx(round(p * (1 + MOST)))


def test_p_is_uniform_where_no_system_is_better():
    random = np.random.default_rng(12)
    p = []
    for _ in range(400):
        common = random.normal(size=30)
        first, second = (np.column_stack([common + random.exponential(size=30), np.ones(30)]) for _ in range(2))
        p.append(permutation_p(first, second, share))
    assert stats.kstest(p, "uniform").pvalue > 0.01


@settings(max_examples=30, deadline=None)
@given(*[arrays(float, (20, 1), elements=st.integers(0, 4))] * 2)
def test_the_order_of_the_two_does_not_count(first, second):
    first, second = (np.hstack([scores, np.full((20, 1), 4.0)]) for scores in (first, second))
    assert permutation_p(first, second, share) == permutation_p(second, first, share)
    assert effect_size(first, second, share, 20) == -effect_size(second, first, share, 20)
    assert (permutation_p(first, first, share), effect_size(first, first, share, 20)) == (1, 0)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 100))
def test_dialogues_without_such_turns_change_nothing(seed):
    first, second = scored(np.random.default_rng(seed), 15)
    longer = [np.vstack([units, np.zeros((10, 2))]) for units in (first, second)]
    assert permutation_p(*longer, share) == permutation_p(first, second, share)
    assert effect_size(*longer, share, 15) == effect_size(first, second, share, 15)


def test_effect_of_a_mean_over_dialogues_is_the_textbooks():
    random = np.random.default_rng(13)
    first, second = random.normal(0.3, 1, 80), random.normal(0, 1, 80)
    difference = first - second
    d_z = difference.mean() / difference.std(ddof=1)
    columns = [np.column_stack([scores, np.ones(80)]) for scores in (first, second)]
    assert effect_size(*columns, share, 80) == pytest.approx(d_z, rel=1e-9)
    # t of the paired t-test is d_z * sqrt(n).
    assert stats.ttest_rel(first, second).statistic == pytest.approx(d_z * math.sqrt(80))


@pytest.mark.parametrize(("make", "value"), [(scored, share), (counted, bleu)])
def test_effect_does_not_grow_with_the_number_of_dialogues(make, value):
    first, second = make(np.random.default_rng(14), 100)
    once = effect_size(first, second, value, 100)
    many = effect_size(np.tile(first, (9, 1)), np.tile(second, (9, 1)), value, 900)
    assert 0.05 < once < 2
    assert many == pytest.approx(once, rel=0.01)


def test_effect_is_that_of_dialogues_even_where_groups_are_resampled():
    random = np.random.default_rng(15)
    first, second = (np.column_stack([random.normal(mean, 1, 4_000), np.ones(4_000)]) for mean in (0.2, 0))
    by_four = [units.reshape(1_000, 4, 2).sum(axis=1) for units in (first, second)]
    ungrouped = effect_size(first, second, share, 4_000)
    assert effect_size(*by_four, share, 4_000) == pytest.approx(ungrouped, rel=4 / math.sqrt(2 * 1_000))


def test_effect_of_what_never_varies():
    better, worse = np.tile([1.0, 1], (5, 1)), np.tile([0.0, 1], (5, 1))
    assert effect_size(better, worse, share, 5) == math.inf
    assert effect_size(worse, better, share, 5) == -math.inf
    assert math.isnan(effect_size(better[:1], worse[:1], share, 1))
