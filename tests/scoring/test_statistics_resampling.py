"""What is resampled: dialogues, dealt into groups where they are many, by the same draws for everyone."""

import doctest
import importlib

import numpy as np
import pytest

from ivcr_bench.scoring.statistics.resampling import (
    CELLS,
    GROUPS,
    RESAMPLES,
    SEED,
    random_swaps,
    resample_counts,
    unit_sums,
    units_of,
)

FROZEN_COUNTS = [[1, 1, 0, 1, 2, 2, 0, 1], [2, 0, 2, 0, 0, 1, 2, 1]]
FROZEN_SWAPS = [1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 1, 1, 0, 1, 1, 1]


@pytest.mark.parametrize("name", ["resampling", "bootstrap", "permutation", "ranks"])
def test_docstring_examples(name):
    module = importlib.import_module(f"ivcr_bench.scoring.statistics.{name}")
    result = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert (result.failed, result.attempted > 0) == (0, True)


def test_each_dialogue_is_a_unit_while_they_are_few():
    assert units_of(GROUPS).tolist() == list(range(GROUPS))


def test_many_dialogues_are_dealt_evenly_and_at_random():
    unit = units_of(3 * GROUPS + 5)
    sizes = np.bincount(unit)
    assert len(sizes) == GROUPS
    assert (sizes.min(), sizes.max(), (sizes == 4).sum()) == (3, 4, 5)
    assert abs(np.corrcoef(unit, np.arange(len(unit)))[0, 1]) < 0.05  # neighbours in the file do not end up together


def test_unit_sums_are_those_of_a_loop():
    random = np.random.default_rng(1)
    dialogue = np.sort(random.integers(0, 2 * GROUPS, 10_000))
    statistics = random.random((10_000, 3))
    unit = units_of(2 * GROUPS)
    expected = np.zeros((GROUPS, 3))
    for row, index in enumerate(dialogue):
        expected[unit[index]] += statistics[row]
    np.testing.assert_allclose(unit_sums(statistics, dialogue, 2 * GROUPS), expected, rtol=1e-12)


@pytest.mark.parametrize("units", [1, 7, 300, GROUPS])
def test_every_resample_draws_as_many_units_as_there_are(units):
    blocks = list(resample_counts(units))
    assert sum(map(len, blocks)) == RESAMPLES
    assert all((block.sum(axis=1) == units).all() for block in blocks)
    assert max(block.size for block in blocks) <= CELLS


def test_a_unit_is_drawn_as_often_as_the_binomial_says():
    counts = np.concatenate(list(resample_counts(50)))
    # n draws of probability 1/n: mean 1, variance 1 - 1/n, covariance of two units -1/n
    covariance = np.cov(counts.T)
    assert np.allclose(counts.mean(axis=0), 1, atol=0.05)
    assert np.allclose(np.diag(covariance), 1 - 1 / 50, atol=0.08)
    assert np.isclose(covariance[~np.eye(50, dtype=bool)].mean(), -1 / 50, atol=0.001)


def test_the_draws_are_frozen():
    """Numbers of old reports stay comparable: whoever changes a draw changes the format of the report."""
    assert next(resample_counts(8))[:2].astype(int).tolist() == FROZEN_COUNTS
    assert next(random_swaps(np.random.default_rng(SEED), 1, 16)).astype(int).tolist() == [FROZEN_SWAPS]


def test_swaps_are_fair_and_independent():
    swaps = np.concatenate(list(random_swaps(np.random.default_rng(1), RESAMPLES, 40)))
    assert swaps.shape == (RESAMPLES, 40)
    assert set(np.unique(swaps)) == {0, 1}
    signs = 1 - 2 * swaps
    assert np.allclose(signs.T @ signs / RESAMPLES, np.eye(40), atol=0.05)
    assert np.allclose(signs.mean(axis=0), 0, atol=0.05)


def test_groups_estimate_the_variance_without_bias():
    """The module's derivation: mean ratio 1, and each width off by 1 / sqrt(2 (GROUPS - 1)) = 1.6 %."""
    random = np.random.default_rng(3)
    dialogues, worlds = 4 * GROUPS, 200
    values = random.exponential(size=(dialogues, worlds))
    groups = unit_sums(values, np.arange(dialogues), dialogues) / 4
    width = groups.std(axis=0, ddof=1) / np.sqrt(GROUPS) / (values.std(axis=0, ddof=1) / np.sqrt(dialogues))
    expected = 1 / np.sqrt(2 * (GROUPS - 1))
    assert abs((width**2).mean() - 1) < 4 * 2 * expected / np.sqrt(worlds)
    assert 0.7 * expected < width.std() < 1.6 * expected  # exponential sums of four have heavier tails than normal ones
