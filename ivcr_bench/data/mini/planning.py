"""What happens in a dialogue, before it is put into words.

Each planned turn keeps what its utterance *states* and what it *means* once the dialogue is known. A turn that depends
on the dialogue states so little that whoever hears only this utterance is wrong at least half of the time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeVar

import numpy as np

from ivcr_bench.data.mini.catalogue import Catalogue
from ivcr_bench.data.mini.queries import ANYONE, ActorPattern, Query
from ivcr_bench.data.mini.world import ACTIONS, COLOURS, GENRE_OF, PAIR_ACTIONS, SETTINGS, Film, Shot
from ivcr_bench.schema import Behaviour, Intent

T = TypeVar("T")

Act = Literal[
    "ask",
    "ask_moment",
    "refine_setting",
    "refine_colour",
    "another",
    "analogous_setting",
    "analogous_colour",
    "analogous_action",
    "moment_does",
    "moment_that",
    "whole_film",
    "greet",
    "thanks",
    "about",
    "ending",
]

BEHAVIOURS: dict[Act, Behaviour] = {
    "ask": "new_topic",
    "ask_moment": "new_topic",
    "refine_setting": "refine",
    "refine_colour": "refine",
    "another": "refine",
    "analogous_setting": "analogous",
    "analogous_colour": "analogous",
    "analogous_action": "analogous",
    "moment_does": "long2short",
    "moment_that": "long2short",
    "whole_film": "short2long",
    "greet": "chitchat",
    "thanks": "chitchat",
    "about": "chitchat",
    "ending": "chitchat",
}

NOTHING = Query()
RELEVANT_AT_MOST = 3
RELEVANT_SHARE = 0.005
LONGEST_MOMENT_SHARE = 0.5
"""A moment query is not asked about shots that cover more of their film than this."""


@dataclass(frozen=True)
class PlannedTurn:
    """One turn to be put into words.

    Attributes:
        stated: what the utterance says by itself.
        meant: what it comes to in the dialogue.
        old: the pattern that is corrected, for acts that name it.
        film: place of the canonical film in the catalogue; ``None`` for small talk.
        relevant: places of all relevant films, the canonical one first; empty for natural dialogue.
        shots: the shots of the canonical film that the answer is about.
    """

    act: Act
    stated: Query = NOTHING
    meant: Query = NOTHING
    old: Query = NOTHING
    film: int | None = None
    relevant: tuple[int, ...] = ()
    shots: tuple[Shot, ...] = ()
    depends_on: tuple[int, ...] = ()

    @property
    def intent(self) -> Intent:
        """What the turn asks for."""
        if self.act in ("ask_moment", "moment_does", "moment_that"):
            return "moment_retrieval"
        return "natural_dialogue" if BEHAVIOURS[self.act] == "chitchat" else "video_retrieval"


@dataclass
class Plan:
    """A dialogue in the making: its turns, and what it is about at the moment.

    Attributes:
        query: the pattern that the talk has arrived at.
        film: the film that "it" refers to.
        sources: numbers of the turns that led there.
        shown: films already turned down.
    """

    turns: list[PlannedTurn] = field(default_factory=list)
    query: Query = NOTHING
    film: int | None = None
    sources: tuple[int, ...] = ()
    shown: tuple[int, ...] = ()

    def add(self, turn: PlannedTurn, *, about: Query | None = None, builds: bool = True) -> None:
        """Append ``turn``; ``about`` is the talk's new pattern, and ``builds`` says whether older turns still count."""
        self.turns.append(turn)
        if about is None:
            return
        number = (len(self.turns),)
        self.query, self.film = about, turn.film
        self.sources = self.sources + number if builds else number


