from dataclasses import replace
from itertools import pairwise, product

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

from baselines.retrieval.checkpoints import convert_checkpoint
from baselines.retrieval.clip_backbone import ClipBackbone
from baselines.retrieval.losses import symmetric_cross_entropy
from baselines.retrieval.protocol import Block, Encoded
from baselines.retrieval.t_mass import TMass, TMassConfig
from baselines.retrieval.x_pool import ClipXPool


def tiny(**options):
    torch.manual_seed(0)
    settings = {"frames": 4, "dropout": 0.0, "prior": "normal", "prior_std": 0.2, "trials": 4} | options
    return TMass(TMassConfig(TINY, **settings), ClipBackbone.build(TINY))


def encoded(model, texts=3, videos=3):
    model.eval()
    with torch.no_grad():
        return model.encode_texts(*sentences(texts)), model.encode_videos(films(videos, model.config.frames))


@pytest.fixture
def golden():
    """Model, texts and videos of the golden values; every random number is 0.5."""
    model = TMass(TMassConfig(GOLDEN, frames=3), golden_clip()).eval()
    fill_by_name(model, ("pool_frames.", "stochastic."), tuple(f"layer_norm{i}.weight" for i in (1, 2, 3)))
    model._noise = lambda seeds, trial, width: torch.full((*seeds.shape, width), 0.5)
    texts = Encoded(vectors=wave(2, 8, step=0.3, start=1), seeds=torch.zeros(2, dtype=torch.int32))
    return model, texts, model.index(Encoded(frames=wave(2, 3, 8, step=0.17, start=2)))


def test_golden_radii(golden):
    model, texts, videos = golden
    _, radius = model._pairs(texts, videos.with_(places=torch.arange(2)))
    close(
        radius.log()[[0, 1], [0, 1]],
        [
            [0.03593, -0.35937, 0.12214, 0.37882, -0.08144, 0.20798, 0.22009, -0.40146],
            [0.06971, -0.03003, -0.24418, 0.41935, 0.24395, -0.16110, 0.26735, -0.08010],
        ],
    )


def test_golden_training_cosines_and_loss(golden):
    model, texts, videos = golden
    drawn, support = model.training_cosines(texts, videos, torch.full((2, 8), 0.5))
    close(drawn, [[-0.30211, -0.30320], [-0.26875, -0.09583]])
    close(support, [[-0.06316, -0.07155], [0.35500, 0.45268]])
    total = symmetric_cross_entropy(20 * drawn) + 0.8 * symmetric_cross_entropy(20 * support)
    assert total.item() == pytest.approx(2.27431, abs=1e-4)
    model._training_noise = lambda like: torch.full_like(like, 0.5)
    assert model.loss(texts, videos).item() == pytest.approx(2.27431, abs=1e-4)


def test_golden_scores_of_t_mass(golden):
    model, texts, videos = golden
    close(model.similarity(texts, videos), [[-0.30211, -0.31029], [-0.28399, -0.09583]])
    leaky = model.similarity_upstream_leaky(texts, videos, torch.arange(2))
    close(leaky, [[-0.30211, -0.31466], [-0.25560, -0.09583]])


def test_without_trials_t_mass_scores_as_x_pool():
    model = tiny(trials=0)
    x_pool = ClipXPool(model.config, model.clip).eval()
    x_pool.pool_frames = model.pool_frames
    texts, videos = encoded(model)
    torch.testing.assert_close(model.similarity(texts, videos), x_pool.similarity(texts, videos))


@pytest.mark.parametrize("options", [{"prior_std": 0.0}, {"prior": "uniform01"}])
def test_scores_from_the_definition(options):
    """Every pair by itself, with the points written out."""
    model = tiny(**options)
    texts, videos = encoded(model, 2, 3)
    found = model.similarity(texts, videos)
    places = videos.with_(places=torch.arange(3))
    for i, j in product(range(2), range(3)):
        text, video = texts.rows(torch.tensor([i])), places.rows(torch.tensor([j]))
        seeds, radius = model._pairs(text, video)
        pooled = model.pooled(text, video)[0, 0]
        points = [text["vectors"][0] + model._noise(seeds, k, 32)[0, 0] * radius[0, 0] for k in range(4)]
        best = max(torch.nn.functional.cosine_similarity(point, pooled, dim=0).item() for point in points)
        assert found[i, j].item() == pytest.approx(best, abs=1e-5)


