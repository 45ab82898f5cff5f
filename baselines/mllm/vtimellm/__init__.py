"""VTimeLLM (Huang et al., CVPR 2024): one visual token a frame, and moments as two-digit percentages of the film."""

from baselines.mllm.protocol import Method
from baselines.mllm.vtimellm import checkpoint, model, parsing, prompts
from baselines.mllm.vtimellm.config import PRESETS

METHOD = Method(
    title="VTimeLLM",
    presets=PRESETS,
    build=model.VTimeLlm,
    question=prompts.question,
    answer=prompts.answer,
    conversation=prompts.conversation,
    parse=parsing.parse,
    convert=checkpoint.convert,
)
