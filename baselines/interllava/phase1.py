"""Phase 1 of InterLLaVA as it is used: BLIP-2 frame features, a text tower for dialogues, and the X-Pool head.

```
config.json            settings and sizes
tokenizer.json         both languages
blip2.safetensors      `Blip2VideoRetriever`, float16
x_pool.safetensors     `text_tower.*` and `x_pool.*`, float16
```
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from baselines.backbones.blip2 import Blip2RetrieverConfig, Blip2VideoRetriever, FrameFeatures
from baselines.backbones.frames import normalise, tubelets, uniform_starts
from baselines.backbones.text_tower import TextTower
from baselines.backbones.tokenizer import CLS, load_tokenizer, save_tokenizer
from baselines.retrieval.x_pool import XPool
from ivcr_bench.errors import IvcrError
from ivcr_bench.schema import Request

SEPARATOR = " / "
FRAMES_AT_ONCE = 64
SHIPPED = Path(__file__).parents[1] / "weights" / "interllava-mini"
ARTEFACT = ("config.json", "tokenizer.json", "blip2.safetensors", "x_pool.safetensors")


@dataclass(frozen=True)
class Phase1Config:
    """How films and dialogues become vectors.

    Attributes:
        rate: frames a second that are decoded.
        frames: frames of a film, uniform over it; each is a tubelet of ``blip2.tubelet`` decoded frames.
        keys: what X-Pool attends over: one mean vector a frame, or every query of every frame.
        text_tokens: a longer dialogue loses its beginning.
        dropout: of the X-Pool head.
    """

    blip2: Blip2RetrieverConfig
    rate: float = 2.0
    frames: int = 12
    keys: Literal["frames", "queries"] = "frames"
    text_tokens: int = 96
    dropout: float = 0.1


class DialogueRetriever(nn.Module):
    """What step two of phase 1 trains: the text tower and the head."""

    def __init__(self, config: Phase1Config) -> None:
        super().__init__()
        self.text_tower = TextTower(config.blip2)
        self.x_pool = XPool(config.blip2.shared_width, dropout=config.dropout)


@dataclass(frozen=True)
class Phase1:
    """A trained first stage; ``fingerprint`` is a hash of everything that can change a score."""

    config: Phase1Config
    blip2: Blip2VideoRetriever
    retriever: DialogueRetriever
    tokenizer: PreTrainedTokenizerFast
    fingerprint: str

    @property
    def image_size(self) -> tuple[int, int]:
        """Width and height at which films are decoded."""
        return self.config.blip2.image_size, self.config.blip2.image_size

    def encode_texts(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Ids and mask ``[texts, length]``, [CLS] first."""
        return encode_texts(self.tokenizer, texts, self.config.text_tokens)

    @torch.inference_mode()
    def text_vectors(self, texts: Sequence[str], chunk: int = 256) -> Tensor:
        """Normalised vectors ``[texts, shared_width]``."""
        tower = self.retriever.text_tower
        parts = [tower(*self.encode_texts(texts[i : i + chunk])) for i in range(0, len(texts), chunk)]
        return torch.cat(parts) if parts else torch.zeros(0, self.config.blip2.shared_width)

    def encode_timestamps(self, times: Sequence[float], rows: int) -> tuple[Tensor, Tensor]:
        """Ids and mask ``[frames, rows]`` of InstructBLIP-style texts that say when a frame was taken."""
        texts = [f"This frame is sampled at {time:.1f} second." for time in times]
        batch = self.tokenizer(
            texts,
            add_special_tokens=False,
            padding="max_length",
            max_length=rows,
            truncation=True,
            return_tensors="pt",
        )
        return batch["input_ids"], batch["attention_mask"]

    def single_frame_vectors(self, features: FrameFeatures) -> Tensor:
        """The mean of each frame's projected queries: ``[videos * frames, shared_width]``."""
        return features.itc.mean(-2).flatten(0, 1)

    def frame_vectors(self, itc: Tensor) -> Tensor:
        """What X-Pool attends over, of projected queries ``[..., frames, queries, shared_width]``.

        Returns:
            ``[..., keys, shared_width]``.
        """
        return frame_vectors(itc, self.config.keys)

    def film_vectors(self, images: np.ndarray) -> Tensor:
        """The frame vectors ``[keys, shared_width]`` of a film decoded at ``config.rate``: uint8 ``[n, h, w, 3]``."""
        starts = uniform_starts(len(images), self.config.frames)
        return self.frame_vectors(encode_tubelets(self.blip2, images, starts))


