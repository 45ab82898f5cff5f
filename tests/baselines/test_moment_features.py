import sys
import types

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from baselines.moment.clip_features import cut_to_shortest, normalise_rows, pad, resample
from baselines.moment.feature_files import FeatureFiles
from ivcr_bench.errors import IvcrError


def numbered(rows):
    return torch.arange(rows, dtype=torch.float64)[:, None]


@pytest.mark.parametrize("legacy", [True, False])
def test_too_few_rows_are_copied(legacy):
    assert resample(numbered(5), 8, legacy).flatten().tolist() == [0, 1, 1, 2, 2, 3, 4, 4]


def test_the_authors_lose_the_last_row():
    # Boundaries 0 2 5 8 10 12 15 18 20; the authors' last one is 19, so 18.5 becomes 18.
    assert resample(numbered(20), 8, True).flatten().tolist() == [0.5, 3, 6, 8.5, 10.5, 13, 16, 18]
    assert resample(numbered(20), 8).flatten().tolist() == [0.5, 3, 6, 8.5, 10.5, 13, 16, 18.5]


@given(st.integers(1, 90), st.integers(1, 70), st.booleans())
def test_resampling_is_the_rule(rows, length, legacy):
    features = np.random.default_rng(rows).normal(size=(rows, 3))
    expected = []
    for k in range(length):
        first, end = (min(round(i * rows / length), rows - legacy) for i in (k, k + 1))
        part = features[first:end] if first < end else features[min(first, rows - 1)][None]
        expected.append(part.mean(0))
    assert_close(resample(torch.from_numpy(features), length, legacy), torch.from_numpy(np.array(expected)))


@given(st.integers(1, 60), st.integers(1, 60))
def test_every_row_counts(rows, length):
    basis = torch.eye(rows)
    if rows >= length:
        assert (resample(basis, length).sum(0) > 0).all()


def test_rows_of_one():
    features = torch.tensor([[3.0, 4.0], [0.0, 0.0]])
    assert_close(normalise_rows(features), torch.tensor([[0.6, 0.8], [0.0, 0.0]]))
    assert_close(normalise_rows(features, added=5.0), torch.tensor([[0.3, 0.4], [0.0, 0.0]]))


def test_streams_and_padding():
    a, b = cut_to_shortest([torch.ones(4, 2), torch.ones(3, 5)])
    assert (a.shape, b.shape) == ((3, 2), (3, 5))
    padded, mask = pad([torch.ones(1, 2), torch.ones(3, 2)])
    assert mask.tolist() == [[True, False, False], [True, True, True]]
    assert padded[0, 1:].abs().sum() == 0


@pytest.fixture
def features():
    return {name: np.random.default_rng(i).normal(size=(3 + i, 4)) for i, name in enumerate(("v_a", "v_b"))}


def check(files, features):
    with files:
        for name, expected in features.items():
            found = files.read(name)
            assert found.dtype == np.float32
            np.testing.assert_array_equal(found, expected.astype(np.float32))
        assert "v_c" not in files
        with pytest.raises(IvcrError, match="no features of the film 'v_c'"):
            files.read("v_c")


def test_npz_of_all_films(tmp_path, features):
    np.savez(tmp_path / "all.npz", **features)
    check(FeatureFiles(tmp_path / "all.npz"), features)


def test_folders(tmp_path, features):
    np.save(tmp_path / "v_a.npy", features["v_a"])
    np.savez(tmp_path / "v_b.npz", features=features["v_b"])
    check(FeatureFiles(tmp_path), features)


def test_hdf5(tmp_path, features):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "sub.hdf5", "w") as file:
        file["v_a"] = features["v_a"]
        file["v_b/c3d_features"] = features["v_b"]
    check(FeatureFiles(tmp_path / "sub.hdf5", "c3d_features"), features)


def test_hdf5_without_its_library(tmp_path, features, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(IvcrError, match="needs h5py"):
        FeatureFiles(tmp_path / "sub.h5")


def test_hdf5_groups_without_hdf5(tmp_path, features, monkeypatch):
    """What is read of a file, whether or not the library is here: datasets and groups are mappings to arrays."""

    class File(dict):
        def __init__(self, path, mode):
            assert mode == "r"
            super().__init__(v_a=features["v_a"], v_b={"c3d_features": features["v_b"], "other": np.ones((1, 1))})

        def close(self):
            self.clear()

    monkeypatch.setitem(sys.modules, "h5py", types.SimpleNamespace(File=File))
    check(FeatureFiles(tmp_path / "sub.h5", "c3d_features"), features)
    with pytest.raises(IvcrError, match="expected only one array"):
        FeatureFiles(tmp_path / "sub.h5").read("v_b")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.ones(3), r"found float64 \[3\], expected numbers"),
        (np.ones((0, 3)), "expected numbers"),
        (np.array([["a"]]), "expected numbers"),
        (np.array([[np.nan]]), "not finite"),
        (np.array([[{}]], dtype=object), "allow_pickle"),
    ],
)
def test_what_is_no_features(tmp_path, array, message):
    np.save(tmp_path / "v.npy", array, allow_pickle=True)
    with pytest.raises(IvcrError, match=message):
        FeatureFiles(tmp_path).read("v")


def test_damaged_and_missing_files(tmp_path):
    (tmp_path / "cut.npz").write_bytes(b"PK\x03\x04 cut")
    with pytest.raises(IvcrError, match="cannot open"):
        FeatureFiles(tmp_path / "cut.npz")
    with pytest.raises(IvcrError, match="cannot open"):
        FeatureFiles(tmp_path / "missing.npz")
    with pytest.raises(IvcrError, match=r"expected a \.h5"):
        FeatureFiles(tmp_path / "features.pkl")
