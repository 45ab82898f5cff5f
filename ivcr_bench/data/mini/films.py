"""Which films there are: every shot of every film of IVCR-Mini, drawn from a seed.

Sampling uses integers only, so that one seed gives one set of films on every machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise, product
from typing import Literal, NamedTuple, TypeVar, get_args

import numpy as np

from ivcr_bench.data.mini.world import (
    ACTION_OF,
    ACTIONS,
    COLOURS,
    GENRE_OF,
    PAIR_ACTIONS,
    SETTINGS,
    SHAPES,
    SIZES,
    Action,
    Actor,
    Film,
    Genre,
    Setting,
    Shot,
)
from ivcr_bench.schema import Split

Scale = Literal["mini", "test", "paper"]

FILM_COUNTS: dict[Scale, dict[Split, int]] = {
    "mini": {"train": 400, "val": 50, "test": 50},
    "test": {"train": 0, "val": 0, "test": 449},
    "paper": {"train": 11_618, "val": 449, "test": 449},
}
"""Films of each split; `test` and `paper` have the sizes of IVCR-200K's test split and of all of it."""

CATEGORIES: tuple[tuple[Setting, Genre], ...] = tuple(product(SETTINGS, GENRE_OF.values()))

SHOTS = (3, 6)
FILM_HALF_SECONDS = (40, 120)
SHOT_HALF_SECONDS = 8
SIBLING_PERCENT = 50
BYSTANDER_PERCENT = 40

T = TypeVar("T")


class _Scene(NamedTuple):
    """A shot without its times."""

    setting: Setting
    action: Action
    actors: tuple[Actor, ...]


def sample_films(seed: int, scale: Scale) -> dict[Split, tuple[Film, ...]]:
    """All films of one dataset, by split; ids count over the whole dataset.

    Within a split the 36 categories are as even as they can be, and about half of the films are *siblings*: one
    of their shots repeats a shot of an earlier film of the split with one attribute changed (the setting, the
    action, or the colour or shape of an actor), so that one can ask for "the same, but in the snow".
    """
    films: dict[Split, tuple[Film, ...]] = {}
    number = 1
    for key, split in enumerate(get_args(Split)):
        count = FILM_COUNTS[scale][split]
        films[split] = tuple(_sample_split(np.random.default_rng([seed, key]), count, number))
        number += count
    return films


def _sample_split(rng: np.random.Generator, count: int, first: int) -> Iterator[Film]:
    earlier: list[_Scene] = []
    for number, (setting, genre) in enumerate(_even_categories(rng, count), start=first):
        action = ACTION_OF[genre]
        if earlier and _chance(rng, SIBLING_PERCENT):
            anchor = _vary(rng, _pick(rng, earlier))
        else:
            anchor = _Scene(setting, action, _cast(rng, action))
        scenes = _scenes_around(rng, anchor, setting, action)
        shots = tuple(
            Shot(start / 2, end / 2, *scene)
            for (start, end), scene in zip(pairwise(_cuts(rng, len(scenes))), scenes, strict=True)
        )
        yield Film(f"film-{number:05d}", setting, genre, int(rng.integers(2**32)), shots)
        earlier.extend(scenes)


def _even_categories(rng: np.random.Generator, count: int) -> Iterator[tuple[Setting, Genre]]:
    for start in range(0, count, len(CATEGORIES)):
        for index in rng.permutation(len(CATEGORIES))[: count - start]:
            yield CATEGORIES[index]


def _scenes_around(rng: np.random.Generator, anchor: _Scene, setting: Setting, action: Action) -> list[_Scene]:
    """The scenes of a film with this setting and action, ``anchor`` at a random place among them."""
    count = int(rng.integers(SHOTS[0], SHOTS[1] + 1))
    place = int(rng.integers(count))
    settings = _mostly(rng, setting, SETTINGS, count, place, anchor.setting)
    actions = _mostly(rng, action, ACTIONS, count, place, anchor.action)
    scenes: list[_Scene] = []
    for index in range(count):
        scene = anchor
        while index != place:
            scene = _Scene(settings[index], actions[index], _cast(rng, actions[index]))
            if scene != anchor and scene not in scenes:
                break
        scenes.append(scene)
    return scenes


def _mostly(rng: np.random.Generator, main: T, kinds: Sequence[T], count: int, place: int, fixed: T) -> list[T]:
    """``count`` labels, more than half of them ``main``; the one at ``place`` is ``fixed``."""
    labels = [main] * count
    spare = (count - 1) // 2 - (fixed != main)
    free = [index for index in range(count) if index != place]
    for index in rng.permutation(free)[: rng.integers(spare + 1)]:
        labels[index] = _pick_other(rng, kinds, main)
    labels[place] = fixed
    return labels


def _cuts(rng: np.random.Generator, shots: int) -> list[int]:
    """Boundaries of ``shots`` shots in half seconds, the first 0."""
    shortest = max(FILM_HALF_SECONDS[0], shots * SHOT_HALF_SECONDS)
    total = int(rng.integers(shortest, FILM_HALF_SECONDS[1] + 1))
    spare = total - shots * SHOT_HALF_SECONDS
    weights = rng.integers(50, 151, size=shots).tolist()
    shares = [0, *accumulate(weights)]
    return [index * SHOT_HALF_SECONDS + spare * share // shares[-1] for index, share in enumerate(shares)]


def _cast(rng: np.random.Generator, action: Action) -> tuple[Actor, ...]:
    first = Actor(_pick(rng, COLOURS), _pick(rng, SHAPES), _pick(rng, SIZES))
    if action not in PAIR_ACTIONS and not _chance(rng, BYSTANDER_PERCENT):
        return (first,)
    second = Actor(_pick_other(rng, COLOURS, first.colour), _pick_other(rng, SHAPES, first.shape), _pick(rng, SIZES))
    return first, second


def _vary(rng: np.random.Generator, scene: _Scene) -> _Scene:
    """``scene`` with exactly one attribute changed."""
    attribute = _pick(rng, ("setting", "action", "colour", "shape"))
    if attribute == "setting":
        return scene._replace(setting=_pick_other(rng, SETTINGS, scene.setting))
    if attribute == "action":
        alone = len(scene.actors) == 1
        possible = [action for action in ACTIONS if not (alone and action in PAIR_ACTIONS)]
        return scene._replace(action=_pick_other(rng, possible, scene.action))
    which = int(rng.integers(len(scene.actors)))
    actors = list(scene.actors)
    old = actors[which]
    if attribute == "colour":
        colour = _pick_other(rng, COLOURS, *(actor.colour for actor in actors))
        actors[which] = Actor(colour, old.shape, old.size)
    else:
        shape = _pick_other(rng, SHAPES, *(actor.shape for actor in actors))
        actors[which] = Actor(old.colour, shape, old.size)
    return scene._replace(actors=tuple(actors))


def _chance(rng: np.random.Generator, percent: int) -> bool:
    return bool(rng.integers(100) < percent)


def _pick(rng: np.random.Generator, options: Sequence[T]) -> T:
    return options[int(rng.integers(len(options)))]


def _pick_other(rng: np.random.Generator, options: Sequence[T], *taken: T) -> T:
    return _pick(rng, [option for option in options if option not in taken])
