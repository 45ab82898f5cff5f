"""A bug once: a tower taller than its street crashed the city's painter, for some seeds only."""

import numpy as np
import pytest

from ivcr_bench.data.mini.scenery import paint
from ivcr_bench.data.mini.world import SETTINGS


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_setting_can_be_painted_from_any_seed(setting):
    for seed in range(40):
        assert paint(setting, np.random.default_rng(seed)) is not None
