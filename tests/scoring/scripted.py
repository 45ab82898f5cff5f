"""A judge that says what it is told to, and a world for it to judge."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from ivcr_bench.scoring.judge.items import JudgeItem, Label, Verdict
from ivcr_bench.scoring.judge.prompt import identity


class ScriptedJudge:
    """Answers with ``script(item)``, in the reverse order of at most ``window`` items; keeps what it was asked."""

    def __init__(self, script: Callable[[JudgeItem], Verdict], *, name: str = "scripted", window: int = 1) -> None:
        self.name, self.judge_id = name, identity(name)
        self._script, self._window = script, window
        self.asked: list[JudgeItem] = []

    def judge(self, items: Iterable[JudgeItem]) -> Iterator[tuple[JudgeItem, Verdict]]:
        held: list[JudgeItem] = []
        for item in items:
            self.asked.append(item)
            held.append(item)
            if len(held) == self._window:
                yield from ((one, self._script(one)) for one in reversed(held))
                held = []
        yield from ((one, self._script(one)) for one in reversed(held))


def always(label: Label | None, *flags: str) -> Callable[[JudgeItem], Verdict]:
    """A script that says the same of everything."""
    return lambda item: Verdict(label, flags=flags, error=None if label else "no answer")


def exact(item: JudgeItem) -> Verdict:
    """A script for a judge that likes the reference, word by word."""
    return Verdict(Label.HIGHLY if item.candidate == item.reference else Label.IRRELEVANT)
