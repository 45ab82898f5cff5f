"""The one training of the five methods, on films of noise."""

import shutil
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from retrieval_cases import TINY, films, sentences
from retrieval_world import TOKENIZER, make_dataset, save_backbones, small_config
from safetensors.torch import load_file
from torch.nn.parallel import DistributedDataParallel

from baselines.retrieval import training
from baselines.retrieval.clip_backbone import ClipBackbone
from baselines.retrieval.methods import METHODS
from baselines.retrieval.retriever import CorpusRetriever
from baselines.retrieval.settings import IMAGE_STEM, RetrievalTraining, training_named
from baselines.retrieval.training import Pairs, train_method
from baselines.retrieval.training_data import PairBatches, RetrievalData, judge
from baselines.retrieval.x_pool import ClipXPool, XPoolConfig
from ivcr_bench.cli.main import main
from ivcr_bench.data.features import FeatureCache
from ivcr_bench.errors import IvcrError
from ivcr_bench.schema import Request

QUICK = RetrievalTraining(
    films=3, queries=2, backbone_rate=1e-3, head_rate=1e-3, steps=4, rate=2.0, jitter=True, shift=1, evaluations=2
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("films"))


@pytest.fixture(scope="module")
def backbones(tmp_path_factory):
    return save_backbones(tmp_path_factory.mktemp("backbones"))


@pytest.fixture
def quick(monkeypatch):
    """Four steps of the ``mini`` preset, smaller still."""
    monkeypatch.setattr(training, "training_named", lambda name, _: replace(QUICK, frozen=frozen_of(name)))
    for name, method in list(METHODS.items()):
        monkeypatch.setitem(METHODS, name, replace(method, presets={"mini": partial(lambda x: x, small_config(name))}))


def frozen_of(name):
    return training_named(name, "mini").frozen


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.usefixtures("quick")
def test_a_method_trains_and_ranks(name, dataset, backbones, tmp_path):
    out = tmp_path / "run"
    source = backbones[METHODS[name].family.part]
    run = {"preset": "mini", "out": out, "seed": 0, "backbone": str(source)}
    weights = train_method(name, dataset, **run, resume=False)
    part = CorpusRetriever(weights, FeatureCache(tmp_path / "cache"))
    part.prepare(dataset.corpus("val"))
    assert part.policy == "concat"
    assert np.isfinite(part.rank([Request("d", 1, "en", "a star")])).all()
    card = (weights / "README.md").read_text()
    assert f"ivcr-bench train {name} --preset mini --seed 0 --backbone {source}" in card
    assert "R@1" in card
    # What is frozen is as it was, up to float16; all else has moved.
    before = METHODS[name].start(small_config(name), source).state_dict()
    after = part.model.state_dict()
    frozen = [key for key in before if key.startswith(frozen_of(name))]
    assert frozen
    assert all(torch.allclose(before[key].half().float(), after[key].float()) for key in frozen)
    moved = [key for key in before if key not in frozen and before[key].is_floating_point()]
    assert sum(not torch.allclose(before[key], after[key], atol=1e-5) for key in moved) > 0.7 * len(moved)


@pytest.mark.usefixtures("quick")
def test_training_goes_on_where_it_was_killed(dataset, backbones, tmp_path):
    run = {"preset": "mini", "seed": 3, "backbone": str(backbones["clip"])}
    train_method("t_mass", dataset, **run, out=tmp_path / "whole", resume=False)
    last = tmp_path / "whole" / "checkpoints" / "checkpoint-4"
    expected = load_file(last / "model.safetensors")
    shutil.copytree(tmp_path / "whole", tmp_path / "killed")
    shutil.rmtree(tmp_path / "killed" / "checkpoints" / last.name)
    train_method("t_mass", dataset, **run, out=tmp_path / "killed", resume=True)
    found = load_file(tmp_path / "killed" / "checkpoints" / last.name / "model.safetensors")
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, atol=1e-6, rtol=0)


def batches(dataset, name="x_pool", **changes):
    settings, method, config = replace(QUICK, **changes), METHODS[name], small_config(name)
    data = RetrievalData.of(dataset, "train", method.sampling(config, settings.rate), settings)
    return PairBatches(method, config, TOKENIZER, data, settings, seed=0)


def test_a_batch_counts_all_that_is_right(dataset):
    """The query 红色星星 has two right films, wherever it came from."""
    found = batches(dataset)
    batch = found[0]
    assert batch["film"].tolist() == [0, 0, 1, 1, 2, 2]
    assert batch["pixels"].shape == (3, 4, 6, 16, 16)
    own = batch["columns"][batch["film"]]
    assert batch["relevant"].gather(1, own[:, None]).all()
    assert {int(row.sum()) for row in found[1]["relevant"]} <= {1, 2}
    rows = torch.cat([found[step]["relevant"] for step in range(4)])
    assert (rows.sum(1) == 2).any()
    assert all(torch.equal(x, y) for x, y in zip(found[2].values(), batches(dataset)[2].values(), strict=True))
    assert not torch.equal(found[0]["pixels"], found[1]["pixels"])


