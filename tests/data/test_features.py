import errno
import io
import json
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from rich.console import Console
from rich.progress import Progress

from ivcr_bench import jsonl
from ivcr_bench.data import features, hashes
from ivcr_bench.data.features import FeatureCache, FeatureKey, video_hash, weights_hash
from ivcr_bench.errors import IvcrError

KEY = FeatureKey("film", "rate-2@112", "encoder")


@pytest.fixture
def cache(tmp_path) -> FeatureCache:
    return FeatureCache(tmp_path / "features")


@pytest.fixture(autouse=True)
def user_cache(tmp_path_factory, monkeypatch) -> Path:
    folder = tmp_path_factory.mktemp("user-cache")
    monkeypatch.setenv("IVCR_BENCH_CACHE", str(folder))
    return folder


def example(seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {"vectors": rng.normal(size=(5, 8)).astype(np.float16), "times": np.arange(5.0), "n": np.array(5)}


def same(left, right) -> bool:
    return left.keys() == right.keys() and all(
        a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
        for a, b in ((left[name], right[name]) for name in left)
    )


def test_the_user_cache_is_the_default_place(user_cache):
    assert FeatureCache().root == user_cache / "features"


def test_what_is_put_is_what_is_got(cache):
    assert cache.get(KEY) is None
    cache.put(KEY, example())
    assert same(cache.get(KEY), example())
    cache.put(KEY, example(1))
    assert same(cache.get(KEY), example(1))


DTYPES = st.sampled_from(["f2", "f4", "f8", "i1", "i4", "i8", "u1", "u2", "?"]).map(np.dtype)
ARRAYS = DTYPES.flatmap(lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, min_side=0, max_dims=4)))


@given(arrays=st.dictionaries(st.text(min_size=1).filter(lambda name: name != "__metadata__"), ARRAYS, max_size=4))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
def test_any_arrays_come_back(cache, arrays):
    cache.put(KEY, arrays)
    assert same(cache.get(KEY), arrays)


def test_views_are_stored_as_what_they_show(cache):
    whole = np.arange(24, dtype=np.float32).reshape(4, 6)
    cache.put(KEY, {"columns": whole[:, ::2], "back": whole[::-1], "turned": whole.T})
    got = cache.get(KEY)
    assert np.array_equal(got["columns"], whole[:, ::2])
    assert np.array_equal(got["back"], whole[::-1])
    assert np.array_equal(got["turned"], whole.T)


def test_what_is_got_may_be_written_to_without_harm(cache):
    cache.put(KEY, example())
    cache.get(KEY)["vectors"][:] = 0
    assert same(cache.get(KEY), example())


def test_every_part_of_the_key_counts(cache):
    keys = [KEY, FeatureKey("other", KEY.sampling, KEY.encoder), FeatureKey(KEY.video, "rate-3@112", KEY.encoder)]
    keys += [FeatureKey(KEY.video, KEY.sampling, "other"), FeatureKey("filmrate-2@112", "", "encoder")]
    for seed, key in enumerate(keys):
        cache.put(key, example(seed))
    assert len({cache.path(key) for key in keys}) == len(keys)
    assert all(same(cache.get(key), example(seed)) for seed, key in enumerate(keys))


def test_files_are_spread_over_folders(cache):
    # 2,000 keys over 256 folders: 7.8 a folder on average; a folder of 30 would be 8 standard deviations off.
    folders = [cache.path(FeatureKey(f"film-{i}", "s", "e")).parent for i in range(2000)]
    counts = np.unique([folder.name for folder in folders], return_counts=True)[1]
    assert len(counts) > 200
    assert counts.max() < 30
    assert {folder.parent for folder in folders} == {cache.root}


def test_a_hit_computes_nothing(cache):
    calls = []

    def compute():
        calls.append(1)
        return example()

    assert same(cache.get_or_compute(KEY, compute), example())
    assert same(cache.get_or_compute(KEY, compute), example())
    assert len(calls) == 1


