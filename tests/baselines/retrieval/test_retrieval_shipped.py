"""The shipped retrieval models on the test films: what their cards promise must hold on this machine too.

The history is the gold one; films come from the user's cache.
"""

import pytest
from click.testing import CliRunner

from baselines.retrieval.methods import METHODS, WEIGHTS
from baselines.retrieval.weights import load_weights
from ivcr_bench.cli.main import cli
from ivcr_bench.data.catalog import open_dataset
from ivcr_bench.scoring.report import read_report

LIMIT = 80
"""Dialogues; all of them would take twice as long and tell no more."""


@pytest.fixture(scope="module")
def recall(tmp_path_factory):
    """R@1 of a retriever, as `ivcr-bench run` reports it: its figure with its interval."""

    def run(name):
        out = tmp_path_factory.mktemp("run")
        arguments = ["run", "--system", name, "--history", "gold", "--limit", str(LIMIT), "--out", str(out)]
        result = CliRunner().invoke(cli, arguments)
        assert result.exit_code == 0, result.output
        return read_report(out / "report.json").overall["none"]["R@1"]

    return run


@pytest.mark.parametrize("name", METHODS)
def test_it_finds_far_more_films_than_chance(name, recall):
    assert recall(name).low > 3 * recall("random").high


@pytest.mark.parametrize("name", METHODS)
def test_the_folder(name):
    folder = WEIGHTS / f"{name}-mini"
    assert load_weights(folder).method == name
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert open_dataset("mini").card.fingerprint in card
    assert f"ivcr-bench train {name} --preset mini" in card


def test_all_five_and_what_they_start_from_are_small():
    folders = [WEIGHTS / f"{name}-mini" for name in (*METHODS, "clip")]
    assert sum(path.stat().st_size for folder in folders for path in folder.iterdir()) < 25 * 2**20
