"""Goldens of the parts that the transformer baselines share; the numbers are those of the authors' code."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from baselines.moment.detr import (
    ClipBatch,
    DropPath,
    clip_positions,
    in_seconds,
    inverse_sigmoid,
    padding_pairs,
    ranked_edges,
)
from baselines.moment.detr_losses import (
    DetectionWeights,
    MomentTargets,
    about_other_film,
    detection_losses,
    layered_detection_losses,
    margin_loss,
    match,
    moment_targets,
    rank_contrastive_loss,
)
from baselines.moment.spans import ClipGrid, pairwise_giou

LOGITS = torch.tensor([[[1.0, 0], [0, 1], [2, 0]]])
SPANS = torch.tensor([[[0.5, 0.4], [0.2, 0.2], [0.8, 0.1]]])
GOLD = [torch.tensor([[0.25, 0.3], [0.75, 0.2]])]


def close(found, expected, atol=1e-6):
    torch.testing.assert_close(found, torch.as_tensor(expected, dtype=found.dtype), atol=atol, rtol=0)


def test_clip_positions_are_relative_to_the_film():
    codes = clip_positions(torch.tensor([[True, True, True, False]]), 4)[0]
    close(codes[0], [0.866026, -0.499999, 0.020942, 0.999781])
    close(codes[2], [-0.000002, 1.0, 0.062790, 0.998027])
    close(codes[3], codes[2])


def test_endpoints_are_fractions_of_the_film_and_padding_stays_zero():
    batch = ClipBatch(torch.zeros(1, 3, 1), torch.tensor([[True, True, False]]), torch.zeros(1, 1, 1), torch.ones(1, 1))
    close(batch.with_endpoints().video[0], [[0, 0, 0.5], [0, 0.5, 1], [0, 0, 0]])


def test_generalised_iou():
    a, b = torch.tensor([[0, 0.2], [0.5, 1]]), torch.tensor([[0, 0.3], [0, 1.0]])
    close(pairwise_giou(a, b), [[0.666667, 0.2], [-0.2, 0.5]])


def test_matching_takes_the_cheapest_pairs():
    # Costs 10 L1 - gIoU - 4 p: [[.409099, 1.484857], [-.242432, 4.890901], [4.443479, -2.523188]].
    matches = match(LOGITS, SPANS, GOLD, DetectionWeights())
    assert matches.sample.tolist() == [0, 0]
    assert matches.proposal.tolist() == [1, 2]
    close(matches.gold, GOLD[0])


def test_detection_losses_by_hand():
    losses = detection_losses(LOGITS, SPANS, GOLD, DetectionWeights())
    # Matched pairs (.2,.2)-(.25,.3) and (.8,.1)-(.75,.2): every coordinate differs by .05, .1, .05, .1.
    close(losses["span"], 10 * 0.075)
    # [.1,.3]-[.1,.4] has IoU 2/3; [.75,.85]-[.65,.85] has 1/2; both hulls are covered.
    close(losses["giou"], (1 / 3 + 1 / 2) / 2)
    # -ln softmax of the right class: background .1 * 1.313262, foreground 1.313262 and .126928; a plain mean.
    close(losses["label"], 4 * (0.1 * 1.313262 + 1.313262 + 0.126928) / 3)


def test_earlier_layers_are_matched_anew():
    logits, spans = torch.cat((LOGITS.roll(1, 1), LOGITS)), torch.cat((SPANS.roll(1, 1), SPANS))
    losses = layered_detection_losses(logits[:, None], spans[:, None], GOLD, DetectionWeights())
    assert set(losses) == {"span", "giou", "label", "span_0", "giou_0", "label_0"}
    close(losses["span_0"], losses["span"].item())
    close(losses["label_0"], losses["label"].item())


def test_margin_loss_by_hand():
    targets = MomentTargets([], torch.zeros(1, 3), torch.tensor([[0, 1]]), torch.tensor([[2, 2]]))
    # Gaps: .2 + .5 - .6 = .1 and .2 + .5 - .4 = .3; twice their mean.
    close(margin_loss(torch.tensor([[0.6, 0.4, 0.5]]), targets), 0.4)


def test_rank_contrastive_loss_by_hand():
    scores, saliency = torch.tensor([[0.5, 0.0, 9.0]]), torch.tensor([[2.0, 0, 0]])
    mask = torch.tensor([[True, True, False]])
    # log softmax of (1, 0) is -.313262; the one salient clip counts on both of its levels and on no third.
    close(rank_contrastive_loss(scores, saliency, mask, levels=2), 2 * 0.313262, atol=1e-5)
    close(rank_contrastive_loss(scores, saliency, mask, levels=3), 2 * 0.313262, atol=1e-5)
    close(rank_contrastive_loss(scores, 0 * saliency, mask), 0.0)


def test_whole_clips_as_in_the_authors_evaluation():
    seconds = torch.tensor([[-3.2, 7.1], [4.9, 5.1], [147.2, 163], [1, 3], [5, 9]], dtype=torch.float64)
    rows = torch.cat((seconds / 150, torch.arange(5)[:, None] / 10), 1)
    grid = ClipGrid(75, 2.0, 150.0)
    close(in_seconds([rows], [grid], whole_clips=True)[0][:, :2], [[0, 8], [4, 6], [148, 150], [0, 4], [4, 8]])
    exact = in_seconds([rows], [grid])[0]
    close(exact[0], [0, 7.1, 0])
    close(exact[2], [147.2, 150, 0.2])


def test_ranking_is_by_foreground_probability_and_stable():
    rows = ranked_edges(torch.tensor([[[0.0, 1], [2, 0], [2, 0]]]), SPANS)[0]
    close(rows[:, :2], [[0.1, 0.3], [0.75, 0.85], [0.3, 0.7]])
    assert rows[0, 2] == rows[1, 2] > rows[2, 2]


def test_targets_from_seconds():
    grids = [ClipGrid(10, 2.0, 19.0), ClipGrid(3, 1.0, 3.0)]
    moments = [torch.tensor([[4.0, 8.0]]), torch.tensor([[0.0, 3.0]])]
    targets = moment_targets(moments, grids, 10, np.random.default_rng(0))
    close(targets.spans[0], [[0.3, 0.2]])
    close(targets.saliency, [[0, 0, 1, 1, 0, 0, 0, 0, 0, 0], [1, 1, 1, 0, 0, 0, 0, 0, 0, 0]])
    assert set(targets.inside[0].tolist()) == {2, 3}
    assert not {2, 3} & set(targets.outside[0].tolist())
    assert targets.outside[1].tolist() == targets.inside[1].tolist()


@given(st.integers(1, 60), st.floats(0.2, 4), st.floats(0, 1), st.floats(0, 1), st.integers(0, 9))
def test_targets_lie_within_the_film(clips, clip_seconds, a, b, seed):
    grid = ClipGrid(clips, clip_seconds, clips * clip_seconds)
    moment = torch.tensor([[min(a, b), max(a, b)]]).double() * grid.duration
    targets = moment_targets([moment], [grid], clips + 3, np.random.default_rng(seed))
    assert targets.saliency[0].gather(0, targets.inside[0]).min() == 1
    assert targets.inside.max() < clips
    assert targets.outside.max() < clips
    if targets.saliency[0, :clips].min() == 0:
        assert targets.saliency[0].gather(0, targets.outside[0]).max() == 0


def test_films_are_compared_with_the_next_of_the_batch():
    assert about_other_film("abcc").tolist() == [True, True, False, True]
    assert about_other_film(["a"]).tolist() == [False]


def test_padding_pairs_confuse_heads_and_samples():
    clips, words = torch.tensor([[True, True], [True, False]]), torch.tensor([[True], [False]])
    leak = padding_pairs(clips, words, heads=3)
    # Row sample * 3 + head has the mask of sample (sample * 3 + head) mod 2; only sample 1 has padding.
    assert leak[:, :, 1, 0].tolist() == [[False, True, False], [True, False, True]]
    assert not leak[:, :, 0].any()


def test_inverse_sigmoid_is_bounded():
    x = torch.tensor([-1.0, 0, 0.25, 1, 2])
    close(inverse_sigmoid(x).sigmoid(), [0.000999, 0.000999, 0.25, 0.999001, 0.999001])


def test_drop_path_drops_whole_samples_and_keeps_the_mean():
    torch.manual_seed(0)
    drop = DropPath(0.25)
    x = torch.ones(4000, 3)
    dropped = drop(x)
    close(dropped[:, 0], dropped[:, 2])
    close(dropped.unique(), [0, 4 / 3])
    assert dropped.mean().item() == pytest.approx(1, abs=0.03)
    close(drop.eval()(x), x)
