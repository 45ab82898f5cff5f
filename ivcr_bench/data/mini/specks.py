"""What lives in a setting and moves on its own: flakes, stars, waves, birds, cars, sand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ivcr_bench.data.mini.brushes import SIDE
from ivcr_bench.data.mini.world import FRAME_SIZE

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]

HEADROOM = 4
"""All channels stay this far from 0 and 255, so that film grain can be added without clipping."""


@dataclass(frozen=True)
class Specks:
    """Small things that move on their own, in canvas pixels.

    Attributes:
        places: [n, 2], x and y at time 0.
        speeds: [n, 2], pixels a second.
        colours: uint8 [n, 3].
        stamp: [k, 2], the pixels of one speck.
        area: top and bottom row between which they stay; they leave on one side and come back on the other.
        twinkle: share of the time that a speck is unseen, in a rhythm of its own.
    """

    places: Floats
    speeds: Floats
    colours: Pixels
    stamp: npt.NDArray[np.int64]
    area: tuple[float, float]
    twinkle: float = 0.0

    def draw(self, frame: Pixels, seconds: float, left: float, top: float) -> None:
        """Draw onto ``frame``, whose corner lies at (``left``, ``top``) of the canvas."""
        upper, lower = self.area
        x = (self.places[:, 0] + self.speeds[:, 0] * seconds) % SIDE
        y = upper + (self.places[:, 1] - upper + self.speeds[:, 1] * seconds) % (lower - upper)
        points = np.stack([x - left, y - top], axis=1)[:, None, :] + self.stamp
        column, row = points[..., 0].astype(np.int64), points[..., 1].astype(np.int64)
        seen = (column >= 0) & (column < FRAME_SIZE) & (row >= 0) & (row < FRAME_SIZE)
        if self.twinkle:
            rhythm = (self.places[:, 0] * 0.618 + seconds * (0.3 + self.places[:, 1] % 0.4)) % 1.0
            seen &= (rhythm >= self.twinkle)[:, None]
        colours = np.broadcast_to(self.colours[:, None, :], (*column.shape, 3))
        frame[row[seen], column[seen]] = colours[seen]


def make_specks(
    places: Floats,
    speeds: Floats | tuple[float, float],
    colours: Floats,
    stamp: Sequence[tuple[int, int]],
    area: tuple[float, float],
    *,
    twinkle: float = 0.0,
) -> Specks:
    """`Specks` from what a painter has at hand: any colours, one speed for all or one each."""
    limited = colours.clip(HEADROOM, 255 - HEADROOM).astype(np.uint8)
    moving = np.broadcast_to(np.asarray(speeds, dtype=np.float64), places.shape)
    return Specks(places, moving, limited, np.array(stamp), area, twinkle)


def birds(rng: np.random.Generator, lowest: float) -> Specks:
    """Up to five grey birds above row ``lowest``."""
    count = int(rng.integers(0, 6))
    area = (2.0, max(lowest - 8, 14.0))
    places = np.stack([rng.uniform(0, SIDE, count), rng.uniform(*area, count)], axis=1)
    speeds = np.stack([rng.choice([-1, 1]) * rng.uniform(5, 11, count), rng.uniform(-1, 1, count)], axis=1)
    grey = rng.uniform(80, 110, (count, 1)) * np.ones(3)
    return make_specks(places, speeds, grey, [(-2, -1), (-1, 0), (0, 1), (1, 0), (2, -1)], area)