class Planner:
    """Plans dialogues about the films of one catalogue."""

    def __init__(self, catalogue: Catalogue, rng: np.random.Generator) -> None:
        self.catalogue, self.rng = catalogue, rng
        self.most = max(RELEVANT_AT_MOST, int(RELEVANT_SHARE * len(catalogue.films)))

    def plan(self, kind: int, film: int) -> list[PlannedTurn]:
        """A dialogue of type ``kind`` (0 to 7) that begins with the film at place ``film``."""
        plan = Plan()
        if kind == 0:
            acts: tuple[Act, ...] = ("greet", "greet", "thanks")
            for act in acts[self._count(0, 1) :][: self._count(1, 3)]:
                plan.add(PlannedTurn(act))
            return plan.turns
        if self._chance(0.06) and kind != 7:
            plan.add(PlannedTurn("greet"))
        getattr(self, f"_plan_{kind}")(plan, film)
        if kind != 7 and len(plan.turns) > 1 and self._chance(0.2):
            plan.add(PlannedTurn("thanks"))
        return plan.turns

    def _plan_1(self, plan: Plan, film: int) -> None:
        self.ask(plan, film)
        for _ in range(self._count(1, 3)):
            self._one_of(plan, (self.refine_setting, self.refine_colour, self.another))
            self._small_talk(plan)

    def _plan_2(self, plan: Plan, film: int) -> None:
        self.ask_moment(plan, film)
        for _ in range(self._count(0, 2)):
            self.moment_does(plan)

    def _plan_3(self, plan: Plan, film: int) -> None:
        self.ask(plan, film)
        self._small_talk(plan)
        self._one_of(plan, (self.moment_that, self.moment_does))
        if self._chance(0.5):
            self.moment_does(plan)

    def _plan_4(self, plan: Plan, film: int) -> None:
        self.ask_moment(plan, film)
        self.whole_film(plan)
        if self._chance(0.6):
            self._one_of(plan, (self.analogous_setting, self.analogous_colour, self.analogous_action, self.moment_does))
        self._small_talk(plan)

    def _plan_5(self, plan: Plan, film: int) -> None:
        self.ask(plan, film)
        self._one_of(plan, (self.moment_that, self.moment_does))
        self._one_of(
            plan, (self.refine_setting, self.refine_colour, self.analogous_setting, self.analogous_colour, self.another)
        )
        self._one_of(plan, (self.moment_that, self.moment_does))
        self._small_talk(plan)
        if self._chance(0.4):
            self._one_of(plan, (self.analogous_action, self.analogous_setting, self.analogous_colour))

    def _plan_6(self, plan: Plan, film: int) -> None:
        self.ask(plan, film)
        for _ in range(self._count(1, 2)):
            self._one_of(plan, (self.analogous_setting, self.analogous_colour, self.analogous_action))
        if self._chance(0.5):
            self._one_of(plan, (self.moment_that, self.moment_does))
        self._small_talk(plan)

    def _plan_7(self, plan: Plan, film: int) -> None:
        for _ in range(self._count(2, 4)):
            (self.ask if self._chance(0.6) else self.ask_moment)(plan, film)
            film = int(self.rng.integers(len(self.catalogue.films)))

    def ask(self, plan: Plan, film: int) -> bool:
        """A self-contained request for a film."""
        shown = self.catalogue.films[film]
        for query in self._descriptions(shown):
            if len(self.catalogue.match(query)) <= self.most:
                return self._found(plan, "ask", query, film)
        return self._found(plan, "ask", self._in_full(self._pick(shown.shots)), film)

    def ask_moment(self, plan: Plan, film: int) -> bool:
        """A self-contained request for a moment; only one film has it."""
        for shot in self._order(self.catalogue.films[film].shots):
            for query in (self._in_part(shot), self._in_full(shot), self._in_full(shot, sizes=True)):
                if self.catalogue.match(query) == (film,) and self._brief(query, film):
                    return self._moment(plan, PlannedTurn("ask_moment", query, query), query, film, builds=False)
        return self.ask(plan, film)

    def refine_setting(self, plan: Plan) -> bool:
        """Says: No, the one at night."""
        return self._vary(plan, "refine_setting", "setting", within=True)

    def analogous_setting(self, plan: Plan) -> bool:
        """Says: The same, but in the snow."""
        return self._vary(plan, "analogous_setting", "setting")

    def refine_colour(self, plan: Plan) -> bool:
        """Says: Blue, not red."""
        return self._vary(plan, "refine_colour", "colour")

    def analogous_colour(self, plan: Plan) -> bool:
        """Says: The same with a blue one."""
        return self._vary(plan, "analogous_colour", "colour")

    def analogous_action(self, plan: Plan) -> bool:
        """Says: The same, but where it falls down."""
        return self._vary(plan, "analogous_action", "action")

    def another(self, plan: Plan) -> bool:
        """Says: Not that one, another."""
        if plan.film is None:
            return False
        shown = (*plan.shown, plan.film)
        left = tuple(place for place in self.catalogue.match(plan.query) if place not in shown)
        if not left or plan.query == NOTHING:
            return False
        turn = PlannedTurn("another", NOTHING, plan.query, NOTHING, left[0], left, depends_on=plan.sources)
        plan.add(replace(turn, shots=self._shots(plan.query, left[0])), about=plan.query)
        plan.shown = shown
        return True

    def moment_does(self, plan: Plan) -> bool:
        """Says: When does the star fall down in that one?"""
        if plan.film is None:
            return False
        for shot in self._order(self.catalogue.films[plan.film].shots):
            stated = Query(None, None, shot.action, ActorPattern(None, shot.actors[0].shape))
            enough = len(self.catalogue.match(stated)) >= 2
            if enough and self._brief(stated, plan.film) and plan.turns[-1].shots != (shot,):
                turn = PlannedTurn("moment_does", stated, stated, depends_on=plan.sources)
                return self._moment(plan, turn, plan.query, plan.film)
        return False

    def moment_that(self, plan: Plan) -> bool:
        """Says: When does that happen?"""
        if plan.film is None or plan.query.action is None or not self._brief(plan.query, plan.film):
            return False
        if plan.turns[-1].intent != "video_retrieval":
            return False
        turn = PlannedTurn("moment_that", NOTHING, plan.query, depends_on=plan.sources)
        return self._moment(plan, turn, plan.query, plan.film)

    def whole_film(self, plan: Plan) -> bool:
        """Says: Which film is that from?"""
        if plan.film is None or plan.turns[-1].intent != "moment_retrieval":
            return False
        place = plan.film
        turn = PlannedTurn("whole_film", NOTHING, plan.query, NOTHING, place, (place,), depends_on=plan.sources)
        plan.add(replace(turn, shots=plan.turns[-1].shots), about=plan.query)
        return True

    def _small_talk(self, plan: Plan) -> None:
        if plan.film is None or not self._chance(0.14):
            return
        act: Act = "about" if self._chance(0.5) else "ending"
        shots = self.catalogue.films[plan.film].shots
        shot = shots[-1] if act == "ending" else self._pick(shots)
        plan.add(PlannedTurn(act, film=plan.film, shots=(shot,), depends_on=plan.sources))

    def _vary(self, plan: Plan, act: Act, attribute: str, *, within: bool = False) -> bool:
        """Ask for the present pattern with one attribute changed (or, ``within``, given for the first time)."""
        for stated, meant in self._order(list(self._changes(plan.query, attribute, within))):
            found = self.catalogue.match(meant)
            if not found or plan.film in found or len(found) > self.most:
                continue
            if len(self.catalogue.match(stated)) < 2 * len(found):
                continue
            film = self._pick(found)
            relevant = (film, *(place for place in found if place != film))
            turn = PlannedTurn(act, stated, meant, plan.query, film, relevant, self._shots(meant, film), plan.sources)
            plan.add(turn, about=meant)
            plan.shown = ()
            return True
        return False

    def _changes(self, query: Query, attribute: str, within: bool) -> list[tuple[Query, Query]]:
        """Pairs of (what is stated, what is then meant)."""
        if query == NOTHING:
            return []
        if attribute == "setting":
            if query.category is not None:
                old, genre = query.category
                changed = [query._replace(category=(s, genre)) for s in SETTINGS if s != old]
                return [(Query(setting=q.category[0]), q) for q in changed if q.category]
            options = [s for s in SETTINGS if s != query.setting and (query.setting or within)]
            return [(Query(setting=s), query._replace(setting=s)) for s in options]
        if attribute == "colour":
            old_colour = query.first.colour
            if old_colour is None:
                return []
            firsts = [query.first._replace(colour=c) for c in COLOURS if c not in (old_colour, query.second.colour)]
            return [(Query(first=ActorPattern(colour=f.colour)), query._replace(first=f)) for f in firsts]
        if query.action is None:
            return []
        pair = query.action in PAIR_ACTIONS
        actions = [a for a in ACTIONS if a != query.action and (a in PAIR_ACTIONS) == pair]
        return [(Query(action=a), query._replace(action=a)) for a in actions]

    def _descriptions(self, film: Film) -> list[Query]:
        """Ways to ask for ``film``, in random order: abstract, concrete, and mixed."""
        shot = self._pick(film.shots)
        lead = self._pick(film.shots).actors[0]
        category = (film.setting, film.genre)
        ways = [
            self._in_part(shot),
            self._in_part(shot),
            self._in_full(shot),
            Query(category=category, first=ActorPattern(lead.colour, lead.shape)),
        ]
        if self._chance(0.5):
            ways.append(Query(category=category))
        return self._order(ways)

    def _in_part(self, shot: Shot) -> Query:
        lead = shot.actors[0]
        query = Query(None, None, shot.action, ActorPattern(lead.colour, lead.shape))
        if shot.action in PAIR_ACTIONS:
            other = shot.actors[1]
            query = query._replace(second=ActorPattern(other.colour if self._chance(0.5) else None, other.shape))
        return query._replace(setting=shot.setting) if self._chance(0.5) else query

    def _in_full(self, shot: Shot, *, sizes: bool = False) -> Query:
        patterns = [ActorPattern(a.colour, a.shape, a.size if sizes else None) for a in shot.actors]
        second = patterns[1] if len(patterns) > 1 else ANYONE
        return Query(None, shot.setting, shot.action, patterns[0], second)

    def _found(self, plan: Plan, act: Act, query: Query, film: int) -> bool:
        relevant = (film, *(place for place in self.catalogue.match(query) if place != film))
        turn = PlannedTurn(act, query, query, NOTHING, film, relevant, self._shots(query, film))
        plan.add(turn, about=query, builds=False)
        plan.shown = ()
        return True

    def _moment(self, plan: Plan, turn: PlannedTurn, about: Query, film: int, *, builds: bool = True) -> bool:
        shots = tuple(turn.meant.shots_of(self.catalogue.films[film]))
        planned = replace(turn, film=film, relevant=(film,), shots=shots)
        if builds:
            plan.turns.append(planned)
        else:
            plan.add(planned, about=about, builds=False)
        return True

    def _brief(self, query: Query, film: int) -> bool:
        shown = self.catalogue.films[film]
        shots = query.shots_of(shown)
        length = sum(shot.end - shot.start for shot in shots)
        return bool(shots) and length <= LONGEST_MOMENT_SHARE * shown.duration

    def _shots(self, query: Query, film: int) -> tuple[Shot, ...]:
        """The shots that an answer about ``film`` should name: those that fit, the ones of its category first."""
        shots = query.shots_of(self.catalogue.films[film])
        shown = self.catalogue.films[film]
        typical = [s for s in shots if s.setting == shown.setting and GENRE_OF[s.action] == shown.genre]
        return (*typical, *(s for s in shots if s not in typical))

    def _one_of(self, plan: Plan, acts: Sequence[Callable[[Plan], bool]]) -> bool:
        return any(act(plan) for act in self._order(acts))

    def _chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def _count(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def _pick(self, options: Sequence[T]) -> T:
        return options[int(self.rng.integers(len(options)))]

    def _order(self, options: Sequence[T]) -> list[T]:
        return [options[int(place)] for place in self.rng.permutation(len(options))]
