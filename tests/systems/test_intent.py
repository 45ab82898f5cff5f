"""The rules by which systems without a notion of intent take part."""

import doctest

import pytest
from small_world import request

from ivcr_bench.data.mini.dialogues import generate_dialogues
from ivcr_bench.data.mini.films import sample_films
from ivcr_bench.schema import Answer, Exchange, Moment
from ivcr_bench.systems import intent as rules
from ivcr_bench.systems.intent import KeywordRouter, classify, current_film, refers_back


@pytest.fixture(scope="module")
def mini_val():
    films = sample_films(0, "mini")
    return [d for d in generate_dialogues(films, 0, "mini") if d.split == "val"]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_intents_of_ivcr_mini(mini_val, language):
    turns = [turn for d in mini_val if d.language == language for turn in d.turns]
    right = sum(classify(turn.utterance) == turn.intent for turn in turns)
    assert len(turns) > 200
    assert right / len(turns) >= 0.95


@pytest.mark.parametrize("language", ["en", "zh"])
def test_references_of_ivcr_mini(mini_val, language):
    """A moment turn depends on an earlier one exactly if it speaks of a known film."""
    turns = [t for d in mini_val if d.language == language for t in d.turns if t.intent == "moment_retrieval"]
    right = sum(refers_back(turn.utterance) == bool(turn.depends_on) for turn in turns)
    assert len(turns) > 50
    assert right / len(turns) >= 0.95


@pytest.mark.parametrize(
    ("utterance", "intent"),
    [
        ("At what point do they kiss?", "moment_retrieval"),
        ("Rewind to the goal.", "moment_retrieval"),
        ("他们是几时见面的？", "moment_retrieval"),
        ("快进到进球那里", "moment_retrieval"),
        ("Got any westerns?", "video_retrieval"),
        ("no, the blue one", "video_retrieval"),
        ("play the whole movie that scene is from", "video_retrieval"),
        ("给我推荐一部老电影", "video_retrieval"),
        ("那一幕出自哪部？", "video_retrieval"),
        ("Good morning!", "natural_dialogue"),
        ("What is it about?", "natural_dialogue"),
        ("多谢你啦", "natural_dialogue"),
        ("它讲的是什么故事", "natural_dialogue"),
        ("", "video_retrieval"),
    ],
)
def test_intents_of_phrases_that_ivcr_mini_does_not_have(utterance, intent):
    assert classify(utterance) == intent


@pytest.mark.parametrize(
    ("utterance", "known"),
    [
        ("when does it fall?", True),
        ("when is it that a star falls?", False),
        ("where in there do they meet?", True),
        ("the moment that a car turns", False),
        ("give me the clip of a dog barking", False),
        ("play the clip again from when she turns", True),
        ("那部里星星什么时候掉下来？", True),
        ("具体在哪一段？", True),
        ("带我去看那一段", True),
        ("找一只狗叫的那一段", False),
        ("晚上一颗星星掉下来的片段", False),
        ("那个，找一只狗叫的片段", False),
    ],
)
def test_references(utterance, known):
    assert refers_back(utterance) == known


def test_the_current_film_is_that_of_the_latest_result():
    shown = Answer("video_retrieval", videos=("f1", "f2"))
    cut = Answer("moment_retrieval", videos=("f1",), moments=(Moment("f3", 0.0, 1.0),))
    talk = Answer("natural_dialogue", text="you are welcome")
    assert current_film([]) is None
    assert current_film([Exchange("a", None), Exchange("b", talk)]) is None
    assert current_film([Exchange("a", shown), Exchange("b", talk), Exchange("c", None)]) == "f1"
    assert current_film([Exchange("a", shown), Exchange("b", cut)]) == "f3"


def test_only_moments_are_routed_to_the_current_film():
    router = KeywordRouter()
    asked = [request("when does it fall?", "f4"), request("the same in the snow", "f4"), request("thanks", "f4")]
    assert router.route(asked) == [("moment_retrieval", "f4"), ("video_retrieval", None), ("natural_dialogue", None)]


def test_the_examples_hold():
    assert doctest.testmod(rules).failed == 0
