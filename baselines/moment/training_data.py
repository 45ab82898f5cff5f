"""Queries about moments: out of dialogues, whose history has to reach a model that reads one query only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import numpy as np

from baselines.moment.features import TURNS
from ivcr_bench.data.dataset import Dataset
from ivcr_bench.data.mini.build import read_truth
from ivcr_bench.data.mini.captions import caption
from ivcr_bench.data.mini.dialogues import TURN_COUNTS, split_dialogues
from ivcr_bench.data.mini.world import Film, Shot
from ivcr_bench.schema import Dialogue, Interval, Language, Split

MomentQueryPolicy = Literal["last", "concat"]
"""What of a dialogue is the query: its last utterance, or all utterances of the user up to it, in order."""
LANGUAGES: tuple[Language, Language] = ("en", "zh")
FIRST_FURTHER_SEED = 1_000_000


class MomentQuery(NamedTuple):
    """A question about a film, and every right answer in seconds."""

    video_id: str
    text: str
    moments: tuple[Interval, ...]


def query_text(history: Sequence[str], utterance: str, policy: MomentQueryPolicy) -> str:
    """The one query that a dialogue comes to: utterances with `TURNS` between them.

    Args:
        history: earlier utterances of the user.
        utterance: the one to answer.
    """
    said = [utterance] if policy == "last" else [*history, utterance]
    return TURNS.join(" ".join(text.split(TURNS)) for text in said)


def moment_queries(dialogues: Iterable[Dialogue], policy: MomentQueryPolicy) -> list[MomentQuery]:
    """The moment turns of ``dialogues``."""
    queries = []
    for dialogue in dialogues:
        said = [turn.utterance for turn in dialogue.turns]
        for place, turn in enumerate(dialogue.turns):
            if turn.intent == "moment_retrieval":
                text = query_text(said[:place], turn.utterance, policy)
                queries.append(MomentQuery(turn.gold.videos[0], text, turn.gold.moments))
    return queries


def training_queries(
    dataset: Dataset, split: Split, policy: MomentQueryPolicy, seeds: int
) -> tuple[list[MomentQuery], list[MomentQuery]]:
    """The moment turns of ``split``, and captions of its shots if ``seeds`` and the dataset is IVCR-Mini.

    Args:
        seeds: for IVCR-Mini, as many dialogues again about the same films for each of so many seeds.
    """
    dialogues, captions = list(dataset.split(split)), []
    if dataset.card.mini is not None and seeds:
        truth = read_truth(dataset)
        films = [truth[video.video_id] for video in dataset.corpus(split).videos]
        for seed in range(FIRST_FURTHER_SEED, FIRST_FURTHER_SEED + seeds):
            rng = np.random.default_rng(seed)
            dialogues += split_dialogues(films, split, TURN_COUNTS["mini"][split], rng)
            captions += caption_queries(films, rng)
    return moment_queries(dialogues, policy), captions


def caption_queries(films: Iterable[Film], rng: np.random.Generator) -> list[MomentQuery]:
    """A sentence about each shot of ``films`` in each language; the answers are all shots that it may be about."""
    queries = []
    for film in films:
        for shot in film.shots:
            moments = tuple((other.start, other.end) for other in film.shots if _alike(shot, other))
            queries += [MomentQuery(film.video_id, caption(shot, language, rng), moments) for language in LANGUAGES]
    return queries


def _alike(shot: Shot, other: Shot) -> bool:
    """Whether a caption of ``shot`` may fit ``other`` too: it may leave out sizes and bystanders."""
    lead, other_lead = shot.actors[0], other.actors[0]
    same_scene = (shot.setting, shot.action) == (other.setting, other.action)
    return same_scene and (lead.colour, lead.shape) == (other_lead.colour, other_lead.shape)
