"""Warnings where a model is scored on a corpus that it was trained on."""

import json
import shutil

import pytest
from tiny_classifier import write_classifier
from tones import write_emodb, write_ravdess

import lssed_hf
from lssed_hf import cli
from lssed_hf.files import write_json
from lssed_hf.inference.trained_on import RECORD


pytestmark = pytest.mark.usefixtures("one_thread")

LABELS = ["angry", "neutral", "happy", "sad"]
RAVDESS = {"name": "ravdess", "corpus": "ravdess"}
TEST = {"test": {"labels": dict.fromkeys(LABELS, 12)}}  # three actors, four clips each


@pytest.fixture(scope="module")
def ravdess(tmp_path_factory):
    return write_ravdess(tmp_path_factory.mktemp("corpora") / "ravdess")


@pytest.fixture(scope="module")
def emodb(tmp_path_factory):
    return write_emodb(tmp_path_factory.mktemp("corpora") / "emodb")


@pytest.fixture
def model(tmp_path):
    return write_classifier(tmp_path / "model", LABELS)


@pytest.mark.parametrize(
    ("record", "split", "warned"),
    [
        ({}, "all", False),
        ({"corpora": [RAVDESS]}, "test", True),
        ({"corpora": [RAVDESS], "splits": TEST}, "test", False),
        ({"corpora": [RAVDESS], "splits": TEST}, "train", True),
        ({"corpora": [RAVDESS], "splits": TEST}, "train+test", True),
        ({"corpora": [RAVDESS], "splits": TEST, "teachers": [{"corpora": [RAVDESS]}]}, "test", True),
        ({"corpora": [], "start": {"name": "x", "corpora": [RAVDESS]}}, "test", True),
        ({"corpora": [{"name": "emodb", "corpus": "emodb"}], "start": {"name": "x", "corpora": None}}, "all", False),
    ],
)
def test_the_record_of_the_training_decides(model, ravdess, tmp_path, caplog, record, split, warned):
    write_json(model / RECORD, record)
    results = lssed_hf.evaluate("ravdess", model, tmp_path / "report", data_dir=ravdess, split=split)
    said = [one.message for one in caplog.records if "was trained on" in one.message]
    report = (tmp_path / "report" / "report.md").read_text(encoding="utf-8")
    written = json.loads((tmp_path / "report" / "results.json").read_text(encoding="utf-8"))
    assert results["num_utterances"] and ("warning" in written["context"]) == warned
    if warned:
        [warning] = said
        assert warning.startswith("The model was trained on ravdess, which is scored here. ")
        assert f"\n\n**{warning}**\n\n" in report and written["context"]["warning"] == warning
    else:
        assert not said and "was trained on" not in report


@pytest.mark.parametrize("name", lssed_hf.list_pretrained())
def test_the_built_in_models_name_their_corpora(name, emodb, caplog):
    flags = ["--dataset_name", "emodb", "--data_dir", str(emodb), "--split", "all"]
    assert cli.main(["evaluate", "--model_name_or_path", name, *flags]) == 0
    assert "The model was trained on emodb, which is scored here." in caplog.text


def test_an_adapted_model_knows_its_clips_and_those_of_its_start(ravdess, emodb, tmp_path, caplog):
    """And so does the card of the tests."""
    own = tmp_path / "own"
    for take, path in enumerate(sorted(ravdess.glob("*.wav"))[:16]):
        label = ("angry", "happy")[take % 2]
        (own / label).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, own / label)
    adapted = tmp_path / "adapted"
    lssed_hf.adapt("encoder-small", own, adapted)
    flags = ["--model_name_or_path", str(adapted), "--split", "all", "--output_dir", str(tmp_path / "scores")]
    assert cli.main(["evaluate", *flags, "--data_dir", str(own)]) == 0
    warning = "The model was trained on recordings of your own, maybe on these."
    assert warning in caplog.text
    assert cli.main(["card", str(adapted), "--results", str(tmp_path / "scores")]) == 0
    card = (adapted / "README.md").read_text(encoding="utf-8")
    assert warning in card and "`encoder-small`, which had been trained on" in card
    assert "`ravdess`: CC BY-NC-SA 4.0" in card
    caplog.clear()
    assert cli.main(["evaluate", *flags, "--dataset_name", "emodb", "--data_dir", str(emodb)]) == 0
    assert "The model was trained on emodb, which is scored here." in caplog.text


def test_the_majority_class_is_that_of_the_training(model, ravdess):
    write_json(model / RECORD, {"splits": {"train": {"labels": {"angry": 2, "sad": 5, "happy": 3}}}})
    results = lssed_hf.evaluate("ravdess", model, data_dir=ravdess)
    assert results["labels"][results["majority"]["label"]] == "sad" and results["majority_from"] == "training"
