import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close
from two_d_fixture import fill_by_place, films, random_films, seen_in_the_films

from baselines.moment.spans import ClipGrid, iou
from baselines.moment.two_d_map import (
    ConvolvedProposals,
    MapConvolutions,
    MapLayout,
    MaxPooledProposals,
    soft_labels,
)
from baselines.moment.two_d_tan import (
    PRESETS,
    TwoDTan,
    TwoDTanConfig,
    convert_checkpoint,
    ranked_moments,
    two_d_tan_loss,
)
from ivcr_bench.errors import IvcrError

TINY = TwoDTanConfig(
    video_width=6, text_width=5, width=8, rows=32, clips=16, scales=(8, 4), kernel=3, layers=2, lstm_layers=3
)
LAYOUTS = [(16, (16,)), (32, (16, 8)), (64, (16, 8, 8)), (128, (16, 8, 8, 8)), (16, (8, 4))]
DURATIONS, GOLD = (20.0, 30.0), ((4.0, 9.5), (12.0, 27.0))


def double(rows):
    return torch.tensor(rows, dtype=torch.float64)


def words():
    b, step, c = np.ogrid[:2, :4, :5]
    values = torch.from_numpy(np.cos(0.5 * step + 0.8 * c + 0.6 * b))
    mask = torch.tensor([[True] * 4, [True] * 3 + [False]])
    return values * mask[..., None], mask


def overlaps(layout=TINY.layout):
    rows = [
        layout.gold_iou(ClipGrid.equal(16, duration).edges(double([gold])))
        for duration, gold in zip(DURATIONS, GOLD, strict=True)
    ]
    return torch.cat(rows)


@pytest.fixture(scope="module")
def tiny():
    return fill_by_place(TwoDTan(TINY))


@pytest.fixture(scope="module")
def logits(tiny):
    with torch.no_grad():
        return tiny(films(), *words())


def at(values, cell):
    """The value of a cell ``(i, j)``."""
    return values[..., TINY.layout.cells.tolist().index(list(cell))].item()


# --- parity with the authors' code (section 10 of the sheet) -------------------------------------------------------


@torch.no_grad()
def test_parity_of_the_parts(tiny):
    clips = tiny.frame_layer(films())
    assert clips.sum().item() == pytest.approx(77.772782, abs=1e-6)
    proposals = tiny.prop_layer(clips)
    assert proposals.sum().item() == pytest.approx(987.169839, abs=1e-6)
    sentence = tiny.fusion_layer.sentence(*words())
    fused = tiny.fusion_layer(sentence, tiny.encode_films(films())) * tiny.mask
    assert fused.sum().item() == pytest.approx(-45.929006, abs=1e-6)
    assert_close(fused[0, 0:3, 2, 5], double([-0.429709, 0.161453, -0.056094]), atol=1e-6, rtol=0)
    assert tiny.map_layer(fused).sum().item() == pytest.approx(79.606327, abs=1e-5)


def test_parity_of_the_mask_weights(tiny):
    first, second = tiny.map_layer.weight_0, tiny.map_layer.weight_1
    assert (first.shape, second.shape) == ((18, 18), (16, 16))
    assert first.sum().item() == pytest.approx(75.32977, abs=1e-5)
    assert second.sum().item() == pytest.approx(35.65278, abs=1e-5)
    assert [(first > 0).sum().item(), (second > 0).sum().item()] == [204, 190]


def test_parity_of_the_logits(logits):
    assert logits.shape == (2, 110)
    found = [at(logits[0], cell) for cell in ((0, 0), (3, 7), (2, 11))] + [
        at(logits[1], cell) for cell in ((0, 9), (0, 15))
    ]
    expected = [0.04602527, 0.03904806, 0.06428375, 0.06412749, 0.06789455]
    np.testing.assert_allclose(found, expected, atol=1e-7)


def test_parity_in_single_precision(logits):
    single = fill_by_place(TwoDTan(TINY)).float()
    video, (text, mask) = films().float(), words()
    assert_close(single(video, text.float(), mask), logits.float(), atol=1e-4, rtol=0)


