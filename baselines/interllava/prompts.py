"""What InterLLaVA reads and writes, as text: pure functions, golden-string tested (sheet section 4, G0).

Ours where the paper is silent or cut: the query comes before the films in both tasks, so that every visual
token can attend to it; a history turn is its utterance and the text of its answer.
"""

from __future__ import annotations

from collections.abc import Sequence

from ivcr_bench.schema import Exchange

HUMAN, ASSISTANT = "### Human:", "### Assistant:"
QUERY, FRAME, FILM_END = "<query>", "<videotoken>", "</video>"
START, END = "<start>", "<end>"
INDEX_TOKENS = tuple(f"<vid_{k}>" for k in range(1, 11))
MAX_SECONDS = 64
TIME_TOKENS = tuple(f"<t_{k}>" for k in range(MAX_SECONDS))
END_OF_ANSWER = "</s>"
ADDED_TOKENS = (QUERY, FRAME, "<video>", FILM_END, START, END, *INDEX_TOKENS, *TIME_TOKENS)

INTENT_SENTENCES = {
    "video_retrieval": "The intent is video retrieval.",
    "moment_retrieval": "The intent is temporal video grounding.",
    "moment_in_current_film": "The intent is temporal video grounding in the current video.",
    "natural_dialogue": "The intent is natural dialogue.",
}
"""Routes and the sentence that announces each; two of them are the moment intent (carried film or not)."""

FOUND = "The given query happens in"
RETRIEVAL_PREFIX = f"{INTENT_SENTENCES['video_retrieval']} {FOUND}"
MOMENT_PREFIX = f"{INTENT_SENTENCES['moment_retrieval']} {FOUND}"
AFTER_INDEX, BETWEEN_TIMES, AFTER_TIMES = "video.", "-", "seconds."


def render_dialogue(history: Sequence[Exchange], utterance: str) -> str:
    """The text of the dialogue up to and including the current utterance; the query vector's place follows it."""
    past = "".join(
        f"{HUMAN} {plain(exchange.utterance)} {ASSISTANT} {plain(exchange.answer.text if exchange.answer else '')} "
        for exchange in history
    )
    return f"{past}{HUMAN} {plain(utterance)} {QUERY}"


def plain(text: str) -> str:
    """``text`` without angle brackets, so that nothing a user types can become a special token."""
    return text.replace("<", " ").replace(">", " ")


def render_candidates(tokens: Sequence[int]) -> str:
    """The candidates in order; candidate k has ``tokens[k]`` visual tokens."""
    return "".join(
        f" {index} <video>{FRAME * count}{FILM_END}" for index, count in zip(INDEX_TOKENS, tokens, strict=False)
    )


def render_film(tokens: int) -> str:
    """The film of a moment turn."""
    return f" <video>{FRAME * tokens}{FILM_END}"


def retrieval_answer(index: int, feedback: str) -> list[str]:
    """The answer to a retrieval turn, in the pieces in which it is generated; ``index`` counts from 0."""
    return [RETRIEVAL_PREFIX, INDEX_TOKENS[index], AFTER_INDEX, feedback]


def moment_answer(first: int, last: int, feedback: str) -> list[str]:
    """The answer to a moment turn; ``first`` and ``last`` are the seconds in which the moment starts and ends."""
    times = [TIME_TOKENS[first], BETWEEN_TIMES, TIME_TOKENS[last]]
    return [MOMENT_PREFIX, *times, AFTER_TIMES, feedback]


def hide_times(feedback: str, start: float, end: float) -> str:
    """Replace the interval's seconds in a reference answer by the tokens that stand for the predicted ones."""
    return feedback.replace(f"{start:.1f}", START, 1).replace(f"{end:.1f}", END, 1)


def show_times(feedback: str, start: float, end: float) -> str:
    """The inverse of `hide_times`, with predicted seconds."""
    return feedback.replace(START, f"{start:.1f}").replace(END, f"{end:.1f}")


def first_second(start: float) -> int:
    """The time token of a start: the second in which it lies."""
    return min(int(start), MAX_SECONDS - 1)


def last_second(end: float) -> int:
    """The time token of an end: the last second that the moment touches."""
    return min(max(int(-(-end // 1)) - 1, 0), MAX_SECONDS - 1)
