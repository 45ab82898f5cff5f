"""What ``--system`` accepts, and what is said where it does not."""

import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest
import small_world
from small_world import CORPUS, DIALOGUES, FixedRetriever, Listener, request

from ivcr_bench.errors import IvcrError
from ivcr_bench.systems import registry
from ivcr_bench.systems.compose import Composed, Reranked, RetrieverAlone
from ivcr_bench.systems.controls import FirstTurnOnly, Oracle, Random
from ivcr_bench.systems.http import HttpSystem
from ivcr_bench.systems.listing import list_systems
from ivcr_bench.systems.process import ProcessSystem
from ivcr_bench.systems.protocol import System
from ivcr_bench.systems.registry import create_system

HERE = "small_world"


@pytest.mark.parametrize(
    ("spec", "kind", "name"),
    [
        ("random", Random, "random"),
        (" random ", Random, "random"),
        ("oracle", Oracle, "oracle"),
        (f"{HERE}:Listener", Listener, "listener"),
        (f"{HERE}:FixedRetriever", RetrieverAlone, "fixed"),
        ("random+whole-film", Composed, "random+whole-film"),
        (f"oracle+{HERE}:FirstSecond", Composed, "oracle+first-second"),
        (f"{HERE}:Listener@{HERE}:FixedRetriever", Reranked, "listener@fixed"),
        ("first-turn-only:random+middle-third", FirstTurnOnly, "first-turn-only:random+middle-third"),
        ("cmd:python a+b@c.py --x", ProcessSystem, "cmd:python a+b@c.py --x"),
        ("https://example.org/a+b@c", HttpSystem, "https://example.org/a+b@c"),
    ],
)
def test_specs(spec, kind, name):
    system = create_system(spec, dialogues=DIALOGUES)
    assert isinstance(system, kind)
    assert isinstance(system, System)
    assert system.name == name


class Asked(FixedRetriever):
    """Knows its query policy."""

    def with_query(self, policy):
        asked = Asked()
        asked.name = f"fixed-{policy}"
        return asked


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        (f"{__name__}:Asked", "fixed-last"),
        (f"{__name__}:Asked+whole-film", "fixed-last+whole-film"),
        (f"{HERE}:Listener@{__name__}:Asked", "listener@fixed-last"),
        (f"first-turn-only:{__name__}:Asked", "first-turn-only:fixed-last"),
    ],
)
def test_a_query_policy_reaches_the_retriever(spec, name):
    assert create_system(spec, query="last").name == name


@pytest.mark.parametrize("spec", ["random", "oracle", f"{HERE}:FixedRetriever+whole-film", "cmd:x", "http://x"])
def test_a_query_policy_for_one_that_has_none(spec):
    with pytest.raises(IvcrError, match=r"no query policy|--query does not reach"):
        create_system(spec, dialogues=DIALOGUES, query="last")


def test_a_folder_after_a_registered_name_is_its_weights(monkeypatch):
    entry = EntryPoint("listener", f"{HERE}:Listener", registry.GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda group: [entry])
    assert str(create_system("listener:runs/my weights").folder) == "runs/my weights"
    assert create_system("listener").folder is None


def test_a_module_in_the_current_folder_is_found(tmp_path):
    (tmp_path / "lies_here.py").write_text("from small_world import Listener as Mine")
    program = "from ivcr_bench.systems.registry import create_system; print(create_system('lies_here:Mine').name)"
    environment = {"PYTHONPATH": str(sys.modules[HERE].__file__).rpartition("/")[0], "PATH": ""}
    # -P: as in the installed command, the current folder is not on the path by itself.
    ran = subprocess.run([sys.executable, "-P", "-c", program], cwd=tmp_path, env=environment, capture_output=True)
    assert ran.stdout.decode().strip() == "listener", ran.stderr.decode()


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("orakel", "no system 'orakel' (did you mean 'oracle'?)"),
        ("interlava", "did you mean 'interllava'"),
        ("whole_film+random", "did you mean 'whole-film'"),
        ("qqqq", "no system 'qqqq' ('ivcr-bench systems' lists them)"),
        ("", "no system ''"),
        (
            "whole-film",
            "a moment localiser, which needs a film to look into (give it a retriever: 'random+whole-film')",
        ),
        ("whole-film+random", "found WholeFilm, expected before '+': a video retriever (method rank)"),
        ("random+random", "found Random, expected after '+': a moment localiser (method localise)"),
        ("random@random", "found Random, expected before '@': a system that re-ranks (method with_retriever)"),
        ("random+whole-film+whole-film", "found 3 parts, expected A+B"),
        ("random+", "expected A+B"),
        (f"{HERE}:NoSystem", "NoSystem has no intents, prepare, respond"),
        (f"{HERE}:Broken", f"system '{HERE}:Broken' cannot be loaded: RuntimeError: no GPU here ("),
        (f"{HERE}:Missing", "AttributeError"),
        (f"{HERE}:CORPUS", "found Corpus, expected a class"),
        ("no_such_module:X", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("cmd:", "found no program"),
        ("cmd:a 'b", "No closing quotation"),
    ],
)
def test_what_cannot_be_had_is_one_line(spec, message):
    with pytest.raises(IvcrError) as raised:
        create_system(spec, dialogues=DIALOGUES)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_oracle_needs_the_dialogues():
    with pytest.raises(IvcrError, match="needs the dialogues"):
        create_system("oracle")


