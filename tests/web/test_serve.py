"""`lssed-hf serve` as a process, and the folder of a Space."""

import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from lssed_hf import cli
from lssed_hf.web.serve import open_models


ROOT = Path(__file__).parents[2]


def test_it_serves_until_it_is_stopped_and_leaves_nothing(model_folders, tmp_path):
    pytest.importorskip("gradio")
    command = [sys.executable, "-u", "-m", "lssed_hf.cli", "serve", str(model_folders["three"])]
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT / "src")}
    environment.pop("GRADIO_TEMP_DIR", None)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)
    try:
        address = next(match[0] for line in process.stdout if (match := re.search(r"http://\S+", line)))
        assert address.startswith("http://127.0.0.1:")
        assert "Speech emotion recognition" in urllib.request.urlopen(address).read().decode()
        assert [path.name for path in tmp_path.iterdir() if path.name.startswith("lssed_hf_serve_")]
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.stdout.close()
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith("lssed_hf_serve_")]


def test_a_missing_model_or_gradio_is_explained(model_folders, tmp_path, monkeypatch, capsys):
    assert cli.main(["serve", str(tmp_path)]) == 1
    assert "holds no classifier" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "gradio", None)
    monkeypatch.delitem(sys.modules, "lssed_hf.web.app", raising=False)
    assert cli.main(["serve", str(model_folders["three"])]) == 1
    assert "pip install 'lssed-hf[web]'" in capsys.readouterr().err


def test_models_are_called_by_what_tells_them_apart(model_folders, tmp_path):
    assert list(open_models([*model_folders.values()])) == ["three", "four"]
    copies = [shutil.copytree(model_folders["three"], tmp_path / run / "model") for run in ("run1", "run2")]
    assert list(open_models(copies)) == ["run1/model", "run2/model"]
    with pytest.raises(ValueError, match="the same model is given twice"):
        open_models([copies[0], copies[0]])


def test_a_space_shows_the_models_beside_it(model_folders, tmp_path, monkeypatch):
    pytest.importorskip("gradio")
    from lssed_hf.web.app import App

    space = shutil.copytree(ROOT / "space", tmp_path / "space")
    for name, folder in model_folders.items():
        shutil.copytree(folder, space / "models" / name)
    launched = []
    monkeypatch.setattr(App, "launch", lambda app, **settings: launched.append((app, settings)))
    monkeypatch.delenv("MODELS", raising=False)
    runpy.run_path(str(space / "app.py"), run_name="__main__")
    ((app, settings),) = launched
    (picker,) = (row["props"] for row in app.get_config_file()["components"] if row["type"] == "dropdown")
    assert [name for name, _ in picker["choices"]] == ["four", "three"]
    assert settings == {"server_name": "0.0.0.0"}
    monkeypatch.setenv("MODELS", str(model_folders["four"]))
    runpy.run_path(str(space / "app.py"), run_name="__main__")
    (picker,) = (row["props"] for row in launched[1][0].get_config_file()["components"] if row["type"] == "dropdown")
    assert [name for name, _ in picker["choices"]] == ["four"]


def test_a_space_without_models_shows_the_default_one(tmp_path, monkeypatch):
    pytest.importorskip("gradio")
    from lssed_hf.web.app import App

    space = shutil.copytree(ROOT / "space", tmp_path / "space")
    launched = []
    monkeypatch.setattr(App, "launch", lambda app, **settings: launched.append(settings))
    monkeypatch.delenv("MODELS", raising=False)
    runpy.run_path(str(space / "app.py"), run_name="__main__")
    assert launched == [{"server_name": "0.0.0.0"}]


def test_the_space_asks_for_what_the_package_asks_for():
    tomllib = pytest.importorskip("tomllib")  # Python 3.11
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = (ROOT / "space" / "requirements.txt").read_text(encoding="utf-8").splitlines()
    asked = {Requirement(line) for line in asked if line and not line.startswith("#")}
    web = {Requirement(line) for line in project["optional-dependencies"]["web"]}
    assert asked == {Requirement(line) for line in project["dependencies"]} | web
    _, header, _ = (ROOT / "space" / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    header = yaml.safe_load(header)
    assert header["sdk"] == "gradio" and header["app_file"] == "app.py"
    (gradio,) = (requirement for requirement in web if requirement.name == "gradio")
    assert header["sdk_version"] in gradio.specifier
