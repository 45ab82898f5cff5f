"""Random numbers that belong to a pair of text and video, not to the moment at which they are drawn.

A generator's next number depends on all numbers before it: scores would change with the size of a block, the order
of the corpus, or the other texts of a batch. Here a number is a hash of (seed, trial, dimension, text, video), in
32-bit integers, equal on every machine and device, and about as fast as a generator.
"""

from __future__ import annotations

import torch
from torch import Tensor

_GOLDEN = 0x9E3779B9 - 2**32
_DRAWN_BITS = 23


def mix(x: Tensor) -> Tensor:
    """A bijection of 32-bit integers whose every output bit depends on every input bit (Wellons' hash prospector).

    Args:
        x: int32, of any shape; changed in place.
    """
    x ^= (x >> 16) & 0xFFFF
    x *= 0x21F0AAAD
    x ^= (x >> 15) & 0x1FFFF
    x *= 0x735A2D97
    x ^= (x >> 15) & 0x1FFFF
    return x


def combine(*parts: Tensor | int) -> Tensor:
    """One int32 hash of several numbers, broadcast against each other; their order counts."""
    device = next((part.device for part in parts if isinstance(part, Tensor)), None)
    total = torch.zeros((), dtype=torch.int32, device=device)
    for part in parts:
        total = mix(total + torch.as_tensor(part, device=device).to(torch.int32) + _GOLDEN)
    return total


def text_seeds(input_ids: Tensor, mask: Tensor) -> Tensor:
    """A hash of each text: int32 ``[texts]`` from ids and mask ``[texts, length]``; padding does not count."""
    places = torch.arange(input_ids.shape[1], device=input_ids.device)
    return combine((combine(places, input_ids).long() * mask).sum(1))


def uniform(seeds: Tensor, table: Tensor) -> Tensor:
    """Numbers from U(0, 1): float32 ``[..., width]``.

    Args:
        seeds: int32 ``[...]``, a hash of each pair.
        table: int32 ``[width]``, a hash of each dimension, of other numbers or more of them than the seeds.
    """
    bits = mix(seeds[..., None] ^ table)
    return ((bits >> (32 - _DRAWN_BITS)) & (2**_DRAWN_BITS - 1)).float().add_(0.5).mul_(2.0**-_DRAWN_BITS)


def normal(seeds: Tensor, table: Tensor) -> Tensor:
    """Numbers from N(0, 1), as `uniform`."""
    return torch.special.ndtri(uniform(seeds, table))
