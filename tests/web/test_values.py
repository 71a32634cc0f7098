"""Page and endpoint of a model of values, and of one of several classes."""

import httpx
import pytest
from tiny_classifier import write_classifier
from visitor import Visitor, running

import lssed_hf


pytest.importorskip("gradio")
pytestmark = pytest.mark.usefixtures("one_thread")

DIMENSIONS = ["valence", "arousal"]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    kinds = {
        "values": (DIMENSIONS, "regression"),
        "several": (["angry", "sad", "happy"], "multi_label_classification"),
    }
    return {
        name: lssed_hf.load_classifier(write_classifier(folder / name, labels, problem_type=kind))
        for name, (labels, kind) in kinds.items()
    }


@pytest.fixture(scope="module")
def address(models):
    from lssed_hf.web.app import build_app

    with running(build_app(models, long_seconds=5.0)) as address:
        yield address


@pytest.mark.parametrize("seconds", [2.0, 7.0])
def test_programs_get_values(address, models, make_speech, tmp_path, seconds):
    clip = make_speech(tmp_path / "clip.wav", seconds)
    answer = httpx.post(f"{address}/api/classify", content=clip.read_bytes(), timeout=300).raise_for_status().json()
    assert answer["labels"] == [] and list(answer["dimensions"]) == DIMENSIONS
    if seconds < 5:
        scores = {one["label"]: one["score"] for one in models["values"](clip)}
    else:
        segments = list(lssed_hf.score_timeline(models["values"], clip))
        scores = {
            name: sum(one.dimensions[i] for one in segments) / len(segments) for i, name in enumerate(DIMENSIONS)
        }
    assert answer["dimensions"] == pytest.approx(scores, abs=1e-3)


def test_programs_get_several_classes(address, models, make_speech, tmp_path):
    clip = make_speech(tmp_path / "clip.wav")
    parameters = {"model": "several"}
    answer = httpx.post(f"{address}/api/classify", params=parameters, content=clip.read_bytes(), timeout=300).json()
    expected = {one["label"]: one["score"] for one in models["several"](clip)}
    assert {one["label"]: one["score"] for one in answer["labels"]} == pytest.approx(expected, abs=1e-3)
    assert "dimensions" not in answer


@pytest.mark.parametrize("seconds", [2.0, 7.0])
def test_people_see_values(address, make_speech, tmp_path, seconds):
    visitor = Visitor(address)
    try:
        results = visitor.see(make_speech(tmp_path / "clip.wav", seconds), model="values")
    finally:
        visitor.http.close()
    assert results.message is None and results.scores == {}
    assert list(results.values) == DIMENSIONS
    assert ("Values over time: valence from " in (results.timeline or "")) == (seconds > 5)
