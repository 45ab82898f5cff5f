"""``--panel a,b,c``: several judges, one verdict: the median on the ordinal scale of the buckets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from ivcr_bench.errors import IvcrError
from ivcr_bench.scoring.judge.items import FLAGS, LABELS, JudgeItem, Verdict
from ivcr_bench.scoring.judge.prompt import identity
from ivcr_bench.scoring.judge.protocol import Judge

TOGETHER = 4096
"""So many items are put to one member after the other; enough to keep many calls at once busy."""


class PanelJudge:
    """Asks every member about every item. Where one fails the panel fails: a median of the others is another panel's.

    Raises:
        IvcrError: there are fewer than two members, or one twice.
    """

    def __init__(self, members: Sequence[Judge]) -> None:
        ids = [member.judge_id for member in members]
        if len(ids) < 2 or len(set(ids)) < len(ids):
            raise IvcrError(f"--panel: found {len(ids)} judges, {len(set(ids))} different, expected two or more")
        self.name = f"panel({','.join(member.name for member in members)})"
        self.judge_id = identity("panel/1", sorted(ids))
        self._members = tuple(members)

    def judge(self, items: Iterable[JudgeItem]) -> Iterator[tuple[JudgeItem, Verdict]]:
        """Yield each item once with the median verdict; up to `TOGETHER` items are held."""
        drawn = iter(items)
        while some := list(islice(drawn, TOGETHER)):
            asked = list(dict.fromkeys(some))
            said = [dict(member.judge(asked)) for member in self._members]
            for item in some:
                yield item, median([verdicts[item] for verdicts in said])


def median(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict of a panel; of an even number the lower of the two in the middle.

    A flag is raised if more than half of the members raise it; evidence is that of the members who chose the label.
    """
    labels = [verdict.label for verdict in verdicts]
    given = sorted((label for label in labels if label is not None), key=LABELS.index)
    if len(given) < len(labels):
        errors = "; ".join(verdict.error or "no reason" for verdict in verdicts if verdict.label is None)
        return Verdict(None, error=f"{len(labels) - len(given)} of {len(labels)} judges failed: {errors}")
    label = given[len(given) // 2]
    evidence = dict.fromkeys(quote for one in verdicts if one.label is label for quote in one.evidence)
    flags = (flag for flag in FLAGS if 2 * sum(flag in one.flags for one in verdicts) > len(verdicts))
    return Verdict(label, tuple(evidence), tuple(flags))