def test_parity_of_labels_and_loss(logits):
    overlap = overlaps()
    assert at(overlap[0], (3, 7)) == pytest.approx(0.88)
    # Of all cells with i <= j; five have exactly 0.5.
    assert (overlaps(MapLayout(16, (16,))) > 0.5 + 1e-9).sum(1).tolist() == [19, 42]
    assert two_d_tan_loss(TINY, logits, overlap).item() == pytest.approx(0.71184487, abs=1e-7)
    tacos = TwoDTanConfig(iou_min=0.3, iou_max=0.7)
    assert two_d_tan_loss(tacos, logits, overlap).item() == pytest.approx(0.70487510, abs=1e-7)


def test_parity_of_the_answers(logits):
    first, second = (
        ranked_moments(TINY, row, ClipGrid.equal(16, duration)) for row, duration in zip(logits, DURATIONS, strict=True)
    )
    expected = double([[2.5, 17.5], [0, 10], [1.25, 2.5], [13.75, 15], [10, 18.75]])
    assert_close(first.seconds, expected)
    assert_close(iou(first.seconds, double(GOLD[0])), double([0.3666667, 0.55, 0, 0, 0]), atol=1e-6, rtol=0)
    assert_close(second.seconds[:2], double([[3.75, 26.25], [0, 1.875]]))
    unsuppressed = replace(TINY, nms_threshold=1.0)
    raw = ranked_moments(unsuppressed, logits[0], ClipGrid.equal(16, 20.0)).seconds
    assert_close(raw[:3], double([[2.5, 17.5], [0, 15], [0, 17.5]]))
    raw = ranked_moments(unsuppressed, logits[1], ClipGrid.equal(16, 30.0)).seconds
    assert_close(raw[:3], double([[3.75, 26.25], [0, 26.25], [0, 22.5]]))


def test_the_authors_rank_cells_that_hold_nothing(logits):
    everything = replace(TINY, nms_threshold=1.0, keep=1000)
    grid = ClipGrid.equal(16, 20.0)
    assert len(ranked_moments(everything, logits[0], grid).scores) == 110
    legacy = ranked_moments(replace(everything, legacy_empty_cells=True), logits[0], grid)
    assert len(legacy.scores) == 16 * 17 / 2
    assert (legacy.scores[110:] == 0).all()


@pytest.mark.parametrize(
    ("preset", "count"),
    [
        ("paper", 91_588_609),
        ("paper-activitynet-conv", 108_644_353),
        ("paper-charades", 60_925_953),
        ("paper-tacos", 60_925_953),
    ],
)
def test_published_sizes(preset, count):
    with torch.device("meta"):
        model = TwoDTan(PRESETS[preset])
    assert sum(p.numel() for p in model.parameters()) == count


def test_names_of_the_authors_checkpoints():
    with torch.device("meta"):
        shapes = {name: list(p.shape) for name, p in TwoDTan(PRESETS["paper"]).state_dict().items()}
        conv = {name: list(p.shape) for name, p in TwoDTan(PRESETS["paper-activitynet-conv"]).state_dict().items()}
    expected = {
        "frame_layer.vis_conv": [512, 500, 1],
        "fusion_layer.tex_linear": [512, 512],
        "fusion_layer.vis_conv": [512, 512, 1, 1],
        "pred_layer": [1, 512, 1, 1],
    } | {f"map_layer.convs.{i}": [512, 512, 9, 9] for i in range(4)}
    lstm = {f"fusion_layer.textual_encoder.weight_ih_l{i}": [2048, 512 if i else 300] for i in range(3)}
    lstm |= {f"fusion_layer.textual_encoder.weight_hh_l{i}": [2048, 512] for i in range(3)}
    lstm |= {f"fusion_layer.textual_encoder.bias_{kind}_l{i}": [2048] for i in range(3) for kind in ("ih", "hh")}
    biases = {f"{name}.bias": shape[:1] for name, shape in expected.items()}
    assert shapes == {f"{name}.weight": shape for name, shape in expected.items()} | biases | lstm
    layers = {
        f"prop_layer.layers.{s}.{i}": [512, 512, 2 if i else 3 if s else 1]
        for s, count in enumerate((16, 8, 8))
        for i in range(count)
    }
    extra = {f"{name}.weight": shape for name, shape in layers.items()} | {f"{name}.bias": [512] for name in layers}
    assert conv == shapes | extra


