import math

import torch

from baselines.retrieval.pair_noise import combine, mix, normal, text_seeds, uniform


def signed(x):
    return x - 2**32 if x >= 2**31 else x


def in_python(x):
    """The hash in unbounded integers."""
    x ^= x >> 16
    x = x * 0x21F0AAAD % 2**32
    x ^= x >> 15
    x = x * 0x735A2D97 % 2**32
    return x ^ x >> 15


def test_mix_is_the_hash_in_32_bits():
    numbers = [0, 1, 2**31 - 1, 2**31, 2**32 - 1, *(in_python(7 * i + 1) for i in range(200))]
    found = mix(torch.tensor([signed(x) for x in numbers], dtype=torch.int32))
    assert found.tolist() == [signed(in_python(x)) for x in numbers]


def test_numbers_do_not_depend_on_what_is_drawn_beside_them():
    seeds, table = combine(torch.arange(7)[:, None], torch.arange(5)), combine(3, torch.arange(16))
    whole = uniform(seeds, table)
    assert torch.equal(uniform(seeds[2:4, 1:2], table), whole[2:4, 1:2])


def test_uniform_and_normal_numbers_have_their_moments():
    """Of n = 2**20 numbers: standard errors 0.29 / 2**10 and 1 / 2**10, five of which are allowed."""
    seeds, table = combine(torch.arange(1024)), combine(7, torch.arange(1024))
    flat, bell = uniform(seeds, table), normal(seeds, table)
    assert flat.min() > 0
    assert flat.max() < 1
    assert abs(flat.mean() - 0.5) < 5 * math.sqrt(1 / 12) / 2**10
    assert abs(flat.std() - math.sqrt(1 / 12)) < 1e-3
    assert abs(bell.mean()) < 5 / 2**10
    assert abs(bell.std() - 1) < 5e-3
    assert bell.isfinite().all()


def test_neighbouring_pairs_and_dimensions_are_not_correlated():
    """Correlation of n = 2**20 independent pairs of numbers: standard error 1 / 2**10."""
    seeds, table = combine(torch.arange(1024)), combine(7, torch.arange(1025))
    numbers = uniform(seeds, table) - 0.5
    for a, b in ((numbers[:-1], numbers[1:]), (numbers[:, :-1], numbers[:, 1:])):
        assert abs((a * b).mean() * 12) < 5 / 2**10


def test_the_lowest_and_highest_hash_stay_inside_the_open_interval():
    extremes = torch.tensor([0, -1], dtype=torch.int32)
    assert normal(torch.zeros(1, dtype=torch.int32), extremes).isfinite().all()


def test_a_text_has_its_seed_whatever_its_padding():
    ids = torch.tensor([[1, 5, 9, 0], [1, 9, 5, 0]])
    mask = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 0]])
    seeds = text_seeds(ids, mask)
    assert seeds[0] != seeds[1]
    assert torch.equal(text_seeds(ids[:1, :3], mask[:1, :3]), seeds[:1])
