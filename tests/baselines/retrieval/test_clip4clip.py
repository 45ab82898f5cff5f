import math
from itertools import product

import pytest
import torch
from retrieval_cases import (
    GOLDEN,
    TINY,
    close,
    fill_by_name,
    films,
    golden_clip,
    recall_after_training,
    sentences,
    wave,
)

from baselines.retrieval.clip4clip import Clip4Clip, Clip4ClipConfig
from baselines.retrieval.clip_backbone import ClipBackbone
from baselines.retrieval.losses import symmetric_cross_entropy
from baselines.retrieval.protocol import Block, Encoded

HEADS = ("meanP", "seqLSTM", "seqTransf", "tightTransf")
LOOSE = HEADS[:3]


def golden(head):
    model = Clip4Clip(Clip4ClipConfig(GOLDEN, head, frames=3, layers=2), golden_clip()).eval()
    own = ("frame_position_embeddings", "transformerClip", "lstm_visual", "cross", "similarity_dense")
    fill_by_name(model, own, ("ln_1.weight", "ln_2.weight", "ln_pool.weight"))
    return model


def golden_scores(head, mask):
    model = golden(head)
    texts = Encoded(vectors=wave(2, 8, step=0.3, start=1))
    videos = Encoded(frames=wave(2, 3, 8, step=0.17, start=2), mask=torch.tensor(mask))
    return model.similarity(texts, model.index(videos))


def tiny(head, **options):
    torch.manual_seed(0)
    return Clip4Clip(Clip4ClipConfig(TINY, head, frames=4, layers=2, **options), ClipBackbone.build(TINY))


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("meanP", [[-12.04955, 14.81853], [18.59815, -19.51589]]),
        ("seqLSTM", [[-9.98565, 14.93788], [17.65430, -18.95311]]),
        ("seqTransf", [[-5.03172, 12.31965], [9.10264, -10.33516]]),
        ("tightTransf", [[-0.00416, -0.01462], [0.06032, 0.07581]]),
    ],
)
def test_golden_scores_of_clip4clip(head, expected):
    close(golden_scores(head, [[1, 1, 1], [1, 1, 0]]), expected)


def test_golden_loss_of_clip4clip():
    logits = golden_scores("meanP", [[1, 1, 1], [1, 1, 1]])
    assert symmetric_cross_entropy(logits).item() == pytest.approx(34.12804, abs=1e-4)


@pytest.mark.parametrize("head", HEADS)
def test_what_a_padded_frame_holds_does_not_count(head):
    model = tiny(head).eval()
    texts = model.encode_texts(*sentences(3))
    mask = torch.tensor([[1, 1, 1, 0]]).expand(2, 4)
    frames = torch.randn(2, 4, 32)
    scores = model.similarity(texts, model.index(Encoded(frames=frames, mask=mask)))
    other = torch.where(mask[..., None] == 1, frames, 7.0)
    torch.testing.assert_close(model.similarity(texts, model.index(Encoded(frames=other, mask=mask))), scores)


@pytest.mark.parametrize("head", HEADS)
def test_a_film_without_a_frame_gives_numbers(head):
    model = tiny(head).eval()
    videos = model.encode_videos(films(2, 4), torch.tensor([[1, 1, 1, 1], [0, 0, 0, 0]]))
    assert model.similarity(model.encode_texts(*sentences(3)), videos).isfinite().all()


@pytest.mark.parametrize("head", HEADS)
def test_clip4clip_in_blocks_as_at_once(head):
    model = tiny(head).eval()
    with torch.no_grad():
        texts, videos = model.encode_texts(*sentences(7)), model.encode_videos(films(11, 4))
        whole = model.similarity(texts, videos, Block(7, 11))
        for block in map(Block._make, product((1, 3), (1, 4))):
            torch.testing.assert_close(model.similarity(texts, videos, block), whole, atol=1e-5, rtol=0)


@pytest.mark.parametrize("head", LOOSE)
def test_a_video_is_one_normalised_vector(head):
    vectors = tiny(head).encode_videos(films(3, 4))["vectors"]
    assert vectors.shape == (3, 32)
    torch.testing.assert_close(vectors.norm(dim=-1), torch.ones(3))


def test_the_temporal_transformer_starts_as_the_text_tower():
    """With a causal mask taken away, and positions and blocks copied, it must run CLIP's own text layers."""
    model = tiny("seqTransf").eval()
    layers = model.clip.text_model.encoder.layers
    for layer in layers:
        layer.layer_norm1.eps = layer.layer_norm2.eps = 1e-12
    x = torch.randn(2, 5, 32)
    expected = layers[1](layers[0](x, None), None)
    torch.testing.assert_close(model.transformerClip(x, torch.ones(2, 5)), expected, atol=1e-5, rtol=1e-5)
    table = model.clip.text_model.embeddings.position_embedding.weight
    assert torch.equal(model.frame_position_embeddings.weight, table)


def test_a_text_tower_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="a text tower of 2 layers"):
        Clip4Clip(Clip4ClipConfig(TINY, "seqTransf", layers=3), ClipBackbone.build(TINY))


def test_3d_patches_start_as_flat_ones_and_then_see_their_neighbours():
    flat, deep = tiny("meanP"), tiny("meanP", patches="3d")
    pixels = films(2, 4)
    torch.testing.assert_close(
        deep.encode_frames(pixels)["frames"], flat.encode_frames(pixels)["frames"], atol=1e-5, rtol=1e-5
    )
    conv = deep.clip.vision_model.embeddings.patch_embedding.conv2
    conv.weight.data[:, :, 0] = conv.weight.data[:, :, 1]
    before = deep.encode_frames(pixels)["frames"]
    pixels[:, 1] = 0
    after = deep.encode_frames(pixels)["frames"]
    changed = (after - before).abs().amax(dim=(0, 2)) > 1e-6
    assert changed.tolist() == [False, True, True, False]


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("meanP", 0),
        ("seqLSTM", 4 * 512 * (512 + 512) + 2 * 4 * 512),  # 2.10 M
        ("seqTransf", 4 * 3_152_384 + 77 * 512),  # 12.65 M
        ("tightTransf", 4 * 3_152_384 + 77 * 512 + 1024 + 512 * 513 + 513),  # 12.91 M
    ],
)
def test_clip4clip_has_the_published_size(head, expected):
    config = Clip4ClipConfig.paper(head)
    with torch.device("meta"):
        model = Clip4Clip(config, ClipBackbone.build(config.clip))
    outside = sum(p.numel() for name, p in model.named_parameters() if not name.startswith("clip."))
    assert outside == expected
    assert sum(p.numel() for p in model.clip.parameters()) == 151_277_313


def test_the_scale_is_kept_at_100_and_learns_on_the_bound():
    model = tiny("meanP")
    model.clip.logit_scale.data.fill_(5.0)
    model.loss(model.encode_texts(*sentences(4)), model.encode_videos(films(4, 4))).backward()
    assert model.clip.logit_scale.item() == pytest.approx(math.log(100))
    assert model.clip.logit_scale.grad.item() != 0


@pytest.mark.parametrize("head", LOOSE)
def test_clip4clip_overfits_16_pairs(head):
    before, after = recall_after_training(tiny(head), frames=4, steps=30, rate=2e-3)
    assert before < 0.5
    assert after == 1.0


def test_the_cross_encoder_overfits_16_pairs():
    before, after = recall_after_training(tiny("tightTransf", dropout=0.0), frames=2, steps=100)
    assert before < 0.5
    assert after == 1.0
