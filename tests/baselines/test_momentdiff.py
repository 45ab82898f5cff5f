"""MomentDiff against the authors' code, whose numbers these are (float32, 1e-4)."""

from dataclasses import replace

import detr_fixture
import numpy as np
import pytest
import torch
from moment_toy import TenFilms, assert_same_answers, localise_in_batches, random_queries

from baselines.moment.momentdiff import PRESETS, MomentDiff, MomentDiffConfig, convert_checkpoint, query_noise
from baselines.moment.momentdiff.diffusion import (
    Noise,
    draw_noise,
    kept_signal,
    noisy_spans,
    sampling_times,
    step_constants,
    to_signal,
    to_span,
)
from baselines.moment.momentdiff.losses import training_losses

CORRECT = MomentDiffConfig(video_width=18, text_width=12, width=256, mlp=64, encoder_layers=2)
FAULTY = replace(CORRECT, legacy_mask_leak=True, legacy_padding_in_losses=True)
LEAK_FREE = replace(FAULTY, legacy_mask_leak=False)
TOY = MomentDiffConfig(video_width=18, text_width=16, dropout=0, input_dropout=0)


def close(found, expected, atol=1e-4):
    torch.testing.assert_close(found, torch.as_tensor(expected, dtype=found.dtype), atol=atol, rtol=0)


def sampling_noise():
    rng = np.random.RandomState(102)
    return torch.from_numpy(np.stack([rng.standard_normal((3, 5, 2)).astype(np.float32) for _ in range(10)]))


def training_noise():
    rng = np.random.RandomState(103)
    times, added, placeholders = [], [], torch.zeros(3, 5, 2)
    for row, gold in zip(placeholders, (1, 2, 1), strict=True):
        times.append(rng.randint(0, 1000))
        added.append(rng.standard_normal((5, 2)).astype(np.float32))
        row[gold:] = torch.from_numpy(rng.standard_normal((5 - gold, 2)))
    return Noise(torch.tensor(times), torch.from_numpy(np.stack(added)), placeholders)


def fixture(config):
    return detr_fixture.fill_by_name(MomentDiff(config)), detr_fixture.batch(3)


def saliency(model, batch, roll=False):
    words = model.project_words(batch)
    return model.saliency(model.condition(model.project_clips(batch), words.roll() if roll else words))


def test_schedule():
    kept = kept_signal()
    close(kept[[0, 99, 500, 899]], [0.99996, 0.97209, 0.49229, 0.0240917], atol=5e-6)
    close(kept[[998, 999]] / torch.tensor([2.4288e-6, 2.4288e-9]), [1, 1])
    assert kept.dtype == torch.float64


def test_sampling_steps():
    assert sampling_times(10) == [999, 899, 799, 699, 599, 499, 399, 299, 199, 99]
    expected = [
        [0.987881, 0.000310],
        [0.830970, 0.464159],
        [0.687273, 0.569679],
        [0.578098, 0.570081],
        [0.487794, 0.517894],
        [0.406521, 0.432739],
        [0.327271, 0.325551],
        [0.243172, 0.205332],
        [0.144219, 0.084310],
    ]
    close(torch.tensor([step_constants(t, t - 100) for t in sampling_times(10)[:-1]]), expected, atol=1e-6)


def test_noisy_spans_match_the_authors_code():
    noise = training_noise()
    assert noise.times.tolist() == [775, 415, 875]
    found = noisy_spans(FAULTY, detr_fixture.targets(3).spans, noise)
    close(found[:, 0], [[0.665614, 0.289355], [0.689611, 0.140909], [0.533103, 0.575502]], atol=1e-6)


