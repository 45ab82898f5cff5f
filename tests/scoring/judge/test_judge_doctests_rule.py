"""The examples in the docstrings of the rule judge's parts are true."""

import doctest
import importlib

import pytest


@pytest.mark.parametrize("name", ["addressing", "agreement", "lexicon", "numerals", "times", "trivial"])
def test_docstring_examples(name):
    module = importlib.import_module(f"ivcr_bench.scoring.judge.{name}")
    results = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert results.failed == 0
    assert results.attempted > 0
