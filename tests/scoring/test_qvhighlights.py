"""The QVHighlights files, scored as that format's evaluators do: the first window against the best right one."""

import msgspec
import pytest
from hand_made import dataset, dialogue, located, moment_turn, said, submission, video_turn
from hypothesis import given, settings
from hypothesis import strategies as st

from ivcr_bench.jsonl import encode_line
from ivcr_bench.schema import Moment, SubmissionTurn
from ivcr_bench.scoring.gold import GoldTurns
from ivcr_bench.scoring.moments import recall_at_iou
from ivcr_bench.scoring.outcomes import judge_turns
from ivcr_bench.scoring.qvhighlights import gold_moments, predicted_moments


def export(data, answers):
    """Predictions and gold, as another program reads them."""
    gold = gold_moments(data.split("test"), data.corpus("test").durations)
    predictions = predicted_moments(gold, answers.turns)
    return [[msgspec.json.decode(encode_line(record)) for record in records] for records in (predictions, gold)]


def recall_at_one(predictions, gold, threshold):
    """What the format means by R1: over all queries, by qid, windows without overlap scoring 0."""
    right = {line["qid"]: line["relevant_windows"] for line in gold}
    assert right.keys() == {line["qid"] for line in predictions}
    hits = []
    for line in predictions:
        start, end, _ = line["pred_relevant_windows"][0]
        ious = []
        for low, high in right[line["qid"]]:
            hull = max(end, high) - min(start, low)
            ious.append(max(0, min(end, high) - max(start, low)) / hull)
        hits.append(max(ious) >= threshold)
    return sum(hits) / len(hits)


seconds = st.integers(0, 100).map(float)
intervals = st.tuples(seconds, seconds).filter(lambda pair: pair[0] != pair[1]).map(lambda pair: tuple(sorted(pair)))


@st.composite
def played(draw):
    talks, answers = [], []
    for number in range(draw(st.integers(1, 6))):
        name, film = f"d{number}", f"f{draw(st.integers(0, 2))}"
        talks.append(dialogue(name, moment_turn(film, *draw(st.lists(intervals, min_size=1, max_size=3)))))
        spans = draw(st.lists(st.tuples(st.integers(0, 2), intervals), max_size=4))
        moments = tuple(Moment(f"f{index}", *span) for index, span in spans)
        status = draw(st.sampled_from(["ok", "ok", "ok", "malformed"]))
        intent = draw(st.sampled_from(["moment_retrieval"] * 3 + ["video_retrieval"]))
        if draw(st.booleans()) or moments:
            answers.append(
                SubmissionTurn(dialogue_id=name, turn=1, intent=intent, moments=moments, status=status, text="x")
            )
    return dataset(*talks), submission(*answers)


@settings(max_examples=1000, deadline=None)
@given(played(), st.sampled_from([0.3, 0.5, 0.7]))
def test_recall_at_one_is_ours(world, threshold):
    data, answers = world
    outcomes = judge_turns(GoldTurns.of(data, "test"), answers)
    ours = recall_at_iou(outcomes.iou, threshold).mean()
    assert recall_at_one(*export(data, answers), threshold) == pytest.approx(ours)


def test_by_hand():
    data = dataset(
        dialogue("a", video_turn("f1"), moment_turn("f1", (0, 10), (20, 30))), dialogue("b", moment_turn("f2", (5, 6)))
    )
    moments = (Moment("f1", 0, 5), Moment("f3", 0, 10), Moment("f1", 20, 30), Moment("f1", 1, 2))
    answers = submission(SubmissionTurn(dialogue_id="a", turn=2, intent="moment_retrieval", moments=moments))
    predictions, gold = export(data, answers)
    query = {"query": "when?", "duration": 100.0}
    assert gold == [
        {"qid": 1, "vid": "f1", "relevant_windows": [[0, 10], [20, 30]], "dialogue_id": "a", "turn": 2, **query},
        {"qid": 2, "vid": "f2", "relevant_windows": [[5, 6]], "dialogue_id": "b", "turn": 1, **query},
    ]
    # f3 is another film: a window behind the end, at 100 s. "b" was not answered: one such window.
    windows = [[0, 5, 1.0], [101, 102, 0.75], [20, 30, 0.5], [1, 2, 0.25]]
    assert [line["pred_relevant_windows"] for line in predictions] == [windows, [[101, 102, 1.0]]]
    assert [line["vid"] for line in predictions] == ["f1", "f2"]


def test_an_answer_under_another_intent_meets_nothing():
    data = dataset(dialogue("a", moment_turn("f1", (0, 10))))
    chatty = submission(said("a", 1, "at once", moments=(Moment("f1", 0, 10),)))
    assert recall_at_one(*export(data, chatty), 0.3) == 0
    assert recall_at_one(*export(data, submission(located("a", 1, "f1", 0, 10))), 0.7) == 1


def test_a_gold_moment_behind_the_end_is_not_met_by_nothing():
    data = dataset(dialogue("a", moment_turn("f1", (101, 102))))
    assert recall_at_one(*export(data, submission(said("a", 1, "no"))), 0.3) == 0
