"""Slices, intervals and propagation losses of a report."""

import numpy as np
import pytest
from hand_made import (
    chat_turn,
    dataset,
    dialogue,
    gold_of,
    located,
    moment_turn,
    ranked,
    said,
    score,
    submission,
    video_turn,
)
from hypothesis import given, settings
from test_score_properties import cases

from ivcr_bench.errors import IvcrError
from ivcr_bench.scoring.figures import Figure
from ivcr_bench.scoring.outcomes import judge_turns
from ivcr_bench.scoring.report import report_on, require_history
from ivcr_bench.scoring.slices import SLICES

WORLD = dataset(
    dialogue("a", video_turn("f1"), moment_turn("f1", (0, 10), depends_on=(1,)), chat_turn("see you next time")),
    dialogue("b", chat_turn("你好吗朋友"), video_turn("f2"), language="zh"),
    dialogue("c", video_turn("f3"), video_turn("f4", depends_on=(1,))),
)
# R@1: a1 wrong, b2 right, c1 right, c2 wrong. The moment of a2 has IoU 1.
ANSWERS = submission(
    ranked("a", 1, "f9", "f1"),
    located("a", 2, "f1", 0, 10),
    said("a", 3, "see you next time"),
    said("b", 1, "你好吗朋友"),
    ranked("b", 2, "f2"),
    ranked("c", 1, "f3"),
    ranked("c", 2, "f9"),
    system="mine",
    history="own",
)
REPORT = score(WORLD, "test", ANSWERS, intervals=True)


def forced(answers, **header):
    return submission(*answers, history="gold", **header)


def figures(name, label, rule="none"):
    return REPORT.slices[name][label][rule]


def test_slices_by_hand():
    assert set(REPORT.slices) == {part.name for part in SLICES}
    assert (figures("turn", "1")["R@1"].value, figures("turn", "1")["R@1"].n) == (1 / 2, 2)
    assert (figures("turn", "2")["R@1"].value, figures("turn", "2")["R@1"].n) == (1 / 2, 2)
    assert (figures("intent", "video_retrieval")["R@1"].value, figures("intent", "video_retrieval")["mIoU"].n) == (
        0.5,
        0,
    )
    assert (figures("behaviour", "long2short")["mIoU"].value, figures("behaviour", "chitchat")["mIoU"].value) == (
        1,
        None,
    )
    assert (figures("language", "zh")["R@1"].value, figures("language", "en")["R@1"].value) == (1, 1 / 3)
    assert (figures("dependent", "yes")["R@1"].value, figures("dependent", "no")["R@1"].value) == (0, 2 / 3)
    assert list(REPORT.slices["type"]) == ["1"]


def test_only_slices_of_whole_dialogues_have_dialogue_success():
    assert {
        part for part, labels in REPORT.slices.items() for f in labels.values() if "dialogue success" in f["none"]
    } == {
        "language",
        "type",
    }
    assert figures("language", "zh")["dialogue success"] == Figure(1.0, 1, None, None)


def test_losses_by_hand():
    # video: a2 is dead (a1 failed): mIoU falls from 1 to 0. R@1 loses nothing: c1 was right, c2 is alive, and wrong.
    # dependency: a2 depends on a1, the same.
    for rule in ("video", "dependency"):
        lost = REPORT.losses[f"none->{rule}"]
        assert (lost.overall["mIoU"].value, lost.overall["R@1"].value) == (1, 0)
        assert (lost.by_turn["2"]["mIoU"].value, lost.by_turn["1"]["mIoU"].value) == (1, None)
    assert set(REPORT.losses) == {"none->video", "none->dependency"}


def test_the_loss_from_gold_to_own_history():
    # With gold history c2 is right, too: R@1 is 3/4 instead of 2/4, and on turn 2 2/2 instead of 1/2.
    better = forced([*ANSWERS.turns[:-1], ranked("c", 2, "f4")])
    gold = gold_of(WORLD)
    report = report_on(judge_turns(gold, ANSWERS), ANSWERS.header, gated=True, teacher_forced=judge_turns(gold, better))
    lost = report.losses["gold->own"]
    assert lost.overall["R@1"].value == 1 / 4
    assert lost.by_turn["2"]["R@1"].value == 1 / 2
    assert lost.by_turn["1"]["R@1"].value == 0
    # What the system is compared with changes none of its own figures.
    assert (report.overall, report.slices) == (REPORT.overall, REPORT.slices)


@pytest.mark.parametrize(
    ("source", "expected", "message"),
    [
        (ANSWERS, "gold", "field 'history': found 'own', expected 'gold'"),
        (submission(*ANSWERS.turns), "own", "field 'history': found 'unstated', expected 'own'"),
    ],
)
def test_a_loss_takes_an_own_and_a_gold_run(source, expected, message):
    with pytest.raises(IvcrError, match=message):
        require_history(source, expected)


def test_intervals_of_a_mean_are_those_of_its_dialogues():
    # 40 dialogues of one video turn, every fourth right: R@1 = 0.25, normal interval 0.25 +- 1.96 sqrt(.25 * .75 / 40).
    world = dataset(*(dialogue(f"d{i:02}", video_turn("f1")) for i in range(40)))
    answers = submission(*(ranked(f"d{i:02}", 1, "f9" if i % 4 else "f1") for i in range(40)))
    figure = score(world, "test", answers, intervals=True).overall["none"]["R@1"]
    half = 1.96 * np.sqrt(0.25 * 0.75 / 40)
    assert figure.low == pytest.approx(0.25 - half, abs=0.02)
    assert figure.high == pytest.approx(0.25 + half, abs=0.02)


@settings(max_examples=25, deadline=None)
@given(case=cases())
def test_intervals_and_slices_hold_together(case):
    world, given_answers = case
    report = score(world, "test", submission(*given_answers), intervals=True)
    for rule, overall in report.overall.items():
        for part, labels in report.slices.items():
            for name, whole in overall.items():
                parts = [of[rule][name] for of in labels.values() if name in of[rule]]
                assert not parts or sum(figure.n for figure in parts) == whole.n, (part, name)
        for figure in overall.values():
            if figure.low is not None:
                # Corpus BLEU is no mean, so its resamples may all lie on one side of it.
                assert 0 <= figure.low <= figure.high <= 1
    for lost in report.losses.values():
        assert all(figure.value is None or figure.value >= 0 for figure in lost.overall.values())
