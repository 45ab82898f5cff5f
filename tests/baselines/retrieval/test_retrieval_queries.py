"""How a dialogue becomes one query."""

import doctest
from itertools import product

import numpy as np
import pytest

from baselines.retrieval import queries
from baselines.retrieval.queries import caption_queries, opens_topic, policy_named, query_text, video_queries
from ivcr_bench.data.mini.films import sample_films
from ivcr_bench.errors import IvcrError
from ivcr_bench.schema import Dialogue, Gold, Turn

SAID = ["find a drama at sea", "thanks, that's perfect", "when does the star fall in it?", "the same, but in snow"]


def test_examples():
    assert doctest.testmod(queries).failed == 0


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("last", "the same, but in snow"),
        ("concat", " / ".join(SAID)),
        ("rewrite", "find a drama at sea / when does the star fall in it? / the same, but in snow"),
    ],
)
def test_policies(policy, expected):
    assert query_text(SAID, policy) == expected
    assert query_text(SAID[:1], policy) == SAID[0]


def test_a_new_topic_forgets_the_old_one():
    assert (
        query_text([*SAID, "now find me a dance film in the city"], "rewrite") == "now find me a dance film in the city"
    )


@pytest.mark.parametrize(
    ("utterance", "alone"),
    [
        ("show me the film where a red star falls at night", True),
        ("我想找一部夜里的舞蹈片", True),
        ("which film is that from? I want all of it", False),
        ("is there a similar one in blue?", False),
        ("像这样的，但是要红色的。", False),
        ("换成白色呢？", False),
        ("thanks a lot", False),
    ],
)
def test_what_opens_a_topic(utterance, alone):
    assert opens_topic(utterance) is alone


def test_video_turns_alone_are_queries_with_all_that_is_right():
    turns = (
        Turn("find a film at sea", "video_retrieval", "new_topic", Gold(("a", "b"))),
        Turn("when does it fall?", "moment_retrieval", "long2short", Gold(("a",), ((0.0, 2.0),))),
        Turn("another", "video_retrieval", "refine", Gold(("b",))),
    )
    found = video_queries([Dialogue("d", "en", "train", 1, turns)], "concat")
    assert found == [("find a film at sea", ("a", "b")), ("find a film at sea / when does it fall? / another", ("b",))]


def test_a_caption_is_right_for_every_film_with_such_a_shot():
    films = sample_films(0, "mini")["val"]
    found = caption_queries(films, np.random.default_rng(0))
    assert len(found) == 2 * sum(len(film.shots) for film in films)
    by_id = {film.video_id: film for film in films}
    owners = [film for film, _ in ((film, shot) for film in films for shot in film.shots)]
    shots = [shot for film in films for shot in film.shots]
    for (place, shot), language in product(enumerate(shots), (0, 1)):
        videos = found[2 * place + language].videos
        assert owners[place].video_id in videos
        for video_id in videos:
            assert any(
                (other.setting, other.action, other.actors[0].colour, other.actors[0].shape)
                == (shot.setting, shot.action, shot.actors[0].colour, shot.actors[0].shape)
                for other in by_id[video_id].shots
            )


def test_policies_by_name():
    assert policy_named("rewrite") == "rewrite"
    with pytest.raises(IvcrError, match="no query policy 'first', expected one of last, concat, rewrite"):
        policy_named("first")
