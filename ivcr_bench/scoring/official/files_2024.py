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
from ivcr_bench.scoring.official.files import decode_json, read_bytes, read_records

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
    outputs = [output for path in _files(result) for output in read_outputs(path)]
    return Files2024(
        videos=[output for output in outputs if not _of_moment(output)],
        moments=[output for output in outputs if _of_moment(output)],
        gold_videos=[query for query in queries if query.gt_se is None],
        gold_moments=[query for query in queries if query.gt_se is not None],
        dialogues=read_records(all_dialogues, tuple[DialogueTurn, ...]) if all_dialogues else (),
    )


def read_outputs(path: Path) -> list[Output]:
    """Read one result file, raw or formatted.

    Raises:
        IvcrError: it is neither.
    """
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


def is_2024_result(content: bytes) -> bool:
    """Whether a result file is of 2024: a JSON object, or an array of records with ``generated_cap``."""
    if content.lstrip()[:1] != b"[":
        return True
    try:
        msgspec.json.decode(content, type=list[RawRecord])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _of_moment(output: Output) -> bool:
    if output.record is not None:
        return output.record.timestamp is not None
    return isinstance(output.films, str)


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(path.glob("*.json"))
    if not found:
        raise IvcrError(f"{path}: found no *.json in the folder, expected one file for each task")
    return found
