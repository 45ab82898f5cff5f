"""VTimeLLM: a linear layer makes one token of each frame, and a LLaMA reads them."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from baselines.mllm.vtimellm.config import VTimeLlmConfig


class VTimeLlm(nn.Module):
    """The model beyond the frame encoder.

    Names are the authors', but that ``mm_projector`` stands beside the language model and not inside it
    (`baselines.mllm.vtimellm.checkpoint`).
    """

    def __init__(self, config: VTimeLlmConfig) -> None:
        super().__init__()
        self.config = config
        self.mm_projector = nn.Linear(config.feature_width, config.llama.hidden)
        self.llama = config.llama.build()

    def film_tokens(self, rows: Tensor) -> Tensor:
        """One token a frame.

        Args:
            rows: CLIP vectors ``[films, frames, feature_width]``; a picture is a film of one frame.

        Returns:
            ``[films, frames, hidden]``.
        """
        tokens = self.mm_projector(rows)
        return tokens + frame_code(rows.shape[1], tokens) if self.config.frame_code else tokens


def frame_code(frames: int, like: Tensor) -> Tensor:
    """Sines and cosines of the frame's number, ``[frames, width]`` (Vaswani et al. 2017)."""
    width = like.shape[-1]
    rates = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000) / width))
    angles = torch.arange(frames)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=-1)[:, :width].to(like)
