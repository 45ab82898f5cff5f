"""The five methods behind the harness, untrained."""

import importlib
import pickle
import sys

import numpy as np
import pytest
import torch
from retrieval_world import change_config, make_dataset, save_untrained

from baselines.retrieval import retriever as retriever_module
from baselines.retrieval.clip4clip import Clip4Clip
from baselines.retrieval.film_frames import Sampling
from baselines.retrieval.methods import METHODS
from baselines.retrieval.protocol import Encoded
from baselines.retrieval.retriever import CorpusRetriever
from baselines.retrieval.vector_search import VectorSearch
from baselines.retrieval.weights import load_weights
from ivcr_bench.data.dataset import Corpus
from ivcr_bench.data.features import FeatureCache
from ivcr_bench.errors import IvcrError
from ivcr_bench.schema import Exchange, Request
from ivcr_bench.systems.compose import RetrieverAlone
from ivcr_bench.systems.protocol import VideoRetriever


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    dataset = make_dataset(tmp_path_factory.mktemp("films"))
    return Corpus(dataset.root, dataset.videos)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    root = tmp_path_factory.mktemp("weights")
    return {name: save_untrained(root / name, name) for name in METHODS}


@pytest.fixture
def cache(tmp_path):
    return FeatureCache(tmp_path / "cache")


def asked(text, *said):
    return Request("d", len(said) + 1, "en", text, tuple(Exchange(utterance, None) for utterance in said))


@pytest.mark.parametrize("name", METHODS)
def test_every_method_ranks(name, weights, cache, corpus):
    """As the model itself scores, all at once and without cache; a scale is taken off."""
    part = CorpusRetriever(weights[name], cache)
    assert isinstance(part, VideoRetriever)
    part.prepare(corpus)
    requests = [asked("a red star"), asked("the same", "a star at night"), asked("夜里")]
    found = part.rank(requests)
    assert found.shape == (3, 5)
    assert found.dtype == np.float32

    loaded, method = load_weights(weights[name]), METHODS[name]
    shown = [part.sampling.film(part.sampling.decode(corpus.path(video.video_id))) for video in corpus.videos]
    pixels, masks = (torch.stack(parts) for parts in zip(*shown, strict=True))
    texts = ["a red star", "a star at night / the same", "夜里"]
    ids, mask = method.tokenize(loaded.tokenizer, texts, loaded.model.config)
    with torch.no_grad():
        scores = loaded.model.similarity(
            loaded.model.encode_texts(ids, mask), loaded.model.encode_videos(pixels, masks)
        )
    if name in ("clip4clip", "ts2_net"):
        scores = scores / loaded.model.clip.scale()
    np.testing.assert_allclose(found, scores, atol=5e-3)  # features are kept in float16
    assert part.rank([]).shape == (0, 5)
    answers = RetrieverAlone(part)
    answers.prepare(corpus)
    assert set(answers.respond(requests)[0].videos) == set("abcde")


@pytest.mark.parametrize("name", METHODS)
def test_company_changes_no_score(name, weights, cache, corpus):
    part = CorpusRetriever(weights[name], cache)
    part.prepare(corpus)
    requests = [asked("a red star " * (i % 4 + 1)) for i in range(9)]
    together = part.rank(requests)
    for i in (0, 3, 8):
        np.testing.assert_allclose(part.rank([requests[i]])[0], together[i], atol=1e-5)


def test_films_are_encoded_once(weights, cache, corpus, monkeypatch):
    first = CorpusRetriever(weights["x_pool"], cache)
    first.prepare(corpus)

    def fail(*_):
        raise AssertionError("decoded again")

    monkeypatch.setattr(Sampling, "decode", fail)
    second = CorpusRetriever(weights["x_pool"], cache)
    second.prepare(corpus)
    np.testing.assert_array_equal(first.rank([asked("a star")]), second.rank([asked("a star")]))
    with pytest.raises(AssertionError, match="decoded again"):
        CorpusRetriever(weights["t_mass"], cache).prepare(corpus)


