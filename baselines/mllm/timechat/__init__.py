"""TimeChat (Ren et al., CVPR 2024, arXiv 2312.02051): seconds as plain text, for frames and for answers."""

from __future__ import annotations

from baselines.mllm.protocol import Method, Shown
from baselines.mllm.timechat import answers, conversion, prompts
from baselines.mllm.timechat.config import PRESETS, TimeChatConfig
from baselines.mllm.timechat.model import TimeChat


def _answer(query: str, start: float, end: float, shown: Shown, config: TimeChatConfig) -> str:
    return prompts.moment_answer(start, end, config)


METHOD = Method(
    title="TimeChat",
    presets=PRESETS,
    build=TimeChat,
    question=prompts.moment_question,
    answer=_answer,
    conversation=prompts.conversation,
    parse=answers.parse,
    convert=conversion.convert_checkpoint,
)
