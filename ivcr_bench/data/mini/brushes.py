"""What the painters of IVCR-Mini's settings share: gradients, hills, blotches, clouds, trees, houses.

A canvas is float32 [PAINTED, PAINTED, 3]: a setting at twice its size, with a margin for the camera to drift in.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from ivcr_bench.data.mini.world import FRAME_SIZE

Canvas = npt.NDArray[np.float32]
Rgb = tuple[float, float, float]

MARGIN = 14
SIDE = FRAME_SIZE + 2 * MARGIN
PAINTED = 2 * SIDE + 2
# Sines and exponentials of these are taken in float64: the last bit of them depends on the processor, and in float32
# it would reach the picture.
ROWS = np.arange(PAINTED, dtype=np.float64)[:, None]
COLUMNS = np.arange(PAINTED, dtype=np.float64)[None, :]


def tint(rng: np.random.Generator, colour: Rgb, spread: float) -> Rgb:
    """``colour``, a little lighter or darker and of a slightly other hue."""
    red, green, blue = np.array(colour) + rng.uniform(-spread, spread) + rng.uniform(-spread / 3, spread / 3, 3)
    return red, green, blue


def ink(colour: Rgb) -> tuple[int, int, int]:
    """``colour`` as Pillow wants it."""
    red, green, blue = (min(max(round(channel), 0), 255) for channel in colour)
    return red, green, blue


def easel(land: Canvas) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """``land`` as a Pillow picture, and a pen to draw on it."""
    image = Image.fromarray(land.clip(0, 255).astype(np.uint8))
    return image, ImageDraw.Draw(image)


def gradient(top: float, upper: Rgb, bottom: float, lower: Rgb) -> Canvas:
    """[PAINTED, 1, 3]: ``upper`` above row ``top``, ``lower`` below row ``bottom``, a blend between."""
    share = ((ROWS - top) / max(bottom - top, 1)).clip(0, 1)
    blend: Canvas = ((1 - share) * np.array(upper) + share * np.array(lower)).astype(np.float32)
    return blend[:, None, :]


def sky(upper: Rgb, bottom: float, lower: Rgb) -> Canvas:
    """A fresh canvas [PAINTED, PAINTED, 3], ``upper`` at the top, ``lower`` from row ``bottom`` down."""
    return np.repeat(gradient(0, upper, bottom, lower), PAINTED, axis=1)


def blotches(rng: np.random.Generator, cells: int) -> Canvas:
    """[PAINTED, PAINTED]: smooth noise of about ``cells`` bumps a side, within some -1 to 1."""
    coarse = Image.fromarray(rng.uniform(-1, 1, (cells, cells)).astype(np.float32))
    return np.array(coarse.resize((PAINTED, PAINTED), Image.Resampling.BICUBIC))


def ridge(rng: np.random.Generator, height: float, amplitude: float, *, steep: bool = False) -> Canvas:
    """[PAINTED]: the row of a hilly skyline at each column; ``steep`` gives it sharp crests."""
    line = np.zeros(PAINTED)
    for octave, weight in ((1.0, 0.6), (2.3, 0.3), (5.1, 0.1)):
        angle = np.arange(PAINTED) * octave * rng.uniform(0.012, 0.024) + rng.uniform(0, 2 * np.pi)
        line += weight * (2 * np.abs(np.sin(angle / 2)) - 1 if steep else np.sin(angle))
    return (height + amplitude * line).astype(np.float32)


def fill(land: Canvas, ridge: Canvas, colour: Rgb | Canvas) -> None:
    """Paint everything below ``ridge``."""
    first = max(int(ridge.min()), 0)
    below = (ridge[None, :] <= ROWS[first:])[..., None]
    paint = np.broadcast_to(np.asarray(colour, dtype=np.float32), land.shape)
    np.copyto(land[first:], paint[first:], where=below)


def scatter(rng: np.random.Generator, count: int, top: float) -> list[tuple[float, float]]:
    """Places below row ``top``, denser near it (farther away), far ones first."""
    rows = top + (PAINTED - top) * np.sort(rng.random(count)) ** 1.3
    return list(zip(rng.uniform(0, PAINTED, count).tolist(), rows.tolist(), strict=True))


def add_clouds(rng: np.random.Generator, land: Canvas, lowest: float, colour: Rgb, opacity: float) -> None:
    """A few flat clouds, none much below row ``lowest``."""
    veil = Image.new("L", (PAINTED, PAINTED))
    pen = ImageDraw.Draw(veil)
    for _ in range(int(rng.integers(1, 5))):
        x, y, width = rng.uniform(0, PAINTED), rng.uniform(8, max(lowest, 12)), rng.uniform(18, 46)
        for _ in range(5):
            puff_x, puff_y = x + rng.uniform(-width, width), y + rng.uniform(-5, 5)
            radius = rng.uniform(0.3, 0.6) * width
            pen.ellipse((puff_x - radius, puff_y - radius / 3, puff_x + radius, puff_y + radius / 4), fill=255)
    cover = np.asarray(veil.filter(ImageFilter.BoxBlur(4))) * np.float32(opacity / 255)
    land += cover[..., None] * (np.array(colour, np.float32) - land)


def bush(rng: np.random.Generator, pen: ImageDraw.ImageDraw, x: float, y: float, colour: Rgb) -> None:
    """A round bush at (``x``, ``y``)."""
    for _ in range(5):
        left, radius = x + rng.uniform(-8, 8), rng.uniform(4, 8)
        top = y - rng.uniform(0, 6)
        pen.ellipse((left - radius, top - radius, left + radius, top + radius), fill=ink(tint(rng, colour, 6)))


def fir(pen: ImageDraw.ImageDraw, x: float, foot: float, height: float, colour: Rgb, *, snowy: bool = False) -> None:
    """A fir of four tiers that stands on row ``foot``."""
    pen.line((x, foot, x, foot - height / 2), fill=ink((50, 44, 44)), width=3)
    for tier in range(4):
        base, half = foot - height * (0.1 + 0.21 * tier), height * (0.26 - 0.05 * tier)
        tip = base - height * 0.32
        pen.polygon([(x - half, base), (x + half, base), (x, tip)], fill=ink(colour))
        if snowy:
            pen.polygon(
                [(x - half * 0.6, tip + height * 0.2), (x + half * 0.2, tip + height * 0.13), (x, tip)],
                fill=(236, 240, 245),
            )


def cactus(rng: np.random.Generator, pen: ImageDraw.ImageDraw, x: float, foot: float, colour: Rgb) -> None:
    """A cactus with two arms that stands on row ``foot``."""
    shade, height = ink(colour), rng.uniform(18, 32)
    pen.line((x, foot, x, foot - height), fill=shade, width=5)
    for side in (-1, 1):
        elbow, reach = foot - height * rng.uniform(0.35, 0.6), x + side * height * 0.28
        pen.line((x, elbow, reach, elbow, reach, elbow - height * 0.3), fill=shade, width=4)


def towers(
    rng: np.random.Generator,
    pen: ImageDraw.ImageDraw,
    street: float,
    tops: tuple[float, float],
    colour: Rgb,
    *,
    windows: bool,
) -> None:
    """A row of houses from the left to the right, their tops between two shares of the picture's height."""
    x = rng.uniform(-20, 0)
    while x < PAINTED:
        width, top = rng.uniform(26, 52), min(rng.uniform(*tops) * PAINTED, street)
        wall = tint(rng, colour, 16)
        pen.rectangle((x, top, x + width, street), fill=ink(wall))
        if windows:
            lit, dark = (238, 214, 160), ink((0.62 * wall[0], 0.62 * wall[1], 0.62 * wall[2]))
            for row in np.arange(top + 6, street - 12, 11):
                for column in np.arange(x + 5, x + width - 7, 9):
                    pen.rectangle((column, row, column + 4, row + 5), fill=lit if rng.random() < 0.3 else dark)
        x += width + (rng.uniform(0, 16) if windows else 0)
