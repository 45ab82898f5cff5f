"""The shipped InterLLaVA on the test films, end to end: what the README promises must hold on this machine too.

Single-turn protocol: gold history, no propagation. A replay of all 600 turns; films come from the user's cache.
"""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from baselines.interllava.phase1 import SHIPPED
from baselines.interllava.weights import load_weights
from ivcr_bench.cli.main import cli
from ivcr_bench.data.catalog import open_dataset
from ivcr_bench.errors import IvcrError
from ivcr_bench.scoring.report import read_report


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    def replay(history, *options):
        out = tmp_path_factory.mktemp("run")
        arguments = ["run", "--system", "interllava", "--history", history, "--out", str(out), *options]
        result = CliRunner().invoke(cli, arguments)
        assert result.exit_code == 0, result.output
        return out, result

    return replay


@pytest.fixture(scope="module")
def single_turn(run):
    return run("gold")


def figure(out, name, rule="none"):
    return read_report(out / "report.json").overall[rule][name].value


def test_it_finds_films_ten_times_as_often_as_chance(single_turn):
    dataset = open_dataset("mini")
    relevant = [
        len(turn.gold.videos)
        for dialogue in dataset.split("test")
        for turn in dialogue.turns
        if turn.intent == "video_retrieval"
    ]
    chance = np.mean(relevant) / len(dataset.corpus("test"))
    assert figure(single_turn[0], "R@1") >= 10 * chance


def test_it_finds_moments_better_than_the_middle_of_the_right_film(single_turn, tmp_path):
    CliRunner().invoke(cli, ["run", "--system", "oracle+middle-third", "--history", "gold", "--out", str(tmp_path)])
    assert figure(single_turn[0], "R@1 IoU=0.5") > figure(tmp_path, "R@1 IoU=0.5")


def test_it_knows_what_is_asked_for(single_turn):
    assert figure(single_turn[0], "intent accuracy") >= 0.9


def test_both_languages(single_turn):
    report = read_report(single_turn[0] / "report.json")
    for language in ("en", "zh"):
        assert report.slices["language"][language]["none"]["R@1"].value > 0.3
        assert report.slices["language"][language]["none"]["intent accuracy"].value >= 0.9


def test_score_prints_what_run_printed(single_turn):
    out, result = single_turn
    scored = CliRunner().invoke(cli, ["score", str(out / "submission.jsonl")])
    assert scored.stdout.strip()
    assert scored.stdout in result.stdout


def test_its_errors_travel(run, single_turn):
    own, _ = run("own")
    gold = single_turn[0]
    assert (own / "submission.jsonl").read_bytes() != (gold / "submission.jsonl").read_bytes()
    assert figure(own, "R@1", "video") < figure(own, "R@1", "none")


def test_a_broken_weights_file_is_one_clear_message(tmp_path):
    for path in SHIPPED.rglob("*"):
        if path.is_file():
            target = tmp_path / path.relative_to(SHIPPED)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    (tmp_path / "model.safetensors").write_bytes((SHIPPED / "model.safetensors").read_bytes()[:1000])
    with pytest.raises(IvcrError, match="not an InterLLaVA weights folder"):
        load_weights(tmp_path)


def test_the_card_names_data_and_command():
    card = (SHIPPED / "README.md").read_text(encoding="utf-8")
    assert open_dataset("mini").card.fingerprint in card
    assert "ivcr-bench train interllava" in card
    assert json.loads((SHIPPED / "config.json").read_text(encoding="utf-8"))["candidates"] == 10
