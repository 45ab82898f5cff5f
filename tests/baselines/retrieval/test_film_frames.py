import numpy as np
import pytest
import torch

from baselines.backbones.frames import normalise
from baselines.retrieval.film_frames import film_frames, frame_places


@pytest.mark.parametrize(
    ("count", "padding", "expected"),
    [
        (10, "zeros", [0, 3, 6, 9]),
        (9, "zeros", [0, 2, 5, 8]),  # int(0, 2.67, 5.33, 8)
        (4, "zeros", [0, 1, 2, 3]),
        (2, "zeros", [0, 1]),
        (10, "repeat", [0, 3, 5, 8]),  # parts 0-2, 2-5, 5-7, 7-10: (0+1)//2, (2+4)//2, (5+6)//2, (7+9)//2
        (4, "repeat", [0, 1, 2, 3]),
        (2, "repeat", [0, 1, 1, 1]),
    ],
)
def test_which_of_the_frames_are_shown(count, padding, expected):
    assert frame_places(count, 4, padding).tolist() == expected


@pytest.mark.parametrize(("padding", "mask"), [("zeros", [1, 1, 0, 0]), ("repeat", [1, 1, 1, 1])])
def test_a_short_film_is_filled_up(padding, mask):
    images = np.random.default_rng(0).integers(0, 256, (2, 6, 5, 3), dtype=np.uint8)
    pixels, found = film_frames(images, 4, padding)
    assert pixels.shape == (4, 3, 6, 5)
    assert found.tolist() == mask
    assert torch.equal(pixels[:2], normalise(images))
    last = torch.zeros(2, 3, 6, 5) if padding == "zeros" else normalise(images[[1, 1]])
    assert torch.equal(pixels[2:], last)
