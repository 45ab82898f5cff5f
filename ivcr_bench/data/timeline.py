"""When the frames of a film are shown, and from which keyframes to decode those that are wanted.

All arithmetic is on integers: ticks of the stream's time base.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_JUMP_PACKETS = 2
"""Decoding jumps to a later keyframe if that leaves out more packets than this (``benchmarks/decode.py --jumps``)."""


def uniform_ticks(span: int, n: int) -> list[int]:
    """The last tick no later than the middle of each of ``n`` equal parts of ``span`` ticks."""
    return [span * (2 * i + 1) // (2 * n) for i in range(n)]


def rate_ticks(span: int, time_base: Fraction, rate: float) -> list[int]:
    """The last tick (of ``time_base`` seconds) no later than ``(i + 0.5) / rate``; it may lie past ``span``.

    ``rate`` is read as the simplest fraction next to it, so that 0.1 means a tenth.
    """
    step = 1 / ((Fraction(rate).limit_denominator(1_000_000) or Fraction(rate)) * time_base)
    return [step.numerator * (2 * i + 1) // (2 * step.denominator) for i in range(math.ceil(span / step))]


class PacketTimes(NamedTuple):
    """What a packet says of its frame, in ticks; ``None`` where the container does not say."""

    pts: int | None
    dts: int | None
    duration: int
    key: bool
    discard: bool


@dataclass(frozen=True)
class Timeline:
    """The packets of a video stream in decoding order, and its frames in the order in which they are shown.

    Attributes:
        pts: when the frame of each packet is shown: int64 ``[packets]``.
        seek: where to seek to find each packet: int64 ``[packets]``.
        keys: the packets that decoding can start from, ascending.
        shown: when a new frame comes on screen, ascending: int64 ``[frames]``.
        span: from the start of the first frame to the end of the last.
        time_base: seconds a tick; all of the above are in ticks.
        counted: the k-th frame decoded is the k-th shown, whatever its own time says.
    """

    pts: NDArray[np.int64]
    seek: NDArray[np.int64]
    keys: NDArray[np.intp]
    shown: NDArray[np.int64]
    span: int
    time_base: Fraction
    counted: bool

    @classmethod
    def of(cls, packets: Sequence[PacketTimes], time_base: Fraction, counted: bool) -> Timeline | None:
        """Lay out ``packets``, the first of which is a keyframe; ``None`` if they do not say their times.

        Args:
            packets: in decoding order.
            time_base: seconds a tick.
            counted: the container stores no presentation times (AVI).
        """
        counted = counted or any(packet.pts is None for packet in packets)
        stamps = [packet.dts if counted else packet.pts for packet in packets]
        if None in stamps:
            return None
        pts = np.array(stamps, np.int64)
        seek = np.array([p.dts if p.dts is not None else p.pts for p in packets], np.int64)
        on_show = ~np.array([p.discard for p in packets]) & (pts >= pts[0])
        shown = np.unique(pts[on_show])
        if not len(shown):
            return None
        tail = packets[int(np.flatnonzero(pts == shown[-1])[-1])].duration
        if tail <= 0 and len(shown) > 1:
            tail = int(np.median(np.diff(shown)))
        keys = np.flatnonzero([p.key for p in packets])
        return cls(pts, seek, keys, shown, int(shown[-1] - shown[0]) + tail, time_base, counted)

    def seconds(self, pts: int) -> float:
        """Seconds from the first frame to ``pts``."""
        return float((pts - int(self.shown[0])) * self.time_base)

    def on_screen(self, ticks: Sequence[int]) -> NDArray[np.int64]:
        """The ``pts`` of the frame on screen so many ticks after the first one, for each of ``ticks``."""
        places = np.searchsorted(self.shown, np.asarray(ticks) + self.shown[0], side="right") - 1
        frames: NDArray[np.int64] = self.shown[places]
        return frames

    def runs(self, wanted: Sequence[int]) -> Iterator[tuple[int, list[int]]]:
        """Cut ascending ``wanted`` where jumping to a keyframe is cheaper than decoding on.

        Yields the packet to start from and the ``pts`` that this stretch of decoding serves.
        """
        if self.counted:
            yield 0, list(wanted)
            return
        start, end = self._entry(wanted[0]), 0
        run: list[int] = []
        for pts in wanted:
            entry = self._entry(pts)
            if run and entry - end - 1 > _JUMP_PACKETS:
                yield start, run
                start, run = entry, []
            run.append(pts)
            end = self._packet_of[pts]
        yield start, run

    @cached_property
    def _packet_of(self) -> dict[int, int]:
        return {pts: packet for packet, pts in enumerate(self.pts.tolist())}

    def _entry(self, pts: int) -> int:
        """The last keyframe that is neither decoded nor shown after the frame of ``pts``.

        A frame decoded after a keyframe but shown before it (open GOP) needs what precedes that keyframe.
        """
        place = int(np.searchsorted(self.keys, self._packet_of[pts], side="right")) - 1
        while place > 0 and self.pts[self.keys[place]] > pts:
            place -= 1
        return int(self.keys[place])
