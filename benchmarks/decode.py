"""Frames read through ivcr_bench.data.video against bare PyAV: same files, same pixels, one reformatter.

python benchmarks/decode.py [--films N] [--repeats N] [--jumps]

The bare reader decodes all frames in order and converts those that are wanted, whose numbers it is told; it checks
nothing. Time is that of the process on all cores, the best of the repeats, with the two readers taking turns. A ratio
of 1.00 is the bare speed.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from tabulate import tabulate

from ivcr_bench.data import timeline
from ivcr_bench.data.mini.encode import encode_film
from ivcr_bench.data.mini.films import sample_films
from ivcr_bench.data.mini.render import render_frames
from ivcr_bench.data.video import Frames, probe, sample_rate, sample_uniform

SMALL = (64, 64)
LONG_SECONDS, LONG_RATE, LONG_SIZE, LONG_GROUP = 600, 25, (320, 240), 250

Reader = Callable[[Path], np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--films", type=int, default=20, help="films of IVCR-Mini")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--jumps", action="store_true", help="measure where a jump to a keyframe pays instead")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        if options.jumps:
            measure_jumps(Path(name), options.repeats)
        else:
            compare(mini_films(Path(name), options.films), long_film(Path(name)), options.repeats)


def compare(mini: Sequence[Path], long: Path, repeats: int) -> None:
    """Print a table: seconds, frames of film a second and ratio, for each way to sample."""
    rows = []
    for title, films, read, choose in (
        ("mini, every frame", mini, partial(sample_rate, rate=8), every),
        ("mini, every frame, to 64x64", mini, partial(sample_rate, rate=8, size=SMALL), every),
        ("mini, 2 a second", mini, partial(sample_rate, rate=2), half_seconds),
        ("mini, 12 uniform", mini, partial(sample_uniform, n=12), twelve),
        ("10 minutes, 12 uniform", [long], partial(sample_uniform, n=12), twelve),
    ):
        size = read.keywords.get("size")
        frames = {path: probe(path).frames for path in films}
        chosen = {path: choose(count) for path, count in frames.items()}
        ours, theirs = best_times(films, pixels(read), bare_reader(chosen, size), repeats)
        total = sum(frames.values())
        rows.append((title, total / theirs, total / ours, theirs / ours))
    headers = ("films and samples", "bare, frames/s", "ours, frames/s", "ratio")
    print(tabulate(rows, headers, floatfmt=("", ",.0f", ",.0f", ".2f")))


def measure_jumps(folder: Path, repeats: int) -> None:
    """Print the time to read the middle frame of each group of pictures, jumping and decoding through."""
    rows = []
    for width, height in ((112, 112), (640, 360)):
        for group in (2, 4, 6, 8, 12, 16):
            path = folder / f"{width}-{group}.mp4"
            encode(path, 480, 24, (width, height), {"g": str(group), "bf": "0", "sc_threshold": "0"})
            read = pixels(partial(sample_uniform, n=480 // group))
            times = []
            for jump in (0, 10**9):
                timeline._JUMP_PACKETS = jump
                times.append(min(seconds(read, [path]) for _ in range(repeats)))
            rows.append((f"{width}x{height}", group // 2 - 1, 1e3 * times[0], 1e3 * times[1]))
    print(tabulate(rows, ("size", "packets left out", "jumping, ms", "through, ms"), floatfmt=".1f"))


def every(frames: int) -> list[int]:
    return list(range(frames))


def half_seconds(frames: int) -> list[int]:
    """At 8 frames a second, the frames at 0.25, 0.75, ... seconds."""
    return [min(4 * i + 2, frames - 1) for i in range(math.ceil(frames / 4))]


def twelve(frames: int) -> list[int]:
    return [frames * (2 * i + 1) // 24 for i in range(12)]


def pixels(read: Callable[[Path], Frames]) -> Reader:
    return lambda path: read(path).images


def bare_reader(chosen: dict[Path, list[int]], size: tuple[int, int] | None) -> Reader:
    def read(path: Path) -> np.ndarray:
        wanted, (width, height) = set(chosen[path]), size or (None, None)
        reformatter = VideoReformatter()
        with av.open(path) as container:
            return np.stack(
                [
                    reformatter.reformat(frame, width, height, "rgb24", threads=1).to_ndarray()
                    for number, frame in enumerate(container.decode(video=0))
                    if number in wanted
                ]
            )

    return read


def best_times(films: Sequence[Path], ours: Reader, bare: Reader, repeats: int) -> tuple[float, float]:
    for path in films:
        if not np.array_equal(ours(path), bare(path)):
            raise SystemExit(f"{path}: the two readers give different frames")
    pairs = [(seconds(ours, films), seconds(bare, films)) for _ in range(repeats)]
    return min(pair[0] for pair in pairs), min(pair[1] for pair in pairs)


def seconds(read: Reader, films: Sequence[Path]) -> float:
    start = time.process_time()
    for path in films:
        read(path)
    return time.process_time() - start


def mini_films(folder: Path, count: int) -> list[Path]:
    paths = []
    for film in sample_films(0, "mini")["test"][:count]:
        paths.append(folder / f"{film.video_id}.mp4")
        encode_film(render_frames(film), paths[-1])
    return paths


def long_film(folder: Path) -> Path:
    path = folder / "long.mp4"
    encode(path, LONG_SECONDS * LONG_RATE, LONG_RATE, LONG_SIZE, {"g": str(LONG_GROUP)})
    return path


def encode(path: Path, frames: int, rate: int, size: tuple[int, int], options: dict[str, str]) -> None:
    """A blocky picture that drifts, with a square that wanders over it."""
    width, height = size
    blocks = np.random.default_rng(0).integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), np.uint8)
    picture = blocks.repeat(8, 0).repeat(8, 1)[:height, :width]
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"crf": "26", "preset": "veryfast"} | options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(frames):
            image = np.roll(picture, (number // 2, number), (0, 1))
            top, left = number * 5 % (height - 20), number * 7 % (width - 20)
            image[top : top + 20, left : left + 20] = (255, number % 256, 0)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


if __name__ == "__main__":
    main()
