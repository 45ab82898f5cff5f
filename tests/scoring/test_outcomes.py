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

from ivcr_bench.errors import IvcrError
from ivcr_bench.schema import STATUSES, SubmissionTurn
from ivcr_bench.scoring.judge.rule import RuleJudge
from ivcr_bench.scoring.outcomes import MISSING


def test_rows_follow_the_dataset_not_the_submission():
    talks = [dialogue("a", video_turn("f1"), moment_turn("f1", (0, 10))), dialogue("b", chat_turn(), language="zh")]
    outcomes = judge(talks, submission(said("b", 1, "hi"), ranked("a", 1, "f2", "f1")))
    assert outcomes.dialogue.tolist() == [0, 0, 1]
    assert outcomes.turn.tolist() == [1, 2, 1]
    assert outcomes.language.tolist() == [0, 0, 1]
    assert outcomes.intent.tolist() == [0, 1, 2]
    assert outcomes.status.tolist() == [STATUSES.index("ok"), MISSING, STATUSES.index("ok")]
    assert outcomes.intent_right.tolist() == [True, False, True]
    assert outcomes.rank.tolist() == [2, 0, 0]
    assert outcomes.succeeded.tolist() == [False, False, True]


def test_the_wrong_intent_fails_the_turn_unless_ungated():
    # Turn 1: the right film and the right words, but as natural dialogue. Turn 2: right.
    world = dataset(dialogue("d", video_turn("f1", response="a b c d"), video_turn("f2")))
    answer = SubmissionTurn(dialogue_id="d", turn=1, intent="natural_dialogue", videos=("f1",), text="a b c d")
    answers = submission(answer, ranked("d", 2, "f2"))
    gated = score(world, "test", answers).overall["none"]
    ungated = score(world, "test", answers, gated=False).overall["none"]
    assert (gated["R@1"].value, gated["BLEU-4"].value) == (1 / 2, 0)
    assert (ungated["R@1"].value, ungated["BLEU-4"].value) == (1, 1)
    assert gated["intent accuracy"] == ungated["intent accuracy"]


@pytest.mark.parametrize("status", [status for status in STATUSES if status != "ok"])
@pytest.mark.parametrize("gated", [True, False])
def test_an_answer_that_is_not_ok_scores_nothing(status, gated):
    talk = dialogue("d", video_turn("f1", response="a b c d"), moment_turn("f1", (0, 10)))
    answers = submission(
        ranked("d", 1, "f1", text="a b c d", status=status), located("d", 2, "f1", 0, 10, status=status)
    )
    report = score(dataset(talk), "test", answers, gated=gated, judge=RuleJudge())
    assert report.statuses[status] == 2
    assert {figure.value for figure in report.overall["none"].values()} == {0.0}


def test_a_moment_in_a_relevant_film_that_is_not_canonical_is_wrong():
    # f2 is relevant for the film, but gold moments are seconds of f1 and say nothing about f2.
    talk = dialogue("d", moment_turn("f1", (0, 10)))
    outcomes = judge([talk], submission(located("d", 1, "f2", 0, 10)))
    assert not outcomes.film_right[0]
    assert outcomes.iou[0] == 0


def test_ancestors_are_transitive_and_counted_in_rows():
    first = dialogue("a", chat_turn(), chat_turn())
    second = dialogue("b", chat_turn(), chat_turn(depends_on=(1,)), chat_turn(depends_on=(2,)))
    outcomes = judge([first, second], submission())
    assert outcomes.ancestors.tolist() == [[3, 2], [4, 2], [4, 3]]


def test_nothing_to_judge():
    with pytest.raises(IvcrError, match="hand-made: no dialogue has split 'test'"):
        judge([], submission())
