"""Scores that are no numbers: an error of their recording, and never a label."""

import csv
import json
import types

import datasets
import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file, save_file
from tiny_classifier import write_classifier

from lssed_hf import cli, embed, load_classifier, predict, score_timeline
from lssed_hf.inference.classifiers.classifier import NO_SCORES, Classifier
from lssed_hf.inference.evaluate import evaluate_model
from lssed_hf.inference.timeline.scoring import NOT_FINITE
from lssed_hf.training.teachers import Teacher


pytestmark = pytest.mark.usefixtures("one_thread")

LABELS = ["angry", "neutral", "sad"]
RATE = 16000
RNG = np.random.default_rng(0)
GOOD = (0.2 * np.sin(2 * np.pi * 300 * np.arange(RATE) / RATE)).astype(np.float32)
BAD = RNG.normal(0, 0.1, RATE).astype(np.float32)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Write a model with finite weights, whose first logit of noise is beyond float32 and of a tone is not."""
    torch.manual_seed(0)
    folder = write_classifier(tmp_path_factory.mktemp("model"), LABELS, "corpus")
    good, bad = load_classifier(folder).embeddings([GOOD, BAD])
    unit = int((bad - good).argmax())
    slope = 3e38 / max(1.0, float(bad[unit]))
    tensors = load_file(folder / "model.safetensors")
    tensors["classifier.weight"][0] = 0
    tensors["classifier.weight"][0, unit] = slope
    tensors["classifier.bias"][0] = 3.4e38 - slope * float(good[unit] + bad[unit]) / 2
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    assert np.isfinite(load_classifier(folder).logits([GOOD])).all()
    assert not np.isfinite(load_classifier(folder).logits([BAD])).all()
    return folder


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    for name, waveform in {"bad": BAD, "good": GOOD}.items():
        soundfile.write(folder / f"{name}.wav", waveform, RATE, subtype="FLOAT")
    return folder


def test_predict_gives_the_recording_an_error(model, clips, tmp_path, capsys):
    bad, good = predict(clips, model)
    assert (bad.label, bad.score, bad.probabilities) == (None, None, {})
    assert bad.error == f"{clips / 'bad.wav'}: {NO_SCORES}" and bad.seconds == 1
    assert good.label == "angry" and good.error is None
    table = tmp_path / "out.csv"
    assert cli.main(["predict", str(model), str(clips), "--csv", str(table)]) == 1
    rows = list(csv.DictReader(table.open(newline="")))
    assert [(row["label"], row["score"], bool(row["error"])) for row in rows] == [
        ("", "", True),
        ("angry", "1.0000", False),
    ]
    assert f"bad.wav: {NO_SCORES}" in capsys.readouterr().err
    assert cli.main(["predict", str(model), str(clips), "--format", "json"]) == 1
    first, second = json.loads(capsys.readouterr().out)
    assert first["label"] is first["score"] is None and NO_SCORES in first["error"] and second["label"] == "angry"


def test_a_called_classifier_refuses_the_clip(model, clips):
    with pytest.raises(ValueError, match=f"clip 1: {NO_SCORES}"):
        load_classifier(model)([GOOD, BAD])


def test_a_timeline_skips_the_segment(model, tmp_path, capsys):
    recording = tmp_path / "long.wav"
    soundfile.write(recording, np.concatenate([GOOD, BAD, GOOD]), RATE, subtype="FLOAT")
    settings = ["--window_seconds", "1", "--hop_seconds", "1"]
    segments = list(score_timeline(load_classifier(model), recording, window_seconds=1.0))
    assert [segment.skipped for segment in segments] == [None, NOT_FINITE, None]
    assert [segment.scored for segment in segments] == [True, False, True]
    assert np.isnan(segments[1].probabilities).all()
    outputs = {name: tmp_path / f"out.{name}" for name in ("csv", "json", "textgrid", "rttm")}
    flags = [word for name, path in outputs.items() for word in (f"--{name}", str(path))]
    assert cli.main(["timeline", str(model), str(recording), *settings, *flags]) == 1
    rows = list(csv.DictReader(outputs["csv"].open(newline="")))
    assert [(row["label"], row["skipped"]) for row in rows] == [("angry", ""), ("", NOT_FINITE), ("angry", "")]
    found = json.loads(outputs["json"].read_text())["segments"]
    assert [row["label"] for row in found] == ["angry", None, "angry"] and found[1]["probabilities"] is None
    assert f"({NOT_FINITE})" in outputs["textgrid"].read_text() and "NOSCORE" in outputs["rttm"].read_text()
    assert "1 without a finite score" in capsys.readouterr().err


@pytest.mark.parametrize("columns", [{"id": ["one", "two"]}, {}])
def test_evaluate_names_the_clip(columns, model, clips, tmp_path):
    paths = [str(clips / f"{name}.wav") for name in ("good", "bad")]
    rows = datasets.Dataset.from_dict({"audio": paths, "emotion": [0, 1]})
    rows = rows.cast_column("emotion", datasets.ClassLabel(names=LABELS))
    rows = rows.cast_column("audio", datasets.Audio(decode=False))
    for name, values in columns.items():
        rows = rows.add_column(name, values)
    with pytest.raises(ValueError, match=f"{'two' if columns else 'bad.wav'}: {NO_SCORES}"):
        evaluate_model(model, rows, tmp_path / "report")
    assert not (tmp_path / "report").exists()
    with pytest.raises(ValueError, match=rf"bad\.wav: {NO_SCORES} \(the teacher {model}\)"):
        Teacher(str(model)).probabilities(rows, LABELS)


class Constant(Classifier):
    """Classifier that gives the same logits and embeddings for every clip, or raises them."""

    name = "constant"

    def __init__(self, answer):
        self.config = types.SimpleNamespace(id2label=dict(enumerate(LABELS)), num_labels=len(LABELS))
        self.feature_extractor = types.SimpleNamespace(sampling_rate=RATE)
        self.batch_size, self.answer = 2, answer

    def logits(self, batch):
        if isinstance(self.answer, Exception):
            raise self.answer
        return np.array([self.answer] * len(batch), np.float32)

    def embeddings(self, waveforms, frames=False):
        return (np.array(self.answer, np.float32) for _ in waveforms)


@pytest.mark.parametrize("answer", [[np.nan, 0, 0], [0, np.inf, 0], [0, 0, -np.inf], [np.nan] * 3])
def test_any_number_that_is_not_finite_counts(answer, clips):
    assert np.isnan(next(Constant(answer).probabilities([GOOD]))).all()
    assert [one.label for one in predict(clips, Constant(answer))] == [None, None]
    assert all(one.values is None and NO_SCORES in one.error for one in embed(clips, Constant(answer)))


def test_a_model_that_fails_is_named():
    with pytest.raises(ValueError, match=r"constant cannot be run: no memory left"):
        next(Constant(RuntimeError("no memory\nleft")).probabilities([GOOD]))
    with pytest.raises(ValueError, match=r"constant gives 2 scores and has the labels angry, neutral, sad"):
        next(Constant([0, 1]).probabilities([GOOD]))
