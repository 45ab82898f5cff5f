"""The TREC files, read by ir_measures: it has to find the figures that `ivcr-bench score` finds."""

import ir_measures
import numpy as np
import pytest
from hand_made import chat_turn, dataset, dialogue, located, moment_turn, ranked, said, submission, video_turn
from hypothesis import given, settings
from hypothesis import strategies as st
from ir_measures import RR, R, Success

from ivcr_bench.schema import SubmissionTurn
from ivcr_bench.scoring.checking import checked_answers
from ivcr_bench.scoring.gold import GoldTurns
from ivcr_bench.scoring.outcomes import judge_turns
from ivcr_bench.scoring.retrieval import recall_at_k, reciprocal_rank
from ivcr_bench.scoring.trec import field, qrels_lines, query_id, run_lines

FILMS = [f"f{i}" for i in range(20)]
STATUSES = ("ok", "ok", "ok", "refused", "timeout")


def export(gold, answers, system="me"):
    """Run and qrels as text."""
    run = b"".join(run_lines(gold, checked_answers(gold, answers), system)).decode()
    return run, b"".join(qrels_lines(gold)).decode()


def measured(run, qrels, *measures):
    """Figures of ir_measures; it reads a string as a path, unless it has a line break."""
    found = ir_measures.calc_aggregate(
        measures, list(ir_measures.read_trec_qrels(qrels + "\n")), list(ir_measures.read_trec_run(run + "\n"))
    )
    return [found[measure] for measure in measures]


@st.composite
def played(draw):
    """A dataset of a few dialogues, and answers to some of its turns."""
    talks, answers = [], []
    for number in range(draw(st.integers(1, 5))):
        name = f"d {number}" if draw(st.booleans()) else f"d{number}"
        turns = []
        for turn in range(1, draw(st.integers(1, 4)) + 1):
            relevant = draw(st.lists(st.sampled_from(FILMS), min_size=1, max_size=3, unique=True))
            kind = draw(st.sampled_from([video_turn(*relevant), video_turn(*relevant), chat_turn("hi")]))
            turns.append(kind)
            how = draw(st.sampled_from(["ranked", "ranked", "ranked", "said", "missing"]))
            status = draw(st.sampled_from(STATUSES))
            if how == "ranked":
                films = draw(st.lists(st.sampled_from(FILMS), max_size=20, unique=True))
                answers.append(ranked(name, turn, *films, status=status))
            elif how == "said":
                answers.append(said(name, turn, "hello", status=status))
        talks.append(dialogue(name, *turns))
    if not any(turn.intent == "video_retrieval" for talk in talks for turn in talk.turns):
        talks.append(dialogue("last", video_turn("f0")))
    return dataset(*talks), submission(*answers)


@settings(max_examples=1000, deadline=None)
@given(played())
def test_ir_measures_finds_our_figures(world):
    data, answers = world
    gold = GoldTurns.of(data, "test")
    outcomes = judge_turns(gold, answers)
    rank = outcomes.rank[outcomes.asks("video_retrieval")]
    ours = [recall_at_k(rank, 1).mean(), recall_at_k(rank, 5).mean(), recall_at_k(rank, 10).mean()]
    found = measured(*export(gold, answers), Success @ 1, Success @ 5, Success @ 10, RR)
    assert found == pytest.approx([*ours, reciprocal_rank(rank).mean()], abs=1e-12)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.permutations(FILMS), min_size=1, max_size=5))
def test_with_one_relevant_film_recall_is_our_recall(rankings):
    data = dataset(*(dialogue(f"d{i}", video_turn(f"f{i}")) for i in range(len(rankings))))
    answers = submission(*(ranked(f"d{i}", 1, *films) for i, films in enumerate(rankings)))
    gold = GoldTurns.of(data, "test")
    rank = judge_turns(gold, answers).rank
    ours = [recall_at_k(rank, 1).mean(), recall_at_k(rank, 10).mean()]
    assert measured(*export(gold, answers), R @ 1, R @ 10) == pytest.approx(ours, abs=1e-12)


def test_by_hand():
    data = dataset(
        dialogue("a b", video_turn("f1", "f2"), moment_turn("f1", (0, 10)), chat_turn()),
        dialogue("c%", video_turn("f3"), video_turn("f4")),
    )
    answers = submission(
        ranked("a b", 1, "f9", "f2"),
        located("a b", 2, "f1", 0, 10),
        said("c%", 1, "no idea"),
        ranked("c%", 2, "f4", status="timeout"),
    )
    run, qrels = export(GoldTurns.of(data, "test"), answers, system="my system")
    # Two films, so scores 2 and 1; the chat and the timeout have no lines, their queries stay in the qrels.
    assert run.splitlines() == ["a%20b.1 Q0 f9 1 2 my%20system", "a%20b.1 Q0 f2 2 1 my%20system"]
    assert qrels.splitlines() == ["a%20b.1 0 f1 1", "a%20b.1 0 f2 1", "c%25.1 0 f3 1", "c%25.2 0 f4 1"]


def test_no_answer_at_all_is_a_run_that_scores_zero():
    gold = GoldTurns.of(dataset(dialogue("a", video_turn("f1"))), "test")
    run, qrels = export(gold, submission(SubmissionTurn(dialogue_id="a", turn=1, status="refused")))
    assert run == ""
    assert measured(run, qrels, Success @ 1, RR) == [0, 0]


def test_scores_have_no_ties_in_single_precision():
    scores = np.arange(193_434, 0, -1)
    assert len(np.unique(scores.astype(np.float32))) == len(scores)


@given(st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=20))
def test_a_field_has_no_white_space_and_is_unique(one, other):
    assert field(one).split() == [field(one)]
    assert (field(one) == field(other)) == (one == other)


@given(st.text(min_size=1), st.integers(1, 50), st.text(min_size=1), st.integers(1, 50))
def test_unequal_turns_are_unequal_queries(one, turn, other, second):
    assert (query_id(one, turn) == query_id(other, second)) == ((one, turn) == (other, second))
