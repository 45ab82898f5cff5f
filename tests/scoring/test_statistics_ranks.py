"""Many differences: Holm's correction, what is known of each rank, and letters."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivcr_bench.scoring.statistics.ranks import holm, rank_groups, rank_intervals

probabilities = st.lists(st.floats(0, 1), max_size=12)


def test_holm_by_hand():
    # Sorted .005 .01 .02 .03 .04 times 5 4 3 2 1: .025 .04 .06 .06 .04, which may not fall: .06.
    assert holm([0.01, 0.04, 0.03, 0.005, 0.02]) == pytest.approx([0.04, 0.06, 0.06, 0.025, 0.06])
    assert holm([]) == []
    assert holm([0.7, 0.6]) == [1, 1]


@given(probabilities, st.floats(0.001, 0.5))
def test_holm_rejects_what_stepping_down_rejects(p, alpha):
    """Holm 1979 as published: go up from the smallest p until one is above alpha / (how many are left)."""
    rejected = set()
    for position, index in enumerate(np.argsort(p, kind="stable")):
        if p[index] * (len(p) - position) > alpha:
            break
        rejected.add(int(index))
    assert {index for index, adjusted in enumerate(holm(p)) if adjusted <= alpha} == rejected


@given(probabilities)
def test_holm_lies_between_no_correction_and_bonferroni(p):
    adjusted = holm(p)
    assert all(raw <= value <= min(1, len(p) * raw) for raw, value in zip(p, adjusted, strict=True))
    assert np.all(np.diff(np.array(adjusted)[np.argsort(p)]) >= 0)


def test_holm_keeps_its_promise():
    """No two systems differ: any false rejection among ten tests happens in at most 5 % of worlds."""
    p = np.random.default_rng(1).random((4_000, 10))
    assert abs(np.mean([min(holm(row)) <= 0.05 for row in p]) - 0.05) < 4 * np.sqrt(0.05 * 0.95 / 4_000)


@st.composite
def orders(draw):
    """Significant differences that agree with a ranking of systems, but need not be transitive."""
    systems = draw(st.integers(0, 8))
    cells = draw(st.lists(st.booleans(), min_size=systems**2, max_size=systems**2))
    return np.triu(np.array(cells, bool).reshape(systems, systems), k=1)


@given(orders())
def test_the_ranking_itself_is_within_the_intervals(better):
    for rank, (best, worst) in enumerate(rank_intervals(better), start=1):
        assert best <= rank <= worst


def members(letters):
    return {letter: {i for i, own in enumerate(letters) if letter in own} for letter in set("".join(letters))}


@settings(max_examples=300)
@given(orders())
def test_two_share_a_letter_exactly_if_they_cannot_be_told_apart(better):
    letters = rank_groups(better)
    assert all(letters)
    for first in range(len(better)):
        for second in range(first + 1, len(better)):
            assert bool(set(letters[first]) & set(letters[second])) == (not better[first, second])


@given(orders())
def test_no_group_is_part_of_another_and_letters_follow_the_ranking(better):
    groups = members(rank_groups(better))
    assert sorted(groups) == list("abcdefghijklmnopqrstuvwxyz"[: len(groups)])
    assert not any(one < other for one in groups.values() for other in groups.values())
    firsts = [sorted(groups[letter]) for letter in sorted(groups)]
    assert firsts == sorted(firsts)


def test_groups_by_hand():
    # 0 beats 2 and 3; 1 beats 3: {0, 1}, {1, 2}, {2, 3}.
    better = np.zeros((4, 4), bool)
    better[0, 2] = better[0, 3] = better[1, 3] = True
    assert rank_groups(better) == ["a", "ab", "bc", "c"]
    assert rank_intervals(better) == [(1, 2), (1, 3), (2, 4), (3, 4)]
    assert rank_groups(np.zeros((3, 3), bool)) == ["a", "a", "a"]
    assert rank_groups(np.triu(np.ones((28, 28), bool), k=1))[25:] == ["z", "a1", "b1"]
