"""InterLLaVA's second phase: sliding video Q-Former, projection, LLaMA, and the pointer read-out.

The frames arrive as key vectors of the image Q-Former (`baselines.interllava.films`). The model sees one batch of
dialogues (`baselines.interllava.assembly.Batch`) and gives logits at the places where answer tokens are due.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import Blip2QFormerConfig, Blip2QFormerModel, LlamaConfig, LlamaForCausalLM

from baselines.interllava.assembly import Batch
from baselines.interllava.config import InterLlavaConfig
from baselines.interllava.matching import FEATURES


class SlidingVideoQFormer(nn.Module):
    """Turns windows of frames into visual tokens of the LLM's width (sheet section 1.4).

    Beside the paper's path (frame positions, video Q-Former, projection) each token gets two things of ours: the
    mean of its frames' phase-1 vectors, projected as the query's vector is, and a code of how well they match.
    """

    def __init__(self, config: InterLlavaConfig) -> None:
        super().__init__()
        width = config.vision_width
        self.frame_positions = nn.Embedding(config.max_frames, width)
        self.video_query_tokens = nn.Parameter(torch.zeros(1, config.video_queries, width))
        self.video_qformer = Blip2QFormerModel(
            Blip2QFormerConfig(
                vocab_size=1,
                hidden_size=width,
                num_hidden_layers=config.video_layers,
                num_attention_heads=config.vision_heads,
                intermediate_size=2 * width,
                encoder_hidden_size=width,
                cross_attention_frequency=1,
                use_qformer_text_input=False,
            )
        )
        self.projection = nn.Linear(width, config.hidden)
        self.align = nn.Linear(config.shared_width, config.hidden, bias=False)
        self.match = nn.Parameter(torch.zeros(config.hidden)) if config.match_code else None
        nn.init.normal_(self.video_query_tokens, std=0.02)
        nn.init.normal_(self.frame_positions.weight, std=0.02)
        nn.init.normal_(self.align.weight, std=config.initializer_range * 2)

    def forward(self, keys: Tensor, positions: Tensor, shared: Tensor, query: Tensor) -> Tensor:
        """Visual tokens of each window.

        Args:
            keys: ``[M, window, rows, width]`` image Q-Former outputs of the frames of M windows.
            positions: ``[M, window]`` the frame's number within its film.
            shared: ``[M, window, shared_width]`` the frames' phase-1 vectors, normalised.
            query: ``[M, shared_width]`` the phase-1 vector of the query that the window is shown with.

        Returns:
            ``[M, video_queries, hidden]``.
        """
        placed = keys + self.frame_positions(positions).unsqueeze(2)
        tokens = self.video_qformer(
            query_embeds=self.video_query_tokens.expand(len(keys), -1, -1),
            encoder_hidden_states=placed.flatten(1, 2),
        ).last_hidden_state
        visual = self.projection(tokens) + self.align(shared.mean(1)).unsqueeze(1)
        if self.match is None:
            return visual
        similarity = (shared * query.unsqueeze(1)).sum(-1).mean(1)
        return visual + similarity[:, None, None] * self.match


class PointerReadout(nn.Module):
    """Adds to the logit of a pointing token how well the present state matches the place that it points at.

    Index tokens point at the end of their candidate, time tokens at the visual tokens of their second. The added
    term is q(h) . k(h_anchor) / sqrt(d) + w(h) . m, with m what the first stage knows of the match there
    (`baselines.interllava.matching`). Generation still emits the index and the times as text.
    """

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.query = nn.Linear(hidden, hidden)
        self.key = nn.Linear(hidden, hidden)
        self.weigh = nn.Linear(hidden, FEATURES)
        nn.init.zeros_(self.weigh.weight)
        nn.init.zeros_(self.weigh.bias)

    def forward(self, states: Tensor, anchors: Tensor, matches: Tensor, present: Tensor) -> Tensor:
        """What to add to the logits of the pointing tokens.

        Args:
            states: ``[N, hidden]``.
            anchors: ``[N, A, hidden]``.
            matches: ``[N, A, FEATURES]``.
            present: ``[N, A]`` boolean.

        Returns:
            ``[N, A]``, 0 where absent.
        """
        scores = (self.key(anchors) @ self.query(states).unsqueeze(-1)).squeeze(-1)
        known = (matches @ self.weigh(states).unsqueeze(-1)).squeeze(-1)
        return (scores / states.shape[-1] ** 0.5 + known).masked_fill(~present, 0.0)


class InterLlava(nn.Module):
    """The trainable part of InterLLaVA."""

    def __init__(self, config: InterLlavaConfig, vocabulary: int) -> None:
        super().__init__()
        self.config = config
        self.visual = SlidingVideoQFormer(config)
        self.llm: Any = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=vocabulary,
                hidden_size=config.hidden,
                num_hidden_layers=config.layers,
                num_attention_heads=config.heads,
                intermediate_size=config.mlp,
                initializer_range=config.initializer_range,
                max_position_embeddings=config.max_positions,
                tie_word_embeddings=False,
            )
        )
        self.pointer = PointerReadout(config.hidden)
        if config.lora_rank:
            self._add_lora(config.lora_rank)

    def _add_lora(self, rank: int) -> None:
        from peft import LoraConfig, get_peft_model

        targets = ["q_proj", "k_proj", "v_proj", "o_proj"]
        lora = LoraConfig(r=rank, lora_alpha=rank, lora_dropout=0.1, target_modules=targets, task_type="CAUSAL_LM")
        self.llm = get_peft_model(self.llm, lora)

    @property
    def backbone(self) -> LlamaForCausalLM:
        """The LLaMA, whether or not it carries LoRA."""
        return self.llm.get_base_model() if self.config.lora_rank else self.llm

    def embed(self, batch: Batch) -> Tensor:
        """Input embeddings ``[B, L, hidden]``: words, with visual tokens and query vectors in their places."""
        embeddings = self.backbone.get_input_embeddings()(batch.input_ids)
        rows = self.visual.align(batch.query).to(embeddings.dtype)
        embeddings = embeddings.masked_scatter(batch.query_places.unsqueeze(-1), rows)
        if len(batch.keys):
            window_query = batch.query[batch.window_sample]
            visual = self.visual(batch.keys, batch.positions, batch.shared, window_query)
            embeddings = embeddings.masked_scatter(batch.visual_places.unsqueeze(-1), visual.to(embeddings.dtype))
        return embeddings

    def states(self, batch: Batch) -> Tensor:
        """Last hidden states ``[B, L, hidden]``."""
        return self.backbone.model(
            inputs_embeds=self.embed(batch), attention_mask=batch.attention_mask
        ).last_hidden_state

    def logits_at(self, states: Tensor, batch: Batch, rows: Tensor, columns: Tensor) -> Tensor:
        """Logits ``[N, vocabulary]`` of the tokens that follow the given places of the batch."""
        samples = torch.arange(len(states)).unsqueeze(-1)
        anchors = states[samples, batch.anchors]
        return self.read_out(states[rows, columns], anchors[rows], batch, rows)

    def read_out(self, here: Tensor, anchors: Tensor, batch: Batch, rows: Tensor) -> Tensor:
        """Language logits of states ``here [N, hidden]`` plus the pointer's; ``rows`` are their samples."""
        logits = self.backbone.lm_head(here).float()
        if not batch.anchors.shape[1]:
            return logits
        scores = self.pointer(here, anchors, batch.matches[rows], batch.anchor_present[rows]).float()
        return logits.scatter_add(1, batch.anchor_tokens[rows], scores)
