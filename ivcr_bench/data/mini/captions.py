"""One sentence about one shot, in English or Chinese; what phase-1 models are trained on."""

from __future__ import annotations

import numpy as np

from ivcr_bench.data.mini.phrases.speaker import Speaker
from ivcr_bench.data.mini.queries import ANYONE, ActorPattern, Query
from ivcr_bench.data.mini.world import PAIR_ACTIONS, Shot
from ivcr_bench.schema import Language


def caption(shot: Shot, language: Language, rng: np.random.Generator) -> str:
    """Describe ``shot``; sizes, and a bystander, are left out now and then, as people do.

    >>> from ivcr_bench.data.mini.world import Actor
    >>> shot = Shot(0.0, 5.0, "night", "fall", (Actor("red", "heart", "big"),))
    >>> caption(shot, "en", np.random.default_rng(0)).endswith(".")
    True
    """
    patterns = [
        ActorPattern(actor.colour, actor.shape, actor.size if rng.random() < 0.5 else None) for actor in shot.actors
    ]
    named = len(patterns) > 1 and (shot.action in PAIR_ACTIONS or rng.random() < 0.7)
    query = Query(None, shot.setting, shot.action, patterns[0], patterns[1] if named else ANYONE)
    text = Speaker(language, rng).scene(query)
    return text[0].upper() + text[1:] + "." if language == "en" else text + "。"