def test_hardly_noisy_spans_are_the_gold_ones():
    noise = Noise(torch.zeros(1, dtype=torch.long), torch.zeros(1, 5, 2), torch.full((1, 5, 2), -9.0))
    found = noisy_spans(CORRECT, [torch.tensor([[0.45, 0.3]])], noise)[0]
    close(found[0], [0.45, 0.3])
    # A placeholder of -9 / 6 + .5 = -1 ends at 0; its width is .01 before the noise, which takes 2e-5 of the signal.
    close(found[1], [0.0, 0.01])
    close(to_span(CORRECT, to_signal(CORRECT, torch.tensor([0.0, 0.3, 1.0]))), [0.0, 0.3, 1.0])


def test_more_gold_spans_than_proposals_are_cut():
    spans = torch.linspace(0.1, 0.8, 7)[:, None].expand(-1, 2)
    assert noisy_spans(CORRECT, [spans], draw_noise(CORRECT, 1)).shape == (1, 5, 2)


@torch.no_grad()
def test_sampling_matches_the_authors_code():
    model, batch = fixture(FAULTY)
    found = model(batch, sampling_noise())
    close(
        found.logits[-1].softmax(-1)[..., 0],
        [
            [0.265159, 0.267349, 0.258031, 0.265041, 0.264266],
            [0.202000, 0.202420, 0.194277, 0.193618, 0.191493],
            [0.278238, 0.272465, 0.278169, 0.276856, 0.277812],
        ],
    )
    close(
        found.spans[-1, :, :2],
        [
            [[0.875102, 0.459490], [0.874901, 0.458722]],
            [[0.834587, 0.453951], [0.836905, 0.450138]],
            [[0.731840, 0.554619], [0.733177, 0.557388]],
        ],
    )


@torch.no_grad()
def test_similarity_matches_the_authors_code():
    found = saliency(*fixture(FAULTY))
    close(
        found[0],
        [2.132179, 1.651886, 1.562149, 2.077336, 2.097552, 1.641841, 1.587723, 1.453861, 1.823855, 2.026610],
    )
    close(found[2], [0.848259, 1.101401, 0.849028, 0.892524, 1.272542, 1.327811, *[1.568910] * 4])
    close(saliency(*fixture(FAULTY), roll=True).sum(), 47.851402)


@torch.no_grad()
def test_training_matches_the_authors_code():
    model, batch = fixture(FAULTY)
    targets, noise = detr_fixture.targets(3), training_noise()
    clips = model.condition(model.project_clips(batch), model.project_words(batch))
    found = model.denoise(noisy_spans(FAULTY, targets.spans, noise), noise.times, clips)
    close(
        found.spans[-1, 0],
        [[0.880314, 0.469683], [0.877912, 0.493749], [0.880170, 0.460174], [0.882282, 0.457153], [0.874970, 0.486471]],
    )
    close(found.logits[-1, 0, 0], [-0.204524, 0.958726])
    losses = training_losses(model, batch, targets, "abc", noise)
    expected = {
        "span": 10 * 0.290766,
        "giou": 0.977783,
        "label": 4 * 0.443076,
        "margin": 4 * 0.646598,
        "bce": 4 * 1.004831,
        "nce": 4 * 3.052111,
        "span_0": 10 * 0.243628,
        "giou_0": 0.838276,
        "label_0": 4 * 0.336451,
    }
    assert losses.keys() == expected.keys()
    for name, value in expected.items():
        close(losses[name], value)
    close(torch.stack(list(losses.values())).sum(), 29.092268)