def test_the_policy_of_the_weights_may_be_overruled(weights, cache, corpus):
    concat = CorpusRetriever(weights["x_pool"], cache)
    last = concat.with_query("last")
    assert (concat.name, last.name, concat.with_query("concat").name) == ("x_pool", "x_pool-last", "x_pool")
    assert concat.fingerprint != last.fingerprint
    for part in (concat, last):
        part.prepare(corpus)
    request = asked("the same", "a red star by the sea")
    assert not np.allclose(concat.rank([request]), last.rank([request]))
    np.testing.assert_allclose(last.rank([request]), last.rank([asked("the same")]))


class Faiss:
    """What is used of FAISS, in NumPy."""

    class IndexFlatIP:
        def __init__(self, width):
            self.vectors = np.empty((0, width), np.float32)

        @property
        def ntotal(self):
            return len(self.vectors)

        def add(self, vectors):
            self.vectors = np.concatenate([self.vectors, vectors])

        def search(self, queries, depth):
            scores = queries @ self.vectors.T
            places = np.argsort(-scores, 1)[:, :depth]
            return np.take_along_axis(scores, places, 1), places


@pytest.fixture(params=["faiss", "stand-in"])
def faiss(request, monkeypatch):
    if request.param == "faiss":
        pytest.importorskip("faiss")
    else:
        monkeypatch.setitem(sys.modules, "faiss", Faiss)


@pytest.mark.usefixtures("faiss")
def test_beyond_the_limit_faiss_finds_the_best(weights, cache, corpus, monkeypatch):
    part = CorpusRetriever(weights["clip4clip"], cache)
    part.prepare(corpus)
    requests = [asked("a red star"), asked("夜里")]
    plain = part.rank(requests)
    monkeypatch.setattr(retriever_module, "FAISS_FROM", 4)
    part.prepare(corpus)
    np.testing.assert_allclose(part.rank(requests), plain, atol=1e-5)
    given = Request("d", 1, "en", "a red star", (), ("a", "e"))
    assert np.isfinite(part.rank([given])).all()


@pytest.mark.usefixtures("faiss")
def test_films_beyond_the_depth_come_last():
    vectors = np.eye(4, dtype=np.float32)
    found = VectorSearch(vectors).scores(np.array([[3.0, 0.0, 4.0, 0.0]], np.float32), depth=2)
    np.testing.assert_allclose(found, [[0.6, -np.inf, 0.8, -np.inf]], atol=1e-6)


def test_without_faiss_a_large_corpus_says_what_to_install(monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(IvcrError, match="3 films is searched through FAISS") as raised:
        VectorSearch(np.eye(3, dtype=np.float32))
    assert raised.value.hint == "pip install faiss-cpu"


@pytest.mark.parametrize("damage", ["config.json", "model.safetensors", "method", "size", "field", "pickle", "foreign"])
def test_broken_weights_are_named(damage, weights, tmp_path):
    for path in weights["x_pool"].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    file = tmp_path / "model.safetensors"
    if damage == "method":
        change_config(tmp_path, method="clip2clip")
    elif damage == "size":
        change_config(tmp_path, model={"frames": "many"})
    elif damage == "field":
        change_config(tmp_path, trained_on={"rate": 2.0})
    elif damage == "pickle":
        file.write_bytes(pickle.dumps({"weights": [1.0]}))
    elif damage == "foreign":
        file.write_bytes((weights["clip4clip"] / "model.safetensors").read_bytes())
    else:
        content = (tmp_path / damage).read_bytes()
        (tmp_path / damage).write_bytes(content[: len(content) // 2])
    with pytest.raises(IvcrError, match="not the weights folder of a retrieval model: ") as raised:
        CorpusRetriever(tmp_path)
    assert "\n" not in str(raised.value)


def test_index_of_one_vector_methods_is_one_vector(weights, cache, corpus):
    part = CorpusRetriever(weights["clip4clip"], cache)
    part.prepare(corpus)
    assert isinstance(part.model, Clip4Clip)
    assert isinstance(part._index, Encoded)
    assert part._index["vectors"].shape == (5, 24)
