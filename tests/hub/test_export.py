"""Exports: they give PyTorch's logits, and a failed export leaves nothing behind."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import soundfile
import torch
from torch import nn

import lssed_hf
from lssed_hf import cli
from lssed_hf.files import new_folder
from lssed_hf.hub import export
from lssed_hf.inference import AudioClassifier, ExportedClassifier, load_classifier
from lssed_hf.inference.classifiers.exported import ExportSettings, run_network


pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

pytestmark = pytest.mark.usefixtures("one_thread")

LABELS = {0: "angry", 1: "sad", 2: "happy"}
MEL_BINS = 32
ONE_STAGE = {"embedding_size": 4, "hidden_sizes": [16], "depths": [1], "kernel_sizes": [[3, 5]], "groups": [[1, 2]]}
VGG = {"depths": [1, 1], "hidden_sizes": [8, 8], "mlp_size": 8}


def save_model(folder, name, **fields):
    torch.manual_seed(0)
    model = lssed_hf.create_model(name, id2label=LABELS, num_mel_bins=MEL_BINS, **fields)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.2)
                module.bias.normal_(0, 0.2)
        model.classifier.weight.normal_(0, 0.5)
    model.save_pretrained(folder)
    lssed_hf.PyResNetFeatureExtractor(num_mel_bins=MEL_BINS, normalization="utterance").save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("pyresnet"), "pyresnet50", **ONE_STAGE)


@pytest.fixture(scope="module")
def waveforms():
    rng = np.random.default_rng(0)
    return [rng.normal(0, 0.1, length).astype(np.float32) for length in (20000, 400, 9000, 9000, 16000)]


@pytest.fixture(scope="module")
def clips(tmp_path_factory, waveforms):
    folder = tmp_path_factory.mktemp("clips")
    for index, waveform in enumerate(waveforms):
        soundfile.write(folder / f"{index}.wav", waveform, 16000)
    (folder / "bad.wav").write_text("text")
    return folder


@pytest.fixture(scope="module")
def onnx_folder(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported") / "onnx"
    export.export_model(model, folder)
    return folder


def probabilities(folder, waveforms, batch_size=8):
    return np.stack(list(load_classifier(folder, batch_size=batch_size).probabilities(waveforms)))


@pytest.mark.slow
def test_onnx_gives_the_probabilities_of_pytorch(model, onnx_folder, waveforms):
    assert isinstance(load_classifier(onnx_folder), ExportedClassifier)
    expected = probabilities(model, waveforms, batch_size=1)
    for batch_size in (1, 2, 8):
        np.testing.assert_allclose(probabilities(onnx_folder, waveforms, batch_size), expected, atol=1e-5)


def test_an_exported_folder_answers_without_torch_and_transformers(onnx_folder, tmp_path):
    soundfile.write(tmp_path / "clip.wav", np.random.default_rng(0).normal(0, 0.1, 24000), 16000)
    code = (
        "import sys\nfrom lssed_hf import cli\nstatus = cli.main(['predict', *sys.argv[1:]])\n"
        "print(status, {'torch', 'transformers', 'datasets'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", code, str(onnx_folder), str(tmp_path / "clip.wav")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 set()", done.stderr


def test_the_folder_is_complete_and_names_no_code_that_it_lacks(model, onnx_folder):
    names = {path.name for path in onnx_folder.iterdir()}
    code = {"configuration_pyresnet.py", "feature_extraction_pyresnet.py", "front_end_pyresnet.py"}
    code.add("torch_front_end_pyresnet.py")
    assert names == {"model.onnx", "config.json", "preprocessor_config.json", "export.json", *code}
    for name in ("config.json", "preprocessor_config.json"):
        for where in json.loads((onnx_folder / name).read_text())["auto_map"].values():
            assert f"{where.partition('.')[0]}.py" in code
    facts = json.loads((onnx_folder / "export.json").read_text())
    assert (facts["format"], facts["precision"], facts["source"]) == ("onnx", "float32", model.name)
    assert facts["inputs"] == ["input_features", "attention_mask"]
    assert facts["float32_parity"]["max_logit_difference"] <= facts["float32_parity"]["tolerance"] == 1e-4
    assert {"lssed_hf", "torch", "transformers", "onnx", "onnxscript", "onnxruntime"} == set(facts["versions"])


def test_no_file_names_a_folder_of_this_machine(model, onnx_folder):
    places = [str(model.parent), sys.prefix, str(Path(export.__file__).parents[2]), str(Path(torch.__file__).parent)]
    for path in onnx_folder.iterdir():
        content = path.read_bytes()
        assert not [place for place in places if place.encode() in content], path.name


def test_inputs_and_outputs_are_the_fields_names(onnx_folder):
    import onnxruntime

    session = onnxruntime.InferenceSession(onnx_folder / "model.onnx")
    inputs = {value.name: (value.type, len(value.shape), value.shape[2:]) for value in session.get_inputs()}
    assert inputs == {
        "input_features": ("tensor(float)", 3, [MEL_BINS]),
        "attention_mask": ("tensor(int64)", 2, []),
    }
    assert all(isinstance(size, str) for value in session.get_inputs() for size in value.shape[:2]), "any size"
    assert [value.name for value in session.get_outputs()] == ["logits"]


def test_it_is_called_like_a_pipeline(model, onnx_folder, waveforms):
    clip = {"array": waveforms[0], "sampling_rate": 16000}
    expected, answer = load_classifier(model)(clip, top_k=2), load_classifier(onnx_folder)(clip, top_k=2)
    assert [row["label"] for row in answer] == [row["label"] for row in expected]
    assert [row["score"] for row in answer] == pytest.approx([row["score"] for row in expected], abs=1e-5)


def test_predict_takes_the_folder(onnx_folder, model, clips, tmp_path):
    tables = []
    for name, folder in (("torch", model), ("onnx", onnx_folder)):
        assert cli.main(["predict", str(folder), str(clips), "--csv", str(tmp_path / name)]) == 1  # bad.wav
        with open(tmp_path / name, newline="", encoding="utf-8") as file:
            tables.append(list(csv.DictReader(file)))
    assert len(tables[0]) == 6
    for expected, row in zip(*tables):
        assert (row["label"], row["error"]) == (expected["label"], expected["error"])


def test_evaluate_takes_the_folder_but_for_adversarial_clips(onnx_folder, clips, tmp_path):
    import datasets

    from lssed_hf.inference.evaluate import evaluate_model

    rows = {"audio": [{"path": str(clips / f"{index}.wav")} for index in range(3)], "emotion": [0, 1, 2]}
    features = datasets.Features(
        {
            "audio": {"path": datasets.Value("string"), "bytes": datasets.Value("binary")},
            "emotion": datasets.ClassLabel(names=list(LABELS.values())),
        }
    )
    rows["audio"] = [{**row, "bytes": None} for row in rows["audio"]]
    dataset = datasets.Dataset.from_dict(rows, features=features)
    results = evaluate_model(onnx_folder, dataset, tmp_path / "report")
    assert 0 <= results["metrics"]["weighted_accuracy"] <= 1
    with pytest.raises(ValueError, match="has no gradients"):
        evaluate_model(onnx_folder, dataset, tmp_path / "other", adversarial_epsilon=0.1)


def test_an_exported_folder_cannot_be_exported_again(onnx_folder, tmp_path, capsys):
    assert cli.main(["export", str(onnx_folder), str(tmp_path / "out")]) == 1
    assert "was exported already" in capsys.readouterr().err


@pytest.mark.slow
def test_int8_onnx_agrees_and_says_how_far(model, clips, waveforms, tmp_path, capsys):
    out = tmp_path / "int8"
    flags = ["--int8", "--calibration_data", str(clips), "--num_calibration_clips", "5"]
    assert cli.main(["export", str(model), str(out), *flags]) == 0
    printed = capsys.readouterr()
    assert "bad.wav" in printed.err
    assert "float32: logits differ" in printed.out and "of 5 calibration clips" in printed.out
    facts = json.loads((out / "export.json").read_text())
    agreement = facts["int8_agreement"]
    assert facts["precision"] == "int8" and agreement["clips"] == 5
    [(name, reason)] = agreement["skipped_files"].items()
    assert name.endswith("/bad.wav") and not os.path.isabs(name) and reason.startswith(f"{name}: ")
    difference = np.abs(probabilities(out, waveforms, 1) - probabilities(model, waveforms, 1))
    assert 0 < difference.max() < 0.1
    assert b"QuantizeLinear" in (out / "model.onnx").read_bytes()
    assert not {"prepared.onnx", "quantized.onnx"} & {path.name for path in out.iterdir()}


@pytest.mark.slow
def test_openvino_in_8_bits_agrees(model, clips, waveforms, tmp_path):
    pytest.importorskip("openvino")
    pytest.importorskip("nncf")
    facts = export.export_model(model, tmp_path / "out", "openvino", int8=True, calibration_data=[clips])
    assert facts["float32_parity"]["max_logit_difference"] <= 1e-4
    assert facts["int8_agreement"]["clips"] == 5
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"openvino_model.xml", "openvino_model.bin", "config.json", "preprocessor_config.json"} <= names
    assert not any(name.startswith("quantized") for name in names)
    difference = np.abs(probabilities(tmp_path / "out", waveforms) - probabilities(model, waveforms))
    assert 0 < difference.max() < 0.1


@pytest.mark.slow
def test_a_network_that_does_not_mask_padding_is_run_by_length(waveforms, tmp_path):
    model = save_model(tmp_path / "model", "adv-vgg16", depths=[1, 1], hidden_sizes=[8, 8])
    facts = export.export_model(model, tmp_path / "out")
    assert facts["by_length"]
    np.testing.assert_allclose(
        probabilities(tmp_path / "out", waveforms), probabilities(model, waveforms, 1), atol=1e-5
    )


def test_what_openvino_cannot_read_is_said_in_one_line(model, tmp_path, monkeypatch):
    openvino = pytest.importorskip("openvino")
    monkeypatch.setattr(
        openvino.Core, "read_model", mock.Mock(side_effect=RuntimeError("operations:\n SequenceEmpty"))
    )
    with pytest.raises(export.ExportError, match=r"^OpenVINO cannot read .*: operations: SequenceEmpty$"):
        export.export_model(model, tmp_path / "out", "openvino")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("format", "int8"), [("onnx", False), ("openvino", True)])
def test_a_truncated_whisper_is_exported_for_any_length(format, int8, clips, waveforms, tmp_path):
    for package in export.PACKAGES[format]:
        pytest.importorskip(package)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    fields = {**sizes, "pooled_layers": [1], "max_frames": 24, "margin_frames": 2}  # two blocks in 20000 samples
    model = save_model(tmp_path / "model", "whisper_statistics", **fields)
    calibration = [clips] if int8 else []
    facts = export.export_model(model, tmp_path / "out", format, int8=int8, calibration_data=calibration)
    assert facts["float32_parity"]["max_logit_difference"] <= 1e-4 and not facts["by_length"]
    expected = probabilities(model, waveforms, batch_size=1)
    assert np.ptp(expected, axis=0).max() > 0.05
    # In 8 bits the deviation of the clip of one frame is all rounding.
    compared = [not int8 or len(waveform) > 400 for waveform in waveforms]
    for batch_size in (1, 8):
        difference = np.abs(probabilities(tmp_path / "out", waveforms, batch_size) - expected)[compared]
        assert difference.max() < (0.1 if int8 else 1e-5)


def test_a_front_end_of_one_length_is_refused(tmp_path):
    from transformers import ASTConfig, ASTFeatureExtractor, ASTForAudioClassification

    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    ASTForAudioClassification(ASTConfig(max_length=64, **sizes)).save_pretrained(tmp_path / "model")
    ASTFeatureExtractor(max_length=64).save_pretrained(tmp_path / "model")
    with pytest.raises(export.ExportError, match="of one length for clips of any length"):
        export.export_model(tmp_path / "model", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.slow
def test_a_model_that_depends_on_the_length_is_refused(tmp_path, capsys):
    model = save_model(tmp_path / "model", "vgg11", **VGG)
    assert cli.main(["export", str(model), str(tmp_path / "out")]) == 1
    assert "cannot be exported for any batch and length" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_network_that_answers_otherwise_is_refused(model, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "_write_network", lambda *args: None)
    wrong = lambda feed: np.full((len(feed["input_features"]), 3), 7, dtype=np.float32)  # noqa: E731
    monkeypatch.setattr(export, "open_network", lambda *args: wrong)
    with pytest.raises(export.ExportError, match=r"differ from PyTorch's by up to"):
        export.export_model(model, tmp_path / "out")
    assert not list(tmp_path.iterdir())


class TestBeforeAnythingIsWritten:
    def run(self, capsys, *flags):
        assert cli.main(["export", *map(str, flags)]) == 1
        return capsys.readouterr().err

    def test_int8_needs_calibration_data(self, model, tmp_path, capsys):
        assert "needs clips to calibrate with" in self.run(capsys, model, tmp_path / "out", "--int8")

    def test_calibration_data_need_int8(self, model, clips, tmp_path, capsys):
        assert "is for --int8" in self.run(capsys, model, tmp_path / "out", "--calibration_data", clips)

    def test_a_calibration_folder_without_audio(self, model, tmp_path, capsys):
        (tmp_path / "none").mkdir()
        flags = (model, tmp_path / "out", "--int8", "--calibration_data", tmp_path / "none")
        assert "no audio file below" in self.run(capsys, *flags)
        assert [path.name for path in tmp_path.iterdir()] == ["none"]

    def test_no_calibration_clip_that_can_be_read(self, model, clips, tmp_path, capsys):
        flags = (model, tmp_path / "out", "--int8", "--calibration_data", clips / "bad.wav", tmp_path / "gone.wav")
        error = self.run(capsys, *flags)
        assert "none of the 2 calibration files can be used" in error
        assert "skipped: " in error and "bad.wav" in error and "gone.wav" in error
        assert not (tmp_path / "out").exists()

    def test_a_folder_in_the_way(self, model, tmp_path, capsys):
        (tmp_path / "notes.txt").touch()
        assert "is there already and not empty" in self.run(capsys, model, tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]

    def test_a_model_that_is_not_there(self, tmp_path, capsys):
        assert "nothing" in self.run(capsys, tmp_path / "nothing", tmp_path / "out")
        assert not list(tmp_path.iterdir())

    def test_unknown_format(self, model, tmp_path):
        with pytest.raises(ValueError, match="not one of onnx, openvino"):
            export.export_model(model, tmp_path / "out", "tflite")

    def test_a_missing_package_is_named_with_its_extra(self, model, tmp_path, monkeypatch):
        monkeypatch.setitem(export.PACKAGES, "onnx", ("no-such-package",))
        with pytest.raises(ImportError, match=r"no-such-package; run pip install 'lssed-hf\[onnx\]'"):
            export.export_model(model, tmp_path / "out")


def test_short_batches_are_filled_up_and_unequal_ones_run_apart():
    shapes = []

    def network(feed):
        shapes.append(feed["input_features"].shape)
        assert feed["attention_mask"].dtype == np.int64
        return feed["input_features"].sum(axis=(1, 2))[:, None]

    mask = np.array([[1, 1, 0], [1, 1, 1], [1, 1, 0]], dtype=np.int32)
    features = np.arange(3, dtype=np.float64)[:, None, None] + 1 + np.zeros((3, 3, 2))
    names = ("input_features", "attention_mask")
    inputs = {"input_features": features, "attention_mask": mask}
    together = run_network(network, ExportSettings("onnx", names, 5, False), inputs)
    apart = run_network(network, ExportSettings("onnx", names, 1, True), inputs)
    assert shapes == [(3, 5, 2), (2, 2, 2), (1, 3, 2)]
    assert together.ravel().tolist() == [6, 12, 18] and apart.ravel().tolist() == [4, 12, 12]


def test_a_new_folder_is_whole_or_not_there(tmp_path):
    with pytest.raises(RuntimeError), new_folder(tmp_path / "deep" / "out") as folder:
        (folder / "half").touch()
        raise RuntimeError
    assert not list((tmp_path / "deep").iterdir())
    (tmp_path / "deep" / "out").mkdir()
    with new_folder(tmp_path / "deep" / "out") as folder:
        (folder / "whole").touch()
    assert [path.name for path in (tmp_path / "deep").rglob("*")] == ["out", "whole"]


def test_the_torch_classifier_is_not_taken_for_an_exported_one(model):
    assert isinstance(load_classifier(model), AudioClassifier)