@torch.no_grad()
def test_without_the_mask_leak_as_the_authors_code_without_it():
    model, batch = fixture(LEAK_FREE)
    found = model(batch, sampling_noise())
    close(found.logits[-1, 0].softmax(-1)[:, 0], [0.309415, 0.312202, 0.300123, 0.306695, 0.308899])
    close(
        found.spans[-1, :, :2],
        [
            [[0.910107, 0.501325], [0.910038, 0.500129]],
            [[0.829517, 0.461170], [0.832502, 0.456980]],
            [[0.731840, 0.554619], [0.733177, 0.557388]],
        ],
    )
    close(
        saliency(model, batch)[0],
        [2.628544, 1.885887, 1.929722, 2.377329, 2.409096, 2.018116, 1.747451, 1.801883, 2.328163, 2.222829],
    )
    targets, noise = detr_fixture.targets(3), training_noise()
    losses = training_losses(model, batch, targets, "abc", noise)
    for name, value in {"bce": 1.061719, "nce": 2.971173, "margin": 0.720499}.items():
        close(losses[name] / 4, value)
    clips = model.condition(model.project_clips(batch), model.project_words(batch))
    trained = model.denoise(noisy_spans(LEAK_FREE, targets.spans, noise), noise.times, clips)
    close(trained.spans[-1, 0, 0], [0.916713, 0.517008])
    close(trained.logits[-1, 0, 0], [-0.138656, 0.894357])


def test_with_the_mask_leak_an_answer_depends_on_its_neighbours():
    noise = sampling_noise()
    for config, depends in ((FAULTY, True), (CORRECT, False)):
        model, batch = fixture(config)
        together = model(batch, noise).spans[-1, 0]
        alone = model(detr_fixture.batch(1), noise[:, :1]).spans[-1, 0]
        assert ((together - alone).abs().max().item() > 1e-3) is depends


def test_proposals_do_not_see_one_another():
    model, batch = fixture(CORRECT)
    noise = sampling_noise()
    other = noise.clone()
    other[:, :, 0] += 1
    a, b = model(batch, noise).spans, model(batch, other).spans
    close(a[:, :, 1:], b[:, :, 1:].detach(), atol=1e-6)
    assert (a[:, :, 0] - b[:, :, 0]).abs().min() > 1e-6


def test_one_query_at_a_time_equals_a_batch():
    torch.manual_seed(0)
    assert_same_answers(MomentDiff(TOY), endpoints=True, with_ids=True)


def test_noise_of_a_query_depends_on_its_id_and_the_seed_alone():
    few, many = query_noise(TOY, ["b"], 3), query_noise(TOY, ["a", "b", "c"], 3)
    assert few.shape == (10, 1, 5, 2)
    assert torch.equal(few[:, 0], many[:, 1])
    assert not torch.equal(many[:, 0], many[:, 1])
    assert not torch.equal(few, query_noise(TOY, ["b"], 4))
    large = query_noise(replace(TOY, steps=100), [str(i) for i in range(50)], 0)
    close(torch.stack((large.mean(), large.std())), [0, 1], atol=0.02)


def test_answers_are_the_same_again_and_another_seed_gives_others():
    torch.manual_seed(0)
    model, queries = MomentDiff(TOY).eval(), random_queries(4)
    how = {"endpoints": True, "with_ids": True}
    first = localise_in_batches(model, queries, 4, **how)
    torch.randn(7)
    again = localise_in_batches(model, queries, 4, **how)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    films = TenFilms(endpoints=True)
    ids = [str(i) for i in range(10)]
    a, b = (model.localise(films.batch, films.grids, ids, seed) for seed in (0, 1))
    assert not torch.equal(a[0], b[0])


def test_losses_do_not_depend_on_padding():
    model, full = fixture(CORRECT)
    wanted, noise = detr_fixture.targets(3), training_noise()
    targets = replace(
        wanted,
        spans=wanted.spans[1:],
        saliency=wanted.saliency[1:],
        inside=wanted.inside[1:],
        outside=wanted.outside[1:],
    )
    noise = Noise(noise.times[1:], noise.added[1:], noise.placeholders[1:])
    padded = training_losses(model, detr_fixture.only(full, [1, 2], 10, 6), targets, "ab", noise)
    cut = replace(targets, saliency=targets.saliency[:, :8])
    bare = training_losses(model, detr_fixture.only(full, [1, 2], 8, 6), cut, "ab", noise)
    for name in padded:
        close(padded[name], bare[name].item(), atol=1e-5)


