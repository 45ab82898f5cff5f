"""What TimeChat may write, and which moment of a film of 60 seconds that is: by our rules, and by its authors'."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baselines.mllm.timechat.answers import PARSERS, RULES, parse, parse_upstream

OUTPUTS = [
    # text, ours, the authors' (section 10 of the sheet gives the first nine)
    ("The given query happens in 24.3 - 30.4 seconds.", (24.3, 30.4), (24.3, 30.4)),
    ("30 - 10", (10, 30), (10, 30)),
    ("Start time: 0.8 seconds\nEnd time: 1.1 seconds", (0.8, 1.1), (0.8, 1.1)),
    ("0 - 0", (0, 0), (0, 0)),
    ("The event starts at 3 and ends at 9 seconds", (3, 9), None),
    ("from 3 to 9 seconds", (3, 9), None),
    ("5s - 9s happens", (5, 9), None),
    ("It happens in 5.", None, None),
    ("It happens from 00:00:18 to 00:00:23.", (18, 23), None),
    ("The event 'x' starts at 00:00:18 and ends at 00:00:23.", (18, 23), None),
    ("happens in 12..5 - 13 seconds", None, None),
    ("08.0 - 23.5 seconds.", (8, 23.5), (8, 23.5)),
    ("THE GIVEN QUERY HAPPENS IN 1.0 - 2.0 SECONDS.", (1, 2), (1, 2)),
    ("The event happens in the 24.3 - 30.4 seonds.", (24.3, 30.4), (24.3, 30.4)),
    ("5.0-9.5", (5, 9.5), (5, 9.5)),
    ("5.0–9.5 s", (5, 9.5), None),
    ("5.0 — 9.5 seconds", (5, 9.5), None),
    ("12.5 seconds - 20.0 seconds", (12.5, 20), None),
    ("between 12 and 20 seconds", (12, 20), None),
    ("between 12.0 seconds and 20.0 seconds", (12, 20), None),
    ("It starts at 12.0 seconds, and stops after 20.0 seconds.", (12, 20), None),
    ("The end time is 20 seconds and the start time is 12 seconds.", (12, 20), None),
    ("The start time for this event is 0 seconds, and the end time is 12 seconds.", (0, 12), None),
    ("1:05 - 1:20", (60, 60), (5, 1)),
    ("0:05 - 0:20", (5, 20), (5, 0)),
    ("From 0:05 until 0:20.5", (5, 20.5), None),
    ("0 minutes 5 seconds to 0 minutes 20 seconds", (5, 20), None),
    ("[3.5, 8.0]", (3.5, 8), None),
    ("The moment is (3.5s, 8s).", (3.5, 8), None),
    ("It happens at 3.5 seconds, 8 seconds and 12 seconds.", (3.5, 8), None),
    ("50 - 70 seconds", (50, 60), (50, 70)),
    ("The given query happens in 24.3 - 30.4 seconds. Also 40 - 50 seconds.", (24.3, 30.4), (24.3, 30.4)),
    ("The video has 16 frames. The event happens in 2 - 4 seconds.", (2, 4), (2, 4)),
    ("I see 2 dogs and 3 cats.", None, None),
    ("30% - 50%", None, None),
    ("It happens between 30% and 50%.", None, None),
    ("The given query happens in", None, None),
    ("The given query happens in 24.3 -", None, None),
    ("The given query happens in - 30.4 seconds.", None, None),
    ("I am not sure when this happens.", None, None),
    ("", None, None),
    ("- - -", None, None),
    ("happens in 24.3 - 30.4.5 seconds", None, (24.3, 30.4)),
    ("从3秒到9秒", (3, 9), None),
    ("该事件发生在 12.5 - 20.0 秒。", (12.5, 20), (12.5, 20)),
    ("该事件发生在１２．５－２０．０秒。", (12.5, 20), None),
    ("从第3秒开始，到第9秒结束。", (3, 9), None),
    ("开始时间：3.0秒，结束时间：9.5秒", (3, 9.5), None),
    ("开始时间：3.0秒\n结束时间：9.5秒", (3, 9.5), None),
    ("大约在5秒至12秒之间", (5, 12), None),
    ("在5秒和12秒之间", (5, 12), None),
    ("5～12秒", (5, 12), None),
    ("从0分5秒到0分20秒", (5, 20), None),
    ("00:05到00:20", (5, 20), None),
    ("在第5秒出现，在第12秒消失。", (5, 12), None),
    ("发生在5秒。", None, None),
    ("视频里有2只狗和3只猫。", None, None),
    ("我不知道。", None, None),
    ("３０％到５０％", None, None),
]


@pytest.mark.parametrize(("text", "ours", "authors"), OUTPUTS)
def test_outputs(text, ours, authors):
    found = parse(text, 60.0)
    assert (found and (found.start, found.end)) == ours
    theirs = parse_upstream(text, 60.0)
    assert (theirs and (theirs.start, theirs.end)) == (tuple(sorted(authors)) if authors else None)


def test_every_rule_is_needed():
    fired = {found.rule for text, _, _ in OUTPUTS if (found := parse(text, 60.0))}
    assert fired == {name for name, _ in RULES}
    assert set(PARSERS) == {"robust", "upstream"}


@given(st.text(alphabet="0123456789.:-~ stoand秒从到分%[](),\n", max_size=60), st.floats(0.5, 1e4))
def test_whatever_is_written_gives_a_moment_of_the_film_or_none(text, duration):
    found = parse(text, duration)
    assert found is None or 0 <= found.start <= found.end <= duration
    parse_upstream(text, duration)
