"""``check`` finds what is wrong with a system, and finds nothing wrong with one that is right."""

import itertools
from pathlib import Path

import pytest

from ivcr_bench.data.dataset import Corpus
from ivcr_bench.errors import IvcrError
from ivcr_bench.replay import check
from ivcr_bench.replay.check import check_system
from ivcr_bench.replay.check_dialogues import check_dialogues
from ivcr_bench.schema import INTENTS, Moment, Response, Video
from ivcr_bench.systems.controls import Oracle, Random

CORPUS = Corpus(Path("nowhere"), tuple(Video(f"f{n}", f"{n}.mp4", 30.0, "hand") for n in range(12)))
DIALOGUES = check_dialogues(CORPUS)


class Good:
    """Answers the first candidate, or the first film."""

    name = "good"
    intents = frozenset({"video_retrieval"})

    def prepare(self, corpus):
        self.films = [video.video_id for video in corpus.videos]

    def respond(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        videos = request.candidates or self.films
        return Response(intent="video_retrieval", videos=tuple(videos[:3]), text=f"{len(request.history)}")


def problems(system):
    return {verdict.what: verdict for verdict in check_system(system, DIALOGUES, CORPUS) if verdict.problems}


def test_a_dozen_dialogues_ask_everything_in_both_languages():
    assert len(DIALOGUES) == 12
    for language in ("en", "zh"):
        turns = [turn for dialogue in DIALOGUES if dialogue.language == language for turn in dialogue.turns]
        assert {turn.intent for turn in turns} == set(INTENTS)
        assert len(turns) >= 15
    assert max(len(dialogue.turns) for dialogue in DIALOGUES) == 7
    candidates = {turn.candidates for dialogue in DIALOGUES for turn in dialogue.turns} - {None}
    assert len(candidates) == 1


@pytest.mark.parametrize("system", [Good(), Random(), Oracle(DIALOGUES)], ids=["good", "random", "oracle"])
def test_nothing_is_wrong(system):
    verdicts = list(check_system(system, DIALOGUES, CORPUS))
    assert [verdict for verdict in verdicts if verdict.problems] == []
    assert len(verdicts) == 9


FORM = "answers every turn as the protocol says"


@pytest.mark.parametrize(
    ("answer", "what", "message"),
    [
        (lambda s, r: Response(intent="video_retrieval", videos=("f99",)), FORM, "found 'f99', expected a film of the"),
        (
            lambda s, r: Response(intent="moment_retrieval", moments=(Moment("f1", 2, 99),)),
            FORM,
            "found 99, expected at most 30",
        ),
        (lambda s, r: Response(intent="video_retrieval", videos=("f1", "f1")), FORM, "videos repeat 'f1'"),
        (lambda s, r: None, FORM, "found NoneType, expected ivcr_bench.schema.Response"),
        (lambda s, r: Response(intent="search"), FORM, "Invalid enum value 'search'"),
        (lambda s, r: 1 / 0, FORM, "ZeroDivisionError: division by zero (at "),
        (
            lambda s, r: Response(intent="natural_dialogue", text="hi"),
            "keeps to the intents that it declares",
            "found 'natural_dialogue', which the system does not declare",
        ),
        (
            lambda s, r: Response(intent="video_retrieval", videos=("f11",)),
            "ranks the candidates alone where it is given some",
            "found 'f11', expected the candidates",
        ),
        (
            lambda s, r: Response(
                intent="video_retrieval", text=[past.answer.text for past in r.history][-1] if r.history else "x"
            ),
            "goes on after a turn that failed",
            "'NoneType' object has no attribute 'text'",
        ),
    ],
)
def test_what_is_wrong_is_found(answer, what, message):
    system = Good()
    system.answer = lambda request: answer(system, request)
    found = problems(system)
    assert message in "\n".join(found[what].problems)
    assert found[what].failed


def test_a_wrong_number_of_responses():
    system = Good()
    system.respond = lambda requests: []
    assert "found 0 responses to one request, expected 1" in problems(system)[FORM].problems[0]


def test_a_system_that_cannot_be_prepared_is_asked_nothing():
    system = Good()
    system.prepare = lambda corpus: [][1]
    [verdict] = check_system(system, DIALOGUES, CORPUS)
    assert verdict.failed
    assert verdict.problems[0].endswith("IndexError: list index out of range")


def test_what_a_person_can_act_on_needs_no_traceback():
    def prepare(corpus):
        raise IvcrError("the server is down")

    system = Good()
    system.prepare = prepare
    [verdict] = check_system(system, DIALOGUES, CORPUS)
    assert verdict.problems == ("the server is down",)


@pytest.mark.parametrize("intents", [frozenset(), frozenset({"video"})])
def test_intents_that_are_none(intents):
    system = Good()
    system.intents = intents
    assert problems(system)["declares its intents"].failed


def test_chance_is_a_warning():
    system, count = Good(), itertools.count()
    system.answer = lambda request: Response(intent="video_retrieval", text=f"{next(count)}")
    found = problems(system)
    verdict = found["answers the same question the same way"]
    assert verdict.warns
    assert not verdict.failed
    assert "field 'text': found " in verdict.problems[0]


def test_dependence_on_the_batch_is_a_warning():
    system = Good()

    def respond(requests):
        moment = Moment("f1", 0.0, 1.0 + len(requests) / 10)
        return [Response(intent="video_retrieval", videos=("f1",), moments=(moment,)) for _ in requests]

    system.respond = respond
    found = problems(system)
    assert set(found) == {"answers the same way in any batch"}
    assert "field 'moments'" in found["answers the same way in any batch"].problems[0]
    assert not found["answers the same way in any batch"].failed


def test_slowness_is_a_warning(monkeypatch):
    monkeypatch.setattr(check, "SLOW_SECONDS", 0.0)
    verdict = problems(Good())["is quick enough"]
    assert not verdict.failed
    assert "600 turns" in verdict.problems[0]
