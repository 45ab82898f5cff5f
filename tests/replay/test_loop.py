"""The loop: what systems are told, in which batches, and what becomes of their failures."""

import numpy as np
import pytest
from replayed import Scripted, dataset, wrong

from ivcr_bench.errors import IvcrError
from ivcr_bench.replay.loop import play
from ivcr_bench.schema import Answer, Exchange, Moment, Response


def played(system, data, done=None, **settings):
    settings = {"history": "own", "scope": "corpus", "batch_size": 2, **settings}
    return list(play(system, data.dialogues, data.corpus("test"), done or {}, **settings))


def answers(batches):
    return {(a.dialogue_id, a.turn): a for batch in batches for a in batch.answers}


def test_lockstep_in_batches():
    system = Scripted()
    played(system, dataset(1, 3, 2))
    asked = [[(r.dialogue_id, r.turn) for r in batch] for batch in system.batches]
    assert asked == [
        [("d0", 1), ("d1", 1)],
        [("d2", 1)],
        [("d1", 2), ("d2", 2)],
        [("d1", 3)],
    ]


@pytest.mark.parametrize(
    ("history", "told"),
    [
        ("own", [Answer("video_retrieval", ("f3",), (), f"own d0 {n}") for n in (1, 2)]),
        ("gold", [Answer("video_retrieval", ("f1",), (), f"GOLDTEXT{n}") for n in (1, 2)]),
    ],
)
def test_history_holds_every_earlier_turn(history, told):
    system = Scripted()
    played(system, dataset(3), history=history)
    past = system.batches[-1][0].history
    assert past == (Exchange("say 1", told[0]), Exchange("say 2", told[1]))


def test_no_gold_reaches_a_system_under_own_history():
    data = dataset(3, 2)
    seen = {}
    for history in ("own", "gold"):
        system = Scripted()
        played(system, data, history=history)
        seen[history] = repr(system.batches)
    # The gold film is f1 everywhere, and this system never answers f1.
    assert "GOLDTEXT" not in seen["own"]
    assert "'f1'" not in seen["own"]
    assert "GOLDTEXT2" in seen["gold"]  # so the search above can find it
    assert "'f1'" in seen["gold"]


def test_candidates_are_given_under_their_scope_alone():
    for scope, expected in (("corpus", None), ("candidates", ("f1", "f2"))):
        system = Scripted()
        played(system, dataset(1), scope=scope)
        assert system.batches[0][0].candidates == expected


def test_one_bad_request_fails_alone_and_says_nothing_later():
    def answer(request):
        if (request.dialogue_id, request.turn) == ("d1", 1):
            raise RuntimeError("secret \ud800 words")
        return wrong(request)

    system = Scripted(answer)
    batches = played(system, dataset(2, 2))
    found = answers(batches)
    assert {key: a.status for key, a in found.items()} == {
        ("d0", 1): "ok", ("d1", 1): "system_error", ("d0", 2): "ok", ("d1", 2): "ok",
    }  # fmt: skip
    assert len(batches[0].failures) == 1
    assert "dialogue 'd1', turn 1: system_error: RuntimeError: secret" in batches[0].failures[0]
    assert "test_loop.py:" in batches[0].failures[0]
    assert [len(batch) for batch in system.batches] == [2, 1, 1, 2]
    assert system.batches[-1][1].history == (Exchange("say 1", None),)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_wrong_number_of_responses_is_asked_for_singly(count):
    class Miscounts(Scripted):
        def respond(self, requests):
            right = super().respond(requests)
            return right if len(requests) == 1 else (right * 2)[:count]

    found = answers(played(Miscounts(), dataset(1, 1)))
    assert [a.text for a in found.values()] == ["own d0 1", "own d1 1"]


def test_a_wrong_number_for_one_request_is_malformed():
    system = Scripted()
    system.respond = lambda requests: []
    batch = played(system, dataset(1))[0]
    assert batch.answers[0].status == "malformed"
    assert "found 0 responses to one request, expected 1" in batch.failures[0]


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (Response(intent="video_retrieval", videos=("f9",), text="bad"), "'videos[0]': found 'f9'"),
        (
            Response(intent="moment_retrieval", moments=(Moment("f1", 0, 5000),), text="bad"),
            "found 5000, expected at most 30",
        ),
        (Response(intent="video_retrieval", videos=(1,), text="bad"), "Expected `str`, got `int`"),
        (Response(intent="search", text="bad"), "Invalid enum value 'search'"),
        (Response(intent="video_retrieval", text="bad \ud800"), "surrogates not allowed"),
        (Response(intent="video_retrieval", text=object()), "found a value of type object"),
        ("bad", "found str, expected ivcr_bench.schema.Response"),
        (None, "found NoneType"),
    ],
)
def test_what_is_no_answer_is_malformed(response, reason):
    system = Scripted(lambda request: response if request.turn == 1 else wrong(request))
    first, second = played(system, dataset(2))
    assert (first.answers[0].status, first.answers[0].videos, first.answers[0].text) == ("malformed", (), "")
    assert reason in first.failures[0]
    assert second.answers[0].status == "ok"
    assert system.batches[-1][0].history == (Exchange("say 1", None),)


def test_raw_output_of_a_malformed_answer_is_kept():
    system = Scripted(lambda request: Response(intent="video_retrieval", videos=("f9",), raw="<video 9>"))
    assert played(system, dataset(1))[0].answers[0].raw == "<video 9>"


def test_numpy_scalars_and_lists_are_read_as_what_they_mean():
    def answer(request):
        moment = Moment("f1", np.float32(1.5), np.float64(2), np.float32(0.5))
        return Response(intent="moment_retrieval", videos=[np.array(["f1"])[0]], moments=[moment])

    answer = played(Scripted(answer), dataset(1))[0].answers[0]
    assert (answer.videos, answer.moments) == (("f1",), (Moment("f1", 1.5, 2.0, 0.5),))
    assert type(answer.videos[0]) is str


def test_a_refusal_is_kept_and_stays_out_of_the_history():
    system = Scripted(lambda request: Response(status="refused", text="I will not"))
    first, _ = played(system, dataset(2))
    assert (first.answers[0].status, first.failures) == ("refused", ())
    assert system.batches[-1][0].history == (Exchange("say 1", None),)


def test_done_batches_are_not_asked_again():
    data = dataset(2, 2, 1)
    whole = played(Scripted(), data)
    system = Scripted()
    again = played(system, data, {(b.turn, b.number): b for b in whole[:2]})
    assert [b.answers for b in again] == [b.answers for b in whole]
    assert [[r.turn for r in batch] for batch in system.batches] == [[2, 2]]
    assert system.batches[0][0].history[0].answer.text == "own d0 1"


def test_done_batches_of_other_dialogues_are_refused():
    batch = played(Scripted(), dataset(1, 1))[0]
    with pytest.raises(IvcrError, match="batch 1 of turn 1 answers other dialogues"):
        played(Scripted(), dataset(1), {(1, 1): batch})


def test_an_interrupt_is_no_failure_of_the_system():
    def answer(request):
        if request.turn == 2:
            raise KeyboardInterrupt
        return wrong(request)

    data = dataset(2)
    batches = play(
        Scripted(answer), data.dialogues, data.corpus("test"), {}, history="own", scope="corpus", batch_size=2
    )
    assert next(batches).turn == 1
    with pytest.raises(KeyboardInterrupt):
        next(batches)