def test_a_query_about_the_same_film_is_not_wrong():
    model, batch = fixture(CORRECT)
    targets, noise = detr_fixture.targets(3), training_noise()
    same, other = (training_losses(model, batch, targets, films, noise)["nce"] for films in ("aaa", "abc"))
    assert same < other
    alone = replace(targets, spans=targets.spans[:1], saliency=targets.saliency[:1])
    alone = replace(alone, inside=targets.inside[:1], outside=targets.outside[:1])
    first = Noise(noise.times[:1], noise.added[:1], noise.placeholders[:1])
    assert all(x.isfinite() for x in training_losses(model, detr_fixture.batch(1), alone, "a", first).values())


def test_gradients_reach_every_parameter():
    films, model = TenFilms(endpoints=True), MomentDiff(TOY)
    parts = training_losses(model, films.batch, films.targets(np.random.default_rng(0)), films.films)
    torch.stack(list(parts.values())).sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in model.parameters())


def test_sizes_of_the_paper():
    with torch.device("meta"):
        model = MomentDiff(PRESETS["paper"])
    # Theirs has 8,080,018, of which 1,556,611 in 53 tensors never get a gradient (see `NOT_USED`).
    assert sum(p.numel() for p in model.parameters()) == 8_080_018 - 1_556_611


@pytest.mark.parametrize("prefix", ["", "module."])
def test_checkpoints_of_the_authors_load(prefix):
    model = MomentDiff(CORRECT)
    idle = [
        "transformer.betas",
        "transformer.posterior_mean_coef2",
        "transformer.t2v_encoder.layers.0.self_attn_new.in_proj_weight",
        "transformer.diffusion_decoder.layers.1.sa_qcontent_proj.weight",
        "transformer.diffusion_decoder.layers.1.self_attn.out_proj.weight",
        "transformer.diffusion_decoder.layers.0.norm1.bias",
        "transformer.diffusion_decoder.bbox_embed.layers.2.weight",
        "transformer.diffusion_decoder.ref_anchor_head.layers.0.weight",
        "txt_position_embed.position_embeddings.weight",
        "contrastive_align_projection_query.weight",
        "contrastive_align_projection_txt.bias",
    ]
    theirs = {prefix + name: tensor for name, tensor in model.state_dict().items()}
    model.load_state_dict(convert_checkpoint(theirs | {prefix + name: torch.zeros(1) for name in idle}))
    names = set(model.state_dict())
    assert names > {
        "global_rep_token",
        "contrastive_align_projection_vid.weight",
        "transformer.t2v_encoder.layers.1.self_attn.in_proj_weight",
        "transformer.encoder.layers.0.activation.weight",
        "transformer.diffusion_decoder.layers.0.ca_qpos_proj.weight",
        "transformer.diffusion_decoder.layers.1.ca_kpos_proj.layers.2.weight",
        "transformer.diffusion_decoder.noise_embed.layers.0.weight",
        "transformer.diffusion_decoder.ref_point_head.layers.0.bias",
        "transformer.diff_span_embed.layers.0.weight",
        "transformer.diff_class_embed.bias",
    }
    assert "transformer.diffusion_decoder.layers.1.ca_qpos_proj.weight" not in names


def test_ten_films_are_learnt():
    films, ids = TenFilms(endpoints=True), [f"film-{i}" for i in range(10)]
    torch.manual_seed(0)
    model = MomentDiff(TOY)

    def ious():
        # Answers are sampled, so several are averaged.
        return torch.stack([films.ious(model.localise(films.batch, films.grids, ids, seed)) for seed in range(3)])

    assert (ious() >= 0.5).float().mean() < 0.5
    films.train(model, lambda targets: training_losses(model, films.batch, targets, films.films), steps=250)
    assert (ious() >= 0.5).float().mean() >= 0.9
    assert (ious() >= 0.7).float().mean() >= 0.75
