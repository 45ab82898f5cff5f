"""What the three methods share, apart from what their own tests see of it."""

import pytest
import torch

from baselines.mllm.llama import Decoding, LlamaSizes, collate
from baselines.mllm.lora import ALL_LINEAR, LoraSizes, adapter_factors, attach
from baselines.mllm.pieces import FILM_PLACE, IGNORED, Encoded, Piece, encode
from baselines.mllm.times import Found, first_found, pair_of, simple


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("从１２．５到２０秒。", "从12.5到20秒."),
        ("｛0.1，0.2｝", "{0.1,0.2}"),
        ("5–9 5—9 5−9 5－9", "5-9 5-9 5-9 5-9"),
        ("5～9 5〜9", "5~9 5~9"),
        ("From A", "from a"),
    ],
)
def test_simple(text, expected):
    assert simple(text) == expected


RULES = (("percent", pair_of(r"(\d+)% to (\d+)%", 100)), ("seconds", pair_of(r"(\d+) to (\d+)")))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10% to 50%", Found(4, 20, "percent")),  # of 40 seconds
        ("3 to 9, or 10% to 50%", Found(4, 20, "percent")),
        ("3 to 9", Found(3, 9, "seconds")),
        ("9 to 3", Found(3, 9, "seconds")),
        ("30 to 90", Found(30, 40, "seconds")),
        ("60 to 90", Found(38, 40, "seconds")),
        ("5 to 5", Found(5, 7, "seconds")),
        ("none", None),
    ],
)
def test_first_found(text, expected):
    assert first_found(text, RULES, 40.0, shortest=2.0) == expected


def test_a_film_shorter_than_the_shortest_moment_is_the_moment():
    assert first_found("1 to 1", RULES, 1.5, shortest=2.0) == Found(0, 1.5, "seconds")


def test_pieces():
    pieces = [Piece("ab"), Piece(film=2), Piece(" c"), Piece("d", learned=True)]
    found = encode(pieces, lambda text: [0, *map(ord, text)], 1)
    assert found.ids == [1, 0, 97, 98, FILM_PLACE, FILM_PLACE, 0, 99, 0, 100]
    assert found.labels == [IGNORED] * 8 + [0, 100]


def test_collate():
    prompts = [Encoded([1, 2, 3], [IGNORED, 2, 3]), Encoded([1], [IGNORED])]
    right, left = collate(prompts), collate(prompts, pad_left=True)
    assert right.ids.tolist() == [[1, 2, 3], [1, 0, 0]]
    assert left.ids.tolist() == [[1, 2, 3], [0, 0, 1]]
    assert right.mask.tolist() == [[1, 1, 1], [1, 0, 0]]
    assert left.mask.tolist() == [[1, 1, 1], [0, 0, 1]]
    assert right.labels.tolist() == [[IGNORED, 2, 3], [IGNORED] * 3]


def test_decoding():
    assert Decoding().arguments() == {"max_new_tokens": 64, "do_sample": False}
    drawn = Decoding(9, 1.0, 0.8).arguments()
    assert drawn == {"max_new_tokens": 9, "do_sample": True, "temperature": 1.0, "top_p": 0.8, "top_k": 50}


def test_a_saved_adapter_has_the_names_that_are_read():
    """peft writes what `adapter_factors` reads, for every linear layer but the head."""
    from peft import get_peft_model_state_dict

    sizes = LlamaSizes(vocab_size=8, hidden=8, layers=1, heads=2, mlp=16)
    attached = attach(sizes.build(), LoraSizes(2, 4, targets=ALL_LINEAR))
    factors = adapter_factors(get_peft_model_state_dict(attached))
    assert factors.keys() == adapter_factors(attached.state_dict()).keys()
    assert len(factors) == 7
    a, b = factors["model.layers.0.mlp.down_proj"]
    assert (a.shape, b.shape) == ((2, 16), (8, 2))
    assert torch.equal(b, torch.zeros(8, 2))
