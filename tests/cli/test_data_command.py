import pytest
from click.testing import CliRunner

from ivcr_bench.cli.main import cli
from ivcr_bench.data.dataset import load_folder


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.setenv("IVCR_BENCH_CACHE", str(tmp_path / "cache"))
    return lambda *arguments: CliRunner().invoke(cli, ["data", "mini", *map(str, arguments)], catch_exceptions=False)


def test_says_what_was_made_and_where(run, tmp_path):
    result = run("--seed", 2, "--no-videos", "--out", tmp_path / "two")
    assert result.exit_code == 0
    made = load_folder(tmp_path / "two")
    lines = dict(line.split(None, 1) for line in result.output.splitlines())
    assert lines["dataset"] == "mini-seed2"
    assert lines["films"].startswith("500 (400 train, 50 val, 50 test)")
    assert lines["dialogues"].startswith(f"{len(made.dialogues):,} (")
    assert lines["turns"] == f"{sum(len(dialogue.turns) for dialogue in made.dialogues):,}"
    assert lines["fingerprint"] == made.card.fingerprint
    assert lines["folder"] == str(tmp_path / "two")
    assert "rendered" not in lines


def test_goes_to_the_folder_that_the_name_opens(run, monkeypatch, tmp_path):
    from ivcr_bench.data.catalog import open_dataset

    run("--seed", 3, "--no-videos")
    (folder,) = (tmp_path / "cache").iterdir()
    assert open_dataset("mini-seed3").root == folder


def test_renders_all_films_unless_told_not_to(run, monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr("ivcr_bench.data.mini.build.ensure_videos", lambda _, ids: asked.extend(ids) or 500)
    result = run("--out", tmp_path / "mini")
    assert len(asked) == len(set(asked)) == 500
    assert result.output.splitlines()[-1].split() == ["rendered", "500", "films,", "0", "were", "there", "already"]


@pytest.mark.parametrize("arguments", [("--seed", "-1"), ("--scale", "huge")])
def test_wrong_options_are_named(run, arguments):
    result = run(*arguments)
    assert result.exit_code == 2
    assert arguments[0] in result.output
