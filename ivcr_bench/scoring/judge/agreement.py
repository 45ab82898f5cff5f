"""Agreement of a judge with labels: weighted kappa (Cohen 1968), its interval, and what no judge should fall behind.

    kappa_w = 1 - sum_ij w_ij O_ij / sum_ij w_ij E_ij      w_ij = (v_i - v_j)^2      E_ij = n_i. n_.j / n

where O_ij counts the turns that the labels put in bucket i and the judge in bucket j, and v is the value of a bucket
(1, 0.6, 0.4, 0). Unweighted kappa (Cohen 1960) is the same with w_ij = [i != j]. 1 is perfect, 0 what chance would give
with the same shares; a judge that always says the same has 0. Intervals are those of `statistics.bootstrap`, the unit
being the turn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from tabulate import tabulate

from ivcr_bench.errors import IvcrError, printable
from ivcr_bench.scoring.figures import interval_ends
from ivcr_bench.scoring.judge.items import LABELS, VALUES, Label
from ivcr_bench.scoring.judge.labelled import LabelledTurn, groups_of
from ivcr_bench.scoring.judge.protocol import Judge
from ivcr_bench.scoring.judge.trivial import trivial_labels
from ivcr_bench.scoring.statistics.bootstrap import bootstrap_sums
from ivcr_bench.scoring.statistics.resampling import unit_sums, units_of

BUCKETS = len(LABELS)
_VALUES = np.array([VALUES[label] for label in LABELS])
SQUARED = (_VALUES[:, None] - _VALUES) ** 2
"""The weights of disagreements by the values of the buckets; float64 ``[4, 4]``."""
NOMINAL = 1.0 - np.eye(BUCKETS)
"""Every disagreement weighs the same; float64 ``[4, 4]``."""

Confusions = NDArray[np.float64]
"""``[..., 4, 4]``: turns by label (down) and by what the judge said (across), best bucket first."""


class Estimate(Struct, frozen=True):
    """A figure with its 95 % interval; ``None`` where it is not defined."""

    value: float | None
    low: float | None
    high: float | None


class Agreement(Struct, frozen=True):
    """How a judge agrees with the labels of some turns.

    Attributes:
        turns: judged ones.
        mean_signed_error: of the values, judge less label: above 0, the judge is generous.
        exact: share of turns in the same bucket.
        confusion: turns by label (down) and by what the judge said (across), best bucket first.
    """

    turns: int
    weighted_kappa: Estimate
    kappa: Estimate
    mean_signed_error: Estimate
    exact: Estimate
    confusion: list[list[int]]


class AgreementReport(Struct, frozen=True):
    """A judge, and trivial judges, against the same labels.

    Attributes:
        errors: turns that the judge gave no label; in no figure.
        groups: ``all``, each language, each half, each half in each language.
        trivial: name of a trivial judge -> group -> agreement.
    """

    judge: str
    judge_id: str
    errors: int
    groups: dict[str, Agreement]
    trivial: dict[str, dict[str, Agreement]]


def agreement_report(judge: Judge, turns: Sequence[LabelledTurn]) -> AgreementReport:
    """Have ``judge`` judge the turns, and compare. A turn without text is irrelevant, and no judge is asked.

    Raises:
        IvcrError: the judge gave no verdict at all.
    """
    verdicts = {turn.turn_id: Label.IRRELEVANT for turn in turns if turn.item().candidate is None}
    asked = [turn.item() for turn in turns if turn.turn_id not in verdicts]
    for item, verdict in judge.judge(asked):
        if verdict.label is not None:
            verdicts[item.dialogue_id] = verdict.label
    judged = [turn for turn in turns if turn.turn_id in verdicts]
    if not judged:
        raise IvcrError(f"judge {judge.name}: gave no verdict on any of {len(turns)} turns")
    return AgreementReport(
        judge=judge.name,
        judge_id=judge.judge_id,
        errors=len(turns) - len(judged),
        groups=_by_group(judged, verdicts),
        trivial={name: _by_group(judged, labels) for name, labels in trivial_labels(judged).items()},
    )


def agreement(gold: Sequence[Label], said: Sequence[Label]) -> Agreement:
    """How what was ``said`` agrees with ``gold``, turn by turn; at least one turn."""
    cells = np.array([BUCKETS * LABELS.index(g) + LABELS.index(s) for g, s in zip(gold, said, strict=True)])
    one_hot = np.eye(BUCKETS * BUCKETS)[cells]
    units = units_of(len(cells))
    resampled = bootstrap_sums(unit_sums(one_hot, units, int(units.max()) + 1)).reshape(-1, BUCKETS, BUCKETS)
    confusion = one_hot.sum(axis=0).reshape(BUCKETS, BUCKETS)
    signed = _VALUES - _VALUES[:, None]
    return Agreement(
        turns=len(cells),
        weighted_kappa=_estimate(kappa(confusion, SQUARED), kappa(resampled, SQUARED)),
        kappa=_estimate(kappa(confusion, NOMINAL), kappa(resampled, NOMINAL)),
        mean_signed_error=_estimate(_mean(confusion, signed), _mean(resampled, signed)),
        exact=_estimate(_mean(confusion, np.eye(BUCKETS)), _mean(resampled, np.eye(BUCKETS))),
        confusion=confusion.astype(int).tolist(),
    )


def kappa(confusions: Confusions, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weighted kappa of confusion matrices ``[..., 4, 4]``: ``[...]``; nan where one bucket holds all turns of both.

    >>> confusion = np.array([[2, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 1, 2]], float)
    >>> float(kappa(confusion, SQUARED))  # 1 - (.16 + .16) / (2 * (3*1*.16 + 3*1*.36 + 3*2*1) / 6) = 1 - .32 / 2.52
    0.8730...
    """
    rows, columns = confusions.sum(axis=-1), confusions.sum(axis=-2)
    expected = rows[..., :, None] * columns[..., None, :] / rows.sum(axis=-1)[..., None, None]
    by_chance = (weights * expected).sum(axis=(-2, -1))
    observed = (weights * confusions).sum(axis=(-2, -1))
    return np.where(by_chance > 0, 1 - observed / np.where(by_chance > 0, by_chance, 1), np.nan)


