"""CG-DETR against the authors' code, whose numbers these are (float32, 1e-4)."""

from dataclasses import replace

import detr_fixture
import numpy as np
import pytest
import torch
from moment_toy import TenFilms, assert_same_answers

from baselines.moment.cg_detr import PRESETS, CgDetr, CgDetrConfig, convert_checkpoint
from baselines.moment.cg_detr.losses import training_losses

CORRECT = CgDetrConfig(
    video_width=18,
    text_width=12,
    width=32,
    mlp=48,
    encoder_layers=2,
    decoder_layers=2,
    text_to_video_layers=2,
    dummy_layers=2,
    proposals=4,
    dummies=3,
    prompts=4,
    prompts_used=2,
    saliency_weight=1,
)
FAULTY = replace(
    CORRECT,
    legacy_mask_leak=True,
    legacy_padding_in_losses=True,
    legacy_dummy_target=True,
    legacy_false_negatives=True,
)
TOY = CgDetrConfig(video_width=18, text_width=16, dropout=0, input_dropout=0)


def close(found, expected, atol=1e-4):
    torch.testing.assert_close(found, torch.as_tensor(expected, dtype=found.dtype), atol=atol, rtol=0)


def losses(config, films, samples=4):
    model = detr_fixture.fill_by_name(CgDetr(config))
    with torch.no_grad():
        return training_losses(model, detr_fixture.batch(samples), detr_fixture.targets(samples), films)


@torch.no_grad()
def test_predictions_match_the_authors_code():
    output = detr_fixture.fill_by_name(CgDetr(FAULTY))(detr_fixture.batch(4))
    close(
        output.logits[-1].softmax(-1)[..., 0],
        [
            [0.721581, 0.721576, 0.719255, 0.720086],
            [0.884236, 0.884341, 0.884183, 0.883983],
            [0.710891, 0.710924, 0.710964, 0.710829],
            [0.746734, 0.746584, 0.747056, 0.746024],
        ],
    )
    spans = output.spans[-1]
    close(spans[0], [[0.566930, 0.676470], [0.461617, 0.644043], [0.394601, 0.267897], [0.375931, 0.395964]])
    close(spans[1:, 0], [[0.698924, 0.626378], [0.582397, 0.560969], [0.567177, 0.547347]])
    close(output.spans[0, 0, 0], [0.746257, 0.790307])
    close(
        output.conditioned.saliency[0],
        [1.516719, 1.433352, 1.297858, 1.431694, 0.819836, 1.825192, 1.273820, 0.790838, 1.434334, 1.619912],
    )
    close(
        output.conditioned.engagement[1],
        [0.724440, 0.664166, 0.662232, 0.672576, 0.712189, 0.567959, 0.611257, 0.580240, 0.586660, 0.586660],
    )


def test_losses_match_the_authors_code():
    found = losses(FAULTY, "abcd")
    expected = {
        "span": 10 * 0.098656,
        "giou": 0.693850,
        "label": 4 * 0.175489,
        "saliency": 22.846348,
        "align": 21.632904,
        "distill": 0.183637,
        "orthogonal": 0.636008,
        "span_0": 10 * 0.194816,
        "giou_0": 0.731657,
        "label_0": 4 * 0.192615,
    }
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        close(found[name], value)
    close(torch.stack(list(found.values())).sum(), 51.131531)


@pytest.mark.parametrize(
    ("films", "samples", "saliency"), [("abcc", 4, 26.768755), ("abbb", 4, 26.062424), ("a", 1, 1.732054)]
)
def test_saliency_loss_where_a_neighbour_is_about_the_same_film(films, samples, saliency):
    close(losses(FAULTY, films, samples)["saliency"], saliency)


@torch.no_grad()
def test_without_the_mask_leak_as_the_authors_code_without_it():
    config = replace(FAULTY, legacy_mask_leak=False)
    output = detr_fixture.fill_by_name(CgDetr(config))(detr_fixture.batch(4))
    saliency = [1.554366, 1.461240, 1.373935, 1.498386, 0.880121, 1.851346, 1.285468, 0.831153, 1.481433, 1.646963]
    close(output.logits[-1, 0].softmax(-1)[:, 0], [0.732825, 0.732850, 0.730793, 0.731567])
    close(output.spans[-1, 0], [[0.567323, 0.670035], [0.462025, 0.637284], [0.395096, 0.262150], [0.376379, 0.388919]])
    close(output.spans[-1, 1:, 0], [[0.701088, 0.623896], [0.582397, 0.560969], [0.567177, 0.547347]])
    close(output.conditioned.saliency[0], saliency)
    alone = detr_fixture.fill_by_name(CgDetr(config))(detr_fixture.batch(1))
    close(alone.conditioned.saliency[0], saliency)
    found = losses(config, "abcd")
    for name, value in {"saliency": 22.342131, "align": 21.632904, "distill": 0.183637, "orthogonal": 0.636008}.items():
        close(found[name], value)