def test_t_mass_in_blocks_as_at_once():
    model = tiny()
    texts, videos = encoded(model, 7, 11)
    whole = model.similarity(texts, videos, Block(7, 11))
    for block in map(Block._make, product((1, 3), (1, 4))):
        torch.testing.assert_close(model.similarity(texts, videos, block), whole, atol=1e-5, rtol=0)


def test_the_score_of_a_text_does_not_depend_on_the_texts_beside_it():
    model = tiny()
    texts, videos = encoded(model, 5)
    whole = model.similarity(texts, videos)
    last = texts.rows(torch.tensor([4]))
    torch.testing.assert_close(model.similarity(last, videos)[0], whole[4], atol=1e-5, rtol=0)


def test_more_trials_never_score_less_and_seeds_differ():
    model = tiny()
    texts, videos = encoded(model)
    scores = []
    for trials in (1, 2, 4, 8):
        model.config = replace(model.config, trials=trials)
        scores.append(model.similarity(texts, videos))
    for fewer, more in pairwise(scores):
        assert (more >= fewer).all()
    assert (scores[-1] > scores[0]).any()
    model.config = replace(model.config, seed=1)
    assert not torch.allclose(model.similarity(texts, videos), scores[-1])


def test_the_leaking_procedure_differs_only_off_the_diagonal():
    model = tiny()
    with torch.no_grad():
        model.pool_frames.cross_attn.q_proj.weight.mul_(20)  # so that pooling heeds the text
    texts, videos = encoded(model)
    honest, leaky = model.similarity(texts, videos), model.similarity_upstream_leaky(texts, videos, torch.arange(3))
    torch.testing.assert_close(leaky.diagonal(), honest.diagonal(), atol=1e-5, rtol=0)
    assert ((leaky - honest).abs() > 1e-5).sum() == 6


def test_unequal_captions_are_numbers_honestly_and_nan_leakily():
    """Texts 0 and 1 describe video 0, text 2 video 1: no video but 0 has a second caption for text 1."""
    model = tiny()
    texts, videos = encoded(model, 3, 2)
    assert model.similarity(texts, videos).isfinite().all()
    leaky = model.similarity_upstream_leaky(texts, videos, torch.tensor([0, 0, 1]))
    assert leaky.isnan().tolist() == [[False, False], [False, True], [False, False]]


def test_a_masked_frame_is_refused():
    with pytest.raises(ValueError, match="no frame mask"):
        tiny().encode_videos(films(1, 4), torch.tensor([[1, 1, 1, 0]]))


def test_t_mass_has_the_published_size():
    """6,657 on top of X-Pool, one of which is a scalar that nothing reads, and which we leave out."""
    config = TMassConfig.paper()
    with torch.device("meta"):
        model = TMass(config, ClipBackbone.build(config.clip))
    assert sum(p.numel() for p in model.pool_frames.parameters()) == 1_316_352
    assert sum(p.numel() for p in model.stochastic.parameters()) == 6_657 - 1
    assert (config.frames, config.trials, config.prior, config.support_weight) == (12, 20, "uniform01", 0.8)


def test_a_file_of_t_mass_loads_whole():
    model = tiny()
    state = {name: value + 1 for name, value in model.state_dict().items()}
    state["stochastic.std_branch.learnable_scalar"] = torch.tensor([torch.nan])
    found = convert_checkpoint({"state_dict": state}, model)
    assert (found.missing, found.unexpected) == ((), ())
    assert found.ignored == ("stochastic.std_branch.learnable_scalar",)
    model.load_state_dict(found.state)


@pytest.mark.parametrize("prior_std", [0.05, 0.2])
def test_t_mass_overfits_16_pairs(prior_std):
    before, after = recall_after_training(tiny(prior_std=prior_std), frames=4, steps=30, rate=2e-3)
    assert before < 0.5
    assert after == 1.0
