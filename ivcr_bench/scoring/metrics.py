"""All metrics, each as additive statistics a turn and a figure of their sums.

That contract (sacrebleu's) is what makes a slice, a propagation rule or a resample cost one sum: no metric needs to see
a turn twice, and no fold needs to know a metric.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from ivcr_bench.schema import Intent
from ivcr_bench.scoring.dialogues import dialogue_success
from ivcr_bench.scoring.moments import recall_at_iou
from ivcr_bench.scoring.outcomes import LANGUAGES, Outcomes
from ivcr_bench.scoring.propagation import Alive
from ivcr_bench.scoring.retrieval import recall_at_k, reciprocal_rank
from ivcr_bench.scoring.text import COLUMNS, MATCHES, bleu

Statistics = NDArray[np.float64]


class Figure(Struct, frozen=True):
    """A metric's value, a fraction of 1, and the number of gold units (turns or dialogues) that it is over.

    ``value`` is ``None`` where the dataset has no such unit or the system does not do such turns: "-" in a table.
    """

    value: float | None
    n: int


@dataclass(frozen=True)
class Metric:
    """A metric.

    Attributes:
        statistics: float64 ``[turns, columns]`` of outcomes and propagation mask; rows of other turns are 0.
        figure: of the column sums over any set of turns.
        needs: what a system must do at all for the figure to mean something.
        by_turn: whether the figure makes sense for turns of one number.
    """

    name: str
    statistics: Callable[[Outcomes, Alive], Statistics]
    figure: Callable[[Statistics], Figure]
    needs: Intent | Literal["text"] | None = None
    by_turn: bool = True


def _mean_figure(sums: Statistics) -> Figure:
    score, n = sums
    return Figure(float(score / n) if n else None, int(n))


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
    return np.column_stack([outcomes.intent_right * alive, np.ones(len(outcomes))])


def _dialogue(outcomes: Outcomes, alive: Alive) -> Statistics:
    return np.column_stack([dialogue_success(outcomes.succeeded & alive, outcomes.turn), outcomes.turn == 1])


def _bleu(outcomes: Outcomes, alive: Alive) -> Statistics:
    """One block of n-gram counts and number of turns for each language. A turn that is not alive matches nothing."""
    counts = np.column_stack([outcomes.ngrams, outcomes.has_reference]).astype(np.float64)
    counts[:, MATCHES] *= alive[:, None]
    counts *= outcomes.has_reference[:, None]
    return np.hstack([counts * (outcomes.language == index)[:, None] for index in range(len(LANGUAGES))])


def _bleu_figure(sums: Statistics) -> Figure:
    """The mean of the languages, so that neither weighs more for having longer answers."""
    blocks = [block for block in sums.reshape(-1, COLUMNS + 1) if block[-1]]
    n = int(sum(block[-1] for block in blocks))
    return Figure(sum(bleu(block[:-1]) for block in blocks) / len(blocks) if blocks else None, n)


METRICS: tuple[Metric, ...] = (
    *(Metric(f"R@{k}", partial(_recall_at_k, k=k), _mean_figure, needs="video_retrieval") for k in (1, 5, 10)),
    Metric("MRR", _reciprocal_rank, _mean_figure, needs="video_retrieval"),
    *(
        Metric(f"R@1 IoU={t}", partial(_recall_at_iou, threshold=t), _mean_figure, needs="moment_retrieval")
        for t in (0.3, 0.5, 0.7)
    ),
    Metric("mIoU", _iou, _mean_figure, needs="moment_retrieval"),
    Metric("BLEU-4", _bleu, _bleu_figure, needs="text"),
    Metric("intent accuracy", _intent, _mean_figure),
    Metric("dialogue success", _dialogue, _mean_figure, by_turn=False),
)
