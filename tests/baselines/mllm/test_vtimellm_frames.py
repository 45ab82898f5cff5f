"""From frames to CLIP vectors (section 2 and recipe 7 of the sheet of VTimeLLM)."""

from importlib import import_module
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from baselines.backbones.frames import CLIP_MEAN, CLIP_STD
from baselines.mllm.vtimellm.config import VTimeLlmConfig
from baselines.mllm.vtimellm.frames import CLIP_LARGE, film_features, frame_features, frame_numbers, preprocess
from baselines.retrieval.checkpoints import convert_checkpoint
from baselines.retrieval.clip_backbone import ClipBackbone, ClipConfig

SMALL_CLIP = ClipConfig(
    image_size=32, patch_size=8, vision_width=32, vision_layers=2, vision_heads=2, text_width=32, text_layers=2,
    text_heads=2, width=32, vocab_size=64, max_text=16, eos_token_id=63,
)  # fmt: skip
IMAGES = np.random.default_rng(0).integers(0, 256, (3, 40, 61, 3)).astype(np.uint8)


@pytest.mark.parametrize(
    ("total", "count", "expected"),
    [
        # 10 / 3 = 3.3, 20 / 3 = 6.7, cut off
        (11, 4, [0, 3, 6, 10]),
        (3, 5, [0, 0, 1, 1, 2]),
        (1, 3, [0, 0, 0]),
    ],
)
def test_first_and_last_frame_are_among_them(total, count, expected):
    assert frame_numbers(total, count).tolist() == expected


def test_a_hundred_of_a_long_film():
    found = frame_numbers(5000, 100)
    assert (len(found), found[0], found[-1], found[1]) == (100, 0, 4999, 50)


@pytest.mark.parametrize(
    ("clip", "expected"),
    [((1.0, 3.0), [25, 50, 75]), ((0.5, 99.0), [12, 55, 99]), ((-1.0, 0.0), [0, 0, 0])],
)
def test_a_part_of_a_film(clip, expected):
    # 25 frames a second, 100 frames: 0.5 s is frame 12, and nothing comes after frame 99.
    assert frame_numbers(100, 3, clip, rate=25.0).tolist() == expected


def cubic(distance, a=-0.75):
    """Keys' kernel with the parameter of torch."""
    x = abs(distance)
    if x <= 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a if x < 2 else 0.0


def resized(line, size):
    """The first axis of ``line`` bicubically at ``size`` places, edges repeated, nothing smoothed."""
    rows = []
    for place in range(size):
        centre = (place + 0.5) * len(line) / size - 0.5
        near = int(np.floor(centre)) + np.arange(-1, 3)
        weights = [cubic(centre - n) for n in near]
        rows.append(np.tensordot(weights, line[near.clip(0, len(line) - 1)], 1))
    return np.stack(rows)


def expected_pixels(image, size):
    """An image lying on its side: 40 rows become ``size``, the columns follow, the middle is kept."""
    wide = int(size * image.shape[1] / image.shape[0])
    tall = resized(image / 255.0, size)
    left = round((wide - size) / 2)
    whole = resized(tall.swapaxes(0, 1), wide).swapaxes(0, 1)[:, left : left + size]
    return ((whole - CLIP_MEAN) / CLIP_STD).transpose(2, 0, 1)


@pytest.mark.parametrize("size", [16, 56])
def test_frames_are_resized_cut_and_normalised(size):
    found = preprocess(IMAGES, size)
    assert found.shape == (3, 3, size, size)
    np.testing.assert_allclose(found[0], expected_pixels(IMAGES[0], size), atol=1e-4)
    upright = preprocess(IMAGES.swapaxes(1, 2).copy(), size)
    np.testing.assert_allclose(upright.swapaxes(2, 3), found, atol=1e-5)


def test_a_frame_of_the_right_size_is_only_normalised():
    found = preprocess(IMAGES[:, :, :40], 40)
    np.testing.assert_allclose(
        found[1], ((IMAGES[1, :, :40] / 255 - CLIP_MEAN) / CLIP_STD).transpose(2, 0, 1), atol=1e-5
    )


def test_overshoots_are_kept_and_smoothing_is_an_option():
    edge = np.zeros((1, 64, 64, 3), np.uint8)
    edge[:, :, 33:] = 255
    black = -CLIP_MEAN[0] / CLIP_STD[0]
    assert preprocess(edge, 96)[:, 0].min() < black - 0.01
    assert not torch.equal(preprocess(IMAGES, 16), preprocess(IMAGES, 16, antialias=True))


@pytest.fixture
def openai_clip(monkeypatch):
    """OpenAI's CLIP in NumPy."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "retrieval"))
    return import_module("openai_clip")


def test_vectors_are_those_of_openai(openai_clip):
    state = openai_clip.random_state(np.random.default_rng(1))
    clip = ClipBackbone.build(SMALL_CLIP).eval()
    clip.load_state_dict(convert_checkpoint({k: torch.as_tensor(v) for k, v in state.items()}, clip).state)
    expected = openai_clip.image_tokens(state, preprocess(IMAGES, 32).numpy(), heads=2)[:, 0]
    found = frame_features(clip, IMAGES)
    assert (found.dtype, found.shape) == (np.float16, (3, 32))
    cosines = (
        (found * expected).sum(-1) / np.linalg.norm(found.astype(float), axis=-1) / np.linalg.norm(expected, axis=-1)
    )
    assert (cosines > 0.9999).all()
    # Lengths are kept.
    np.testing.assert_allclose(found, expected, atol=2e-2)


@pytest.fixture
def film(tmp_path):
    """Two seconds of 25 frames each, ever lighter."""
    path = tmp_path / "film.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25, width=64, height=48, pix_fmt="bgr0")
        for number in range(50):
            image = np.full((48, 64, 3), 5 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="bgr0")))
        container.mux(stream.encode())
    return path


def test_a_film(film):
    torch.manual_seed(2)
    clip = ClipBackbone.build(SMALL_CLIP).eval()
    found = film_features(clip, film, VTimeLlmConfig(frames=12))
    # 49 / 11 = 4.45: frames 0, 4, 8, 13, ..., 49
    shown = np.stack([np.full((48, 64, 3), 5 * number, np.uint8) for number in frame_numbers(50, 12)])
    assert frame_numbers(50, 12).tolist()[:4] == [0, 4, 8, 13]
    np.testing.assert_allclose(found, frame_features(clip, shown), atol=1e-3)
    assert len(np.unique(found, axis=0)) == 12


def test_clip_has_the_published_size():
    with torch.device("meta"):
        clip = ClipBackbone.build(CLIP_LARGE)
    assert sum(parameter.numel() for parameter in clip.parameters()) == 427_616_513
    assert tuple(clip.visual_projection.weight.shape) == (768, 1024)
