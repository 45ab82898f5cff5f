"""Layer one: what a reader cannot see is gone, nothing is too long, and twice is once."""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivcr_bench.scoring.judge.normalise import LONGEST, normalise


@pytest.mark.parametrize(
    "hidden",
    [
        "\u200b",
        "\u200d",
        "\u202e",
        "\u2066",
        "\ufeff",
        "\u00ad",
        "\x00",
        "\x1b",
        "\ue000",
        "\U000e0041",
        "\ufe0f",
        "\u034f",
    ],
)
def test_what_cannot_be_seen_is_dropped(hidden):
    assert normalise(f"highly_{hidden}relevant").text == "highly_relevant"


def test_lines_stay_lines_but_floods_of_them_do_not():
    assert normalise("a\r\nb\rc\u2028d\te").text == "a\nb\nc\nd\te"
    assert normalise("a" + "\n" * 500 + "b").text == "a\n\n\nb"


def test_letters_are_composed():
    assert normalise("cafe\u0301").text == "café"
    assert normalise("\uac00").text == normalise("\u1100\u1161").text


@pytest.mark.parametrize(("length", "truncated"), [(LONGEST, False), (LONGEST + 1, True)])
@pytest.mark.parametrize("letter", ["a", "好", "e\u0301"])
def test_a_text_is_cut_where_it_is_too_long(letter, length, truncated):
    found = normalise(letter * length)
    assert len(found.text) == LONGEST
    assert found.truncated is truncated


def test_nothing_but_what_cannot_be_seen_is_nothing():
    assert normalise(" \u200b\n\u3164 \ufe0f").text == ""


def test_a_flood_of_marks_takes_no_time():
    begun = time.process_time()
    normalise("a" + "\u0301\u0316" * 500_000)
    assert time.process_time() - begun < 2


@given(st.text(max_size=60) | st.text("a \n\t\r\u0301\u0316\u200b\u1100\u1161好\u3000", max_size=60))
def test_twice_is_once(text):
    once = normalise(text).text
    assert normalise(once).text == once
    assert unicodedata.is_normalized("NFC", once)
    assert once == once.strip()
