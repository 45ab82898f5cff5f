"""Answers of a batch of conversations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import LlamaForCausalLM

from baselines.mllm.llama import Decoding, PromptBatch, embed


@torch.inference_mode()
def generate(
    llama: LlamaForCausalLM, batch: PromptBatch, films: Tensor, ends: Sequence[int], decoding: Decoding
) -> list[list[int]]:
    """The tokens of each answer, without the one that ends it; a film is encoded once, not for every token.

    Args:
        batch: padded on the left.
        films: visual tokens in the order of their places.
        ends: ids of the tokens that end an answer (`baselines.mllm.grounding_gpt.encoding.ends`).
    """
    model: Any = llama
    found = model.generate(
        inputs_embeds=embed(llama, batch, films),
        attention_mask=batch.mask,
        eos_token_id=list(ends),
        pad_token_id=ends[0],
        **decoding.arguments(),
    )
    stops = set(ends)
    rows: list[list[int]] = found.tolist()
    return [row[: next((n for n, token in enumerate(row) if token in stops), len(row))] for row in rows]
