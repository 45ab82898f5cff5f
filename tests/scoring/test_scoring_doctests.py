"""The examples in the docstrings of the metrics are true."""

import doctest
import importlib
import pkgutil

import pytest

import ivcr_bench.scoring

MODULES = [module.name for module in pkgutil.iter_modules(ivcr_bench.scoring.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name):
    module = importlib.import_module(f"ivcr_bench.scoring.{name}")
    assert doctest.testmod(module, optionflags=doctest.ELLIPSIS).failed == 0


@pytest.mark.parametrize("name", ["retrieval", "moments", "text"])
def test_every_metric_file_has_examples(name):
    module = importlib.import_module(f"ivcr_bench.scoring.{name}")
    assert sum(len(test.examples) for test in doctest.DocTestFinder().find(module)) >= 3
