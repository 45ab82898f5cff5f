"""How the actors of a shot move: the six actions, each never twice alike.

An action shows in how places, sizes or presence change over a second or two, hardly in any one frame. All
lengths are pixels of the frame, all times seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ivcr_bench.data.mini.world import FRAME_SIZE, FRAMES_PER_SECOND, Action, Shot

Floats = npt.NDArray[np.float64]

EDGE = 3.0
"""Distance that every actor keeps from the border of the frame."""
GROWN, SHRUNK = 1.8, 0.6


@dataclass(frozen=True)
class Track:
    """Where one actor is in each frame of a shot.

    Attributes:
        x, y: [frames], the actor's centre.
        scale: [frames], times the actor's own diameter.
        seen: bool [frames].
    """

    x: Floats
    y: Floats
    scale: Floats = field(default_factory=lambda: np.ones(0))
    seen: npt.NDArray[np.bool_] = field(default_factory=lambda: np.ones(0, bool))

    def __post_init__(self) -> None:
        if not self.scale.size:
            object.__setattr__(self, "scale", np.ones(self.x.size))
        if not self.seen.size:
            object.__setattr__(self, "seen", np.ones(self.x.size, bool))


Pair = Callable[[Floats, float, float, np.random.Generator], tuple[Track, Track]]
Solo = Callable[[Floats, float, "Zone", np.random.Generator], Track]


@dataclass(frozen=True)
class Zone:
    """The columns that the acting actor may fill."""

    left: float = EDGE
    right: float = FRAME_SIZE - EDGE

    def middles(self, width: float) -> tuple[float, float]:
        """The lowest and highest centre of something ``width`` wide."""
        low, high = self.left + width / 2, self.right - width / 2
        return (low, high) if low <= high else ((low + high) / 2, (low + high) / 2)


def tracks(shot: Shot, diameters: Sequence[float], rng: np.random.Generator) -> list[Track]:
    """The track of each actor of ``shot``, in the order of its actors."""
    seconds = np.arange(round((shot.end - shot.start) * FRAMES_PER_SECOND)) / FRAMES_PER_SECOND
    if shot.action in PAIRS:
        return list(PAIRS[shot.action](seconds, diameters[0], diameters[1], rng))
    solo = SOLOS[shot.action]
    if len(diameters) == 1:
        return [solo(seconds, diameters[0], Zone(), rng)]
    width = diameters[0] * (GROWN if shot.action == "grow" else 1.0)
    zone, bystander = _stand_by(seconds, width, diameters[1], rng)
    return [solo(seconds, diameters[0], zone, rng), bystander]


def _chase(seconds: Floats, pursuer: float, fugitive: float, rng: np.random.Generator) -> tuple[Track, Track]:
    """Both run along one wandering path, the pursuer about a second behind."""
    reach = (FRAME_SIZE - max(pursuer, fugitive)) / 2 - EDGE
    turn = np.linspace(0, 120, 6000)
    axes = []
    for pace in (1.0, rng.uniform(1.35, 1.8)):
        first, second = rng.uniform(0, 2 * np.pi, 2)
        axes.append(0.8 * np.sin(pace * turn + first) + 0.2 * np.sin(2.4 * pace * turn + second))
    x, y = (FRAME_SIZE / 2 + reach * axis for axis in axes)
    travelled = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
    speed = rng.uniform(42, 56)
    gap = max(speed * rng.uniform(0.75, 1.0), (pursuer + fugitive) / 2 + 6)

    def at(distance: Floats) -> Track:
        when = np.interp(distance, travelled, turn)
        return Track(np.interp(when, turn, x), np.interp(when, turn, y))

    return at(speed * seconds), at(speed * seconds + gap)


def _orbit(seconds: Floats, circler: float, centre: float, rng: np.random.Generator) -> tuple[Track, Track]:
    """The first circles the second, which stays where it is."""
    closest = (circler + centre) / 2 + 4
    radius = min(closest + rng.uniform(0, 9), FRAME_SIZE / 2 - circler / 2 - EDGE)
    low, high = Zone().middles(2 * radius + circler)
    middle = rng.uniform(low, high, 2)
    turns = rng.uniform(0, 1) + rng.choice([-1, 1]) * seconds / rng.uniform(3.5, 4.5)
    angle = 2 * np.pi * turns
    still = _sway(seconds, middle[0], middle[1], rng)
    return Track(middle[0] + radius * np.cos(angle), middle[1] + radius * np.sin(angle)), still


def _bounce(seconds: Floats, diameter: float, zone: Zone, rng: np.random.Generator) -> Track:
    """Parabola after parabola on one floor, drifting slowly to the side and back."""
    floor = FRAME_SIZE - EDGE - diameter / 2 - rng.uniform(0, 10)
    height = min(rng.uniform(50, 72), floor - diameter / 2 - EDGE)
    share = (rng.uniform(0, 1) + seconds / rng.uniform(1.5, 2.0)) % 1.0
    low, high = zone.middles(diameter)
    drift = np.sin(2 * np.pi * (rng.uniform(0, 1) + seconds / rng.uniform(9, 15)))
    span = min((high - low) / 2, rng.uniform(6, 16))
    middle = rng.uniform(low + span, high - span)
    return Track(middle + span * drift, floor - height * 4 * share * (1 - share))


def _fall(seconds: Floats, diameter: float, zone: Zone, rng: np.random.Generator) -> Track:
    """Down from the top, faster and faster, then again from another place."""
    drops = rng.uniform(0, 1) + seconds / rng.uniform(2.2, 2.8)
    count = int(drops[-1]) + 1
    low, high = zone.middles(diameter)
    steps = rng.uniform(0.3, 0.7, count) * (high - low)
    places = low + (rng.uniform(0, high - low) + np.cumsum(steps)) % max(high - low, 1.0)
    top, bottom = Zone().middles(diameter)
    return Track(places[drops.astype(int)], top + (bottom - top) * (drops % 1.0) ** 2)


def _blink(seconds: Floats, diameter: float, zone: Zone, rng: np.random.Generator) -> Track:
    """There for about a second, gone for about a second, always on the same spot."""
    lengths = rng.integers(round(0.8 * FRAMES_PER_SECOND), round(1.2 * FRAMES_PER_SECOND) + 1, seconds.size)
    frame = np.arange(seconds.size) + int(rng.integers(2 * FRAMES_PER_SECOND))
    seen = np.searchsorted(np.cumsum(lengths), frame, side="right") % 2 == 0
    x, y = rng.uniform(*zone.middles(diameter)), rng.uniform(*Zone().middles(diameter))
    return Track(np.full(seconds.size, x), np.full(seconds.size, y), seen=seen)


def _grow(seconds: Floats, diameter: float, zone: Zone, rng: np.random.Generator) -> Track:
    """Swells to three times its smallest size and shrinks again."""
    wave = np.sin(2 * np.pi * (rng.uniform(0, 1) + seconds / rng.uniform(4.4, 5.6)))
    scale = (GROWN + SHRUNK) / 2 + (GROWN - SHRUNK) / 2 * wave
    x = rng.uniform(*zone.middles(GROWN * diameter))
    y = rng.uniform(*Zone().middles(GROWN * diameter))
    return Track(np.full(seconds.size, x), np.full(seconds.size, y), scale=scale)


PAIRS: dict[Action, Pair] = {"chase": _chase, "orbit": _orbit}
SOLOS: dict[Action, Solo] = {"bounce": _bounce, "fall": _fall, "blink": _blink, "grow": _grow}


def _stand_by(seconds: Floats, acting_width: float, diameter: float, rng: np.random.Generator) -> tuple[Zone, Track]:
    """A bystander at the left or the right, and the zone that it leaves to the acting actor."""
    gap = 2.0
    spare = FRAME_SIZE - 2 * EDGE - acting_width - diameter - gap
    inset = EDGE + diameter / 2 + rng.uniform(0, 0.5) * max(spare, 0.0)
    y = rng.uniform(*Zone().middles(diameter + 2))
    if rng.random() < 0.5:
        return Zone(left=inset + diameter / 2 + gap), _sway(seconds, inset, y, rng)
    x = FRAME_SIZE - inset
    return Zone(right=x - diameter / 2 - gap), _sway(seconds, x, y, rng)


def _sway(seconds: Floats, x: float, y: float, rng: np.random.Generator) -> Track:
    angle = 2 * np.pi * (rng.uniform(0, 1) + seconds / rng.uniform(3, 5))
    return Track(x + 0.6 * np.sin(angle), y + 0.6 * np.cos(angle))
