"""A few thousand of the inputs that tests/fuzz/run.py makes by the hundred thousand; and that it notices faults."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mutations import CHANGES, HOSTILE_TOKENS, mutate
from target import SEEDS, try_one
from wrong_files import GOOD, RIGHT, found, lines

from ivcr_bench import jsonl, submission


@pytest.fixture(autouse=True)
def _standard_input(monkeypatch):
    """Standard input is put back in its place."""
    monkeypatch.setattr("sys.stdin", None)


def test_mutants_are_scored_or_refused():
    chance = Random(1)
    scored = sum(try_one(mutate(chance.choice(SEEDS), SEEDS, chance)) for _ in range(2000))
    assert 50 < scored < 1000  # neither is out of reach


@settings(max_examples=1000, deadline=None)
@given(
    content=st.sampled_from(list(RIGHT.values())),
    changes=st.lists(st.sampled_from(CHANGES), min_size=1, max_size=4),
    chance=st.randoms(use_true_random=False),
)
def test_chosen_changes(content, changes, chance):
    for change in changes:
        content = change(content, SEEDS, chance)
    try_one(content)


@settings(max_examples=500, deadline=None)
@given(content=st.binary(max_size=300))
def test_any_bytes(content):
    try_one(content)


@pytest.mark.parametrize("place", ["field", "value", "element", "line"])
def test_hostile_tokens_everywhere(place):
    for token in HOSTILE_TOKENS:
        raw = {"field": b'{%b: 1, "turn": 1}', "value": lines(found_with("@")).replace(b'"@"', b"%b")}.get(place)
        raw = {"element": found(videos=["@"]).replace(b'"@"', b"%b"), "line": b"%b"}.get(place, raw)
        try_one(raw % token)


def found_with(text):
    return {"dialogue_id": "d-0001", "turn": 1, "intent": "natural_dialogue", "text": text}


class TestItWouldNotice:
    def test_a_repeated_key(self, monkeypatch):
        monkeypatch.setattr(jsonl, "repeated_key", lambda line, record: None)
        with pytest.raises(AssertionError, match="scored although a key is repeated"):
            try_one(GOOD.replace(b'"turn": 1', b'"turn": 2, "turn": 1'))

    def test_an_escape_for_the_terminal(self, monkeypatch):
        monkeypatch.setattr(submission, "unknown", lambda name, found, *_: found)
        with pytest.raises(AssertionError, match="steers the terminal"):
            try_one(found(videos=["\x1b[31m"]))

    def test_a_long_message(self, monkeypatch):
        monkeypatch.setattr(submission, "unknown", lambda *_: "x" * 100_000)
        with pytest.raises(AssertionError, match="100"):
            try_one(found(videos=["film-9"]))

    def test_a_crash(self, monkeypatch):
        monkeypatch.setattr(submission, "unknown", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            try_one(found(videos=["film-9"]))