def test_other_checkpoints_are_translated(tiny):
    theirs = {
        "frame_layer.vis_conv": "featpool.conv",
        "fusion_layer.textual_encoder": "integrator.lstm",
        "fusion_layer.tex_linear": "integrator.fc",
        "fusion_layer.vis_conv": "integrator.conv",
        "map_layer.convs": "predictor.convs",
        "pred_layer": "predictor.pred",
    }
    state = tiny.state_dict()
    renamed = {}
    for name, tensor in state.items():
        ours = next(prefix for prefix in theirs if name.startswith(f"{prefix}."))
        renamed[f"module.{theirs[ours]}{name.removeprefix(ours)}"] = tensor
    assert convert_checkpoint(renamed).keys() == convert_checkpoint(state).keys() == state.keys()


# --- the map -----------------------------------------------------------------------------------------------------


def reference_cells(clips, scales):
    """The diagonal walk of the sheet: each scale doubles the step between diagonals and along them."""
    cells, offset = set(), -1
    for scale, count in enumerate(scales):
        for _ in range(count):
            offset += 2**scale
            cells |= {(i, i + offset) for i in range(0, clips - offset, 2**scale)}
    return cells


@pytest.mark.parametrize(("clips", "scales"), LAYOUTS)
def test_cells_are_the_diagonal_walk(clips, scales):
    layout = MapLayout(clips, scales)
    assert {tuple(cell) for cell in layout.cells.tolist()} == reference_cells(clips, scales)
    assert len(layout.cells) == {16: 136 if len(scales) == 1 else 110, 32: 428, 64: 1104, 128: 2548}[clips]


@pytest.mark.parametrize(("clips", "scales"), LAYOUTS)
@torch.no_grad()
def test_nested_pools_are_the_greatest_of_a_moment(clips, scales):
    layout = MapLayout(clips, scales)
    rows = torch.randn(2, 3, clips)
    expected = torch.zeros(2, 3, clips, clips)
    for i, j in reference_cells(clips, scales):
        expected[:, :, i, j] = rows[:, :, i : j + 1].amax(-1)
    assert torch.equal(MaxPooledProposals(layout)(rows), expected)


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(("clips", "scales"), LAYOUTS)
@torch.no_grad()
def test_convolved_proposals_fill_the_map(clips, scales, first):
    layout = MapLayout(clips, scales)
    rows = torch.randn(2, 3, clips)
    maps = ConvolvedProposals(layout, 3, first)(rows)
    assert torch.equal((maps != 0).any(1).all(0), torch.from_numpy(layout.mask))
    assert torch.equal(maps.diagonal(dim1=2, dim2=3), rows) is not first


def test_a_convolved_proposal_sees_its_clips_and_no_others():
    layout = MapLayout(16, (8, 4))
    rows = torch.randn(1, 2, 16, requires_grad=True)
    maps = ConvolvedProposals(layout, 2, True)(rows)
    for i, j in layout.cells.tolist():
        (gradient,) = torch.autograd.grad(maps[0, :, i, j].sum(), rows, retain_graph=True)
        assert gradient[0].abs().sum(0).nonzero().flatten().tolist() == list(range(i, j + 1))


@pytest.mark.parametrize(("clips", "scales"), [(16, (17,)), (32, (15, 8)), (32, (16, 9)), (16, (8, 4, 4)), (8, (0,))])
def test_a_layout_that_does_not_fit_is_refused(clips, scales):
    with pytest.raises(IvcrError, match="has no diagonals"):
        MapLayout(clips, scales)


