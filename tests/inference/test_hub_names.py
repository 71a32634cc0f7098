"""Classifiers by their names on the Hub, from a mirror of its layout and from a cache."""

import hashlib
import json
import os
import re
import subprocess
import sys
from http.server import BaseHTTPRequestHandler
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
import torch
from local_server import serving
from safetensors.torch import save_file
from tiny_classifier import write_classifier
from tiny_whisper import write_whisper

from lssed_hf import load_classifier
from lssed_hf.inference.classifiers.svm import save_svm
from lssed_hf.training.prediction_cache import model_digest
from lssed_hf.training.svm import fit_svm


COMMIT = "0123456789" * 4
LABELS = ["angry", "sad"]
#: Run in a process of its own, as the Hub's variables are read on import: two JSON lines, with the Hub and without.
OPEN = """
import json, sys
import huggingface_hub
import numpy as np
from lssed_hf import load_classifier
from lssed_hf.training.prediction_cache import model_digest
clip = np.load(sys.argv[1])
for offline in (False, True):
    huggingface_hub.constants.HF_HUB_OFFLINE = offline
    answers = {
        name: [type(opened).__name__, opened.labels, next(iter(opened.probabilities([clip]))).tolist()]
        for name in ("me/probe", "me/network")
        for opened in [load_classifier(name)]
    }
    print(json.dumps({"answers": answers, "digest": model_digest("me/svm")}), flush=True)
"""


class Handler(BaseHTTPRequestHandler):
    """The part of the Hub's API that a download needs: the contents of a repository, and its files."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = unquote(urlsplit(self.path).path)
        api = re.fullmatch(r"/api/models/(me/\w+)(/revision/main|/tree/\w+)?", path)
        file = re.fullmatch(r"/(me/\w+)/resolve/\w+/(.+)", path)
        if api and (self.server.root / api[1]).is_dir():
            files = [file for file in (self.server.root / api[1]).rglob("*") if file.is_file()]
            names = {file.relative_to(self.server.root / api[1]).as_posix(): file.stat().st_size for file in files}
            answer = {"id": api[1], "sha": COMMIT, "siblings": [{"rfilename": name} for name in names]}
            if "/tree/" in path:
                answer = [{"type": "file", "path": name, "size": size, "oid": COMMIT} for name, size in names.items()]
            self.answer(200, json.dumps(answer).encode(), {"Content-Type": "application/json"})
        elif file and (self.server.root / file[1] / file[2]).is_file():
            content = (self.server.root / file[1] / file[2]).read_bytes()
            self.server.fetched += [path] * (self.command == "GET")
            tag = hashlib.sha256(content).hexdigest()
            self.answer(200, content, {"X-Repo-Commit": COMMIT, "ETag": f'"{tag}"'})
        else:
            self.answer(404, b"", {"X-Error-Code": "EntryNotFound" if file else "RepoNotFound"})

    do_HEAD = do_GET

    def answer(self, status, content, headers):
        self.send_response(status)
        for name, value in {**headers, "Content-Length": len(content)}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *args):
        pass


@pytest.fixture
def hub(tmp_path):
    with serving(Handler, root=tmp_path / "hub", fetched=[]) as server:
        yield server


def write_models(folder):
    """Write a network of transformers, a probe and a support vector machine."""
    write_classifier(folder / "network", LABELS)
    probe = folder / "probe"
    write_whisper(probe / "encoder")
    (probe / "probe.json").write_text('{"layer": 1}')
    save_file({"weight": torch.eye(2, 16), "bias": torch.zeros(2)}, probe / "probe.safetensors")
    rng = np.random.default_rng(0)
    inputs, classes = rng.normal(size=(20, 9)), np.arange(20) % 2
    save_svm(fit_svm(inputs, classes, LABELS, "eGeMAPSv02", "none", np.zeros(9), np.ones(9)), folder / "svm")


@pytest.mark.slow
def test_names_on_the_hub_open_as_their_folders_do(hub, tmp_path):
    write_models(hub.root / "me")
    clip = np.random.default_rng(0).normal(0, 0.1, 16000).astype(np.float32)
    np.save(tmp_path / "clip.npy", clip)

    environment = {"HF_HOME": str(tmp_path / "cache"), "HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0"}
    command = [sys.executable, "-c", OPEN, tmp_path / "clip.npy"]
    done = subprocess.run(
        command, env={**os.environ, **environment, "NO_PROXY": "127.0.0.1"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found, offline = map(json.loads, done.stdout.splitlines()[-2:])
    for name, kind in (("me/probe", "ProbeClassifier"), ("me/network", "AudioClassifier")):
        here = load_classifier(hub.root / name)
        assert found["answers"][name][:2] == [kind, here.labels] and type(here).__name__ == kind
        np.testing.assert_allclose(found["answers"][name][2], next(iter(here.probabilities([clip]))), atol=1e-6)
    assert found["digest"] == model_digest(str(hub.root / "me" / "svm"))
    # Nothing is fetched twice, and what is there needs no network.
    assert len(hub.fetched) == len(set(hub.fetched)) > 0
    assert offline == found
