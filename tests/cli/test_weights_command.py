"""``ivcr-bench weights convert`` as a user types it."""

import argparse
import sys

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file, save_file

from baselines.moment.localiser import MomentSystem
from baselines.moment.methods import METHODS
from baselines.moment.weights import load_weights
from ivcr_bench import checkpoints
from ivcr_bench.cli.main import cli, main
from ivcr_bench.errors import IvcrError


def state_of(name, preset="mini"):
    torch.manual_seed(0)
    method = METHODS[name]
    return method.build(method.preset(preset)).state_dict()


def convert(*arguments):
    return CliRunner().invoke(cli, ["weights", "convert", *map(str, arguments)])


@pytest.mark.parametrize("name", METHODS)
def test_a_checkpoint_becomes_a_weights_folder(name, tmp_path):
    state = state_of(name)
    saved = {"model": {f"module.{key}": tensor for key, tensor in state.items()}, "epoch": 7}
    torch.save(saved, tmp_path / "best.ckpt")
    result = convert(name, tmp_path / "best.ckpt", "--preset", "mini", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert f"{len(state)} tensors" in result.output
    found = load_file(tmp_path / "out" / "model.safetensors")
    assert found.keys() == state.keys()
    assert all(torch.equal(found[key], tensor) for key, tensor in state.items())
    loaded = load_weights(tmp_path / "out")
    assert loaded.method == name
    rows = torch.rand(3, METHODS[name].presets["mini"].text_width)
    assert torch.equal(loaded.standard.words(rows), rows)
    with pytest.raises(IvcrError, match="trained on features the authors'"):
        MomentSystem(tmp_path / "out")


def test_settings_of_a_command_line_are_plain_data(tmp_path):
    torch.save({"model": state_of("umt"), "opt": argparse.Namespace(lr=1e-3)}, tmp_path / "best.ckpt")
    assert convert("umt", tmp_path / "best.ckpt", "--preset", "mini", "--out", tmp_path / "out").exit_code == 0


def test_what_does_not_fit_is_listed_and_nothing_is_written(tmp_path):
    state = state_of("cg_detr")
    first, second, *_ = sorted(state)
    del state[first]
    state[second] = torch.zeros(3, 5)
    state["surplus"] = torch.zeros(1)
    save_file(state, tmp_path / "best.safetensors")
    result = convert("cg_detr", tmp_path / "best.safetensors", "--preset", "mini", "--out", tmp_path / "out")
    assert isinstance(result.exception, IvcrError)
    assert "2 of the" in str(result.exception)
    assert f"missing: {first}" in result.output
    assert f"misshapen: {second}: [3, 5], expected" in result.output
    assert "unexpected, left out: surplus" in result.output
    assert not (tmp_path / "out").exists()


class Trap:
    def __reduce__(self):
        return print, ("code of a stranger ran",)


def test_code_in_a_checkpoint_does_not_run(tmp_path, monkeypatch, capsys):
    torch.save({"model": state_of("umt"), "trap": Trap()}, tmp_path / "best.ckpt")
    monkeypatch.setattr(sys, "argv", ["ivcr-bench", "weights", "convert", "umt", str(tmp_path / "best.ckpt")])
    with pytest.raises(SystemExit):
        main()
    captured = capsys.readouterr()
    assert "not a checkpoint of tensors and plain data" in captured.err
    assert "stranger" not in captured.out + captured.err


@pytest.mark.parametrize("content", [b"", b"no checkpoint"])
def test_other_files_are_one_clear_message(content, tmp_path):
    path = tmp_path / "best.ckpt"
    path.write_bytes(content)
    with pytest.raises(IvcrError, match="not a checkpoint"):
        checkpoints.read_checkpoint(path)


def test_unknown_models_and_presets_are_named(tmp_path):
    torch.save(state_of("umt"), tmp_path / "best.ckpt")
    assert "no converter for 'unt'" in str(convert("unt", tmp_path / "best.ckpt").exception)
    assert "no preset 'huge'" in str(convert("umt", tmp_path / "best.ckpt", "--preset", "huge").exception)
    torch.save({"epoch": 3}, tmp_path / "empty.ckpt")
    assert "found no tensors among ['epoch']" in str(convert("umt", tmp_path / "empty.ckpt").exception)
