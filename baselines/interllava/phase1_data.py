"""What phase 1 is trained on: shots with captions, and dialogues with the films that they ask for.

Item i of a data set here is the whole batch of training step i and depends on (seed, i) only, so training resumes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset
from transformers import PreTrainedTokenizerFast

from baselines.backbones.frames import augment, normalise, tubelets
from baselines.interllava.phase1 import Phase1Config, dialogue_text, encode_texts, frame_vectors
from ivcr_bench.data.mini.world import Film, Shot
from ivcr_bench.schema import Dialogue, Exchange, Language, Request, gold_answer

Captioner = Callable[[Shot, Language, np.random.Generator], str]
LANGUAGES: tuple[Language, Language] = ("en", "zh")
CAPTION_TOKENS = 48


@dataclass(frozen=True)
class StepSettings:
    """Of one of the two training steps."""

    steps: int
    batch: int
    learning_rate: float
    warmup_steps: int = 100
    weight_decay: float = 0.05
    save_steps: int = 250


@dataclass(frozen=True)
class Phase1Training:
    """Settings of phase 1.

    Attributes:
        tag_steps: the first so many steps of ``blip2`` train the ViT alone, on the words of captions.
        shift: the largest random move of a frame, in pixels.
        weights: of BLIP-2's losses (published: 1 each).
        dialogue_seeds: dialogues about the training films are generated anew from this many further seeds.
        half: compute in bfloat16 where that is safe; 1.6 times as fast on a CPU that knows it.
    """

    blip2: StepSettings = StepSettings(steps=2800, batch=64, learning_rate=2e-3)
    x_pool: StepSettings = StepSettings(steps=900, batch=64, learning_rate=5e-4)
    tag_steps: int = 800
    shift: int = 4
    weights: tuple[tuple[str, float], ...] = (("itc", 1.0), ("itm", 0.3), ("itg", 1.0), ("tag", 1.0))
    dialogue_seeds: int = 15
    half: bool = True


class ShotBatches(TorchDataset[dict[str, Tensor]]):
    """Random moments of random shots, each with a caption in one of the two languages."""

    def __init__(
        self,
        films: Sequence[Film],
        images: Mapping[str, np.ndarray],
        caption: Captioner,
        tokenizer: PreTrainedTokenizerFast,
        config: Phase1Config,
        training: Phase1Training,
        seed: int,
    ) -> None:
        self.images, self.caption, self.tokenizer = images, caption, tokenizer
        self.config, self.training, self.seed = config, training, seed
        self.shots = [(film.video_id, shot) for film in films for shot in film.shots]
        contents: dict[tuple[Any, ...], int] = {}
        self.ids = [contents.setdefault((s.setting, s.action, s.actors), len(contents)) for _, s in self.shots]

    def __len__(self) -> int:
        return self.training.blip2.steps

    def __getitem__(self, step: int) -> dict[str, Tensor]:
        rng = np.random.default_rng([self.seed, step])
        chosen = rng.choice(len(self.shots), self.training.blip2.batch, replace=False).tolist()
        shots = [self.shots[index] for index in chosen]
        images = np.concatenate([self._tubelet(video_id, shot, rng) for video_id, shot in shots])
        captions = [[self.caption(shot, language, rng) for language in LANGUAGES] for _, shot in shots]
        texts = [both[int(rng.integers(2))] for both in captions]
        generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
        moved = augment(torch.from_numpy(images), self.training.shift, generator)
        input_ids, mask = encode_texts(self.tokenizer, texts, CAPTION_TOKENS)
        return {
            "pixels": normalise(moved).unsqueeze(1),
            "input_ids": input_ids,
            "mask": mask,
            "ids": torch.tensor([self.ids[index] for index in chosen]),
            "tags": self._tags([" ".join(both) for both in captions]),
        }

    def _tags(self, texts: Sequence[str]) -> Tensor:
        """Which tokens each text holds: ``[texts, vocabulary]``; special tokens do not count."""
        ids, mask = encode_texts(self.tokenizer, texts, 2 * CAPTION_TOKENS)
        tags = torch.zeros(len(texts), self.config.blip2.vocab_size).scatter_(1, ids * mask, 1.0)
        tags[:, self.tokenizer.all_special_ids] = 0.0
        return tags

    def _tubelet(self, video_id: str, shot: Shot, rng: np.random.Generator) -> np.ndarray:
        """One tubelet, all of it within the shot: uint8 ``[1, height, width, 3 * tubelet]``."""
        length, rate = self.config.blip2.tubelet, self.config.rate
        first, last = round(shot.start * rate), round(shot.end * rate) - length
        start = int(rng.integers(first, max(first, last) + 1))
        return tubelets(self.images[video_id], length, np.array([start]))


@dataclass(frozen=True)
class Query:
    """A dialogue up to a turn that asks for films, and the films that are right."""

    text: str
    videos: tuple[str, ...]


def queries_of(dialogues: Iterable[Dialogue]) -> list[Query]:
    """Every turn that has relevant films, after its gold history."""
    return [
        Query(dialogue_text(request_of(dialogue, number)), dialogue.turns[number - 1].gold.videos)
        for dialogue in dialogues
        for number, turn in enumerate(dialogue.turns, start=1)
        if turn.gold.videos
    ]


def request_of(dialogue: Dialogue, number: int) -> Request:
    """Turn ``number`` of ``dialogue`` as a system would get it under gold history."""
    past = tuple(Exchange(turn.utterance, gold_answer(turn)) for turn in dialogue.turns[: number - 1])
    turn = dialogue.turns[number - 1]
    return Request(dialogue.dialogue_id, number, dialogue.language, turn.utterance, past, turn.candidates)


class DialogueBatches(TorchDataset[dict[str, Tensor]]):
    """Random queries, and all training films with freshly drawn frames.

    Args:
        features: of each film, the projected queries of every tubelet: ``[tubelets, queries, shared_width]``.
    """

    def __init__(
        self,
        queries: Sequence[Query],
        features: Mapping[str, Tensor],
        tokenizer: PreTrainedTokenizerFast,
        config: Phase1Config,
        training: Phase1Training,
        seed: int,
    ) -> None:
        self.queries, self.features, self.tokenizer = queries, list(features.values()), tokenizer
        self.column = {video_id: column for column, video_id in enumerate(features)}
        self.config, self.training, self.seed = config, training, seed

    def __len__(self) -> int:
        return self.training.x_pool.steps

    def __getitem__(self, step: int) -> dict[str, Tensor]:
        rng = np.random.default_rng([self.seed, step])
        chosen = [self.queries[i] for i in rng.integers(len(self.queries), size=self.training.x_pool.batch)]
        input_ids, mask = encode_texts(self.tokenizer, [q.text for q in chosen], self.config.text_tokens)
        positive = torch.zeros(len(chosen), len(self.features), dtype=torch.bool)
        for row, query in enumerate(chosen):
            positive[row, [self.column[video_id] for video_id in query.videos]] = True
        itc = torch.stack([film[self._frames(len(film), rng)] for film in self.features]).float()
        frames = frame_vectors(itc, self.config.keys)
        return {"input_ids": input_ids, "mask": mask, "frames": frames, "positive": positive}

    def _frames(self, tubelet_count: int, rng: np.random.Generator) -> Tensor:
        """A random tubelet in each of the equal parts of the film."""
        places = (np.arange(self.config.frames) + rng.random(self.config.frames)) / self.config.frames
        return torch.from_numpy((places * tubelet_count).astype(np.int64))
