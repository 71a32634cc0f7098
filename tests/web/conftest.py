"""Two tiny classifiers, and the page that serves them on a port of its own."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tiny_classifier import write_classifier
from visitor import Visitor, running

import lssed_hf
from lssed_hf.web.model_facts import ModelFacts


MAX_SECONDS, MAX_FILE_MB = 20.0, 2.0


@pytest.fixture(scope="session")
def model_folders(tmp_path_factory) -> dict[str, Path]:
    """Save two models with random weights, of three emotions and of four."""
    models = {"three": ["angry", "neutral", "happy"], "four": ["angry", "neutral", "happy", "sad"]}
    return {name: write_classifier(tmp_path_factory.mktemp("models") / name, models[name]) for name in models}


@pytest.fixture(scope="session")
def classifiers(model_folders):
    return {name: lssed_hf.load_classifier(folder) for name, folder in model_folders.items()}


@pytest.fixture(scope="session")
def make_speech():
    """Write a recording that is not steady, so that its windows differ."""

    def make_speech(path: Path, seconds: float = 2.0, seed: int = 0) -> Path:
        rng = np.random.default_rng(seed)
        time = np.arange(round(seconds * 16000)) / 16000
        tone = np.sin(2 * np.pi * (150 + 60 * np.sin(time)) * time) * (1 + np.sin(2 * np.pi * 3 * time))
        soundfile.write(path, 0.2 * tone + 0.01 * rng.normal(size=len(time)), 16000)
        return path

    return make_speech


@pytest.fixture(scope="session")
def bad_files(tmp_path_factory) -> dict[str, Path]:
    """Write files that cannot be classified, by the reason."""
    folder = tmp_path_factory.mktemp("bad")
    rng = np.random.default_rng(0)
    files = {
        kind: folder / f"{kind}.wav" for kind in ("text", "empty", "headless", "no_samples", "long", "nan", "cut")
    }
    files["text"].write_text("not <b>audio</b>")
    files["empty"].touch()
    files["headless"].write_bytes(rng.bytes(4000))
    soundfile.write(files["no_samples"], np.zeros(0), 16000)
    soundfile.write(files["long"], np.zeros(round((MAX_SECONDS + 1) * 16000)), 16000)
    soundfile.write(files["nan"], np.full(16000, np.nan), 16000, subtype="FLOAT")
    soundfile.write(files["cut"], rng.normal(0, 0.1, 16000), 16000)
    files["cut"].write_bytes(files["cut"].read_bytes()[:8000])
    # Compressed silence: a few kilobytes that would be hundreds of megabytes in memory.
    files["huge"] = folder / "huge.flac"
    soundfile.write(files["huge"], np.zeros((round(MAX_SECONDS * 96_000), 8), np.int16), 96_000)
    return files


@pytest.fixture(scope="session")
def page(classifiers, tmp_path_factory):
    """Yield the address of the page, and the folder in which Gradio keeps files."""
    pytest.importorskip("gradio")
    folder = tmp_path_factory.mktemp("uploads")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder))
        from lssed_hf.web.app import build_app

        facts = {"three": ModelFacts("UA 0.50 on nobody, split test", "It is a toy.", speech_only=False)}
        app = build_app(classifiers, facts=facts, max_seconds=MAX_SECONDS, max_file_mb=MAX_FILE_MB, long_seconds=5.0)
        with running(app) as address:
            yield address, folder


@pytest.fixture
def kept(page):
    """Return a function that lists the uploads of this test that are on the disk."""

    def files() -> set[Path]:
        # os.walk, unlike glob, copes with a folder that is removed meanwhile.
        return {Path(folder, name) for folder, _, names in os.walk(page[1]) for name in names}

    before = files()
    return lambda: sorted(path.name for path in files() - before)


@pytest.fixture
def visitor(page):
    visitor = Visitor(page[0])
    yield visitor
    visitor.http.close()


@pytest.fixture
def another_visitor(page):
    visitor = Visitor(page[0])
    yield visitor
    visitor.http.close()
