"""What VTimeLLM reads and writes, as text: pure functions, golden-string tested.

The system text is that of Vicuna v1.1 (FastChat, Apache-2.0); the first English question is that of the authors'
evaluation. The other phrasings are ours, for the authors' licence lets nobody pass on changed copies of their files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from baselines.mllm.pieces import Piece, plain
from baselines.mllm.protocol import Round, Shown
from baselines.mllm.vtimellm.config import VTimeLlmConfig
from ivcr_bench.schema import Language

SYSTEM = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions."
)
USER, ASSISTANT, END_OF_ANSWER = "USER:", "ASSISTANT:", "</s>"
LAST_CODE = 99

QUESTIONS: Mapping[Language, tuple[str, ...]] = {
    "en": (
        "During which frames can we see {}?",
        "Between which frames is it visible that {}?",
        "At what point in the video do we observe {}?",
    ),
    "zh": ("在哪些帧中我们可以看到{}？", "哪两帧之间可以看见{}？", "在视频的什么位置我们观察到{}？"),
}
"""Ways to ask when something happens."""
ANSWERS: Mapping[Language, str] = {"en": "From {} to {}.", "zh": "从{}到{}。"}
_HAN = re.compile(r"[\u3400-\u9fff]")


def language_of(text: str) -> Language:
    """Chinese if a Chinese character is in ``text``."""
    return "zh" if _HAN.search(text) else "en"


def conversation(rounds: Sequence[Round], shown: Shown, config: VTimeLlmConfig) -> list[Piece]:
    """A chat about one film in Vicuna's format; the film stands before the first question, on a line of its own.

    Args:
        rounds: at least one; only the last may be without an answer.
    """
    first, *further = rounds
    pieces = [
        Piece(f"{SYSTEM} {USER} "),
        Piece(film=shown.tokens),
        Piece(f"\n{_said(first.question)} {ASSISTANT}"),
        *_answer(first),
    ]
    for later in further:
        pieces += [Piece(f"{USER} {_said(later.question)} {ASSISTANT}"), *_answer(later)]
    return pieces


def caption_pair(caption: str, shown: Shown) -> list[Piece]:
    """Stage 1: a picture, which is a film of one frame, and its caption; neither system text nor roles."""
    return [Piece(film=shown.tokens), Piece("\n"), Piece(f"{plain(caption)}\n", learned=True)]


def question(query: str, config: VTimeLlmConfig, phrasing: int = 0) -> str:
    """Ask when ``query`` happens: stripped, in lower case, without its full stop, in its own language.

    Args:
        phrasing: one of `QUESTIONS`.
    """
    said = query.strip().lower()
    said = said[:-1] if said.endswith((".", "。")) else said
    return QUESTIONS[language_of(query)][phrasing].format(said)


def answer(query: str, start: float, end: float, shown: Shown, config: VTimeLlmConfig) -> str:
    """What is taught as the answer to ``query``, in its language."""
    codes = time_code(start, shown.duration), time_code(end, shown.duration)
    return ANSWERS[language_of(query)].format(*codes)


def time_code(seconds: float, duration: float) -> str:
    """A time as two digits, its percentage of the film; half a percent goes to the even neighbour, 100 to 99.

    >>> [time_code(seconds, 54.2) for seconds in (0, 9.4, 49.4, 53.2, 54.2)]
    ['00', '17', '91', '98', '99']
    """
    # In the authors' order of operations, for the last bit decides about halves.
    return f"{min(round(seconds / duration * 100), LAST_CODE):02d}"


def fill_times(text: str, times: Mapping[str, float], duration: float) -> str:
    """Put time codes where placeholders such as ``<s0>`` stand: the authors' training files hold these.

    Args:
        times: seconds by placeholder.

    >>> fill_times("from <s0> to <e0>", {"<s0>": 1.0, "<e0>": 3.0}, 4.0)
    'from 25 to 75'
    """
    for placeholder, seconds in times.items():
        text = text.replace(placeholder, time_code(seconds, duration))
    return text


def _said(text: str) -> str:
    return plain(text, USER, ASSISTANT)


def _answer(said: Round) -> list[Piece]:
    return [] if said.answer is None else [Piece(f" {_said(said.answer)}{END_OF_ANSWER}", learned=True)]
