"""What a user asks for, as a pattern over shots and films, and which films and shots match it."""

from __future__ import annotations

from typing import NamedTuple

from ivcr_bench.data.mini.world import Action, Actor, Colour, Film, Genre, Setting, Shape, Shot, Size


class ActorPattern(NamedTuple):
    """Some attributes of an actor; ``None`` leaves one open."""

    colour: Colour | None = None
    shape: Shape | None = None
    size: Size | None = None

    def fits(self, actor: Actor) -> bool:
        """Whether ``actor`` has every attribute that is given."""
        return (
            self.colour in (None, actor.colour)
            and self.shape in (None, actor.shape)
            and self.size in (None, actor.size)
        )


ANYONE = ActorPattern()


class Query(NamedTuple):
    """A pattern: of the film's category, of one of its shots, or of both.

    Attributes:
        category: setting and genre of the film as a whole.
        setting, action: of the shot.
        first: who acts in the shot; where no action is given, anyone who is in it.
        second: who is chased, circled, or stands by.
    """

    category: tuple[Setting, Genre] | None = None
    setting: Setting | None = None
    action: Action | None = None
    first: ActorPattern = ANYONE
    second: ActorPattern = ANYONE

    def fits_shot(self, shot: Shot) -> bool:
        """Whether ``shot`` has everything that the pattern says of a shot."""
        if self.setting not in (None, shot.setting) or self.action not in (None, shot.action):
            return False
        if self.action is None and self.second == ANYONE:
            return any(self.first.fits(actor) for actor in shot.actors)
        if not self.first.fits(shot.actors[0]):
            return False
        return self.second == ANYONE or (len(shot.actors) > 1 and self.second.fits(shot.actors[1]))

    def shots_of(self, film: Film) -> list[Shot]:
        """The shots of ``film`` that fit; none if the film's category does not."""
        if self.category not in (None, (film.setting, film.genre)):
            return []
        return [shot for shot in film.shots if self.fits_shot(shot)]
