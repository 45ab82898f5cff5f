"""The content hash that names a dataset: SHA-256 over corpus and dialogues, as canonical JSON, each sorted."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from ivcr_bench.jsonl import encode_line
from ivcr_bench.schema import Dialogue, Video

DIGITS = 16


def fingerprint(videos: Iterable[Video], dialogues: Iterable[Dialogue]) -> str:
    """Content hash of corpus and dialogues (16 hex digits); the order of lines does not count."""
    running = RunningFingerprint(videos)
    for line in sorted(map(encode_line, dialogues)):
        running.add(line)
    return running.end()


class RunningFingerprint:
    """`fingerprint` of dialogues that come one at a time, so that none has to be kept.

    That takes a file whose lines are sorted, as every file is that this project writes. If one is not, `in_order`
    turns false, and whoever wants the fingerprint has to sort.
    """

    def __init__(self, videos: Iterable[Video]) -> None:
        self._digest = hashlib.sha256()
        for line in sorted(map(encode_line, videos)):
            self._digest.update(line)
        self._digest.update(b"\n")
        self._last = b""
        self.in_order = True

    def add(self, line: bytes) -> None:
        """Take in the next dialogue, as `encode_line` writes it."""
        self.in_order = self.in_order and self._last <= line
        self._last = line
        self._digest.update(line)

    def end(self) -> str:
        """The fingerprint, if all lines were `in_order`."""
        digest = self._digest.copy()
        digest.update(b"\n")
        return digest.hexdigest()[:DIGITS]
