"""What GroundingGPT's answers say in seconds, of a film of 50 seconds: examples of every rule, and broken ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baselines.mllm.grounding_gpt.answers import parse
from baselines.mllm.grounding_gpt.prompts import answer_of, moment_answer

DURATION = 50.0
STEP = DURATION / 64
FOUND = [
    # The forms on the authors' project page, and the golden list of the sheet.
    ("The dog turns around in {0.09,0.15}", 4.5, 7.5),
    ("The baby stretches her body in {0.16, 0.36}.", 8, 18),
    ("{.5,1}", 25, 50),
    ("[0.1, 0.4]", 5, 20),
    ("from 0.2 to 0.4", 10, 20),
    ("12% to 30%", 6, 15),
    ("3.0 - 9.5 seconds", 3, 9.5),
    ("{0.6,0.2}", 10, 30),
    ("{0.1,0.2} and {0.3,0.4}, also {0.5,0.6}", 5, 10),
    # Braces.
    ("{0,1}", 0, 50),
    ("{0.00,1.00}", 0, 50),
    ("{ 0.5 ,0.75 }", 25, 37.5),
    ("{0.95,1.02}", 47.5, 50),
    ("{12%, 30%}", 6, 15),
    ("{3.0s, 9.5s}", 3, 9.5),
    ("{1.5,1.8}", 1.5, 1.8),
    ("{7, 12}", 7, 12),
    # A fraction without length is one frame step; at the end of the film it begins before.
    ("{0.5,0.5}", 25, 25 + STEP),
    ("{1,1}", 50 - STEP, 50),
    ("70 to 80 seconds", 50 - STEP, 50),
    # Braces beat what stands before them, fractions beat seconds.
    ("from 3 to 9 seconds, that is {0.06,0.18}", 3, 9),
    ("2-3 people in [0.2,0.3]", 10, 15),
    ("(1,2) or from 0.4 to 0.6", 20, 30),
    # Other brackets, and words between.
    ("(0.1,0.4)", 5, 20),
    ("<0.1, 0.4>", 5, 20),
    ("[5%, 10%]", 2.5, 5),
    ("[3, 9]", 3, 9),
    ("0.25-0.5", 12.5, 25),
    ("0.25 – 0.5", 12.5, 25),
    ("0.25 ~ 0.5", 12.5, 25),
    ("It is between 0.2 and 0.4.", 10, 20),
    ("between 12% and 30% of the video", 6, 15),
    ("From 3 seconds to 9 seconds", 3, 9),
    ("10-30%", 5, 15),
    # A box of a picture is no moment.
    ("[0.1, 0.2, 0.3, 0.4] from 0.5 to 0.6", 25, 30),
    # Chinese.
    ("红色星星落下 in {0.09,0.15}", 4.5, 7.5),
    ("｛０．１，０．２｝", 5, 10),
    ("在｛0.1，0.2｝期间", 5, 10),
    ("【0.1，0.4】", 5, 20),
    ("（0.1、0.4）", 5, 20),
    ("从0.2到0.4", 10, 20),
    ("从 3 秒到 9.5 秒", 3, 9.5),
    ("第3秒至第9秒", 3, 9),
    ("在0.2和0.4之间", 10, 20),
    ("１２％到３０％", 6, 15),
    ("3～9秒", 3, 9),
    # What stands around a moment does not matter.
    (" {0.1,0.2}\n### Human", 5, 10),
    ("FROM 0.2 TO 0.4", 10, 20),
]
BROKEN = [
    "",
    "no numbers",
    "It falls at 0.2.",
    "{0.1,0.2",
    "{0.1 0.2}",
    "{0,1,0,4}",
    "{0.1,0.2,0.3}",
    "{,0.4}",
    "{start,end}",
    "{-0.1,0.4}",
    "-0.2 to 0.4",
    "{nan,nan}",
    "{0.1.2,0.4}",
    "[0.1, 0.2, 0.3, 0.4]",
    "00:12 - 00:30",
    "on 2023-10-05",
    "0.2-0.4-0.6",
    "1 and 2 people",
    "第10帧到第20帧",
    "我不知道。",
]


@pytest.mark.parametrize(("text", "start", "end"), FOUND)
def test_moments(text, start, end):
    found = parse(text, DURATION)
    assert found is not None
    assert (found.start, found.end) == pytest.approx((start, end))


@pytest.mark.parametrize("text", BROKEN)
def test_no_moment(text):
    assert parse(text, DURATION) is None


def test_the_rule_is_named():
    assert parse("{0.1,0.2}", DURATION).rule == "fractions in braces"
    assert parse("12% to 30%", DURATION).rule == "percent or seconds in range"


@given(st.text(alphabet="0123456789.,{}[]()<>%-:～到和 sto", max_size=24), st.floats(0.1, 1e4))
def test_whatever_is_found_lies_in_the_film_and_has_length(text, duration):
    found = parse(text, duration)
    assert found is None or 0 <= found.start < found.end <= duration


@given(st.integers(0, 100), st.integers(0, 100), st.floats(1, 1e4))
def test_what_is_trained_is_read_back_to_a_hundredth(first, last, duration):
    first, last = sorted((first, last))
    text = moment_answer("It falls.", first / 100 * duration, last / 100 * duration, duration)
    found = parse(answer_of(f" {text}###"), duration)
    assert found.start == pytest.approx(first / 100 * duration, abs=duration / 64 + 1e-6)
    if first < last:
        assert (found.start, found.end) == pytest.approx((first / 100 * duration, last / 100 * duration))
