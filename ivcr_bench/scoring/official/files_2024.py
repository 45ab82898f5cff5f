"""The authors' file formats of 2024, as typed records.

```
--gold  video queries    [{"Q", "video_path", "video_top10_list"}, ...]
        moment queries   [{"Q", "id", "gt_se"}, ...]
--all   dialogues        [[{"Q", "video_path", "top10_list" | "gt_se"}, ...], ...]; top10_list 0 and gt_se []: stage 1 failed
RESULT  raw              [{"vname", "query", "generated_cap", "id"}, ...]; vname is a list for a video query
        formatted        {"0": {"query", "vid", "intent", "video_id" | "timestamp"}, ...}
```

--gold and RESULT are each one file, or a folder of such files: what a record is about is seen from its fields.
"""  # noqa: E501 - one line a format

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from ivcr_bench.errors import IvcrError
from ivcr_bench.scoring.official.files import Task, decode_json, read_bytes, read_records

NOT_READABLE = -1
"""``intent`` of an output that the authors' formatter could not read."""


class GoldQuery(Struct, frozen=True):
    """A gold query: of a moment if it has ``gt_se``, else of a video."""

    Q: str
    id: int | str | None = None
    video_path: str | None = None
    video_top10_list: tuple[str, ...] | None = None
    gt_se: tuple[float, ...] | None = None


class DialogueTurn(Struct, frozen=True):
    """A turn of a dialogue; neither ``gt_se`` nor ``top10_list``: it has no task.

    Attributes:
        gt_se: gold start and end; empty where stage 1 did not rank the gold film first.
        top10_list: candidates; 0 where the gold film is not among them.
    """

    Q: str
    video_path: str | None = None
    gt_se: tuple[float, ...] | None = None
    top10_list: tuple[str, ...] | int | None = None


class RawRecord(Struct, frozen=True):
    """One output as the model gave it."""

    vname: tuple[str, ...] | str
    query: str
    generated_cap: str
    id: int | str | None = None


class FormattedRecord(Struct, frozen=True):
    """One output as the authors' formatter read it: of a moment if it has ``timestamp``, else of a video.

    Attributes:
        intent: the first sentence.
        video_id: the second sentence.
        timestamp: time ranges; at most one where the authors' parser made them.
        vid: the candidates of a video query; the film of a moment query.
    """

    query: str
    intent: str | Literal[-1]
    vid: tuple[str, ...] | str
    video_id: str | None = None
    timestamp: tuple[tuple[float, ...], ...] | None = None


@dataclass(frozen=True)
class Output:
    """One output, raw (``text``) or formatted (``record``); ``number`` is its id or its place in the file."""

    number: str
    query: str
    films: tuple[str, ...] | str
    text: str | None = None
    record: FormattedRecord | None = None

    @property
    def task(self) -> Task:
        """What was asked for."""
        if self.record is not None:
            return "video" if self.record.timestamp is None else "moment"
        return "moment" if isinstance(self.films, str) else "video"


@dataclass(frozen=True)
class Files2024:
    """The files of the three 2024 scorers.

    Attributes:
        dialogues: empty without --all; there is then no per-turn table.
    """

    videos: Sequence[Output]
    moments: Sequence[Output]
    gold_videos: Sequence[GoldQuery]
    gold_moments: Sequence[GoldQuery]
    dialogues: Sequence[Sequence[DialogueTurn]]


def read_files_2024(result: Path, gold: Path, all_dialogues: Path | None) -> Files2024:
    """Read the files; ``result`` and ``gold`` may be folders.

    Raises:
        IvcrError: one of them cannot be read, or a record is not what it should be.
    """
    queries = [query for path in _files(gold) for query in read_records(path, GoldQuery)]
    outputs = read_result(result)
    return Files2024(
        videos=[output for output in outputs if output.task == "video"],
        moments=[output for output in outputs if output.task == "moment"],
        gold_videos=[query for query in queries if query.gt_se is None],
        gold_moments=[query for query in queries if query.gt_se is not None],
        dialogues=read_records(all_dialogues, tuple[DialogueTurn, ...]) if all_dialogues else (),
    )


def read_result(result: Path) -> list[Output]:
    """Read a result file, or all of a folder.

    Raises:
        IvcrError: a file is neither raw nor formatted outputs.
    """
    return [output for path in _files(result) for output in _read_outputs(path)]


def _read_outputs(path: Path) -> list[Output]:
    content = read_bytes(path)
    if content.lstrip()[:1] == b"[":
        raw = decode_json(content, path, list[RawRecord])
        return [
            Output(str(index if record.id is None else record.id), record.query, record.vname, record.generated_cap)
            for index, record in enumerate(raw)
        ]
    formatted: Mapping[str, FormattedRecord] = decode_json(content, path, dict[str, FormattedRecord])
    for number, record in formatted.items():
        if record.video_id is None and record.timestamp is None:
            raise IvcrError(
                f"{path}: record {number!r}: found neither 'video_id' nor 'timestamp', expected one of them"
            )
    return [Output(number, record.query, record.vid, record=record) for number, record in formatted.items()]


class _Probe(Struct):
    """Tells a raw record of 2024 from one of 2025 without reading either."""

    generated_cap: object = None


def is_2024_result(result: Path) -> bool:
    """Whether a result is of 2024: a folder, a JSON object, or an array of records with ``generated_cap``.

    Raises:
        IvcrError: it cannot be read.
    """
    if result.is_dir():
        return True
    content = read_bytes(result)
    if not content.lstrip().startswith(b"["):
        return True
    try:
        records = msgspec.json.decode(content, type=list[_Probe])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return bool(records) and records[0].generated_cap is not None


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(path.glob("*.json"))
    if not found:
        raise IvcrError(f"{path}: found no *.json in the folder, expected one file for each task")
    return found
