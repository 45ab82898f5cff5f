"""The shipped moment models on the test films: what their cards promise must hold on this machine too.

The right film is given (`oracle+NAME`) and the history is the gold one; films come from the user's cache.
"""

import pytest
from click.testing import CliRunner

from baselines.moment.localiser import SHIPPED
from baselines.moment.weights import load_weights
from ivcr_bench.cli.main import cli
from ivcr_bench.data.catalog import open_dataset
from ivcr_bench.scoring.report import read_report

NAMES = ["2d_tan", "cg_detr", "mmn", "momentdiff", "umt"]


@pytest.fixture(scope="module")
def recall(tmp_path_factory):
    """R@1 at IoU 0.5 of a localiser, as `ivcr-bench run` reports it."""

    def run(localiser):
        out = tmp_path_factory.mktemp("run")
        arguments = ["run", "--system", f"oracle+{localiser}", "--history", "gold", "--out", str(out)]
        result = CliRunner().invoke(cli, arguments)
        assert result.exit_code == 0, result.output
        return read_report(out / "report.json").overall["none"]["R@1 IoU=0.5"].value

    return run


@pytest.mark.parametrize("name", NAMES)
def test_it_finds_twice_as_many_moments_as_one_who_does_not_look(name, recall):
    assert recall(name) > 2 * max(recall("middle-third"), recall("whole-film"))


@pytest.mark.parametrize("name", NAMES)
def test_the_folder(name):
    folder = SHIPPED / f"{name}-mini"
    assert sum(path.stat().st_size for path in folder.iterdir()) < 3 * 2**20
    assert load_weights(folder).method == name
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert open_dataset("mini").card.fingerprint in card
    assert f"ivcr-bench train {name} --preset mini" in card
