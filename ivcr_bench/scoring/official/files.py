"""The authors' file formats of 2025, as typed records.

```
--all   IVCR-200K.json        [{"split", "type": [0..7], "conversations": [{"from": "human", "value"}, {"from": "gpt", ...}]}]
--gold  ..._dialogues_test_7.json   [[{"role": "system" | "user" | "assistant", "content"}, ...], ...], one prefix a record
RESULT  result.json           [{"user_q", "output"}, ...], one a record of --gold, in its order
```
"""  # noqa: E501 - one line a file

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, TypeVar

import msgspec
from msgspec import UNSET, Struct, UnsetType

from ivcr_bench.errors import IvcrError
from ivcr_bench.scoring.official.alignment import TurnKey, align_predictions, align_samples
from ivcr_bench.scoring.official.parsing import strip_prompt

T = TypeVar("T")

Task = Literal["video", "moment"]
NO_MOMENT = (-1.0, -1.0)
"""``gt_se`` of a turn that asks for a video."""

_GZIP = b"\x1f\x8b"

MARKER = "VIDEOTOKEN"
VIDEO_MARKERS = 10
"""A prompt with so many markers asks for a video, one with any other number for a moment."""


class Message(Struct, frozen=True):
    """One message of the raw file; all but ``speaker`` and ``value`` belong to the assistant's.

    Attributes:
        video_id: the gold film, a relative path.
        candidate_videos: ten films of the first stage, best first.
        gt_se: gold start and end in seconds, or [-1, -1] where a video is asked for; absent in natural dialogue.
    """

    speaker: str = msgspec.field(name="from")
    value: str = ""
    video_id: str | None = None
    candidate_videos: tuple[str, ...] | None = None
    gt_se: tuple[float, ...] | UnsetType | None = UNSET

    @property
    def task(self) -> Task | None:
        """What the turn asks for; ``None`` without a target."""
        if not isinstance(self.gt_se, tuple):
            return None
        return "video" if self.gt_se == NO_MOMENT else "moment"


class RawDialogue(Struct, frozen=True):
    """One record of the raw file; ``type`` is a list of one number."""

    split: str
    type: tuple[int, ...]
    conversations: tuple[Message, ...]

    @property
    def counted(self) -> bool:
        """Whether the 2025 scorer counts its turns: those of the test split, except natural dialogue."""
        return self.split == "test" and self.type != (0,)


class PromptMessage(Struct, frozen=True):
    """One message of a prompt as it went to the model."""

    role: Literal["system", "user", "assistant"]
    content: str


Sample = tuple[PromptMessage, ...]
"""A dialogue up to some turn; its last message is the gold answer, the one before it the query."""


class Prediction(Struct, frozen=True):
    """What the model said to the last query of a sample; ``user_q`` is that query with all its tags."""

    user_q: str
    output: str


@dataclass(frozen=True)
class GoldTurn:
    """A query and its gold answer; ``answer`` is ``None`` where the dialogue holds none.

    Attributes:
        key: dialogue (index in the raw file) and turn (1-based: queries are counted).
        message: index of the query in the dialogue.
    """

    key: TurnKey
    message: int
    query: str
    answer: Message | None


@dataclass(frozen=True)
class Files2025:
    """The three files of the 2025 scorer, and how their records belong together."""

    predictions: Sequence[Prediction]
    samples: Sequence[Sample]
    dialogues: Sequence[RawDialogue]

    @cached_property
    def turns(self) -> dict[TurnKey, GoldTurn]:
        """Every turn that the scorer counts, in file order."""
        return counted_turns(self.dialogues)

    @cached_property
    def turn_of_sample(self) -> list[TurnKey | None]:
        """The turn that each sample ends in; ``None`` if no counted dialogue begins so."""
        dialogues: dict[int, list[tuple[str, str]]] = {}
        for (dialogue, _), turn in self.turns.items():
            answer = turn.answer.value.strip() if turn.answer else ""
            dialogues.setdefault(dialogue, []).append((turn.query.strip(), answer))
        return align_samples([_exchanges(sample) for sample in self.samples], dialogues)

    @cached_property
    def prediction_of_sample(self) -> list[int | None]:
        """The prediction that answers each sample, by position where the texts agree, else by text."""
        asked = [strip_prompt(sample[-2].content) for sample in self.samples]
        return align_predictions([strip_prompt(prediction.user_q) for prediction in self.predictions], asked)


