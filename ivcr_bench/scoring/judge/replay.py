"""``replay``: the verdicts of a store, and nothing else. No network, no key, no price; what is missing is an error."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from ivcr_bench.errors import IvcrError
from ivcr_bench.jsonl import write_atomically
from ivcr_bench.scoring.judge.items import JudgeItem, Verdict
from ivcr_bench.scoring.judge.protocol import Judge
from ivcr_bench.scoring.judge.store import VerdictStore, key_of


class Signed(msgspec.Struct, frozen=True):
    """Whose verdicts a store holds; in the file ``judge-ID.json`` of its folder."""

    name: str
    judge_id: str


def sign(folder: str | Path, judge: Judge) -> None:
    """Note in the folder of a verdict store that ``judge`` uses it."""
    signed = msgspec.json.encode(Signed(judge.name, judge.judge_id))
    write_atomically(Path(folder) / f"judge-{judge.judge_id}.json", [signed, b"\n"])


class ReplayJudge:
    """Gives the verdicts that another judge gave, in its name: a report that is made so is the same to the byte.

    Args:
        store: where they are.
        which: the name or the id of that judge; it may be left out where the store knows one judge only.

    Raises:
        IvcrError: the store knows no such judge, or several.
    """

    def __init__(self, store: VerdictStore, which: str = "") -> None:
        signed = _signed(store.folder)
        fitting = [one for one in signed if which in ("", one.name, one.judge_id)]
        if len(fitting) != 1:
            found = ", ".join(f"{one.name} ({one.judge_id})" for one in signed) or "none"
            raise IvcrError(
                f"{store.folder}: found the judges {found}, expected one that replay{which and ':'}{which} means",
                hint="name the store with --store and one judge id with --judge replay:ID",
            )
        self.name, self.judge_id = fitting[0].name, fitting[0].judge_id
        self._store = store

    def judge(self, items: Iterable[JudgeItem]) -> Iterator[tuple[JudgeItem, Verdict]]:
        """Yield each item with its verdict, in the order given.

        Raises:
            IvcrError: there is none.
        """
        for item in items:
            record = self._store.get(key_of(self.judge_id, item))
            if record is None:
                raise IvcrError(
                    f"{self._store.folder}: holds no verdict of {self.name} ({self.judge_id}) on turn {item.turn} of "
                    f"dialogue {item.dialogue_id!r}",
                    hint="replay judges exactly what was judged before; ask the judge itself for the rest",
                )
            yield item, record.verdict


def _signed(folder: Path) -> list[Signed]:
    try:
        return [msgspec.json.decode(path.read_bytes(), type=Signed) for path in sorted(folder.glob("judge-*.json"))]
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise IvcrError(f"{folder}: cannot read whose verdicts it holds: {error}") from None
