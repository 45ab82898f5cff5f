"""Frames of a film by time, exact to the frame, through PyAV.

A first pass reads the packets without decoding them: it learns when each frame is shown and where decoding can
start, and finds a film that was cut short. Then only the stretches of film that hold a wanted frame are decoded.
So jumping and decoding through give the same frames, and neither a constant frame rate nor a start at 0 is assumed.
"""

from __future__ import annotations

import math
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, cast

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from ivcr_bench.data.timeline import PacketTimes, Timeline, rate_ticks, uniform_ticks
from ivcr_bench.errors import IvcrError

if TYPE_CHECKING:
    from av.packet import Packet

TimedFrame: TypeAlias = tuple[int, VideoFrame]
"""When a frame is shown (its ``pts``), and the frame."""

_KEPT_BYTES = 64 << 20
"""A film file of at most this size keeps its packets in memory after the first pass."""
_CUT_SECONDS = 1.0
"""A film that ends this long before the end it declares was cut short; less is rounding."""
_NOT_FILMS = frozenset({"concat", "dash", "hls", "image2", "tty"})
"""Formats that FFmpeg opens as video though they are text, one picture, or a list of other files."""
_EXPECTED = "expected a whole film, such as MP4, Matroska, WebM or AVI"


@dataclass(frozen=True)
class VideoInfo:
    """What a film is, measured from its packets rather than taken from its header.

    Attributes:
        duration: seconds from the start of the first frame to the end of the last.
        frames: how many frames are shown.
        rate: mean frames a second.
        width, height: pixels, as the film is shown (a phone's film may be stored turned).
    """

    duration: float
    frames: int
    rate: float
    width: int
    height: int


@dataclass(frozen=True)
class Frames:
    """Frames in the order of their sample times.

    Attributes:
        images: RGB, uint8 ``[n, height, width, 3]``.
        times: when each frame comes on screen, in seconds after the film's first frame, float64 ``[n]``.
    """

    images: NDArray[np.uint8]
    times: NDArray[np.float64]


def probe(path: str | Path) -> VideoInfo:
    """Measure a film; reads the whole file, decodes its first frame.

    Raises:
        IvcrError: ``path`` is not a whole film that can be read.
    """
    with _open_film(Path(path)) as film:
        duration = film.timeline.span * film.timeline.time_base
        frames = len(film.timeline.shown)
        return VideoInfo(float(duration), frames, float(frames / duration), film.width, film.height)


def sample_uniform(path: str | Path, n: int, size: tuple[int, int] | None = None) -> Frames:
    """The frame on screen at the middle of each of ``n`` equal intervals of the film.

    A frame that is on screen at several of these times is returned for each of them; so if ``n`` is more than
    the film has frames, frames repeat, and the last sample is still the last frame.

    Args:
        path: the film.
        n: how many frames, at least 1.
        size: ``(width, height)`` to resize to; the film's own size if omitted.

    Raises:
        IvcrError: ``path`` is not a whole film that can be read.
    """
    if n < 1:
        raise ValueError(f"n must be at least 1, not {n}")
    with _open_film(Path(path)) as film:
        return film.frames_at(uniform_ticks(film.timeline.span, n), size)


def sample_rate(path: str | Path, rate: float, size: tuple[int, int] | None = None) -> Frames:
    """The frame on screen at ``(i + 0.5) / rate`` seconds, for ``i`` in ``0 .. ceil(duration * rate) - 1``.

    Args:
        path: the film.
        rate: samples a second.
        size: ``(width, height)`` to resize to; the film's own size if omitted.

    Raises:
        IvcrError: ``path`` is not a whole film that can be read.
    """
    if not 0 < rate < math.inf:
        raise ValueError(f"rate must be a positive number, not {rate}")
    with _open_film(Path(path)) as film:
        timeline = film.timeline
        return film.frames_at(rate_ticks(timeline.span, timeline.time_base, rate), size)


def sample_numbers(
    path: str | Path, choose: Callable[[int], Sequence[int]], size: tuple[int, int] | None = None
) -> Frames:
    """Frames by number rather than by time, as many authors sample.

    Args:
        path: the film.
        choose: numbers from 0 on, ascending, given how many frames the film has.
        size: ``(width, height)`` to resize to; the film's own size if omitted.

    Raises:
        IvcrError: ``path`` is not a whole film that can be read.
    """
    with _open_film(Path(path)) as film:
        shown = film.timeline.shown
        return film.frames_at((shown[np.asarray(choose(len(shown)))] - shown[0]).tolist(), size)


