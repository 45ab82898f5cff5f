"""The five methods by name: what each starts from, how it reads texts and films, how it is built."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol, cast, get_args

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from baselines.backbones.blip2 import Blip2VideoRetriever
from baselines.retrieval import blip2, clip_backbone
from baselines.retrieval.blip2 import Blip2, Blip2Config
from baselines.retrieval.blip2_backbone import load_blip2
from baselines.retrieval.clip4clip import Clip4Clip, Clip4ClipConfig, Head
from baselines.retrieval.clip_backbone import ClipBackbone, ClipConfig
from baselines.retrieval.film_frames import Sampling
from baselines.retrieval.protocol import Block, Encoded, Padding
from baselines.retrieval.t_mass import TMass, TMassConfig
from baselines.retrieval.ts2_net import Ts2Net, Ts2NetConfig
from baselines.retrieval.x_pool import ClipXPool, XPoolConfig
from ivcr_bench.errors import IvcrError

WEIGHTS = Path(__file__).parents[1] / "weights"
TOKENIZER = WEIGHTS / "interllava-mini" / "phase1" / "tokenizer.json"
"""The bilingual tokenizer of every ``mini`` model."""
MINI_VOCABULARY, MINI_END = 1240, 7


class Searcher(Protocol):
    """What a method's model is to whoever trains or serves it: a `RetrievalModel` in two steps."""

    padding: Padding
    block: Block
    config: Any

    def encode_texts(self, input_ids: Tensor, mask: Tensor) -> Encoded:
        """As `RetrievalModel.encode_texts`."""
        ...

    def encode_frames(self, pixels: Tensor, mask: Tensor | None = None) -> Encoded:
        """What the backbone alone makes of films."""
        ...

    def index(self, films: Encoded) -> Encoded:
        """What the head makes of `encode_frames`, before it knows a text."""
        ...

    def similarity(self, texts: Encoded, videos: Encoded, block: Block | None = None) -> Tensor:
        """As `RetrievalModel.similarity`."""
        ...

    def loss(self, texts: Encoded, videos: Encoded, positive: Tensor | None = None) -> Tensor:
        """As `RetrievalModel.loss`."""
        ...


@dataclass(frozen=True)
class Family:
    """What methods on one backbone share.

    Attributes:
        part: what the backbone is called in a model and in its configuration.
        load: reads a backbone from a folder, or a Hugging Face name in the local cache.
        build: makes one with random weights.
        sizes: of a backbone.
        tokenize: texts for a configuration: ids and mask ``[texts, length]``.
        crop: see `Sampling`.
    """

    part: str
    load: Callable[[str | Path], nn.Module]
    build: Callable[[Any], nn.Module]
    sizes: Callable[[Any], Any]
    tokenize: Callable[[PreTrainedTokenizerBase, Sequence[str], Any], tuple[Tensor, Tensor]]
    crop: bool


CLIP = Family(
    "clip",
    ClipBackbone.load,
    ClipBackbone.build,
    ClipConfig.of,
    lambda tokenizer, texts, config: clip_backbone.tokenize(tokenizer, texts, config.words),
    crop=True,
)
BLIP2 = Family(
    "blip2",
    load_blip2,
    Blip2VideoRetriever,
    lambda backbone: backbone.config,
    lambda tokenizer, texts, config: blip2.tokenize(tokenizer, texts, config.words, config.separator),
    crop=False,
)


