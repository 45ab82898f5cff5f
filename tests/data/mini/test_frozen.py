"""IVCR-Mini v1 is frozen: if one of these changes, the dataset needs a new version, not a new constant."""

import pytest

from ivcr_bench.data.mini.build import generate

FINGERPRINTS = {0: "cfaacd096db39a3a", 1: "0af5667e3330a66d"}


@pytest.mark.parametrize(("seed", "expected"), FINGERPRINTS.items())
def test_one_seed_gives_one_fingerprint(seed, expected, tmp_path):
    assert generate(seed, "mini", tmp_path / "mini").card.fingerprint == expected