def encode_texts(tokenizer: PreTrainedTokenizerFast, texts: Sequence[str], longest: int) -> tuple[Tensor, Tensor]:
    """Ids and mask ``[texts, length]``: [CLS], then the last ``longest - 1`` tokens of each text, lower-cased."""
    plain = tokenizer(
        [text.lower() for text in texts],
        add_special_tokens=False,
        truncation=True,
        max_length=longest - 1,
        return_attention_mask=False,
    )["input_ids"]
    first = tokenizer.convert_tokens_to_ids(CLS)
    batch = tokenizer.pad({"input_ids": [[first, *ids] for ids in plain]}, return_tensors="pt")
    return batch["input_ids"], batch["attention_mask"]


def frame_vectors(itc: Tensor, keys: Literal["frames", "queries"]) -> Tensor:
    """See `Phase1.frame_vectors`."""
    return itc.mean(-2) if keys == "frames" else itc.flatten(-3, -2)


@torch.inference_mode()
def encode_tubelets(blip2: Blip2VideoRetriever, images: np.ndarray, starts: np.ndarray) -> Tensor:
    """Projected queries ``[len(starts), queries, shared_width]`` of a film's tubelets at ``starts``."""
    length = blip2.config.tubelet
    parts = [
        blip2.encode_frames(normalise(tubelets(images, length, chunk)).unsqueeze(1)).itc[:, 0]
        for chunk in np.split(starts, range(FRAMES_AT_ONCE, len(starts), FRAMES_AT_ONCE))
    ]
    return torch.cat(parts)


def dialogue_text(request: Request) -> str:
    """What the first stage reads of a dialogue: the user's utterances so far."""
    return SEPARATOR.join([*(exchange.utterance for exchange in request.history), request.utterance])


def save_phase1(
    folder: Path,
    config: Phase1Config,
    blip2: Blip2VideoRetriever,
    retriever: DialogueRetriever,
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    """Write the artefact folder; weights in float16."""
    folder.mkdir(parents=True, exist_ok=True)
    save_tokenizer(tokenizer, folder / "tokenizer.json")
    save_file(_half(blip2), folder / "blip2.safetensors")
    save_file(_half(retriever), folder / "x_pool.safetensors")
    (folder / "config.json").write_text(json.dumps(asdict(config), indent=2) + "\n", encoding="utf-8")


def load_phase1(folder: Path) -> Phase1:
    """Read an artefact folder.

    Raises:
        IvcrError: a file is missing, truncated, or belongs to another model.
    """
    try:
        values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        config = Phase1Config(**{**values, "blip2": Blip2RetrieverConfig(**values["blip2"])})
        tokenizer = load_tokenizer(folder / "tokenizer.json")
        blip2, retriever = Blip2VideoRetriever(config.blip2), DialogueRetriever(config)
        for module, name in ((blip2, "blip2.safetensors"), (retriever, "x_pool.safetensors")):
            module.load_state_dict({k: v.float() for k, v in load_file(folder / name).items()})
            module.eval().requires_grad_(False)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError, RuntimeError) as error:
        raise IvcrError(f"{folder}: not a phase-1 folder: {error}") from None
    return Phase1(config, blip2, retriever, tokenizer, _fingerprint(folder))


def copy_phase1(source: Path, target: Path) -> None:
    """Copy an artefact folder without the checkpoints beside it."""
    target.mkdir(parents=True, exist_ok=True)
    for name in ARTEFACT:
        shutil.copyfile(source / name, target / name)


def _half(module: nn.Module) -> dict[str, Tensor]:
    return {
        name: (tensor.half() if tensor.is_floating_point() else tensor).contiguous()
        for name, tensor in module.state_dict().items()
    }


def _fingerprint(folder: Path) -> str:
    digest = hashlib.sha256()
    for name in ARTEFACT:
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()[:16]
