"""Examples in the docstrings of public names of inference and evaluation."""

import doctest
from importlib import import_module

import pytest


@pytest.mark.parametrize(
    "module",
    [
        "evaluation",
        *("inference.classifiers.loading", "inference.embed", "inference.predict"),
        *("inference.timeline.figure", "inference.timeline.turns"),
    ],
)
def test_examples_give_what_they_show(module, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    results = doctest.testmod(import_module(f"lssed_hf.{module}"))
    assert results.attempted and not results.failed
