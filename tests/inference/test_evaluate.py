"""Scoring a saved model on a corpus."""

import json

import datasets
import pytest
from datasets import load_dataset

from lssed_hf import PyResNetFeatureExtractor, cli, create_model
from lssed_hf.inference.evaluate import evaluate_model, match_labels


pytest.importorskip("espeakng_loader")

TINY = {"depths": [1], "embedding_size": 4, "hidden_sizes": [8], "kernel_sizes": [[3]], "groups": [[1]]}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    from lssed_hf.testing.releases.lssed import write_synthetic_lssed

    return write_synthetic_lssed(tmp_path_factory.mktemp("corpus"), num_speakers=5, utterances_per_speaker=6)


def save_model(folder, labels):
    create_model("pyresnet50", id2label=dict(enumerate(labels)), **TINY).save_pretrained(folder)
    PyResNetFeatureExtractor(normalization="utterance").save_pretrained(folder)
    return folder


def test_the_command_writes_a_report_and_prints_the_scores(corpus, tmp_path, capsys):
    model = save_model(tmp_path / "model", ["angry", "neutral", "happy", "sad"])
    flags = ["--model_name_or_path", str(model), "--dataset_name", "lssed", "--data_dir", str(corpus)]
    assert cli.main(["evaluate", *flags, "--split", "train", "--output_dir", str(tmp_path / "report")]) == 0
    results = json.loads((tmp_path / "report" / "results.json").read_text())
    written = {path.name for path in (tmp_path / "report").iterdir()}
    assert {"results.json", "report.md", "confusion_matrix.png", "predictions.csv"} <= written
    assert set(results["groups"]) == {"gender", "age_group"}
    assert f"{results['metrics']['unweighted_accuracy']:.3f}" in capsys.readouterr().out


def test_scores_do_not_depend_on_the_order_of_the_models_labels(corpus, tmp_path):
    dataset = load_dataset("lssed", "benchmark", data_dir=str(corpus))["train"]
    names = ["Sad", "angry", "HAPPY", "neutral"]
    references = match_labels(dataset, "emotion", names)
    spoken = [dataset.features["emotion"].names[label] for label in dataset["emotion"]]
    assert [names[number].lower() for number in references] == spoken


def test_labels_that_the_model_does_not_know_are_named(corpus, tmp_path):
    model = save_model(tmp_path / "model", ["angry", "neutral"])
    dataset = load_dataset("lssed", "benchmark", data_dir=str(corpus))["train"]
    with pytest.raises(
        ValueError, match=r"does not know the labels happy, sad; it has angry, neutral.* --label_set lssed"
    ):
        evaluate_model(model, dataset, tmp_path / "report")
    assert not (tmp_path / "report").exists()


def test_a_broken_clip_stops_the_scoring_and_is_named(corpus, tmp_path):
    model = save_model(tmp_path / "model", ["angry", "neutral", "happy", "sad"])
    dataset = load_dataset("lssed", "benchmark", data_dir=str(corpus))["train"]
    broken = tmp_path / "broken.wav"
    broken.write_text("not audio")
    dataset = dataset.add_column("path", [str(broken)] * len(dataset))
    dataset = dataset.remove_columns("audio").rename_column("path", "audio")
    with pytest.raises(ValueError, match=r"broken\.wav"):
        evaluate_model(model, dataset, tmp_path / "report")
    assert not (tmp_path / "report").exists()


def test_a_missing_split_is_named(corpus, tmp_path, capsys):
    model = save_model(tmp_path / "model", ["angry", "neutral", "happy", "sad"])
    flags = ["--model_name_or_path", str(model), "--dataset_name", "lssed", "--data_dir", str(corpus)]
    assert cli.main(["evaluate", *flags, "--split", "dev", "--output_dir", str(tmp_path / "report")]) == 1
    assert "has no split 'dev'; it has train" in capsys.readouterr().err


@pytest.mark.parametrize(
    "names, model_labels, advice",
    [
        (
            ["Wut", "Freude", "Ekel"],
            ["angry", "neutral", "happy", "sad"],
            "benchmark --label_map Ekel=disgusted Freude=happy",
        ),
        (["joy", "angry"], ["angry", "neutral", "happy", "sad"], "add --dataset_config_name benchmark$"),
        (["joy", "bored"], ["angry", "bored", "happy"], "add --label_set lssed$"),
        (["up", "down"], ["high", "low"], "--label_map down=high"),
    ],
)
def test_the_flags_that_match_labels_are_ready_to_paste(names, model_labels, advice):
    feature = datasets.ClassLabel(names=sorted(names))
    rows = datasets.Dataset.from_dict(
        {"emotion": list(range(len(names)))}, features=datasets.Features({"emotion": feature})
    )
    with pytest.raises(ValueError, match=advice):
        match_labels(rows, "emotion", model_labels)


def test_data_without_labels_are_named_as_such():
    label = datasets.Features({"emotion": datasets.ClassLabel(names=["unlabelled"])})
    with pytest.raises(ValueError, match=r"^the data have no labels, and the model tells angry, sad: .*emotion=COL"):
        match_labels(datasets.Dataset.from_dict({"emotion": [0]}, label), "emotion", ["angry", "sad"])
