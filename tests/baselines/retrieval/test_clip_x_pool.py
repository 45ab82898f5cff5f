from itertools import product

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

from baselines.retrieval.clip_backbone import ClipBackbone
from baselines.retrieval.protocol import Block, Encoded
from baselines.retrieval.x_pool import ClipXPool, XPool, XPoolConfig


def tiny(**options):
    torch.manual_seed(0)
    return ClipXPool(XPoolConfig(TINY, frames=4, dropout=0.0, **options), ClipBackbone.build(TINY))


def test_golden_scores_and_loss_of_x_pool_on_clip():
    model = ClipXPool(XPoolConfig(GOLDEN, frames=3), golden_clip()).eval()
    fill_by_name(model, ("pool_frames.",), tuple(f"layer_norm{i}.weight" for i in (1, 2, 3)))
    texts = Encoded(vectors=wave(2, 8, step=0.3, start=1))
    videos = model.index(Encoded(frames=wave(2, 3, 8, step=0.17, start=2)))
    close(model.similarity(texts, videos), [[-0.44270, -0.43570], [-0.05816, 0.00766]])
    close(model.loss(texts, videos), 2.17360)


def test_on_clip_as_the_head_alone():
    model, head = tiny(heads=2).eval(), XPool(32, heads=2).eval()
    head.pool_frames = model.pool_frames
    (ids, mask), pixels = sentences(3), films(5, 4)
    with torch.no_grad():
        expected = head(model.clip.sentence_vectors(ids, mask), model.clip.frame_vectors(pixels))
        found = model.similarity(model.encode_texts(ids, mask), model.encode_videos(pixels))
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def test_x_pool_on_clip_in_blocks_as_at_once():
    model = tiny().eval()
    with torch.no_grad():
        texts, videos = model.encode_texts(*sentences(7)), model.encode_videos(films(11, 4))
        whole = model.similarity(texts, videos, Block(7, 11))
        for block in map(Block._make, product((1, 3), (1, 4))):
            torch.testing.assert_close(model.similarity(texts, videos, block), whole, atol=1e-5, rtol=0)


def test_x_pool_on_clip_has_the_published_size():
    config = XPoolConfig.paper()
    with torch.device("meta"):
        model = ClipXPool(config, ClipBackbone.build(config.clip))
    assert sum(p.numel() for p in model.parameters()) == 151_277_313 + 1_316_352


def test_x_pool_on_clip_overfits_16_pairs():
    before, after = recall_after_training(tiny(), frames=4, steps=30, rate=2e-3)
    assert before < 0.5
    assert after == 1.0
