"""Classifiers of waveforms: `load_classifier`, and calling one like a pipeline."""

import json

import numpy as np
import pytest
import soundfile
import torch
from tiny_classifier import write_classifier
from transformers import pipeline

import lssed_hf
from lssed_hf.audio import AudioError
from lssed_hf.inference import AudioClassifier, load_classifier
from lssed_hf.inference.classifiers import classifier as base


LABELS = ["angry", "neutral", "sad"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_classifier(tmp_path_factory.mktemp("model"), LABELS)


@pytest.fixture(scope="module")
def clip():
    return np.random.default_rng(0).uniform(-0.3, 0.3, 16000).astype(np.float32)


def scores(answer):
    return {row["label"]: pytest.approx(row["score"], abs=1e-5) for row in answer}


def test_a_folder_of_transformers_opens_and_answers_as_its_pipeline(model, clip):
    classifier = lssed_hf.load_classifier(model, batch_size=2)
    assert isinstance(classifier, AudioClassifier)
    assert (classifier.labels, classifier.sampling_rate, classifier.batch_size) == (LABELS, 16000, 2)
    expected = pipeline("audio-classification", model=str(model))({"array": clip, "sampling_rate": 16000})
    answer = classifier({"array": clip, "sampling_rate": 16000})
    assert [row["label"] for row in answer] == [row["label"] for row in expected]
    assert scores(answer) == {row["label"]: row["score"] for row in expected}
    assert classifier({"raw": clip, "sampling_rate": 16000}) == classifier(clip) == answer


def test_what_can_be_given_and_what_comes_back(model, clip, tmp_path):
    classifier = load_classifier(model)
    path = tmp_path / "clip.wav"
    soundfile.write(path, clip, 16000, subtype="FLOAT")
    one = classifier(clip)
    assert len(one) == 3 and sum(row["score"] for row in one) == pytest.approx(1)
    assert [row["score"] for row in one] == sorted((row["score"] for row in one), reverse=True)
    assert classifier(path) == classifier(str(path)) == classifier(path.read_bytes()) == one
    many = classifier([path, {"array": clip[:8000], "sampling_rate": 8000}, clip[:4000]], top_k=1)
    assert [len(answer) for answer in many] == [1, 1, 1]
    assert scores(many[0]) == {one[0]["label"]: one[0]["score"]}
    assert len(classifier(clip, top_k=None)) == 3 and len(classifier(clip, top_k=2)) == 2
    assert classifier([]) == []


@pytest.mark.parametrize("bounds", [{}, {"_WINDOW": 2}, {"_WINDOW_SAMPLES": 30_000}])
def test_clips_of_all_lengths_answer_in_order(model, monkeypatch, bounds):
    for name, value in bounds.items():
        monkeypatch.setattr(base, name, value)
    classifier = load_classifier(model, batch_size=3)
    rng = np.random.default_rng(0)
    clips = [rng.uniform(-0.3, 0.3, length).astype(np.float32) for length in rng.integers(500, 20_000, 29)]
    batches = []
    logits = classifier.logits
    monkeypatch.setattr(classifier, "logits", lambda batch: batches.append([*map(len, batch)]) or logits(batch))
    together = list(classifier.probabilities(iter(clips)))
    assert sorted(length for batch in batches for length in batch) == sorted(map(len, clips))
    assert all(batch == sorted(batch) and len(batch) <= 3 for batch in batches)
    alone = [next(classifier.probabilities([clip])) for clip in clips]
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert list(classifier.probabilities([])) == []


def test_a_clip_that_cannot_be_used_is_named(model, tmp_path):
    bad = tmp_path / "bad.wav"
    bad.write_text("text")
    with pytest.raises(AudioError, match=r"bad\.wav"):
        load_classifier(model)([bad])


def test_batch_norms_are_folded_on_the_cpu(model):
    names = {type(module).__name__ for module in load_classifier(model, device="cpu").model.modules()}
    assert "BatchNorm2d" not in names and "Conv2d" in names


def test_a_folder_that_is_neither_is_described(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"neither config\.json.* nor export\.json.* it holds nothing"):
        load_classifier(tmp_path)
    (tmp_path / "notes.txt").touch()
    with pytest.raises(FileNotFoundError, match=r"it holds notes\.txt"):
        load_classifier(tmp_path)


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", "null", '{"format": "tflite", "inputs": ["x"], "min_length": 1, "by_length": false}'],
)
def test_a_damaged_export_json_is_named(tmp_path, content):
    (tmp_path / "export.json").write_text(content)
    with pytest.raises(ValueError, match=r"export\.json is not one that this version writes"):
        load_classifier(tmp_path)


def exported_folder(path, format="onnx"):
    settings = {"format": format, "inputs": ["input_features"], "min_length": 1, "by_length": False}
    (path / "export.json").write_text(json.dumps(settings))
    return path


@pytest.mark.parametrize(
    "format, name", [("onnx", "model.onnx"), ("openvino", "openvino_model.xml"), ("openvino", "openvino_model.bin")]
)
def test_a_missing_network_file_is_named(tmp_path, format, name):
    exported_folder(tmp_path, format)
    if name.endswith(".bin"):
        (tmp_path / "openvino_model.xml").touch()
    with pytest.raises(FileNotFoundError, match=name):
        load_classifier(tmp_path)


@pytest.mark.parametrize(
    "format, module, name", [("onnx", "onnxruntime", "model.onnx"), ("openvino", "openvino", "openvino_model.xml")]
)
def test_an_unreadable_network_file_is_named(tmp_path, format, module, name):
    pytest.importorskip(module)
    exported_folder(tmp_path, format)
    (tmp_path / "openvino_model.bin").touch()
    (tmp_path / name).write_bytes(b"no network")
    with pytest.raises(ValueError, match=rf"{name} cannot be read"):
        load_classifier(tmp_path)


def test_a_missing_runtime_is_named_with_its_extra(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    (exported_folder(tmp_path) / "model.onnx").touch()
    with pytest.raises(ImportError, match=r"onnxruntime; run pip install 'lssed-hf\[onnx\]'"):
        load_classifier(tmp_path)


def test_an_exported_network_refuses_another_device(tmp_path):
    with pytest.raises(ValueError, match="runs on the CPU and not on cuda"):
        load_classifier(exported_folder(tmp_path), device="cuda")


def test_whisper_gets_the_thirty_seconds_that_it_takes(tmp_path):
    from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperForAudioClassification

    sizes = {"d_model": 16, "encoder_layers": 1, "encoder_attention_heads": 2, "encoder_ffn_dim": 16}
    model = WhisperForAudioClassification(WhisperConfig(**sizes, num_mel_bins=80, classifier_proj_size=4)).eval()
    extractor = WhisperFeatureExtractor()
    model.save_pretrained(tmp_path)
    extractor.save_pretrained(tmp_path)
    clips = [np.random.default_rng(0).normal(0, 0.1, length).astype(np.float32) for length in (1600, 2400)]
    with torch.no_grad():
        expected = model(**extractor(clips, sampling_rate=16000, return_tensors="pt")).logits
    np.testing.assert_allclose(lssed_hf.load_classifier(tmp_path).logits(clips), expected, atol=1e-5)
    model.half().save_pretrained(tmp_path)
    np.testing.assert_allclose(lssed_hf.load_classifier(tmp_path).logits(clips), expected, atol=1e-2)