def test_with_the_mask_leak_an_answer_depends_on_its_neighbours():
    model = detr_fixture.fill_by_name(CgDetr(FAULTY))
    together, alone = model(detr_fixture.batch(4)), model(detr_fixture.batch(1))
    assert (together.spans[-1, 0] - alone.spans[-1, 0]).abs().max() > 1e-3


def test_one_query_at_a_time_equals_a_batch():
    torch.manual_seed(0)
    assert_same_answers(CgDetr(TOY), endpoints=True)


def test_losses_do_not_depend_on_padding():
    model = detr_fixture.fill_by_name(CgDetr(CORRECT))
    full, wanted = detr_fixture.batch(4), detr_fixture.targets(4)
    short = [2, 3]
    targets = replace(
        wanted,
        spans=[wanted.spans[i] for i in short],
        saliency=wanted.saliency[short],
        inside=wanted.inside[short],
        outside=wanted.outside[short],
    )
    padded = training_losses(model, detr_fixture.only(full, short, 10, 6), targets, "ab")
    cut = replace(targets, saliency=targets.saliency[:, :6])
    bare = training_losses(model, detr_fixture.only(full, short, 6, 5), cut, "ab")
    for name in padded:
        close(padded[name], bare[name].item(), atol=1e-5)


def test_attention_to_dummies_and_words_sums_to_one():
    conditioned = CgDetr(TOY).eval()(TenFilms(endpoints=True).batch).conditioned
    close(conditioned.weights.sum(-1), torch.ones(conditioned.weights.shape[:2]), atol=1e-5)
    assert conditioned.engagement.min() > 0
    assert conditioned.engagement.max() < 1


def test_gradients_reach_every_parameter():
    films, model = TenFilms(endpoints=True), CgDetr(TOY)
    parts = training_losses(model, films.batch, films.targets(np.random.default_rng(0)), films.films)
    torch.stack(list(parts.values())).sum().backward()
    silent = {
        name for name, parameter in model.named_parameters() if parameter.grad is None or not parameter.grad.any()
    }
    # Proposals start as zeros, so that the first layer has nothing to project.
    first = "transformer.decoder.layers.0"
    assert silent == {f"{first}.sa_{part}_proj.weight" for part in ("qcontent", "kcontent", "v")}


def test_sizes_of_the_paper():
    with torch.device("meta"):
        model = CgDetr(PRESETS["paper"])
    # Theirs has 12,615,467, of which txt_proj_linear (1,024 + 131,328) and txt_position_embed (8,192 + 512) idle.
    assert sum(p.numel() for p in model.parameters()) == 12_615_467 - 132_352 - 8_704


def test_checkpoints_of_the_authors_load():
    model = CgDetr(CORRECT)
    theirs = {f"module.{name}": tensor for name, tensor in model.state_dict().items()}
    theirs |= {
        "module.txt_proj_linear.net.1.weight": torch.zeros(1),
        "module.txt_position_embed.LayerNorm.bias": torch.zeros(1),
    }
    model.load_state_dict(convert_checkpoint(theirs))
    names = set(model.state_dict())
    assert names > {
        "global_rep_token",
        "transformer.mcls_encoder.layers.0.self_attn.in_proj_weight",
        "transformer.t2v_encoder.layers.1.self_attn.out_proj.bias",
        "transformer.decoder.layers.0.ca_qpos_proj.weight",
        "transformer.decoder.layers.1.sa_kpos_proj.weight",
        "transformer.decoder.ref_anchor_head.layers.1.bias",
        "txtproj_encoder.layers.0.activation.weight",
        "input_vid_proj.1.LayerNorm.weight",
        "input_txt_proj.0.net.1.weight",
        "span_embed.layers.2.weight",
    }
    assert "transformer.decoder.layers.1.ca_qpos_proj.weight" not in names


def test_ten_films_are_learnt():
    films = TenFilms(endpoints=True)
    torch.manual_seed(0)
    model = CgDetr(TOY)
    assert (films.ious(model.eval().localise(films.batch, films.grids)) >= 0.7).float().mean() < 0.5
    films.train(model, lambda targets: training_losses(model, films.batch, targets, films.films), steps=160)
    assert (films.ious(model.localise(films.batch, films.grids)) >= 0.7).float().mean() >= 0.9
