"""Comparing systems: their own numbers are their own, and what is said of pairs is what the statistics say."""

import math
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hand_made import chat_turn, dataset, dialogue, gold_of, moment_turn, ranked, said, submission, video_turn
from hypothesis import given, settings
from hypothesis import strategies as st

from ivcr_bench.errors import IvcrError
from ivcr_bench.scoring.compare import (
    DEFAULT_METRICS,
    Comparison,
    compare,
    contender,
    metrics_named,
    require_comparable,
    write_comparison,
)
from ivcr_bench.scoring.comparison_tables import render_comparison
from ivcr_bench.scoring.outcomes import judge_turns
from ivcr_bench.scoring.report import report_on

METRICS = metrics_named(DEFAULT_METRICS)
TALKS = [
    dialogue(f"d{i}", video_turn("f1", response="a red star in the snow"), chat_turn("you are welcome my friend"))
    for i in range(12)
]
GOLD = gold_of(dataset(*TALKS))


def finder(right, text="a red star in the night"):
    """Answers the video turns, those of the dialogues ``right`` rightly."""
    return submission(*(ranked(f"d{i}", 1, "f1" if i in right else "f2", text=text) for i in range(12)))


def contend(name, answers, rule="none", metrics=METRICS, **header):
    header = replace_header(answers, header)
    return contender(name, judge_turns(GOLD, answers), header, metrics=metrics, rule=rule)


def replace_header(answers, header):
    return submission(*answers.turns, **header).header if header else None


finders = st.builds(finder, st.sets(st.integers(0, 11)), st.sampled_from(["", "a red star in the night", "snow"]))


@settings(max_examples=15, deadline=None)
@given(st.lists(finders, min_size=2, max_size=4), st.randoms())
def test_no_system_changes_another_systems_own_numbers(answers, random):
    """Added, repeated or given in another order."""
    contenders = [contend(f"s{i}", one) for i, one in enumerate(answers)]
    alone = compare(contenders[:2])
    crowd = [*contenders, contend("again", answers[0])]
    random.shuffle(crowd)
    together = compare(crowd)
    for metric, ranking in alone.rankings.items():
        theirs = together.rankings[metric]
        figures = {standing.system: standing.figure for standing in theirs.standings}
        assert all(standing.figure == figures[standing.system] for standing in ranking.standings)
        pairs = {pair.systems: pair for pair in theirs.pairs}
        for pair in ranking.pairs:
            other = pairs[pair.systems]
            assert (pair.difference, pair.effect_size, pair.p) == (other.difference, other.effect_size, other.p)
            assert other.p_holm >= pair.p_holm  # more comparisons, more to correct for


@settings(max_examples=10, deadline=None)
@given(st.lists(finders, min_size=3, max_size=3), st.permutations(range(3)))
def test_the_order_of_arguments_changes_nothing(answers, order):
    contenders = [contend(f"s{i}", one) for i, one in enumerate(answers)]
    assert compare([contenders[i] for i in order]) == compare(contenders)


@pytest.mark.parametrize("rule", ["none", "video", "dependency"])
def test_figures_are_those_of_the_report(rule):
    answers = finder({0, 3, 4})
    report = report_on(judge_turns(GOLD, answers), None, gated=True)
    comparison = compare([contend("a", answers, rule), contend("b", finder({1}), rule)])
    for metric, ranking in comparison.rankings.items():
        (standing,) = [standing for standing in ranking.standings if standing.system == "a"]
        assert standing.figure == report.overall[rule][metric]
    assert (comparison.signature, comparison.propagation) == (report.signature, rule)


def test_a_pair_by_hand():
    """R@1 of 12 dialogues: a 9/12, b 3/12, b right only where a is. 6 differ: p = 2 / 2^6, Holm's over 3 metrics."""
    names = metrics_named(["R@1", "R@10", "dialogue success"])
    a, b = (contend(name, finder(set(range(n))), metrics=names) for name, n in (("a", 9), ("b", 3)))
    comparison = compare([b, a])
    (pair,) = comparison.rankings["R@1"].pairs
    difference = np.array([0] * 3 + [1] * 6 + [0] * 3)
    assert pair.systems == ("a", "b")
    assert (pair.difference.value, pair.difference.n) == (0.5, 12)
    assert pair.difference.low == pytest.approx(3 / 12, abs=0.09)  # binomial(12, 1/2) / 12
    assert pair.difference.high == pytest.approx(9 / 12, abs=0.09)
    assert pair.effect_size == pytest.approx(difference.mean() / difference.std(ddof=1))
    assert pair.p == 2 / 2**6
    assert pair.p_holm == pytest.approx(3 * 2 / 2**6)
    assert not pair.significant
    assert [(s.system, s.rank, s.groups) for s in comparison.rankings["R@1"].standings] == [
        ("a", (1, 2), "a"),
        ("b", (1, 2), "a"),
    ]


