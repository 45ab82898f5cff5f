"""The small CLIP, smaller still, on three films that a sentence can tell apart by their setting."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from retrieval_world import CLIP, TOKENIZER
from safetensors.torch import load_file

from baselines.backbones.tokenizer import load_tokenizer as load_bilingual
from baselines.retrieval import clip_pretraining
from baselines.retrieval.clip_backbone import ClipBackbone, ClipConfig, load_tokenizer
from baselines.retrieval.clip_pretraining import CaptionedShots, ClipTraining, Shots, judge, train_clip
from ivcr_bench.data.mini.world import Actor, Film, Shot
from ivcr_bench.errors import IvcrError

QUICK = ClipTraining(
    steps=4, batch=3, learning_rate=3e-3, warmup_steps=1, tag_steps=2, shift=0, half=False, evaluation_steps=2
)
STAR, HEART = Actor("red", "star", "big"), Actor("red", "heart", "big")


def film(name, setting):
    shots = (Shot(0.0, 4.0, setting, "fall", (STAR,)), Shot(4.0, 8.0, setting, "fall", (HEART,)))
    return Film(name, setting, "disaster", 0, shots)


FILMS = [film("a", "night"), film("b", "snow"), film("c", "sea")]
IMAGES = {
    f.video_id: np.concatenate([np.random.default_rng([n, k]).integers(0, 256, (1, 16, 16, 3), np.uint8)
                                .repeat(8, 0) for k in (0, 1)]) for n, f in enumerate(FILMS)
}  # fmt: skip


SHIPPED = load_bilingual(clip_pretraining.TOKENIZER)
"""Knows the words of captions; with `TOKENIZER` they fall apart into letters, and lose their beginnings."""


def batches(tokenizer=TOKENIZER, **changes):
    return CaptionedShots(Shots.of(FILMS, IMAGES, 2.0), tokenizer, CLIP, replace(QUICK, **changes), seed=0)


def test_a_batch_depends_on_its_step_alone():
    first, again = batches(), batches()
    for step in (0, 3):
        assert all(torch.equal(x, y) for x, y in zip(first[step].values(), again[step].values(), strict=True))
    batch = first[0]
    assert batch["pixels"].shape == (3, 6, 16, 16)
    assert batch["tags"].sum(1).min() > 3
    assert not batch["tags"][:, TOKENIZER.all_special_ids].any()


def test_a_tubelet_lies_within_its_shot():
    shots = Shots.of(FILMS, IMAGES, 2.0)
    rng = np.random.default_rng(0)
    for place, (name, shot) in enumerate(shots.shots):
        image = IMAGES[name][round(2 * shot.start)]
        for found in (shots.tubelet(place, 2), shots.tubelet(place, 2, rng)):
            np.testing.assert_array_equal(found[0], np.concatenate([image, image], -1))


def test_shots_of_one_scene_are_one():
    twice = Shots.of([*FILMS, film("d", "sea")], IMAGES, 2.0)
    assert twice.ids.tolist() == [0, 1, 2, 3, 4, 5, 4, 5]


def test_it_learns_six_shots(tmp_path):
    config = replace(CLIP, vocab_size=len(SHIPPED), eos_token_id=SHIPPED.eos_token_id)
    quick = batches(SHIPPED, steps=150, batch=6, tag_steps=30, evaluation_steps=50)
    quick.config = config
    clip = train_clip(config, quick, quick, tmp_path)
    assert judge(clip, quick.shots, SHIPPED)["R@1"] > 0.6  # 0.17 by chance


def test_pretraining_goes_on_where_it_was_killed(tmp_path):
    train_clip(CLIP, batches(), batches(), tmp_path / "whole")
    expected = load_file(tmp_path / "whole" / "checkpoint-4" / "model.safetensors")
    shutil.copytree(tmp_path / "whole", tmp_path / "killed")
    shutil.rmtree(tmp_path / "killed" / "checkpoint-4")
    train_clip(CLIP, batches(), batches(), tmp_path / "killed", resume=True)
    found = load_file(tmp_path / "killed" / "checkpoint-4" / "model.safetensors")
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, atol=1e-6, rtol=0)


class Mini:
    """Stands for a dataset; which splits are opened is written down."""

    class card:  # noqa: N801
        name, fingerprint = "mini", "0123"

    opened: list[str] = []  # noqa: RUF012


def test_the_whole_of_it_opens_no_test_film(tmp_path, monkeypatch):
    def decoded(dataset, split, config, rate):
        dataset.opened.append(split)
        return Shots.of(FILMS, IMAGES, rate)

    monkeypatch.setattr(clip_pretraining.Shots, "decoded", decoded)
    monkeypatch.setattr(clip_pretraining, "PRESETS", {"mini": QUICK})
    monkeypatch.setattr(clip_pretraining, "load_tokenizer", lambda _: TOKENIZER)
    monkeypatch.setattr(ClipConfig, "mini", lambda *_: CLIP)
    weights = clip_pretraining.train(Mini(), preset="mini", out=tmp_path, seed=0, resume=False)
    assert Mini.opened == ["train", "val"]
    loaded = ClipBackbone.load(weights)
    assert ClipConfig.of(loaded) == CLIP
    assert load_tokenizer(weights)("a star")["input_ids"] == TOKENIZER("a star")["input_ids"]
    assert "ivcr-bench train clip --preset mini --seed 0" in (weights / "README.md").read_text()
    assert (weights / "model.safetensors").stat().st_size < 1.2 * 2 * sum(p.numel() for p in loaded.parameters()) + 2e4


def test_there_is_no_other_preset(tmp_path):
    with pytest.raises(IvcrError, match="no preset 'paper' to train, expected one of mini"):
        clip_pretraining.train(Mini(), preset="paper", out=tmp_path, seed=0, resume=False)
