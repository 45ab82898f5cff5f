"""What an IVCR-Mini film can show: the vocabulary, and the ground truth of a film.

A film is a cut of shots; a shot has a setting, one or two actors, and an action. The action's kind is a genre.
"""

from __future__ import annotations

from typing import Literal, get_args

from msgspec import Struct

Setting = Literal["meadow", "night", "sea", "desert", "city", "snow"]
Action = Literal["chase", "orbit", "bounce", "fall", "blink", "grow"]
Genre = Literal["thriller", "dance", "sport", "disaster", "mystery", "drama"]
Colour = Literal["red", "yellow", "green", "blue", "purple", "white"]
Shape = Literal["circle", "square", "triangle", "star", "heart", "cross"]
Size = Literal["small", "big"]

SETTINGS: tuple[Setting, ...] = get_args(Setting)
ACTIONS: tuple[Action, ...] = get_args(Action)
COLOURS: tuple[Colour, ...] = get_args(Colour)
SHAPES: tuple[Shape, ...] = get_args(Shape)
SIZES: tuple[Size, ...] = get_args(Size)
GENRE_OF: dict[Action, Genre] = dict(zip(ACTIONS, get_args(Genre), strict=True))
ACTION_OF: dict[Genre, Action] = {genre: action for action, genre in GENRE_OF.items()}
PAIR_ACTIONS: frozenset[Action] = frozenset(["chase", "orbit"])

FRAME_SIZE = 112
FRAMES_PER_SECOND = 8


class Actor(Struct, frozen=True):
    """A coloured shape."""

    colour: Colour
    shape: Shape
    size: Size


class Shot(Struct, frozen=True):
    """An uncut stretch of film.

    Attributes:
        start, end: seconds, multiples of 0.5; a shot ends where the next one starts.
        actors: the first one acts. `chase` (first pursues second) and `orbit` (first circles second) have two;
            in the other actions a second actor, if there is one, stands by.
    """

    start: float
    end: float
    setting: Setting
    action: Action
    actors: tuple[Actor, ...]


class Film(Struct, frozen=True):
    """Everything about a film; its category is the ``setting`` and ``genre`` of more than half of its shots."""

    video_id: str
    setting: Setting
    genre: Genre
    seed: int
    shots: tuple[Shot, ...]

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.shots[-1].end
