"""``ivcr-bench weights convert`` for the five methods: the file of an author becomes a folder that ranks the same."""

import tomllib
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from retrieval_world import TOKENIZER, small_config
from test_blip2_retrieval import lavis_file

from baselines.retrieval.methods import METHODS
from baselines.retrieval.weights import load_weights
from ivcr_bench import checkpoints
from ivcr_bench.cli.weights import command


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """The presets, smaller; and what pyproject.toml registers now."""
    for name, method in list(METHODS.items()):
        config = small_config(name)
        monkeypatch.setitem(METHODS, name, replace(method, presets={"paper": lambda config=config: config}))
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    group = project["entry-points"][checkpoints.GROUP]
    found = [EntryPoint(name, value, checkpoints.GROUP) for name, value in group.items()]
    monkeypatch.setattr(checkpoints, "entry_points", lambda group: found)


def trained(name):
    torch.manual_seed(7)
    model = METHODS[name].build(METHODS[name].preset("paper")).eval()
    for parameter in model.parameters():
        parameter.data += 0.01 * torch.randn_like(parameter)
    if name == "blip2":
        for layer in model.blip2.vision_model.encoder.layers:
            layer.self_attn.qkv.bias.data[24:48] = 0
    return model


def authors_file(name, model):
    if name == "blip2":
        return {"model": lavis_file(model)}
    state = dict(model.state_dict())
    return {"epoch": 5, "state_dict": state | {"clip.text_model.embeddings.position_ids": torch.arange(64)[None]}}


@pytest.mark.parametrize("name", METHODS)
def test_a_file_becomes_a_folder(name, tmp_path):
    model = trained(name)
    torch.save(authors_file(name, model), tmp_path / "best.pth")
    done = CliRunner().invoke(command, ["convert", name, str(tmp_path / "best.pth"), "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert "unexpected" not in done.output
    TOKENIZER.save_pretrained(tmp_path / "out")
    loaded = load_weights(tmp_path / "out")
    assert loaded.trained_on.policy == "last"
    expected, found = model.state_dict(), loaded.model.state_dict()
    assert expected.keys() == found.keys()
    assert all(torch.equal(found[key], value) for key, value in expected.items())


def test_what_is_missing_stops_it(tmp_path):
    file = authors_file("x_pool", trained("x_pool"))
    del file["state_dict"]["pool_frames.linear_proj.bias"]
    torch.save(file, tmp_path / "best.pth")
    done = CliRunner().invoke(
        command, ["convert", "x_pool", str(tmp_path / "best.pth"), "--out", str(tmp_path / "out")]
    )
    assert "1 of the" in str(done.exception)
    assert "missing: pool_frames.linear_proj.bias" in done.output
    assert not (tmp_path / "out").exists()