def test_a_failed_computation_stores_nothing(cache):
    with pytest.raises(ZeroDivisionError):
        cache.get_or_compute(KEY, lambda: {"x": np.array(1 // 0)})
    assert cache.get(KEY) is None


def test_many_are_computed_in_batches_and_each_once(cache):
    keys = [FeatureKey(f"film-{i % 7}", "s", "e") for i in range(10)]  # films 0 to 2 twice
    cache.put(keys[1], example(1))
    batches = []

    def compute(places):
        batches.append(places)
        return [example(place) for place in places]

    found = cache.get_or_compute_many(keys, compute, batch_size=4)
    assert batches == [[0, 2, 3, 4], [5, 6]]
    assert all(same(arrays, example(i % 7)) for i, arrays in enumerate(found))
    assert all(same(cache.get(key), example(i % 7)) for i, key in enumerate(keys))
    assert cache.get_or_compute_many(keys, compute)[3]["n"] == 5
    assert len(batches) == 2


def test_a_stop_among_many_loses_one_batch_at_most(cache):
    keys = [FeatureKey(f"film-{i}", "s", "e") for i in range(6)]

    def compute(places):
        if 4 in places:
            raise KeyboardInterrupt
        return [example(place) for place in places]

    with pytest.raises(KeyboardInterrupt):
        cache.get_or_compute_many(keys, compute, batch_size=2)
    assert [cache.get(key) is not None for key in keys] == [True] * 4 + [False] * 2


def test_a_batch_must_give_features_for_each_film(cache):
    with pytest.raises(ValueError, match="shorter"):
        cache.get_or_compute_many([KEY, FeatureKey("b", "s", "e")], lambda places: [example()])


def test_the_bar_counts_missing_films(cache, monkeypatch):
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=80)
    monkeypatch.setattr(features, "progress_bar", lambda: Progress(*Progress.get_default_columns(), console=terminal))
    keys = [FeatureKey(f"film-{i}", "s", "e") for i in range(4)]
    cache.put(keys[0], example())
    cache.get_or_compute_many(keys, lambda places: [example() for _ in places])
    assert screen.getvalue() == ""
    cache.put(keys[0], example())
    cache.path(keys[2]).unlink()
    cache.get_or_compute_many(keys, lambda places: [example() for _ in places], progress="Encode films")
    assert "Encode films" in screen.getvalue()
    assert "100%" in screen.getvalue()


@pytest.mark.parametrize("damage", ["empty", "short", "cut", "flipped value", "flipped header", "other key", "text"])
def test_a_damaged_file_is_dropped_and_computed_again(cache, caplog, damage):
    cache.put(KEY, example())
    path = cache.path(KEY)
    data = bytearray(path.read_bytes())
    if damage == "flipped value":
        data[-3] ^= 1
    elif damage == "flipped header":
        data[data.index(b'"F16"') : data.index(b'"F16"') + 5] = b'"I16"'
    elif damage == "other key":
        data[data.index(b"rate-2") : data.index(b"rate-2") + 6] = b"rate-3"
    path.write_bytes(
        {"empty": b"", "short": bytes(data[:5]), "cut": bytes(data[:-10]), "text": b"no tensors" * 50}.get(
            damage, bytes(data)
        )
    )
    with caplog.at_level(logging.WARNING):
        assert cache.get(KEY) is None
    assert len(caplog.records) == 1
    assert str(path) in caplog.text
    assert "computed again" in caplog.text
    assert not path.exists()
    assert same(cache.get_or_compute(KEY, example), example())
    assert same(cache.get(KEY), example())


@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
def test_no_flipped_bit_is_ever_read(cache, place, bit):
    cache.put(KEY, example())
    path = cache.path(KEY)
    data = bytearray(path.read_bytes())
    data[int(place * len(data))] ^= 1 << bit
    path.write_bytes(data)
    found = cache.get(KEY)
    assert found is None or same(found, example())  # a bit of a space or of a name's escape may not matter


def test_a_full_disk_is_one_clear_error(cache, monkeypatch):
    def full(fd):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    cache.put(KEY, example())
    monkeypatch.setattr(os, "fsync", full)
    other = FeatureKey("other", "s", "e")
    with pytest.raises(IvcrError) as caught:
        cache.put(other, example(1))
    assert str(caught.value).startswith(f"{cache.path(other)}: cannot write: No space left")
    assert "set IVCR_BENCH_CACHE" in str(caught.value)
    assert list(cache.root.rglob("*.part")) == []
    assert same(cache.get(KEY), example())
    assert cache.get(other) is None


def test_a_read_only_cache_still_gives_what_it_has(cache, monkeypatch):
    cache.put(KEY, example())

    def refuse(self, *args, **kwargs):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "mkdir", refuse)
    assert same(cache.get_or_compute(KEY, dict), example())
    with pytest.raises(IvcrError, match="Read-only file system"):
        cache.get_or_compute(FeatureKey("other", "s", "e"), example)


def test_what_killed_writers_left_is_swept_away(cache):
    cache.put(KEY, example())
    folder = cache.path(KEY).parent
    old, young = folder / ".x.safetensors.1.part", folder / ".x.safetensors.2.part"
    for part in (old, young):
        part.write_bytes(b"half")
    two_days_ago = time.time() - 2 * 24 * 3600
    os.utime(old, (two_days_ago, two_days_ago))
    FeatureCache(cache.root).put(KEY, example())
    assert not old.exists()
    assert young.exists()


WRITER = """
import os, sys
from pathlib import Path
import numpy as np
from ivcr_bench.data.features import FeatureCache, FeatureKey
cache = FeatureCache(Path(sys.argv[1]))
value = 0
print("ready", flush=True)
while True:
    value = (value + 1) % 100
    cache.put(FeatureKey("film", "s", "e"), {"x": np.full(400_000, value, np.float32)})
"""


@pytest.mark.parametrize("wait", [0.03, 0.07, 0.13])
def test_a_writer_killed_at_any_moment_leaves_whole_features_or_none(cache, wait, caplog):
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(cache.root)], stdout=subprocess.PIPE)
    assert writer.stdout.readline() == b"ready\n"
    time.sleep(wait)
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    writer.stdout.close()
    found = cache.get(FeatureKey("film", "s", "e"))
    if found is not None:
        assert len(set(found["x"].tolist())) == 1
    assert caplog.records == []
    cache.put(FeatureKey("film", "s", "e"), example())
    assert same(cache.get(FeatureKey("film", "s", "e")), example())


