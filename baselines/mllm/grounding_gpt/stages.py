"""The three stages of the authors' training: what is trained in each, on what, and how."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor, nn

from baselines.mllm.grounding_gpt.model import GroundingGpt

WARMUP_SHARE = 0.03
WEIGHT_DECAY = 0.0


@dataclass(frozen=True)
class Stage:
    """A stage; AdamW with a cosine schedule, `WARMUP_SHARE` of it warm-up, in bfloat16, one epoch each.

    Attributes:
        whole_llama: else only its input words are, and of those only the two marks of a film get a gradient.
        films: data sets of films that are trained on; those of pictures and sounds are left out.
        batch, accumulation: samples of a step on one GPU; how many GPUs the authors had is not known.
    """

    whole_llama: bool
    learning_rate: float
    batch: int
    accumulation: int
    films: tuple[str, ...]


STAGES = (
    Stage(False, 1e-3, 64, 1, ("Valley-Pretrain-703K",)),
    Stage(True, 2e-5, 32, 2, ("Charades-STA", "DiDeMo")),
    Stage(True, 2e-5, 32, 2, ("Valley instruct", "ActivityNet Captions", "Charades-STA", "DiDeMo")),
)


def trained(model: GroundingGpt, stage: Stage) -> Iterator[tuple[str, nn.Parameter]]:
    """Names and parameters that ``stage`` trains; the encoder of frames never is."""
    for name, parameter in model.named_parameters():
        words = name == "llama.model.embed_tokens.weight"
        if name.startswith("video.") or words or (stage.whole_llama and name.startswith("llama.")):
            yield name, parameter


def keep_gradient_of(words: nn.Parameter, kept: list[int]) -> None:
    """Let only the rows ``kept`` of a table of words learn, as the first stage does with a film's two marks."""

    def only_kept(gradient: Tensor) -> Tensor:
        masked = gradient.new_zeros(gradient.shape)
        masked[kept] = gradient[kept]
        return masked

    words.register_hook(only_kept)
