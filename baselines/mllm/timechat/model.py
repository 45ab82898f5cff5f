"""TimeChat (Ren et al., CVPR 2024, arXiv 2312.02051): frames that know their time, windows of them as visual tokens.

Written from the paper on modules of Hugging Face. InterLLaVA's frames are encoded in the same way, so at mini scale
its first phase is the encoder of frames.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import Blip2QFormerConfig, Blip2QFormerModel, Blip2VisionModel, LlamaForCausalLM
from transformers.models.blip_2.modeling_blip_2 import Blip2TextEmbeddings

from baselines.backbones.blip2 import Blip2RetrieverConfig
from baselines.mllm import lora
from baselines.mllm.timechat.config import TimeChatConfig

LN_VISION_EPS = 1e-5
QUERY_STD = 0.02


class TimestampFrameEncoder(nn.Module):
    """A ViT and an image Q-Former that reads when the frame was taken; names are those of `Blip2VideoRetriever`."""

    def __init__(self, config: Blip2RetrieverConfig) -> None:
        super().__init__()
        self.vision_model = Blip2VisionModel(config.vision())
        self.vision_model.post_layernorm.eps = LN_VISION_EPS
        self.embeddings = Blip2TextEmbeddings(config.qformer())
        self.qformer = Blip2QFormerModel(config.qformer())
        self.query_tokens = nn.Parameter(torch.empty(1, config.queries, config.width))
        for parameter in (self.query_tokens, *self.embeddings.parameters()):
            nn.init.normal_(parameter, std=config.initializer_range)

    def forward(self, pixels: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
        """Rows of each frame: first of the queries, then of the words.

        Args:
            pixels: ``[frames, 3, height, width]``, normalised.
            ids, mask: ``[frames, length]``: the sentences of `time_sentences`.

        Returns:
            ``[frames, queries + length, width]``.
        """
        queries = self.query_tokens.expand(len(pixels), -1, -1)
        return self.qformer(
            query_embeds=self.embeddings(input_ids=ids, query_embeds=queries),
            query_length=queries.shape[1],
            attention_mask=torch.cat([mask.new_ones(queries.shape[:2]), mask], dim=1),
            encoder_hidden_states=self.vision_model(pixels).last_hidden_state,
        ).last_hidden_state


class TimeChat(nn.Module):
    """From rows of frames to answers; see `baselines.mllm.protocol.MomentModel`."""

    def __init__(self, config: TimeChatConfig) -> None:
        super().__init__()
        self.config = config
        self.frame_encoder = TimestampFrameEncoder(config.blip2) if config.blip2 else None
        self.video_frame_position_embedding = nn.Embedding(config.frames, config.width)
        self.video_query_tokens = nn.Parameter(torch.empty(1, config.window_tokens, config.width))
        self.video_qformer = Blip2QFormerModel(
            Blip2QFormerConfig(
                vocab_size=1,
                hidden_size=config.width,
                num_hidden_layers=config.video_layers,
                num_attention_heads=config.video_heads,
                intermediate_size=config.video_mlp,
                hidden_dropout_prob=config.dropout,
                attention_probs_dropout_prob=config.dropout,
                encoder_hidden_size=config.width,
                cross_attention_frequency=1,
                use_qformer_text_input=False,
            )
        )
        self.llama_proj = nn.Linear(config.width, config.llama.hidden)
        self.language_model: Any = config.llama.build()
        for parameter in (self.video_query_tokens, self.video_frame_position_embedding.weight):
            nn.init.normal_(parameter, std=QUERY_STD)

    @property
    def llama(self) -> LlamaForCausalLM:
        """The language model, without a LoRA around it."""
        found = self.language_model
        return cast(LlamaForCausalLM, found if isinstance(found, LlamaForCausalLM) else found.get_base_model())

    def film_tokens(self, rows: Tensor) -> Tensor:
        """Visual tokens ``[films, tokens, hidden]`` of rows of frames ``[films, frames, rows, width]``.

        Rows of padded words are keys like any other (the authors' way), so films that are compared must be padded
        alike.
        """
        films, frames = rows.shape[:2]
        places = torch.arange(frames, device=rows.device)
        placed = rows + self.video_frame_position_embedding(places)[:, None]
        queries = self.video_query_tokens.expand(films, -1, -1)
        windows = [
            self.video_qformer(
                query_embeds=queries,
                encoder_hidden_states=placed[:, start : start + self.config.window].flatten(1, 2),
            ).last_hidden_state
            for start in range(0, frames, self.config.stride)
        ]
        return self.llama_proj(torch.cat(windows, dim=1))

    def encode_frames(self, pixels: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
        """Rows for `film_tokens`, of frames and the sentences that say their times; see `TimestampFrameEncoder`."""
        if self.frame_encoder is None:
            raise ValueError("found no encoder of frames: the configuration says that its outputs are given")
        rows: Tensor = self.frame_encoder(pixels, ids, mask)
        return rows if self.config.keep_time_rows else rows[:, : self.frame_encoder.query_tokens.shape[1]]


def prepare_training(model: TimeChat) -> TimeChat:
    """Freeze what the authors freeze and adapt the language model: ViT and LLaMA stay, Q-Formers and LoRA learn."""
    if model.frame_encoder is not None:
        model.frame_encoder.vision_model.requires_grad_(False)
    model.language_model = lora.attach(model.language_model, model.config.lora)
    return model
