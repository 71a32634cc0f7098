"""`lssed-hf serve` as a process, and the folder of a Space."""

import json
import os
import runpy
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from visitor import AppConfig

from lssed_hf import cli
from lssed_hf.web.serve import serve


ROOT = Path(__file__).parents[2]


#: In a fork: the command, in a fresh folder for temporary files; its number goes into a file.
SERVE = """
import os, pathlib, sys, tempfile
os.environ.pop("GRADIO_TEMP_DIR", None)
tempfile.tempdir = {folder!r}
sys.path.insert(0, {src!r})
pathlib.Path("pid").write_text(str(os.getpid()))
from lssed_hf import cli
try:
    status = cli.main(["serve", {model!r}, "--port", "{port}"])
except SystemExit as end:
    status = end.code
assert not status, status
"""


def free_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return unused.getsockname()[1]


def wait_for(address: str, done: Callable[[], bool]) -> str:
    """The page at an address, as soon as somebody serves it."""
    while not done():
        try:
            return urllib.request.urlopen(address).read().decode()
        except urllib.error.URLError:
            time.sleep(0.1)
    raise AssertionError("it ended before it served")


def test_a_python_that_goes_on_is_terminated_as_before(capsys):
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit):
        cli.main(["serve", "--help"])
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_it_is_stopped_and_leaves_nothing(model_folders, tmp_path, make_speech, forking_python, stop):
    pytest.importorskip("gradio")
    clip = make_speech(tmp_path / "clip.wav").read_bytes()
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    names = {"folder": str(tmp_path), "src": str(ROOT / "src"), "model": str(model_folders["three"]), "port": port}
    with ThreadPoolExecutor(1) as pool:
        served = pool.submit(forking_python.run, SERVE.format(**names), tmp_path)
        try:
            assert "Speech emotion recognition" in wait_for(address, served.done)
            answer = json.load(urllib.request.urlopen(f"{address}/api/classify", clip))
            assert answer["model"] == "three" and len(answer["labels"]) == 3
            assert [path.name for path in tmp_path.iterdir() if path.name.startswith("lssed_hf_serve_")]
            with urllib.request.urlopen(f"{address}/gradio_api/heartbeat/somebody"):  # an open tab does not hold it up
                os.kill(int((tmp_path / "pid").read_text()), stop)
                printed = served.result(timeout=300)
        finally:
            if not served.done():
                os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    assert printed == f"{address} serves three; Ctrl-C stops it\n", "one line is all it says"
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith("lssed_hf_serve_")]


#: In a fork: the signal comes while a library runs that catches whatever is raised.
SWALLOWED = """
import os, signal
from lssed_hf.web import serve
read_model_facts = serve.read_model_facts
def reading(path):
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    except:
        pass
    return read_model_facts(path)
serve.read_model_facts = reading
"""


def test_a_signal_that_a_library_swallows_ends_it_too(model_folders, tmp_path, forking_python):
    pytest.importorskip("gradio")
    names = {"folder": str(tmp_path), "src": str(ROOT / "src"), "model": str(model_folders["three"])}
    code = SWALLOWED + SERVE.format(**names, port=free_port())
    with ThreadPoolExecutor(1) as pool:
        served = pool.submit(forking_python.run, code, tmp_path)
        try:
            served.result(timeout=120)
        finally:
            if not served.done():
                os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith("lssed_hf_serve_")]


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.1, 0.4, 0.7, 1.5, 2.5, 3.5, 5])
def test_a_signal_ends_it_at_any_moment_of_its_start(model_folders, tmp_path, seconds):
    pytest.importorskip("gradio")
    command = [sys.executable, "-m", "lssed_hf", "serve", str(model_folders["three"]), "--port", str(free_port())]
    with subprocess.Popen(command, env={**os.environ, "TMPDIR": str(tmp_path)}, stdout=subprocess.DEVNULL) as process:
        time.sleep(seconds)
        process.terminate()
        try:
            # By the default action before the handler is there.
            assert process.wait(timeout=120) in (0, -signal.SIGTERM)
        finally:
            process.kill()
    assert not list(tmp_path.glob("lssed_hf_serve_*"))


