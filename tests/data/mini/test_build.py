import os
import shutil
import signal
import subprocess
import sys
import time

import msgspec
import pytest

from ivcr_bench.data import catalog
from ivcr_bench.data.catalog import open_dataset
from ivcr_bench.data.dataset import Dataset, DatasetCard, MiniRecipe, load_folder
from ivcr_bench.data.mini import VERSION, build
from ivcr_bench.data.mini.build import ensure_videos, generate, read_truth
from ivcr_bench.data.mini.films import sample_films
from ivcr_bench.errors import IvcrError

RENDER = """
import sys
from ivcr_bench.data.dataset import load_folder
from ivcr_bench.data.mini.build import ensure_videos
if __name__ == "__main__":
    print(ensure_videos(load_folder(sys.argv[1]), sys.argv[2:]))
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return generate(0, "mini", tmp_path_factory.mktemp("made") / "mini")


@pytest.fixture
def dataset(made, tmp_path) -> Dataset:
    """A fresh copy without films, so that no test sees another's."""
    shutil.copytree(made.root, tmp_path / "mini")
    return load_folder(tmp_path / "mini")


@pytest.fixture
def film_ids(made):
    """The six shortest test films."""
    films = sorted((video for video in made.videos if video.split == "test"), key=lambda video: video.duration)
    return [video.video_id for video in films[:6]]


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "render.py"
    path.write_text(RENDER)
    return [sys.executable, str(path)]


def test_what_is_written_is_what_is_returned_and_what_is_read_back(made):
    read = load_folder(made.root)
    assert read == made
    assert read.card.name == "mini"
    assert read.card.mini == MiniRecipe(0, "mini", VERSION)
    assert not (made.root / "videos").exists()


def test_corpus_and_truth_tell_of_the_same_films(made):
    truth = read_truth(made)
    assert list(truth) == [video.video_id for video in made.videos]
    assert [film for part in sample_films(0, "mini").values() for film in part] == list(truth.values())
    for video in made.videos:
        film = truth[video.video_id]
        assert video.duration == film.duration
        assert video.category == f"{film.setting}/{film.genre}"
        assert video.title is None
        assert video.source == "ivcr-mini"


def test_one_seed_one_dataset(made, tmp_path):
    again = generate(0, "mini", tmp_path / "again")
    for name in ("corpus.jsonl", "truth.jsonl", "dialogues.jsonl", "dataset.json"):
        assert (again.root / name).read_bytes() == (made.root / name).read_bytes()
    assert generate(1, "mini", tmp_path / "other").card.fingerprint != made.card.fingerprint


def test_another_dataset_is_never_written_over(dataset):
    with pytest.raises(IvcrError, match="holds the dataset 'mini' already"):
        generate(1, "mini", dataset.root)


def test_a_folder_of_somebody_else_is_never_written_over(tmp_path):
    (tmp_path / "dialogues.jsonl").write_text("mine\n")
    with pytest.raises(IvcrError, match="holds another dataset already"):
        generate(0, "mini", tmp_path)
    assert (tmp_path / "dialogues.jsonl").read_text() == "mine\n"


def test_a_half_written_folder_is_written_again(dataset, made):
    (dataset.root / "dataset.json").unlink()
    (dataset.root / "dialogues.jsonl").unlink()
    (dataset.root / "corpus.jsonl").write_bytes(b"{")
    generate(0, "mini", dataset.root)
    assert load_folder(dataset.root).card == made.card


def test_only_missing_films_are_rendered(dataset, film_ids):
    videos = dataset.root / "videos"
    assert ensure_videos(dataset, film_ids[:2]) == 2
    before = {path.name: path.stat().st_mtime_ns for path in videos.iterdir()}
    assert sorted(before) == sorted(f"{name}.mp4" for name in film_ids[:2])
    assert ensure_videos(dataset, film_ids[:3]) == 1
    after = {path.name: path.stat().st_mtime_ns for path in videos.iterdir()}
    assert len(after) == 3
    assert before.items() <= after.items()
    assert ensure_videos(dataset, film_ids[:3]) == 0


