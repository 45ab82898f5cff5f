"""The films of one split, searched by pattern through an inverted index over their shots."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence

from ivcr_bench.data.mini.queries import ANYONE, Query
from ivcr_bench.data.mini.world import Film, Shot


class Catalogue:
    """Finds the films that fit a query; the paper-size split has some 50,000 shots."""

    def __init__(self, films: Sequence[Film]) -> None:
        self.films = tuple(films)
        self._found: dict[Query, tuple[int, ...]] = {}
        self._postings: dict[Hashable, list[tuple[int, Shot]]] = defaultdict(list)
        self._categories: dict[Hashable, list[int]] = defaultdict(list)
        for place, film in enumerate(films):
            self._categories[film.setting, film.genre].append(place)
            for shot in film.shots:
                self._post(place, shot)

    def _post(self, place: int, shot: Shot) -> None:
        lead = shot.actors[0]
        keys: set[Hashable] = {
            ("action", shot.action),
            ("setting", shot.setting),
            ("lead", shot.action, lead.colour, lead.shape),
            *(("actor", actor.colour, actor.shape) for actor in shot.actors),
        }
        for key in keys:
            self._postings[key].append((place, shot))

    def match(self, query: Query) -> tuple[int, ...]:
        """Places of the films that fit ``query``, in order."""
        if query not in self._found:
            self._found[query] = self._match(query)
        return self._found[query]

    def _match(self, query: Query) -> tuple[int, ...]:
        if query.category is not None:
            return tuple(p for p in self._categories[query.category] if query.shots_of(self.films[p]))
        return tuple(dict.fromkeys(place for place, shot in self._candidates(query) if query.fits_shot(shot)))

    def _candidates(self, query: Query) -> Sequence[tuple[int, Shot]]:
        first = query.first
        if query.action and first.colour and first.shape:
            return self._postings["lead", query.action, first.colour, first.shape]
        if query.action is None and query.second == ANYONE and first.colour and first.shape:
            return self._postings["actor", first.colour, first.shape]
        if query.action:
            return self._postings["action", query.action]
        if query.setting:
            return self._postings["setting", query.setting]
        return [(place, shot) for place, film in enumerate(self.films) for shot in film.shots]
