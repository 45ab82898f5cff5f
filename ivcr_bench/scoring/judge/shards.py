"""Requests of one batch, on disk beside the verdict store from before they are sent until their verdicts are stored."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import msgspec

from ivcr_bench.errors import IvcrError
from ivcr_bench.jsonl import encode_line, write_atomically
from ivcr_bench.scoring.judge.items import JudgeItem
from ivcr_bench.scoring.judge.openai_client import request_body

BATCHES = "batches"
"""The folder of the shards, in that of the verdict store."""


class Asked(msgspec.Struct, frozen=True, omit_defaults=True):
    """An item of a shard.

    Attributes:
        at_most: USD that its request can cost.
        repeated: the same content is asked for already, so this item has no request of its own.
    """

    key: str
    item: JudgeItem
    at_most: Decimal
    repeated: bool = False


class Handle(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of a shard's batch.

    Attributes:
        batch_id: the provider's name for it; ``None`` if the shard may not have been sent.
    """

    judge_id: str
    batch_id: str | None = None


class Shard:
    """Some items, in memory while it is filled, on disk from `save` to `forget`.

    Attributes:
        name: of its files; the batch carries it, too.
        at_most: USD that its requests can cost.
        size: of its requests, in bytes.
    """

    def __init__(self, folder: Path, name: str, handle: Handle) -> None:
        self.name, self.handle = name, handle
        self.at_most, self.size = Decimal(0), 0
        self._items = folder / f"{name}.items.jsonl"
        self._handle = folder / f"{name}.handle.json"
        self._filling: list[Asked] = []
        self._requests = 0

    @classmethod
    def new(cls, folder: Path, judge_id: str) -> Shard:
        """An empty shard for the store in ``folder``."""
        return cls(folder / BATCHES, secrets.token_hex(8), Handle(judge_id))

    def __len__(self) -> int:
        return self._requests

    def __bool__(self) -> bool:
        return bool(self._requests or self._filling)

    def add(self, asked: Asked, size: int) -> None:
        """Put ``asked``, whose request has ``size`` bytes, behind the others."""
        self._filling.append(asked)
        self._count(asked)
        self.size += size

    def save(self) -> None:
        """Write the shard to disk; it is an open shard from now on."""
        write_atomically(self._items, map(encode_line, self._filling))
        self._filling = []
        self._write(self.handle)

    def set_batch(self, batch_id: str) -> None:
        """Keep the provider's name for the batch."""
        self.handle = Handle(self.handle.judge_id, batch_id)
        self._write(self.handle)

    def forget(self) -> None:
        """Delete the files: all that the batch brought is stored elsewhere."""
        self._handle.unlink()
        self._items.unlink()

    def items(self) -> Iterator[Asked]:
        """The items, in the order in which they were added.

        Raises:
            IvcrError: the file is damaged.
        """
        decoder = msgspec.json.Decoder(Asked)
        with self._items.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                try:
                    yield decoder.decode(line)
                except (msgspec.DecodeError, UnicodeDecodeError):
                    raise IvcrError(f"{self._items}:{number}: is damaged, expected an item of a batch") from None

    def requests(self) -> Iterator[Asked]:
        """The items that have a request of their own."""
        return (asked for asked in self.items() if not asked.repeated)

    def request_lines(self, judge_id: str, model: str) -> bytes:
        """What is uploaded: one request a line, named by the key of its verdict."""
        return b"".join(
            msgspec.json.encode(
                {
                    "custom_id": asked.key,
                    "method": "POST",
                    "url": "/v1/chat/completions",
                    "body": request_body(asked.item, judge_id, model),
                }
            )
            + b"\n"
            for asked in self.requests()
        )

    def call(self, key: str) -> str:
        """The name of a request in the ledger."""
        return f"{self.name}/{key[:16]}"

    def _count(self, asked: Asked) -> None:
        self.at_most += asked.at_most
        self._requests += not asked.repeated

    def _write(self, handle: Handle) -> None:
        write_atomically(self._handle, [msgspec.json.encode(handle)])

    @classmethod
    def read(cls, handle_path: Path) -> Shard:
        """A shard that an earlier run left on disk.

        Raises:
            IvcrError: its files are damaged.
        """
        try:
            handle = msgspec.json.decode(handle_path.read_bytes(), type=Handle)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise IvcrError(f"{handle_path}: is damaged, expected the handle of a batch") from None
        shard = cls(handle_path.parent, handle_path.name.removesuffix(".handle.json"), handle)
        for asked in shard.items():
            shard._count(asked)
        return shard


def open_shards(folder: Path, judge_id: str) -> list[Shard]:
    """The shards beside the store in ``folder`` whose verdicts are not stored yet.

    Raises:
        IvcrError: one is damaged.
    """
    shards = [Shard.read(path) for path in sorted((folder / BATCHES).glob("*.handle.json"))]
    return [shard for shard in shards if shard.handle.judge_id == judge_id]
