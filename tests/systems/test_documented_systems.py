"""The systems in docs/systems.md run as they stand there, and nothing is wrong with them."""

import re
import shlex
import sys
from pathlib import Path

import pytest

from ivcr_bench.data.dataset import Corpus
from ivcr_bench.replay.check import check_system
from ivcr_bench.replay.check_dialogues import check_dialogues
from ivcr_bench.schema import Video
from ivcr_bench.systems.registry import create_system

PAGE = Path(__file__).parents[2] / "docs" / "systems.md"
EXAMPLE = re.compile(r"<!-- example: (\S+) -->\n```python\n(.*?)```", re.DOTALL)


@pytest.mark.parametrize(
    ("name", "spec"),
    [("my_system.py", "my_system:MySystem"), ("my_process.py", f"cmd:{shlex.quote(sys.executable)} my_process.py")],
)
def test_example(name, spec, tmp_path, monkeypatch):
    code = dict(EXAMPLE.findall(PAGE.read_text(encoding="utf-8")))[name]
    (tmp_path / name).write_text(code, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    corpus = Corpus(tmp_path, tuple(Video(f"f{n}", f"{n}.mp4", 30.0, "hand") for n in range(12)))
    verdicts = list(check_system(create_system(spec), check_dialogues(corpus), corpus))
    assert [verdict for verdict in verdicts if verdict.problems] == []
    assert len(verdicts) == 9
