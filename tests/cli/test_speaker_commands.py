"""`lssed-hf enroll`, and `predict` and `timeline` with its speakers."""

import csv
import json
import shutil

import numpy as np
import pytest
import soundfile
import torch
from tiny_classifier import write_classifier

from lssed_hf import cli, load_classifier
from lssed_hf.inference.classifiers import exported
from lssed_hf.inference.classifiers.speaker_statistics import read_speakers


LEVELS = {"anna": 0.02, "bert": 0.3}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Write a model for normalised speakers, three recordings of each of two people, and an interview of both."""
    folder = tmp_path_factory.mktemp("home")
    write_classifier(folder / "model", ["angry", "sad"], normalization="speaker")
    rng = np.random.default_rng(0)
    for name, level in LEVELS.items():
        (folder / name).mkdir()
        for number in range(3):
            soundfile.write(folder / name / f"{number}.wav", rng.normal(0, level, 8000), 16000, subtype="FLOAT")
    halves = [rng.normal(0, level, 16000) for level in LEVELS.values()]
    soundfile.write(folder / "interview.wav", np.concatenate(halves), 16000, subtype="FLOAT")
    (folder / "turns.csv").write_text("start,end,speaker\n0,1,anna\n1,2,bert\n")
    return folder


@pytest.fixture
def people(home, tmp_path):
    for name in LEVELS:
        assert enroll(home, tmp_path / "people.json", name, home / name) == 0
    return tmp_path / "people.json"


def enroll(home, path, name, *recordings):
    model = str(home / "model")
    return cli.main(["enroll", model, "--speaker", name, "--speakers", str(path), *map(str, recordings)])


def table(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_enroll_adds_and_replaces_and_loses_nobody(home, people, capsys):
    classifier = load_classifier(home / "model")
    before = read_speakers(people, classifier)
    assert list(before) == ["anna", "bert"] and before["anna"].num_clips == 3
    assert before["anna"].seconds == pytest.approx(1.5)
    assert enroll(home, people, "anna", home / "anna" / "0.wav") == 0
    assert "anna: 1 recording, 0.5 s, replaced in" in capsys.readouterr().err
    after = read_speakers(people, classifier)
    assert after["bert"] == before["bert"] and after["anna"].num_clips == 1
    assert after["anna"].mean != before["anna"].mean


def test_a_recording_that_cannot_be_read_leaves_the_file_as_it_was(home, people, tmp_path, capsys):
    (tmp_path / "bad.wav").write_text("text")
    before = people.read_bytes()
    assert enroll(home, people, "anna", tmp_path / "bad.wav") == 1
    output = capsys.readouterr().err
    assert "left out: " in output and "bad.wav: truncated, damaged" in output and people.read_bytes() == before
    assert enroll(home, people, " ", home / "anna") == 1
    assert "--speaker needs a name" in capsys.readouterr().err


def test_a_recording_that_cannot_be_read_is_left_out(home, people, tmp_path, capsys):
    (tmp_path / "bad.wav").write_text("text")
    assert enroll(home, people, "anna", home / "anna" / "0.wav", tmp_path / "bad.wav") == 1
    output = capsys.readouterr().err
    assert "left out: " in output and "bad.wav: truncated, damaged" in output
    assert "anna: 1 recording, 0.5 s, replaced in" in output


def test_enroll_says_of_which_models_a_baseline_is_no_part(home, tmp_path, capsys):
    flags = ["--speaker", "anna", "--speakers", str(tmp_path / "people.json"), str(home / "anna")]
    corpus = write_classifier(tmp_path / "corpus", ["angry", "sad"], normalization="corpus")
    assert cli.main(["enroll", str(corpus), *flags]) == 0
    assert "was not trained on clips normalised speaker by speaker" in capsys.readouterr().err
    other = write_classifier(tmp_path / "model", ["angry", "sad"])
    assert cli.main(["enroll", str(other), *flags]) == 1
    assert "normalization='utterance', under which" in capsys.readouterr().err


def test_predict_takes_the_speakers_own_statistics(home, people, tmp_path):
    classifier, out = load_classifier(home / "model"), tmp_path / "out.csv"
    for name in LEVELS:
        flags = ["--speakers", str(people), "--speaker", name, "--csv", str(out)]
        assert cli.main(["predict", str(home / "model"), str(home / name), *flags]) == 0
        clips = [soundfile.read(home / name / f"{number}.wav", dtype="float32")[0] for number in range(3)]
        own = classifier.for_speaker(classifier.speaker_statistics(clips))
        found = [float(row["probability_sad"]) for row in table(out)]
        np.testing.assert_allclose(found, [row[1] for row in own.probabilities(clips)], atol=1e-4)


def test_a_lone_speaker_needs_no_name(home, tmp_path, capsys):
    path = tmp_path / "one.json"
    enroll(home, path, "anna", home / "anna")
    model, clip = str(home / "model"), str(home / "anna" / "0.wav")
    capsys.readouterr()
    assert cli.main(["predict", model, clip, "--speakers", str(path)]) == 0
    alone = capsys.readouterr().out
    assert cli.main(["predict", model, clip, "--speakers", str(path), "--speaker", "anna"]) == 0
    assert capsys.readouterr().out == alone


def test_without_speakers_a_model_that_wants_them_warns_once(home, caplog):
    assert cli.main(["predict", str(home / "model"), str(home / "anna"), str(home / "bert"), "--batch_size", "1"]) == 0
    assert caplog.text.count("lssed-hf enroll") == 1
    caplog.clear()
    assert cli.main(["timeline", str(home / "model"), str(home / "interview.wav"), "--batch_size", "1"]) == 0
    assert caplog.text.count("lssed-hf enroll") == 1


@pytest.mark.parametrize("command", ["predict", "timeline"])
@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--speaker", "anna"], "--speaker anna goes with --speakers"),
        (["--speakers", "PEOPLE"], "holds anna, bert: name one with --speaker"),
        (["--speakers", "PEOPLE", "--speaker", "carl"], "lacks the speaker 'carl'; it holds anna, bert"),
        (["--speakers", "nobody.json"], "nobody.json: no such file of speakers"),
    ],
)
def test_speakers_that_are_not_there(home, people, capsys, command, flags, message):
    flags = [str(people) if flag == "PEOPLE" else flag for flag in flags]
    assert cli.main([command, str(home / "model"), str(home / "interview.wav"), *flags]) == 1
    assert message in capsys.readouterr().err


def test_timeline_takes_each_turns_speaker(home, people, tmp_path, caplog):
    model, out = str(home / "model"), tmp_path / "t.json"

    def scores(*flags):
        flags = [*flags, "--json", str(out), "--speakers", str(people)]
        assert cli.main(["timeline", model, str(home / "interview.wav"), *flags]) == 0
        content = json.loads(out.read_text(encoding="utf-8"))
        assert content["speakers"] == str(people) and content["own_baseline"] is False
        assert {segment["baseline"] for segment in content["segments"]} == {"enrolment"}
        return [segment["probabilities"]["sad"] for segment in content["segments"]]

    turns = ["--turns", str(home / "turns.csv")]
    own = scores(*turns)
    by_name = {name: scores(*turns, "--speaker", name) for name in LEVELS}
    assert own == pytest.approx([by_name["anna"][0], by_name["bert"][1]], abs=1e-6)
    assert abs(own[1] - by_name["anna"][1]) > 1e-3 and abs(own[0] - by_name["bert"][0]) > 1e-3
    assert not caplog.records


@pytest.mark.parametrize(
    ("name", "shown"), [("carl", "turn of carl from 0.0 to 1.0 s"), ("", "turn from 0.0 to 1.0 s")]
)
def test_a_turn_of_a_stranger_is_named(home, people, tmp_path, capsys, name, shown):
    turns = tmp_path / "turns.csv"
    turns.write_text(f"start,end,speaker\n0,1,{name}\n1,2,bert\n")
    flags = ["--turns", str(turns), "--speakers", str(people)]
    assert cli.main(["timeline", str(home / "model"), str(home / "interview.wav"), *flags]) == 1
    errors = capsys.readouterr().err
    assert f"the {shown} has no speaker with statistics: they are of anna, bert" in errors
    assert cli.main(["timeline", str(home / "model"), str(home / "interview.wav"), *flags, "--speaker", "bert"]) == 0


def test_an_exported_model_takes_speakers_too(home, people, tmp_path, monkeypatch):
    network = load_classifier(home / "model").model  # in place of ONNX Runtime's, for exporting takes long
    shutil.copytree(home / "model", tmp_path / "onnx")
    settings = {"format": "onnx", "inputs": ["input_features", "attention_mask"], "min_length": 1, "by_length": False}
    (tmp_path / "onnx" / "export.json").write_text(json.dumps(settings))

    def run(feed):
        with torch.inference_mode():
            return network(**{name: torch.from_numpy(value) for name, value in feed.items()}).logits.numpy()

    monkeypatch.setattr(exported, "open_network", lambda path, format: run)
    for model in (home / "model", tmp_path / "onnx"):
        flags = ["--speakers", str(people), "--speaker", "bert", "--csv", str(tmp_path / f"{model.name}.csv")]
        assert cli.main(["predict", str(model), str(home / "bert"), *flags]) == 0
    assert type(load_classifier(tmp_path / "onnx")) is exported.ExportedClassifier
    rows = [table(tmp_path / f"{name}.csv") for name in ("model", "onnx")]
    for one, other in zip(*rows, strict=True):
        assert float(one["probability_sad"]) == pytest.approx(float(other["probability_sad"]), abs=2e-4)


def test_a_worker_of_ray_takes_speakers_too(home, people, tmp_path, one_thread):
    files_ray = pytest.importorskip("lssed_hf.inference.predict_ray")
    flags = ["--speakers", str(people), "--speaker", "bert", "--csv", str(tmp_path / "out.csv")]
    assert cli.main(["predict", str(home / "model"), str(home / "bert" / "0.wav"), *flags]) == 0
    worker = files_ray.ModelWorker((home / "model", 8, "cpu", False), home, 1, (people, "bert"))
    [prediction] = worker.predict([(home / "bert" / "0.wav", True)])
    [row] = table(tmp_path / "out.csv")
    assert prediction.probabilities["sad"] == pytest.approx(float(row["probability_sad"]), abs=1e-4)
