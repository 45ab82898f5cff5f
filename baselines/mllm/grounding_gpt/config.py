"""Sizes and settings of GroundingGPT."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from baselines.backbones.blip2 import Blip2RetrieverConfig
from baselines.mllm.llama import LlamaSizes

PromptStyle = Literal["upstream_infer", "train"]
Transform = Literal["resize", "upstream_random_crop"]
ShortFilms = Literal["fewer", "repeat"]
OnVideoChange = Literal["reset", "summary"]
BASE_VOCABULARY = 32_000
MARKS = (
    "<im_patch>", "<im_start>", "<im_end>",
    "<vi_patch>", "<vi_start>", "<vi_end>",
    "<so_patch>", "<so_start>", "<so_end>",
)  # fmt: skip
"""Tokens added to those of the LLaMA, in this order, for images, videos and sounds; here only videos are shown."""


@dataclass(frozen=True)
class GroundingGptConfig:
    """Everything that shapes the model and how it is asked; the defaults are the published sizes.

    Where the authors' code has a fault, or asks otherwise than it trains, that is a value of ``prompt_style``,
    ``transform`` or ``short_films``.

    Attributes:
        blip2: sizes of the frozen encoder of frames; ``None`` if its outputs are given.
        frames: of a film, at most; rows of the table of frame positions.
        frame_tokens, width: rows that a frame is to the video Q-Former, and their width.
        video_tokens: that a whole film is to the LLaMA.
        video_layers, video_heads, video_mlp, dropout: of the video Q-Former.
        sinusoidal_positions: the table of frame positions starts as sines, not as noise; ours, for small models.
        llama: sizes of the language model, `MARKS` among its words.
        prompt_id: how a moment is asked for, a key of `baselines.mllm.grounding_gpt.prompts.QUESTIONS`.
        prompt_style: separators of a prompt that is to be answered; the authors ask with ``upstream_infer``.
        transform: ``resize``, or the random crop that the authors' code takes even to answer.
        crop_seed: of that crop; theirs is another one at every call.
        short_films: a film with fewer than ``frames`` frames gives those that it has, as the authors', or repeats
            them, so that the number of a frame always is the same fraction of the film.
        on_video_change: turns about other films are forgotten, or told after the film.
        temperature: of sampling; 0 takes the likeliest token. The authors sample at 0.2.
        max_new_tokens: of an answer about a moment. The authors allow 512.
    """

    blip2: Blip2RetrieverConfig | None = None
    frames: int = 64
    frame_tokens: int = 32
    width: int = 768
    video_tokens: int = 64
    video_layers: int = 2
    video_heads: int = 12
    video_mlp: int = 3072
    dropout: float = 0.1
    sinusoidal_positions: bool = False
    llama: LlamaSizes = field(default_factory=lambda: LlamaSizes(BASE_VOCABULARY + len(MARKS), positions=2048))
    prompt_id: str = "ggpt_v1"
    prompt_style: PromptStyle = "upstream_infer"
    transform: Transform = "resize"
    crop_seed: int = 0
    short_films: ShortFilms = "fewer"
    on_video_change: OnVideoChange = "reset"
    temperature: float = 0.0
    max_new_tokens: int = 64

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> GroundingGptConfig:
        """The inverse of `dataclasses.asdict`."""
        blip2 = values.get("blip2")
        nested: dict[str, Any] = {"llama": LlamaSizes(**values["llama"])}
        if blip2 is not None:
            nested["blip2"] = Blip2RetrieverConfig(**blip2)
        return cls(**{**values, **nested})


PRESETS: Mapping[str, GroundingGptConfig] = {
    "mini": GroundingGptConfig(
        frames=32,
        frame_tokens=8,
        width=96,
        video_tokens=32,
        video_layers=1,
        video_heads=4,
        video_mlp=192,
        dropout=0.0,
        sinusoidal_positions=True,
        llama=LlamaSizes(
            1240 + len(MARKS), hidden=128, layers=3, heads=4, mlp=384, positions=1024, initializer_range=0.09
        ),
        prompt_style="train",
        on_video_change="summary",
    ),
    "paper": GroundingGptConfig(blip2=Blip2RetrieverConfig()),
}
"""``mini`` fits IVCR-Mini, on the frames and words of InterLLaVA's first phase; ``paper`` is on Vicuna-7B v1.5."""
