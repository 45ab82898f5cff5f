"""``ivcr-bench systems`` and ``ivcr-bench check`` as a user types them."""

import subprocess
import sys

import pytest

from ivcr_bench.cli.main import main

SYSTEM = """
from ivcr_bench.schema import Response

class Shy:
    name = "shy"
    intents = frozenset({"natural_dialogue"})
    reads_films = False
    word = "well..."

    def prepare(self, corpus):
        pass

    def respond(self, requests):
        return [Response(intent="natural_dialogue", text=self.word) for _ in requests]

class Wrong(Shy):
    name = "wrong"
    word = 5
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """One cache for all tests here, so that IVCR-Mini is made once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def ivcr_bench(monkeypatch, capsys, tmp_path, cache):
    (tmp_path / "shy_module.py").write_text(SYSTEM)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IVCR_BENCH_CACHE", str(cache))
    monkeypatch.syspath_prepend(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["ivcr-bench", *arguments])
        with pytest.raises(SystemExit) as stopped:
            main()
        captured = capsys.readouterr()
        return stopped.value.code, captured.out, captured.err

    return run


def test_systems_are_listed(ivcr_bench):
    code, out, _ = ivcr_bench("systems")
    rows = {line.split()[0]: line.split()[1:4] for line in out.splitlines() if " yes " in line}
    assert code == 0
    assert rows["oracle"] == rows["interllava"] == rows["random"] == ["yes", "yes", "yes"]
    assert rows["whole-film"] == ["-", "yes", "-"]


def test_listing_imports_no_framework():
    program = (
        "import sys; from ivcr_bench.cli.main import cli; cli(['systems'], standalone_mode=False);"
        "print(sorted({'torch', 'transformers', 'av', 'baselines.interllava.system'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert ran.stdout.decode().splitlines()[-1] == "[]"


def test_check_passes_a_system_that_is_right(ivcr_bench):
    code, out, err = ivcr_bench("check", "shy_module:Shy")
    assert (code, err) == (0, "")
    assert out.count("ok ") == 9
    assert out.endswith("shy: ready to run\n")


def test_check_fails_one_that_is_wrong(ivcr_bench):
    code, out, err = ivcr_bench("check", "shy_module:Wrong")
    assert (code, err) == (1, "")
    assert " x answers every turn as the protocol says (34 turns)" in out
    assert "dialogue 'check-01', turn 1: malformed: Expected `str`, got `int`" in out
    assert "and 29 more" in out
    assert out.endswith("wrong: 1 checks failed; see docs/systems.md\n")


def test_check_of_no_system_is_one_line(ivcr_bench):
    code, out, err = ivcr_bench("check", "randon")
    assert (code, out) == (2, "")
    assert err == "Error: no system 'randon' (did you mean 'random'?)\n"


@pytest.mark.parametrize("name", ["systems", "check"])
def test_help_has_examples(ivcr_bench, name):
    code, out, _ = ivcr_bench(name, "--help")
    assert code == 0
    assert f"ivcr-bench {name}" in out.partition("Examples:")[2]
