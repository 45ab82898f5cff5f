import hashlib
from collections import Counter
from itertools import pairwise

import pytest

from ivcr_bench.data.mini import films as films_module
from ivcr_bench.data.mini.films import CATEGORIES, FILM_COUNTS, sample_films
from ivcr_bench.data.mini.world import GENRE_OF, PAIR_ACTIONS, Film, Shot


@pytest.fixture(scope="module")
def mini():
    return sample_films(0, "mini")


@pytest.fixture(scope="module")
def films(mini):
    return [film for split in mini.values() for film in split]


def test_seed_0_is_frozen(films):
    assert hashlib.sha256(repr(films).encode()).hexdigest()[:16] == "e61ca870dde44e6c"


def test_a_seed_gives_one_set_of_films_and_another_seed_another(mini):
    assert sample_films(0, "mini") == mini
    other = sample_films(1, "mini")
    assert not {film.shots for film in mini["test"]} & {film.shots for film in other["test"]}


@pytest.mark.parametrize("scale", ["mini", "test", "paper"])
def test_counts_and_ids(scale):
    films = sample_films(3, scale)
    assert {split: len(part) for split, part in films.items()} == FILM_COUNTS[scale]
    ids = [film.video_id for part in films.values() for film in part]
    assert ids == [f"film-{number:05d}" for number in range(1, len(ids) + 1)]


def test_no_film_is_in_two_splits(mini):
    shots = {split: {film.shots for film in part} for split, part in mini.items()}
    assert not shots["train"] & shots["test"]
    assert not shots["train"] & shots["val"]
    assert not shots["val"] & shots["test"]


def test_categories_are_as_even_as_they_can_be(mini):
    for part in mini.values():
        counts = Counter((film.setting, film.genre) for film in part)
        assert len(counts) == len(CATEGORIES) == 36
        assert max(counts.values()) - min(counts.values()) <= 1


def test_setting_and_genre_hold_for_more_than_half_of_the_shots(films):
    for film in films:
        assert 2 * sum(shot.setting == film.setting for shot in film.shots) > len(film.shots)
        assert 2 * sum(GENRE_OF[shot.action] == film.genre for shot in film.shots) > len(film.shots)


def test_times(films):
    for film in films:
        assert 3 <= len(film.shots) <= 6
        assert 20 <= film.duration <= 60
        assert film.shots[0].start == 0
        assert all(a.end == b.start for a, b in pairwise(film.shots))
        assert all(shot.end - shot.start >= 4 for shot in film.shots)
        assert all((2 * shot.end).is_integer() for shot in film.shots)


def test_casts(films):
    shots = [shot for film in films for shot in film.shots]
    for shot in shots:
        assert len(shot.actors) in ((2,) if shot.action in PAIR_ACTIONS else (1, 2))
        if len(shot.actors) == 2:
            first, second = shot.actors
            assert first.colour != second.colour
            assert first.shape != second.shape
    single = [shot for shot in shots if shot.action not in PAIR_ACTIONS]
    bystanders = sum(len(shot.actors) == 2 for shot in single) / len(single)
    assert bystanders == pytest.approx(0.4, abs=0.08)


def test_no_two_shots_of_a_film_are_alike(films):
    for film in films:
        assert len({(shot.setting, shot.action, shot.actors) for shot in film.shots}) == len(film.shots)


def test_a_sibling_has_a_shot_of_an_earlier_film_with_one_change(monkeypatch):
    # Four in ten films of a split of 50 have such a shot by chance, so all are made siblings here.
    monkeypatch.setattr(films_module, "SIBLING_PERCENT", 100)
    for part in sample_films(0, "mini").values():
        assert not _is_sibling(part[0], ())
        assert all(_is_sibling(film, part[:index]) for index, film in enumerate(part) if index)


def test_about_half_of_the_films_are_made_siblings(monkeypatch):
    made = []
    vary = films_module._vary
    monkeypatch.setattr(films_module, "_vary", lambda rng, scene: made.append(scene) or vary(rng, scene))
    films = sample_films(0, "mini")
    # 500 coin tosses: standard deviation 2.2 %.
    assert len(made) / sum(map(len, films.values())) == pytest.approx(0.5, abs=0.07)


def _is_sibling(film: Film, earlier: tuple[Film, ...]) -> bool:
    return any(_changes(old, new) == 1 for before in earlier for old in before.shots for new in film.shots)


def _changes(old: Shot, new: Shot) -> int:
    """Attributes in which two shots differ (99 if they have not as many actors)."""
    if len(old.actors) != len(new.actors):
        return 99
    pairs = [(old.setting, new.setting), (old.action, new.action)]
    for before, after in zip(old.actors, new.actors, strict=True):
        pairs += [(before.colour, after.colour), (before.shape, after.shape), (before.size, after.size)]
    return sum(before != after for before, after in pairs)
