import numpy as np
import pytest

from baselines.moment.training_data import caption_queries, moment_queries, query_text, training_queries
from ivcr_bench.data.dataset import Dataset, DatasetCard, MiniRecipe
from ivcr_bench.data.mini.films import sample_films
from ivcr_bench.data.mini.world import Actor, Film, Shot
from ivcr_bench.jsonl import write_jsonl
from ivcr_bench.schema import Dialogue, Gold, Turn, Video


def dialogue(split="train"):
    hello = Turn("hello", "natural_dialogue", "chitchat", Gold())
    ask = Turn("a red star", "video_retrieval", "new_topic", Gold(("a", "b")))
    when = Turn("when does it fall", "moment_retrieval", "long2short", Gold(("a",), ((1.0, 2.0), (5.0, 7.5))), (2,))
    return Dialogue("d", "en", split, 3, (hello, ask, when))


def test_the_query_of_a_dialogue():
    assert query_text(["hello", "a red star"], "when", "concat") == "hello\na red star\nwhen"
    assert query_text(["hello", "a red star"], "when", "last") == "when"
    assert query_text([], "when", "concat") == "when"
    # What a user types cannot pass for two utterances.
    assert query_text(["a\nb"], "c\nd", "concat") == "a b\nc d"


@pytest.mark.parametrize(
    ("policy", "text"), [("last", "when does it fall"), ("concat", "hello\na red star\nwhen does it fall")]
)
def test_moment_turns_are_the_queries(policy, text):
    assert moment_queries([dialogue()], policy) == [("a", text, ((1.0, 2.0), (5.0, 7.5)))]


def shot(start, setting="night", action="fall", colour="red", size="big", second=()):
    return Shot(start, start + 4.0, setting, action, (Actor(colour, "star", size), *second))


def test_a_caption_is_answered_by_all_shots_that_it_may_be_about():
    other = (Actor("blue", "heart", "small"),)
    shots = (shot(0.0), shot(4.0, colour="green"), shot(8.0, size="small", second=other), shot(12.0, "sea"))
    queries = caption_queries([Film("a", "night", "disaster", 0, shots)], np.random.default_rng(0))
    # Two languages a shot; the first and the third differ in size and bystander alone.
    same, green, sea = ((0.0, 4.0), (8.0, 12.0)), ((4.0, 8.0),), ((12.0, 16.0),)
    assert [query.moments for query in queries] == [same, same, green, green, same, same, sea, sea]
    assert all(query.video_id == "a" for query in queries)
    assert "green" in queries[2].text
    assert "绿" in queries[3].text


def test_other_datasets_have_their_turns_only(tmp_path):
    dataset = Dataset(tmp_path, DatasetCard("theirs", "f" * 16), (Video("a", "a.mp4", 9.0, "x"),), (dialogue(),))
    assert training_queries(dataset, "train", "last", 15) == (moment_queries([dialogue()], "last"), [])


def test_mini_has_as_many_dialogues_again_for_each_seed(tmp_path):
    films = sample_films(5, "mini")["train"][:40]
    write_jsonl(tmp_path / "truth.jsonl", films)
    videos = tuple(Video(f.video_id, f"{f.video_id}.mp4", f.duration, "mini", "train") for f in films)
    card = DatasetCard("mini-seed5", "f" * 16, MiniRecipe(5, "mini", 1))
    dataset = Dataset(tmp_path, card, videos, (dialogue(),))
    dialogues, captions = training_queries(dataset, "train", "concat", 1)
    again, _ = training_queries(dataset, "train", "concat", 1)
    assert dialogues == again
    # About a third of 4,800 turns ask for a moment.
    assert 1000 < len(dialogues) < 2500
    assert len(captions) == 2 * sum(len(film.shots) for film in films)
    durations = {film.video_id: film.duration for film in films}
    assert all(end <= durations[query.video_id] for query in dialogues[1:] for _, end in query.moments)
    assert training_queries(dataset, "train", "concat", 0) == (dialogues[:1], [])