def test_a_port_that_is_taken_is_named(model_folders, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(OSError, match=f"port {port} of 127.0.0.1 is taken or not allowed; choose another"):
            serve([model_folders["three"]], port=port)


@pytest.mark.parametrize("port", [-1, 79910])
def test_a_port_that_no_machine_has_is_named(model_folders, port):
    with pytest.raises(ValueError, match=f"^--port {port}: ports are from 0 to 65535$"):
        serve([model_folders["three"]], port=port)


def test_a_missing_model_or_gradio_is_explained(model_folders, tmp_path, monkeypatch, capsys):
    assert cli.main(["serve", str(tmp_path)]) == 1
    assert "holds no classifier" in capsys.readouterr().err
    for module in ("gradio", "fastapi", "uvicorn"):
        monkeypatch.setitem(sys.modules, module, None)
    for module in ("app", "api", "page"):
        monkeypatch.delitem(sys.modules, f"lssed_hf.web.{module}", raising=False)
    assert cli.main(["serve", str(model_folders["three"])]) == 1
    assert "pip install 'lssed-hf[web]'" in capsys.readouterr().err


@pytest.fixture
def served(monkeypatch):
    """Return the apps that `serve` would run, each with its address."""
    pytest.importorskip("gradio")
    served = []
    monkeypatch.setattr(
        "lssed_hf.web.serve._run", lambda app, listener, _: served.append((app, listener.getsockname()[:2]))
    )
    return served


def models_of(app) -> list[str]:
    (picker,) = (row["props"] for row in AppConfig(app).components if row["type"] == "dropdown")
    return [name for name, _ in picker["choices"]]


def test_models_are_called_by_what_tells_them_apart(model_folders, tmp_path, served):
    serve([*model_folders.values()])
    copies = [shutil.copytree(model_folders["three"], tmp_path / run / "model") for run in ("run1", "run2")]
    serve(copies)
    assert [models_of(app) for app, _ in served] == [["three", "four"], ["run1/model", "run2/model"]]
    with pytest.raises(ValueError, match="the same model is given twice"):
        serve([copies[0], copies[0]])


def test_it_listens_on_this_machine_alone_unless_told_otherwise(model_folders, served, capsys):
    serve([model_folders["three"]])
    serve([model_folders["three"]], host="0.0.0.0")
    assert [address for _, (address, _) in served] == ["127.0.0.1", "0.0.0.0"]
    hosts = [[middleware.kwargs.get("allowed_hosts") for middleware in app.user_middleware] for app, _ in served]
    closed, opened = ([names for names in one if names] for one in hosts)
    assert closed == [["127.0.0.1", "localhost", "[::1]"]] and opened == [["*"]]
    assert capsys.readouterr().out.splitlines()[1].startswith("http://localhost:")


def test_a_space_shows_the_models_beside_it(model_folders, tmp_path, monkeypatch, served):
    space = shutil.copytree(ROOT / "space", tmp_path / "space")
    for name, folder in model_folders.items():
        shutil.copytree(folder, space / "models" / name)
    monkeypatch.delenv("MODELS", raising=False)
    runpy.run_path(str(space / "app.py"), run_name="__main__")
    monkeypatch.setenv("MODELS", str(model_folders["four"]))
    runpy.run_path(str(space / "app.py"), run_name="__main__")
    assert [models_of(app) for app, _ in served] == [["four", "three"], ["four"]]
    assert {address for _, (address, _) in served} == {"0.0.0.0"}
    from fastapi.testclient import TestClient

    for app, _ in served:
        assert TestClient(app).get("/api/health").json() == {"status": "ok", "models": models_of(app)}


def test_a_space_without_models_shows_the_built_in_one(tmp_path, monkeypatch, served):
    space = shutil.copytree(ROOT / "space", tmp_path / "space")
    monkeypatch.delenv("MODELS", raising=False)
    runpy.run_path(str(space / "app.py"), run_name="__main__")
    ((app, _),) = served
    assert models_of(app) == ["built-in model"]
    (facts,) = (row["props"] for row in AppConfig(app).components if row["props"].get("elem_id") == "facts")
    assert "on corpora that were left out of the training" in facts["value"]
    assert "on everyday speech it is often wrong" in facts["value"]  # so it labels nothing but speech


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
