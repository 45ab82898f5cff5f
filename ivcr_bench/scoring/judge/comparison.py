"""How a candidate compares with its reference: facts covered, times, attributes, denials; a question, a function."""

from __future__ import annotations

from collections.abc import Set
from enum import Enum

from ivcr_bench.scoring.judge.lexicon import ATTRIBUTES, PLAIN, RELATION, SIZE
from ivcr_bench.scoring.judge.reading import Reading
from ivcr_bench.scoring.moments import iou


class Timing(Enum):
    """How the candidate's first time fits the reference's."""

    NOT_ASKED = 0
    SAME = 1
    ROUGH = 2
    WRONG = 3
    MISSING = 4


def coverage(reference: Reading, candidate: Reading, asked: Set[str], asked_weight: float) -> float:
    """The share of the reference's facts that the candidate names, 0..1.

    Args:
        asked: the units of the user's utterances; a fact among them weighs ``asked_weight``, another one 1.
    """
    total = found = 0.0
    named = candidate.unit_set
    for unit in reference.unit_set:
        weight = asked_weight if unit in asked else 1.0
        if len(unit) == 1 and not unit.isascii():
            weight /= 2  # a Chinese word has some two characters
        total += weight
        if unit in named:
            found += weight
    return found / total if total else 0.0


def timing(reference: Reading, candidate: Reading, same_iou: float, same_seconds: float, rough_iou: float) -> Timing:
    """Compare the first time of each; an instant is rough where it lies in the reference's interval."""
    if not reference.times:
        return Timing.NOT_ASKED
    if not candidate.times:
        return Timing.MISSING
    gold, answer = reference.times[0], candidate.times[0]
    near = abs(gold[0] - answer[0]) <= same_seconds and abs(gold[1] - answer[1]) <= same_seconds
    if near or iou(gold, answer) >= same_iou:
        return Timing.SAME
    inside = answer[0] == answer[1] and gold[0] <= answer[0] <= gold[1]
    return Timing.ROUGH if inside or iou(gold, answer) >= rough_iou else Timing.WRONG


def denies(reference: Reading, candidate: Reading) -> bool:
    """Whether one of the two denies what the other asserts."""
    if not (reference.denied or candidate.denied):
        return False
    if any(denied not in reference.denied and reference.unit_set.issuperset(denied) for denied in candidate.denied):
        return True
    return not candidate.denied and any(candidate.unit_set.issuperset(denied) for denied in reference.denied)


def conflicts(reference: Reading, candidate: Reading) -> set[str]:
    """What is contradicted: the classes with another value (blue for red) or one of another thing, and relations
    whose doer and done-to changed places.

    A size is only compared with that of the same thing, as anything may be big beside something else.
    """
    found = set()
    for kind, right in reference.values.items():
        said = candidate.values.get(kind)
        if said and kind != SIZE and right - said and said - right:
            found.add(kind)
    bound = candidate.bindings()
    for (thing, kind), right in reference.bindings().items() if bound else ():
        if bound.get((thing, kind), right).isdisjoint(right):
            found.add(kind)
    if _turned_round(reference, candidate):
        found.add(RELATION)
    return found


def omits_attribute(reference: Reading, candidate: Reading, asked: Set[str]) -> bool:
    """Whether a colour, size or number that the user did not name himself is left out."""
    said = candidate.unit_set | asked
    return any(not right <= said for kind, right in reference.values.items() if kind in ATTRIBUTES)


def hedges(reference: Reading, candidate: Reading, most: int) -> bool:
    """Whether the candidate names ``most`` or more values of a class that the reference does not."""
    return any(len(said - reference.values.get(kind, set())) >= most for kind, said in candidate.values.items())


def _turned_round(reference: Reading, candidate: Reading) -> bool:
    """Whether what stood before a relation stands after it and the other way round, both of them active or passive."""
    if RELATION not in reference.kinds or RELATION not in candidate.kinds or reference.passive() != candidate.passive():
        return False
    said = {relation: (before, after) for relation, before, after in candidate.sides()}
    for relation, before, after in reference.sides():
        other_before, other_after = said.get(relation, (before, after))
        straight = len(before & other_before) + len(after & other_after)
        turned = len(before & other_after), len(after & other_before)
        if min(turned) > 0 and straight < sum(turned):
            return True
    return False


def foreign_coverage(reference: Reading, candidate: Reading) -> float:
    """The share of what a text in another language could name that it does name: concepts of the lexicon, numbers."""
    shared = candidate.unit_set & reference.unit_set
    if len(shared) < 2:
        return 0.0
    listed = {unit for unit, kind in zip(reference.units, reference.kinds, strict=True) if kind != PLAIN}
    return len(shared) / max(len(shared | listed), 1)
