"""Intervals: against scipy, against theory, and whether they hold the truth when turns depend on each other."""

import numpy as np
import pytest
from scipy import stats

from ivcr_bench.scoring.statistics.bootstrap import bootstrap_sums, percentile_interval
from ivcr_bench.scoring.statistics.resampling import GROUPS, RESAMPLES, resample_counts, unit_sums


def ratio(sums):
    """Figures of interleaved (score, n) columns."""
    with np.errstate(invalid="ignore"):
        return sums[..., 0::2] / sums[..., 1::2]


def interval(units):
    return np.stack(percentile_interval(ratio(bootstrap_sums(units))))


def test_sums_are_those_of_the_drawn_units():
    units = np.random.default_rng(1).integers(0, 1_000, (20, 3)).astype(float)
    counts = np.concatenate(list(resample_counts(20))).astype(int)
    expected = [np.repeat(units, row, axis=0).sum(axis=0) for row in counts[:50]]
    sums = bootstrap_sums(units)
    assert sums.shape == (RESAMPLES, 3)
    np.testing.assert_array_equal(sums[:50], expected)


def test_sums_of_whole_numbers_are_exact_where_float32_is_not():
    units = np.random.default_rng(2).integers(0, 2 * 24_000_000 // GROUPS, (GROUPS, 5)).astype(float)
    counts = next(resample_counts(GROUPS))
    exact = counts.astype(np.int64) @ units.astype(np.int64)
    np.testing.assert_array_equal(bootstrap_sums(units)[: len(counts)], exact)
    assert (counts.astype(np.float32) @ units.astype(np.float32) != exact).any()


def test_fractions_and_large_numbers_beside_small_ones():
    random = np.random.default_rng(8)
    units = np.column_stack([random.random(300), random.integers(0, 9, 300), random.integers(0, 1 << 40, 300)])
    counts = np.concatenate(list(resample_counts(300))).astype(np.int64)
    sums = bootstrap_sums(units)
    np.testing.assert_array_equal(sums[:, 1:], counts @ units[:, 1:].astype(np.int64))
    np.testing.assert_allclose(sums[:, 0], counts @ units[:, 0], rtol=1e-14)


def test_other_columns_change_no_column():
    """Every system and metric meets the same resamples."""
    units = np.random.default_rng(3).integers(0, 9, (40, 4)).astype(float)
    columns = [2, 2, 0]
    np.testing.assert_array_equal(bootstrap_sums(units[:, columns]), bootstrap_sums(units)[:, columns])


@pytest.mark.parametrize("units", [25, 400])
def test_the_interval_of_a_mean_is_scipys(units):
    scores = np.random.default_rng(4).exponential(size=units)
    low, high = interval(np.column_stack([scores, np.ones(units)]))
    theirs = stats.bootstrap(
        (scores,), np.mean, n_resamples=100_000, method="percentile", rng=np.random.default_rng(5), batch=2_000
    )
    # An end from 10,000 resamples has a standard error of 0.027 of the figure's.
    tolerance = 4 * 0.027 * theirs.standard_error
    assert abs(low[0] - theirs.confidence_interval.low) < tolerance
    assert abs(high[0] - theirs.confidence_interval.high) < tolerance


def test_the_error_of_an_end_is_as_derived():
    """sqrt(0.025 * 0.975 / 10,000) / 0.0584 = 0.027 standard deviations."""
    ends = np.stack(percentile_interval(np.random.default_rng(6).standard_normal((RESAMPLES, 400))))
    assert np.allclose(ends.mean(axis=1), [-1.96, 1.96], atol=0.01)
    assert np.allclose(ends.std(axis=1), 0.0267, atol=0.004)


def test_a_resample_without_a_unit_of_the_kind_is_left_out():
    values = np.array([[1.0, np.nan, np.nan]] + [[i, i, np.nan] for i in range(2, 102)])
    low, high = percentile_interval(values)
    assert (low[1], high[1]) == pytest.approx((4.475, 98.525))  # 2 + 0.025 * 99, 2 + 0.975 * 99
    assert np.isnan([low[2], high[2]]).all()


def test_shapes_follow_the_figures():
    low, high = percentile_interval(np.zeros((RESAMPLES, 2, 3)))
    assert low.shape == high.shape == (2, 3)
    low, high = percentile_interval(np.arange(11.0), level=0.8)
    assert (float(low), float(high)) == pytest.approx((1, 9))


@pytest.mark.parametrize("dialogues", [2, 3, 10, 300])
def test_one_dialogue_of_a_kind_has_no_interval_but_two_have(dialogues):
    units = np.zeros((dialogues, 4))
    units[0] = [1, 2, 1, 2]
    units[1, 2:] = [0, 2]
    low, high = interval(units)
    assert np.isnan([low[0], high[0]]).all()
    assert (low[1], high[1]) == (0, 0.5)


def test_a_single_dialogue_has_no_interval():
    assert np.isnan(interval(np.array([[1.0, 2]]))).all()


def dependent_turns(random, dialogues, worlds):
    """Right or wrong turns: each dialogue of each world has its own, often extreme, chance; the mean is 1/2.

    Chances are Beta(0.3, 0.3), so that two turns of a dialogue correlate by 1 / (1 + 0.6) = 0.625. Dialogues have 1 to
    7 turns, so that the variance of the share of right turns is 1 + (20 / 4 - 1) * 0.625 = 3.5 times that of
    independent turns (20 and 4: the mean square and the mean of the lengths), and a naive interval sqrt(3.5) = 1.87
    times too narrow: it covers what 1.96 / 1.87 = 1.05 standard deviations do, 71 %.
    """
    dialogue = np.repeat(np.arange(dialogues), random.integers(1, 8, dialogues))
    chance = random.beta(0.3, 0.3, (dialogues, worlds))
    return dialogue, random.random((len(dialogue), worlds)) < chance[dialogue]


def coverage(units):
    low, high = interval(units)
    return float(((low <= 0.5) & (high >= 0.5)).mean())


@pytest.mark.parametrize("dialogues", [100, 3_000])
def test_intervals_over_dialogues_cover_the_truth_and_intervals_over_turns_do_not(dialogues):
    """With 3,000 dialogues, groups of dialogues are resampled.

    400 worlds; the coverage of a true 95 % interval is then known to sqrt(0.95 * 0.05 / 400) = 1.1 %.
    """
    worlds = 400
    dialogue, right = dependent_turns(np.random.default_rng(7), dialogues, worlds)
    statistics = np.ones((len(dialogue), 2 * worlds))
    statistics[:, 0::2] = right
    assert 0.92 <= coverage(unit_sums(statistics, dialogue, dialogues)) <= 0.98
    naive = unit_sums(statistics, np.arange(len(dialogue)), len(dialogue))
    assert 0.62 <= coverage(naive) <= 0.80