@settings(max_examples=15, deadline=None)
@given(st.sampled_from([(8, (8,)), (12, (6, 2)), (16, (8, 4))]), st.sampled_from([(3, 1), (3, 3), (5, 2)]))
def test_map_convolutions_are_the_rule(shape, convolution):
    """In NumPy, cell by cell: bias, ReLU, then over the number of live cells in the window."""
    layout, (kernel, layers) = MapLayout(*shape), convolution
    model = MapConvolutions(layout, 2, kernel, layers).double()
    maps = torch.randn(1, 2, layout.clips, layout.clips, dtype=torch.float64)
    values, live = (maps[0] * torch.from_numpy(layout.mask)).numpy(), layout.mask
    for place, layer in enumerate(model.convs):
        border = (kernel - 1) * layers // 2 if place == 0 else 0
        values, live = (np.pad(a, [(0, 0)] * (a.ndim - 2) + [(border, border)] * 2) for a in (values, live))
        side = live.shape[0] - kernel + 1
        weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
        out, alive = np.zeros((2, side, side)), np.zeros((side, side), bool)
        for i in range(side):
            for j in range(side):
                window, count = values[:, i : i + kernel, j : j + kernel], live[i : i + kernel, j : j + kernel].sum()
                alive[i, j] = count > 0
                if count:
                    out[:, i, j] = np.maximum((weight * window).sum((1, 2, 3)) + bias, 0) / count
        values, live = out, alive
    found = model(maps * torch.from_numpy(layout.mask))[0]
    assert_close(found, torch.from_numpy(values), atol=1e-6, rtol=0)


def test_soft_labels():
    assert_close(soft_labels(double([0.2, 0.5, 0.6, 0.75, 1.0]), 0.5, 1.0), double([0, 0, 0.2, 0.5, 1.0]))


# --- answers do not depend on company -------------------------------------------------------------------------------


@torch.no_grad()
def test_one_at_a_time_is_all_at_once():
    config = PRESETS["mini"]
    torch.manual_seed(0)
    model = TwoDTan(config).eval()
    video = random_films(32, config.rows, config.video_width)
    text = random_films(32, 9, config.text_width, seed=1)
    lengths = torch.arange(32) % 8 + 1
    mask = torch.arange(9) < lengths[:, None]
    together = model(video, text * mask[..., None], mask)
    for i in range(32):
        n = int(lengths[i])
        alone = model(video[i : i + 1], text[i : i + 1, :n], mask[i : i + 1, :n])
        assert_close(alone[0], together[i], atol=1e-5, rtol=0)


@torch.no_grad()
def test_one_film_serves_many_sentences(tiny):
    text, mask = words()
    film = tiny.encode_films(films()[:1])
    alone = torch.cat([tiny(films()[:1], text[i : i + 1], mask[i : i + 1]) for i in range(2)])
    assert_close(tiny.score(film, text, mask), alone)


# --- it learns ------------------------------------------------------------------------------------------------------


def test_ten_films_are_learned_by_heart():
    torch.manual_seed(0)
    config = TwoDTanConfig(
        video_width=16, text_width=16, width=32, rows=16, clips=16, scales=(16,), kernel=3, layers=3, keep=1
    )
    moments = torch.tensor([[i, i + 3 + i % 4] for i in range(10)])
    video, text = seen_in_the_films(16, 16, moments, seed=1)
    mask = torch.ones(10, 2, dtype=torch.bool)
    gold = torch.stack((moments[:, 0], moments[:, 1] + 1), 1).double() / 16
    model, overlap = TwoDTan(config), config.layout.gold_iou(gold).float()
    optimiser = torch.optim.Adam(model.parameters(), 2e-3)
    began = time.perf_counter()
    for _ in range(150):
        optimiser.zero_grad()
        two_d_tan_loss(config, model(video, text, mask), overlap).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimiser.step()
    hits = [
        iou(ranked_moments(config, row, ClipGrid.equal(16, 1.0)).seconds[0], wanted).item() >= 0.7
        for row, wanted in zip(model(video, text, mask), gold, strict=True)
    ]
    assert np.mean(hits) >= 0.9
    assert time.perf_counter() - began < 30
