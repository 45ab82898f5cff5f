import sys

import pytest

from ivcr_bench.cli.main import main


@pytest.fixture
def ivcr_bench(monkeypatch, capsys):
    """Runs the command line; gives exit code, standard output, standard error."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["ivcr-bench", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        captured = capsys.readouterr()
        return stopped.value.code, captured.out, captured.err

    return run
