"""How the five baselines are trained; the small CLIP that four of them start from has settings of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ivcr_bench.errors import IvcrError
from ivcr_bench.schema import QueryPolicy

IMAGE_STEM = "clip.vision_model.embeddings"
CLIP_EMBEDDINGS = (IMAGE_STEM, "clip.vision_model.pre_layrnorm", "clip.text_model.embeddings")
"""What CLIP4Clip and TS2-Net do not train."""
BLIP2_UNUSED = ("blip2.lm_head", "blip2.tag_head")


@dataclass(frozen=True)
class RetrievalTraining:
    """Settings of a training.

    Attributes:
        films, queries: of a batch: so many films, so many queries about each.
        steps: of the optimiser; or ``epochs``: passes over as many pairs as there are queries.
        backbone_rate, head_rate: learning rates, of what was trained before and of what is new.
        decay_biases: whether weight decay is on all parameters, or on those alone whose name has no "bias".
        warmup: share of the steps in which the rates rise; then they fall as a half cosine.
        frozen: parts of the model that are not trained, by the beginnings of their names.
        jitter: draw the frames of a film, move and flip them; else as when scoring.
        shift: the largest move, in pixels.
        rate: frames a second that are decoded.
        half: compute in bfloat16 where that is safe.
        policy: what of a dialogue is the query.
        dialogue_seeds: dialogues about the training films are generated anew from this many further seeds.
        caption_share: of the queries that are a sentence about one shot, not a turn of a dialogue.
        workers: processes that decode films; with none, all frames are kept in memory.
        evaluations: on the validation films, evenly over the steps, each with a checkpoint.
    """

    films: int
    queries: int
    backbone_rate: float
    head_rate: float
    steps: int = 0
    epochs: int = 0
    weight_decay: float = 0.2
    decay_biases: bool = True
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-6
    warmup: float = 0.1
    largest_gradient: float = 1.0
    frozen: tuple[str, ...] = ()
    jitter: bool = False
    shift: int = 0
    rate: float = 1.0
    half: bool = False
    policy: QueryPolicy = "concat"
    dialogue_seeds: int = 0
    caption_share: float = 0.0
    workers: int = 0
    evaluations: int = 10


_MINI = RetrievalTraining(
    films=24, queries=3, backbone_rate=3e-4, head_rate=1e-3, steps=1000, weight_decay=0.05, frozen=(IMAGE_STEM,),
    jitter=True, shift=4, rate=2.0, half=True, dialogue_seeds=15, caption_share=0.25,
)  # fmt: skip
"""The same for the four on CLIP, so that they differ in their method alone."""

_PRESETS: Mapping[str, Mapping[str, RetrievalTraining]] = {
    "mini": {
        **dict.fromkeys(("clip4clip", "x_pool", "ts2_net", "t_mass"), _MINI),
        "blip2": replace(_MINI, head_rate=3e-4, half=False, frozen=("blip2.vision_model", *BLIP2_UNUSED)),
    },
    # BertAdam at 1e-7 in float16 moves CLIP as AdamW at about 1e-6 in float32 does (X-Pool's rate).
    "paper": {
        **dict.fromkeys(
            ("clip4clip", "ts2_net"),
            RetrievalTraining(
                films=128, queries=1, backbone_rate=1e-6, head_rate=1e-4, epochs=5, decay_biases=False,
                betas=(0.9, 0.98), frozen=CLIP_EMBEDDINGS, half=True, workers=8,
            ),
        ),
        **dict.fromkeys(
            ("x_pool", "t_mass"),
            RetrievalTraining(films=32, queries=1, backbone_rate=1e-6, head_rate=3e-5, epochs=5, half=True, workers=8),
        ),
        "blip2": RetrievalTraining(
            films=32, queries=1, backbone_rate=1e-5, head_rate=1e-5, epochs=5, weight_decay=0.05, half=True,
            frozen=("blip2.vision_model", *BLIP2_UNUSED), workers=8,
        ),
    },
}  # fmt: skip


def training_named(method: str, preset: str) -> RetrievalTraining:
    """How ``method`` is trained; ``mini-seqTransf`` and the like as ``mini``.

    Raises:
        IvcrError: there is no such preset.
    """
    size = preset.partition("-")[0]
    if size not in _PRESETS:
        raise IvcrError(f"{method}: no preset {preset!r} to train, expected one of {', '.join(_PRESETS)}")
    return _PRESETS[size][method]