def counted_turns(dialogues: Sequence[RawDialogue]) -> dict[TurnKey, GoldTurn]:
    """Every turn of the dialogues that count, in file order."""
    return {
        turn.key: turn
        for index, dialogue in enumerate(dialogues)
        if dialogue.counted
        for turn in gold_turns(index, dialogue)
    }


def gold_turns(index: int, dialogue: RawDialogue) -> Iterator[GoldTurn]:
    """The turns of ``dialogue``: each query with the assistant's message that follows it."""
    messages = dialogue.conversations
    number = 0
    for i, message in enumerate(messages):
        if message.speaker == "human":
            number += 1
            following = messages[i + 1] if i + 1 < len(messages) else None
            answer = following if following is not None and following.speaker == "gpt" else None
            yield GoldTurn((index, number), i, message.value, answer)


def read_files_2025(result: Path, gold: Path, all_dialogues: Path) -> Files2025:
    """Read the three files.

    Raises:
        IvcrError: one of them cannot be read, or a record is not what it should be.
    """
    files = Files2025(
        read_records(result, Prediction),
        read_records(gold, Sample),
        read_records(all_dialogues, RawDialogue),
    )
    for number, sample in enumerate(files.samples, start=1):
        roles = [message.role for message in sample[-2:]]
        if roles != ["user", "assistant"]:
            raise IvcrError(
                f"{gold}: record {number}: found {' and '.join(roles) or 'no messages'} at its end, "
                "expected a message of the user and the gold answer of the assistant"
            )
    return files


def read_records(path: Path, kind: type[T]) -> list[T]:
    """Read a JSON array whose elements are all of ``kind``.

    Raises:
        IvcrError: naming file, record, field, what was found and what was expected.
    """
    return decode_json(read_bytes(path), path, list[kind])  # type: ignore[valid-type]


def read_bytes(path: Path) -> bytes:
    """The content of ``path``, unzipped if it is gzip.

    Raises:
        IvcrError: it cannot be opened or is cut short.
    """
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if content.startswith(_GZIP) else content
    except (EOFError, zlib.error, OSError) as error:
        raise IvcrError(f"{path}: cannot read: {getattr(error, 'strerror', None) or error}") from None


def decode_json(content: bytes, path: Path, kind: type[T]) -> T:
    """Decode ``content`` as ``kind``; ``path`` is for messages.

    Raises:
        IvcrError: naming file, record, field, what was found and what was expected.
    """
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.ValidationError as error:
        raise IvcrError(f"{path}: {_describe(str(error))}", hint="see docs/official.md for the formats") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise IvcrError(f"{path}: not valid JSON: {error}", hint="expected one JSON document, in UTF-8") from None


def _describe(message: str) -> str:
    """A message of msgspec with ``$[3].a.b`` said as record 4, field a.b."""
    text, _, place = message.partition(" - at `$")
    where = re.match(r"(?:\[(?P<record>\d+)\]|\.(?P<key>[^.\[`]+))?\.?(?P<field>[^`]*)", place)
    parts = []
    if where and where["record"]:
        parts.append(f"record {int(where['record']) + 1}")
    field = where and ".".join(part for part in (where["key"], where["field"]) if part)
    if field:
        parts.append(f"field {field!r}")
    return f"{', '.join(parts)}: {text}" if parts else text


def _exchanges(sample: Sample) -> list[tuple[str, str]]:
    """The (query, answer) pairs of a prompt, without tags."""
    talk = [message for message in sample if message.role != "system"]
    return [
        (strip_prompt(query.content), answer.content.strip())
        for query, answer in zip(talk[::2], talk[1::2], strict=False)
    ]