def test_a_writer_killed_between_write_and_rename_leaves_the_old_features(cache):
    cache.put(KEY, example())
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nimport numpy as np\n"
        "from ivcr_bench.data.features import FeatureCache, FeatureKey\n"
        "os.fsync = lambda fd: os.kill(os.getpid(), signal.SIGKILL)\n"
        "FeatureCache(Path(sys.argv[1])).put(FeatureKey(*sys.argv[2:]), {'x': np.ones(9)})\n"
    )
    command = [sys.executable, "-c", code, str(cache.root), KEY.video, KEY.sampling, KEY.encoder]
    assert subprocess.run(command).returncode == -signal.SIGKILL
    assert len(list(cache.root.rglob("*.part"))) == 1
    assert same(cache.get(KEY), example())


def write_and_read(root: str, worker: int, rounds: int) -> int:
    """Writes one value after another and reads whatever is there; gives how many reads were not of one writer."""
    cache, torn = FeatureCache(Path(root)), 0
    for turn in range(rounds):
        cache.put(KEY, {"x": np.full(20_000 + worker, worker * 1000 + turn)})
        found = cache.get(KEY)
        torn += found is None or len(set(found["x"].tolist())) != 1 or len(found["x"]) - 20_000 != found["x"][0] // 1000
    return torn


def test_processes_that_write_the_same_features_do_not_disturb_each_other(cache):
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        torn = pool.starmap(write_and_read, [(str(cache.root), worker, 40) for worker in range(3)])
    assert torn == [0, 0, 0]
    assert list(cache.root.rglob("*.part")) == []


