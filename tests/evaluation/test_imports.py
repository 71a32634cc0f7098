"""Imports of the evaluation package."""

import json
import subprocess
import sys

import pytest


CODE = """
import importlib, json, pkgutil, sys
from importlib.machinery import PathFinder

find_spec = PathFinder.find_spec
hide = lambda name, *rest: None if name.partition(".")[0] in ("torch", "transformers") else find_spec(name, *rest)
PathFinder.find_spec = staticmethod(hide)
import lssed_hf

before = set(sys.modules)
package = importlib.import_module("lssed_hf.evaluation")
names = [module.name for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]
for name in names:
    importlib.import_module(name)
print(json.dumps({"evaluation": names, "imported": sorted(set(sys.modules) - before)}))
"""


@pytest.mark.slow
def test_every_module_can_be_imported_without_torch_and_the_rest_of_the_package():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert "lssed_hf.evaluation.report" in report["evaluation"]
    ours = {name for name in report["imported"] if name.startswith("lssed_hf.")}
    shared = {"lssed_hf.escaping", "lssed_hf.files", "lssed_hf.labels", "lssed_hf.wording"}
    assert ours - {"lssed_hf.evaluation", *report["evaluation"]} <= shared
    assert not {"torch", "transformers"} & set(report["imported"])