def test_two_processes_may_render_the_same_films_at_once(dataset, film_ids, script):
    both = [
        subprocess.Popen([*script, str(dataset.root), *film_ids], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    for process in both:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors.decode()
    assert sorted(path.stem for path in (dataset.root / "videos").iterdir()) == sorted(film_ids)


def test_a_killed_run_leaves_whole_films_and_no_process(dataset, film_ids, script):
    videos = dataset.root / "videos"
    process = subprocess.Popen([*script, str(dataset.root), *film_ids], stdout=subprocess.PIPE)
    deadline = time.monotonic() + 30
    while not (videos.is_dir() and any(videos.glob("*.mp4"))) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    # The workers hold the other end of standard output: it ends when the last of them has ended.
    process.communicate(timeout=20)
    assert process.returncode == -signal.SIGKILL
    whole = {path.name: path.read_bytes() for path in videos.glob("*.mp4")}
    assert 1 <= len(whole) < len(film_ids)
    shutil.rmtree(videos)
    ensure_videos(dataset, film_ids)
    assert all((videos / name).read_bytes() == content for name, content in whole.items())


def test_an_unknown_film_is_one_clear_error(dataset):
    with pytest.raises(IvcrError, match=r"corpus\.jsonl: no film 'film-99999'"):
        ensure_videos(dataset, ["film-99999"])


def test_a_missing_film_that_cannot_be_rendered_is_one_clear_error(dataset, film_ids):
    strange = Dataset(dataset.root, DatasetCard("theirs", "0" * 16), dataset.videos, dataset.dialogues)
    with pytest.raises(IvcrError, match=r"film not found \(2 of 2 are missing\).*'theirs'"):
        ensure_videos(strange, film_ids[:2])


def test_no_film_is_written_outside_of_the_dataset(dataset, tmp_path):
    video = msgspec.structs.replace(dataset.videos[0], path="../outside/film.mp4")
    strange = Dataset(dataset.root, dataset.card, (video,), ())
    with pytest.raises(IvcrError, match="leads out of the dataset"):
        ensure_videos(strange, [video.video_id])
    assert not (tmp_path / "outside").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_one_clear_error(dataset, film_ids):
    dataset.root.chmod(0o500)
    try:
        with pytest.raises(IvcrError, match="cannot make the folder for the films: Permission denied"):
            ensure_videos(dataset, film_ids)
    finally:
        dataset.root.chmod(0o700)


def test_a_folder_that_cannot_be_made_is_one_clear_error(dataset, film_ids, tmp_path):
    (dataset.root / "videos").write_text("a file in the way")
    with pytest.raises(IvcrError, match="cannot make the folder for the films: File exists"):
        ensure_videos(dataset, film_ids)
    (tmp_path / "file").write_text("")
    with pytest.raises(IvcrError, match="cannot write"):
        generate(0, "mini", tmp_path / "file" / "mini")


def test_mini_is_made_once_in_the_cache(monkeypatch, tmp_path, made):
    monkeypatch.setenv("IVCR_BENCH_CACHE", str(tmp_path))
    first = open_dataset("mini")
    assert first.root == tmp_path / f"mini-v{VERSION}-seed0-mini"
    assert first.card == made.card
    monkeypatch.setattr(build, "generate", None)
    assert open_dataset("mini") == first


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        ("mini", (0, "mini")),
        ("mini-seed7", (7, "mini")),
        ("mini-seed0-test", (0, "test")),
        ("mini-seed3-paper", (3, "paper")),
    ],
)
def test_names_of_other_seeds_and_sizes(monkeypatch, spec, wanted):
    monkeypatch.setattr(catalog, "_find_mini", lambda *recipe: recipe)
    assert catalog.find_dataset(spec) == wanted
    assert build.dataset_name(*wanted) == spec


def test_a_folder_is_opened_by_its_path(dataset):
    assert open_dataset(str(dataset.root)) == dataset


@pytest.mark.parametrize("spec", ["mimi", "mini-seed", "mini-test", "no/such/folder"])
def test_an_unknown_dataset_is_one_clear_error(spec):
    with pytest.raises(IvcrError, match=f"no dataset '{spec}'.*ivcr-bench data mini --out DIR"):
        open_dataset(spec)
