"""The three losses of BLIP-2's first stage (Li et al. 2023; LAVIS), as pure functions of scores and logits.

`ids` say which pairs belong together: pairs with one id are all positives of one another, and never negatives.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

NEVER = -10_000.0
SMOOTHING = 0.1


def itc_targets(ids: Tensor, smoothing: float = SMOOTHING) -> Tensor:
    """Target distributions ``[batch, batch]``: uniform over the entries of the row's id, then smoothed."""
    return smoothed(same_id(ids), smoothing)


def same_id(ids: Tensor) -> Tensor:
    """Which entries of a batch have one id: bool ``[batch, batch]``."""
    return ids[:, None] == ids[None, :]


def smoothed(positive: Tensor, smoothing: float = SMOOTHING) -> Tensor:
    """Target distributions, uniform over the positives of each row and then smoothed, of bool ``[rows, columns]``."""
    share = positive.float()
    return (1 - smoothing) * share / share.sum(1, keepdim=True) + smoothing / positive.shape[1]


def itc_loss(similarity: Tensor, temperature: Tensor, ids: Tensor, smoothing: float = SMOOTHING) -> Tensor:
    """Image-text contrast.

    Args:
        similarity: ``[texts, images]`` cosines; the diagonal holds the pairs.
        temperature: divides the similarities.
        ids: ``[batch]`` of each pair.
    """
    return contrast(similarity, temperature, same_id(ids), smoothing)


def contrast(similarity: Tensor, temperature: Tensor, positive: Tensor, smoothing: float = SMOOTHING) -> Tensor:
    """As `itc_loss`, where bool ``positive`` ``[texts, images]`` says what belongs together; a pair always does."""
    logits = similarity / temperature
    rows, columns = smoothed(positive, smoothing), smoothed(positive.T, smoothing)
    return (F.cross_entropy(logits, rows) + F.cross_entropy(logits.T, columns)) / 2


@torch.no_grad()
def hard_negatives(similarity: Tensor, ids: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """For each row of ``similarity`` ``[n, n]`` (already divided by the temperature), a column of another id.

    Likely columns are drawn more often. A row whose batch holds its own id alone gets any column.
    """
    return draw_negatives(similarity, same_id(ids), generator)


@torch.no_grad()
def draw_negatives(similarity: Tensor, positive: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """As `hard_negatives`, where bool ``positive`` ``[n, n]`` says which columns are none."""
    weights = similarity.float().masked_fill(positive, NEVER).softmax(1)
    return torch.multinomial(weights, 1, generator=generator).squeeze(1)


def itm_loss(logits: Tensor, positives: int) -> Tensor:
    """Image-text matching: cross-entropy of ``[pairs, 2]`` logits; the first ``positives`` pairs match."""
    labels = torch.zeros(len(logits), dtype=torch.long, device=logits.device)
    labels[:positives] = 1
    return F.cross_entropy(logits, labels)


def itg_attention_mask(text_mask: Tensor, queries: int) -> Tensor:
    """Who may attend to whom when the text is generated, as an additive mask.

    Queries see queries only; text position ``i`` sees all queries and the text up to ``i``. Additive floats,
    because an eager attention would add a boolean mask as 0 and 1.

    Args:
        text_mask: ``[batch, length]``, 1 for text and 0 for padding.

    Returns:
        float32 ``[batch, 1, queries + length, queries + length]``: 0 where allowed, very negative elsewhere.
    """
    batch, length = text_mask.shape
    total = queries + length
    allowed = torch.ones(total, total, dtype=torch.bool, device=text_mask.device).tril()
    allowed[:queries] = False
    allowed[:, :queries] = True
    keys = torch.cat([text_mask.new_ones(batch, queries), text_mask], dim=1).bool()
    visible = allowed[None] & keys[:, None, :]
    return torch.zeros(visible.shape).masked_fill(~visible, torch.finfo(torch.float32).min)[:, None]


def itg_loss(logits: Tensor, input_ids: Tensor, text_mask: Tensor, smoothing: float = SMOOTHING) -> Tensor:
    """Image-grounded text generation: each text position predicts the next token; padding does not count.

    Args:
        logits: ``[batch, length, vocabulary]`` at the text positions.
    """
    labels = input_ids[:, 1:].masked_fill(text_mask[:, 1:] == 0, -100)
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), labels.flatten(), label_smoothing=smoothing)


def tag_loss(logits: Tensor, tags: Tensor) -> Tensor:
    """Which words do the captions of an image hold? Binary cross-entropy, a mean over the words that occur.

    Not one of BLIP-2's: it takes the place of a pre-trained vision encoder. From scratch, the other three losses
    learn the background and then stand still, because a small object is lost in the mean over patches.

    Args:
        logits: ``[images, vocabulary]``.
        tags: the same shape, 1 for a word of the image's captions.
    """
    wrong = F.binary_cross_entropy_with_logits(logits, tags, reduction="sum")
    return wrong / tags.sum().clamp(min=1)
