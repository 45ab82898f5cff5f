"""Greedy answers for a batch of prompts: the index and the times are chosen among the places they may point at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import DynamicCache

from baselines.interllava import prompts
from baselines.interllava.assembly import Assembler, Batch, Sample
from baselines.interllava.model import InterLlava
from baselines.interllava.objective import END_OFFSET, START_OFFSET

MAX_FEEDBACK_TOKENS = 72


@dataclass(frozen=True)
class Generated:
    """One answer: the explanation, and the tokens that it took."""

    feedback: str
    tokens: int


class Decoder:
    """Decodes one batch of prompts, step by step, over a key-value cache."""

    def __init__(self, model: InterLlava, assembler: Assembler, samples: Sequence[Sample]) -> None:
        self.model, self.assembler = model, assembler
        self.batch: Batch = assembler.collate(samples, pad_left=True)
        self.cache = DynamicCache()
        self.mask = self.batch.attention_mask
        self.rows = torch.arange(len(samples))
        states = self._forward(model.embed(self.batch))
        self.anchors = states[self.rows.unsqueeze(-1), self.batch.anchors]
        self.logits = self._read_out(states)

    def feed(self, tokens: Tensor) -> None:
        """Append ``tokens [B, n]`` to every sequence and compute what comes next."""
        self.mask = torch.cat([self.mask, torch.ones_like(tokens)], dim=1)
        embeddings = self.model.backbone.get_input_embeddings()(tokens)
        self.logits = self._read_out(self._forward(embeddings))

    def feed_text(self, text: str) -> None:
        """Append the same text to every sequence."""
        ids = torch.tensor(self.assembler.encode(text))
        self.feed(ids.expand(len(self.rows), -1))

    def feedback(self) -> list[Generated]:
        """Greedy continuation of every sequence up to its end-of-answer token."""
        alive = torch.ones(len(self.rows), dtype=torch.bool)
        steps: list[Tensor] = []
        for _ in range(MAX_FEEDBACK_TOKENS):
            tokens = self.logits.argmax(-1).where(alive, self.assembler.end)
            alive = alive & (tokens != self.assembler.end)
            if not alive.any():
                break
            steps.append(tokens)
            self.feed(tokens.unsqueeze(-1))
        rows = torch.stack(steps, dim=1).tolist() if steps else [[] for _ in self.rows]
        return [self._decode(row) for row in rows]

    def _decode(self, ids: list[int]) -> Generated:
        kept = ids[: ids.index(self.assembler.end)] if self.assembler.end in ids else ids
        return Generated(self.assembler.decode(kept), len(kept))

    def _forward(self, embeddings: Tensor) -> Tensor:
        positions = (self.mask.cumsum(-1) - 1).clamp(min=0)[:, -embeddings.shape[1] :]
        states: Tensor = self.model.backbone.model(
            inputs_embeds=embeddings,
            attention_mask=self.mask,
            position_ids=positions,
            past_key_values=self.cache,
            use_cache=True,
        ).last_hidden_state
        return states

    def _read_out(self, states: Tensor) -> Tensor:
        return self.model.read_out(states[:, -1], self.anchors, self.batch, self.rows)


def choose_index(
    model: InterLlava, assembler: Assembler, samples: Sequence[Sample], prior: Tensor
) -> tuple[Tensor, list[Generated]]:
    """Re-rank the candidates of each retrieval prompt and explain the first.

    Args:
        prior: ``[B, candidates]`` added to the index logits; ``-inf`` where there is no candidate.

    Returns:
        scores ``[B, candidates]`` and the generated explanations.
    """
    decoder = Decoder(model, assembler, samples)
    decoder.feed_text(prompts.RETRIEVAL_PREFIX)
    index_ids = torch.tensor(assembler.index_ids[: prior.shape[1]])
    scores = decoder.logits[:, index_ids].log_softmax(-1) + prior
    decoder.feed(index_ids[scores.argmax(-1)].unsqueeze(-1))
    decoder.feed_text(prompts.AFTER_INDEX)
    return scores, decoder.feedback()


def choose_interval(
    model: InterLlava, assembler: Assembler, samples: Sequence[Sample]
) -> tuple[Tensor, list[Generated]]:
    """Locate the moment of each moment prompt and explain it.

    Returns:
        ``[B, 2]`` start and end in seconds, within the film, and the generated explanations.
    """
    decoder = Decoder(model, assembler, samples)
    decoder.feed_text(prompts.MOMENT_PREFIX)
    time_ids = torch.tensor(assembler.time_ids)
    seconds = torch.arange(len(time_ids), dtype=torch.float32)
    duration = decoder.batch.duration.unsqueeze(-1)
    starts = decoder.logits[:, time_ids].masked_fill(seconds >= duration, -torch.inf)
    first = starts.argmax(-1)
    decoder.feed(time_ids[first].unsqueeze(-1))
    decoder.feed_text(prompts.BETWEEN_TIMES)
    ends = decoder.logits[:, time_ids].masked_fill(seconds >= duration, -torch.inf)
    last = ends.masked_fill(seconds < first.unsqueeze(-1), -torch.inf).argmax(-1)
    decoder.feed(time_ids[last].unsqueeze(-1))
    decoder.feed_text(prompts.AFTER_TIMES)
    start = sharpen(starts, first, seconds + START_OFFSET).clamp(min=0)
    end = torch.minimum(sharpen(ends, last, seconds + END_OFFSET), duration.squeeze(-1))
    interval = torch.stack([torch.minimum(start, end), torch.maximum(start, end)], dim=-1)
    return interval, decoder.feedback()


def sharpen(logits: Tensor, best: Tensor, seconds: Tensor) -> Tensor:
    """The mean time under the softmax over the best token and its two neighbours: finer than a whole second.

    >>> logits = torch.tensor([[0.0, 5.0, 5.0, -torch.inf]])
    >>> sharpen(logits, torch.tensor([1]), torch.arange(4.0)).item() > 1.49
    True
    """
    near = (torch.arange(logits.shape[-1]) - best.unsqueeze(-1)).abs() <= 1
    return (logits.masked_fill(~near, -torch.inf).softmax(-1) * seconds).sum(-1)
