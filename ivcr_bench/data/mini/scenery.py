"""A painted setting, as a drifting camera sees it.

A setting is painted once a shot, at twice the size and with a margin, so that the camera can drift over it in
steps of half a pixel; its specks are drawn over it frame by frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ivcr_bench.data.mini.brushes import SIDE
from ivcr_bench.data.mini.painters import PAINTERS
from ivcr_bench.data.mini.specks import HEADROOM, Pixels, Specks
from ivcr_bench.data.mini.world import FRAME_SIZE, Setting


@dataclass(frozen=True)
class Scenery:
    """A painted setting: uint8 [2, 2, SIDE, SIDE, 3], one picture for each half-pixel shift down and right."""

    pictures: Pixels
    specks: Specks

    def frame(self, seconds: float, left: float, top: float) -> Pixels:
        """What the camera sees with its corner at (``left``, ``top``): uint8 [FRAME_SIZE, FRAME_SIZE, 3]."""
        x, y = round(2 * left), round(2 * top)
        picture = self.pictures[y % 2, x % 2]
        frame: Pixels = picture[y // 2 : y // 2 + FRAME_SIZE, x // 2 : x // 2 + FRAME_SIZE].copy()
        self.specks.draw(frame, seconds, left, top)
        return frame


def paint(setting: Setting, rng: np.random.Generator) -> Scenery:
    """Paint ``setting`` anew."""
    image, specks = PAINTERS[setting](rng)
    painted = np.asarray(image, dtype=np.uint16)
    pictures = np.empty((2, 2, SIDE, SIDE, 3), np.uint8)
    for down in (0, 1):
        for right in (0, 1):
            part = painted[down : down + 2 * SIDE, right : right + 2 * SIDE]
            total = part[::2, ::2] + part[1::2, ::2] + part[::2, 1::2] + part[1::2, 1::2]
            pictures[down, right] = np.clip(total // 4, HEADROOM, 255 - HEADROOM)
    return Scenery(pictures, specks)