class _Film:
    """An open film whose packets have been read once."""

    def __init__(self, path: Path, container: InputContainer, stream: VideoStream) -> None:
        self._path, self._container, self._stream = path, container, stream
        self._kept: list[Packet[VideoStream]] | None = [] if container.size <= _KEPT_BYTES else None
        self.timeline = self._lay_out(self._read_packets())
        first = next(self._frames_from(0), None)
        if first is None:
            raise _not_a_film(path, "no frame that can be decoded")
        frame = first[1]
        # A phone held upright stores its films lying down, and says how many quarter turns stand them up.
        self._turns = round(frame.rotation / 90)
        width, height = frame.width, frame.height
        self.width, self.height = (height, width) if self._turns % 2 else (width, height)

    def frames_at(self, ticks: Sequence[int], size: tuple[int, int] | None) -> Frames:
        """The frames on screen at ascending ``ticks`` after the first frame, resized to ``(width, height)``."""
        width, height = size or (self.width, self.height)
        stored_width, stored_height = (height, width) if self._turns % 2 else (width, height)
        wanted, places = np.unique(self.timeline.on_screen(ticks), return_inverse=True)
        images = np.empty((len(wanted), height, width, 3), np.uint8)
        times = np.empty(len(wanted))
        reformatter = VideoReformatter()
        for slot, (pts, frame) in enumerate(self._decode(wanted.tolist())):
            # One thread: starting more costs more than scaling a small frame.
            scaled = reformatter.reformat(frame, stored_width, stored_height, "rgb24", threads=1)
            images[slot] = np.rot90(_pixels(scaled), self._turns)
            times[slot] = self.timeline.seconds(pts)
        return Frames(images, times) if len(wanted) == len(ticks) else Frames(images[places], times[places])

    def _read_packets(self) -> list[PacketTimes]:
        """Read every packet once, from the first keyframe on; check that they reach the declared end.

        Matroska declares only when its longest stream ends: then the packets of all streams count, from 0 on.
        """
        stream, container, kept = self._stream, self._container, self._kept
        rows: list[PacketTimes] = []
        streams, first = ((stream,), math.inf) if stream.duration else (tuple(container.streams), 0.0)
        last, whole = -math.inf, True
        tick = [float(each.time_base or 0) for each in container.streams]
        try:
            for packet in container.demux(*streams):
                pts, dts, duration = packet.pts, packet.dts, packet.duration or 0
                whole = whole and not packet.is_corrupt
                if (stamp := dts if pts is None else pts) is not None:
                    second = tick[packet.stream_index]
                    first, last = min(first, stamp * second), max(last, (stamp + duration) * second)
                if packet.stream_index == stream.index and packet.size and (rows or packet.is_keyframe):
                    rows.append(PacketTimes(pts, dts, duration, packet.is_keyframe, packet.is_discard))
                    if kept is not None:
                        kept.append(cast("Packet[VideoStream]", packet))
        except av.FFmpegError:
            whole = False
        declared = _declared_seconds(container, stream)
        found = max(last - first, 0.0)
        if not whole or declared - found > _CUT_SECONDS:
            span = f"{found:.2f} s" + (f" of the {declared:.2f} s that it declares" if declared else "")
            raise _not_a_film(self._path, f"a film cut short or damaged, with frames for {span}")
        return rows

    def _lay_out(self, rows: Sequence[PacketTimes]) -> Timeline:
        if not rows:
            raise _not_a_film(self._path, "a video stream without a frame")
        # AVI stores packets in decoding order without presentation times; FFmpeg's guesses are wrong for B-frames.
        counted = self._container.format.name == "avi"
        timeline = Timeline.of(rows, self._stream.time_base or Fraction(0), counted)
        if timeline is None:
            raise _not_a_film(self._path, "frames without times", hint="remux it: ffmpeg -i FILM -c copy FILM.mp4")
        if timeline.span <= 0:
            raise _not_a_film(self._path, "a still picture")
        return timeline

    def _decode(self, wanted: Sequence[int]) -> Iterator[TimedFrame]:
        """For each of ascending ``wanted``, the frame on screen then."""
        for start, run in self.timeline.runs(wanted):
            frames = self._frames_from(start)
            first = next(frames, None)
            if start and (first is None or first[0] != self.timeline.pts[start]):
                # Not every packet that is marked as a keyframe is one (intra refresh).
                frames = self._frames_from(0)
                first = next(frames, None)
            yield from self._pick(run, first, frames)

    def _pick(
        self, run: Sequence[int], upcoming: TimedFrame | None, frames: Iterator[TimedFrame]
    ) -> Iterator[TimedFrame]:
        """The last of ``upcoming, *frames`` shown no later than each of ``run``.

        That is the very frame, unless its packet held no picture: then the one before stays on screen.
        """
        shown: TimedFrame | None = None
        seconds = self.timeline.seconds
        for target in run:
            while upcoming is not None and upcoming[0] <= target:
                shown, upcoming = upcoming, next(frames, None)
            if shown is None or (upcoming is None and seconds(target) - seconds(shown[0]) > _CUT_SECONDS):
                raise _not_a_film(self._path, f"nothing that can be decoded at {seconds(target):.2f} s")
            if shown[1].is_corrupt:
                raise _not_a_film(self._path, f"a damaged frame at {seconds(shown[0]):.2f} s")
            yield shown

    def _frames_from(self, start: int) -> Iterator[TimedFrame]:
        """Decode from packet ``start`` on, leaving out frames that are shown before it."""
        self._stream.codec_context.flush_buffers()
        shown = iter(self.timeline.shown.tolist())
        earliest = int(self.timeline.pts[start])
        for packet in chain(self._packets_from(start), [None]):
            for frame in self._stream.decode(packet):
                pts = next(shown, None) if self.timeline.counted else frame.pts
                if pts is not None and pts >= earliest:
                    yield pts, frame

    def _packets_from(self, start: int) -> Iterator[Packet[VideoStream]]:
        if self._kept is not None:
            return islice(self._kept, start, None)
        timeline, wanted = self.timeline, int(self.timeline.pts[start])
        for landing in (start, 0):
            self._container.seek(int(timeline.seek[landing]), stream=self._stream)
            packets = (packet for packet in self._container.demux(self._stream) if packet.size)
            for packet in packets:
                stamp = packet.dts if timeline.counted else packet.pts
                if packet.is_keyframe and stamp is not None and stamp >= wanted:
                    if stamp == wanted:
                        return chain([packet], packets)
                    break
        raise _not_a_film(self._path, f"no way to seek to {timeline.seconds(wanted):.2f} s")


