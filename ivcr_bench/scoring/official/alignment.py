"""Which records of the authors' files are about the same turn: the files hold no ids, only order and text."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence

TurnKey = tuple[int, int]
"""Dialogue (index in its file) and turn (1-based)."""

Exchanges = Sequence[tuple[str, str]]
"""(query, gold answer) of each turn."""

_ROOT = -1


def align_samples(samples: Sequence[Exchanges], dialogues: Mapping[int, Exchanges]) -> list[TurnKey | None]:
    """The turn that each sample ends in: that of the dialogue which begins with the sample's exchanges.

    Of several dialogues with the same beginning, each serves one sample, in file order.

    >>> twice = [("q", "a"), ("r", "b")]
    >>> align_samples([[("q", "a")], twice, twice, [("x", "y")]], {5: twice, 9: twice})
    [(5, 1), (5, 2), (9, 2), None]
    """
    children: dict[tuple[int, str, str], int] = {}
    unused: dict[int, deque[TurnKey]] = defaultdict(deque)
    for index, exchanges in dialogues.items():
        node = _ROOT
        for number, (query, answer) in enumerate(exchanges, start=1):
            node = children.setdefault((node, query, answer), len(children))
            unused[node].append((index, number))
    found: list[TurnKey | None] = []
    for sample in samples:
        end: int | None = _ROOT
        for query, answer in sample:
            end = children.get((end, query, answer)) if end is not None else None
        queue = unused[end] if end is not None and end != _ROOT else None
        found.append(queue.popleft() if queue else None)
    return found


def align_predictions(predicted: Sequence[str], asked: Sequence[str]) -> list[int | None]:
    """For each query of ``asked`` the index of the prediction that answers it, ``None`` if there is none.

    Files of one length whose texts agree are joined by position. Otherwise a prediction belongs to the next query with
    its text, so that one that is missing shifts no other; where the order is another, to the first that is free. In
    files of one length, those that are left on both sides at the same position belong together: their text was edited.

    >>> align_predictions(["a", "b", "a"], ["a", "b", "c", "a"])
    [0, 1, None, 2]
    >>> align_predictions(["B", "a"], ["b", "a"])
    [0, 1]
    """
    if list(predicted) == list(asked):
        return list(range(len(asked)))
    places: dict[str, list[int]] = defaultdict(list)
    for position, text in enumerate(asked):
        places[text].append(position)
    answer_to: list[int | None] = [None] * len(asked)
    left, after = [], 0
    for index, text in enumerate(predicted):
        free = places.get(text, [])
        if not free:
            left.append(index)
            continue
        position = free.pop(min(bisect_left(free, after), len(free) - 1) if free[-1] >= after else 0)
        answer_to[position] = index
        after = max(after, position)
    if len(predicted) == len(asked):
        for index in left:
            if answer_to[index] is None:
                answer_to[index] = index
    return answer_to
