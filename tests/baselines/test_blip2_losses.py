import numpy as np
import pytest
import torch

from baselines.backbones import blip2_losses as losses


def log_softmax(x: np.ndarray) -> np.ndarray:
    shifted = x - x.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


@pytest.mark.parametrize("ids", [[0, 1, 2, 3], [5, 7, 5, 5]])
def test_itc_against_loops(ids):
    similarity = np.random.default_rng(0).normal(size=(4, 4))
    total = 0.0
    for scores in (similarity / 0.07, similarity.T / 0.07):
        for row in range(4):
            friends = [column for column in range(4) if ids[column] == ids[row]]
            target = np.full(4, 0.1 / 4)
            target[friends] += 0.9 / len(friends)
            total -= (target * log_softmax(scores[row])).sum() / 4
    found = losses.itc_loss(torch.tensor(similarity), torch.tensor(0.07), torch.tensor(ids))
    assert found.item() == pytest.approx(total / 2, rel=1e-5)


def test_itc_without_repeated_ids_is_label_smoothing():
    logits = torch.randn(4, 4)
    labels = torch.arange(4)
    smooth = torch.nn.functional.cross_entropy
    expected = (smooth(logits, labels, label_smoothing=0.1) + smooth(logits.T, labels, label_smoothing=0.1)) / 2
    torch.testing.assert_close(losses.itc_loss(logits, torch.tensor(1.0), labels), expected)


def test_hard_negatives_have_another_id_and_prefer_the_likely():
    similarity = torch.zeros(4, 4)
    similarity[0, 3] = 50.0
    ids = torch.tensor([0, 0, 1, 2])
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        drawn = losses.hard_negatives(similarity, ids, generator)
        assert drawn[0] == 3
        assert (ids[drawn] != ids).all()


def test_hard_negatives_of_a_batch_with_one_id_do_not_fail():
    drawn = losses.hard_negatives(torch.randn(3, 3), torch.zeros(3))
    assert ((drawn >= 0) & (drawn < 3)).all()


def test_itm_by_hand():
    """Logits [0, ln 3] match with probability 3/4: first row right 3/4, second row (a negative) right 1/4."""
    logits = torch.tensor([[0.0, np.log(3)], [0.0, np.log(3)]])
    expected = -(np.log(3 / 4) + np.log(1 / 4)) / 2
    assert losses.itm_loss(logits, positives=1).item() == pytest.approx(expected)


def test_itg_mask_by_hand():
    mask = losses.itg_attention_mask(torch.tensor([[1, 1, 0]]), queries=2)
    assert mask.dtype == torch.float32
    assert (mask[0, 0] == 0).tolist() == [
        [True, True, False, False, False],
        [True, True, False, False, False],
        [True, True, True, False, False],
        [True, True, True, True, False],
        [True, True, True, True, False],
    ]


def test_itg_against_loops():
    logits = np.random.default_rng(1).normal(size=(2, 4, 6))
    ids, mask = np.array([[4, 1, 2, 0], [4, 3, 5, 1]]), np.array([[1, 1, 1, 0], [1, 1, 1, 1]])
    terms = []
    for row in range(2):
        for position in range(3):
            if mask[row, position + 1]:
                scores = log_softmax(logits[row, position])
                terms.append(-(0.9 * scores[ids[row, position + 1]] + 0.1 * scores.mean()))
    found = losses.itg_loss(torch.tensor(logits), torch.tensor(ids), torch.tensor(mask))
    assert found.item() == pytest.approx(np.mean(terms))


def test_tags_by_hand():
    """One word of two is there; logits 0 and ln 3: -log 1/2 for the first, -log 1/4 for the second, over 1 word."""
    found = losses.tag_loss(torch.tensor([[0.0, np.log(3)]]), torch.tensor([[1.0, 0.0]]))
    assert found.item() == pytest.approx(3 * np.log(2))
