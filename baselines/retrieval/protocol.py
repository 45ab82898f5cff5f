"""The seam between a retrieval method and everything that trains, indexes, serves or measures it.

A method turns texts and videos into `Encoded` tensors, once each, and scores any of the ones against any of the
others. Whoever stands on the other side needs to know no method by name: encode in batches, `Encoded.cat`, keep
on disk if wanted, `similarity`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple, Protocol

import torch
from torch import Tensor

Padding = Literal["zeros", "repeat"]
"""How a film with too few frames is filled up: zeros that the mask leaves out, or its last frame again."""


class Encoded:
    """Texts or videos as a method knows them: tensors by name, whose first dimension counts the texts or videos."""

    def __init__(self, **tensors: Tensor) -> None:
        if len({len(tensor) for tensor in tensors.values()}) != 1:
            raise ValueError(f"tensors of different length: { {name: len(t) for name, t in tensors.items()} }")
        self.tensors = tensors

    def __getitem__(self, name: str) -> Tensor:
        return self.tensors[name]

    def __len__(self) -> int:
        return len(next(iter(self.tensors.values())))

    def with_(self, **tensors: Tensor) -> Encoded:
        """The same with further tensors."""
        return Encoded(**self.tensors, **tensors)

    def rows(self, index: Tensor) -> Encoded:
        """The texts or videos at ``index``: integers ``[n]``."""
        return Encoded(**{name: tensor[index] for name, tensor in self.tensors.items()})

    def split(self, size: int) -> Iterator[Encoded]:
        """In order, at most ``size`` at a time; at least one part, which is empty if all is."""
        for parts in zip(*(tensor.split(size) for tensor in self.tensors.values()), strict=True):
            yield Encoded(**dict(zip(self.tensors, parts, strict=True)))

    def to(self, device: torch.device | str) -> Encoded:
        """The same on another device."""
        return Encoded(**{name: tensor.to(device) for name, tensor in self.tensors.items()})

    def float(self) -> Encoded:
        """The same with all numbers that are not whole in float32."""
        return Encoded(**{name: t.float() if t.is_floating_point() else t for name, t in self.tensors.items()})

    @staticmethod
    def cat(parts: Sequence[Encoded]) -> Encoded:
        """One after another; all of one method, at least one."""
        return Encoded(**{name: torch.cat([part[name] for part in parts]) for name in parts[0].tensors})


class Block(NamedTuple):
    """How many texts and videos are scored against each other at once: the memory of `similarity`, not its result."""

    texts: int
    videos: int


class RetrievalModel(Protocol):
    """A method of text-to-video retrieval.

    Attributes:
        padding: how a film with too few frames is filled up.
        block: texts and videos that are scored at once if nothing else is said.
    """

    padding: Padding
    block: Block

    def encode_texts(self, input_ids: Tensor, mask: Tensor) -> Encoded:
        """Encode texts of ids and mask ``[texts, length]``; differentiable."""
        ...

    def encode_videos(self, pixels: Tensor, mask: Tensor | None = None) -> Encoded:
        """Encode films: all that can be done once a film; differentiable.

        Args:
            pixels: normalised frames ``[videos, frames, 3, height, width]``.
            mask: ``[videos, frames]``, 1 for a frame and 0 for padding at the end; all ones if omitted.
        """
        ...

    def similarity(self, texts: Encoded, videos: Encoded, block: Block | None = None) -> Tensor:
        """Score every text against every video: ``[texts, videos]``, higher is better; differentiable.

        Without gradients, memory beyond the result is bounded by ``block``, which changes no score.
        """
        ...

    def loss(self, texts: Encoded, videos: Encoded, positive: Tensor | None = None) -> Tensor:
        """The method's training loss of a batch of pairs: text ``i`` describes video ``i``.

        Args:
            texts: of the pairs.
            videos: of the pairs.
            positive: bool ``[pairs, pairs]``, which videos each text describes; only its own if omitted.
        """
        ...


def in_blocks(score: Callable[[Encoded, Encoded], Tensor], texts: Encoded, videos: Encoded, block: Block) -> Tensor:
    """Put ``[texts, videos]`` together from ``score`` of one block after another."""
    rows = []
    for some_texts in texts.split(block.texts):
        rows.append(torch.cat([score(some_texts, some_videos) for some_videos in videos.split(block.videos)], 1))
    return torch.cat(rows)
