import pytest
import torch

from baselines.retrieval.perturbed_topk import hard_topk, perturbed_topk

K, SIGMA = 2, 0.5


@pytest.fixture
def drawn():
    torch.manual_seed(0)
    return torch.randn(3, 5), torch.randn(3, 20, 5)


def test_the_indicator_by_counting(drawn):
    scores, noise = drawn
    expected = torch.zeros(3, K, 5)
    for row in range(3):
        for z in noise[row]:
            for rank, place in enumerate(sorted((scores[row] + SIGMA * z).argsort()[-K:].tolist())):
                expected[row, rank, place] += 1 / 20
    torch.testing.assert_close(perturbed_topk(scores, noise, K, SIGMA), expected)


def test_the_gradient_by_three_loops(drawn):
    scores, noise = drawn
    scores.requires_grad_()
    upstream = torch.randn(3, K, 5)
    (perturbed_topk(scores, noise, K, SIGMA) * upstream).sum().backward()
    expected = torch.zeros(3, 5)
    for row in range(3):
        for z in noise[row]:
            for rank, place in enumerate(sorted((scores[row] + SIGMA * z).argsort()[-K:].tolist())):
                expected[row, place] += upstream[row, rank, place] * z[place] / (20 * SIGMA)
    torch.testing.assert_close(scores.grad, expected)


def test_shared_noise_is_the_same_noise_for_all(drawn):
    scores, noise = drawn
    found = perturbed_topk(scores, noise[0], K, SIGMA)
    torch.testing.assert_close(found, perturbed_topk(scores, noise[:1].expand(3, -1, -1), K, SIGMA))


def test_equal_scores_choose_by_place_alone():
    """Order statistics of 3 out of 49 equal places: mean places 11.5, 24, 36.5, and the mass on the seven grid rows.

    Of 40,000 samples the mean place has a standard error of about 10 / 200 = 0.05, a mass one of 0.0025.
    """
    torch.manual_seed(0)
    indicator = perturbed_topk(torch.zeros(1, 49), torch.randn(40_000, 49), 3, 0.05)[0]
    means = indicator @ torch.arange(49.0)
    torch.testing.assert_close(means, torch.tensor([11.5, 24.0, 36.5]), atol=0.25, rtol=0)
    rows = indicator.view(3, 7, 7).sum(-1)
    first = torch.tensor([0.381, 0.266, 0.174, 0.105, 0.053, 0.019, 0.002])
    second = torch.tensor([0.051, 0.140, 0.200, 0.216, 0.200, 0.141, 0.052])
    torch.testing.assert_close(rows, torch.stack([first, second, first.flip(0)]), atol=0.01, rtol=0)


def test_hard_is_the_limit_of_no_noise(drawn):
    scores, noise = drawn
    assert torch.equal(hard_topk(scores, K), perturbed_topk(scores, noise, K, 1e-6))