def render_agreement(report: AgreementReport) -> str:
    """The tables that ``ivcr-bench judge agreement`` prints."""
    header = ["turns", "n", "weighted kappa", "", "kappa", "", "signed error", "", "exact"]
    rows = [[group, *_cells(found)] for group, found in report.groups.items()]
    kappas = [
        [name, *(_number(found.weighted_kappa.value) for found in groups.values())]
        for name, groups in [(report.judge, report.groups), *report.trivial.items()]
    ]
    counts = [[label, *row] for label, row in zip(LABELS, report.groups["all"].confusion, strict=True)]
    blocks = [
        f"judge     {printable(report.judge)} ({report.judge_id})\nerrors    {report.errors}",
        "Agreement with the labels; 95 % interval over turns\n" + _table(header, rows),
        "Weighted kappa beside judges that understand nothing, the last three cut where these labels like it best\n"
        + _table(["", *report.groups], kappas),
        "Labels (down) and verdicts (across), all turns\n" + _table(["", *LABELS], counts),
    ]
    return "\n\n".join(blocks) + "\n"


def _by_group(turns: Sequence[LabelledTurn], verdicts: Mapping[str, Label]) -> dict[str, Agreement]:
    members: dict[str, list[LabelledTurn]] = {}
    for group, turn in groups_of(turns):
        members.setdefault(group, []).append(turn)
    return {
        group: agreement([turn.label for turn in found], [verdicts[turn.turn_id] for turn in found])
        for group, found in members.items()
    }


def _mean(confusions: Confusions, of: NDArray[np.float64]) -> NDArray[np.float64]:
    mean: NDArray[np.float64] = (confusions * of).sum(axis=(-2, -1)) / confusions.sum(axis=(-2, -1))
    return mean


def _estimate(value: NDArray[np.float64], resampled: NDArray[np.float64]) -> Estimate:
    return Estimate(None if np.isnan(value) else float(value), *interval_ends(resampled))


def _cells(found: Agreement) -> list[str]:
    cells = [str(found.turns)]
    for estimate in (found.weighted_kappa, found.kappa, found.mean_signed_error):
        cells += [_number(estimate.value), _interval(estimate)]
    return [*cells, _number(found.exact.value)]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{round(value, 2) + 0.0:.2f}"  # no -0.00


def _interval(estimate: Estimate) -> str:
    return "" if estimate.low is None else f"[{_number(estimate.low)}, {_number(estimate.high)}]"


def _table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    alignment = ["left", *["right"] * (len(header) - 1)]
    shown = [[printable(str(cell)) for cell in row] for row in rows]
    return tabulate(shown, header, tablefmt="simple", colalign=alignment, disable_numparse=True)
