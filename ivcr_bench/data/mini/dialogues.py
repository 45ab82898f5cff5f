"""The dialogues of IVCR-Mini: planned about the films of a split, then put into words.

| type | pattern | turns that ask for something |
| --- | --- | --- |
| 0 | natural dialogue only | none |
| 1 | video retrieval only | ask, then refine |
| 2 | moment retrieval only | ask for a moment, then others in the same film |
| 3 | video, then moment | ask, then the moment in it |
| 4 | moment, then video | ask for a moment, then the film that it is from |
| 5 | back and forth | ask, moment, refine, moment, ... |
| 6 | analogous | ask, then "the same, but ..." |
| 7 | a new topic each turn | ask, ask |
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from ivcr_bench.data.mini.catalogue import Catalogue
from ivcr_bench.data.mini.films import Scale
from ivcr_bench.data.mini.phrases.speaker import Speaker
from ivcr_bench.data.mini.planning import BEHAVIOURS, PlannedTurn, Planner
from ivcr_bench.data.mini.world import Film
from ivcr_bench.schema import Dialogue, Gold, Language, Split, Turn

TURN_COUNTS: dict[Scale, dict[Split, int]] = {
    "mini": {"train": 4_800, "val": 600, "test": 600},
    "test": {"train": 0, "val": 0, "test": 2_589},
    "paper": {"train": 188_237, "val": 2_608, "test": 2_589},
}
"""Turns of each split; `test` has as many queries as IVCR-200K's test split, `paper` 193,434 in all."""

TYPE_WEIGHTS = (0.04, 0.19, 0.10, 0.19, 0.09, 0.16, 0.12, 0.11)
LONGEST = 7
SEED_OF_DIALOGUES = 1_000
"""Added to the split's key, so that dialogues and films are drawn from different streams."""


def generate_dialogues(films: Mapping[Split, Sequence[Film]], seed: int, scale: Scale) -> Iterator[Dialogue]:
    """All dialogues of one dataset, numbered through."""
    number = 1
    for key, (split, total) in enumerate(TURN_COUNTS[scale].items()):
        if total:
            rng = np.random.default_rng([seed, SEED_OF_DIALOGUES + key])
            for dialogue in split_dialogues(films[split], split, total, rng, first=number):
                yield dialogue
                number += 1


def split_dialogues(
    films: Sequence[Film], split: Split, turns: int, rng: np.random.Generator, *, first: int = 1
) -> Iterator[Dialogue]:
    """Dialogues about ``films``, ``turns`` turns in all (the last one is cut to fit), languages in turn.

    Every film is the first topic of a dialogue before any is so again.
    """
    planned = plan_dialogues(films, rng)
    number = first
    while turns > 0:
        kind, plan = next(planned)
        plan = plan[: min(LONGEST, turns)]
        language: Language = "en" if number % 2 else "zh"
        speaker = Speaker(language, rng)
        spoken = tuple(_speak(turn, films, speaker, first=place == 0) for place, turn in enumerate(plan))
        yield Dialogue(f"d-{number:05d}", language, split, kind, spoken)
        turns -= len(plan)
        number += 1


def plan_dialogues(films: Sequence[Film], rng: np.random.Generator) -> Iterator[tuple[int, list[PlannedTurn]]]:
    """An endless stream of (type, plan)."""
    planner = Planner(Catalogue(films), rng)
    while True:
        for film in rng.permutation(len(films)):
            kind = int(rng.choice(len(TYPE_WEIGHTS), p=TYPE_WEIGHTS))
            if kind == 0:
                yield kind, planner.plan(kind, int(film))
                kind = 1
            yield kind, planner.plan(kind, int(film))


def _speak(turn: PlannedTurn, films: Sequence[Film], speaker: Speaker, *, first: bool) -> Turn:
    return Turn(
        utterance=_utterance(turn, speaker, first=first),
        intent=turn.intent,
        behaviour=BEHAVIOURS[turn.act],
        gold=_gold(turn, films, speaker),
        depends_on=turn.depends_on,
    )


def _utterance(turn: PlannedTurn, speaker: Speaker, *, first: bool) -> str:
    stated = turn.stated
    slots: dict[str, str] = {}
    if turn.act == "ask":
        slots["film"] = speaker.film(stated)
    elif turn.act == "ask_moment":
        slots["scene"] = speaker.scene(stated)
    elif turn.act in ("refine_setting", "analogous_setting") and stated.setting:
        slots["setting"] = speaker.setting(stated.setting)
    elif turn.act in ("refine_colour", "analogous_colour") and stated.first.colour and turn.old.first.colour:
        slots = {"colour": speaker.colour(stated.first.colour), "old": speaker.colour(turn.old.first.colour)}
    elif turn.act in ("analogous_action", "moment_does") and stated.action:
        slots["actor"] = speaker.actor(stated.first, definite=True)
        slots["does"] = speaker.does(stated.action, speaker.other())
    return speaker.say(turn.act, first=first, **slots)


def _gold(turn: PlannedTurn, films: Sequence[Film], speaker: Speaker) -> Gold:
    if turn.film is None:
        return Gold(response=speaker.answer(turn.act))
    film = films[turn.film]
    shot = turn.shots[0]
    slots = {"scene": speaker.shot(shot), "category": speaker.category(film.setting, film.genre)}
    if turn.intent == "natural_dialogue":
        return Gold(response=speaker.answer(turn.act, count=str(len(film.shots)), **slots))
    videos = tuple(films[place].video_id for place in turn.relevant)
    if turn.intent == "video_retrieval":
        return Gold(videos, (), speaker.answer("video", **slots))
    moments = tuple((s.start, s.end) for s in turn.shots)
    times = {"start": f"{shot.start:.1f}", "end": f"{shot.end:.1f}"}
    return Gold(videos, moments, speaker.answer("moment", scene=slots["scene"], **times))
