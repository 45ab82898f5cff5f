"""Moment retrieval: the temporal IoU of the top moment, and recall at IoU thresholds.

    IoU(a, b) = |a ∩ b| / |a ∪ b|      R@1, IoU=t = mean over moment turns of [IoU >= t]      mIoU = mean of IoU

of the top moment with the gold moment that it fits best (paper section 5.1, Table 2: R@1 IoU=0.5 and 0.7). Only the top
moment counts, in the order of submission. The paper says that IoU must "exceed" the threshold, its code says ``>=``:
the code is followed. The top moment must lie in the canonical film, the one whose time the gold moments are in;
a moment of any other film scores 0. Bounds 0 and 1, higher is better.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from ivcr_bench.schema import Interval, Moment

TOLERANCE = 1e-9
"""Decimal seconds have no exact binary form: [12.3, 16.2] of [12.3, 20.1] is meant as 0.5 and comes out as less."""


def iou(a: Interval, b: Interval) -> float:
    """Length of the intersection over length of the union; two equal instants have IoU 1.

    >>> iou((0, 10), (5, 15))  # 5 s shared, 15 s covered
    0.3333333333333333
    >>> iou((0, 4), (6, 8))
    0.0
    >>> iou((5, 5), (5, 5))
    1.0
    """
    if tuple(a) == tuple(b):
        return 1.0
    overlap = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
    union = (a[1] - a[0]) + (b[1] - b[0]) - overlap
    return overlap / union if union > 0 else 0.0


def best_iou(top: Moment | None, film: str | None, gold: Iterable[Interval]) -> float:
    """IoU of ``top`` with the best of the ``gold`` moments of ``film``; 0 without a moment or in another film.

    >>> best_iou(Moment("a", 0, 4), film="a", gold=[(8, 9), (2, 6)])  # 2 s shared, 6 s covered
    0.3333333333333333
    >>> best_iou(Moment("b", 2, 6), film="a", gold=[(2, 6)])
    0.0
    """
    if top is None or top.video_id != film:
        return 0.0
    return max((iou((top.start, top.end), moment) for moment in gold), default=0.0)


def recall_at_iou(best: NDArray[np.float64], threshold: float) -> NDArray[np.float64]:
    """1 for each turn whose IoU reaches ``threshold``, else 0; float64 ``[turns]``.

    >>> recall_at_iou(np.array([0.5, 0.49, 0.9]), threshold=0.5).tolist()
    [1.0, 0.0, 1.0]
    """
    return (best >= threshold - TOLERANCE).astype(np.float64)
