import math

import pytest
import torch
from torch import Tensor

from baselines.retrieval.losses import symmetric_cross_entropy
from baselines.retrieval.x_pool import XPool


def seeded(width: int = 16, heads: int = 1) -> XPool:
    torch.manual_seed(0)
    model = XPool(width, heads).eval()
    with torch.no_grad():
        for parameter in model.pool_frames.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def golden(heads: int, fill: bool = True) -> XPool:
    """Parameters by a formula over their names, so that any implementation can be compared with these values."""
    model = XPool(8, heads).eval()
    for name, parameter in model.named_parameters():
        if name.startswith("pool_frames.") and fill:
            shift = sum(name.encode()) % 97
            values = 0.2 * torch.sin(0.7 * torch.arange(parameter.numel(), dtype=torch.float64) + shift)
            values = values + float("layer_norm" in name and name.endswith("weight"))
            parameter.data = values.view_as(parameter).float()
    return model


def golden_inputs() -> tuple[Tensor, Tensor]:
    text = torch.sin(0.3 * torch.arange(16, dtype=torch.float64) + 1).view(2, 8).float()
    frames = torch.sin(0.17 * torch.arange(48, dtype=torch.float64) + 2).view(2, 3, 8).float()
    return text, frames


def close(found: Tensor, expected: list) -> None:
    torch.testing.assert_close(found, torch.tensor(expected), atol=1e-4, rtol=0)


def test_golden_pooled_vectors():
    text, frames = golden_inputs()
    pool = golden(1).pool_frames
    pooled = pool(text, pool.index(frames))
    close(pooled[0, 0], [-0.52243, -1.23528, -1.27703, -0.55332, 0.30505, 0.80939, 0.94468, 0.81665])
    close(pooled[1, 0], [0.10974, -0.81381, -1.28699, -0.91271, -0.11482, 0.55623, 0.95734, 1.11646])


@pytest.mark.parametrize(
    ("heads", "fill", "expected"),
    [
        (1, True, [[-0.44270, -0.43570], [-0.05816, 0.00766]]),
        (2, True, [[-0.44193, -0.43007], [-0.05989, 0.02669]]),
        (1, False, [[0.35915, 0.41949], [0.21497, 0.17348]]),
    ],
)
def test_golden_scores(heads, fill, expected):
    close(golden(heads, fill)(*golden_inputs()), expected)


def test_golden_loss():
    logits = 20 * golden(1)(*golden_inputs())
    close(symmetric_cross_entropy(logits, torch.eye(2, dtype=torch.bool)), 2.17360)


def test_one_frame_at_identity_init_is_the_cosine_with_the_normed_frame():
    text, frames = torch.randn(3, 16), torch.randn(4, 1, 16)
    normed = torch.nn.functional.layer_norm(frames[:, 0], (16,))
    expected = torch.nn.functional.cosine_similarity(text[:, None], normed[None], dim=-1)
    torch.testing.assert_close(XPool(16).eval()(text, frames), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("heads", [1, 4])
def test_the_order_and_the_repetition_of_frames_do_not_count(heads):
    model = seeded(heads=heads)
    text, frames = torch.randn(3, 16), torch.randn(4, 6, 16)
    scores = model(text, frames)
    torch.testing.assert_close(model(text, frames[:, torch.randperm(6)]), scores, atol=1e-5, rtol=0)
    torch.testing.assert_close(model(text, frames.repeat(1, 2, 1)), scores, atol=1e-5, rtol=0)


def test_in_blocks_as_at_once():
    model = seeded(heads=2)
    text, frames = torch.randn(7, 16), torch.randn(11, 5, 16)
    blocks = model.score(text, model.index(frames), text_chunk=3, video_chunk=4)
    torch.testing.assert_close(blocks, model(text, frames).detach(), atol=1e-6, rtol=0)


def test_low_rank_form_gives_the_same_scores():
    """One head: all up to the cosine is a combination of per-video vectors (sheet, section 6, step 3)."""
    model = seeded()
    text, frames = torch.randn(3, 16, dtype=torch.float64), torch.randn(2, 5, 16, dtype=torch.float64)
    model, pool = model.double(), model.double().pool_frames
    index = pool.index(frames)
    query = pool.cross_attn.q_proj(pool.layer_norm1(text))
    weights = (query @ index.keys.transpose(1, 2) / 4).softmax(-1)  # [videos, texts, frames], sqrt(16) = 4
    expected = torch.stack([_low_rank(pool, text, index.values[v, 0], weights[v]) for v in range(2)], 1)
    torch.testing.assert_close(model(text, frames), expected, atol=1e-7, rtol=0)


def _low_rank(pool, text, values, weights):
    width, eps = values.shape[-1], 1e-5
    ln2, ln3 = pool.layer_norm2, pool.layer_norm3
    centred = values - values.mean(-1, keepdim=True)
    variance = torch.einsum("tf,fg,tg->t", weights, centred @ centred.T / width, weights)
    step = torch.eye(width, dtype=values.dtype) + pool.linear_proj.weight
    basis = torch.cat([(centred * ln2.weight) @ step.T, (step @ ln2.bias + pool.linear_proj.bias)[None]])
    basis = basis - basis.mean(-1, keepdim=True)
    ones = torch.ones(len(text), 1, dtype=values.dtype)
    coefficients = torch.cat([weights / (variance + eps).sqrt()[:, None], ones], 1)
    variance = torch.einsum("tf,fg,tg->t", coefficients, basis @ basis.T / width, coefficients)
    basis = torch.cat([basis * ln3.weight, ln3.bias[None]])
    coefficients = torch.cat([coefficients / (variance + eps).sqrt()[:, None], ones], 1)
    pooled = coefficients @ basis
    return torch.nn.functional.cosine_similarity(text, pooled, dim=-1)


def test_head_has_the_published_size_and_starts_at_identity():
    model = XPool(512)
    assert sum(p.numel() for p in model.pool_frames.parameters()) == 1_316_352
    assert torch.equal(model.pool_frames.linear_proj.weight, torch.eye(512))


def test_loss_by_hand():
    """Two texts, two videos, video 0 right for both texts, video 1 for none.

    Rows: -log softmax([0, ln 3])[0] = ln 4 and -log softmax([0, 0])[0] = ln 2, mean (ln 4 + ln 2) / 2 = 1.5 ln 2.
    Columns: video 1 has no positive and is left out; video 0 sees [0, 0] with target [1/2, 1/2]: ln 2.
    """
    logits = torch.tensor([[0.0, math.log(3)], [0.0, 0.0]])
    positive = torch.tensor([[True, False], [True, False]])
    assert symmetric_cross_entropy(logits, positive).item() == pytest.approx(1.25 * math.log(2))
