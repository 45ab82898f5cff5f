"""Which film a dialogue is talking about, and which of four routes a turn takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from ivcr_bench.schema import Exchange, Intent, Turn

Route = Literal["video_retrieval", "moment_retrieval", "moment_in_current_film", "natural_dialogue"]
ROUTES: tuple[Route, ...] = get_args(Route)


def current_film(history: Sequence[Exchange]) -> str | None:
    """The film that the latest answer with a result stands for; ``None`` before the first result."""
    for exchange in reversed(history):
        answer = exchange.answer
        if answer is None:
            continue
        if answer.moments:
            return answer.moments[0].video_id
        if answer.videos:
            return answer.videos[0]
    return None


def gold_route(turn: Turn, history: Sequence[Exchange]) -> Route:
    """The route that leads to the gold answer of ``turn`` after ``history``."""
    if turn.intent == "moment_retrieval" and turn.gold.videos[0] == current_film(history):
        return "moment_in_current_film"
    return turn.intent


def intent_of(route: Route) -> Intent:
    """The intent that an answer on ``route`` commits to."""
    return "moment_retrieval" if route == "moment_in_current_film" else route
