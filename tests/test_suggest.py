"""The name that was meant: as good as asking difflib about every name, and fast among 50,000 of them."""

import random
import time
from difflib import SequenceMatcher, get_close_matches

import pytest

from ivcr_bench.suggest import nearest

NAMES = [f"v_{random.Random(i).randrange(36**9):09x}-{i:05d}" for i in range(50_000)]
NUMBERED = [f"dialogue-{i:06d}" for i in range(43_000)]


def likeness(name, found):
    return SequenceMatcher(None, name, found).ratio()


@pytest.mark.parametrize("kind", ["lost", "doubled", "replaced", "swapped"])
def test_a_slip_of_one_letter_is_undone(kind):
    chance = random.Random(kind)
    for name in chance.sample(NAMES, 10):
        at = chance.randrange(len(name) - 1)
        slips = {
            "lost": name[:at] + name[at + 1 :],
            "doubled": name[: at + 1] + name[at:],
            "replaced": name[:at] + "#" + name[at + 1 :],
            "swapped": name[:at] + name[at + 1] + name[at] + name[at + 2 :],
        }
        assert nearest(slips[kind], NAMES) == name


def test_two_slips_are_undone():
    chance = random.Random(2)
    for name in chance.sample(NAMES, 10):
        one, two = sorted(chance.sample(range(len(name)), 2))
        assert nearest(name[:one] + "#" + name[one + 1 : two] + "#" + name[two + 1 :], NAMES) == name


@pytest.mark.parametrize(
    ("found", "meant"),
    [
        ("dialogue-42", "dialogue-000042"),
        ("Dialogue-000042", "dialogue-000042"),
        ("DIALOGUE-000042", "dialogue-000042"),
        ("dialog-000042", "dialogue-000042"),
        ("dialogue_000042", "dialogue-000042"),
        (" dialogue-000042", "dialogue-000042"),
        ("dialogue-000042.json", "dialogue-000042"),
    ],
)
def test_usual_mistakes_among_numbered_names(found, meant):
    assert nearest(found, NUMBERED) == meant


def test_as_near_as_difflib_finds_among_all():
    names, chance = NAMES[:2000], random.Random(3)
    for _ in range(20):
        found = "".join(chance.sample(chance.choice(names), 16))
        best = get_close_matches(found, names, n=1)
        ours = nearest(found, names)
        assert (ours is not None) >= bool(best)
        if best:
            assert likeness(ours, found) >= likeness(best[0], found) - 0.1


@pytest.mark.parametrize("found", ["", "x", "zzzzzzzzzzzzzzz", "\ud800", "中文", "x" * 10_000_000])
def test_what_is_like_nothing_has_no_nearest(found):
    assert nearest(found, NUMBERED) is None


@pytest.mark.parametrize("known", [[], {}, {"": 0}])
def test_nothing_known(known):
    assert nearest("dialogue-000001", known) is None


@pytest.mark.parametrize("names", [NAMES, NUMBERED], ids=["hashes", "numbers"])
@pytest.mark.parametrize("length", [12, 10_000])
def test_fifty_thousand_names_take_no_time(names, length):
    """A bound over ten times what it takes (0.05 s), since tests run on busy machines; difflib takes seconds."""
    found = (names[777][:-2] + "x" * length)[: max(length, 12)]
    start = time.process_time()
    nearest(found, names)
    assert time.process_time() - start < 1
