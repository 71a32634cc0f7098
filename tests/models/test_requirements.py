"""Code of saved folders says which packages it needs, where they are older than that."""

import runpy
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from tiny_zoo import make_front_end, make_tiny

import lssed_hf
from lssed_hf.models import FAMILIES


FOLDER = Path(lssed_hf.__file__).parent / "models"


@pytest.mark.parametrize("family", FAMILIES)
def test_an_old_transformers_is_named(family, monkeypatch):
    (path,) = (FOLDER / family).glob("configuration_*.py")
    monkeypatch.setitem(sys.modules, "transformers", types.ModuleType("transformers"))  # has no PreTrainedConfig
    with pytest.raises(ImportError, match=r"this model needs pip install 'transformers>=5\.13' \(cannot import name"):
        runpy.run_path(str(path))


def test_an_old_numpy_is_named(monkeypatch):
    monkeypatch.setattr(np, "__version__", "1.26.4")
    with pytest.raises(ImportError, match=r"needs pip install 'numpy>=2' \(numpy 1\.26\.4 is there\)"):
        runpy.run_path(str(FOLDER / "pyresnet" / "front_end_pyresnet.py"))


def test_the_bounds_are_those_of_the_package():
    from importlib.metadata import requires

    bounds = " ".join(requires("lssed-hf"))
    assert ">=5.13" in bounds.split("transformers")[1].split()[0] and ">=2" in bounds.split("numpy")[1].split()[0]


@pytest.mark.parametrize("key", ["pyresnet", "resnet", "fcn_attention", "mts_alexnet", "espnet_conformer"])
def test_saved_code_passes_the_lint_of_the_package(key, tmp_path):
    make_tiny(key).save_pretrained(tmp_path)
    make_front_end(key).save_pretrained(tmp_path)
    project = Path(__file__).parents[2]
    ruff = [sys.executable, "-m", "ruff"]
    settings = ["--config", str(project / "pyproject.toml"), "--no-cache", str(tmp_path)]
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run([*ruff, *command, *settings], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
