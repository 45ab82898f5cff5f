"""Which frames of a film GroundingGPT sees, and how: plainly, or through the authors' random crop."""

import math
from dataclasses import replace

import av
import grounding_gpt_authors as authors
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from baselines.backbones.frames import CLIP_MEAN, CLIP_STD
from baselines.mllm.grounding_gpt import PRESETS, GroundingGpt
from baselines.mllm.grounding_gpt.frames import (
    RATIO,
    SCALE,
    crop_box,
    film_pixels,
    frame_places,
    randomly_cropped,
    resized,
)


@given(st.integers(1, 5000))
def test_frames_are_the_authors(frames):
    seen = min(64, frames)
    assert frame_places(frames, 64).tolist() == np.arange(0, frames, frames / seen).astype(int).tolist()


def test_short_films():
    assert frame_places(3, 6).tolist() == [0, 1, 2]
    assert frame_places(3, 6, "repeat").tolist() == [0, 0, 1, 1, 2, 2]
    assert frame_places(12, 6, "repeat").tolist() == frame_places(12, 6).tolist()


def noise(frames=2, height=24, width=32):
    return np.random.default_rng(0).integers(0, 256, (frames, height, width, 3), dtype=np.uint8)


def test_resized_is_the_normalised_film():
    images = noise()
    expected = (images / 255 - np.array(CLIP_MEAN)) / np.array(CLIP_STD)
    np.testing.assert_allclose(resized(images).permute(0, 2, 3, 1).numpy(), expected, atol=1e-5)


def test_a_crop_is_random_but_the_seed_s_and_the_same_in_all_frames():
    images = np.repeat(noise(1), 2, axis=0)
    one, again, other = (randomly_cropped(images, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert torch.equal(one[0], one[1])
    assert one.shape == other.shape == (2, 3, 24, 32)
    assert not torch.equal(one, other)


def test_overshoot_wraps_around_as_in_the_authors_code():
    # Black beside white: cubic interpolation gives less than 0 and more than 255 beside the edge.
    images = np.zeros((1, 32, 32, 3), dtype=np.uint8)
    images[:, :, 16:] = 255
    pixels = randomly_cropped(images, torch.Generator().manual_seed(0))
    back = (pixels[0, 0] * CLIP_STD[0] + CLIP_MEAN[0]) * 255
    row = back[16].round().int().tolist()
    assert row[0] == 0
    assert row[-1] == 255
    left, right = row[: len(row) // 2], row[len(row) // 2 :]
    assert any(value > 200 for value in left[:-1]) or any(value < 60 for value in right[1:])


@given(st.integers(8, 400), st.integers(8, 400), st.integers(0, 2**31))
def test_a_crop_lies_in_the_picture(height, width, seed):
    top, left, down, across = crop_box((height, width), torch.Generator().manual_seed(seed))
    assert top >= 0
    assert left >= 0
    assert 0 < down <= height - top
    assert 0 < across <= width - left


def test_a_crop_covers_half_to_all_of_a_picture_with_sides_of_three_to_four():
    boxes = [crop_box((224, 224), torch.Generator().manual_seed(seed))[2:] for seed in range(200)]
    shares = [down * across / 224**2 for down, across in boxes]
    ratios = [across / down for down, across in boxes]
    assert SCALE[0] - 0.01 < min(shares) < 0.55
    assert 0.9 < max(shares) <= SCALE[1]
    assert RATIO[0] - 0.02 < min(ratios) < max(ratios) < RATIO[1] + 0.02
    assert np.mean(np.log(ratios)) == pytest.approx(0, abs=0.1)


def test_a_strip_is_cropped_in_its_middle():
    # No crop of these sides fits 10 by 100 with half its area: 10 high, 4/3 as wide.
    assert crop_box((10, 100), torch.Generator().manual_seed(0)) == (0, 43, 10, math.floor(10 * 4 / 3))


@pytest.fixture
def film(tmp_path):
    """Five frames of a lossless film, frame i of the grey 40 * i."""
    path = tmp_path / "film.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=5, width=48, height=32, pix_fmt="bgr0")
        for i in range(5):
            grey = np.full((32, 48, 3), 40 * i, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="rgb24").reformat(format="bgr0")))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize(
    ("changes", "greys"),
    [
        ({}, [0, 40, 80, 120, 160]),
        ({"frames": 3}, [0, 40, 120]),
        ({"short_films": "repeat"}, [0, 0, 40, 80, 80, 120, 160]),
        ({"transform": "upstream_random_crop"}, [0, 40, 80, 120, 160]),
    ],
)
def test_pixels_of_a_film(film, changes, greys):
    pixels = film_pixels(film, replace(authors.CONFIG, **changes))
    assert pixels.shape == (len(greys), 3, 28, 28)
    found = (pixels[:, 0] * CLIP_STD[0] + CLIP_MEAN[0]) * 255
    # The authors cut off what follows the point: 39.99, which interpolation makes of 40, becomes 39.
    cut = 1 if "transform" in changes else 0
    expected = torch.tensor(greys).float().view(-1, 1, 1).expand_as(found)
    torch.testing.assert_close(found, expected, atol=cut + 1e-3, rtol=0)


@torch.no_grad()
def test_a_film_of_fewer_frames_than_the_table_of_positions_is_encoded(film):
    model = GroundingGpt(authors.CONFIG).eval()
    rows = model.encode_frames(film_pixels(film, model.config))
    assert rows.shape == (5, 5, 48)
    assert model.film_tokens(rows[None]).shape == (1, authors.VIDEO_TOKENS, 64)


def test_rows_that_are_given_need_no_film(film):
    with pytest.raises(ValueError, match="no encoder of frames"):
        film_pixels(film, PRESETS["mini"])
