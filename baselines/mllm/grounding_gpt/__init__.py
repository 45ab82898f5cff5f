"""GroundingGPT (Li et al., ACL 2024, arXiv 2401.06071): a film as 64 tokens of a LLaMA, moments as ``{start,end}``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from baselines.mllm.grounding_gpt import answers, conversion, prompts
from baselines.mllm.grounding_gpt.config import PRESETS, GroundingGptConfig
from baselines.mllm.grounding_gpt.model import GroundingGpt
from baselines.mllm.pieces import Piece
from baselines.mllm.protocol import Method, Round, Shown


def _question(query: str, config: GroundingGptConfig) -> str:
    return prompts.moment_question(query, config.prompt_id)


def _answer(query: str, start: float, end: float, shown: Shown, config: GroundingGptConfig) -> str:
    return prompts.moment_answer(query, start, end, shown.duration)


def _conversation(rounds: Sequence[Round], shown: Shown, config: GroundingGptConfig) -> list[Piece]:
    return prompts.conversation(rounds, shown.tokens, config.prompt_style)


def _convert(state: Mapping[str, Tensor], config: GroundingGptConfig) -> dict[str, Tensor]:
    return conversion.convert_checkpoint(state)


METHOD = Method(
    title="GroundingGPT",
    presets=PRESETS,
    build=GroundingGpt,
    question=_question,
    answer=_answer,
    conversation=_conversation,
    parse=answers.parse,
    convert=_convert,
)

__all__ = ["METHOD", "PRESETS", "GroundingGpt", "GroundingGptConfig"]
