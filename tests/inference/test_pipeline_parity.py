"""One scoring rule: transformers' pipeline, PyTorch, ONNX Runtime and OpenVINO give equal scores for every problem."""

import json
import shutil

import numpy as np
import pytest
from serving import serve
from tiny_zoo import NOT_EXPORTED, TINY_ZOO, make_front_end, make_tiny

from lssed_hf import load_classifier
from lssed_hf.hub.export import export_model
from lssed_hf.inference import ExportedClassifier


pytestmark = pytest.mark.usefixtures("one_thread")

PROBLEMS = ("single_label_classification", "multi_label_classification", "regression")
NAMES = {0: "valence", 1: "arousal", 2: "dominance"}
# One network of each family, and of it the one that is exported fastest.
EXPORTED = ("pyresnet", "resnet", "fcn_attention", "mts_alexnet", "espnet_transformer", "whisper_statistics")


@pytest.fixture(scope="module")
def waveforms():
    rng = np.random.default_rng(0)
    return [rng.normal(0, 0.1, length).astype(np.float32) for length in (20000, 9000, 16000)]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Return a function that saves a network for a problem, once."""
    folders = {}

    def save(key, problem):
        if (key, problem) not in folders:
            folder = folders[key, problem] = tmp_path_factory.mktemp(f"{key}_{problem}")
            make_tiny(key, id2label=NAMES, problem_type=problem).save_pretrained(folder)
            make_front_end(key).save_pretrained(folder)
        return folders[key, problem]

    return save


@pytest.fixture(scope="module")
def expected(saved, waveforms):
    """Return a function that asks transformers' pipeline, once for each network and problem."""
    answers = {}

    def ask(key, problem):
        if (key, problem) not in answers:
            classify = serve(saved(key, problem))
            answers[key, problem] = [as_scores(classify(clip)) for clip in waveforms]
        return answers[key, problem]

    return ask


def as_scores(answer):
    return {one["label"]: one["score"] for one in answer}


def check(classifier, waveforms, expected):
    for clip, scores in zip(waveforms, expected, strict=True):
        answer = classifier(clip, top_k=None)
        assert as_scores(answer) == pytest.approx(scores, abs=1e-4)
        assert [one["label"] for one in answer] == list(scores), "the best first, as the pipeline"


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("key", TINY_ZOO)
def test_the_pipeline_and_load_classifier_give_equal_scores(saved, expected, waveforms, key, problem):
    check(load_classifier(saved(key, problem), device="cpu"), waveforms, expected(key, problem))


@pytest.fixture(scope="module", params=[f"{key}-{format}" for key in EXPORTED for format in ("onnx", "openvino")])
def exported(request, saved, tmp_path_factory):
    """Export a network for one problem; the same network serves all three."""
    key, format = request.param.split("-")
    pytest.importorskip({"onnx": "onnxruntime", "openvino": "openvino"}[format])
    folder = tmp_path_factory.mktemp("exported") / "first"
    export_model(saved(key, PROBLEMS[0]), folder, format)
    return key, folder


@pytest.mark.slow
def test_exports_give_the_scores_of_the_pipeline(exported, saved, expected, waveforms, tmp_path):
    key, first = exported
    for problem in PROBLEMS:
        folder = shutil.copytree(first, tmp_path / problem)
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "problem_type": problem}))
        classifier = load_classifier(folder)
        assert isinstance(classifier, ExportedClassifier)
        check(classifier, waveforms, expected(key, problem))


@pytest.mark.slow
@pytest.mark.parametrize("problem", PROBLEMS[1:])
def test_the_problem_goes_with_the_export(saved, expected, waveforms, tmp_path, problem):
    export_model(saved("pyresnet", problem), tmp_path / "exported")
    classifier = load_classifier(tmp_path / "exported")
    assert classifier.config.problem_type == problem
    check(classifier, waveforms, expected("pyresnet", problem))


def test_every_family_is_covered():
    assert set(EXPORTED) | set(NOT_EXPORTED) <= set(TINY_ZOO)
    assert {TINY_ZOO[key][0].split("-")[0].rstrip("0123456789") for key in EXPORTED} == {
        *("pyresnet", "resnet", "fcn", "mts", "espnet", "whisper_statistics")
    }


@pytest.mark.slow
@pytest.mark.parametrize("format", ["onnx", "openvino"])
def test_a_second_head_goes_with_the_export(tmp_path, waveforms, format):
    model = make_tiny("pyresnet", id2label={0: "angry", 1: "sad"}, dimensions=["valence", "arousal"])
    model.save_pretrained(tmp_path / "model")
    make_front_end("pyresnet").save_pretrained(tmp_path / "model")
    export_model(tmp_path / "model", tmp_path / "exported", format)
    classify = serve(tmp_path / "model")
    opened = [load_classifier(tmp_path / name) for name in ("model", "exported")]
    for classifier in opened:
        check(classifier, waveforms, [as_scores(classify(clip)) for clip in waveforms])
    first, second = (np.stack(list(classifier.scores(waveforms))) for classifier in opened)
    np.testing.assert_allclose(first, second, atol=1e-4)
    assert opened[1].outputs.names == ("angry", "sad", "valence", "arousal")
    features = make_front_end("pyresnet")(waveforms[0], sampling_rate=16000, return_tensors="pt")
    np.testing.assert_allclose(first[0, 2:], model(**features).dimensions[0].detach(), atol=1e-4)
