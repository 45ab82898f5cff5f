"""Every example of how the authors' scripts read a text, and how it should be read."""

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivcr_bench.scoring.official import alignment, bilingual, parsing
from ivcr_bench.scoring.official.bilingual import index_bilingual, range_bilingual
from ivcr_bench.scoring.official.parsing import (
    gold_range,
    hull_iou,
    index_2024,
    index_2025,
    range_2024,
    range_2025,
    sentences_2024,
    strip_prompt,
)


@pytest.mark.parametrize("module", [alignment, bilingual, parsing], ids=lambda module: module.__name__)
def test_doctests(module):
    assert doctest.testmod(module).attempted
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize(
    ("text", "authors", "correct"),
    [
        ("video 3.", 3, 3),
        ("Video  7,", 7, 7),
        ("video 10", 10, 10),
        ("video 0", 0, None),
        ("happens in 3 video", None, 3),  # the paper's own form
        ("video 12", None, None),
        ("video3", None, 3),
        ("video #3", None, 3),
        ("视频3", None, 3),
        ("在video 3中", None, 3),
        ("在视频4中可以找到", None, 4),
        ("video 2 minutes", 2, 2),
        ("第三个视频", None, 3),
        ("视频：十", None, 10),
        ("视频十一", None, None),
        ("3号视频", None, 3),
        ("the 2nd video", None, 2),
        ("从10个视频中选视频2", None, 2),
        ("among the 10 videos, video 4", 4, 4),
        ("in the video 5s-10s", None, None),
        ("the video at 3.5 s", None, None),
        ("视频一直在播放", None, None),
        ("Candidate <VID> 6 </VID>", None, 6),
        ("", None, None),
    ],
)
def test_index(text, authors, correct):
    assert index_2025(text) == authors
    assert index_bilingual(text) == correct


def test_index_of_2024_is_any_number():
    assert index_2024(" It is in the 3rd of 10.") == 3
    assert index_2024(" At 12.5 s.") == 12
    assert index_2024(" None.") == 0


@pytest.mark.parametrize(
    ("text", "authors", "correct"),
    [
        ("5s-10s", [5, 10], (5, 10)),
        ("from 5 to 10 seconds", [0, 0], (5, 10)),
        ("5s–10s", [0, 0], (5, 10)),  # an en dash
        ("7-3", [3, 7], (3, 7)),
        ("video 3-5: 10-20", [3, 5], (10, 20)),
        ("2024-05-01 at 5s-10s", [5, 2024], (5, 10)),
        ("video 3 from 5 to 10\nsecond line 7", [3, 7], (5, 10)),
        ("video 1 at 5s-10s", [5, 10], (5, 10)),
        ("12.3 - 20.1 seconds", [12.3, 20.1], (12.3, 20.1)),
        ("12..3-20", [12.3, 20], None),
        ("5.-6", [5, 6], None),
        ("从5秒到10秒", [0, 0], (5, 10)),
        ("第5秒至第10.5秒", [0, 0], (5, 10.5)),
        ("5~10秒", [0, 0], (5, 10)),
        ("1:05-1:20", [1, 5], (65, 80)),
        ("01:00:05 to 01:00:09", [0, 0], (3605, 3609)),
        ("1分5秒到1分20秒", [0, 0], (65, 80)),
        ("between 5 and 10.5", [0, 0], (5, 10.5)),
        ("2 dogs and 3 cats, 4 and 5", [0, 0], None),
        ("It starts at 4.5 s and ends at 9 s.", [0, 0], (4.5, 9)),
        ("00:00:18\n00:00:23", [0, 0], None),
        ("5-10", [5, 10], (5, 10)),
        ("A specific example is : 20.8 - 30.0 seconds", [0, 0], (20.8, 30)),
        ("I cannot tell", [0, 0], None),
    ],
)
def test_range(text, authors, correct):
    assert range_2025(text) == tuple(authors)
    assert range_bilingual(text) == correct


def test_range_of_2024_reads_only_lines_about_a_start_or_an_end():
    assert range_2024("5\n10") == []
    assert range_2024("It starts at 5\nand happens till 10") == [[5, 10]]
    assert range_2024("nothing") == []
    assert range_2024("5s-10s, 20s-30s") == [[5, 10]]


def test_gold_range():
    assert gold_range("at 1.5s-3.2s and 10s-15.5s") == [1.5, 3.2, 10, 15.5]
    assert gold_range("12.3 - 20.1 seconds") == []
    assert gold_range("at 5S-10S") == []


def test_a_decimal_point_ends_a_sentence_of_2024():
    assert sentences_2024("At 1.5 s. Yes.") == ("At 1.", "5 s.")
    assert sentences_2024("At 1.5 s. Yes.", decimal_point_ends=False) == ("At 1.5 s.", " Yes.")
    assert sentences_2024("One period.") is None
    assert sentences_2024("A.\nB.\nC.") == ("A.", "\nB.")


@pytest.mark.parametrize("query", ["when?", "the one in 5 seconds. that", "", "the video contains 3"])
def test_strip_prompt(query):
    tags = "<VID> 1 </VID> <VIDEO> <VIDEOTOKEN> </VIDEO>"
    times = "The video contains 2 frames sampled at 0.0, 63.9 seconds"
    assert strip_prompt(f"Candidate videos : {tags},{tags}.{query} ") == query
    assert strip_prompt(f"Current video : {tags}. {times}.{query}") == query
    assert strip_prompt(query) == query


seconds = st.integers(0, 5000).map(lambda tenths: tenths / 10)


@given(
    seconds, seconds, st.sampled_from(["{}s-{}s", "{} to {} seconds", "{}秒到{}秒", "{}秒-{}秒", "{}–{} s", "{}至{}秒"])
)
def test_a_range_is_read_in_every_form(start, end, form):
    assert range_bilingual("视频3: " + form.format(start, end) + ".") == (min(start, end), max(start, end))


@given(st.integers(1, 10), st.sampled_from(["video {}", "Video {}.", "视频{}", "视频 {}中", "<vid_{}>", "第{}个视频"]))
def test_an_index_is_read_in_every_form(index, form):
    assert index_bilingual(f"The content is in {form.format(index)}, I think.") == index


@given(st.text(max_size=200))
def test_any_text_is_read_without_a_crash(text):
    assert index_bilingual(text) in (None, *range(1, 11))
    found = range_bilingual(text)
    assert found is None or 0 <= found[0] <= found[1]
    assert range_2025(text)[0] <= range_2025(text)[1]


@given(seconds, seconds, seconds, seconds)
def test_hull_iou_is_true_iou_where_two_ranges_overlap(a, b, c, d):
    (a, b), (c, d) = sorted((a, b)), sorted((c, d))
    overlap = min(b, d) - max(a, c)
    if overlap > 0:
        assert hull_iou((a, b), (c, d)) == pytest.approx(overlap / (b - a + d - c - overlap))
    elif (a, b) != (c, d):
        assert hull_iou((a, b), (c, d)) == 0
