"""How fast IVCR-Mini's films are drawn and encoded on one core, and how large they are.

python benchmarks/films.py [--films N]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from ivcr_bench.data.mini.encode import encode_film
from ivcr_bench.data.mini.films import sample_films
from ivcr_bench.data.mini.render import render_frames
from ivcr_bench.data.mini.world import FRAMES_PER_SECOND


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--films", type=int, default=20)
    films = sample_films(0, "mini")["test"][: parser.parse_args().films]
    frames = sum(film.duration for film in films) * FRAMES_PER_SECOND

    start = time.process_time()
    for film in films:
        for _ in render_frames(film):
            pass
    drawn = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        for film in films:
            encode_film(render_frames(film), Path(folder) / f"{film.video_id}.mp4")
        encoded = time.process_time()
        size = sum(path.stat().st_size for path in Path(folder).iterdir())

    print(f"films             {len(films)}, {frames:.0f} frames")
    print(f"drawn             {frames / (drawn - start):,.0f} frames a second of one core")
    print(f"drawn and encoded {frames / (encoded - drawn):,.0f} frames a second of one core")
    print(f"size              {size / len(films) / 1024:.0f} KiB a film, {size / frames:.0f} bytes a frame")


if __name__ == "__main__":
    main()
