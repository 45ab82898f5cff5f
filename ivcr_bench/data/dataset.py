"""A dataset folder and its corpus.

```
DIR/dataset.json      name, version, fingerprint, and how it was made
DIR/corpus.jsonl      one `Video` a line
DIR/dialogues.jsonl   one `Dialogue` a line
DIR/videos/*.mp4      the films; may be missing until `ensure_videos` is asked for them
DIR/truth.jsonl       IVCR-Mini only: what each film shows (`ivcr_bench.data.mini.world.Film`)
```
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import msgspec

from ivcr_bench.data.fingerprint import RunningFingerprint, fingerprint
from ivcr_bench.errors import IvcrError
from ivcr_bench.jsonl import decode_canonical, iter_lines, read_jsonl
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

    @cached_property
    def durations(self) -> dict[str, float]:
        """Seconds by film id."""
        return {video.video_id: video.duration for video in self.videos}

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
        return Corpus(self.root, tuple(video for video in self.videos if video.in_corpus_of(split)))

    def split(self, split: Split) -> tuple[Dialogue, ...]:
        """The dialogues of ``split``, in file order.

        Raises:
            IvcrError: the split has none.
        """
        dialogues = tuple(d for d in self.dialogues if d.split == split)
        if not dialogues:
            raise IvcrError(f"{self.root / 'dialogues.jsonl'}: no dialogue has split {split!r}")
        return dialogues


def load_folder(root: str | Path) -> Dataset:
    """Read the dataset in ``root`` and check that it is consistent and is what its card says.

    Raises:
        IvcrError: a file is missing or malformed, an id is unknown or repeated, or the fingerprint differs.
    """
    dialogues: list[Dialogue] = []
    card, videos = scan_folder(root, dialogues.append)
    return Dataset(Path(root), card, videos, tuple(dialogues))


def scan_folder(root: str | Path, keep: Callable[[Dialogue], object]) -> tuple[DatasetCard, tuple[Video, ...]]:
    """Check the dataset in ``root`` as `load_folder` does, holding one dialogue at a time.

    Args:
        keep: called with each dialogue, in file order; what it makes of them counts only once this returns.

    Returns:
        the card, and all films.

    Raises:
        IvcrError: as `load_folder`.
    """
    root = Path(root)
    path = root / "dialogues.jsonl"
    if not path.is_file():
        raise IvcrError(
            f"{root}: no dataset here: dialogues.jsonl not found",
            hint="make one with 'ivcr-bench data mini --out DIR'",
        )
    videos = tuple(read_jsonl(root / "corpus.jsonl", Video))
    split_of = _split_of(root, videos)
    seen: set[str] = set()
    running = RunningFingerprint(videos)
    decoder = msgspec.json.Decoder(Dialogue)
    for number, line in iter_lines(path):
        dialogue, canonical = decode_canonical(line, decoder, path, number)
        _check_ids(dialogue, split_of, seen, f"{path}:{number}")
        running.add(canonical)
        keep(dialogue)
    found = running.end() if running.in_order else fingerprint(videos, read_jsonl(path, Dialogue))
    card = _read_card(root, found)
    if card.fingerprint != found:
        raise IvcrError(
            f"{root}: fingerprint is {found}, dataset.json expects {card.fingerprint}",
            hint="corpus.jsonl or dialogues.jsonl was changed after it was made",
        )
    return card, videos


def _read_card(root: Path, found: str) -> DatasetCard:
    path = root / "dataset.json"
    if not path.is_file():
        return DatasetCard(name=root.resolve().name, fingerprint=found)
    try:
        return msgspec.json.decode(path.read_bytes(), type=DatasetCard)
    except (OSError, msgspec.DecodeError) as error:
        raise IvcrError(f"{path}: not a dataset card: {error}") from None


def _split_of(root: Path, videos: Sequence[Video]) -> dict[str, Split | None]:
    split_of: dict[str, Split | None] = {}
    for record, video in enumerate(videos, start=1):
        if video.video_id in split_of:
            raise IvcrError(f"{root / 'corpus.jsonl'}: record {record}: video_id {video.video_id!r} is repeated")
        split_of[video.video_id] = video.split
    return split_of


def _check_ids(dialogue: Dialogue, split_of: Mapping[str, Split | None], seen: set[str], place: str) -> None:
    place = f"{place}: dialogue {dialogue.dialogue_id!r}"
    if dialogue.dialogue_id in seen:
        raise IvcrError(f"{place} is repeated")
    seen.add(dialogue.dialogue_id)
    for number, turn in enumerate(dialogue.turns, start=1):
        for video_id in (*turn.gold.videos, *(turn.candidates or ())):
            if split_of.get(video_id, "unknown") not in (None, dialogue.split):
                raise IvcrError(f"{place}, turn {number}: video {video_id!r} is not in the {dialogue.split} corpus")
