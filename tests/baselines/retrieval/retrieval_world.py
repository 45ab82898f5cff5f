"""Five films of noise, dialogues about them, and backbones small enough to train in a second."""

import json
from dataclasses import replace

import numpy as np
import torch

from baselines.backbones.blip2 import Blip2RetrieverConfig, Blip2VideoRetriever
from baselines.backbones.tokenizer import train_tokenizer
from baselines.interllava.phase1 import DialogueRetriever, Phase1Config, save_phase1
from baselines.retrieval.clip_backbone import ClipBackbone, ClipConfig
from baselines.retrieval.methods import METHODS
from baselines.retrieval.weights import TrainedOn, save_weights
from ivcr_bench.data.dataset import Dataset, DatasetCard, fingerprint
from ivcr_bench.data.mini.encode import encode_film
from ivcr_bench.schema import Dialogue, Gold, Turn, Video

FRAMES = {"a": 37, "b": 81, "c": 160, "d": 90, "e": 60}
"""At 8 a second: films of 4.625 to 20 s."""
SPLITS = {"a": "train", "b": "train", "c": "train", "d": "val", "e": "val"}
TOKENIZER = train_tokenizer(
    ["find a film with a red star at night in snow by the sea / the same", "夜里的红色星星"], (), 130
)
CLIP = ClipConfig(
    image_size=16, patch_size=4, vision_width=24, vision_layers=2, vision_heads=2, text_width=24, text_layers=2,
    text_heads=2, width=24, vocab_size=len(TOKENIZER), max_text=64, eos_token_id=TOKENIZER.eos_token_id,
    stem="conv", tubelet=2,
)  # fmt: skip
BLIP2 = Blip2RetrieverConfig(
    image_size=16, patch_size=4, vision_width=24, vision_layers=1, vision_heads=2, vision_mlp=32, stem="conv",
    tubelet=2, width=24, layers=1, heads=2, mlp=32, queries=2, vocab_size=len(TOKENIZER), max_text=96,
    cross_attention_frequency=1, shared_width=8, dropout=0.0, initializer_range=0.2,
)  # fmt: skip
SMALLER = {"clip4clip": {"frames": 4}, "x_pool": {"frames": 4}, "ts2_net": {"frames": 4, "samples": 8},
           "t_mass": {"frames": 4, "trials": 2}, "blip2": {"frames": 4, "matched": 2}}  # fmt: skip


def make_dataset(root):
    for seed, (name, count) in enumerate(FRAMES.items()):
        pixels = np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 3), np.uint8)
        encode_film(pixels.repeat(14, 1).repeat(14, 2), root / f"{name}.mp4")
    videos = tuple(Video(name, f"{name}.mp4", n / 8, "noise", SPLITS[name]) for name, n in FRAMES.items())
    dialogues = (
        dialogue("1", "train", ("a star at night", "a"), ("the same in snow", "b")),
        dialogue("2", "train", ("a film by the sea", "c"), ("红色星星", "b", "c")),
        dialogue("3", "val", ("a star at night", "d"), ("the same by the sea", "e")),
    )
    return Dataset(root, DatasetCard("noise", fingerprint(videos, dialogues)), videos, dialogues)


def dialogue(number, split, *turns):
    spoken = (Turn(text, "video_retrieval", "new_topic", Gold(videos=tuple(found))) for text, *found in turns)
    return Dialogue(number, "en", split, 1, tuple(spoken))


def save_backbones(root):
    """A folder for each family: what ``--backbone`` takes."""
    torch.manual_seed(0)
    ClipBackbone.build(CLIP).save_pretrained(root / "clip")
    TOKENIZER.save_pretrained(root / "clip")
    phase1 = Phase1Config(BLIP2, frames=3)
    save_phase1(root / "blip2", phase1, Blip2VideoRetriever(BLIP2), DialogueRetriever(phase1), TOKENIZER)
    return {"clip": root / "clip", "blip2": root / "blip2"}


def small_config(name):
    """The ``mini`` preset, smaller still."""
    method = METHODS[name]
    sizes = {method.family.part: CLIP if method.family.part == "clip" else BLIP2}
    return replace(method.preset("mini"), words=48, **sizes, **SMALLER[name])


def save_untrained(folder, name, policy="concat"):
    """Weights of a small model that has learnt nothing."""
    torch.manual_seed(len(name))
    model = METHODS[name].build(small_config(name)).eval()
    save_weights(folder, name, model, TOKENIZER, TrainedOn(policy, 2.0))
    return folder


def change_config(folder, **changes):
    content = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(content | changes))
