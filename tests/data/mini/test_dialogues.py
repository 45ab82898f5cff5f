"""The dialogues of IVCR-Mini: gold that is right, history that is needed, language that is whole."""

import re
from collections import Counter, defaultdict

import numpy as np
import pytest

from ivcr_bench.data.mini.catalogue import Catalogue
from ivcr_bench.data.mini.dialogues import TURN_COUNTS, generate_dialogues, plan_dialogues
from ivcr_bench.data.mini.films import sample_films
from ivcr_bench.data.mini.phrases import en, zh
from ivcr_bench.data.mini.planning import NOTHING
from ivcr_bench.scoring.text import tokenise

SEEDS = (0, 1, 2)


@pytest.fixture(scope="module", params=SEEDS)
def world(request):
    films = sample_films(request.param, "mini")
    return films, list(generate_dialogues(films, request.param, "mini"))


@pytest.fixture(scope="module")
def plans():
    films = sample_films(0, "mini")["val"]
    stream = plan_dialogues(films, np.random.default_rng(7))
    return Catalogue(films), [next(stream)[1] for _ in range(400)]


def brute_force(films, query):
    return {place for place, film in enumerate(films) if query.shots_of(film)}


def test_the_index_finds_what_a_scan_finds(plans):
    catalogue, dialogues = plans
    for query in {turn.meant for plan in dialogues for turn in plan if turn.meant != NOTHING}:
        assert set(catalogue.match(query)) == brute_force(catalogue.films, query)


def test_gold_is_what_is_meant(plans):
    catalogue, dialogues = plans
    for turn in (turn for plan in dialogues for turn in plan):
        if turn.act in ("ask", "refine_setting", "refine_colour") or turn.act.startswith("analogous"):
            assert set(turn.relevant) == brute_force(catalogue.films, turn.meant)
            assert turn.relevant[0] == turn.film
        if turn.intent == "moment_retrieval":
            assert turn.relevant == (turn.film,)
            assert set(turn.shots) == set(turn.meant.shots_of(catalogue.films[turn.film]))


def test_a_self_contained_turn_states_all_that_it_means(plans):
    for turn in (turn for plan in plans[1] for turn in plan):
        if not turn.depends_on and turn.intent != "natural_dialogue":
            assert turn.stated == turn.meant


def test_who_hears_only_the_utterance_fails_where_history_is_needed(plans):
    """An oracle that knows every film but hears one utterance finds a relevant film at most every second time."""
    catalogue, dialogues = plans
    asked = [turn for plan in dialogues for turn in plan if turn.depends_on and turn.intent != "natural_dialogue"]
    for turn in asked:
        fitting = brute_force(catalogue.films, turn.stated)
        # The best that a guess among the fitting films can do; a moment moreover needs the one film.
        assert len(set(turn.relevant) & fitting) / len(fitting) <= 0.5
    assert len(asked) > 300


def test_at_least_forty_percent_of_later_turns_need_the_history(world):
    for split in ("train", "val", "test"):
        later = [turn for d in world[1] if d.split == split for turn in d.turns[1:]]
        assert np.mean([bool(turn.depends_on) for turn in later]) >= 0.4


def test_turn_counts_and_languages(world):
    _, dialogues = world
    turns = Counter(d.split for d in dialogues for _ in d.turns)
    assert turns == TURN_COUNTS["mini"]
    languages = Counter(d.language for d in dialogues)
    assert abs(languages["en"] - languages["zh"]) <= 1
    assert {len(d.turns) for d in dialogues} <= set(range(1, 8))
    assert {d.type for d in dialogues} == set(range(8))


def test_relevant_sets_are_small(world):
    sizes = [
        len(t.gold.videos) for d in world[1] if d.split == "test" for t in d.turns if t.intent == "video_retrieval"
    ]
    assert np.mean(sizes) <= 1.7
    assert max(sizes) <= 3


def test_moments_are_shots_of_their_film_and_leave_most_of_it_out(world):
    films, dialogues = world
    by_id = {film.video_id: film for part in films.values() for film in part}
    for turn in (turn for d in dialogues for turn in d.turns if turn.gold.moments):
        film = by_id[turn.gold.videos[0]]
        assert set(turn.gold.moments) <= {(shot.start, shot.end) for shot in film.shots}
        assert sum(end - start for start, end in turn.gold.moments) <= film.duration / 2
        start, end = turn.gold.moments[0]
        assert f"{start:.1f}" in turn.gold.response
        assert f"{end:.1f}" in turn.gold.response


def test_every_film_of_val_and_test_is_asked_for(world):
    films, dialogues = world
    asked = defaultdict(set)
    for dialogue in dialogues:
        for turn in dialogue.turns:
            asked[dialogue.split].update(turn.gold.videos)
    for split in ("val", "test"):
        assert asked[split] == {film.video_id for film in films[split]}


def test_sentences_are_whole(world):
    for dialogue in world[1]:
        for text in (text for turn in dialogue.turns for text in (turn.utterance, turn.gold.response)):
            assert not re.search(r"[{}]|  |None|的的|有有| [,.?]", text), text
            if dialogue.language == "zh":
                assert not re.search(r"[A-Za-z]|, ", text), text
            else:
                assert text[0].isupper()
                assert text[-1] in ".?!"
                assert not re.search(r"[一-鿿，。？]|\ba [aeiou]", text), text


def test_answers_are_long_enough_for_bleu(world):
    assert min(len(tokenise(turn.gold.response)) for d in world[1] for turn in d.turns) >= 4


@pytest.mark.parametrize("book", [en.PHRASEBOOK, zh.PHRASEBOOK])
def test_every_act_has_dozens_of_phrasings(book):
    for act, sentences in book.said.items():
        assert len(sentences) == len(set(sentences)), act
        assert len(sentences) * len(set(book.resumptions)) >= 24, act
    assert en.PHRASEBOOK.said.keys() == zh.PHRASEBOOK.said.keys()
    assert en.PHRASEBOOK.answered.keys() == zh.PHRASEBOOK.answered.keys()


def test_one_seed_gives_one_dataset():
    films = sample_films(5, "mini")
    first = list(generate_dialogues(films, 5, "mini"))
    assert first == list(generate_dialogues(films, 5, "mini"))
