"""A dialogue about a corpus as a conversation about one film, which is all that the model can see."""

from __future__ import annotations

from collections.abc import Sequence

from baselines.mllm.grounding_gpt.config import OnVideoChange
from baselines.mllm.grounding_gpt.prompts import moment_answer
from baselines.mllm.protocol import Round
from ivcr_bench.schema import Exchange

EARLIER = "Earlier we said: "


def rounds_about(
    film: str, duration: float, history: Sequence[Exchange], question: str, on_video_change: OnVideoChange = "reset"
) -> list[Round]:
    """The rounds of the conversation; the last one is to be answered.

    A film is put before the model by the turn that localises in it, or after the turn that found it. There the
    conversation begins anew, as in the authors' command line; ``summary`` tells what was asked before.

    Args:
        duration: of the film, in seconds; times in it are told as the model writes them.
    """
    begin = _first_about(film, history)
    rounds = [Round(past.utterance, _told(past, duration)) for past in history[begin:]]
    rounds.append(Round(question))
    if begin and on_video_change == "summary":
        earlier = EARLIER + " ".join(past.utterance for past in history[:begin])
        rounds[0] = Round(f"{earlier}\n{rounds[0].question}", rounds[0].answer)
    return rounds


def without_oldest(rounds: Sequence[Round]) -> list[Round]:
    """One round fewer, for a conversation that is too long; what was told of other films goes with the first."""
    return list(rounds[1:])


def _first_about(film: str, history: Sequence[Exchange]) -> int:
    """The number of the turn with which the conversation about ``film`` begins; ``len(history)`` if none did."""
    shown, begin = None, 0
    for number, exchange in enumerate(history):
        answer = exchange.answer
        if answer is None:
            continue
        if answer.moments:
            if answer.moments[0].video_id != shown:
                shown, begin = answer.moments[0].video_id, number
        elif answer.videos:
            shown, begin = answer.videos[0], number + 1
    return begin if shown == film else len(history)


def _told(exchange: Exchange, duration: float) -> str:
    answer = exchange.answer
    if answer is None:
        return ""
    if answer.moments:
        moment = answer.moments[0]
        return moment_answer(exchange.utterance, moment.start, moment.end, duration)
    return answer.text
