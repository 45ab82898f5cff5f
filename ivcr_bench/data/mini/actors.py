"""The actors' pictures: six shapes in six colours, antialiased, with a dark outline that shows on any ground."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ivcr_bench.data.mini.specks import HEADROOM, Pixels
from ivcr_bench.data.mini.world import FRAME_SIZE, Colour, Shape, Size

Floats = npt.NDArray[np.float32]
Ink = tuple[int, int, int]

COLOUR_RGB: dict[Colour, Ink] = {
    "red": (222, 38, 44),
    "yellow": (250, 212, 32),
    "green": (30, 178, 74),
    "blue": (38, 92, 236),
    "purple": (158, 58, 206),
    "white": (246, 246, 246),
}
DIAMETER: dict[Size, int] = {"small": 18, "big": 34}
OUTLINE = np.array((26, 22, 34), np.float32)


def draw_actor(frame: Pixels, shape: Shape, ink: Ink, diameter: float, x: float, y: float) -> None:
    """Draw an actor onto ``frame`` with its centre at (``x``, ``y``), to half a pixel in place and size."""
    half_x, half_y = round(2 * x), round(2 * y)
    cover, colour = _sprite(shape, ink, round(2 * diameter), half_x % 2, half_y % 2)
    radius = cover.shape[0] // 2
    left, top = half_x // 2 - radius, half_y // 2 - radius
    columns = slice(max(left, 0), min(left + 2 * radius, FRAME_SIZE))
    rows = slice(max(top, 0), min(top + 2 * radius, FRAME_SIZE))
    inner = (slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left))
    patch = frame[rows, columns]
    patch[...] = patch * cover[inner] + colour[inner]


@lru_cache(maxsize=512)
def _sprite(shape: Shape, ink: Ink, half_diameter: int, half_x: int, half_y: int) -> tuple[Floats, Floats]:
    """The share of the ground that shows through, and what is added to it: float32 [side, side, 1 and 3]."""
    diameter = half_diameter / 2
    distance = _distance(shape, half_diameter, half_x, half_y)
    line = 1.2 + 0.03 * diameter
    cover = np.clip(0.5 - distance, 0, 1)[..., None]
    filled = np.clip(0.5 - distance - line, 0, 1)[..., None]
    height = (np.arange(len(distance), dtype=np.float32) / len(distance) - 0.5)[:, None, None]
    body = np.array(ink, np.float32) * (1 - 0.16 * height)
    colour = np.clip(filled * body + (1 - filled) * OUTLINE, HEADROOM, 255 - HEADROOM)
    return 1 - cover, cover * colour + np.float32(0.5)


@lru_cache(maxsize=4096)
def _distance(shape: Shape, half_diameter: int, half_x: int, half_y: int) -> Floats:
    """Signed distance in pixels of each pixel to the shape's border, negative inside: float32 [side, side]."""
    diameter = half_diameter / 2
    side = 2 * (int(0.6 * diameter) + 2)
    middle = np.arange(side) + 0.5 - side / 2
    x, y = np.meshgrid(middle - half_x / 2, middle - half_y / 2)
    corners = CORNERS[shape] * diameter
    nearest = np.full(x.shape, np.inf)
    inside = np.zeros(x.shape, bool)
    for (ax, ay), (bx, by) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        ex, ey = bx - ax, by - ay
        along = (((x - ax) * ex + (y - ay) * ey) / (ex * ex + ey * ey)).clip(0, 1)
        nearest = np.minimum(nearest, (x - ax - along * ex) ** 2 + (y - ay - along * ey) ** 2)
        if ay != by:
            inside ^= ((ay > y) != (by > y)) & (x < ax + ex * (y - ay) / ey)
    distance = np.sqrt(nearest)
    return np.where(inside, -distance, distance).astype(np.float32)


def _corners(shape: Shape) -> npt.NDArray[np.float64]:
    """The outline as a polygon [n, 2] about the origin, about 1 across."""
    if shape == "square":
        return 0.45 * np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])
    if shape == "triangle":
        return np.array([(0, -0.5), (0.54, 0.42), (-0.54, 0.42)])
    if shape == "cross":
        half, arm = 0.5, 0.18
        quarter = [(half, -arm), (half, arm), (arm, arm), (arm, half)]
        return np.array([_turned(point, quarters) for quarters in range(4) for point in quarter[:3]])
    if shape == "star":
        angle = np.arange(10) * np.pi / 5
        radius = np.where(np.arange(10) % 2, 0.25, 0.56)
        return np.stack([radius * np.sin(angle), 0.03 - radius * np.cos(angle)], axis=1)
    angle = np.arange(36) * 2 * np.pi / 36
    if shape == "circle":
        return 0.5 * np.stack([np.sin(angle), -np.cos(angle)], axis=1)
    wide = 16 * np.sin(angle) ** 3
    high = 13 * np.cos(angle) - 5 * np.cos(2 * angle) - 2 * np.cos(3 * angle) - np.cos(4 * angle)
    return np.stack([wide, -high - 2.5], axis=1) / 30


def _turned(point: tuple[float, float], quarters: int) -> tuple[float, float]:
    x, y = point
    for _ in range(quarters):
        x, y = -y, x
    return x, y


CORNERS: dict[Shape, npt.NDArray[np.float64]] = {
    shape: _corners(shape) for shape in ("circle", "square", "triangle", "star", "heart", "cross")
}
