"""Parts put together: routing, carrying the film, candidates, ties, and scores that are none."""

import numpy as np
import pytest
from small_world import CORPUS, DIALOGUES, FirstSecond, FixedRetriever, Listener, gold_requests, request

from ivcr_bench.systems.compose import RANKING_DEPTH, Composed, Reranked, RetrieverAlone, best_films
from ivcr_bench.systems.controls import Oracle
from ivcr_bench.systems.localisers import MiddleThird, WholeFilm
from ivcr_bench.systems.protocol import System


def prepared(system):
    system.prepare(CORPUS)
    return system


def test_each_kind_of_turn_goes_its_way():
    system = prepared(Composed(FixedRetriever(), FirstSecond()))
    video, moment, talk = system.respond(
        [request("find a film at night"), request("find the moment when a star falls"), request("thank you!")]
    )
    assert (video.intent, video.videos, video.moments) == ("video_retrieval", ("f1", "f2", "f3", "f4", "f5", "f0"), ())
    assert (moment.intent, moment.videos) == ("moment_retrieval", ("f1",))
    assert [(m.video_id, m.start, m.end) for m in moment.moments] == [("f1", 0.0, 1.0)]
    assert (talk.intent, talk.videos, talk.moments, talk.text) == ("natural_dialogue", (), (), "")


@pytest.mark.parametrize(
    ("history", "film"),
    [
        (("f4",), "f4"),
        (("f4", "f5"), "f5"),
        (("f4", None), "f4"),  # a failed turn told the user nothing
        ((), "f1"),  # nothing to refer to: the retriever's best
        (("gone",), "f1"),  # not in this corpus
    ],
)
@pytest.mark.parametrize("utterance", ["when does it turn around?", "它是什么时候转身的？"])
def test_a_moment_is_looked_for_in_the_film_that_the_dialogue_is_about(utterance, history, film):
    system = prepared(Composed(FixedRetriever(), FirstSecond()))
    assert system.respond([request(utterance, *history)])[0].moments[0].video_id == film


def test_a_moment_described_anew_is_searched_for():
    system = prepared(Composed(FixedRetriever(), FirstSecond()))
    assert system.respond([request("find the moment a red star falls at night", "f4")])[0].videos == ("f1",)


def test_only_turns_that_need_a_ranking_are_ranked():
    retriever = FixedRetriever()
    system = prepared(Composed(retriever, FirstSecond()))
    system.respond([request("hello!"), request("when is it?", "f4"), request("a film by the sea")])
    assert retriever.asked == [["a film by the sea"]]


def test_oracle_routes_and_ranks_for_a_localiser():
    system = prepared(Composed(Oracle(DIALOGUES), WholeFilm()))
    video, moment, talk, other = system.respond(gold_requests())
    assert video.videos[:2] == ("f2", "f4")
    assert [(m.video_id, m.start, m.end) for m in moment.moments] == [("f2", 0.0, 30.0)]
    assert talk.intent == "natural_dialogue"
    assert other.videos[0] == "f5"
    assert system.sees_gold
    assert not system.reads_films


def test_middle_third():
    localiser = prepared(MiddleThird())
    [[moment]] = localiser.localise([request("when?")], ["f5"])
    assert (moment.start, moment.end) == (pytest.approx(20.0), pytest.approx(40.0))  # of 60 s


def test_a_retriever_alone_answers_films_whatever_is_asked():
    system = prepared(RetrieverAlone(FixedRetriever()))
    assert isinstance(system, System)
    assert system.intents == {"video_retrieval"}
    answers = system.respond([request("when does it fall?", "f4"), request("thanks")])
    assert {answer.intent for answer in answers} == {"video_retrieval"}


def test_a_reranker_is_prepared_after_its_retriever():
    listener, retriever = Listener(), FixedRetriever()
    system = prepared(Reranked(listener, retriever))
    assert listener.retriever is retriever
    assert listener.retriever_was_prepared
    assert (system.name, system.fingerprint) == ("listener@fixed", "v2+-")
    assert system.respond([request("x")])[0].videos == ("f0",)


def test_fingerprints_of_parts_make_one():
    assert Composed(FixedRetriever(), FirstSecond()).fingerprint == "-+v1"
    assert Composed(FixedRetriever(), WholeFilm()).fingerprint is None


def test_films_are_read_if_any_part_reads_them():
    assert Composed(FixedRetriever(), WholeFilm()).reads_films
    assert not Composed(Oracle(DIALOGUES), MiddleThird()).reads_films


def test_equal_scores_keep_corpus_order():
    ranking = best_films(FixedRetriever((1, 2, 1, 2, 1, 2)), [request("x")], CORPUS)
    assert ranking == [("f1", "f3", "f5", "f0", "f2", "f4")]


def test_candidates_alone_are_ranked():
    ranking = best_films(FixedRetriever(), [request("x", candidates=("f5", "f0", "f2"))], CORPUS)
    assert ranking == [("f2", "f5", "f0")]


def test_rankings_end_at_the_depth(monkeypatch):
    assert RANKING_DEPTH >= 10
    monkeypatch.setattr("ivcr_bench.systems.compose.RANKING_DEPTH", 2)
    assert best_films(FixedRetriever(), [request("x")], CORPUS) == [("f1", "f2")]


@pytest.mark.parametrize(
    ("scores", "message"),
    [((1, 2, 3), r"shape \(1, 3\), expected \(1, 6\)"), ((1, 2, 3, np.nan, 5, 6), "NaN")],
)
def test_scores_that_are_no_ranking(scores, message):
    with pytest.raises(ValueError, match=message):
        best_films(FixedRetriever(scores), [request("x")], CORPUS)
