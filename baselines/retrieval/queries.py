"""What a retriever of single turns is asked in a dialogue: one policy, the same for all five baselines.

| policy | the query is |
| --- | --- |
| ``last`` | the last utterance of the user |
| ``concat`` | all utterances of the user so far, in order |
| ``rewrite`` | those that still count: from the latest one that opens a topic, without small talk |

Answers are never part of a query, so that a wrong one does not stay in it. A query that is too long loses its
beginning.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple, get_args

import numpy as np

from baselines.interllava.phase1 import SEPARATOR
from ivcr_bench.data.dataset import Dataset
from ivcr_bench.data.mini.build import read_truth
from ivcr_bench.data.mini.captions import caption
from ivcr_bench.data.mini.dialogues import TURN_COUNTS, split_dialogues
from ivcr_bench.data.mini.world import Film, Shot
from ivcr_bench.errors import IvcrError
from ivcr_bench.schema import LANGUAGES, Dialogue, QueryPolicy, Request, Split
from ivcr_bench.systems.intent import SEARCH, classify, refers_back

POLICIES: tuple[QueryPolicy, ...] = get_args(QueryPolicy)
FIRST_FURTHER_SEED = 1_000_000
_ELLIPTICAL = re.compile(
    r"""
    \b(?:another|other|same|similar|else|instead|different|again|like\ (?:that|this|it)|along\ (?:those|these)\ lines)\b
    | 换|类似|差不多|一样|同样|同类|同款|像这|这种|版本|还有|别的|另|也|除了|再(?:来|找|给)|不是|而是|改成
    | 完整|整部|原片|全片
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""A search that says what to change of an earlier one, or wants the whole of what was shown."""
_DESCRIBED = re.compile(r"\b(?:the|that)\ (?:\w+\ ){1,6}(?=where\b|in\ which\b|that\ has\b)", re.IGNORECASE)
"""The film where ...: it is described, not pointed at."""


class RetrievalQuery(NamedTuple):
    """What is asked for, and every film that is right."""

    text: str
    videos: tuple[str, ...]


def policy_named(name: str) -> QueryPolicy:
    """The policy that is called ``name``.

    Raises:
        IvcrError: none is.
    """
    for policy in POLICIES:
        if policy == name:
            return policy
    raise IvcrError(f"no query policy {name!r}, expected one of {', '.join(POLICIES)}")


def query_text(said: Sequence[str], policy: QueryPolicy) -> str:
    """The one query that a dialogue comes to.

    >>> said = ["find me a drama at sea", "thanks", "now a film where a star falls", "the same, but in the snow"]
    >>> query_text(said, "last"), query_text(said, "rewrite")
    ('the same, but in the snow', 'now a film where a star falls / the same, but in the snow')

    Args:
        said: the utterances of the user, the one to answer last.
    """
    if policy == "last":
        return said[-1]
    return SEPARATOR.join(said if policy == "concat" else _still_counting(said))


def request_text(request: Request, policy: QueryPolicy) -> str:
    """The query of a request."""
    return query_text([*(exchange.utterance for exchange in request.history), request.utterance], policy)


def opens_topic(utterance: str) -> bool:
    """Whether ``utterance`` can be understood alone, and asks for something; by keywords, so it may err.

    >>> opens_topic("Find me the film where a red star falls"), opens_topic("the red one, not the blue one")
    (True, False)
    """
    asks = SEARCH.search(utterance) or classify(utterance) == "moment_retrieval"
    return bool(asks) and not (refers_back(_DESCRIBED.sub("", utterance)) or _ELLIPTICAL.search(utterance))


def _still_counting(said: Sequence[str]) -> list[str]:
    first = max((place for place, utterance in enumerate(said) if opens_topic(utterance)), default=0)
    past = [utterance for utterance in said[first:-1] if classify(utterance) != "natural_dialogue"]
    return [*past, said[-1]]


def video_queries(dialogues: Iterable[Dialogue], policy: QueryPolicy) -> list[RetrievalQuery]:
    """The video-retrieval turns of ``dialogues``."""
    queries = []
    for dialogue in dialogues:
        said = [turn.utterance for turn in dialogue.turns]
        queries += [
            RetrievalQuery(query_text(said[: place + 1], policy), turn.gold.videos)
            for place, turn in enumerate(dialogue.turns)
            if turn.intent == "video_retrieval"
        ]
    return queries


def training_queries(
    dataset: Dataset, policy: QueryPolicy, seeds: int
) -> tuple[list[RetrievalQuery], list[RetrievalQuery]]:
    """The video turns of the train split, and captions of its shots if ``seeds`` and the dataset is IVCR-Mini.

    Args:
        seeds: for IVCR-Mini, as many dialogues again about the same films for each of so many seeds.
    """
    dialogues, captions = list(dataset.split("train")), []
    if dataset.card.mini is not None and seeds:
        films = films_of(dataset, "train")
        for seed in range(FIRST_FURTHER_SEED, FIRST_FURTHER_SEED + seeds):
            rng = np.random.default_rng(seed)
            dialogues += split_dialogues(films, "train", TURN_COUNTS["mini"]["train"], rng)
            captions += caption_queries(films, rng)
    return video_queries(dialogues, policy), captions


def films_of(dataset: Dataset, split: Split) -> list[Film]:
    """What the films of a split of an IVCR-Mini show.

    Raises:
        IvcrError: the dataset is no IVCR-Mini.
    """
    truth = read_truth(dataset)
    return [truth[video.video_id] for video in dataset.corpus(split).videos]


def caption_queries(films: Sequence[Film], rng: np.random.Generator) -> list[RetrievalQuery]:
    """A sentence about each shot of ``films`` in each language; right is every film that it may be about."""
    holders: dict[tuple[str, ...], dict[str, None]] = {}
    for film in films:
        for shot in film.shots:
            holders.setdefault(scene_key(shot), {})[film.video_id] = None
    return [
        RetrievalQuery(caption(shot, language, rng), tuple(holders[scene_key(shot)]))
        for film in films
        for shot in film.shots
        for language in LANGUAGES
    ]


def scene_key(shot: Shot) -> tuple[str, ...]:
    """Equal for shots that one caption may fit: it may leave out sizes and bystanders."""
    lead = shot.actors[0]
    return shot.setting, shot.action, lead.colour, lead.shape
