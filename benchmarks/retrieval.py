"""Queries a second and peak memory of the five retrieval baselines against the size of the corpus.

python benchmarks/retrieval.py [--sizes 500 12516 100000 1000000] [--methods clip4clip x_pool ...] [--threads 1]

Films are random index entries of the published sizes (width 512, twelve frames; BLIP-2: 32 queries of width 256), and
what is timed is the search alone: texts and films are encoded. Larger corpora than `SHARD` are the same shard again
and again, as a corpus on disk would be streamed: memory stays what one shard takes, at any size.

"of matmul" is, for methods of one vector a film, the time over that of ``torch.matmul`` and ``topk`` on the same
vectors. For methods that look at each pair of text and film it is the time over that of the method's own
multiplications at the speed of a large matrix product. Seconds are the processor's, so that other work on the machine
counts little; each figure is the best of some runs.
"""

from __future__ import annotations

import argparse
import importlib
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from tabulate import tabulate
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.backbones.blip2 import Blip2RetrieverConfig
from baselines.retrieval.clip_backbone import ClipConfig
from baselines.retrieval.methods import METHODS, one_vector, score
from baselines.retrieval.protocol import Encoded

SHARD = 12_516
"""Films of IVCR-200K."""
DEPTH = 100
WIDTH, FRAMES = 512, 12
SMALL_CLIP = {"vision_layers": 1, "text_layers": 4, "vocab_size": 64, "eos_token_id": 63}
"""The backbone has no part in the search; its depth is cut so that it fits beside the index."""


@dataclass(frozen=True)
class Case:
    """A method with an index of one shard, and texts."""

    name: str
    model: nn.Module
    texts: Encoded
    films: Encoded
    multiplications: float
    """Of one pair of text and film."""


def case(name: str, queries: int, films: int) -> Case:
    torch.manual_seed(0)
    method = METHODS[name]
    config: Any = method.preset("paper")
    if method.family.part == "clip":
        config = replace(config, clip=replace(ClipConfig(), **SMALL_CLIP))
    else:
        config = replace(config, blip2=replace(Blip2RetrieverConfig(), vision_layers=1, layers=2), matched=0)
    model: Any = method.build(config).eval()
    if name == "blip2":
        itc = F.normalize(torch.randn(films, FRAMES, 32, 256), dim=-1)
        vectors = F.normalize(torch.randn(queries, 256), dim=-1)
        return Case(name, model, Encoded(vectors=vectors), Encoded(itc=itc), FRAMES * 32 * 256)
    frames = {"frames": torch.randn(films, FRAMES, WIDTH)}
    mask = {"mask": torch.ones(films, FRAMES)}
    texts = Encoded(vectors=torch.randn(queries, WIDTH))
    if name == "clip4clip":
        return Case(name, model, texts, model.index(Encoded(**frames, **mask)), WIDTH)
    if name == "ts2_net":
        index = Encoded(frames=F.normalize(frames["frames"], dim=-1), **mask)
        return Case(name, model, texts, index, FRAMES * WIDTH)
    index = model.index(Encoded(**frames))
    pooling = 2 * FRAMES * WIDTH + WIDTH * WIDTH + WIDTH
    if name == "x_pool":
        return Case(name, model, texts, index, pooling)
    texts = texts.with_(seeds=torch.arange(queries, dtype=torch.int32))
    drawing = 2 * FRAMES * WIDTH + config.trials * 3 * WIDTH
    return Case(name, model, texts, index, pooling + drawing)


def search(found: Case, size: int) -> Tensor:
    """The best films of each text among ``size``, shard by shard: places ``[texts, DEPTH]``."""
    best = torch.full((len(found.texts), 0), -torch.inf)
    places = torch.zeros(len(found.texts), 0, dtype=torch.long)
    for start in range(0, size, len(found.films)):
        count = min(len(found.films), size - start)
        shard = found.films if count == len(found.films) else found.films.rows(torch.arange(count))
        scores = score(METHODS[found.name], found.model, found.texts, shard)
        top = scores.topk(min(DEPTH, count))
        best, order = torch.cat([best, top.values], 1).topk(min(DEPTH, best.shape[1] + top.values.shape[1]))
        places = torch.cat([places, top.indices + start], 1).gather(1, order)
    return places


def bare(found: Case, size: int) -> Tensor:
    """``torch.matmul`` and ``topk`` over the same vectors, shard by shard."""
    texts = F.normalize(found.texts["vectors"], dim=-1)
    parts = []
    for start in range(0, size, len(found.films)):
        shard = found.films["vectors"][: min(len(found.films), size - start)]
        parts.append((texts @ shard.T).topk(min(DEPTH, len(shard))))
    return torch.cat([part.values for part in parts], 1).topk(min(DEPTH, size)).indices


def flat(found: Case, size: int) -> Callable[[], Any] | None:
    """A search by FAISS over the same vectors, all of them in its index; ``None`` without FAISS."""
    try:
        faiss: Any = importlib.import_module("faiss")
    except ModuleNotFoundError:
        return None
    faiss.omp_set_num_threads(torch.get_num_threads())
    index = faiss.IndexFlatIP(WIDTH)
    for start in range(0, size, len(found.films)):
        index.add(found.films["vectors"][: min(len(found.films), size - start)].numpy())
    texts = F.normalize(found.texts["vectors"], dim=-1).numpy()
    return lambda: index.search(texts, min(DEPTH, size))


def seconds(run: Callable[[], object], runs: int) -> float:
    """Processor seconds of the quickest of ``runs``."""
    taken = []
    for _ in range(runs):
        start = time.process_time()
        run()
        taken.append(time.process_time() - start)
    return max(min(taken), 1e-9)


def multiplications_a_second() -> float:
    """Of a large matrix product."""
    a = torch.randn(2048, 2048)
    return 2048**3 / seconds(lambda: a @ a, 5)


def measure(name: str, sizes: list[int], queries: int, runs: int, speed: float) -> list[tuple[object, ...]]:
    found = case(name, queries, min(SHARD, max(sizes)))
    rows: list[tuple[object, ...]] = []
    for size in sizes:
        taken = seconds(lambda size=size: search(found, size), runs)
        if one_vector(found.model):
            floor = seconds(lambda size=size: bare(found, size), runs)
            by_faiss = flat(found, size)
            faiss = queries / seconds(by_faiss, runs) if by_faiss else None
        else:
            floor, faiss = queries * size * found.multiplications / speed, None
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        rows.append((name, size, queries / taken, taken / floor, faiss, memory))
    return rows


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[500, 12_516, 100_000, 1_000_000])
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--queries", type=int, default=64)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    speed = multiplications_a_second()
    print(f"matmul: {speed / 1e9:.1f} billion multiplications a second, {chosen.threads} threads")
    for name in chosen.methods:
        rows = measure(name, chosen.sizes, chosen.queries, chosen.runs, speed)
        heads = ["method", "films", "queries a second", "of matmul", "FAISS queries a second", "peak GiB so far"]
        print(tabulate(rows, heads, floatfmt=("", "d", ".1f", ".2f", ".1f", ".2f")), flush=True)


if __name__ == "__main__":
    main()
