import inspect
from dataclasses import asdict

import pytest
import torch
from retrieval_cases import TINY, films, sentences

from baselines.retrieval.clip4clip import Clip4Clip, Clip4ClipConfig
from baselines.retrieval.clip_backbone import ClipBackbone
from baselines.retrieval.protocol import Block, Encoded, RetrievalModel, in_blocks
from baselines.retrieval.t_mass import TMass, TMassConfig
from baselines.retrieval.ts2_net import Ts2Net, Ts2NetConfig
from baselines.retrieval.x_pool import ClipXPool, XPoolConfig

METHODS = {
    Clip4Clip: Clip4ClipConfig(TINY, "meanP", frames=4),
    Ts2Net: Ts2NetConfig(TINY, frames=4, layers=2, samples=10),
    ClipXPool: XPoolConfig(TINY, frames=4),
    TMass: TMassConfig(TINY, frames=4, trials=2),
}
PRESETS = [
    (Clip4Clip, Clip4ClipConfig.mini(2000, 7, "seqTransf")),
    (Ts2Net, Ts2NetConfig.mini(2000, 7)),
    (ClipXPool, XPoolConfig.mini(2000, 7)),
    (TMass, TMassConfig.mini(2000, 7)),
]


@pytest.mark.parametrize("kind", METHODS)
def test_a_method_has_the_shape_of_the_protocol(kind):
    for name, method in inspect.getmembers(RetrievalModel, inspect.isfunction):
        if not name.startswith("_"):
            assert inspect.signature(getattr(kind, name)) == inspect.signature(method), name
    assert kind.padding in ("zeros", "repeat")
    assert isinstance(kind.block, Block)


@pytest.mark.parametrize("kind", METHODS)
def test_encoded_in_parts_scored_as_a_whole(kind):
    torch.manual_seed(0)
    model = kind(METHODS[kind], ClipBackbone.build(TINY)).eval()
    (ids, mask), pixels = sentences(5), films(4, 4)
    with torch.no_grad():
        texts, videos = model.encode_texts(ids, mask), model.encode_videos(pixels)
        whole = model.similarity(texts, videos)
        some_texts = Encoded.cat([model.encode_texts(ids[:2], mask[:2]), model.encode_texts(ids[2:], mask[2:])])
        some_videos = Encoded.cat([model.encode_videos(pixels[:1]), model.encode_videos(pixels[1:])])
        assert whole.shape == (5, 4)
        torch.testing.assert_close(model.similarity(some_texts, some_videos), whole, atol=1e-4, rtol=0)
        assert model.similarity(texts.rows(torch.arange(0)), videos).shape == (0, 4)


@pytest.mark.parametrize("kind", METHODS)
def test_gradients_reach_everything_that_is_trained(kind):
    model = kind(METHODS[kind], ClipBackbone.build(TINY)).train()
    model.loss(model.encode_texts(*sentences(4)), model.encode_videos(films(4, 4))).backward()
    without = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert without == []


@pytest.mark.parametrize("kind", METHODS)
def test_the_loss_heeds_which_pairs_are_positive(kind):
    torch.manual_seed(0)
    model = kind(METHODS[kind], ClipBackbone.build(TINY)).eval()
    texts, videos = model.encode_texts(*sentences(4)), model.encode_videos(films(4, 4))

    def loss(positive):
        torch.manual_seed(1)
        return model.loss(texts, videos, positive)

    torch.testing.assert_close(loss(torch.eye(4, dtype=torch.bool)), loss(None))
    assert not torch.isclose(loss(torch.ones(4, 4, dtype=torch.bool)), loss(None))


@pytest.mark.parametrize(("kind", "config"), PRESETS)
def test_mini_presets_are_small_and_survive_json(kind, config):
    with torch.device("meta"):
        model = kind(config, ClipBackbone.build(config.clip))
    assert sum(parameter.numel() for parameter in model.parameters()) < 2.8e6
    values = asdict(config)
    assert type(config)(**{**values, "clip": type(config.clip)(**values["clip"])}) == config


def test_encoded_rows_split_and_join():
    encoded = Encoded(a=torch.arange(5), b=torch.arange(10).view(5, 2))
    assert len(encoded) == 5
    assert [len(part) for part in encoded.split(2)] == [2, 2, 1]
    assert torch.equal(Encoded.cat(list(encoded.split(2)))["b"], encoded["b"])
    assert encoded.rows(torch.tensor([4, 0]))["a"].tolist() == [4, 0]
    assert encoded.with_(c=torch.zeros(5))["c"].shape == (5,)
    with pytest.raises(ValueError, match="different length"):
        encoded.with_(c=torch.zeros(4))


def test_blocks_are_no_larger_than_asked_and_end_in_place():
    texts, videos = Encoded(x=torch.arange(5.0)), Encoded(x=torch.arange(7.0))
    seen = []

    def score(some_texts, some_videos):
        seen.append((len(some_texts), len(some_videos)))
        return some_texts["x"][:, None] * 10 + some_videos["x"]

    scores = in_blocks(score, texts, videos, Block(2, 3))
    assert torch.equal(scores, texts["x"][:, None] * 10 + videos["x"])
    assert max(seen) == (2, 3)
    assert len(seen) == 9
