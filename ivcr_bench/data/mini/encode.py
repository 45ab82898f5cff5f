"""Frames to an H.264 MP4 file."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

import av
from av.codec.context import Flags
from av.video.reformatter import Interpolation, VideoReformatter

from ivcr_bench.data.mini.specks import Pixels
from ivcr_bench.data.mini.world import FRAME_SIZE, FRAMES_PER_SECOND
from ivcr_bench.jsonl import write_atomically

X264 = {"crf": "26", "preset": "veryfast", "threads": "1", "mbtree": "0"}
"""Without macroblock-tree rate control: it gives other bytes for the same frames from one call to the next."""
EXACT = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.BITEXACT
KEYFRAME_EVERY = 4 * FRAMES_PER_SECOND


def encode_film(frames: Iterable[Pixels], path: Path) -> None:
    """Write ``frames`` to ``path``; a kill leaves the old file or the new one, never half a film.

    Raises:
        IvcrError: the file cannot be written (read-only folder, disk full).
    """
    write_atomically(path, [_encode(frames)])


def _encode(frames: Iterable[Pixels]) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264", rate=FRAMES_PER_SECOND, options=X264)
        stream.width = stream.height = FRAME_SIZE
        stream.pix_fmt = "yuv420p"
        stream.codec_context.gop_size = KEYFRAME_EVERY
        stream.codec_context.flags |= Flags.bitexact
        reformatter = VideoReformatter()
        for pixels in frames:
            picture = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            yuv = reformatter.reformat(picture, format="yuv420p", interpolation=EXACT, threads=1)
            container.mux(stream.encode(yuv))
        container.mux(stream.encode(None))
    return buffer.getvalue()
