import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from baselines.backbones.blip2 import Blip2RetrieverConfig, Blip2VideoRetriever
from baselines.backbones.text_tower import TextTower
from baselines.backbones.tokenizer import train_tokenizer
from baselines.interllava.phase1 import (
    DialogueRetriever,
    Phase1Config,
    dialogue_text,
    load_phase1,
    save_phase1,
)
from baselines.interllava.phase1_data import (
    DialogueBatches,
    Phase1Training,
    Query,
    ShotBatches,
    StepSettings,
)
from baselines.interllava.phase1_training import train_blip2, train_x_pool
from ivcr_bench.data.mini.world import Actor, Film, Shot
from ivcr_bench.errors import IvcrError
from ivcr_bench.schema import Exchange, Request

CONFIG = Phase1Config(
    Blip2RetrieverConfig(
        image_size=16, patch_size=4, vision_width=24, vision_layers=1, vision_heads=2, vision_mlp=32, stem="conv",
        tubelet=2, width=24, layers=1, heads=2, mlp=32, queries=2, vocab_size=120, max_text=96, shared_width=8,
        dropout=0.0,
    ),
    frames=3,
    dropout=0.0,
)  # fmt: skip
STEP = StepSettings(steps=4, batch=3, learning_rate=1e-2, warmup_steps=1, save_steps=2)
TRAINING = Phase1Training(blip2=STEP, x_pool=STEP, tag_steps=2, shift=1, half=False)
SHOT = Shot(0.0, 4.0, "night", "fall", (Actor("red", "star", "big"),))
FILMS = [
    Film(name, "night", "disaster", 0, (Shot(0.0, 4.0, setting, "fall", SHOT.actors),))
    for name, setting in (("a", "night"), ("b", "snow"), ("c", "sea"))
]
IMAGES = {
    film.video_id: np.random.default_rng(n).integers(0, 256, (8, 16, 16, 3), np.uint8) for n, film in enumerate(FILMS)
}
TOKENIZER = train_tokenizer(["a red star falls at night in snow by the sea", "夜里的红色星星"], vocab_size=120)


def caption(shot, language, rng):
    return f"a star falls, {shot.setting} {rng.integers(10)}"


def shots(training=TRAINING):
    return ShotBatches(FILMS, IMAGES, caption, TOKENIZER, CONFIG, training, seed=0)


def dialogues():
    features = {film.video_id: torch.randn(8, 2, 8) for film in FILMS}
    queries = [Query("a red star", ("a",)), Query("the sea / in the snow", ("b", "c"))]
    return DialogueBatches(queries, features, TOKENIZER, CONFIG, TRAINING, seed=0)


@pytest.mark.parametrize("batches", [shots(), dialogues()])
def test_a_batch_depends_on_seed_and_step_only(batches):
    first, again, other = batches[1], batches[1], batches[2]
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_tags_are_the_words_of_both_captions():
    batch = shots()[0]
    held = {TOKENIZER.convert_ids_to_tokens(int(i)) for i in batch["tags"][0].nonzero()}
    assert "▁star" in held or {"s", "t"} & held
    assert not held & set(TOKENIZER.all_special_tokens)
    assert batch["pixels"].shape == (3, 1, 6, 16, 16)


def test_text_tower_starts_as_the_text_side_of_blip2():
    torch.manual_seed(0)
    blip2 = Blip2VideoRetriever(CONFIG.blip2).eval()
    tower = TextTower.copy_of(blip2).eval()
    ids, mask = torch.randint(8, 100, (3, 5)), torch.ones(3, 5, dtype=torch.long)
    torch.testing.assert_close(tower(ids, mask), blip2.encode_text(ids, mask))


def test_training_resumes_to_the_same_weights(tmp_path):
    def run(resume):
        torch.manual_seed(0)
        model = Blip2VideoRetriever(CONFIG.blip2)
        before = model.query_tokens.detach().clone()
        train_blip2(model, shots(), tmp_path, resume=resume)
        assert not torch.equal(before, model.query_tokens)
        return model.state_dict()

    whole = run(resume=False)
    shutil.rmtree(tmp_path / "checkpoint-4")
    resumed = run(resume=True)
    for name, tensor in whole.items():
        torch.testing.assert_close(resumed[name], tensor, msg=name)


def test_x_pool_learns_its_two_queries(tmp_path):
    torch.manual_seed(0)
    model = DialogueRetriever(CONFIG)
    batches = dialogues()
    batches.training = replace(TRAINING, x_pool=replace(STEP, steps=40))
    batch = batches[0]

    def wrong():
        scores = model.x_pool(model.text_tower(batch["input_ids"], batch["mask"]), batch["frames"])
        return (~batch["positive"].gather(1, scores.argmax(1, keepdim=True))).sum().item()

    train_x_pool(model, batches, tmp_path)
    assert wrong() == 0


def test_saved_and_loaded(tmp_path):
    torch.manual_seed(0)
    save_phase1(tmp_path, CONFIG, Blip2VideoRetriever(CONFIG.blip2), DialogueRetriever(CONFIG), TOKENIZER)
    phase1 = load_phase1(tmp_path)
    assert phase1.config == CONFIG
    assert phase1.film_vectors(IMAGES["a"]).shape == (3, 8)
    assert phase1.text_vectors(["a star", "夜里"]).norm(dim=-1).tolist() == pytest.approx([1, 1])
    assert phase1.fingerprint == load_phase1(tmp_path).fingerprint


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(IvcrError, match=r"not a phase-1 folder: .*config\.json"):
        load_phase1(tmp_path)


def test_the_first_stage_reads_what_the_user_said():
    request = Request("d", 2, "en", "the same in snow", (Exchange("a star at night", None),))
    assert dialogue_text(request) == "a star at night / the same in snow"
