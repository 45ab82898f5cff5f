"""What all moment-retrieval baselines see of films and queries: the features of InterLLaVA's shipped first stage.

A film is a row for each second. A query is a row for each token of the utterance to answer, after a row for each
earlier utterance of its dialogue as a whole. That is so for every method: they differ in what they make of the same
rows. Nothing of the first stage is trained further.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from baselines.backbones.frames import normalise, tubelets
from baselines.interllava.phase1 import SHIPPED, Phase1, encode_texts, load_phase1
from baselines.moment.clip_features import normalise_rows
from baselines.moment.spans import ClipGrid
from ivcr_bench.data.dataset import Corpus
from ivcr_bench.data.features import FeatureCache, FeatureKey, video_hash
from ivcr_bench.data.video import sample_rate
from ivcr_bench.progress import track

RATE = 2.0
"""Frames a second that are encoded."""
POOLED = 2
"""How many of them are averaged to a clip, which is what a method sees: it halves the cost, moments last seconds."""
LONGEST_TEXT = 48
"""Tokens of an utterance; a longer one loses its beginning."""
TURNS = "\n"
"""Between the utterances that a query is made of."""
FRAMES_AT_ONCE = 64
TEXTS_AT_ONCE = 64
SMALLEST_SCALE = 1e-4
"""Added to deviations: a feature that never changes must not blow up."""


@dataclass(frozen=True)
class FilmFeatures:
    """A film as a localiser sees it.

    Attributes:
        rows: float32 ``[clips, video width]``.
        grid: when the clips are.
    """

    video_id: str
    rows: Tensor
    grid: ClipGrid


@dataclass(frozen=True)
class Standard:
    """Brings every feature to mean 0 and deviation 1 over the films and queries that a model is trained on.

    The first stage's frames all lie in one narrow cone: nearly nine tenths of a row are the same for every clip, and
    without this step no method finds the rest.

    Attributes:
        video_mean, video_scale, text_mean, text_scale: ``[width]``.
    """

    video_mean: Tensor
    video_scale: Tensor
    text_mean: Tensor
    text_scale: Tensor

    @classmethod
    def of(cls, films: Iterable[FilmFeatures], words: Iterable[Tensor]) -> Standard:
        """Of features that were not standardised yet."""
        video, text = torch.cat([film.rows for film in films]), torch.cat(list(words))
        return cls(video.mean(0), video.std(0) + SMALLEST_SCALE, text.mean(0), text.std(0) + SMALLEST_SCALE)

    @classmethod
    def none(cls, video_width: int, text_width: int) -> Standard:
        """Leaves features as they are."""
        video, text = torch.zeros(video_width), torch.zeros(text_width)
        return cls(video, video + 1, text, text + 1)

    def film(self, film: FilmFeatures) -> FilmFeatures:
        """``film`` with its rows standardised."""
        return replace(film, rows=(film.rows - self.video_mean) / self.video_scale)

    def words(self, rows: Tensor) -> Tensor:
        """Rows of a query, standardised."""
        return (rows - self.text_mean) / self.text_scale


class SharedFeatures:
    """Encodes films, through the feature cache, and queries.

    Args:
        standard: what features are brought to; left as the first stage gives them, of norm 1, if omitted.
    """

    def __init__(self, phase1: Phase1, cache: FeatureCache, standard: Standard | None = None) -> None:
        self.phase1, self.cache, self.standard = phase1, cache, standard

    def standardised(self, standard: Standard) -> SharedFeatures:
        """The same encoders, whose features are then brought to ``standard``."""
        return SharedFeatures(self.phase1, self.cache, standard)

    @classmethod
    def shipped(cls) -> SharedFeatures:
        """With the shipped ``mini`` weights and the user's cache."""
        return cls(load_phase1(SHIPPED / "phase1"), FeatureCache())

    @property
    def fingerprint(self) -> str:
        """Differs when the encoders, or what they encode, do."""
        return f"{self.phase1.fingerprint}-rate-{RATE:g}-pooled-{POOLED}-turns-{LONGEST_TEXT}"

    @property
    def video_width(self) -> int:
        """Of the rows of a film."""
        return self.phase1.config.blip2.shared_width

    @property
    def text_width(self) -> int:
        """Of the rows of a query: those of a film, and whether the row is of the utterance to answer."""
        return self.phase1.config.blip2.shared_width + 1

    def films(self, corpus: Corpus) -> dict[str, FilmFeatures]:
        """Every film of ``corpus``, by id."""
        ids = [video.video_id for video in corpus.videos]
        return {video_id: self.film(corpus, video_id) for video_id in track(ids, "Encoding films")}

    def film(self, corpus: Corpus, video_id: str) -> FilmFeatures:
        """One film of ``corpus``.

        Raises:
            IvcrError: it cannot be read.
        """
        path = corpus.path(video_id)
        key = FeatureKey(video_hash(path), f"rate-{RATE:g}", f"clips-{self.phase1.fingerprint}")
        frames = torch.from_numpy(self.cache.get_or_compute(key, lambda: self._encode(path))["rows"]).float()
        # A last clip of fewer frames is the mean of those.
        rows = torch.stack([clip.mean(0) for clip in frames.split(POOLED)])
        grid = ClipGrid.at_rate(len(rows), RATE / POOLED, corpus.by_id[video_id].duration)
        film = FilmFeatures(video_id, normalise_rows(rows), grid)
        return film if self.standard is None else self.standard.film(film)

    def words(self, texts: Sequence[str]) -> list[Tensor]:
        """The rows of each query: ``[rows, text width]``, but for the last column in the space of the films' rows.

        Each utterance is read by itself, since read together they blur: the text tower was trained to find the film
        that a dialogue is about, not the moment that its last utterance is about.

        Args:
            texts: utterances with `TURNS` between them, the one to answer last.
        """
        dialogues = [text.split(TURNS) for text in texts]
        rows = iter(self._utterances([utterance for dialogue in dialogues for utterance in dialogue]))
        found = [_query([next(rows) for _ in dialogue]) for dialogue in dialogues]
        return found if self.standard is None else [self.standard.words(query) for query in found]

    @torch.inference_mode()
    def _utterances(self, texts: Sequence[str]) -> list[Tensor]:
        """Projected states of the text tower, of norm 1: ``[tokens, shared width]`` for each text, [CLS] first."""
        found: list[Tensor] = []
        tower = self.phase1.retriever.text_tower
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            ids, mask = encode_texts(self.phase1.tokenizer, texts[start : start + TEXTS_AT_ONCE], LONGEST_TEXT)
            rows = normalise_rows(tower.text_projection(tower.states(ids, mask)))
            found += [text[:length] for text, length in zip(rows, mask.sum(1).tolist(), strict=True)]
        return found

    @torch.inference_mode()
    def _encode(self, path: Path) -> Mapping[str, NDArray[np.float16]]:
        film = sample_rate(path, RATE, self.phase1.image_size)
        pixels = normalise(tubelets(film.images, self.phase1.config.blip2.tubelet))
        parts = [self._encode_frames(chunk) for chunk in pixels.split(FRAMES_AT_ONCE)]
        return {"rows": torch.cat(parts).to(torch.float16).numpy()}

    def _encode_frames(self, pixels: Tensor) -> Tensor:
        """Rows of some tubelets."""
        return self.phase1.single_frame_vectors(self.phase1.blip2.encode_frames(pixels.unsqueeze(1)))


def _query(utterances: Sequence[Tensor]) -> Tensor:
    """[CLS] of each earlier utterance, then all tokens of the last one, its [CLS] where a recurrent network looks."""
    *earlier, last = utterances
    rows = torch.cat([*(utterance[:1] for utterance in earlier), last.roll(-1, 0)])
    is_last = torch.ones(len(rows), 1)
    is_last[: len(earlier)] = 0
    return torch.cat([rows, is_last], 1)
