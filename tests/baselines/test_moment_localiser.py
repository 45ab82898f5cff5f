import json

import numpy as np
import pytest
import torch
from test_phase1 import CONFIG as PHASE1
from test_phase1 import TOKENIZER

from baselines.backbones.blip2 import Blip2VideoRetriever
from baselines.interllava.phase1 import DialogueRetriever, load_phase1, save_phase1
from baselines.moment.clip_features import pad
from baselines.moment.features import SharedFeatures, Standard
from baselines.moment.localiser import CorpusSearch, MomentSystem
from baselines.moment.methods import METHODS
from baselines.moment.mmn import Mmn, film_scores, moment_scores
from baselines.moment.weights import TrainedOn, save_weights
from ivcr_bench.data.dataset import Corpus
from ivcr_bench.data.features import FeatureCache
from ivcr_bench.data.mini.encode import encode_film
from ivcr_bench.errors import IvcrError
from ivcr_bench.schema import Exchange, Request, Video
from ivcr_bench.systems.compose import Composed
from ivcr_bench.systems.protocol import MomentLocaliser, VideoRetriever

FRAMES = {"a": 37, "b": 81, "c": 160}
"""At 8 a second: films of 4.625, 10.125 and 20 s."""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    root = tmp_path_factory.mktemp("films")
    for seed, (name, count) in enumerate(FRAMES.items()):
        pixels = np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 3), np.uint8)
        encode_film(pixels.repeat(14, 1).repeat(14, 2), root / f"{name}.mp4")
    return Corpus(root, tuple(Video(name, f"{name}.mp4", count / 8, "mini") for name, count in FRAMES.items()))


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phase1")
    torch.manual_seed(0)
    save_phase1(folder, PHASE1, Blip2VideoRetriever(PHASE1.blip2), DialogueRetriever(PHASE1), TOKENIZER)
    return SharedFeatures(load_phase1(folder), FeatureCache(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="module")
def weights(features, tmp_path_factory):
    """Untrained models of the five methods, as small as their ``mini`` presets or smaller."""
    root = tmp_path_factory.mktemp("weights")
    for seed, (name, method) in enumerate(METHODS.items()):
        torch.manual_seed(seed)
        config = method.sized(method.preset("mini"), features.video_width, features.text_width)
        trained_on = TrainedOn(features.fingerprint, "concat")
        save_weights(
            root / name,
            name,
            method.build(config),
            trained_on,
            some_standard(features.video_width, features.text_width),
        )
    return root


def some_standard(video_width, text_width):
    rng = np.random.default_rng(0)
    widths = (video_width, video_width, text_width, text_width)
    return Standard(*(torch.from_numpy(rng.uniform(0.1, 0.3, width).astype(np.float32)) for width in widths))


def requests(count):
    said = (Exchange("a red star", None), Exchange("夜里", None))
    return [
        Request(f"d{i}", 1 + i % 3, "en", f"when does it fall {'by the sea ' * (i % 4)}", said[: i % 3])
        for i in range(count)
    ]


@pytest.mark.parametrize("name", METHODS)
def test_every_method_localises(name, weights, features, corpus):
    system = MomentSystem(weights / name, features)
    assert isinstance(system, MomentLocaliser)
    system.prepare(corpus)
    asked, films = requests(3), ["a", "c", "b"]
    found = system.localise(asked, films)
    for video_id, moments in zip(films, found, strict=True):
        assert moments
        assert {moment.video_id for moment in moments} == {video_id}
        assert all(0 <= m.start <= m.end <= corpus.by_id[video_id].duration for m in moments)
        scores = [moment.score for moment in moments]
        assert scores == sorted(scores, reverse=True)
    assert system.localise([], []) == []


@pytest.mark.parametrize("name", METHODS)
def test_company_changes_no_answer(name, weights, features, corpus):
    """One request at a time, all at once, and in another order: the same to the last bit."""
    system = MomentSystem(weights / name, features)
    system.prepare(corpus)
    asked = requests(34)
    films = [("a", "b", "c")[i % 3] for i in range(34)]
    together = system.localise(asked, films)
    order = np.random.default_rng(0).permutation(34)
    shuffled = system.localise([asked[i] for i in order], [films[i] for i in order])
    for place, i in enumerate(order):
        assert shuffled[place] == together[i]
    for i in range(0, 34, 5):
        assert system.localise([asked[i]], [films[i]]) == [together[i]]


def test_rows_of_a_query(features):
    """Tokens of the last utterance, its [CLS] at the end; before them [CLS] of each earlier one, marked by a 0."""
    (alone,), (first,) = features.words(["when does it fall"]), features.words(["a red star"])
    talk, other = features.words(["a red star\n夜里\nwhen does it fall", "夜里"])
    assert len(talk) == 2 + len(alone)
    torch.testing.assert_close(talk[2:], alone)
    torch.testing.assert_close(talk[0, :-1], first[-1, :-1])
    torch.testing.assert_close(talk[1, :-1], other[-1, :-1])
    assert talk[:, -1].tolist() == [0, 0] + [1] * len(alone)
    assert talk.shape[1] == features.text_width
    torch.testing.assert_close(alone[-1, :-1], features.phase1.text_vectors(["when does it fall"])[0])


def test_history_is_part_of_a_query_by_policy(weights, features, corpus):
    """Trained on concatenated utterances, a model hears earlier ones."""
    system = MomentSystem(weights / "mmn", features)
    system.prepare(corpus)
    said = Request("d", 2, "en", "when does it fall", (Exchange("a red star", None),))
    alone = Request("d", 2, "en", "when does it fall")
    assert system.localise([said], ["c"]) != system.localise([alone], ["c"])


def test_mmn_searches_the_corpus(weights, features, corpus):
    system = CorpusSearch(weights / "mmn", features)
    assert isinstance(system, VideoRetriever)
    system.prepare(corpus)
    asked = requests(5)
    ranking = system.rank(asked)
    assert ranking.shape == (5, 3)
    assert ranking.dtype == np.float32
    # Film by film, from the model itself.
    model = system.model
    assert isinstance(model, Mmn)
    texts = model.encode_texts(*pad(system.features.words(system._texts(asked))))
    for place, video in enumerate(corpus.videos):
        rows = system.films[video.video_id].rows[None]
        films = model.encode_films(model.fixed_rows(rows, torch.ones(rows.shape[:2], dtype=torch.bool)))
        np.testing.assert_allclose(film_scores(texts, films)[:, 0], ranking[:, place], atol=1e-5)
        best = moment_scores(texts, films[torch.zeros(5, dtype=torch.long)], model.config.gamma).amax(1)
        scores = [moments[0].score for moments in system.localise(asked, [video.video_id] * 5)]
        np.testing.assert_allclose(scores, best, atol=1e-5)


def test_mmn_plays_both_parts(weights, features, corpus):
    part = CorpusSearch(weights / "mmn", features)
    system = Composed(part, part)
    system.prepare(corpus)
    find, when = system.respond(
        [Request("d", 1, "en", "find a film with a red star"), Request("d", 2, "en", "when does the star fall?")]
    )
    assert len(find.videos) == 3
    assert when.intent == "moment_retrieval"
    assert when.moments[0].video_id == when.videos[0]


def test_only_mmn_searches(weights, features):
    with pytest.raises(IvcrError, match="found 2d_tan, expected mmn"):
        CorpusSearch(weights / "2d_tan", features)


def test_weights_of_other_features_are_refused(weights, features, tmp_path):
    folder = tmp_path / "mmn"
    save_weights(
        folder, "mmn", Mmn(METHODS["mmn"].presets["mini"]), TrainedOn("another", "last"), some_standard(64, 64)
    )
    with pytest.raises(IvcrError, match="trained on features another"):
        MomentSystem(folder, features)


@pytest.mark.parametrize("damage", ["config.json", "model.safetensors", "standard.safetensors", "method", "field"])
def test_broken_folders_are_named(damage, weights, features, tmp_path):
    for path in (weights / "umt").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    if damage == "method":
        (tmp_path / "config.json").write_text(json.dumps(config | {"method": "moment_detr"}))
    elif damage == "field":
        config["model"]["depth"] = 3
        (tmp_path / "config.json").write_text(json.dumps(config))
    else:
        (tmp_path / damage).write_bytes((tmp_path / damage).read_bytes()[:40])
    with pytest.raises(IvcrError, match="not the weights folder of a moment model"):
        MomentSystem(tmp_path, features)
