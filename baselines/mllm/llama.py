"""The language model of the three: prompts in which visual tokens stand among words, loss and answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import LlamaConfig, LlamaForCausalLM

from baselines.mllm.pieces import FILM_PLACE, IGNORED, Encoded

TOP_K = 50
"""Drawn answers choose among so many tokens: what the authors did not set was 50 in their Hugging Face."""


@dataclass(frozen=True)
class LlamaSizes:
    """Sizes; the defaults are those of LLaMA-2-7B and of Vicuna-7B v1.5.

    Attributes:
        positions: the longest prompt with its answer.
        initializer_range: deviation of random weights; a small width needs more than 0.02, about its root's inverse.
    """

    vocab_size: int = 32_000
    hidden: int = 4096
    layers: int = 32
    heads: int = 32
    mlp: int = 11_008
    positions: int = 4096
    initializer_range: float = 0.02

    @classmethod
    def mini(cls, vocab_size: int) -> LlamaSizes:
        """Sizes for IVCR-Mini on two CPU cores: those of InterLLaVA ``mini``."""
        return cls(vocab_size, hidden=128, layers=4, heads=4, mlp=384, positions=2048, initializer_range=0.09)

    def build(self) -> LlamaForCausalLM:
        """A model with random weights."""
        return LlamaForCausalLM(
            LlamaConfig(
                vocab_size=self.vocab_size,
                hidden_size=self.hidden,
                num_hidden_layers=self.layers,
                num_attention_heads=self.heads,
                intermediate_size=self.mlp,
                max_position_embeddings=self.positions,
                initializer_range=self.initializer_range,
                rms_norm_eps=1e-5,
                tie_word_embeddings=False,
            )
        )


@dataclass(frozen=True)
class PromptBatch:
    """Prompts padded to one length L, ``[B, L]`` each; ids are `FILM_PLACE` where visual tokens go."""

    ids: Tensor
    mask: Tensor
    labels: Tensor


def collate(prompts: Sequence[Encoded], *, pad_left: bool = False) -> PromptBatch:
    """Pad ``prompts`` to one batch; on the left for answers, on the right for training."""
    length = max(len(prompt.ids) for prompt in prompts)
    ids = torch.zeros(len(prompts), length, dtype=torch.long)
    mask, labels = torch.zeros_like(ids), torch.full_like(ids, IGNORED)
    for row, prompt in enumerate(prompts):
        start = length - len(prompt.ids) if pad_left else 0
        span = slice(start, start + len(prompt.ids))
        ids[row, span], labels[row, span], mask[row, span] = torch.tensor(prompt.ids), torch.tensor(prompt.labels), 1
    return PromptBatch(ids, mask, labels)


def embed(llama: LlamaForCausalLM, batch: PromptBatch, films: Tensor) -> Tensor:
    """Input embeddings ``[B, L, hidden]``.

    Args:
        films: visual tokens in the order of their places, ``[..., hidden]``.

    Raises:
        ValueError: there are more or fewer places than visual tokens.
    """
    places = batch.ids == FILM_PLACE
    flat = films.reshape(-1, films.shape[-1])
    if int(places.sum()) != len(flat):
        raise ValueError(f"found {int(places.sum())} places for {len(flat)} visual tokens")
    words: Tensor = llama.get_input_embeddings()(batch.ids.masked_fill(places, 0))
    return words.masked_scatter(places.unsqueeze(-1), flat.to(words.dtype))


def answer_loss(llama: LlamaForCausalLM, batch: PromptBatch, films: Tensor) -> Tensor:
    """Mean cross-entropy of the learned tokens; logits are computed only where one follows."""
    states = llama.model(inputs_embeds=embed(llama, batch, films), attention_mask=batch.mask).last_hidden_state
    following = batch.labels[:, 1:]
    learned = following != IGNORED
    return F.cross_entropy(llama.lm_head(states[:, :-1][learned]).float(), following[learned])


@dataclass(frozen=True)
class Decoding:
    """How an answer is drawn: greedily, unless ``temperature`` is above 0."""

    longest: int = 64
    temperature: float = 0.0
    top_p: float = 1.0

    def arguments(self) -> dict[str, Any]:
        """For `transformers.GenerationMixin.generate`."""
        if not self.temperature:
            return {"max_new_tokens": self.longest, "do_sample": False}
        drawn = {"temperature": self.temperature, "top_p": self.top_p, "top_k": TOP_K}
        return {"max_new_tokens": self.longest, "do_sample": True, **drawn}


@torch.inference_mode()
def generate(
    llama: LlamaForCausalLM, batch: PromptBatch, films: Tensor, end: int, decoding: Decoding
) -> list[list[int]]:
    """The tokens of each answer, without the one that ends it.

    Args:
        batch: padded on the left.
        end: id of the token that ends an answer.
    """
    model: Any = llama
    found = model.generate(
        inputs_embeds=embed(llama, batch, films),
        attention_mask=batch.mask,
        eos_token_id=end,
        pad_token_id=end,
        **decoding.arguments(),
    )
    rows: list[list[int]] = found.tolist()
    return [row[: row.index(end)] if end in row else row for row in rows]
