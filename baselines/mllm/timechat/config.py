"""Sizes and settings of TimeChat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from baselines.backbones.blip2 import Blip2RetrieverConfig
from baselines.mllm.llama import Decoding, LlamaSizes
from baselines.mllm.lora import LoraSizes

PromptStyle = Literal["train", "upstream_eval"]
TimeTokenizer = Literal["bert", "llama"]

GREEDY = Decoding(longest=64)
UPSTREAM_DECODING = Decoding(longest=512, temperature=1.0, top_p=0.8)
"""The authors draw their answers, so that their scores differ from run to run."""


@dataclass(frozen=True)
class TimeChatConfig:
    """Everything that shapes the model and how it is asked; the defaults are the published sizes.

    Where the authors' code has a fault, or asks otherwise than it trains, that is a value of ``prompt_style``,
    ``qformer_tokenizer`` or ``keep_time_rows``.

    Attributes:
        blip2: sizes of the encoder of frames (an image Q-Former that reads the frame's time); ``None`` if its
            outputs are given.
        width: of what the encoder makes of a frame.
        frames: of a film, at most; rows of the table of frame positions.
        rate: frames a second, or ``None`` for ``frames`` frames spread over the film whatever its length.
        window, stride: frames that one pass of the video Q-Former sees, and from one pass to the next.
        window_tokens: visual tokens that a window becomes.
        video_layers, video_heads, video_mlp, dropout: of the video Q-Former.
        keep_time_rows: the video Q-Former also sees what the image Q-Former made of the words of the time, padding
            included, as the authors'; otherwise only the queries.
        qformer_tokenizer: of these words. The authors train with LLaMA's, whose ids then choose rows of BERT's
            table, and evaluate with BERT's.
        llama: sizes of the language model.
        lora: of the adapter that the authors train.
        prompt_style: system message and spacing of the authors' training or of their evaluation, and the question.
        dataset: what the question of ``upstream_eval`` calls the films' origin.
        zero_padded: whether answers write 8 seconds as ``08.0``, so that all are equally long; ours, for small models.
    """

    blip2: Blip2RetrieverConfig | None = None
    width: int = 768
    frames: int = 96
    rate: float | None = None
    window: int = 32
    stride: int = 32
    window_tokens: int = 32
    video_layers: int = 2
    video_heads: int = 12
    video_mlp: int = 3072
    dropout: float = 0.1
    keep_time_rows: bool = True
    qformer_tokenizer: TimeTokenizer = "bert"
    llama: LlamaSizes = field(default_factory=LlamaSizes)
    lora: LoraSizes = field(default_factory=lambda: LoraSizes(rank=32, alpha=32, dropout=0.1))
    prompt_style: PromptStyle = "upstream_eval"
    dataset: str = "charades"
    zero_padded: bool = False

    def tokens(self, frames: int) -> int:
        """Visual tokens of a film of so many frames."""
        return -(-frames // self.stride) * self.window_tokens


PRESETS: Mapping[str, TimeChatConfig] = {
    "mini": TimeChatConfig(
        width=96,
        frames=64,
        rate=1.0,
        window=4,
        stride=4,
        window_tokens=4,
        video_heads=4,
        video_mlp=192,
        dropout=0.0,
        llama=LlamaSizes.mini(2000),
        prompt_style="train",
        zero_padded=True,
    ),
    "paper": TimeChatConfig(blip2=Blip2RetrieverConfig()),
}
"""``mini`` fits IVCR-Mini, on frames that InterLLaVA's first phase encoded; ``paper`` is on LLaMA-2-7B-chat."""
