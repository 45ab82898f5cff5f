"""The model: frames through BLIP-2, a film through the video Q-Former, and a LLaMA that reads and writes.

Built from Hugging Face's modules under Hugging Face's names; `conversion` has the authors'. The branches for images
and sound are left out: nothing here shows a picture or plays a sound.
"""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import Blip2QFormerConfig, Blip2QFormerModel, Blip2VisionModel

from baselines.backbones.blip2 import Blip2RetrieverConfig
from baselines.mllm.grounding_gpt.config import GroundingGptConfig

VISION_NORM_EPS = 1e-5
QUERY_DEVIATION = 0.02
FRAMES_AT_ONCE = 32
LONGEST_WAVE = 10_000.0


class Float32LayerNorm(nn.LayerNorm):
    """A norm that computes in float32 whatever it is given, as LAVIS's does."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalise the last axis."""
        weight, bias = self.weight.float(), self.bias.float()
        return F.layer_norm(input.float(), self.normalized_shape, weight, bias, self.eps).to(input.dtype)


class FrameEncoder(nn.Module):
    """The frozen part of BLIP-2: a ViT and a Q-Former without its text branch; it never leaves `eval` mode."""

    def __init__(self, config: Blip2RetrieverConfig) -> None:
        super().__init__()
        self.vision_model = Blip2VisionModel(config.vision())
        self.vision_model.post_layernorm = Float32LayerNorm(config.vision_width, eps=VISION_NORM_EPS)
        self.query_tokens = nn.Parameter(torch.randn(1, config.queries, config.width) * QUERY_DEVIATION)
        sizes = config.qformer()
        sizes.use_qformer_text_input = False
        self.qformer = Blip2QFormerModel(sizes)
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Self:
        """Stay in `eval` mode."""
        return super().train(False)

    def forward(self, pixels: Tensor) -> Tensor:
        """Rows ``[frames, queries, width]`` of normalised frames ``[frames, 3, height, width]``."""
        tokens = self.vision_model(pixels).last_hidden_state
        queries = self.query_tokens.expand(len(pixels), -1, -1)
        rows: Tensor = self.qformer(query_embeds=queries, encoder_hidden_states=tokens).last_hidden_state
        return rows


class VideoQFormer(nn.Module):
    """A film as so many tokens of the LLaMA, however long it is."""

    def __init__(self, config: GroundingGptConfig) -> None:
        super().__init__()
        self.frame_positions = nn.Embedding(config.frames, config.width)
        self.query_tokens = nn.Parameter(torch.randn(1, config.video_tokens, config.width) * QUERY_DEVIATION)
        self.qformer = Blip2QFormerModel(
            Blip2QFormerConfig(
                vocab_size=1,
                hidden_size=config.width,
                num_hidden_layers=config.video_layers,
                num_attention_heads=config.video_heads,
                intermediate_size=config.video_mlp,
                hidden_dropout_prob=config.dropout,
                attention_probs_dropout_prob=config.dropout,
                cross_attention_frequency=1,
                encoder_hidden_size=config.width,
                use_qformer_text_input=False,
            )
        )
        self.projection = nn.Linear(config.width, config.llama.hidden)
        if config.sinusoidal_positions:
            with torch.no_grad():
                self.frame_positions.weight.copy_(waves(config.frames, config.width))

    def forward(self, rows: Tensor, present: Tensor | None = None) -> Tensor:
        """Tokens ``[films, video_tokens, hidden]``.

        Args:
            rows: ``[films, frames, rows of a frame, width]``.
            present: ``[films, frames]`` boolean, ``False`` where a shorter film is padded.
        """
        frames, frame_rows = rows.shape[1:3]
        positions = self.frame_positions(torch.arange(frames, device=rows.device))
        keys = (rows + positions.unsqueeze(1)).flatten(1, 2)
        mask = None if present is None else present.repeat_interleave(frame_rows, dim=1)
        tokens = self.qformer(
            query_embeds=self.query_tokens.expand(len(rows), -1, -1),
            encoder_hidden_states=keys,
            encoder_attention_mask=mask,
        ).last_hidden_state
        return self.projection(tokens)


class GroundingGpt(nn.Module):
    """The model; a `baselines.mllm.protocol.MomentModel`.

    ``frames``, the encoder of frames, is ``None`` where its outputs are given.
    """

    def __init__(self, config: GroundingGptConfig) -> None:
        super().__init__()
        self.config = config
        self.frames = FrameEncoder(config.blip2) if config.blip2 else None
        self.video = VideoQFormer(config)
        self.llama = config.llama.build()

    def film_tokens(self, rows: Tensor) -> Tensor:
        """Tokens ``[films, video_tokens, hidden]`` of films ``[films, frames, rows of a frame, width]``."""
        tokens: Tensor = self.video(rows)
        return tokens

    def encode_frames(self, pixels: Tensor) -> Tensor:
        """Rows ``[frames, rows of a frame, width]`` of normalised frames ``[frames, 3, height, width]``.

        Raises:
            ValueError: the model has no encoder of frames.
        """
        if self.frames is None:
            raise ValueError("this model has no encoder of frames, expected their rows")
        with torch.no_grad():
            return torch.cat([self.frames(chunk) for chunk in pixels.split(FRAMES_AT_ONCE)])


def waves(positions: int, width: int) -> Tensor:
    """Sines and cosines of the position, one wavelength a pair (Vaswani et al. 2017): ``[positions, width]``."""
    place = torch.arange(positions).unsqueeze(1)
    rates = LONGEST_WAVE ** (-torch.arange(0, width, 2) / width)
    return torch.stack([(place * rates).sin(), (place * rates).cos()], dim=-1).flatten(1)


def init_added_rows(model: GroundingGpt, added: int) -> None:
    """Start the last ``added`` words, read and written, at the mean of all words before them."""
    with torch.no_grad():
        for table in (model.llama.get_input_embeddings().weight, model.llama.get_output_embeddings().weight):
            assert isinstance(table, Tensor)
            table[-added:] = table[:-added].mean(0)
