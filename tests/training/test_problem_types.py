"""Trainings for ratings, for several classes of a clip, and for both classes and ratings, from end to end."""

import csv
import json

import datasets
import numpy as np
import pytest
import torch
from interruption import stopped_at
from loudness import FLAGS, write_loudness
from safetensors.torch import load_file
from serving import serve
from tiny_whisper import write_whisper
from transformers import AutoModelForAudioClassification

import lssed_hf
from lssed_hf.cli import evaluate as evaluate_command
from lssed_hf.cli import train as train_command
from lssed_hf.evaluation.ratings import score_ratings
from lssed_hf.experiments.settings import training_settings
from lssed_hf.inference import load_classifier
from lssed_hf.inference.classifiers.outputs import MULTI_LABEL
from lssed_hf.training.arguments import DataArguments, ModelArguments
from lssed_hf.training.problem import Problem, choose_problem, rated_splits
from lssed_hf.training.selection import training_splits


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_loudness(tmp_path_factory.mktemp("loudness") / "corpus")


def train(data, folder, *flags):
    assert train_command.main([*FLAGS, "--data_dir", str(data), "--output_dir", str(folder), *flags]) == 0
    return json.loads((folder / "results.json").read_text())


@pytest.fixture(scope="module")
def regression(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("regression") / "model"
    train(corpus, folder, "--problem_type", "regression")
    return folder


def rows_of(folder):
    with (folder / "predictions.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("flags", [["--problem_type", "regression"], ["--multitask", "true"]])
@pytest.mark.parametrize(
    ("renamed", "said"),
    [
        (
            {"arousal": "excitement", "valence": "v"},
            "emotion, speaker, excitement, v, split. .* --columns arousal=COL",
        ),
        ({"valence": "v"}, "has the column arousal, and none of its values could be read as numbers"),
    ],
)
def test_a_table_without_ratings_is_named_with_its_columns(tmp_path, flags, renamed, said):
    table = write_loudness(tmp_path / "data") / "metadata.csv"
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([renamed.get(name, name) for name in rows[0]])
        writer.writerows([[text if name != "arousal" else "high" for name, text in row.items()] for row in rows])
    where = ["--data_dir", str(tmp_path / "data"), "--output_dir", str(tmp_path / "model")]
    with pytest.raises(ValueError, match=said):
        train_command.main([*FLAGS, *where, *flags])


class TestRegression:
    def test_learns_loudness_of_speakers_that_it_does_not_know(self, regression):
        results = json.loads((regression / "results.json").read_text())
        assert results["problem_type"] == "regression" and results["dimensions"] == ["arousal"]
        assert results["num_speakers"] == 2 and results["metrics"]["mean_ccc"] >= 0.8
        assert results["baseline"]["from"] == "training" and results["baseline"]["metrics"]["mean_ccc"] == 0
        assert not (regression / "confusion_matrix.png").exists()
        assert "arousal, mean of the training set" in (regression / "report.md").read_text()

    @pytest.mark.parametrize(
        ("valence", "expected"),
        [
            (
                [1.0, None, 2.0],
                "without ratings: 1 of arousal, 1 of valence; 1 clip without any is left out",
            ),
            ([1.0, 3.0, 2.0], "train: 3 clips, without ratings: 1 of arousal; all are kept"),
        ],
    )
    def test_clips_without_ratings_are_counted(self, caplog, valence, expected):
        rows = datasets.Dataset.from_dict({"arousal": [1.0, None, 2.0], "valence": valence})
        problem = Problem(["arousal", "valence"], "emotion", "regression", ["arousal", "valence"])
        kept = rated_splits(datasets.DatasetDict(train=rows), problem)["train"]
        assert expected in caplog.text and len(kept) == 2 + (valence[1] is not None)

    def test_predictions_are_those_that_were_scored(self, regression):
        pairs = np.array([[row["reference_arousal"], row["prediction_arousal"]] for row in rows_of(regression)], float)
        results = json.loads((regression / "results.json").read_text())
        scores = score_ratings(pairs[:, :1], pairs[:, 1:], ["arousal"])
        assert scores["mean_ccc"] == pytest.approx(results["metrics"]["mean_ccc"], abs=1e-5)

    def test_pipeline_gives_the_ratings_on_the_corpus_scale(self, regression, corpus):
        config = AutoModelForAudioClassification.from_pretrained(regression).config
        assert config.problem_type == "regression" and config.id2label == {0: "arousal"}
        classify = serve(regression)
        for row in rows_of(regression)[:3]:
            (answer,) = classify(lssed_hf.load_audio(corpus / f"{row['id']}.wav"))
            assert answer["label"] == "arousal"
            assert answer["score"] == pytest.approx(float(row["prediction_arousal"]), abs=1e-3)

    def test_the_best_epoch_is_chosen_by_concordance(self, regression):
        state = json.loads(next(regression.glob("checkpoint-*/trainer_state.json")).read_text())
        found = [entry["eval_mean_ccc"] for entry in state["log_history"] if "eval_mean_ccc" in entry]
        assert state["best_metric"] == max(found)

    def test_card_and_record_name_the_scale(self, regression):
        ratings = json.loads((regression / "training.json").read_text())["ratings"]["arousal"]
        assert 1 <= ratings["min"] < 2 and 6 < ratings["max"] <= 7 and ratings["num_clips"] == 80
        card = (regression / "README.md").read_text()
        assert "It rates every sound" in card and "classes, noise" not in card and "Labels tell" not in card
        assert "CCC of arousal" in card and "scale of the ratings below" in card
        assert "| **`arousal`** |" in card and "| `arousal`, mean of the training set |" in card

    def test_scores_again_as_it_was_scored(self, regression, corpus, tmp_path, capsys, caplog):
        flags = ["--model_name_or_path", str(regression), "--data_dir", str(corpus), "--output_dir", str(tmp_path)]
        assert evaluate_command.main(flags) == 0
        again, first = (json.loads((folder / "results.json").read_text()) for folder in (tmp_path, regression))
        assert again["metrics"] == first["metrics"] and again["baseline"] == first["baseline"]
        assert "arousal, mean of the training set" in capsys.readouterr().out
        assert "was trained on" not in caplog.text

    def test_rating_units_are_those_of_the_corpus(self, regression, corpus, tmp_path):
        """A factor of 64 in the ratings is one in the predictions: nothing depends on the scale."""
        train(write_loudness(tmp_path / "scaled", scale=64), tmp_path / "model", "--problem_type", "regression")
        first, scaled = (
            np.array([row["prediction_arousal"] for row in rows_of(folder)], float)
            for folder in (regression, tmp_path / "model")
        )
        assert np.allclose(64 * first, scaled, rtol=1e-3)

    def test_a_stopped_run_ends_in_the_same_weights(self, regression, corpus, tmp_path):
        with stopped_at(33), pytest.raises(KeyboardInterrupt):
            train(corpus, tmp_path / "model", "--problem_type", "regression")
        train(corpus, tmp_path / "model", "--problem_type", "regression")
        whole, resumed = (load_file(folder / "model.safetensors") for folder in (regression, tmp_path / "model"))
        assert all(torch.equal(whole[name], resumed[name]) for name in whole)

    def test_concordance_loss(self, corpus, tmp_path):
        flags = ["--problem_type", "regression", "--regression_loss", "ccc", "--per_device_train_batch_size", "16"]
        assert train(corpus, tmp_path / "model", *flags)["metrics"]["mean_ccc"] >= 0.8

    def test_clips_without_ratings_are_left_out_and_counted(self, tmp_path, caplog):
        corpus = write_loudness(tmp_path / "corpus", unrated=4)
        results = train(corpus, tmp_path / "one", "--problem_type", "regression", "--dimensions", "arousal")
        assert results["num_utterances"] == 24
        assert lssed_hf.evaluate(corpus, tmp_path / "one")["num_utterances"] == 24
        assert "was trained on" not in caplog.text
        assert "train: 80 clips, without ratings: 20 of arousal; 20 clips without any are left out" in caplog.text
        results = train(corpus, tmp_path / "both", "--problem_type", "regression")
        rated = {name: one["num_rated"] for name, one in results["metrics"]["dimensions"].items()}
        assert rated == {"valence": 8, "arousal": 24} and results["num_utterances"] == 32

    def test_ratings_beyond_float32_are_named(self, caplog):
        ratings = datasets.Dataset.from_dict({"arousal": [1.0, 2.0, 1e300, float("inf"), None]})
        with caplog.at_level("WARNING"):
            parts = rated_splits(
                datasets.DatasetDict(train=ratings), Problem(["arousal"], "x", "regression", ["arousal"])
            )
        assert parts["train"]["arousal"][:] == [1.0, 2.0]
        assert (
            "train: ratings that are no finite numbers count as missing: 2 of arousal (such as 1e+300)" in caplog.text
        )

    def test_data_in_memory_without_labels(self, corpus, tmp_path):
        splits = lssed_hf.load_corpus("folder", corpus)
        splits = datasets.DatasetDict(
            {split: rows.remove_columns("emotion").rename_column("arousal", "act") for split, rows in splits.items()}
        )
        flags = {"problem_type": "regression", "dimensions": ["act"], "num_train_epochs": 1, "report_to": "none"}
        flags |= {"model": "pyresnet-small", "recipe": "small", "crop_seconds": 0}
        results = lssed_hf.train(splits, tmp_path / "model", **flags)
        assert results["dimensions"] == ["act"]
        again = lssed_hf.evaluate(splits, tmp_path / "model")
        assert again["metrics"] == results["metrics"] and again["baseline"] == results["baseline"]


class TestSeveralClasses:
    @pytest.fixture(scope="class")
    def model(self, corpus, tmp_path_factory):
        folder = tmp_path_factory.mktemp("several") / "model"
        train(corpus, folder, "--problem_type", "multi_label_classification")
        return folder

    def test_are_learnt(self, model):
        results = json.loads((model / "results.json").read_text())
        assert results["labels"] == ["high", "low", "loud"]
        assert results["metrics"]["macro_f1"] > 0.8 > results["majority"]["metrics"]["macro_f1"]
        assert {";" in row["reference"] for row in rows_of(model)} == {True, False}
        assert "mAP" in (model / "report.md").read_text() and "mAP" in (model / "README.md").read_text()

    def test_the_baseline_counts_secondary_emotions_of_the_training_set(self, tmp_path):
        table = write_loudness(tmp_path / "corpus") / "metadata.csv"
        text = table.read_text().replace(";loud", "")
        table.write_text(text.replace(",high,", ",high;loud,").replace(",low,", ",low;loud,"))
        flags = ["--problem_type", "multi_label_classification", "--num_train_epochs", "1"]
        results = train(table.parent, tmp_path / "model", *flags)
        assert results["labels"][results["majority"]["label"]] == "loud" and results["majority_from"] == "training"
        assert 'always "loud"' in (tmp_path / "model" / "report.md").read_text()

    def test_the_most_frequent_class_counts_secondary_emotions_where_they_are_learnt(self):
        emotions = datasets.ClassLabel(names=["high", "low", "loud"])
        rows = datasets.Dataset.from_dict(
            {"emotion": [0, 0, 1, 1], "secondary_emotions": [[2], [2], [2], None]},
            datasets.Features({"emotion": emotions, "secondary_emotions": datasets.Sequence(emotions)}),
        )
        several = Problem(emotions.names, "emotion", MULTI_LABEL)
        assert several.most_frequent(rows) == "loud"
        assert Problem(emotions.names, "emotion").most_frequent(rows) == "high", "one class a clip"

    def test_pipeline_gives_a_probability_for_each(self, model, corpus):
        classify = serve(model)
        for row in rows_of(model)[:3]:
            answers = classify(lssed_hf.load_audio(corpus / f"{row['id']}.wav"), top_k=3)
            for answer in answers:
                assert answer["score"] == pytest.approx(float(row[f"probability_{answer['label']}"]), abs=1e-3)

    def test_secondary_emotions_tell_clips_apart(self, corpus, tmp_path, caplog):
        (tmp_path / "data").mkdir()
        text = (corpus / "metadata.csv").read_text().replace("high", "low")
        rows = [line for line in text.splitlines() if not line.startswith("path") and "train" in line]
        lines = [text.splitlines()[0], *rows[:4], *rows[16:20]]
        for name in {line.split(",")[0] for line in lines[1:]}:
            (tmp_path / "data" / name).write_bytes((corpus / name).read_bytes())
        (tmp_path / "data" / "metadata.csv").write_text("\n".join(lines))
        data_args = DataArguments(data_dir=str(tmp_path / "data"), validation_fraction=0)
        splits = training_splits(data_args, 0, problem_type="multi_label_classification")
        model_args = ModelArguments(problem_type="multi_label_classification")
        assert choose_problem(data_args, model_args, splits["train"]).labels == ["low", "loud"]
        alike = splits["train"].filter(lambda others: others == [], input_columns="secondary_emotions")
        with pytest.raises(ValueError, match="all training clips are low: a classifier needs clips that differ"):
            choose_problem(data_args, model_args, alike)

    def test_mixup_mixes_classes(self, corpus, tmp_path):
        flags = ["--problem_type", "multi_label_classification", "--mixup", "0.3", "--num_train_epochs", "1"]
        assert train(corpus, tmp_path / "model", *flags)["labels"] == ["high", "low", "loud"]


class TestMultitask:
    FLAGS = ("--model_name_or_path", "pyresnet-small", "--multitask", "true", "--num_train_epochs", "16")

    @pytest.fixture(scope="class")
    def model(self, corpus, tmp_path_factory):
        folder = tmp_path_factory.mktemp("multitask") / "model"
        train(corpus, folder, *self.FLAGS)
        return folder

    def test_learns_classes_and_ratings(self, model):
        results = json.loads((model / "results.json").read_text())
        assert results["labels"] == ["high", "low"] and results["metrics"]["unweighted_accuracy"] > 0.9
        assert results["ratings"]["metrics"]["mean_ccc"] > 0.8
        assert {"probability_high", "reference_arousal", "prediction_arousal"} <= rows_of(model)[0].keys()
        assert (model / "report.md").read_text().count("arousal, mean of the training set") == 1
        assert "CCC of arousal" in (model / "README.md").read_text()

    def test_pipeline_serves_the_classes(self, model, corpus):
        network = AutoModelForAudioClassification.from_pretrained(model)
        assert network.config.dimensions == ["arousal"] and network.config.problem_type is None
        row = rows_of(model)[0]
        answers = serve(model)(lssed_hf.load_audio(corpus / f"{row['id']}.wav"))
        assert {answer["label"] for answer in answers} == {"high", "low"}
        for answer in answers:
            assert answer["score"] == pytest.approx(float(row[f"probability_{answer['label']}"]), abs=1e-3)

    def test_a_stopped_run_ends_in_the_same_weights(self, model, corpus, tmp_path):
        with stopped_at(25), pytest.raises(KeyboardInterrupt):
            train(corpus, tmp_path / "model", *self.FLAGS)
        train(corpus, tmp_path / "model", *self.FLAGS)
        whole, resumed = (load_file(folder / "model.safetensors") for folder in (model, tmp_path / "model"))
        assert all(torch.equal(whole[name], resumed[name]) for name in whole)

    def test_clips_without_ratings_still_teach_classes(self, tmp_path, caplog):
        results = train(
            write_loudness(tmp_path / "corpus", unrated=4), tmp_path / "model", *self.FLAGS, "--mixup", "0.2"
        )
        assert results["num_utterances"] == 32 and results["metrics"]["unweighted_accuracy"] > 0.9
        assert results["ratings"]["metrics"]["dimensions"]["valence"]["num_rated"] == 8
        assert "all are kept" in caplog.text


@pytest.mark.parametrize("kind", ["regression", "multi_label_classification"])
def test_probes(corpus, tmp_path, kind):
    """The state of a random encoder tells a loud clip from a soft one."""
    write_whisper(tmp_path / "whisper")
    flags = ["--model_name_or_path", str(tmp_path / "whisper"), "--probe", "true", "--problem_type", kind]
    results = train(corpus, tmp_path / "model", *flags, *_NO_CHANGES)
    assert results["problem_type"] == kind
    metric = {"regression": "mean_ccc", "multi_label_classification": "macro_f1"}[kind]
    assert results["metrics"][metric] > 0.5
    assert f"validation_{metric}" in json.loads((tmp_path / "model" / "probe.json").read_text())
    assert load_classifier(tmp_path / "model").outputs.problem_type == kind


def test_a_pretrained_encoder_learns_ratings(corpus, tmp_path):
    write_whisper(tmp_path / "whisper")
    flags = ["--model_name_or_path", str(tmp_path / "whisper"), "--problem_type", "regression", "--chunk_length", "1"]
    results = train(corpus, tmp_path / "model", *flags, "--num_train_epochs", "3", *_NO_CHANGES)
    assert results["metrics"]["dimensions"]["arousal"]["rmse"] < 4  # in units of the corpus from the start
    network = AutoModelForAudioClassification.from_pretrained(tmp_path / "model")
    assert network.config.problem_type == "regression" and type(network.classifier) is torch.nn.Linear


class TestStart:
    """Training on from a saved model."""

    def test_goes_on_with_its_problem(self, regression, corpus, tmp_path, caplog):
        caplog.set_level("INFO")
        results = train(
            corpus,
            tmp_path / "on",
            *("--model_name_or_path", str(regression), "--num_trainable_stages", "0", "--learning_rate", "0"),
            *_NO_CHANGES,
        )
        assert results["metrics"] == json.loads((regression / "results.json").read_text())["metrics"]
        assert "problem_type='regression', and is trained further so" in caplog.text

    def test_begins_a_new_head_for_another_problem(self, regression, corpus, tmp_path, caplog):
        flags = ["--model_name_or_path", str(regression), "--problem_type", "single_label_classification"]
        results = train(corpus, tmp_path / "classes", *flags, "--num_train_epochs", "1", *_NO_CHANGES)
        assert results["labels"] == ["high", "low"] and "a new head" in caplog.text
        config = AutoModelForAudioClassification.from_pretrained(tmp_path / "classes").config
        assert config.problem_type == "single_label_classification"

    @pytest.mark.parametrize(
        ("field", "value", "message"),
        [
            ("id2label", ["a", "b"], "id2label must name from 1"),
            ("problem_type", "foo", "problem_type='foo' is none of"),
        ],
    )
    def test_unfit_settings_are_refused(self, corpus, tmp_path, caplog, field, value, message):
        settings = {"model_type": "pyresnet", "problem_type": "regression", field: value}
        (tmp_path / "start").mkdir()
        (tmp_path / "start" / "config.json").write_text(json.dumps(settings))
        for kind in ([], ["--problem_type", "regression"]):
            with pytest.raises(ValueError, match=rf"config\.json: {message}"):
                train(corpus, tmp_path / "model", "--model_name_or_path", str(tmp_path / "start"), *kind)
        assert "is trained further" not in caplog.text


_NO_CHANGES = ("--config_overrides", "{}", "--feature_extractor_overrides", "{}")


REGRESSION, SEVERAL = ("--problem_type", "regression"), ("--problem_type", "multi_label_classification")
MULTITASK = ("--multitask", "true")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ((*REGRESSION, "--teacher", "encoder-small"), "--teacher and --problem_type regression do not"),
        ((*REGRESSION, "--adversarial", "vanilla"), "--adversarial vanilla and --problem_type regression"),
        ((*REGRESSION, "--class_weighting", "balanced"), "--class_weighting balanced and --problem_type"),
        ((*REGRESSION, "--sampling", "balanced"), "--sampling balanced and --problem_type"),
        ((*REGRESSION, "--label_smoothing_factor", "0.1"), "--label_smoothing_factor and --problem_type"),
        ((*REGRESSION, "--model_name_or_path", "egemaps-svm"), "egemaps-svm and --problem_type"),
        ((*SEVERAL, "--refit_head", "true"), "--refit_head and --problem_type"),
        ((*MULTITASK, "--adversarial_test", "true"), "--adversarial_test and --multitask do not"),
        ((*MULTITASK, "--extra_corpora", "emodb=x"), "--extra_corpora and --multitask do not"),
        ((*MULTITASK, *REGRESSION), "--multitask .* not with --problem_type regression"),
        (("--dimensions", "arousal"), "--dimensions goes with --problem_type regression, or with --multitask"),
        (("--regression_loss", "ccc"), "--regression_loss goes with --problem_type regression or with --multitask"),
        ((*REGRESSION, "--dimensions", "age"), "no two different ratings of age"),
        ((*REGRESSION, "--dimensions", "speaker_id"), "--dimensions speaker_id: .* no numbers"),
        ((*REGRESSION, "--dimensions", "dominance"), "--dimensions dominance: there is no such"),
        ((*MULTITASK, "--model_name_or_path", "vgg11"), "--multitask is for PyResNets"),
    ],
)
def test_what_does_not_go_together_is_refused(corpus, tmp_path, flags, message):
    with pytest.raises(ValueError, match=message):
        train(corpus, tmp_path / "model", "--config_overrides", "{}", *flags)


@pytest.mark.parametrize("flags", [REGRESSION, SEVERAL, MULTITASK])
def test_experiments_compare_classes_alone(flags):
    with pytest.raises(ValueError, match="experiments compare UA of classes"):
        training_settings(["--dataset_name", "ravdess", *flags])
