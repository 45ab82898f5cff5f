"""Sample times, and the plan of what to decode, without a film."""

import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivcr_bench.data import timeline
from ivcr_bench.data.timeline import PacketTimes, Timeline, rate_ticks, uniform_ticks

TIME_BASES = st.sampled_from([Fraction(1, 16384), Fraction(1, 1000), Fraction(1, 90000), Fraction(1001, 30000)])


@settings(deadline=None)
@given(st.integers(1, 10**9), st.integers(1, 500))
def test_uniform_ticks_are_the_middles_of_equal_parts(span, n):
    ticks = uniform_ticks(span, n)
    assert len(ticks) == n
    for i, tick in enumerate(ticks):
        assert tick <= Fraction(span * (2 * i + 1), 2 * n) < tick + 1


@settings(deadline=None)
@given(st.integers(1, 10**6), TIME_BASES, st.fractions(Fraction(1, 10), 60, max_denominator=1001))
def test_rate_ticks_are_half_a_step_after_each_step(span, time_base, rate):
    ticks = rate_ticks(span, time_base, float(rate))
    assert len(ticks) == math.ceil(span * time_base * rate)
    for i, tick in enumerate(ticks[:2000]):
        assert tick * time_base <= (i + Fraction(1, 2)) / rate < (tick + 1) * time_base


def test_a_decimal_rate_is_that_decimal():
    # 50 s * 1.1 = 55 samples; in floating point 50 * 1.1 = 55.00000000000001, whose ceiling is 56.
    assert math.ceil(50 * 1.1) == 56
    assert len(rate_ticks(50_000, Fraction(1, 1000), 1.1)) == 55
    assert rate_ticks(70, Fraction(1), 0.1) == [5, 15, 25, 35, 45, 55, 65]


@st.composite
def groups_of_pictures(draw):
    """Packets of random groups: a keyframe, then P-frames each followed by the B-frames shown before it."""
    packets, shown = [], draw(st.integers(-50, 50))
    for _ in range(draw(st.integers(1, 8))):
        leading = draw(st.integers(0, 3)) if packets else 0  # open GOP: shown before their keyframe
        packets.append((shown + leading, True))
        packets += [(shown + i, False) for i in range(leading)]
        shown += leading + 1
        for _ in range(draw(st.integers(0, 4))):
            b_frames = draw(st.integers(0, 3))
            packets.append((shown + b_frames, False))
            packets += [(shown + i, False) for i in range(b_frames)]
            shown += b_frames + 1
    rows = [PacketTimes(pts, i, 1, key, False) for i, (pts, key) in enumerate(packets)]
    return Timeline.of(rows, Fraction(1, 10), counted=False)


@settings(deadline=None)
@given(groups_of_pictures(), st.data(), st.integers(0, 30))
def test_runs_decode_every_wanted_frame_from_a_keyframe_that_it_may_depend_on(film, data, jump):
    wanted = sorted(data.draw(st.sets(st.sampled_from(film.shown.tolist()), min_size=1)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timeline, "_JUMP_PACKETS", jump)
        runs = list(film.runs(wanted))
    assert [pts for _, run in runs for pts in run] == wanted
    packet_of = {pts: packet for packet, pts in enumerate(film.pts.tolist())}
    last = -1
    for start, run in runs:
        assert start in film.keys
        assert start > last  # no packet is decoded twice
        assert all(packet_of[pts] >= start and pts >= film.pts[start] for pts in run)
        last = max(packet_of[pts] for pts in run)


@settings(deadline=None)
@given(groups_of_pictures(), st.lists(st.integers(0, 200), min_size=1))
def test_the_frame_on_screen_is_the_last_one_that_has_started(film, ticks):
    for tick, found in zip(sorted(ticks), film.on_screen(sorted(ticks)), strict=True):
        assert found == max(pts for pts in film.pts.tolist() if pts <= film.shown[0] + tick)


def test_a_jump_is_made_only_where_it_leaves_out_enough():
    # Groups of 10 packets without B-frames: frame 3, then frame 12, whose keyframe is packet 10. A jump from one
    # to the other leaves out packets 4 to 9: it pays if that is more than 5, not if it must be more than 6.
    film = Timeline.of([PacketTimes(i, i, 1, i % 10 == 0, False) for i in range(40)], Fraction(1), counted=False)
    for jump, runs in ((5, [(0, [3]), (10, [12])]), (6, [(0, [3, 12])])):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(timeline, "_JUMP_PACKETS", jump)
            assert list(film.runs([3, 12])) == runs


def test_packets_that_are_not_for_show_count_for_decoding_only():
    # An edit list starts the film at frame 2: packets 0 and 1 are decoded but not shown. The last one lasts 3.
    rows = [PacketTimes(i, i, 3, i == 0, i < 2) for i in range(5)]
    film = Timeline.of(rows, Fraction(1, 4), counted=False)
    assert film.shown.tolist() == [2, 3, 4]
    assert film.span == (4 - 2) + 3
    assert film.seconds(4) == (4 - 2) / 4
    assert list(film.runs([2, 4])) == [(0, [2, 4])]


def test_a_last_frame_of_unknown_length_lasts_as_long_as_the_others():
    rows = [PacketTimes(pts, pts, 0, True, False) for pts in (0, 10, 20, 50)]
    # Gaps 10, 10, 30: the median is 10, so the film ends at 60.
    assert Timeline.of(rows, Fraction(1), counted=False).span == 60


def test_packets_without_any_time_give_no_timeline():
    rows = [PacketTimes(None, None, 1, True, False)]
    assert Timeline.of(rows, Fraction(1), counted=False) is None