def test_epochs_are_passes_over_the_queries(dataset):
    """Four turns in batches of two films with one query each: two steps a pass."""
    assert len(batches(dataset, steps=0, epochs=5, films=2, queries=1)) == 10


def test_figures_of_a_known_ranking(dataset):
    """Of equal scores the right film comes last: with two films and no knowledge, it is second."""

    class Blind(ClipXPool):
        def similarity(self, texts, videos, block=None):
            return torch.zeros(len(texts), len(videos))

    config = small_config("x_pool")
    model = Blind(config, ClipBackbone.build(config.clip))
    data = RetrievalData.of(dataset, "val", METHODS["x_pool"].sampling(config, 2.0), QUICK)
    assert judge(METHODS["x_pool"], model, TOKENIZER, data) == {"R@1": 0.0, "R@5": 1.0, "R@10": 1.0, "MRR": 0.5}


def test_no_film_of_another_split_is_trained_on(dataset):
    found = batches(dataset)
    assert found.films.ids == ["a", "b", "c"]
    assert {v for queries in found._dialogues.values() for query in queries for v in query.videos} == {"a", "b", "c"}


def test_without_the_small_clip_it_is_said_how_to_make_it(dataset, tmp_path, monkeypatch):
    monkeypatch.setitem(training.BACKBONES, ("clip", "mini"), tmp_path / "clip-mini")
    with pytest.raises(IvcrError, match="CLIP4Clip starts from it") as raised:
        train_method("clip4clip", dataset, preset="mini", out=tmp_path, seed=0, resume=False)
    assert "ivcr-bench train clip --preset mini" in raised.value.hint


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"preset": "huge"}, "no preset 'huge'"), ({"query": "first"}, "no query policy 'first'"),
     ({"backbone": "/nowhere"}, "/nowhere: no CLIP here")],
)  # fmt: skip
def test_wrong_settings_are_named(changes, message, dataset, tmp_path):
    settings = {"preset": "mini", "out": tmp_path, "seed": 0, "resume": False} | changes
    with pytest.raises(IvcrError, match=message):
        train_method("clip4clip", dataset, **settings)


def test_options_of_other_trainers_are_refused(monkeypatch, capsys, tmp_path):
    arguments = ["ivcr-bench", "train", "interllava", "--backbone", "x", "--out", str(tmp_path)]
    monkeypatch.setattr("sys.argv", arguments)
    with pytest.raises(SystemExit):
        main()
    assert "trainer 'interllava' has no option --backbone" in capsys.readouterr().err


def pair_batch(rows):
    """Rows of a batch of four pairs; film 2 is right for text 0, too."""
    ids, mask = sentences(4)
    relevant = torch.eye(4, dtype=torch.bool)
    relevant[0, 2] = True
    count = len(rows)
    return {
        "input_ids": ids[rows], "mask": mask[rows], "pixels": films(4, 4)[rows],
        "frame_mask": torch.ones(count, 4, dtype=torch.long), "film": torch.arange(count),
        "columns": torch.tensor(rows), "relevant": relevant[rows],
    }  # fmt: skip


def tiny_pairs():
    torch.manual_seed(0)
    return Pairs(ClipXPool(XPoolConfig(TINY, frames=4, dropout=0.0), ClipBackbone.build(TINY)), (IMAGE_STEM,))


def one_of_two(rank, store, expected):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    model = DistributedDataParallel(tiny_pairs())
    loss = model(**pair_batch([0, 1] if rank == 0 else [2, 3]))["loss"]
    loss.backward()
    torch.testing.assert_close(loss, expected["loss"], atol=1e-5, rtol=0)
    for name, parameter in model.module.named_parameters():
        if parameter.requires_grad:
            torch.testing.assert_close(parameter.grad, expected[name], atol=1e-5, rtol=1e-3)
    dist.destroy_process_group()


def test_two_processes_train_as_one(tmp_path):
    """Two with two pairs each have the loss and the gradients of one with all four."""
    pairs = tiny_pairs()
    loss = pairs(**pair_batch([0, 1, 2, 3]))["loss"]
    loss.backward()
    gradients = {name: p.grad for name, p in pairs.named_parameters() if p.requires_grad}
    # Forked, because a new process would import for longer than this takes.
    mp.start_processes(
        one_of_two, (tmp_path / "store", gradients | {"loss": loss.detach()}), nprocs=2, start_method="fork"
    )
