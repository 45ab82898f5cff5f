"""Training of phase 2 on a handful of turns: it moves the weights, resumes, and descends what it is told to."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import TINY, random_film

from baselines.interllava import prompts
from baselines.interllava.config import TrainingConfig
from baselines.interllava.model import InterLlava
from baselines.interllava.phase2 import StepBundles, TrainingTurn, train_phase2
from ivcr_bench.schema import Gold, Turn

TRAINING = TrainingConfig(
    steps=4, retrieval_batch=2, moment_batch=2, text_batch=2, warmup_steps=1, further_dialogue_seeds=0
)


@pytest.fixture
def bundles(assembler):
    rng = np.random.default_rng(0)
    films = {f"f{k}": random_film(12, rng) for k in range(12)}
    pairs = {name: (film, film) for name, film in films.items()}
    found, moment = Gold(("f0",), (), "here it is"), Gold(("f1",), ((1.0, 3.0),), "1.0 3.0 it is")
    turns = [
        Turn("find a red star", "video_retrieval", "new_topic", found),
        Turn("when is it", "moment_retrieval", "new_topic", moment),
    ]
    items = [
        TrainingTurn(
            prompts.render_dialogue((), turn.utterance),
            rng.normal(size=TINY.shared_width).astype(np.float32),
            turn.intent,
            turn,
            [f"f{k}" for k in range(2, 12)],
        )
        for turn in turns
    ]
    return lambda training=TRAINING: StepBundles(items, pairs, assembler, training, seed=0)


def fresh(assembler):
    torch.manual_seed(0)
    return InterLlava(TINY, len(assembler.tokenizer))


def test_a_step_depends_on_seed_and_number_only(bundles):
    first, again = bundles()[3], bundles()[3]
    for one, other in zip(first["batches"], again["batches"], strict=True):
        assert all(torch.equal(one[name], other[name]) for name in ("input_ids", "keys", "gold_index"))


def test_training_moves_every_part(bundles, assembler, tmp_path):
    before = {name: p.clone() for name, p in fresh(assembler).named_parameters()}
    trained = train_phase2(fresh(assembler), bundles(), tmp_path)
    assert [name for name, p in trained.named_parameters() if torch.equal(p, before[name])] == []


def test_the_official_mode_leaves_the_match_weights_to_the_language_loss(bundles, assembler, tmp_path):
    official = replace(TRAINING, loss_mode="official_logged")
    paper = train_phase2(fresh(assembler), bundles(), tmp_path / "paper")
    logged = train_phase2(fresh(assembler), bundles(official), tmp_path / "official")
    assert not torch.equal(paper.pointer.weigh.weight, logged.pointer.weigh.weight)


def test_a_finished_training_resumes_to_the_same_weights(bundles, assembler, tmp_path):
    done = train_phase2(fresh(assembler), bundles(), tmp_path)
    again = train_phase2(fresh(assembler), bundles(), tmp_path, resume=True)
    assert all(torch.equal(a, b) for a, b in zip(done.parameters(), again.parameters(), strict=True))
