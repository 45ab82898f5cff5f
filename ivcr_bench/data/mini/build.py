"""IVCR-Mini on disk: make the dataset's folder, render its films when they are asked for."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.process import BaseProcess
from pathlib import Path

from ivcr_bench.data.dataset import Dataset, DatasetCard, MiniRecipe, load_folder
from ivcr_bench.data.fingerprint import fingerprint
from ivcr_bench.data.mini import VERSION
from ivcr_bench.data.mini.dialogues import generate_dialogues
from ivcr_bench.data.mini.encode import encode_film
from ivcr_bench.data.mini.films import Scale, sample_films
from ivcr_bench.data.mini.render import render_frames
from ivcr_bench.data.mini.world import Film
from ivcr_bench.errors import IvcrError
from ivcr_bench.jsonl import read_jsonl, write_jsonl
from ivcr_bench.progress import progress_bar
from ivcr_bench.schema import Split, Video


def dataset_name(seed: int, scale: Scale) -> str:
    """What this dataset is called on the command line and in its card: `mini`, `mini-seed1`, `mini-seed0-test`."""
    if scale == "mini":
        return "mini" if seed == 0 else f"mini-seed{seed}"
    return f"mini-seed{seed}-{scale}"


def generate(seed: int, scale: Scale, out: Path) -> Dataset:
    """Write the dataset of ``seed`` and ``scale`` to the folder ``out``, without its films.

    The card is written last: a folder without one is half-written, and is written again.

    Raises:
        IvcrError: ``out`` holds another dataset, or cannot be written.
    """
    recipe = MiniRecipe(seed, scale, VERSION)
    _require_free(out, recipe)
    films = sample_films(seed, scale)
    videos = tuple(_video(film, split) for split, part in films.items() for film in part)
    dialogues = tuple(generate_dialogues(films, seed, scale))
    write_jsonl(out / "truth.jsonl", (film for part in films.values() for film in part))
    write_jsonl(out / "corpus.jsonl", videos)
    write_jsonl(out / "dialogues.jsonl", dialogues)
    card = DatasetCard(dataset_name(seed, scale), fingerprint(videos, dialogues), recipe)
    write_jsonl(out / "dataset.json", [card])
    return Dataset(out, card, videos, dialogues)


def read_truth(dataset: Dataset) -> dict[str, Film]:
    """What each film of an IVCR-Mini dataset shows, by film id.

    Raises:
        IvcrError: the dataset has no ``truth.jsonl``, or it is malformed.
    """
    path = dataset.root / "truth.jsonl"
    if not path.is_file():
        raise IvcrError(f"{path}: not found; only IVCR-Mini knows what its films show")
    return {film.video_id: film for film in read_jsonl(path, Film)}


def ensure_videos(dataset: Dataset, video_ids: Iterable[str]) -> int:
    """Render those of the films that are not there yet, on all cores; return how many were rendered.

    Several processes may do this at the same time; a film is there as a whole or not at all.

    Raises:
        IvcrError: an id is unknown, a film is missing that cannot be rendered, or the folder cannot be written.
    """
    paths = {video.video_id: dataset.root / video.path for video in dataset.videos}
    wanted = list(dict.fromkeys(video_ids))
    unknown = next((video_id for video_id in wanted if video_id not in paths), None)
    if unknown is not None:
        raise IvcrError(f"{dataset.root / 'corpus.jsonl'}: no film {unknown!r}")
    missing = [video_id for video_id in wanted if not paths[video_id].is_file()]
    if not missing:
        return 0
    if dataset.card.mini is None:
        raise IvcrError(
            f"{paths[missing[0]]}: film not found ({len(missing)} of {len(wanted)} are missing)",
            hint=f"put the films of {dataset.card.name!r} there",
        )
    truth = read_truth(dataset)
    _make_folders(dataset.root, [paths[video_id] for video_id in missing])
    _render_all([(truth[video_id], paths[video_id]) for video_id in missing])
    return len(missing)


def _render_all(jobs: Sequence[tuple[Film, Path]]) -> None:
    workers = min(os.cpu_count() or 1, len(jobs))
    # A forked process would inherit the locks of whatever threads run here (torch starts many), so spawn.
    context = multiprocessing.get_context("spawn")
    with progress_bar() as bar, ProcessPoolExecutor(workers, context, _start_worker) as pool:
        task = bar.add_task("Rendering films", total=len(jobs))
        futures = [pool.submit(_render, film, path) for film, path in jobs]
        try:
            for future in as_completed(futures):
                future.result()
                bar.advance(task)
        except BrokenProcessPool:
            raise IvcrError(
                "a process that renders films has died",
                hint="is memory short? does your script guard its start with if __name__ == '__main__'?",
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)


def _start_worker() -> None:
    """Let the parent alone answer Ctrl-C, and do not outlive a parent that is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_exit_after, args=(parent,), daemon=True).start()


def _exit_after(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)


def _render(film: Film, path: Path) -> None:
    if not path.is_file():
        encode_film(render_frames(film), path)


def _make_folders(root: Path, paths: Iterable[Path]) -> None:
    for folder in sorted({path.parent for path in paths}):
        if not folder.resolve().is_relative_to(root.resolve()):
            raise IvcrError(f"{root / 'corpus.jsonl'}: path leads out of the dataset, to {folder}")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise IvcrError(f"{folder}: cannot make the folder for the films: {error.strerror}") from None


def _video(film: Film, split: Split) -> Video:
    return Video(
        video_id=film.video_id,
        path=f"videos/{film.video_id}.mp4",
        duration=film.duration,
        source="ivcr-mini",
        split=split,
        category=f"{film.setting}/{film.genre}",
    )


def _require_free(out: Path, recipe: MiniRecipe) -> None:
    """Refuse to write over a dataset that was not made from ``recipe``."""
    hint = "give --out another folder, or delete this one"
    if (out / "dataset.json").is_file():
        found = load_folder(out).card
        if found.mini != recipe:
            raise IvcrError(f"{out}: holds the dataset {found.name!r} already", hint=hint)
    elif not (out / "truth.jsonl").is_file() and any(
        (out / name).exists() for name in ("corpus.jsonl", "dialogues.jsonl", "videos")
    ):
        raise IvcrError(f"{out}: holds another dataset already", hint=hint)
