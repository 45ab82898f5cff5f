"""What an answer of the moment models costs: time and memory against the length of the film, beside bare matmul.

python benchmarks/moments.py [--methods NAME ...] [--minutes 1 5 15 30 60] [--runs 5] [--json FILE]

An answer is one query about one film, as in a run, from the features of both to ranked moments in seconds; encoding
the film is not part of it, that is paid once, whatever the method. Models have the sizes of the `mini` presets and
random weights. One thread; times are the processor's, the best of the runs. "MiB" is what the process grows by at most
during an answer (Linux only), "model" what the parameters take. The arithmetic is that of matrix products,
convolutions and attention, two operations a multiply-add (2D-TAN's LSTM over the words, under 0.2 %, is left out); its
own time is what it would take at the speed of one matrix product of the shape that the method's layers have, measured
in the same run.

Clips are those of the shared features. 2D-TAN and MMN resample any film to the same number of clips, so that their
cost, which grows with its square, does not depend on the film; but how long a clip is does.
UMT's preset has positions for so many clips and refuses longer films; it is measured with a longer table.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import re
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from tabulate import tabulate
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop

from baselines.moment.features import POOLED, RATE, FilmFeatures, SharedFeatures
from baselines.moment.methods import METHODS, localise
from baselines.moment.spans import ClipGrid
from ivcr_bench.progress import track

WORDS = 16
CPU_ATTENTION = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu

Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--minutes", type=float, nargs="+", default=[1, 5, 15, 30, 60])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the table to FILE, too")
    options = parser.parse_args()
    torch.set_num_threads(1)
    features = SharedFeatures.shipped()
    widths = features.video_width, features.text_width
    rows = [
        measure(name, minutes, widths, options.runs)
        for name in track(options.methods, "Measuring")
        for minutes in options.minutes
    ]
    print(tabulate(rows, "keys", floatfmt=",.4g"))
    if options.json is not None:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")


def measure(name: str, minutes: float, widths: tuple[int, int], runs: int) -> Row:
    """A row of the table."""
    torch.manual_seed(0)
    method, duration = METHODS[name], 60 * minutes
    clips = round(duration * RATE / POOLED)
    preset = method.sized(method.preset("mini"), *widths)
    config = replace(preset, max_clips=clips) if getattr(preset, "max_clips", clips) < clips else preset
    model = method.build(config).eval().requires_grad_(False)
    video, words = F.normalize(torch.randn(clips, widths[0]), dim=-1), [torch.randn(WORDS, widths[1])]
    films = [FilmFeatures("film", video, ClipGrid.at_rate(clips, RATE / POOLED, duration))]

    def answer() -> None:
        localise(method, model, films, words, ["a query"])

    seconds = best_seconds(answer, runs)
    memory = working_bytes(answer)
    operations = count_operations(answer)
    speed = matmul_speed(*comparable_product(config, clips), runs)
    return {
        "method": name,
        "minutes": minutes,
        "clips": clips,
        "preset takes it": "yes" if config is preset else f"to {preset.max_clips}",
        "clip, s": duration / getattr(config, "clips", clips),
        "moments/s": 1 / seconds,
        "ms": 1e3 * seconds,
        "MiB": memory / 2**20,
        "model": 4 * sum(parameter.numel() for parameter in model.parameters()) / 2**20,
        "GFLOP": operations / 1e9,
        "matmul GFLOP/s": speed / 1e9,
        "ms at that": 1e3 * operations / speed,
        "ratio": seconds * speed / operations,
    }


def best_seconds(call: Callable[[], None], runs: int) -> float:
    """The processor's, of the fastest call but the first."""
    call()
    times = []
    for _ in range(runs):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return min(times)


def working_bytes(call: Callable[[], None]) -> int:
    """By how much the process grows at most during a call that is not its first."""
    call()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak so far
    before = status_bytes("VmRSS")
    call()
    return status_bytes("VmHWM") - before


def status_bytes(field: str) -> int:
    found = re.search(rf"^{field}:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found
    return 1024 * int(found[1])


def count_operations(call: Callable[[], None]) -> int:
    with FlopCounterMode(display=False, custom_mapping={CPU_ATTENTION: attention_flop}) as counter:
        call()
    return counter.get_total_flops()


def attention_flop(query: Any, key: Any, value: Any, *_: Any, out_val: Any = None, **__: Any) -> int:
    """Of the CPU's own kernel, which torch's counter does not know."""
    return sdpa_flop(query, key, value)


def comparable_product(config: Any, clips: int) -> tuple[int, int, int]:
    """Rows, inner and outer width: of a convolution over the map, or of the layer that widens the clips."""
    if hasattr(config, "layout"):
        return config.clips**2, config.width * config.kernel**2, config.width
    return clips, config.width, getattr(config, "mlp", 4 * config.width)


def matmul_speed(rows: int, inner: int, outer: int, runs: int) -> float:
    """Operations a second of a product [rows, inner] x [inner, outer]."""
    a, b = torch.randn(rows, inner), torch.randn(inner, outer)
    operations = 2 * rows * inner * outer
    repeats = max(1, int(2e8 / operations))

    def multiply() -> None:
        for _ in range(repeats):
            torch.matmul(a, b)

    return repeats * operations / best_seconds(multiply, runs)


if __name__ == "__main__":
    main()