@contextmanager
def _open_film(path: Path) -> Iterator[_Film]:
    _check_file(path)
    try:
        # The prefix keeps a name like "a:b.mp4" from being read as a protocol; a film may not open other files.
        with av.open(f"file:{path.absolute()}", options={"protocol_whitelist": "file"}) as container:
            yield _Film(path, container, _video_stream(path, container))
    except av.FFmpegError as error:
        raise _not_a_film(path, f"data that FFmpeg cannot read ({error.strerror})") from None


def _check_file(path: Path) -> None:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise _not_a_film(path, "a folder" if path.is_dir() else "not a regular file")
        with path.open("rb"):
            pass
    except OSError as error:
        raise IvcrError(f"{path}: cannot open the film: {error.strerror}") from None
    if not status.st_size:
        raise _not_a_film(path, "an empty file")


def _video_stream(path: Path, container: InputContainer) -> VideoStream:
    name = container.format.name
    if name in _NOT_FILMS or name.endswith("_pipe"):
        raise _not_a_film(path, f"format {name!r}")
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            if stream.codec_context is None or not stream.codec_context.width:
                raise _not_a_film(path, "a video stream that this FFmpeg cannot decode")
            return stream
    kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
    raise _not_a_film(path, f"no video stream, only {kinds}")


def _declared_seconds(container: InputContainer, stream: VideoStream) -> float:
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return (container.duration or 0) / av.time_base


def _pixels(frame: VideoFrame) -> NDArray[np.uint8]:
    """A view of an RGB frame, ``[height, width, 3]``, without the padding at the end of its lines."""
    plane = frame.planes[0]
    lines: NDArray[np.uint8] = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return lines[: frame.height, : frame.width * 3].reshape(frame.height, frame.width, 3)


def _not_a_film(path: Path, found: str, hint: str | None = None) -> IvcrError:
    return IvcrError(f"{path}: found {found}; {_EXPECTED}", hint=hint)