def test_only_oracle_is_given_gold(monkeypatch):
    """No factory but Oracle's is ever called with anything that holds the dialogues."""
    given = []

    class Greedy(Listener):
        def __init__(self, *arguments, **named):
            super().__init__()
            given.extend([*arguments, *named.values()])

    monkeypatch.setattr(small_world, "Greedy", Greedy, raising=False)
    entry = EntryPoint("greedy", f"{HERE}:Greedy", registry.GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda group: [entry])
    for spec in ("greedy", f"{HERE}:Greedy", "first-turn-only:greedy", f"greedy@{HERE}:FixedRetriever"):
        assert not getattr(create_system(spec, dialogues=DIALOGUES), "sees_gold", False)
    assert given == []
    assert create_system("oracle", dialogues=DIALOGUES).sees_gold
    assert create_system("first-turn-only:oracle", dialogues=DIALOGUES).sees_gold


class Distribution:
    """As much of an installed distribution as the hint looks at."""

    name, version = "their-bench", "1.0"
    requires = ("numpy", "Torch==2.0; extra == 'gpu'", 'pyyaml>=6; python_version > "3" and extra == "config"')


@pytest.mark.parametrize(
    ("module", "hint"),
    [
        ("torch.nn", 'pip install "their-bench[gpu]"'),
        ("yaml", 'pip install "their-bench[config]"'),
        ("mamba", "install the module 'mamba'"),
    ],
)
def test_a_missing_extra_is_named(monkeypatch, tmp_path, module, hint):
    (tmp_path / "needs_it.py").write_text(f"raise ModuleNotFoundError('no', name={module!r})")
    monkeypatch.syspath_prepend(tmp_path)
    entry = EntryPoint("theirs", "needs_it:X", registry.GROUP)._for(Distribution)
    monkeypatch.setattr(registry, "entry_points", lambda group: [entry])
    with pytest.raises(IvcrError) as raised:
        create_system("theirs")
    assert str(raised.value).startswith(f"system 'theirs' needs {module} (")
    assert hint in str(raised.value)
    sys.modules.pop("needs_it", None)


def test_our_own_extra_is_named():
    entry = registry.registered()["interllava"]
    assert registry._install_hint(entry, ModuleNotFoundError(name="torch")) == 'pip install "ivcr-bench[models]"'


def test_listing_tells_what_each_can_do_without_importing(monkeypatch, tmp_path):
    (tmp_path / "never_imported.py").write_text(
        "raise SystemExit\n"
        "class Finder:\n    intents = frozenset({'video_retrieval'})\n"
        "class All:\n    intents: frozenset = frozenset(INTENTS)\n"
        "class Silent(All):\n    pass\n"
        "class Ranker:\n    def rank(self, requests): ...\n"
        "def make(weights=None) -> Ranker: ...\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    entries = [
        EntryPoint(name.lower(), f"never_imported:{name}", registry.GROUP)
        for name in ("Finder", "All", "Silent", "make")
    ]
    entries.append(EntryPoint("lost", "no_such_module:X", registry.GROUP))
    monkeypatch.setattr(registry, "entry_points", lambda group: entries)
    found = {listed.name: listed.intents for listed in list_systems()}
    all_intents = ("video_retrieval", "moment_retrieval", "natural_dialogue")
    expected = {
        "all": all_intents,
        "finder": ("video_retrieval",),
        "lost": None,
        "make": ("video_retrieval",),
        "oracle": all_intents,
        "silent": None,
    }
    assert found == expected


def test_composed_systems_answer():
    system = create_system("random+whole-film")
    system.prepare(CORPUS)
    assert system.respond([request("when does it end?", "f3")])[0].moments[0].end == 40.0
    assert FixedRetriever().corpus is None
