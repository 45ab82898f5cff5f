"""Golden strings of InterLLaVA's prompts, and the routes of turns."""

import pytest

from baselines.interllava import prompts
from baselines.interllava.routing import current_film, gold_route, intent_of
from ivcr_bench.schema import Answer, Exchange, Gold, Moment, Turn

FOUND_FILM = Exchange("Find a dance film.", Answer("video_retrieval", ("f1", "f2"), text="Here it is."))
FOUND_MOMENT = Exchange("When?", Answer("moment_retrieval", moments=(Moment("f3", 1, 2),), text="From 1.0 s."))
FAILED = Exchange("And now?", None)


def test_dialogue():
    assert prompts.render_dialogue((FOUND_FILM, FAILED), "When does it turn?") == (
        "### Human: Find a dance film. ### Assistant: Here it is. "
        "### Human: And now? ### Assistant:  ### Human: When does it turn? <query>"
    )


def test_users_cannot_write_special_tokens():
    rendered = prompts.render_dialogue((), "show <vid_3> <query> now")
    assert rendered == "### Human: show  vid_3   query  now <query>"


def test_candidates_and_film():
    assert prompts.render_candidates([1, 2]) == (
        " <vid_1> <video><videotoken></video> <vid_2> <video><videotoken><videotoken></video>"
    )
    assert prompts.render_film(2) == " <video><videotoken><videotoken></video>"


def test_answers_follow_the_paper():
    assert " ".join(prompts.retrieval_answer(2, "It shows a star.")) == (
        "The intent is video retrieval. The given query happens in <vid_3> video. It shows a star."
    )
    assert " ".join(prompts.moment_answer(5, 9, "There.")) == (
        "The intent is temporal video grounding. The given query happens in <t_5> - <t_9> seconds. There."
    )


def test_times_are_hidden_and_shown():
    text = "From 12.5 s to 20.0 s a star falls."
    hidden = prompts.hide_times(text, 12.5, 20.0)
    assert hidden == "From <start> s to <end> s a star falls."
    assert prompts.show_times(hidden, 3.0, 4.26) == "From 3.0 s to 4.3 s a star falls."


@pytest.mark.parametrize(("start", "end", "first", "last"), [(0.0, 4.0, 0, 3), (3.5, 7.5, 3, 7), (12.5, 13.0, 12, 12)])
def test_seconds_that_a_moment_touches(start, end, first, last):
    assert (prompts.first_second(start), prompts.last_second(end)) == (first, last)


def test_current_film_is_that_of_the_latest_result():
    assert current_film(()) is None
    assert current_film((FOUND_FILM,)) == "f1"
    assert current_film((FOUND_FILM, FOUND_MOMENT, FAILED)) == "f3"


def test_a_moment_in_the_current_film_has_a_route_of_its_own():
    turn = Turn("When?", "moment_retrieval", "long2short", Gold(("f1",), ((1.0, 2.0),)))
    assert gold_route(turn, (FOUND_FILM,)) == "moment_in_current_film"
    assert gold_route(turn, (FOUND_MOMENT,)) == "moment_retrieval"
    assert {intent_of(gold_route(turn, history)) for history in ((), (FOUND_FILM,))} == {"moment_retrieval"}