def test_who_is_better_and_who_cannot_be_told_apart():
    names = metrics_named(["R@1"])
    systems = {"best": range(12), "good": range(11), "bad": range(1), "worst": ()}
    comparison = compare([contend(name, finder(set(right)), metrics=names) for name, right in systems.items()])
    standings = comparison.rankings["R@1"].standings
    assert [(s.system, s.rank, s.groups) for s in standings] == [
        ("best", (1, 2), "a"),
        ("good", (1, 2), "a"),
        ("bad", (3, 4), "b"),
        ("worst", (3, 4), "b"),
    ]


def test_who_does_not_do_it_is_left_out():
    talks = submission(*(said(f"d{i}", 2, "you are welcome my friend") for i in range(12)))
    mute = finder(set(range(12)), text="")
    comparison = compare([contend("talks", talks), contend("mute", mute), contend("finds", finder({1, 2}))])
    assert [s.system for s in comparison.rankings["R@1"].standings] == ["mute", "finds", "talks"]
    assert [pair.systems for pair in comparison.rankings["R@1"].pairs] == [("mute", "finds")]
    absent = comparison.rankings["R@1"].standings[-1]
    assert (absent.figure.value, absent.figure.n, absent.rank, absent.groups) == (None, 12, None, "")
    assert {pair.systems for pair in comparison.rankings["BLEU-4"].pairs} == {("finds", "talks")}
    assert comparison.rankings["R@1 IoU=0.5"].pairs == ()
    assert ["talks", "-", "-", "-"] in [line.split() for line in render_comparison(comparison).splitlines()]


def test_a_constant_difference_has_no_effect_size():
    names = metrics_named(["R@1"])
    comparison = compare([contend("a", finder(range(12)), metrics=names), contend("b", finder(()), metrics=names)])
    (pair,) = comparison.rankings["R@1"].pairs
    assert pair.effect_size is None
    assert (pair.difference.low, pair.difference.high) == (1, 1)


def test_what_does_not_compare_is_refused_with_every_reason():
    own = contend("a", finder({1}), history="own", limit=5)
    gold = contend("b", finder({1}), history="gold", scope="corpus")
    with pytest.raises(IvcrError, match="do not compare") as refused:
        compare([own, gold])
    message = str(refused.value)
    assert "field 'history': found own (a), gold (b)" in message
    assert "field 'scope': found unstated (a), corpus (b)" in message
    assert "field 'split'" not in message


def test_every_setting_of_the_signature_counts():
    one = contend("a", finder({1})).settings
    for name in one:
        with pytest.raises(IvcrError, match=f"field '{name}'"):
            require_comparable({"a": one, "b": {**one, name: "other"}})
    require_comparable({"a": one, "b": dict(one)})


def test_too_many_comparisons_are_refused():
    few = contend("0", finder({1}), metrics=metrics_named(["R@1"]))
    with pytest.raises(IvcrError, match="found 5050 comparisons, expected at most 5000"):
        compare([replace(few, name=str(index)) for index in range(101)])


def test_an_unknown_metric_gets_a_hint():
    with pytest.raises(IvcrError, match=r"--metric: found 'MIOU', expected one of R@1, .*did you mean 'mIoU'"):
        metrics_named(["R@1", "MIOU"])
    assert [metric.name for metric in metrics_named(["mIoU", "R@1", "mIoU"])] == ["mIoU", "R@1"]


def test_written_as_json(tmp_path):
    comparison = compare([contend("a", finder({1, 2})), contend("b", finder({2}))])
    write_comparison(tmp_path / "c.json", comparison)
    read = msgspec.json.decode((tmp_path / "c.json").read_bytes(), type=Comparison)
    assert read == comparison


def test_groups_of_dialogues_give_the_figures_of_the_report():
    """More dialogues than units; moment turns in one of seven."""
    talks = [
        dialogue(f"d{i}", *([moment_turn("f1", (0, 9))] if i % 7 == 0 else []), video_turn("f1")) for i in range(2_100)
    ]
    gold = gold_of(dataset(*talks))
    answers = submission(*(ranked(f"d{i}", 1, "f1" if i % 3 else "f2") for i in range(2_100)))
    outcomes = judge_turns(gold, answers)
    report = report_on(outcomes, None, gated=True)
    score = contender("a", outcomes, None, metrics=METRICS).scores
    assert score["R@1"].figure == report.overall["none"]["R@1"]
    assert (score["R@1"].dialogues, score["R@1 IoU=0.5"].dialogues) == (2_100, math.ceil(2_100 / 7))
