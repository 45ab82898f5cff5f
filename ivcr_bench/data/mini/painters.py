"""The six settings of IVCR-Mini, painted with texture and never twice alike."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image

from ivcr_bench.data.mini.brushes import (
    COLUMNS,
    PAINTED,
    ROWS,
    SIDE,
    add_clouds,
    blotches,
    bush,
    cactus,
    easel,
    fill,
    fir,
    gradient,
    ink,
    ridge,
    scatter,
    sky,
    tint,
    towers,
)
from ivcr_bench.data.mini.specks import Specks, birds, make_specks
from ivcr_bench.data.mini.world import Setting

Painter = Callable[[np.random.Generator], tuple[Image.Image, Specks]]


def _meadow(rng: np.random.Generator) -> tuple[Image.Image, Specks]:
    horizon = rng.uniform(0.28, 0.5) * PAINTED
    land = sky(tint(rng, (138, 188, 232), 12), horizon, tint(rng, (222, 236, 242), 8))
    add_clouds(rng, land, horizon * 0.75, (243, 245, 247), 0.85)
    far, near = tint(rng, (128, 160, 118), 10), tint(rng, (112, 158, 84), 10)
    fill(land, ridge(rng, horizon - 22, 12), far)
    fill(land, ridge(rng, horizon - 4, 8), near)
    grass = gradient(horizon, tint(rng, (140, 178, 86), 12), PAINTED, tint(rng, (86, 132, 52), 10))
    fill(land, ridge(rng, horizon + 10, 5), grass + 14 * blotches(rng, 9)[..., None])
    image, pen = easel(land)
    for _ in range(int(rng.integers(2, 7))):
        bush(rng, pen, rng.uniform(0, PAINTED), horizon + rng.uniform(4, 14), tint(rng, (74, 108, 62), 8))
    for x, y in scatter(rng, 330, horizon + 16):
        height = 2 + 9 * (y - horizon) / PAINTED
        shade = tint(rng, (108, 152, 62) if rng.random() < 0.5 else (70, 112, 44), 8)
        pen.line((x, y, x + rng.uniform(-3, 3), y - height), fill=ink(shade), width=1)
    for x, y in scatter(rng, int(rng.integers(25, 70)), horizon + 22):
        petals = ((236, 196, 206), (238, 232, 226), (228, 188, 132), (206, 186, 226))
        radius = 1.2 + 1.6 * (y - horizon) / PAINTED
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=ink(petals[rng.integers(4)]))
    return image, birds(rng, horizon / 2)


def _night(rng: np.random.Generator) -> tuple[Image.Image, Specks]:
    horizon = rng.uniform(0.55, 0.78) * PAINTED
    land = sky(tint(rng, (12, 14, 36), 4), horizon, tint(rng, (44, 46, 84), 8))
    land += 5 * blotches(rng, 6)[..., None]
    moon = rng.uniform((50, 44), (PAINTED - 50, 84))
    distance = np.hypot(COLUMNS - moon[0], ROWS - moon[1])
    land += 70 * np.exp(-distance / 26)[..., None]
    inside = distance < 12.5
    shadow = np.hypot(COLUMNS - moon[0] - rng.choice([-6, 6]), ROWS - moon[1] + 3) < 11.5
    land[inside & ~shadow] = (226, 220, 188)
    add_clouds(rng, land, horizon * 0.8, (58, 60, 92), 0.5)
    fill(land, ridge(rng, horizon - 14, 16), tint(rng, (24, 27, 52), 4))
    front = ridge(rng, horizon + 14, 8)
    ground = gradient(horizon, tint(rng, (22, 26, 42), 4), PAINTED, tint(rng, (12, 14, 24), 3))
    fill(land, front, ground + 4 * blotches(rng, 14)[..., None])
    image, pen = easel(land)
    for x in rng.uniform(0, PAINTED, int(rng.integers(4, 13))):
        fir(pen, x, front[int(x)] + 4, rng.uniform(16, 38), (14, 17, 32))
    count = int(rng.integers(70, 120))
    places = np.stack([rng.uniform(0, SIDE, count), rng.uniform(0, horizon / 2 - 12, count)], axis=1)
    glow = rng.uniform(110, 235, (count, 1)) * np.array([0.98, 0.98, 1.0])
    return image, make_specks(places, (0, 0), glow, [(0, 0)], (0, SIDE), twinkle=0.18)


def _sea(rng: np.random.Generator) -> tuple[Image.Image, Specks]:
    horizon = rng.uniform(0.2, 0.38) * PAINTED
    land = sky(tint(rng, (158, 182, 198), 12), horizon, tint(rng, (222, 220, 212), 10))
    add_clouds(rng, land, horizon * 0.8, (232, 232, 234), 0.8)
    fill(land, ridge(rng, horizon - rng.uniform(-6, 6), 7), tint(rng, (128, 142, 152), 8))
    water = gradient(horizon, tint(rng, (112, 160, 172), 10), PAINTED, tint(rng, (28, 84, 104), 10))
    swell = np.zeros((PAINTED, PAINTED))
    for _ in range(4):
        depth = np.maximum(ROWS - horizon, 0) ** 0.8
        tilt = rng.uniform(-0.05, 0.05) * COLUMNS
        wobble = rng.uniform(1, 3) * np.sin(COLUMNS * rng.uniform(0.02, 0.06) + rng.uniform(0, 6))
        swell += np.sin((depth + tilt + wobble) * rng.uniform(0.35, 0.75) + rng.uniform(0, 6))
    light = (swell * 5 + 6 * blotches(rng, 10)).astype(np.float32)[..., None]
    fill(land, np.full(PAINTED, horizon, np.float32), water + light)
    image, pen = easel(land)
    for x, y in scatter(rng, 85, horizon + 6):
        nearness = (y - horizon) / (PAINTED - horizon)
        width = 6 + 30 * nearness
        crest = (x - width, y - width / 4, x + width, y + width / 4)
        shade = tint(rng, (188, 212, 214) if rng.random() < 0.6 else (34, 88, 104), 8)
        pen.arc(crest, 200, 340, fill=ink(shade), width=1 + int(2 * nearness))
    count = int(rng.integers(50, 90))
    upper = horizon / 2 + 3
    places = np.stack([rng.uniform(0, SIDE, count), rng.uniform(upper, SIDE, count)], axis=1)
    speeds = np.stack([rng.choice([-1, 1]) * rng.uniform(3, 8, count), np.zeros(count)], axis=1)
    foam = np.full((count, 3), (206, 224, 226)) + rng.uniform(-12, 12, (count, 1))
    stamp = [(0, 0), (1, 0), (2, 0), (-1, 1), (3, 1)]
    return image, make_specks(places, speeds, foam, stamp, (upper, SIDE), twinkle=0.45)


def _desert(rng: np.random.Generator) -> tuple[Image.Image, Specks]:
    horizon = rng.uniform(0.32, 0.5) * PAINTED
    land = sky(tint(rng, (206, 190, 168), 14), horizon, tint(rng, (244, 226, 196), 6))
    sun = rng.uniform((30, 0.35 * horizon), (PAINTED - 30, 0.85 * horizon))
    distance = np.hypot(COLUMNS - sun[0], ROWS - sun[1])
    halo = (np.exp(-distance / 34) + 0.35 - 0.35 * np.tanh((distance - 15) / 6))[..., None]
    land += halo.clip(0, 1) * (np.array([254, 244, 216], np.float32) - land)
    heights = horizon + np.array([-10, 12, 44, 92]) + rng.uniform(-8, 8, 4)
    for index, height in enumerate(heights):
        dune_line = ridge(rng, height, 8 + 7 * index, steep=True)
        crest = tint(rng, (228, 186, 132), 10)
        dune = gradient(height - 20, crest, height + 110, tint(rng, (176, 126, 80), 10))
        lit = np.gradient(dune_line)[None, :] * rng.choice([-1, 1])
        ripples = np.sin((ROWS - dune_line) * rng.uniform(0.5, 0.8) + 3 * blotches(rng, 5))
        fade = 1 / (1 + np.maximum(ROWS - dune_line, 0) / 40)
        fill(land, dune_line, dune + (34 * lit * fade + 4 * ripples + 5 * blotches(rng, 24))[..., None])
    image, pen = easel(land)
    for x, y in scatter(rng, int(rng.integers(12, 30)), horizon + 40):
        grey = ink(tint(rng, (132, 112, 96), 10))
        pen.ellipse((x - 3, y - 2, x + 3, y + 2), fill=grey)
    for x in rng.uniform(20, PAINTED - 20, int(rng.integers(1, 5))):
        cactus(rng, pen, x, horizon + rng.uniform(18, 60), tint(rng, (98, 104, 78), 8))
    count = 26
    places = np.stack([rng.uniform(0, SIDE, count), rng.uniform(horizon / 2, SIDE, count)], axis=1)
    speeds = np.stack([rng.choice([-1, 1]) * rng.uniform(14, 30, count), rng.uniform(-2, 2, count)], axis=1)
    sand = np.full((count, 3), (240, 214, 170)) + rng.uniform(-10, 10, (count, 1))
    return image, make_specks(places, speeds, sand, [(0, 0), (1, 0)], (horizon / 2, SIDE), twinkle=0.3)


def _city(rng: np.random.Generator) -> tuple[Image.Image, Specks]:
    street = rng.uniform(0.68, 0.8) * PAINTED
    land = sky(tint(rng, (148, 146, 166), 14), street, tint(rng, (226, 202, 190), 12))
    add_clouds(rng, land, street * 0.4, (206, 196, 200), 0.6)
    image, pen = easel(land)
    towers(rng, pen, street, (0.25, 0.7), (150, 146, 160), windows=False)
    towers(rng, pen, street, (0.15, 0.55), (104, 100, 112), windows=True)
    pen.rectangle((0, street, PAINTED, PAINTED), fill=ink(tint(rng, (92, 92, 98), 6)))
    pen.rectangle((0, street, PAINTED, street + 10), fill=ink(tint(rng, (156, 152, 150), 8)))
    pen.line((0, street + 10, PAINTED, street + 10), fill=(66, 66, 72), width=2)
    lane = (street + PAINTED) / 2 + 6
    for x in range(int(rng.integers(-40, 0)), PAINTED, 40):
        pen.rectangle((x, lane, x + 20, lane + 3), fill=(188, 186, 178))
    for x in range(int(rng.integers(0, 60)), PAINTED, int(rng.integers(70, 110))):
        pen.line((x, street + 8, x, street - 34), fill=(58, 58, 66), width=2)
        pen.line((x, street - 34, x + 9, street - 34), fill=(58, 58, 66), width=2)
        pen.ellipse((x + 6, street - 35, x + 13, street - 30), fill=(240, 226, 190))
    grain = np.asarray(image) + 5 * blotches(rng, 60)[..., None]
    count = int(rng.integers(3, 6))
    rows = np.where(rng.random(count) < 0.5, street / 2 + 9, lane / 2 + 5)
    places = np.stack([rng.uniform(0, SIDE, count), rows], axis=1)
    speeds = np.stack([np.where(rows < lane / 2, 1, -1) * rng.uniform(9, 17, count), np.zeros(count)], axis=1)
    car = [(x, y) for y in range(3) for x in range(8) if y > 0 or 1 < x < 6]
    paint_job = rng.uniform(40, 70, (count, 1)) * np.ones(3)
    return easel(grain)[0], make_specks(places, speeds, paint_job, car, (0, SIDE))


def _snow(rng: np.random.Generator) -> tuple[Image.Image, Specks]:
    horizon = rng.uniform(0.36, 0.54) * PAINTED
    land = sky(tint(rng, (164, 176, 192), 10), horizon, tint(rng, (214, 220, 228), 6))
    fill(land, ridge(rng, horizon - 34, 22, steep=True), tint(rng, (190, 200, 214), 6))
    back, front = ridge(rng, horizon - 4, 8), ridge(rng, horizon + 34, 10)
    fill(land, back, gradient(horizon, (226, 231, 238), PAINTED, (214, 222, 233)))
    image, pen = easel(land)
    for x in np.sort(rng.uniform(0, PAINTED, int(rng.integers(7, 15)))):
        fir(pen, x, back[int(x)] + 6, rng.uniform(24, 44), tint(rng, (92, 112, 112), 6), snowy=True)
    land = np.asarray(image).astype(np.float32)
    drift = gradient(horizon, (240, 243, 247), PAINTED, tint(rng, (216, 224, 236), 5))
    light = 7 * blotches(rng, 5) + 3 * blotches(rng, 50)
    fill(land, front, drift + light[..., None] * np.array([1.0, 0.9, 0.6], np.float32))
    image, pen = easel(land)
    for x in rng.uniform(0, PAINTED, int(rng.integers(2, 6))):
        foot = front[int(x)] + rng.uniform(6, 26)
        fir(pen, x, foot, rng.uniform(52, 84), tint(rng, (58, 82, 78), 6), snowy=True)
    count = int(rng.integers(60, 100))
    places = rng.uniform(0, SIDE, (count, 2))
    wind = rng.uniform(-7, 7)
    speeds = np.stack([wind + rng.uniform(-4, 4, count), rng.uniform(14, 30, count)], axis=1)
    flakes = np.full((count, 3), (249.0, 249.0, 249.0))
    return image, make_specks(places, speeds, flakes, [(0, 0), (1, 0), (0, 1)], (0, SIDE))


PAINTERS: dict[Setting, Painter] = {
    "meadow": _meadow,
    "night": _night,
    "sea": _sea,
    "desert": _desert,
    "city": _city,
    "snow": _snow,
}
