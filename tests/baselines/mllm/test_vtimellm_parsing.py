"""What VTimeLLM may write, and which moment that is, of a film of 100 seconds: percents are seconds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baselines.mllm.vtimellm.parsing import authors_iou, parse
from baselines.mllm.vtimellm.prompts import ANSWERS, time_code

OUTPUTS = [
    # text, ours, the authors'
    ("From 17 to 34.", (17, 34), (17, 34)),
    ("from 17 to 34", (17, 34), (17, 34)),
    ("FROM 17 TO 34", (17, 34), None),
    ("A man runs from 28 to 71.", (28, 71), (28, 71)),
    ("We can see it between 03 and 09.", (3, 9), (3, 9)),
    ("During frames 45 and 50.", (45, 50), (45, 50)),
    ("Frames 45 and 50 to 60", (45, 50), (45, 50)),
    ("Frames 12 and 20, that is from 30 to 40.", (30, 40), (12, 20)),
    ("From 00 to 99.", (0, 99), (0, 99)),
    ("From 5 to 10", (5, 10), None),
    ("from 5 to 7", (5, 7), None),
    ("17-34", (17, 34), None),
    ("17 - 34", (17, 34), None),
    ("frames 17–34", (17, 34), None),
    ("from 17-34", (17, 34), None),
    ("from 17 until 34", (17, 34), None),
    ("from 100 to 120", (99, 100), (0, 12)),
    ("from 90 to 120", (90, 100), (90, 12)),
    ("from 34 to 17", (17, 34), (34, 17)),
    ("from 50 to 50", (50, 51), (50, 50)),
    ("from 99 to 99.", (99, 100), (99, 99)),
    ("from frame 17 to frame 34", (17, 34), None),
    ("from frames 17 to 34", (17, 34), (17, 34)),
    ("from 17% to 34%", (17, 34), None),
    ("from 17  to  34", (17, 34), None),
    ("from\n17\nto\n34", (17, 34), None),
    ("Between 17 and 34, and again from 50 to 60.", (17, 34), (17, 34)),
    ("17 to 34", (17, 34), (17, 34)),
    ("Frames 5 to 10.", (5, 10), None),
    ("1 to 2", None, None),
    ("117 to 34", None, (17, 34)),
    ("from 2010 to 2020", None, (10, 20)),
    ("at 00:17 to 00:34", None, (17, 0)),
    ("from 17.5 to 34.5", None, None),
    ("", None, None),
    ("from", None, None),
    ("from to", None, None),
    ("From 17", None, None),
    ("I cannot see that.", None, None),
    ("There are 12 people and 3 dogs.", None, None),
    ("from seventeen to thirty", None, None),
    ("from -5 to 10", None, None),
    ("from 17 to", None, None),
    ("\ufffd\x00 to \ufffd", None, None),
    ("{'start': 17}", None, None),
    ("2020-10-11", None, None),
    ("从17到34。", (17, 34), None),
    ("从 17 到 34", (17, 34), None),
    ("从第17帧到第34帧", (17, 34), None),
    ("从１７到３４。", (17, 34), None),
    ("在17和34之间可以看到。", (17, 34), None),
    ("17至34帧", (17, 34), None),
    ("第17帧至第34帧", (17, 34), None),
    ("17到34", (17, 34), None),
    ("自05至09", (5, 9), None),
    ("在5和9之间", (5, 9), None),
    ("17—34", (17, 34), None),
    ("从34到17", (17, 34), None),
    ("从十七到三十四", None, None),
    ("我看不到。", None, None),
    ("从17", None, None),
    ("共有12个人和3只狗", None, None),
]


@pytest.mark.parametrize(("text", "ours", "theirs"), OUTPUTS)
def test_outputs(text, ours, theirs):
    found, legacy = parse(text, 100.0), parse(text, 100.0, legacy=True)
    assert (found and (round(found.start, 9), round(found.end, 9))) == ours
    assert (legacy and (round(legacy.start, 9), round(legacy.end, 9))) == theirs


def test_percents_become_seconds():
    found = parse("From 17 to 34.", 54.2)
    assert (found.start, found.end) == pytest.approx((9.214, 18.428))


@given(st.text())
def test_no_output_is_too_strange(text):
    found = parse(text, 40.0)
    assert found is None or 0 <= found.start < found.end <= 40


@given(st.floats(1, 1000), st.floats(0, 1), st.floats(0, 1), st.sampled_from(["en", "zh"]))
def test_what_is_taught_is_understood(duration, one, other, language):
    start, end = sorted((one * duration, other * duration))
    found = parse(ANSWERS[language].format(time_code(start, duration), time_code(end, duration)), duration)
    # Half a percent of rounding, and at most one more at the end of the film or for a moment without length.
    assert abs(found.start - start) <= 0.0151 * duration
    assert abs(found.end - end) <= 0.0151 * duration


@pytest.mark.parametrize(
    ("text", "exact", "rounded"),
    [
        # [10, 60] and [10, 111]: 50 / 101 = 0.49505, which passes for 0.5
        ("from 10 to 60", 50 / 101, 0.5),
        ("from 60 to 10", 0.0, 0.0),
        ("nowhere", 0.0, 0.0),
    ],
)
def test_the_authors_evaluation(text, exact, rounded):
    assert authors_iou(text, (10.0, 111.0), 100.0) == pytest.approx(exact)
    assert authors_iou(text, (10.0, 111.0), 100.0, legacy_rounding=True) == rounded
