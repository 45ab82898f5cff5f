"""What GroundingGPT reads and writes, as text: the authors' conversations to the letter, golden-string tested.

They ask with other separators than they train with. To ask (their command line)::

    {SYSTEM}###Human: {film}\\n{question}###Assistant: {answer}###Human: {question}###Assistant:

To train::

    {SYSTEM}\\n\\n### Human: {film}\\n{question}\\n### Assistant: {answer}\\n### Human: ...\\n### Assistant: ...\\n###␣

No list of their questions about moments is published; `QUESTIONS` holds ours, and the one of their project page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from baselines.mllm import pieces
from baselines.mllm.grounding_gpt.config import PromptStyle
from baselines.mllm.pieces import Piece
from baselines.mllm.protocol import Round
from ivcr_bench.errors import IvcrError

SYSTEM = (
    "A chat between a curious human and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the human's questions."
)
STOP = "###"
PATCH, START, END = "<vi_patch>", "<vi_start>", "<vi_end>"
QUESTIONS: Mapping[str, str] = {
    "ggpt_v1": 'When does "{query}" happen in the video? Please give me the timestamp in the format {start,end}.',
    "project_page": "Please give me the timestamp when {query}?",
}
"""By ``prompt_id``; ``{query}`` stands for the query."""
_SENTENCE_ENDS = " \t\r\n.!?。！？"


def moment_question(query: str, prompt_id: str = "ggpt_v1") -> str:
    """The question when ``query`` happens.

    Raises:
        IvcrError: there is no such prompt.
    """
    if prompt_id not in QUESTIONS:
        raise IvcrError(f"GroundingGPT: no prompt {prompt_id!r}, expected one of {', '.join(QUESTIONS)}")
    return QUESTIONS[prompt_id].replace("{query}", query.strip(_SENTENCE_ENDS))


def moment_answer(query: str, start: float, end: float, duration: float) -> str:
    """The answer that is learned: the query again, and its moment in hundredths of the film; times in seconds.

    >>> moment_answer("A star falls.", 3.0, 61.0, 60.0)
    'A star falls in {0.05,1.00}'
    """
    first, last = (f"{min(max(time / duration, 0.0), 1.0):.2f}" for time in (start, end))
    return f"{query.strip(_SENTENCE_ENDS)} in {{{first},{last}}}"


def conversation(rounds: Sequence[Round], film_tokens: int, style: PromptStyle = "upstream_infer") -> list[Piece]:
    """The whole prompt about one film, which stands before the first question.

    If the last answer is missing, it ends where the model goes on, in the separators of ``style``; else it is a
    text to train on, in theirs. Answers are learned with their role and line break, and every separator, so
    that the model learns to stop.

    Args:
        film_tokens: 0 for a conversation without a film.
    """
    if rounds[-1].answer is None and style == "upstream_infer":
        return _asking(rounds, film_tokens)
    return _training(rounds, film_tokens)


def answer_of(generated: str) -> str:
    """What the model said before it stopped; no answer holds a number sign.

    >>> answer_of(" It falls in {0.09,0.15}.### Human: And")
    'It falls in {0.09,0.15}.'
    """
    return generated.partition(STOP[0])[0].strip()


def plain(text: str) -> str:
    """``text`` in which nothing can be read as a separator, the stop mark or a special token."""
    return pieces.plain(text, "#")


def _asking(rounds: Sequence[Round], film_tokens: int) -> list[Piece]:
    found = [Piece(SYSTEM)]
    for number, (question, answer) in enumerate((r.question, r.answer) for r in rounds):
        found += [Piece(f"{STOP}Human: "), *_film(0 if number else film_tokens)]
        told = "" if answer is None else f" {plain(answer)}"
        found.append(Piece(f"{plain(question)}{STOP}Assistant:{told}"))
    return found


def _training(rounds: Sequence[Round], film_tokens: int) -> list[Piece]:
    found = [Piece(f"{SYSTEM}\n\n")]
    for number, (question, answer) in enumerate((r.question, r.answer) for r in rounds):
        found += [Piece(STOP, learned=True), Piece(" Human: "), *_film(0 if number else film_tokens)]
        found.append(Piece(f"{plain(question)}\n"))
        if answer is None:
            return [*found, Piece(f"{STOP} Assistant:")]
        found.append(Piece(f"{STOP} Assistant: {plain(answer)}\n", learned=True))
    return [*found, Piece(f"{STOP} ", learned=True)]


def _film(tokens: int) -> list[Piece]:
    return [Piece(START), Piece(film=tokens), Piece(f"{END}\n")] if tokens else []
