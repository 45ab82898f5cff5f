"""What TimeChat is asked and taught (sheet section 4): the wording is the authors', for their weights know no other.

The question of the authors' evaluation (https://github.com/RenShuhuai-Andy/TimeChat, BSD-3-Clause) holds a slip of
the pen, "seonds", that is kept for the same reason.
"""

from __future__ import annotations

from collections.abc import Sequence

from baselines.mllm.pieces import Piece, plain
from baselines.mllm.protocol import Round, Shown
from baselines.mllm.timechat.config import TimeChatConfig
from baselines.mllm.timechat.frames import video_message

PLACE = "<ImageHere>"
TRAINING_SYSTEM = " "
EVALUATION_SYSTEM = (
    "You are able to understand the visual content that the user provides. "
    "Follow the instructions carefully and explain your answers in detail."
)
ZERO_SHOT_QUESTION = (
    "You are given a video from the {dataset} dataset. "
    "Please find the visual event described by a sentence in the video, determining its starting and ending times. "
    "The format should be: 'The event happens in the start time - end time'. "
    "For example, The event 'person turn a light on' happens in the 24.3 - 30.4 seonds. "
    "Now I will give you the textual sentence: {query}. Please return its start time and end time."
)
TRAINING_QUESTIONS = (
    "Localize the visual content described by the given textual query {query} in the video, "
    "and output the start and end timestamps in seconds.",
    "Detect and report the start and end timestamps of the video segment that semantically matches "
    "the given textual query {query}.",
    "Give you a textual query: {query} When does the described content occur in the video? "
    "Please return the timestamp in seconds.",
    "Locate and describe the visual content mentioned in the text query {query} within the video, "
    "including timestamps.",
    "The given natural language query {query} is semantically  aligned with a video moment, "
    "please give the start time and end time of the video moment.",
    "Find the video segment that corresponds to the given textual query {query} "
    "and determine its start and end seconds.",
)
SPEECH_SEGMENTS = 15


def training_question(query: str, paraphrase: int) -> str:
    """One of the six ways in which training asks for the moment of ``query``."""
    wording = TRAINING_QUESTIONS[paraphrase % len(TRAINING_QUESTIONS)]
    return wording.format(query=f"'{_bare(query)}'")


def moment_question(query: str, config: TimeChatConfig) -> str:
    """Asks for the moment of ``query`` in the style of the configuration."""
    if config.prompt_style == "train":
        return training_question(query, 0)
    return ZERO_SHOT_QUESTION.format(dataset=config.dataset, query=_bare(query))


def _bare(query: str) -> str:
    return query.strip().strip(".")


def moment_answer(start: float, end: float, config: TimeChatConfig) -> str:
    """The answer that names a moment, in seconds."""
    width = 4 if config.zero_padded else 0
    return f"The given query happens in {start:0{width}.1f} - {end:0{width}.1f} seconds."


def with_speech(question: str, segments: Sequence[tuple[float, float, str]]) -> str:
    """``question`` behind what is said in the film: about `SPEECH_SEGMENTS` of the (start, end, text) given."""
    # The authors count the line of headings of the transcript too.
    step = max((len(segments) + 1) // SPEECH_SEGMENTS, 1)
    said = "".join(
        f"{start:.1f} - {end:.1f} seconds, {text if text.endswith('.') else text + '.'} "
        for start, end, text in segments[::step]
    )
    return (
        f"Transcribed speech: {said or 'None.'} Based on the video content and possible transcribed speech, {question}"
    )


def conversation(rounds: Sequence[Round], shown: Shown, config: TimeChatConfig) -> list[Piece]:
    """A dialogue about one film, which stands in its first round; the last answer may be missing."""
    upstream = config.prompt_style == "upstream_eval"
    system = EVALUATION_SYSTEM if upstream else TRAINING_SYSTEM
    message = video_message(shown.times) + " " * upstream
    pieces = [Piece(f"[INST] <<SYS>>\n{system}\n<</SYS>>\n\n<Video>"), Piece(film=shown.tokens)]
    opening = f"</Video> {message}"
    for each in rounds:
        pieces.append(Piece(f"{opening}{plain(each.question)} [/INST]"))
        if each.answer is not None:
            pieces.append(Piece(f" {plain(each.answer)} </s>", learned=True))
        opening = "<s>[INST] "
    return pieces
