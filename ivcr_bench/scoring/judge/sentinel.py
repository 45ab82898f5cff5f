"""The drift sentinel: turns that never change, judged anew before money is spent on the rest.

A dated model is served by somebody else, who can change it behind its name. So before a run asks its first question,
the judge is asked about fifty turns that it was asked about before. Its first labels are kept beside the verdicts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ivcr_bench.errors import IvcrError
from ivcr_bench.jsonl import write_atomically
from ivcr_bench.scoring.judge.items import JudgeItem, Label, Verdict
from ivcr_bench.scoring.judge.labelled import shipped_labels
from ivcr_bench.scoring.judge.protocol import Judge
from ivcr_bench.scoring.judge.store import key_of

if TYPE_CHECKING:
    from ivcr_bench.scoring.judge.openai_judge import OpenAIJudge

FROZEN = 50
"""So many turns, the languages in equal parts."""

MOST_CHANGED = 2
"""More changed labels than this are drift."""


class Kept(msgspec.Struct, frozen=True):
    """The file ``sentinel-ID.json``: how often the frozen turns were judged, and their labels of the first time."""

    checks: int
    labels: dict[str, Label | None]


class WatchedJudge:
    """A judge that is checked for drift before it is first asked something that its store cannot answer.

    Args:
        judge: whom to ask in the end.
        asked: whom to ask about the frozen turns: the same judge, if it answers at once.
    """

    def __init__(self, judge: Judge, asked: OpenAIJudge) -> None:
        self.name, self.judge_id = judge.name, judge.judge_id
        self._judge, self._asked = judge, asked

    def judge(self, items: Iterable[JudgeItem]) -> Iterator[tuple[JudgeItem, Verdict]]:
        """Yield each item once with its verdict.

        Raises:
            IvcrError: the judge has drifted; nothing but the frozen turns was asked.
        """
        yield from self._judge.judge(self._watched(items))

    def _watched(self, items: Iterable[JudgeItem]) -> Iterator[JudgeItem]:
        checked = False
        for item in items:
            if not checked and self._asked.stored(key_of(self.judge_id, item)) is None:
                require_steady(self._asked, self._asked.store.folder)
                checked = True
            yield item


def require_steady(judge: Judge, folder: str | Path) -> None:
    """Have ``judge`` judge the frozen turns, and compare with the first time.

    Args:
        folder: where the labels of the first time are kept.

    Raises:
        IvcrError: more than `MOST_CHANGED` labels are others now.
    """
    path = Path(folder) / f"sentinel-{judge.judge_id}.json"
    kept = _read(path)
    checks = kept.checks if kept else 0
    # A repeat of its own makes every check a question of its own, which no store has answered.
    frozen = [replace(item, repeat=checks) for item in frozen_items()]
    labels = {item.dialogue_id: verdict.label for item, verdict in judge.judge(frozen)}
    first = kept.labels if kept else labels
    changed = [name for name, label in labels.items() if first.get(name) is not label]
    write_atomically(path, [msgspec.json.encode(Kept(checks + 1, first)), b"\n"])
    if len(changed) > MOST_CHANGED:
        raise IvcrError(
            f"{judge.name} ({judge.judge_id}) has drifted: {len(changed)} of {len(labels)} frozen turns have another "
            f"label than the first time, expected at most {MOST_CHANGED}",
            hint="figures of before and after do not compare; choose another dated model",
        )


def frozen_items() -> list[JudgeItem]:
    """The first turns with text of those that the project labelled."""
    items = [turn.item() for turn in shipped_labels()]
    spoken = {language: [i for i in items if i.candidate and i.language == language] for language in ("en", "zh")}
    return [item for of_language in spoken.values() for item in of_language[: FROZEN // len(spoken)]]


def _read(path: Path) -> Kept | None:
    if not path.exists():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=Kept)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise IvcrError(f"{path}: cannot read the labels of the frozen turns: {error}") from None
