"""All metrics, each as additive statistics a turn and a value of their sums.

That contract (sacrebleu's) is what makes a slice, a propagation rule or a resample cost one sum: no metric needs to see
a turn twice, and no fold needs to know a metric.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ivcr_bench.schema import LANGUAGES
from ivcr_bench.scoring.dialogues import dialogue_success
from ivcr_bench.scoring.judge.accounting import NOT_JUDGED, cap, values
from ivcr_bench.scoring.moments import recall_at_iou
from ivcr_bench.scoring.outcomes import Ability, Outcomes
from ivcr_bench.scoring.propagation import Alive
from ivcr_bench.scoring.retrieval import recall_at_k, reciprocal_rank
from ivcr_bench.scoring.text import COLUMNS, MATCHES, bleu

RELEVANCE = "relevance"
"""The metric that a judge decides: its figures compare only where they are of one judge id."""

Statistics = NDArray[np.float64]
"""Float64 ``[..., columns]``: of turns, of units, or summed."""


@dataclass(frozen=True)
class Metric:
    """A metric.

    Attributes:
        statistics: ``[turns, columns]`` of outcomes and propagation mask; rows of other turns are 0.
        value: of column sums ``[..., columns]``, over any sets of turns, ``[...]``; nan over none.
        n: the number of gold units (turns or dialogues) that sums ``[columns]`` are over.
        needs: what a system must do at all for the value to mean something.
        of_dialogues: the value is about whole dialogues, so turns that are only a part of theirs have none.
    """

    name: str
    statistics: Callable[[Outcomes, Alive], Statistics]
    value: Callable[[Statistics], Statistics]
    n: Callable[[Statistics], int]
    needs: Ability | None = None
    of_dialogues: bool = False


def _mean(sums: Statistics) -> Statistics:
    score, n = sums[..., 0], sums[..., 1]
    value = np.full(n.shape, np.nan)
    np.divide(score, n, out=value, where=n > 0)
    return value


def _count(sums: Statistics) -> int:
    return int(sums[1])


def _recall_at_k(outcomes: Outcomes, alive: Alive, *, k: int) -> Statistics:
    asked = outcomes.asks("video_retrieval")
    return np.column_stack([recall_at_k(outcomes.rank, k) * alive * asked, asked])


def _reciprocal_rank(outcomes: Outcomes, alive: Alive) -> Statistics:
    asked = outcomes.asks("video_retrieval")
    return np.column_stack([reciprocal_rank(outcomes.rank) * alive * asked, asked])


def _recall_at_iou(outcomes: Outcomes, alive: Alive, *, threshold: float) -> Statistics:
    asked = outcomes.asks("moment_retrieval")
    return np.column_stack([recall_at_iou(outcomes.iou, threshold) * alive * asked, asked])


def _iou(outcomes: Outcomes, alive: Alive) -> Statistics:
    asked = outcomes.asks("moment_retrieval")
    return np.column_stack([outcomes.iou * alive * asked, asked])


def _intent(outcomes: Outcomes, alive: Alive) -> Statistics:
    return np.column_stack([outcomes.intent_right & alive, np.ones(len(outcomes))])


def _dialogue(outcomes: Outcomes, alive: Alive) -> Statistics:
    return np.column_stack([dialogue_success(outcomes.succeeded & alive, outcomes.turn), outcomes.turn == 1])


def _bleu(outcomes: Outcomes, alive: Alive) -> Statistics:
    """One block of n-gram counts and number of turns for each language. A turn that is not alive matches nothing."""
    statistics = np.zeros((len(outcomes), len(LANGUAGES), COLUMNS + 1))
    for language in range(len(LANGUAGES)):
        spoken = outcomes.language == language
        statistics[spoken, language, :-1] = outcomes.ngrams[spoken]
        statistics[spoken, language, -1] = outcomes.has_reference[spoken]
    statistics[..., MATCHES] *= alive[:, None, None]
    return statistics.reshape(len(outcomes), -1)


def _bleu_value(sums: Statistics, *, smoothed: bool) -> Statistics:
    """The mean of the languages, so that neither weighs more for having longer answers."""
    blocks = _blocks(sums)
    spoken = blocks[..., -1] > 0
    languages = spoken.sum(axis=-1)
    total = (bleu(blocks[..., :-1], smoothed=smoothed) * spoken).sum(axis=-1)
    return np.where(languages > 0, total / np.maximum(languages, 1), np.nan)


def _bleu_count(sums: Statistics) -> int:
    return int(_blocks(sums)[..., -1].sum())


def _blocks(sums: Statistics) -> Statistics:
    """One block for each language: ``[..., languages, COLUMNS + 1]``."""
    return sums.reshape(*sums.shape[:-1], len(LANGUAGES), COLUMNS + 1)


def _relevance(outcomes: Outcomes, alive: Alive) -> Statistics:
    """A turn that the judge failed on counts, with 0."""
    value = values(cap(outcomes.label, outcomes.wrong_language))
    return np.column_stack([value * outcomes.credited * alive, outcomes.label != NOT_JUDGED])


def _video(name: str, statistics: Callable[[Outcomes, Alive], Statistics]) -> Metric:
    return Metric(name, statistics, _mean, _count, needs="video_retrieval")


def _moment(name: str, statistics: Callable[[Outcomes, Alive], Statistics]) -> Metric:
    return Metric(name, statistics, _mean, _count, needs="moment_retrieval")


METRICS: tuple[Metric, ...] = (
    *(_video(f"R@{k}", partial(_recall_at_k, k=k)) for k in (1, 5, 10)),
    _video("MRR", _reciprocal_rank),
    *(_moment(f"R@1 IoU={t}", partial(_recall_at_iou, threshold=t)) for t in (0.3, 0.5, 0.7)),
    _moment("mIoU", _iou),
    Metric("BLEU-4", _bleu, partial(_bleu_value, smoothed=False), _bleu_count, needs="text"),
    Metric("BLEU-4 smoothed", _bleu, partial(_bleu_value, smoothed=True), _bleu_count, needs="text"),
    Metric(RELEVANCE, _relevance, _mean, _count, needs="text"),
    Metric("intent accuracy", _intent, _mean, _count),
    Metric("dialogue success", _dialogue, _mean, _count, of_dialogues=True),
)
