"""Chats about the events of a film, as stage 2 is taught: one in five lists them all, the rest ask about each.

The proportions and the forms of the answers are the paper's, the phrasings ours (`baselines.mllm.vtimellm.prompts`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from baselines.mllm.protocol import Round, Shown
from baselines.mllm.vtimellm.config import VTimeLlmConfig
from baselines.mllm.vtimellm.prompts import QUESTIONS, answer, language_of, question, time_code
from ivcr_bench.schema import Language

LISTED = 0.2
"""Share of the chats that list all events."""

ALL_EVENTS: Mapping[Language, tuple[str, ...]] = {
    "en": (
        "Describe the events of the video in order, with the frames of each.",
        "What happens in the video, and when?",
    ),
    "zh": ("请按顺序描述视频中的事件，并给出每个事件的帧。", "视频里发生了什么，分别在什么时候？"),
}
WHAT_HAPPENS: Mapping[Language, tuple[str, ...]] = {
    "en": ("What happens from {} to {}?", "Describe the video from {} to {}."),
    "zh": ("从{}到{}发生了什么？", "请描述视频从{}到{}的内容。"),
}
TOLD: Mapping[Language, tuple[str, str]] = {
    "en": ("From {start} to {end}, {event}.", "{event}, from {start} to {end}."),
    "zh": ("从{start}到{end}，{event}。", "{event}，从{start}到{end}。"),
}
"""How an event is told: as the authors' guide has it, and as the paper has it; the released data holds both."""
JOINT: Mapping[Language, str] = {"en": " ", "zh": ""}


class Event(NamedTuple):
    """Something that happens in a film; seconds, and a sentence without its full stop."""

    start: float
    end: float
    sentence: str


def chat(events: Sequence[Event], shown: Shown, config: VTimeLlmConfig, rng: np.random.Generator) -> list[Round]:
    """One chat of stage 2 about a film: all its events at once, or each in a round of its own, in random order.

    Args:
        events: at least one, in the order in which they happen, all in one language.
    """
    if rng.random() < LISTED:
        return [list_events(events, shown, rng)]
    order = rng.permutation(len(events))
    return [about(events[place], shown, config, rng) for place in order]


def list_events(events: Sequence[Event], shown: Shown, rng: np.random.Generator) -> Round:
    """Ask for all events."""
    language = language_of(events[0].sentence)
    form = TOLD[language][rng.integers(2)]
    asked = ALL_EVENTS[language][rng.integers(len(ALL_EVENTS[language]))]
    return Round(asked, JOINT[language].join(_tell(event, form, shown) for event in events))


def about(event: Event, shown: Shown, config: VTimeLlmConfig, rng: np.random.Generator) -> Round:
    """Ask when an event happens, or what happens then, as often the one as the other."""
    language = language_of(event.sentence)
    if rng.random() < 0.5:
        asked = question(event.sentence, config, phrasing=int(rng.integers(len(QUESTIONS[language]))))
        return Round(asked, answer(event.sentence, event.start, event.end, shown, config))
    asked = WHAT_HAPPENS[language][rng.integers(len(WHAT_HAPPENS[language]))]
    times = time_code(event.start, shown.duration), time_code(event.end, shown.duration)
    return Round(asked.format(*times), _tell(event, TOLD[language][rng.integers(2)], shown))


def _tell(event: Event, form: str, shown: Shown) -> str:
    told = form.format(
        start=time_code(event.start, shown.duration), end=time_code(event.end, shown.duration), event=event.sentence
    )
    return told[0].upper() + told[1:]