@dataclass(frozen=True)
class Method:
    """One of the five.

    Attributes:
        title: as its authors write it.
        config: the type of its configurations.
        model: the type of its models.
        presets: configurations by name.
        scaled: whether its scores are cosines times a learned scale, which a harness takes off again.
    """

    title: str
    family: Family
    config: type[Any]
    model: Callable[[Any, Any], nn.Module]
    presets: Mapping[str, Callable[[], Any]]
    scaled: bool = False

    def preset(self, name: str) -> Any:
        """A configuration.

        Raises:
            IvcrError: there is no such preset.
        """
        if name not in self.presets:
            raise IvcrError(f"{self.title}: no preset {name!r}, expected one of {', '.join(self.presets)}")
        return self.presets[name]()

    def build(self, config: Any) -> nn.Module:
        """A model with random weights, on the current default device."""
        return self.model(config, self.family.build(getattr(config, self.family.part)))

    def start(self, config: Any, backbone: str | Path) -> nn.Module:
        """A model on a trained backbone, whose sizes take the place of those in ``config``.

        Raises:
            IvcrError: there is no such backbone.
        """
        trained = self.family.load(backbone)
        return self.model(replace(config, **{self.family.part: self.family.sizes(trained)}), trained)

    def sampling(self, config: Any, rate: float) -> Sampling:
        """How films are shown to a model of ``config``, from so many frames a second."""
        sizes = getattr(config, self.family.part)
        padding = cast("Searcher", self.model).padding
        return Sampling(rate, sizes.image_size, config.frames, padding, sizes.tubelet, self.family.crop)

    def tokenize(self, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], config: Any) -> tuple[Tensor, Tensor]:
        """Ids and mask ``[texts, length]``."""
        return self.family.tokenize(tokenizer, texts, config)

    def scale(self, model: nn.Module) -> float:
        """What the scores of ``model`` are divided by to be cosines."""
        clip = getattr(model, "clip", None)
        return float(clip.scale()) if self.scaled and isinstance(clip, ClipBackbone) else 1.0


def _by_head(preset: str, make: Callable[[Head], Clip4ClipConfig]) -> dict[str, Callable[[], Clip4ClipConfig]]:
    """The authors' recipe under the name of the preset, each head under its own beside it."""
    heads = {f"{preset}-{head}": partial(make, head) for head in get_args(Head)}
    return {preset: heads[f"{preset}-meanP"], **heads}


METHODS: Mapping[str, Method] = {
    "clip4clip": Method(
        "CLIP4Clip",
        CLIP,
        Clip4ClipConfig,
        Clip4Clip,
        _by_head("mini", lambda head: Clip4ClipConfig.mini(MINI_VOCABULARY, MINI_END, head))
        | _by_head("paper", Clip4ClipConfig.paper),
        scaled=True,
    ),
    "x_pool": Method(
        "X-Pool",
        CLIP,
        XPoolConfig,
        ClipXPool,
        {"mini": lambda: XPoolConfig.mini(MINI_VOCABULARY, MINI_END), "paper": XPoolConfig.paper},
    ),
    "ts2_net": Method(
        "TS2-Net",
        CLIP,
        Ts2NetConfig,
        Ts2Net,
        {"mini": lambda: Ts2NetConfig.mini(MINI_VOCABULARY, MINI_END), "paper": Ts2NetConfig.paper},
        scaled=True,
    ),
    "t_mass": Method(
        "T-MASS",
        CLIP,
        TMassConfig,
        TMass,
        {"mini": lambda: TMassConfig.mini(MINI_VOCABULARY, MINI_END), "paper": TMassConfig.paper},
    ),
    "blip2": Method(
        "BLIP-2",
        BLIP2,
        Blip2Config,
        Blip2,
        {"mini": lambda: Blip2Config.mini(MINI_VOCABULARY), "paper": Blip2Config.paper},
    ),
}


def method_named(name: str) -> Method:
    """The method that is called ``name``.

    Raises:
        IvcrError: none is.
    """
    if name not in METHODS:
        raise IvcrError(f"no retrieval method {name!r}, expected one of {', '.join(METHODS)}")
    return METHODS[name]


def one_vector(model: nn.Module) -> bool:
    """Whether a video is one vector, so that search is a matrix product."""
    return isinstance(model, Clip4Clip) and model.config.head != "tightTransf"


@torch.inference_mode()
def score(method: Method, model: nn.Module, texts: Encoded, videos: Encoded) -> Tensor:
    """Scores of every text and video, cosines where the method has such: ``[texts, videos]``."""
    return cast("Searcher", model).similarity(texts, videos) / method.scale(model)
