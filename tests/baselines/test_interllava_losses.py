"""The losses of InterLLaVA against hand-worked numbers and the tests (i) to (iv) of its sheet."""

import math

import pytest
import torch

from baselines.interllava.losses import expected_seconds, index_loss, interval_loss, official_logged


def test_index_loss_is_cross_entropy_over_the_candidates_present():
    # softmax over the first two of (ln 3, 0, 9): 3/4 and 1/4; gold is the second: -ln(1/4) = ln 4.
    logits = torch.tensor([[math.log(3.0), 0.0, 9.0]])
    present = torch.tensor([[True, True, False]])
    assert index_loss(logits, torch.tensor([1]), present).item() == pytest.approx(math.log(4))


def test_one_hot_logits_on_gold_give_no_index_loss_and_the_quantisation_floor():
    index = torch.full((1, 10), -50.0)
    index[0, 3] = 50.0
    assert index_loss(index, torch.tensor([3]), torch.ones(1, 10, dtype=torch.bool)).item() < 1e-6
    seconds = torch.arange(32) + 0.5
    start = expected_seconds(torch.where(torch.arange(32) == 12, 50.0, -50.0).unsqueeze(0), seconds)
    end = expected_seconds(torch.where(torch.arange(32) == 20, 50.0, -50.0).unsqueeze(0), seconds)
    # [12.5, 20.5] against [12.3, 20.1]: overlap 7.6, union 8.2.
    loss = interval_loss(start, end, torch.tensor([[12.3, 20.1]]), torch.tensor([32.0]), giou_weight=0)
    assert loss.item() == pytest.approx(1 - 7.6 / 8.2, abs=1e-5)


def test_interval_loss_of_disjoint_intervals_has_a_gradient_only_with_the_hull_term():
    gold, duration = torch.tensor([[10.0, 14.0]]), torch.tensor([30.0])
    for weight, moves in ((0.0, False), (1.0, True)):
        start = torch.tensor([2.0], requires_grad=True)
        end = torch.tensor([4.0], requires_grad=True)
        loss = interval_loss(start, end, gold, duration, giou_weight=weight)
        loss.backward()
        assert (end.grad.abs().item() > 0) is moves
    # 1 - IoU + (hull - union) / hull = 1 - 0 + (12 - 6) / 12.
    assert loss.item() == pytest.approx(1.5)


def test_empty_gold_interval_is_widened():
    same = torch.tensor([5.0])
    loss = interval_loss(same - 0.05, same + 0.05, torch.tensor([[5.0, 5.0]]), torch.tensor([20.0]))
    assert loss.item() == pytest.approx(0.0, abs=1e-4)


def test_index_loss_does_not_depend_on_the_order_of_candidates():
    torch.manual_seed(0)
    logits, order = torch.randn(1, 10), torch.randperm(10)
    present = torch.ones(1, 10, dtype=torch.bool)
    moved = index_loss(logits[:, order], (order == 4).nonzero()[0], present)
    assert moved.item() == pytest.approx(index_loss(logits, torch.tensor([4]), present).item())


def test_no_turn_of_a_kind_gives_zero_with_a_gradient():
    logits = torch.zeros(0, 10, requires_grad=True)
    loss = index_loss(logits, torch.zeros(0, dtype=torch.long), torch.zeros(0, 10, dtype=torch.bool))
    loss.backward()
    assert loss.item() == 0.0
    assert logits.grad is not None


@pytest.mark.parametrize(
    ("right", "iou", "expected"),
    [(True, None, 0.01 * 0.000413), (False, None, 0.01 * 9.9904), (None, 0.25, 0.0075), (None, None, 0.0)],
)
def test_official_numbers(right, iou, expected):
    assert official_logged(right, iou) == pytest.approx(expected)
