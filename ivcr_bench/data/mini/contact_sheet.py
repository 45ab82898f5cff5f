"""A picture of what IVCR-Mini can show: ``python -m ivcr_bench.data.mini.contact_sheet PNG``.

Above, every setting with every action; below, each action for four seconds at two frames a second.
"""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path

from PIL import Image, ImageDraw

from ivcr_bench.data.mini.render import render_frames
from ivcr_bench.data.mini.specks import Pixels
from ivcr_bench.data.mini.world import (
    ACTIONS,
    COLOURS,
    FRAMES_PER_SECOND,
    GENRE_OF,
    SETTINGS,
    SHAPES,
    SIZES,
    Action,
    Actor,
    Film,
    Setting,
    Shot,
)

CELL = 88
STRIP = 8
STRIP_CELL = CELL * len(ACTIONS) // STRIP
LABELS = (58, 14)
INK, PAPER = (40, 40, 48), (255, 255, 255)


def contact_sheet() -> Image.Image:
    """The picture, in 256 colours."""
    left, top = LABELS
    strips = top + CELL * len(SETTINGS) + top
    sheet = Image.new("RGB", (left + CELL * len(ACTIONS), strips + STRIP_CELL * len(ACTIONS)), PAPER)
    pen = ImageDraw.Draw(sheet)
    for column, action in enumerate(ACTIONS):
        pen.text((left + CELL * column + 3, 1), action, INK)
        pen.text((3, strips + STRIP_CELL * column + STRIP_CELL // 2 - 6), GENRE_OF[action], INK)
        for row, setting in enumerate(SETTINGS):
            shot = _frames(setting, action, row, column)
            _paste(sheet, shot[1], CELL, left + CELL * column, top + CELL * row)
            if row == column:
                for number, frame in enumerate(shot):
                    _paste(sheet, frame, STRIP_CELL, left + STRIP_CELL * number, strips + STRIP_CELL * column)
    for row, setting in enumerate(SETTINGS):
        pen.text((3, top + CELL * row + CELL // 2 - 6), setting, INK)
    return sheet.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)


def _frames(setting: Setting, action: Action, row: int, column: int) -> list[Pixels]:
    """Two frames a second of one shot; the colours and shapes of its actors differ from cell to cell."""
    turn = row + 2 * column
    first = Actor(COLOURS[(row + column) % 6], SHAPES[turn % 6], SIZES[row % 2])
    second = Actor(COLOURS[(row + column + 2) % 6], SHAPES[(turn + 1) % 6], SIZES[column % 2])
    cast = (first, second) if action in ("chase", "orbit") or turn % 3 == 0 else (first,)
    shot = Shot(0.0, STRIP / 2, setting, action, cast)
    film = Film("contact-sheet", setting, GENRE_OF[action], 100 + 6 * row + column, (shot,))
    return list(islice(render_frames(film), 0, None, FRAMES_PER_SECOND // 2))


def _paste(sheet: Image.Image, frame: Pixels, side: int, left: int, top: int) -> None:
    sheet.paste(Image.fromarray(frame).resize((side - 2, side - 2), Image.Resampling.LANCZOS), (left, top))


if __name__ == "__main__":
    contact_sheet().save(Path(sys.argv[1]), optimize=True)
