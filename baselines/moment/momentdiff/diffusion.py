"""The diffusion of spans: noise added in training, and the deterministic part of taking it away again (DDIM).

Spans are (centre, width) fractions of the film. Everything here is in double precision.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from baselines.moment.momentdiff.config import MomentDiffConfig

TIMES = 1000
"""Steps of the noise schedule."""
_OFFSET = 0.008


@cache
def kept_signal() -> Tensor:
    """How much of the signal's variance is left at each time, ``[TIMES]``: the cosine schedule."""
    u = torch.arange(TIMES + 1, dtype=torch.float64) / TIMES
    f = ((u + _OFFSET) / (1 + _OFFSET) * math.pi / 2).cos() ** 2
    return (1 - (1 - f[1:] / f[:-1]).clamp(0, 0.999)).cumprod(0)


def sampling_times(steps: int) -> list[int]:
    """The times of ``steps`` denoising steps, from the noisiest on."""
    return torch.linspace(-1, TIMES - 1, steps + 1).int().tolist()[:0:-1]


@dataclass(frozen=True)
class Noise:
    """What training draws for a batch.

    Attributes:
        times: one for each sample, int ``[batch]``.
        added: standard normal, ``[batch, proposals, 2]``.
        placeholders: standard normal, for proposals beyond the gold ones, ``[batch, proposals, 2]``.
    """

    times: Tensor
    added: Tensor
    placeholders: Tensor


def draw_noise(config: MomentDiffConfig, samples: int, generator: torch.Generator | None = None) -> Noise:
    """Noise for a batch; from the global generator of torch if none is given."""
    shape = (samples, config.proposals, 2)
    return Noise(
        torch.randint(TIMES, (samples,), generator=generator),
        torch.randn(shape, generator=generator),
        torch.randn(shape, generator=generator),
    )


def noisy_spans(config: MomentDiffConfig, gold: Sequence[Tensor], noise: Noise) -> Tensor:
    """Gold spans, filled up with random ones to the number of proposals, with noise: ``[batch, proposals, 2]``."""
    clean = noise.placeholders.to(gold[0].device, torch.float64) / 6 + 0.5
    clean[..., 1] = clean[..., 1].clamp(min=0.01)
    for row, spans in zip(clean, gold, strict=True):
        first = spans[: config.proposals]
        row[: len(first)] = first
    kept = kept_signal()[noise.times].to(clean.device)[:, None, None]
    noisy = kept.sqrt() * to_signal(config, clean) + (1 - kept).sqrt() * noise.added.to(clean)
    return to_span(config, noisy)


def to_signal(config: MomentDiffConfig, spans: Tensor) -> Tensor:
    """Spans between 0 and 1 as signals around 0."""
    return (2 * spans - 1) * config.signal_scale


def to_span(config: MomentDiffConfig, signals: Tensor) -> Tensor:
    """The inverse of `to_signal`, clamped to between 0 and 1."""
    return (signals.clamp(-config.signal_scale, config.signal_scale) / config.signal_scale + 1) / 2


def step_constants(time: int, following: int) -> tuple[float, float]:
    """How much fresh noise, and how much of the predicted noise, a step from one time to the next has."""
    kept, kept_after = (float(kept_signal()[t]) for t in (time, following))
    fresh = math.sqrt((1 - kept / kept_after) * (1 - kept_after) / (1 - kept))
    return fresh, math.sqrt(1 - kept_after - fresh**2)


def denoising_step(
    config: MomentDiffConfig, noisy: Tensor, spans: Tensor, time: int, following: int, fresh_noise: Tensor
) -> Tensor:
    """From the signals ``noisy`` at ``time``, and the clean ``spans`` predicted from them, to ``following``."""
    kept = kept_signal()[time].to(noisy.device)
    clean = to_signal(config, spans).clamp(-config.signal_scale, config.signal_scale)
    predicted_noise = (noisy / kept.sqrt() - clean) / (1 / kept - 1).sqrt()
    fresh, kept_noise = step_constants(time, following)
    signal = kept_signal()[following].to(noisy.device).sqrt() * clean
    return signal + kept_noise * predicted_noise + fresh * fresh_noise


def query_noise(config: MomentDiffConfig, query_ids: Sequence[str], seed: int) -> Tensor:
    """The random numbers of the answers to some queries; those of a query depend on its id and ``seed`` alone.

    Returns:
        float64 ``[steps, batch, proposals, 2]``: where the spans start, then what each step but the last adds.
    """
    draws = []
    for query_id in query_ids:
        digest = hashlib.sha256(f"{seed}/{query_id}".encode()).digest()
        rng = np.random.Generator(np.random.Philox(int.from_bytes(digest[:16])))
        draws.append(torch.from_numpy(rng.standard_normal((config.steps, config.proposals, 2))))
    return torch.stack(draws, 1)
