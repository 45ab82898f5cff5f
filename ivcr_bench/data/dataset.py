"""A dataset folder, its corpus, and its fingerprint.

```
DIR/dataset.json      name, version, fingerprint, and how it was made
DIR/corpus.jsonl      one `Video` a line
DIR/dialogues.jsonl   one `Dialogue` a line
DIR/videos/*.mp4      the films; may be missing until `ensure_videos` is asked for them
DIR/truth.jsonl       IVCR-Mini only: what each film shows (`ivcr_bench.data.mini.world.Film`)
```
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import msgspec

from ivcr_bench.errors import IvcrError
from ivcr_bench.jsonl import encode_line, read_jsonl
from ivcr_bench.schema import Dialogue, Split, Video


class MiniRecipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What IVCR-Mini was generated from; enough to render any of its films again."""

    seed: int
    scale: str
    version: int


class DatasetCard(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The content of ``dataset.json``."""

    name: str
    fingerprint: str
    mini: MiniRecipe | None = None


@dataclass(frozen=True)
class Corpus:
    """The films that a system searches: those of one split, in the order of ``corpus.jsonl``."""

    root: Path
    videos: tuple[Video, ...]

    @cached_property
    def by_id(self) -> dict[str, Video]:
        """Film by id."""
        return {video.video_id: video for video in self.videos}

    def path(self, video_id: str) -> Path:
        """Where the film lies."""
        return self.root / self.by_id[video_id].path

    def __len__(self) -> int:
        return len(self.videos)


@dataclass(frozen=True)
class Dataset:
    """A dataset in memory: its card, all its films, all its dialogues."""

    root: Path
    card: DatasetCard
    videos: tuple[Video, ...]
    dialogues: tuple[Dialogue, ...]

    def corpus(self, split: Split) -> Corpus:
        """The films that queries of ``split`` range over."""
        return Corpus(self.root, tuple(v for v in self.videos if v.split in (None, split)))

    def split(self, split: Split) -> tuple[Dialogue, ...]:
        """The dialogues of ``split``, in file order.

        Raises:
            IvcrError: the split has none.
        """
        dialogues = tuple(d for d in self.dialogues if d.split == split)
        if not dialogues:
            raise IvcrError(f"{self.root / 'dialogues.jsonl'}: no dialogue has split {split!r}")
        return dialogues


def fingerprint(videos: Iterable[Video], dialogues: Iterable[Dialogue]) -> str:
    """Content hash of corpus and dialogues (SHA-256, 16 hex digits); the order of lines does not count."""
    digest = hashlib.sha256()
    for records in (videos, dialogues):
        for line in sorted(map(encode_line, records)):
            digest.update(line)
        digest.update(b"\n")
    return digest.hexdigest()[:16]


def load_folder(root: str | Path) -> Dataset:
    """Read the dataset in ``root`` and check that it is consistent and is what its card says.

    Raises:
        IvcrError: a file is missing or malformed, an id is unknown or repeated, or the fingerprint differs.
    """
    root = Path(root)
    if not (root / "dialogues.jsonl").is_file():
        raise IvcrError(
            f"{root}: no dataset here: dialogues.jsonl not found",
            hint="make one with 'ivcr-bench data mini --out DIR'",
        )
    videos = read_jsonl(root / "corpus.jsonl", Video)
    dialogues = read_jsonl(root / "dialogues.jsonl", Dialogue)
    found = fingerprint(videos, dialogues)
    card = _read_card(root, found)
    if card.fingerprint != found:
        raise IvcrError(
            f"{root}: fingerprint is {found}, dataset.json expects {card.fingerprint}",
            hint="corpus.jsonl or dialogues.jsonl was changed after it was made",
        )
    _check_ids(root, videos, dialogues)
    return Dataset(root, card, tuple(videos), tuple(dialogues))


def _read_card(root: Path, found: str) -> DatasetCard:
    path = root / "dataset.json"
    if not path.is_file():
        return DatasetCard(name=root.resolve().name, fingerprint=found)
    try:
        return msgspec.json.decode(path.read_bytes(), type=DatasetCard)
    except (OSError, msgspec.DecodeError) as error:
        raise IvcrError(f"{path}: not a dataset card: {error}") from None


def _check_ids(root: Path, videos: Sequence[Video], dialogues: Sequence[Dialogue]) -> None:
    split_of: dict[str, Split | None] = {}
    for line, video in enumerate(videos, start=1):
        if video.video_id in split_of:
            raise IvcrError(f"{root / 'corpus.jsonl'}: record {line}: video_id {video.video_id!r} is repeated")
        split_of[video.video_id] = video.split
    seen: set[str] = set()
    for line, dialogue in enumerate(dialogues, start=1):
        place = f"{root / 'dialogues.jsonl'}: record {line}: dialogue {dialogue.dialogue_id!r}"
        if dialogue.dialogue_id in seen:
            raise IvcrError(f"{place} is repeated")
        seen.add(dialogue.dialogue_id)
        for number, turn in enumerate(dialogue.turns, start=1):
            for video_id in (*turn.gold.videos, *(turn.candidates or ())):
                if split_of.get(video_id, "unknown") not in (None, dialogue.split):
                    raise IvcrError(f"{place}, turn {number}: video {video_id!r} is not in the {dialogue.split} corpus")
