"""The match features on a film whose right moment is known."""

import numpy as np
import pytest

from baselines.interllava.matching import candidate_matches, second_matches

QUERY = np.array([1.0, 0.0], np.float32)
LIKE, UNLIKE = [1.0, 0.0], [0.0, 1.0]


def test_a_moment_starts_where_the_match_rises_and_ends_where_it_falls():
    film = np.array([UNLIKE] * 8 + [LIKE] * 10 + [UNLIKE] * 6, np.float16)  # 2 frames a second: seconds 4 to 8
    level, rise, fall, long_rise, long_fall = second_matches(QUERY, film, 2, 12).T
    assert set(np.flatnonzero(level > 0)) == {4, 5, 6, 7, 8}
    assert rise.argmax() == long_rise.argmax() == 4
    assert fall.argmax() == long_fall.argmax() == 8


def test_an_odd_frame_at_the_end_is_a_second_of_its_own():
    film = np.array([UNLIKE] * 4 + [LIKE], np.float16)
    assert second_matches(QUERY, film, 2, 3)[:, 0].argmax() == 2


def test_the_best_candidate_has_the_best_frame():
    films = [np.array([UNLIKE, UNLIKE], np.float16), np.array([UNLIKE, LIKE], np.float16)]
    best, mean = candidate_matches(QUERY, films)[:, :2].T
    assert best.argmax() == mean.argmax() == 1
    assert best.sum() == pytest.approx(0, abs=1e-4)