def test_threads_that_write_the_same_features_do_not_disturb_each_other(cache):
    torn = []
    threads = [
        threading.Thread(target=lambda w=w: torn.append(write_and_read(str(cache.root), w, 30))) for w in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert torn == [0] * 4


def test_a_film_is_named_by_its_bytes(tmp_path):
    one, two = tmp_path / "one.mp4", tmp_path / "two.mp4"
    one.write_bytes(b"abc")
    two.write_bytes(b"abc")
    # FIPS 180-2, appendix B.1: SHA-256 of "abc".
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert video_hash(one) == video_hash(str(two)) == expected


def settled(path: Path, data: bytes, age: float = 60) -> Path:
    path.write_bytes(data)
    os.utime(path, (time.time() - age,) * 2)
    return path


def reads(monkeypatch) -> list[str]:
    """The files hashed from now on."""
    log: list[str] = []
    digest = hashes.hashlib.file_digest

    def counted(stream, name):
        log.append(Path(stream.name).name)
        return digest(stream, name)

    monkeypatch.setattr(hashes.hashlib, "file_digest", counted)
    return log


def test_a_film_is_read_once_for_its_hash(tmp_path, monkeypatch):
    film = settled(tmp_path / "film.mp4", b"frames")
    log = reads(monkeypatch)
    first = video_hash(film)
    assert video_hash(film) == first
    assert log == ["film.mp4"]

    settled(film, b"FRAMES", age=30)  # as long as before, but changed at another time
    assert video_hash(film) != first
    assert log == ["film.mp4"] * 2


def test_a_film_that_has_just_changed_is_read_again(tmp_path, monkeypatch):
    film = tmp_path / "film.mp4"
    film.write_bytes(b"frames")
    log = reads(monkeypatch)
    video_hash(film)
    video_hash(film)
    assert log == ["film.mp4"] * 2


@pytest.mark.parametrize("damage", [b"", b"{", b'{"size": 6}'])
def test_a_damaged_memory_of_hashes_is_ignored(tmp_path, user_cache, damage):
    film = settled(tmp_path / "film.mp4", b"frames")
    first = video_hash(film)
    [memo] = (user_cache / "video-hashes").rglob("*.json")
    memo.write_bytes(damage)
    assert video_hash(film) == first
    assert json.loads(memo.read_bytes())["sha256"] == first


def test_a_hash_that_cannot_be_remembered_is_no_error(tmp_path, monkeypatch):
    def full(*args):
        raise IvcrError("disk full")

    film = settled(tmp_path / "film.mp4", b"frames")
    monkeypatch.setattr(hashes, "write_atomically", full)
    assert len(video_hash(film)) == 64


def test_a_missing_film_is_named(tmp_path):
    with pytest.raises(IvcrError, match=r"gone\.mp4: cannot read: No such file"):
        video_hash(tmp_path / "gone.mp4")


def test_weights_are_named_by_names_types_shapes_and_values():
    base = {"a": np.arange(6, dtype=np.float32), "b": np.array(1.0)}
    variants = [
        base,
        {**base, "c": np.zeros(0)},
        {"a2": base["a"], "b": base["b"]},
        {**base, "a": base["a"].reshape(2, 3)},
        {**base, "a": base["a"].view(np.int32)},
        {**base, "a": base["a"] + 1},
    ]
    assert len({weights_hash(weights) for weights in variants}) == len(variants)
    assert weights_hash(dict(reversed(base.items()))) == weights_hash(base)
    assert weights_hash(base, {"rate": 2}) != weights_hash(base, {"rate": 3})
    assert weights_hash(base, {"rate": 2, "size": 112}) == weights_hash(base, {"size": 112, "rate": 2})


def test_torch_and_numpy_weights_have_one_name():
    torch = pytest.importorskip("torch")
    arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array(3), "h": np.ones(2, np.float16)}
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    assert weights_hash(tensors) == weights_hash(arrays)
    assert weights_hash({"a": tensors["a"].T}) == weights_hash({"a": arrays["a"].T})
    half = {"x": torch.ones(3, dtype=torch.bfloat16, requires_grad=True)}
    assert weights_hash(half) != weights_hash({"x": half["x"].to(torch.float16)})


def test_a_weights_file_is_named_by_its_bytes(tmp_path):
    one, two = settled(tmp_path / "1.safetensors", b"weights"), settled(tmp_path / "2.safetensors", b"weights")
    assert weights_hash(one) == weights_hash(str(two))
    assert weights_hash(one, {"layers": 2}) != weights_hash(one)
    assert weights_hash(settled(two, b"WEIGHTS", age=30)) != weights_hash(one)


def test_importing_the_cache_imports_no_torch():
    code = "import sys, ivcr_bench.data.features, ivcr_bench.data.video; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_part_files_of_two_writers_have_two_names(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(jsonl.os, "fsync", lambda fd: seen.extend(p.name for p in tmp_path.glob(".*.part")))
    for _ in range(2):
        jsonl.write_atomically(tmp_path / "x", [b"data"])
    assert len(set(seen)) == 2
