"""What the five baselines are trained and judged on: films, and queries with the films that are right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset as TorchDataset
from transformers import PreTrainedTokenizerBase

from baselines.retrieval.film_frames import Sampling
from baselines.retrieval.methods import Method, Searcher, score
from baselines.retrieval.protocol import Encoded
from baselines.retrieval.queries import RetrievalQuery, training_queries, video_queries
from baselines.retrieval.settings import RetrievalTraining
from ivcr_bench.data.dataset import Corpus, Dataset
from ivcr_bench.data.mini.build import ensure_videos
from ivcr_bench.progress import track
from ivcr_bench.schema import Split

FILMS_AT_ONCE = 8
TEXTS_AT_ONCE = 64
DEPTHS = (1, 5, 10)


@dataclass
class Films:
    """The films of a corpus, decoded when they are asked for.

    Attributes:
        keep: remember all decoded frames.
    """

    corpus: Corpus
    sampling: Sampling
    keep: bool
    _kept: dict[str, np.ndarray] = field(default_factory=dict, repr=False)

    @property
    def ids(self) -> list[str]:
        """In the order of the corpus."""
        return [video.video_id for video in self.corpus.videos]

    def images(self, video_id: str) -> np.ndarray:
        """All frames of a film at the sampling's rate: uint8 ``[n, size, size, 3]``.

        Raises:
            IvcrError: it cannot be read.
        """
        if video_id in self._kept:
            return self._kept[video_id]
        images = self.sampling.decode(self.corpus.path(video_id))
        if self.keep:
            self._kept[video_id] = images
        return images

    def decode_all(self) -> None:
        """Fill the memory, if there is one, with a progress bar."""
        for video_id in track(self.ids, "Decoding films") if self.keep else ():
            self.images(video_id)

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """All films as they are scored: pixels and masks of some at a time."""
        for first in range(0, len(self.ids), FILMS_AT_ONCE):
            shown = [self.sampling.film(self.images(v)) for v in self.ids[first : first + FILMS_AT_ONCE]]
            yield torch.stack([pixels for pixels, _ in shown]), torch.stack([mask for _, mask in shown])


@dataclass(frozen=True)
class RetrievalData:
    """A split, to train on or to judge with.

    Attributes:
        dialogues: queries that are turns of dialogues.
        captions: queries that are sentences about single shots.
    """

    films: Films
    dialogues: Sequence[RetrievalQuery]
    captions: Sequence[RetrievalQuery] = ()

    @classmethod
    def of(cls, dataset: Dataset, split: Split, sampling: Sampling, training: RetrievalTraining) -> RetrievalData:
        """Films and queries of ``split``; only training films get more queries than the dataset has."""
        corpus = dataset.corpus(split)
        ensure_videos(dataset, [video.video_id for video in corpus.videos])
        films = Films(corpus, sampling, keep=not training.workers)
        films.decode_all()
        if split == "train":
            return cls(films, *training_queries(dataset, training.policy, training.dialogue_seeds))
        return cls(films, video_queries(dataset.split(split), training.policy))


class PairBatches(TorchDataset[dict[str, Tensor]]):
    """Item i is the batch of one training step; it depends on (seed, i) only, so that training resumes.

    A batch has some films, and as many queries about each; a film is encoded once for all its queries. All that are
    right for a query count as right, also those that another query of the batch brought in.
    """

    def __init__(
        self,
        method: Method,
        config: Any,
        tokenizer: PreTrainedTokenizerBase,
        data: RetrievalData,
        training: RetrievalTraining,
        seed: int,
    ) -> None:
        self.method, self.config, self.tokenizer = method, config, tokenizer
        self.films, self.training, self.seed = data.films, training, seed
        self._dialogues, self._captions = _by_film(data.dialogues), _by_film(data.captions)
        self._ids = sorted(self._dialogues)
        self._column = {video_id: column for column, video_id in enumerate(data.films.ids)}
        pairs = min(training.films, len(self._ids)) * training.queries
        self.steps = training.steps or training.epochs * -(-len(data.dialogues) // pairs)

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> dict[str, Tensor]:
        rng = np.random.default_rng([self.seed, step])
        count = min(self.training.films, len(self._ids))
        chosen = [self._ids[place] for place in rng.choice(len(self._ids), count, replace=False)]
        queries = [self._query(video_id, rng) for video_id in chosen for _ in range(self.training.queries)]
        shown = [self._film(video_id, rng) for video_id in chosen]
        input_ids, mask = self.method.tokenize(self.tokenizer, [query.text for query in queries], self.config)
        relevant = torch.zeros(len(queries), len(self._column), dtype=torch.bool)
        for row, query in enumerate(queries):
            relevant[row, [self._column[video_id] for video_id in query.videos]] = True
        return {
            "input_ids": input_ids,
            "mask": mask,
            "pixels": torch.stack([pixels for pixels, _ in shown]),
            "frame_mask": torch.stack([frame_mask for _, frame_mask in shown]),
            "film": torch.arange(count).repeat_interleave(self.training.queries),
            "columns": torch.tensor([self._column[video_id] for video_id in chosen]),
            "relevant": relevant,
        }

    def _query(self, video_id: str, rng: np.random.Generator) -> RetrievalQuery:
        captions = self._captions.get(video_id, ())
        chosen = captions if captions and rng.random() < self.training.caption_share else self._dialogues[video_id]
        return chosen[int(rng.integers(len(chosen)))]

    def _film(self, video_id: str, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        images = self.films.images(video_id)
        if not self.training.jitter:
            return self.films.sampling.film(images)
        return self.films.sampling.film_in_training(images, rng, self.training.shift)


@torch.inference_mode()
def judge(
    method: Method, model: nn.Module, tokenizer: PreTrainedTokenizerBase, data: RetrievalData
) -> dict[str, float]:
    """R@1, R@5, R@10 and MRR of the dialogue queries, gold history; from 0 to 1."""
    was_training = model.training
    model.eval()
    searcher, device = cast("Searcher", model), next(model.parameters()).device
    films = Encoded.cat(
        [
            searcher.index(searcher.encode_frames(pixels.to(device), mask.to(device)))
            for pixels, mask in data.films.batches()
        ]
    )
    column = {video_id: place for place, video_id in enumerate(data.films.ids)}
    ranks = []
    for first in range(0, len(data.dialogues), TEXTS_AT_ONCE):
        queries = data.dialogues[first : first + TEXTS_AT_ONCE]
        ids, mask = method.tokenize(tokenizer, [query.text for query in queries], searcher.config)
        scores = score(method, model, searcher.encode_texts(ids.to(device), mask.to(device)), films).cpu()
        for row, query in zip(scores, queries, strict=True):
            best = row[[column[video_id] for video_id in query.videos]].max()
            # Of equal scores the right one comes last.
            ranks.append(int((row >= best).sum()) - sum(bool(row[column[v]] == best) for v in query.videos) + 1)
    model.train(was_training)
    places = np.array(ranks)
    return {f"R@{k}": float((places <= k).mean()) for k in DEPTHS} | {"MRR": float((1 / places).mean())}


def _by_film(queries: Sequence[RetrievalQuery]) -> dict[str, list[RetrievalQuery]]:
    found: dict[str, list[RetrievalQuery]] = {}
    for query in queries:
        for video_id in query.videos:
            found.setdefault(video_id, []).append(query)
    return found
