"""The three rules of how errors travel, by hand. Moment turns have gold [0, 10]: the answer [0, x] has IoU x/10."""

import pytest
from hand_made import (
    chat_turn,
    dataset,
    dialogue,
    judge,
    located,
    moment_turn,
    ranked,
    said,
    score,
    submission,
    video_turn,
)

from ivcr_bench.scoring.propagation import RULES


def alive(rule, talk, *answers):
    return RULES[rule](judge([talk], submission(*answers))).tolist()


def k6(**depends_on):
    """Retrieval hits and moment IoUs {T, .6, F, .9, T}: the example of the 2024 scorer's zeroing rule."""
    depends = [depends_on.get(f"turn{n}", ()) for n in range(1, 6)]
    talk = dialogue(
        "d",
        video_turn("f1", depends_on=depends[0]),
        moment_turn("f1", (0, 10), depends_on=depends[1]),
        video_turn("f2", depends_on=depends[2]),
        moment_turn("f2", (0, 10), depends_on=depends[3]),
        video_turn("f3", depends_on=depends[4]),
    )
    answers = (
        ranked("d", 1, "f1"),
        located("d", 2, "f1", 0, 6),
        ranked("d", 3, "f9", "f2"),
        located("d", 4, "f2", 0, 9),
        ranked("d", 5, "f3"),
    )
    return talk, answers


def test_k6_under_none():
    # {T, .6, F, .9, T}: R@1 = 2/3, mIoU = (.6 + .9) / 2 = .75
    talk, answers = k6()
    figures = score(dataset(talk), "test", submission(*answers)).overall["none"]
    assert alive("none", talk, *answers) == [True] * 5
    assert figures["R@1"].value == pytest.approx(2 / 3)
    assert figures["mIoU"].value == pytest.approx(0.75)


def test_k6_under_video():
    # {T, .6, F, 0, F}: R@1 = 1/3; mIoU = (.6 + 0) / 2 = .3; IoU=0.5 is 1/2; R@5 = 2/3, since turn 3 itself is alive
    talk, answers = k6()
    figures = score(dataset(talk), "test", submission(*answers)).overall["video"]
    assert alive("video", talk, *answers) == [True, True, True, False, False]
    assert figures["R@1"].value == pytest.approx(1 / 3)
    assert figures["R@5"].value == pytest.approx(2 / 3)
    assert figures["mIoU"].value == pytest.approx(0.3)
    assert figures["R@1 IoU=0.5"].value == pytest.approx(1 / 2)


def test_k6_under_dependency():
    # Turn 4 asks about turn 3, which failed; turn 5 asks about turn 2, which asks about turn 1: both succeeded.
    # {T, .6, F, 0, T}: R@1 = 2/3, mIoU = (.6 + 0) / 2 = .3
    talk, answers = k6(turn2=(1,), turn4=(3,), turn5=(2,))
    figures = score(dataset(talk), "test", submission(*answers)).overall["dependency"]
    assert alive("dependency", talk, *answers) == [True, True, True, False, True]
    assert figures["R@1"].value == pytest.approx(2 / 3)
    assert figures["mIoU"].value == pytest.approx(0.3)


def test_a_failed_moment_harms_nothing_under_video_but_what_depends_on_it_under_dependency():
    # IoU .4 < .5: turn 1 failed.
    talk = dialogue("d", moment_turn("f1", (0, 10)), video_turn("f1", depends_on=(1,)), video_turn("f2"))
    answers = (located("d", 1, "f1", 0, 4), ranked("d", 2, "f1"), ranked("d", 3, "f2"))
    assert alive("video", talk, *answers) == [True, True, True]
    assert alive("dependency", talk, *answers) == [True, False, True]


def test_dependency_is_transitive():
    # 3 depends on 2 depends on 1. Turn 1 failed; turn 2 is right by itself, and still turn 3 hangs on turn 1.
    talk = dialogue("d", video_turn("f1"), video_turn("f2", depends_on=(1,)), video_turn("f3", depends_on=(2,)))
    answers = (ranked("d", 1, "f9"), ranked("d", 2, "f2"), ranked("d", 3, "f3"))
    assert alive("dependency", talk, *answers) == [True, False, False]


def test_a_missing_answer_is_a_failed_turn():
    talk = dialogue("d", video_turn("f1"), video_turn("f2", depends_on=(1,)))
    answers = (ranked("d", 2, "f2"),)
    assert alive("video", talk, *answers) == [True, False]
    assert alive("dependency", talk, *answers) == [True, False]


def test_natural_dialogue_fails_if_it_was_taken_for_a_search():
    talk = dialogue("d", chat_turn(), video_turn("f1", depends_on=(1,)))
    mistaken = (ranked("d", 1, "f5"), ranked("d", 2, "f1"))
    understood = (said("d", 1, "hello"), ranked("d", 2, "f1"))
    assert alive("dependency", talk, *mistaken) == [True, False]
    assert alive("video", talk, *mistaken) == [True, True]
    assert alive("dependency", talk, *understood) == [True, True]


def test_errors_stay_in_their_dialogue():
    bad = dialogue("bad", video_turn("f1"), video_turn("f2"))
    good = dialogue("good", video_turn("f1"), video_turn("f2"))
    answers = [ranked("bad", 1, "f9"), ranked("bad", 2, "f2"), ranked("good", 1, "f1"), ranked("good", 2, "f2")]
    outcomes = judge([bad, good], submission(*answers))
    assert RULES["video"](outcomes).tolist() == [True, False, True, True]


def test_a_dead_turn_scores_zero_in_every_metric_and_stays_in_every_denominator():
    talk = dialogue(
        "d",
        video_turn("f1"),
        video_turn("f2", depends_on=(1,), response="here it is now"),
        moment_turn("f2", (0, 10), depends_on=(1,)),
    )
    answers = submission(
        ranked("d", 1, "f9"), ranked("d", 2, "f2", text="here it is now"), located("d", 3, "f2", 0, 10)
    )
    report = score(dataset(talk), "test", answers)
    # none: R@1 = 1/2 (turns 1, 2), intents 3/3, text and moment perfect.
    # Dead: turns 2 and 3, so R@1 = 0/2, intents 1/3.
    for rule in ("video", "dependency"):
        figures = report.overall[rule]
        zero = ["R@1", "R@10", "MRR", "R@1 IoU=0.3", "mIoU", "BLEU-4", "dialogue success"]
        assert {name: figures[name].value for name in zero} == dict.fromkeys(zero, 0.0)
        assert figures["intent accuracy"].value == pytest.approx(1 / 3)
        assert {name: f.n for name, f in figures.items()} == {name: f.n for name, f in report.overall["none"].items()}
    assert report.overall["none"]["BLEU-4"].value == 1
