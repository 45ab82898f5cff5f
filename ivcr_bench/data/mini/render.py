"""From a film's description to its frames."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ivcr_bench.data.mini.actors import COLOUR_RGB, DIAMETER, Ink, draw_actor
from ivcr_bench.data.mini.brushes import MARGIN
from ivcr_bench.data.mini.motion import Floats, tracks
from ivcr_bench.data.mini.scenery import paint
from ivcr_bench.data.mini.specks import Pixels
from ivcr_bench.data.mini.world import FRAME_SIZE, FRAMES_PER_SECOND, Actor, Film, Shot

GRAIN = 2
GRAIN_SIDE = FRAME_SIZE + 64


def render_frames(film: Film) -> Iterator[Pixels]:
    """Every frame of ``film``, uint8 [FRAME_SIZE, FRAME_SIZE, 3], at `FRAMES_PER_SECOND`.

    The film's own seed decides all that its description leaves open: one film is one sequence of frames.
    """
    rng = np.random.default_rng(film.seed)
    grain = _grain(rng)
    for shot in film.shots:
        for frame in _shot_frames(shot, rng):
            row, column = rng.integers(GRAIN_SIDE - FRAME_SIZE, size=2)
            frame += grain[row : row + FRAME_SIZE, column : column + FRAME_SIZE]
            yield frame


def _shot_frames(shot: Shot, rng: np.random.Generator) -> Iterator[Pixels]:
    scenery = paint(shot.setting, rng)
    diameters = [DIAMETER[actor.size] + int(rng.integers(-1, 2)) for actor in shot.actors]
    inks = [_ink(actor, rng) for actor in shot.actors]
    actors = list(zip(shot.actors, inks, diameters, tracks(shot, diameters, rng), strict=True))
    for frame_number, (left, top) in enumerate(_camera(shot, rng)):
        frame = scenery.frame(frame_number / FRAMES_PER_SECOND, left, top)
        for actor, ink, diameter, track in reversed(actors):
            if track.seen[frame_number]:
                size = diameter * track.scale[frame_number]
                draw_actor(frame, actor.shape, ink, size, track.x[frame_number], track.y[frame_number])
        yield frame


def _camera(shot: Shot, rng: np.random.Generator) -> Floats:
    """[frames, 2]: the corner of what the camera sees, drifting slowly in a straight line."""
    frames = round((shot.end - shot.start) * FRAMES_PER_SECOND)
    start = rng.uniform(0, 2 * MARGIN, 2)
    way = rng.uniform(-2.0, 2.0, 2) * (shot.end - shot.start)
    return np.linspace(start, (start + way).clip(0, 2 * MARGIN), frames)


def _ink(actor: Actor, rng: np.random.Generator) -> Ink:
    red, green, blue = np.array(COLOUR_RGB[actor.colour]) + rng.integers(-5, 6, 3)
    return int(red), int(green), int(blue)


def _grain(rng: np.random.Generator) -> Pixels:
    """[GRAIN_SIDE, GRAIN_SIDE, 3] of small steps up and down, as uint8 that wraps when it is added."""
    steps = rng.integers(-GRAIN, GRAIN + 1, (2, GRAIN_SIDE, GRAIN_SIDE, 1), dtype=np.int8).sum(axis=0, dtype=np.int8)
    return np.repeat(steps, 3, axis=2).view(np.uint8)
