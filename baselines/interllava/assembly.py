"""From dialogues and films to the tensors that the model reads (sheet section 1.6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from baselines.backbones.frames import uniform_starts
from baselines.interllava import prompts
from baselines.interllava.config import InterLlavaConfig
from baselines.interllava.matching import FEATURES, Matches, candidate_matches, second_matches

IGNORED = -100


@dataclass(frozen=True)
class FilmFrames:
    """What phase 2 knows of some frames of a film.

    Attributes:
        keys: ``[frames, rows, width]`` image Q-Former outputs, float16.
        shared: ``[frames, shared_width]`` phase-1 vectors, normalised, float16.
        duration: seconds.
    """

    keys: np.ndarray
    shared: np.ndarray
    duration: float

    def uniform(self, count: int) -> FilmFrames:
        """The middle frames of ``count`` equal parts of the film."""
        places = uniform_starts(len(self.keys), count)
        return FilmFrames(self.keys[places], self.shared[places], self.duration)


@dataclass(frozen=True)
class Sample:
    """One prompt, with the answer if it is known.

    Attributes:
        ids: token ids, visual places filled with the marker token.
        answer_start: index in ``ids`` of the first answer token (= length of the prompt).
        query: ``[shared_width]`` phase-1 vector of the dialogue so far.
        films: the films shown, in order.
        anchors, anchor_tokens: places in ``ids`` and the tokens that point at them.
        matches: `baselines.interllava.matching` features of each anchor.
        gold_index: 0-based gold candidate, or -1.
        gold_interval: gold seconds, or ``None``.
    """

    ids: list[int]
    answer_start: int
    query: np.ndarray
    films: Sequence[FilmFrames]
    anchors: list[int]
    anchor_tokens: list[int]
    matches: Matches
    gold_index: int = -1
    gold_interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Batch:
    """Samples padded to one length L; B samples, M windows in order of appearance, A anchors at most.

    ``gold_index`` is -1 and ``gold_interval`` NaN where a sample has none.
    """

    input_ids: Tensor
    attention_mask: Tensor
    labels: Tensor
    query: Tensor
    query_places: Tensor
    visual_places: Tensor
    keys: Tensor
    positions: Tensor
    shared: Tensor
    window_sample: Tensor
    anchors: Tensor
    anchor_tokens: Tensor
    anchor_present: Tensor
    matches: Tensor
    gold_index: Tensor
    gold_interval: Tensor
    duration: Tensor

    def to_dict(self) -> dict[str, Tensor]:
        """The tensors by name, as `transformers.Trainer` moves them between devices."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


