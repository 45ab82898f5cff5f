"""Puts films, shots and actors into words of one language."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

import numpy as np

from ivcr_bench.data.mini.phrases import en, zh
from ivcr_bench.data.mini.phrases.wording import Phrasebook, Wording, pick
from ivcr_bench.data.mini.queries import ANYONE, ActorPattern, Query
from ivcr_bench.data.mini.world import PAIR_ACTIONS, Action, Actor, Genre, Setting, Shot
from ivcr_bench.schema import Language

MEASURES = {"star": "颗", "heart": "颗"}


class Speaker:
    """Speaks one language; every choice of words is drawn from ``rng``."""

    def __init__(self, language: Language, rng: np.random.Generator) -> None:
        book: ModuleType = en if language == "en" else zh
        self.language, self.rng, self.book = language, rng, book
        self.wording: Wording = book.WORDING
        self.phrases: Phrasebook = book.PHRASEBOOK

    def say(self, act: str, *, first: bool, **slots: str) -> str:
        """What the user says; ``first`` in the dialogue, or later."""
        opening = pick(self.rng, self.phrases.openings if first else self.phrases.resumptions)
        stop = first or bool(self.rng.random() < 0.5)
        return self._sentence(opening + self._fill(self.phrases.said[act], slots), stop=stop)

    def answer(self, kind: str, **slots: str) -> str:
        """What the system answers."""
        return self._sentence(self._fill(self.phrases.answered[kind], slots))

    def setting(self, setting: Setting) -> str:
        """An adverbial of place or time."""
        return pick(self.rng, self.wording.settings[setting])

    def category(self, setting: Setting, genre: Genre) -> str:
        """A film of this category, as a noun phrase."""
        return self._fill(self.book.FILM_OF_CATEGORY, {"setting": self.setting(setting), "genre": self._genre(genre)})

    def colour(self, colour: str) -> str:
        """The word for a colour."""
        return pick(self.rng, self.wording.colours[colour])

    def does(self, action: Action, other: str) -> str:
        """The predicate of an action; ``other`` is whom it is done to."""
        return pick(self.rng, self.wording.does[action]).format(o=other)

    def actor(self, pattern: ActorPattern | Actor, *, definite: bool = False) -> str:
        """A noun phrase with the attributes that ``pattern`` gives."""
        colour = self.colour(pattern.colour) if pattern.colour else ""
        size = pick(self.rng, self.wording.sizes[pattern.size]) if pattern.size else ""
        shape = pick(self.rng, self.wording.shapes[pattern.shape]) if pattern.shape else ""
        if self.language == "zh":
            measure = MEASURES.get(pattern.shape or "", "个")
            return f"{'那' if definite else '一'}{measure}{colour}{'的' if colour else ''}{size}{shape or '东西'}"
        words = [word for word in (size, colour, shape or "thing") if word]
        return " ".join(["the" if definite else "a", *words])

    def other(self) -> str:
        """The second actor, without naming it."""
        return "the other one" if self.language == "en" else "另一个"

    def scene(self, query: Query) -> str:
        """A clause that says what a shot query says; the query must name an action."""
        if query.action is None:
            raise ValueError("a scene needs an action")
        first = self.actor(query.first)
        second = self.actor(query.second) if query.second != ANYONE else self.other()
        does = self.does(query.action, second)
        beside = query.second != ANYONE and query.action not in PAIR_ACTIONS
        place = self.setting(query.setting) if query.setting else ""
        if self.language == "zh":
            return f"{place}{'有' if place and self.rng.random() < 0.5 else ''}{first}" + (
                f"在{second}旁边{does}" if beside else does
            )
        return " ".join(part for part in (first, does, f"next to {second}" if beside else "", place) if part)

    def shot(self, shot: Shot, *, sizes: bool = True) -> str:
        """A clause that says all of a shot."""
        patterns = [ActorPattern(a.colour, a.shape, a.size if sizes else None) for a in shot.actors]
        second = patterns[1] if len(patterns) > 1 else ANYONE
        return self.scene(Query(None, shot.setting, shot.action, patterns[0], second))

    def film(self, query: Query) -> str:
        """A noun phrase for the films that ``query`` is after."""
        if query.category is None:
            return self._fill(self.book.FILM_OF_SCENE, {"scene": self.scene(query)})
        setting, genre = query.category
        if query.first == ANYONE:
            return self.category(setting, genre)
        slots = {"setting": self.setting(setting), "genre": self._genre(genre), "actor": self.actor(query.first)}
        return self._fill(self.book.FILM_OF_BOTH, slots)

    def _genre(self, genre: Genre) -> str:
        return pick(self.rng, self.wording.genres[genre])

    def _fill(self, templates: Sequence[str], slots: dict[str, str]) -> str:
        return pick(self.rng, templates).format(**slots)

    def _sentence(self, text: str, *, stop: bool = True) -> str:
        if self.language == "zh":
            # A predicate may end in 的, and so may the sentence go on.
            text = text.replace("的的", "的")
            return text + ("。" if stop and text[-1] not in "。？！" else "")
        return text[0].upper() + text[1:] + ("" if text[-1] in ".?!" else ".")
