"""Every registered retriever with every registered localiser, through whole dialogues.

Ten baselines have untrained weights here: what is tested is that parts fit together, not what they know.
"""

import tomllib
from importlib.metadata import EntryPoint
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from retrieval.retrieval_world import save_untrained

from baselines.moment.features import SharedFeatures, Standard
from baselines.moment.methods import METHODS
from baselines.moment.weights import TrainedOn, save_weights
from baselines.retrieval.methods import METHODS as RETRIEVERS
from ivcr_bench.data.dataset import Dataset, DatasetCard, fingerprint
from ivcr_bench.data.mini.encode import encode_film
from ivcr_bench.replay.run import Settings, replay
from ivcr_bench.schema import Dialogue, Gold, Request, Turn, Video
from ivcr_bench.submission import read_submission
from ivcr_bench.systems import registry
from ivcr_bench.systems.compose import best_films
from ivcr_bench.systems.controls import Oracle
from ivcr_bench.systems.protocol import MomentLocaliser, System, VideoRetriever
from ivcr_bench.systems.registry import ORACLE, create_system

FRAMES = {"a": 37, "b": 81, "c": 160}
"""At 8 a second: films of 4.625, 10.125 and 20 s."""
DIALOGUES = (
    Dialogue(
        "video-then-moment",
        "en",
        "test",
        1,
        (
            Turn("find a film at night", "video_retrieval", "new_topic", Gold(("b",))),
            Turn("when does the star fall in it?", "moment_retrieval", "long2short", Gold(("b",), ((2.0, 5.5),))),
            Turn("thank you!", "natural_dialogue", "chitchat", Gold()),
        ),
    ),
    Dialogue(
        "moment-only",
        "en",
        "test",
        2,
        (Turn("find the moment when a star falls", "moment_retrieval", "new_topic", Gold(("c",), ((7.0, 9.0),))),),
    ),
    Dialogue(
        "chinese",
        "zh",
        "test",
        1,
        (
            Turn("夜里的片子", "video_retrieval", "new_topic", Gold(("a",))),
            Turn("它是什么时候转身的？", "moment_retrieval", "long2short", Gold(("a",), ((0.5, 3.0),))),
        ),
    ),
)


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IVCR_BENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    root = tmp_path_factory.mktemp("films")
    for seed, (name, count) in enumerate(FRAMES.items()):
        pixels = np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 3), np.uint8)
        encode_film(pixels.repeat(14, 1).repeat(14, 2), root / f"{name}.mp4")
    videos = tuple(Video(name, f"{name}.mp4", count / 8, "noise") for name, count in FRAMES.items())
    return Dataset(root, DatasetCard("noise", fingerprint(videos, DIALOGUES)), videos, DIALOGUES)


@pytest.fixture(scope="module")
def entries():
    """What pyproject.toml registers: an editable installation knows that as it was when it was installed."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    group = project["entry-points"][registry.GROUP]
    found = [EntryPoint(name, value, registry.GROUP) for name, value in group.items()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "entry_points", lambda group: found)
        yield registry.registered()


@pytest.fixture(scope="module")
def parts(entries, tmp_path_factory):
    """Every part that can be named: its spec, and one of it."""
    features = SharedFeatures.shipped()
    root = tmp_path_factory.mktemp("weights")
    found = {ORACLE: Oracle(DIALOGUES)}
    for name, entry in entries.items():
        if method := METHODS.get(name):
            torch.manual_seed(0)
            config = method.sized(method.preset("mini"), features.video_width, features.text_width)
            trained_on = TrainedOn(features.fingerprint, "concat")
            save_weights(root / name, name, method.build(config), trained_on, as_it_is(features))
            found[f"{name}:{root / name}"] = entry.load()(root / name)
        elif entry.value.startswith("baselines.retrieval."):
            found[f"{name}:{root / name}"] = entry.load()(save_untrained(root / name, name))
        else:
            found[name] = entry.load()()
    return found


def as_it_is(features):
    """Means of 0 and deviations of 1."""
    video, text = torch.zeros(features.video_width), torch.zeros(features.text_width)
    return Standard(video, video + 1, text, text + 1)


def of_kind(parts, kind):
    return [spec for spec, part in parts.items() if isinstance(part, kind)]


def name_of(spec):
    return spec.partition(":")[0]


def names(specs):
    return set(map(name_of, specs))


def test_every_registered_part_takes_part(entries, parts):
    """Nothing is left out of the pairs but whole systems, and the moment methods are all there."""
    retrievers, localisers = of_kind(parts, VideoRetriever), of_kind(parts, MomentLocaliser)
    neither = [parts[spec] for spec in parts if spec not in retrievers + localisers]
    assert all(isinstance(part, System) for part in neither)
    assert names(parts) == {*entries, ORACLE}
    assert names(localisers) >= {*METHODS, ORACLE, "whole-film", "middle-third"}
    assert names(retrievers) >= {*RETRIEVERS, "interllava-stage1", "random", "mmn", ORACLE}


def test_every_pair_plays_dialogues(dataset, parts, tmp_path, subtests):
    localisers = of_kind(parts, MomentLocaliser)
    for retriever in of_kind(parts, VideoRetriever):
        parts[retriever].prepare(dataset.corpus("test"))
        for localiser in localisers:
            pair = "+".join(map(name_of, (retriever, localiser)))
            with subtests.test(pair):
                answers = play(f"{retriever}+{localiser}", dataset, tmp_path / pair)
                check_answers(answers, parts[retriever], dataset)


def play(spec, dataset, out):
    """The answers by (dialogue, turn)."""
    system = create_system(spec, dialogues=DIALOGUES)
    replay(system, spec, dataset, DIALOGUES, out, Settings(), resume=False)
    return {(line.dialogue_id, line.turn): line for line in read_submission(out / "submission.jsonl").turns}


def check_answers(answers, retriever, dataset):
    corpus = dataset.corpus("test")
    for dialogue in DIALOGUES:
        for number, turn in enumerate(dialogue.turns, start=1):
            answer = answers[dialogue.dialogue_id, number]
            assert (answer.status, answer.intent) == ("ok", turn.intent)
            if turn.intent == "moment_retrieval":
                check_moments(answer, corpus)
        # Whatever is asked first, the retriever alone says in which film; later turns refer back to that one.
        (ranking,) = best_films(retriever, [first_request(dialogue)], corpus)
        first = answers[dialogue.dialogue_id, 1]
        assert first.videos == (ranking if first.intent == "video_retrieval" else ranking[:1])
        if len(dialogue.turns) > 1:
            assert answers[dialogue.dialogue_id, 2].videos == ranking[:1]


def check_moments(answer, corpus):
    """Best first, all in the film that was found, inside it."""
    assert answer.moments
    assert {moment.video_id for moment in answer.moments} == set(answer.videos)
    duration = corpus.by_id[answer.videos[0]].duration
    assert all(0 <= moment.start <= moment.end <= duration for moment in answer.moments)
    scores = [moment.score for moment in answer.moments if moment.score is not None]
    assert all(better >= worse for better, worse in pairwise(scores))


def first_request(dialogue):
    return Request(dialogue.dialogue_id, 1, dialogue.language, dialogue.turns[0].utterance)