class Assembler:
    """Builds samples and batches for one tokenizer and one configuration."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, config: InterLlavaConfig) -> None:
        self.tokenizer = tokenizer
        self.config = config
        ids: Any = tokenizer.convert_tokens_to_ids
        self.begin: int = ids("<s>")
        self.end: int = ids(prompts.END_OF_ANSWER)
        self.pad: int = tokenizer.pad_token_id
        self.frame_id: int = ids(prompts.FRAME)
        self.query_id: int = ids(prompts.QUERY)
        self.film_end_id: int = ids(prompts.FILM_END)
        self.index_ids: list[int] = ids(list(prompts.INDEX_TOKENS))
        self.time_ids: list[int] = ids(list(prompts.TIME_TOKENS))

    def encode(self, text: str) -> list[int]:
        """Token ids of ``text``, nothing added."""
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def retrieval(
        self,
        dialogue: str,
        query: np.ndarray,
        films: Sequence[FilmFrames],
        answer: Sequence[str] | None = None,
        gold_index: int = -1,
    ) -> Sample:
        """A retrieval turn: the dialogue, up to ten candidates, the answer."""
        shown = prompts.render_candidates([self._visual_tokens(film) for film in films])
        ids, answer_start = self._ids(dialogue, shown, answer)
        anchors = [place for place in range(answer_start) if ids[place] == self.film_end_id]
        tokens = self.index_ids[: len(films)]
        matches = candidate_matches(query, [film.shared for film in films])
        return Sample(ids, answer_start, query, films, anchors, tokens, matches, gold_index)

    def moment(
        self,
        dialogue: str,
        query: np.ndarray,
        film: FilmFrames,
        answer: Sequence[str] | None = None,
        interval: tuple[float, float] | None = None,
    ) -> Sample:
        """A moment turn: the dialogue, one film, the answer. Second k is anchored at its last visual token."""
        ids, answer_start = self._ids(dialogue, prompts.render_film(self._visual_tokens(film)), answer)
        visual = [place for place in range(answer_start) if ids[place] == self.frame_id]
        per_second = round(self.config.moment_rate / self.config.window * self.config.video_queries)
        anchors = visual[per_second - 1 :: per_second][: prompts.MAX_SECONDS]
        if len(visual) % per_second and len(anchors) < prompts.MAX_SECONDS:
            anchors.append(visual[-1])
        matches = second_matches(query, film.shared, round(self.config.moment_rate), len(anchors))
        return Sample(ids, answer_start, query, [film], anchors, self.time_ids[: len(anchors)], matches, -1, interval)

    def text(
        self, dialogue: str, query: np.ndarray, answer: Sequence[str] | None = None, *, closed: bool = True
    ) -> Sample:
        """A turn without films: the intent, or natural dialogue; ``closed`` says that the answer ends there."""
        ids, answer_start = self._ids(dialogue, "", answer)
        return Sample(
            ids if closed or answer is None else ids[:-1],
            answer_start,
            query,
            [],
            [],
            [],
            np.zeros((0, FEATURES), np.float32),
        )

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ``ids``, special tokens included, blanks at the ends removed."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=False)).strip()

    def _ids(self, dialogue: str, shown: str, answer: Sequence[str] | None) -> tuple[list[int], int]:
        words = self.encode(dialogue)[-self.config.history_tokens :]
        prompt = [self.begin, *words, *self.encode(f"{shown} {prompts.ASSISTANT}")]
        if answer is None:
            return prompt, len(prompt)
        pieces = [token for piece in answer for token in self.encode(piece)]
        return [*prompt, *pieces, self.end], len(prompt)

    def _windows(self, film: FilmFrames) -> int:
        return -(-len(film.keys) // self.config.window)

    def _visual_tokens(self, film: FilmFrames) -> int:
        return self._windows(film) * self.config.video_queries

    def collate(self, samples: Sequence[Sample], *, pad_left: bool = False) -> Batch:
        """Pad ``samples`` to one batch; on the left for generation, on the right for training."""
        length = max(len(sample.ids) for sample in samples)
        count, width = len(samples), max(len(sample.anchors) for sample in samples)
        input_ids = np.full((count, length), self.pad)
        mask = np.zeros((count, length), dtype=np.int64)
        labels = np.full((count, length), IGNORED)
        anchors, tokens = np.zeros((count, width), dtype=np.int64), np.zeros((count, width), dtype=np.int64)
        present = np.zeros((count, width), dtype=bool)
        matches = np.zeros((count, width, FEATURES), dtype=np.float32)
        for row, sample in enumerate(samples):
            shift = length - len(sample.ids) if pad_left else 0
            span = slice(shift, shift + len(sample.ids))
            input_ids[row, span], mask[row, span] = sample.ids, 1
            labels[row, shift + sample.answer_start : span.stop] = sample.ids[sample.answer_start :]
            anchors[row, : len(sample.anchors)] = np.asarray(sample.anchors, dtype=np.int64) + shift
            tokens[row, : len(sample.anchors)] = sample.anchor_tokens
            present[row, : len(sample.anchors)] = True
            matches[row, : len(sample.anchors)] = sample.matches
        intervals = [s.gold_interval or (np.nan, np.nan) for s in samples]
        durations = [s.films[0].duration if s.films else np.nan for s in samples]
        return Batch(
            input_ids=torch.from_numpy(input_ids),
            attention_mask=torch.from_numpy(mask),
            labels=torch.from_numpy(labels),
            query=torch.from_numpy(np.stack([s.query for s in samples]).astype(np.float32)),
            query_places=torch.from_numpy(input_ids == self.query_id),
            visual_places=torch.from_numpy(input_ids == self.frame_id),
            **self._stack_windows(samples),
            anchors=torch.from_numpy(anchors),
            anchor_tokens=torch.from_numpy(tokens),
            anchor_present=torch.from_numpy(present),
            matches=torch.from_numpy(matches),
            gold_index=torch.tensor([s.gold_index for s in samples]),
            gold_interval=torch.tensor(intervals, dtype=torch.float32),
            duration=torch.tensor(durations, dtype=torch.float32),
        )

    def _stack_windows(self, samples: Sequence[Sample]) -> dict[str, Tensor]:
        """All windows of all films in order; the last frame of a film is repeated to fill its last window."""
        size, keys, shared, positions, owners = self.config.window, [], [], [], []
        for row, sample in enumerate(samples):
            for film in sample.films:
                index = np.minimum(np.arange(self._windows(film) * size), len(film.keys) - 1)
                keys.append(film.keys[index])
                shared.append(film.shared[index])
                positions.append(index)
                owners.extend([row] * (len(index) // size))
        if not keys:
            return {
                "keys": torch.zeros(0, size, 1, self.config.vision_width),
                "shared": torch.zeros(0, size, self.config.shared_width),
                "positions": torch.zeros(0, size, dtype=torch.long),
                "window_sample": torch.zeros(0, dtype=torch.long),
            }
        stacked = {"keys": np.concatenate(keys), "shared": np.concatenate(shared)}
        folded = {
            name: torch.from_numpy(array.astype(np.float32).reshape(-1, size, *array.shape[1:]))
            for name, array in stacked.items()
        }
        folded["positions"] = torch.from_numpy(np.concatenate(positions).reshape(-1, size))
        folded["window_sample"] = torch.tensor(owners)
        return folded
