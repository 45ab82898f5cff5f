"""The training path of the moment baselines: batches, overfitting, resuming, and the folder that comes out."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from test_moment_localiser import corpus, features  # noqa: F401

from baselines.moment.features import FilmFeatures
from baselines.moment.localiser import MomentSystem
from baselines.moment.methods import METHODS
from baselines.moment.settings import MomentTraining, Plan, training_named
from baselines.moment.spans import ClipGrid
from baselines.moment.training import MomentData, QueryBatches, judge, train_model, train_on
from baselines.moment.training_data import MomentQuery
from baselines.moment.weights import load_weights
from ivcr_bench.data.dataset import Dataset, DatasetCard
from ivcr_bench.errors import IvcrError
from ivcr_bench.schema import Dialogue, Exchange, Gold, Request, Turn
from ivcr_bench.scoring.moments import best_iou

WIDTH = 16
SMALL_MAP = {"width": 32, "rows": 32, "clips": 16, "scales": (8, 4), "kernel": 3, "layers": 2}
DETR = {"width": 32, "heads": 2, "mlp": 64, "dropout": 0.0, "input_dropout": 0.0}
SMALL = {
    "2d_tan": SMALL_MAP,
    "mmn": {**SMALL_MAP, "joint": 32},
    "umt": {"width": 32, "heads": 2, "decoder_layers": 1, "dropout": 0.0, "input_dropout": 0.0, "text_dropout": 0.0},
    "momentdiff": {**DETR, "steps": 4},
    "cg_detr": DETR,
}
STEPS = {"mmn": 80, "umt": 200, "cg_detr": 150}
"""Of the three that learn fastest; the other two have such a test with their model."""


class ToyFeatures:
    """Text "film 3" has words that look like the moment of film 3."""

    def __init__(self):
        self.directions = np.random.default_rng(0).standard_normal((10, WIDTH)).astype(np.float32)

    def words(self, texts):
        rows = torch.stack([torch.from_numpy(self.directions[int(text.split()[1])]) for text in texts])
        return list(rows[:, None].expand(-1, 3, -1))


def ten_films():
    rng, toy = np.random.default_rng(1), ToyFeatures()
    films, queries = {}, []
    for i in range(10):
        grid = ClipGrid.at_rate(int(rng.integers(20, 33)), 1.0, 100.0)
        length = float(rng.uniform(0.2, 0.5)) * grid.clips
        start = float(rng.uniform(0, grid.clips - length))
        rows = torch.from_numpy(rng.standard_normal((grid.clips, WIDTH)).astype(np.float32)) / 2
        rows[grid.inside(torch.tensor([start, start + length]))] = torch.from_numpy(toy.directions[i])
        films[str(i)] = FilmFeatures(str(i), rows, grid)
        queries.append(MomentQuery(str(i), f"film {i}", ((start, start + length),)))
    return MomentData(toy, films, queries)


def settings(steps, **how):
    defaults = {"films": 10, "warmup_steps": 5, "evaluation_steps": steps, "caption_share": 0.0}
    return MomentTraining(steps=steps, **{"learning_rate": 2e-3, **defaults, **how})


def small(name):
    method = METHODS[name]
    return method, replace(method.sized(method.preset("mini"), WIDTH, WIDTH), **SMALL[name])


@pytest.mark.parametrize("name", STEPS)
def test_ten_films_are_learnt_through_the_training_path(name, tmp_path):
    method, config = small(name)
    data = ten_films()
    batches = QueryBatches(method, data, settings(STEPS[name]), seed=0)
    model = train_model(method, config, batches, data, tmp_path)
    assert judge(method, model, data)["R@1 IoU=0.7"] >= 0.9


@pytest.mark.parametrize("name", METHODS)
def test_training_resumes_to_the_same_bytes(name, tmp_path):
    method, config = small(name)
    data = ten_films()

    def run(resume):
        batches = QueryBatches(method, data, settings(4, evaluation_steps=2), seed=3)
        return train_model(method, config, batches, data, tmp_path, resume=resume).state_dict()

    whole = run(resume=False)
    bytes_before = (tmp_path / "checkpoint-4" / "model.safetensors").read_bytes()
    shutil.rmtree(tmp_path / "checkpoint-4")
    resumed = run(resume=True)
    assert (tmp_path / "checkpoint-4" / "model.safetensors").read_bytes() == bytes_before
    assert all(torch.equal(resumed[key], tensor) for key, tensor in whole.items())


def test_a_batch_depends_on_seed_and_step_only():
    method, _ = small("cg_detr")
    first, other = (QueryBatches(method, ten_films(), settings(9, films=4, queries=2), seed=s) for s in (0, 1))
    a, b, c, d = (x["batch"] for x in (first[1], first[1], first[2], other[1]))
    assert torch.equal(a.clips.video, b.clips.video)
    assert a.film_ids == b.film_ids
    assert a.film_ids not in (c.film_ids, d.film_ids)
    # Two rounds over the same four films: no neighbours are about one film.
    assert a.film_ids[:4] == a.film_ids[4:]
    assert len(set(a.film_ids)) == 4
    assert torch.equal(a.targets().inside, b.targets().inside)


def test_the_late_part_of_a_training_is_told_to_the_method():
    method, config = small("mmn")
    model = method.build(config)
    batch = QueryBatches(method, ten_films(), settings(9), seed=0)[0]["batch"]
    early, late = (method.objective(model, batch.on(torch.device("cpu"), late=late)) for late in (False, True))
    assert late["video"].item() == pytest.approx(config.late_factor * early["video"].item(), rel=1e-4)


def talk(number, split, film, moments):
    ask = Turn("the red star", "video_retrieval", "new_topic", Gold((film,)))
    when = Turn("when does it fall", "moment_retrieval", "long2short", Gold((film,), moments), depends_on=(1,))
    return Dialogue(f"d{number}", "en", split, 3, (ask, when))


@pytest.fixture
def dataset(corpus):  # noqa: F811
    """Two films to train on, one to validate on."""
    split_of = {"a": "train", "b": "train", "c": "val"}
    videos = tuple(type(v)(v.video_id, v.path, v.duration, v.source, split_of[v.video_id]) for v in corpus.videos)
    dialogues = [talk(1, "train", "a", ((1.0, 3.0),)), talk(2, "train", "b", ((0.0, 2.0), (5.0, 9.0)))]
    dialogues.append(talk(3, "val", "c", ((4.0, 12.0),)))
    return Dataset(corpus.root, DatasetCard("three films", "f" * 16), videos, tuple(dialogues))


@pytest.mark.parametrize("name", METHODS)
def test_a_training_leaves_a_folder_that_answers(name, dataset, features, tmp_path):  # noqa: F811
    plan = Plan(name, "mini", 0, replace(training_named(name, "mini"), steps=2, evaluation_steps=1, films=2, queries=1))
    weights = train_on(dataset, features, plan, tmp_path)
    assert (weights / "model.safetensors").stat().st_size < 3 * 2**20
    assert {tensor.dtype for tensor in load_file(weights / "model.safetensors").values()} <= {
        torch.float16,
        torch.int64,
    }
    card = (weights / "README.md").read_text()
    assert f"ivcr-bench train {name} --preset mini --seed 0" in card
    assert "three films" in card
    system = MomentSystem(weights, features)
    system.prepare(dataset.corpus("val"))
    request = Request("d3", 2, "en", "when does it fall", (Exchange("the red star", None),))
    (moments,) = system.localise([request], ["c"])
    assert all(0 <= moment.start <= moment.end <= 20 for moment in moments)
    # What validation judged is what the system answers.
    loaded = load_weights(weights)
    val = MomentData.of(dataset, "val", features, plan.training).standardised(loaded.standard)
    figures = judge(METHODS[name], loaded.model, val)
    assert figures["mIoU"] == pytest.approx(best_iou(moments[0], "c", [(4.0, 12.0)]), abs=1e-4)


def test_resuming_a_finished_training_changes_nothing(dataset, features, tmp_path):  # noqa: F811
    plan = Plan("umt", "mini", 0, settings(2, films=2))
    before = (train_on(dataset, features, plan, tmp_path) / "model.safetensors").read_bytes()
    after = (train_on(dataset, features, plan, tmp_path, resume=True) / "model.safetensors").read_bytes()
    assert before == after


def test_unknown_presets_are_named():
    assert training_named("umt", "mini-last").policy == "last"
    with pytest.raises(IvcrError, match="no preset 'paper' to train, expected one of mini, mini-last"):
        training_named("umt", "paper")
