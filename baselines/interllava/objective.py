"""The training objective of phase 2: L = L_M + alpha L_V + beta L_C over one batch (equation 4)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from baselines.interllava.assembly import IGNORED, Assembler, Batch
from baselines.interllava.config import LossMode
from baselines.interllava.losses import (
    expected_seconds,
    index_loss,
    interval_loss,
    language_loss,
    official_logged,
)
from baselines.interllava.model import InterLlava

START_OFFSET, END_OFFSET = 0.25, 0.75
"""Where in its second a start and an end lie on average (seconds are multiples of 0.5 in IVCR-Mini)."""


@dataclass(frozen=True)
class LossParts:
    """The three losses of a batch, each a scalar; a part that has no turn in the batch is 0."""

    language: Tensor
    index: Tensor
    interval: Tensor

    def total(self, alpha: float, beta: float, mode: LossMode = "paper") -> Tensor:
        """Equation 4; ``official_logged`` is what the published code descends: L_M alone."""
        if mode == "official_logged":
            return self.language
        return self.language + alpha * self.index + beta * self.interval


def loss_parts(model: InterLlava, batch: Batch, assembler: Assembler) -> LossParts:
    """Teacher-forced losses of ``batch``."""
    rows, columns = torch.nonzero(batch.labels[:, 1:] != IGNORED, as_tuple=True)
    labels = batch.labels[rows, columns + 1]
    logits = model.logits_at(model.states(batch), batch, rows, columns)
    return LossParts(
        language_loss(logits, labels),
        _index(logits, labels, rows, batch, assembler),
        _interval(logits, labels, rows, batch, assembler),
    )


def official_terms(model: InterLlava, batch: Batch, assembler: Assembler) -> list[float]:
    """What the published code would add to the logged loss of each turn: numbers without gradient."""
    index_ids, time_ids = set(assembler.index_ids), set(assembler.time_ids)
    rows, columns = torch.nonzero(batch.labels[:, 1:] != IGNORED, as_tuple=True)
    labels = batch.labels[rows, columns + 1].tolist()
    with torch.no_grad():
        guesses = model.logits_at(model.states(batch), batch, rows, columns).argmax(-1).tolist()
    right: dict[int, bool] = {}
    seconds: dict[int, list[int]] = {}
    for row, label, guess in zip(rows.tolist(), labels, guesses, strict=True):
        if label in index_ids:
            right[row] = label == guess
        elif label in time_ids and guess in time_ids:
            seconds.setdefault(row, []).append(assembler.time_ids.index(guess))
    return [
        official_logged(right.get(row), _iou(seconds.get(row, []), batch.gold_interval[row].tolist()))
        for row in range(len(batch.labels))
    ]


def _iou(seconds: list[int], gold: list[float]) -> float | None:
    if len(seconds) != 2:
        return None
    start, end = sorted((seconds[0] + START_OFFSET, seconds[1] + END_OFFSET))
    overlap = max(0.0, min(end, gold[1]) - max(start, gold[0]))
    return overlap / (max(end, gold[1]) - min(start, gold[0]))


def log_likelihoods(model: InterLlava, batch: Batch) -> Tensor:
    """``[B]`` log-probability of each sample's answer."""
    rows, columns = torch.nonzero(batch.labels[:, 1:] != IGNORED, as_tuple=True)
    labels = batch.labels[rows, columns + 1]
    logits = model.logits_at(model.states(batch), batch, rows, columns)
    tokens = logits.log_softmax(-1).gather(1, labels.unsqueeze(-1)).squeeze(-1)
    return torch.zeros(len(batch.labels)).index_add(0, rows, tokens)


def _index(logits: Tensor, labels: Tensor, rows: Tensor, batch: Batch, assembler: Assembler) -> Tensor:
    index_ids = torch.tensor(assembler.index_ids)
    due = torch.isin(labels, index_ids) & (batch.gold_index[rows] >= 0)
    present = torch.zeros(len(rows), len(index_ids), dtype=torch.bool)
    width = min(batch.anchor_present.shape[1], len(index_ids))
    present[:, :width] = batch.anchor_present[rows, :width]
    return index_loss(logits[due][:, index_ids], batch.gold_index[rows][due], present[due])


def _interval(logits: Tensor, labels: Tensor, rows: Tensor, batch: Batch, assembler: Assembler) -> Tensor:
    time_ids = torch.tensor(assembler.time_ids)
    due = torch.isin(labels, time_ids)
    if not due.any():
        return logits.sum() * 0.0
    film_rows = rows[due].reshape(-1, 2)[:, 0]
    seconds = torch.arange(len(time_ids), dtype=torch.float32)
    beyond = seconds >= batch.duration[film_rows].unsqueeze(-1)
    start_logits, end_logits = logits[due][:, time_ids].reshape(-1, 2, len(time_ids)).unbind(1)
    start_logits = start_logits.masked_fill(beyond, -torch.inf)
    end_logits = end_logits.masked_fill(beyond, -torch.inf)
    return interval_loss(
        expected_seconds(start_logits, seconds + START_OFFSET),
        expected_seconds(end_logits, seconds + END_OFFSET),
        batch.gold_interval[film_rows],
        batch.duration[film_rows],
    )
