"""Training on one corpus and test on another, end to end."""

import json

import pytest
from huggingface_hub import ModelCard
from tones import FLAGS, write_emodb

from lssed_hf import cli
from lssed_hf.cli import cross_corpus as cross_corpus_command
from lssed_hf.evaluation.intervals import SCORES
from lssed_hf.experiments import cross_corpus, runs
from lssed_hf.files import write_json


def flags(corpora, output_dir, *more):
    folders = [f"{name}={folder}" for name, folder in corpora.items()]
    return ["--corpora", *corpora, "--data_dirs", *folders, "--output_dir", str(output_dir), *FLAGS, *more]


@pytest.fixture(scope="module")
def finished(corpora, tmp_path_factory):
    output_dir = tmp_path_factory.mktemp("cross") / "out"
    assert cli.main(["cross-corpus", *flags(corpora, output_dir)]) == 0
    return output_dir


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.slow
def test_the_matrix_is_that_of_separate_evaluations(finished, corpora, tmp_path):
    results = read(finished / "results.json")
    assert results["corpora"] == ["ravdess", "emodb"] and results["labels"] == ["angry", "neutral", "happy", "sad"]
    pairs = {(row["source"], row["target"]): row for row in results["pairs"]}
    assert len(pairs) == 4
    text = (finished / "report.md").read_text(encoding="utf-8")
    for (source, target), row in pairs.items():
        report = tmp_path / source / target
        argv = ["--model_name_or_path", str(finished / "runs" / source / "seed_0"), "--output_dir", str(report)]
        assert cli.main(["evaluate", *argv, "--dataset_name", target, "--data_dir", str(corpora[target])]) == 0
        alone = read(report / "results.json")
        assert row["num_utterances"] == alone["num_utterances"]
        for name in SCORES:
            assert row[name]["mean"] == alone["metrics"][name]
        wa = pairs[source, source]["weighted_accuracy"]["mean"]
        if source != target:
            assert row["loss"]["weighted_accuracy"]["value"] == pytest.approx(
                wa - alone["metrics"]["weighted_accuracy"]
            )
            assert f"| {row['loss']['weighted_accuracy']['value']:.3f} [" in text
        else:
            trained = read(finished / "runs" / source / "seed_0" / "results.json")
            assert alone["metrics"] == trained["metrics"]
    assert {"table.tex", "table.png"} <= {path.name for path in finished.iterdir()}


def test_models_are_kept_and_checkpoints_are_not(finished):
    for folder in (finished / "runs").glob("*/*"):
        assert (folder / "model.safetensors").is_file() and not list(folder.glob("checkpoint-*"))


def test_the_card_has_the_scores_on_every_corpus(finished):
    folder = finished / "runs" / "ravdess" / "seed_0"
    results = ModelCard.load(folder / "README.md").data.eval_results
    found = {(result.dataset_name, result.metric_type): result.metric_value for result in results}
    for target in ("ravdess", "emodb"):
        metrics = read(folder / f"on_{target}_test" / "results.json")["metrics"]
        assert found[target, "accuracy"] == metrics["weighted_accuracy"]
        assert found[target, "recall"] == metrics["unweighted_accuracy"]


def test_all_clips_of_the_target_are_tested_on_without_training_again(finished, corpora):
    model = finished / "runs" / "emodb" / "seed_0" / "model.safetensors"
    before = model.stat().st_mtime_ns
    assert cli.main(["cross-corpus", *flags(corpora, finished, "--target_split", "all")]) == 0
    assert model.stat().st_mtime_ns == before
    pairs = {(row["source"], row["target"]): row for row in read(finished / "results.json")["pairs"]}
    assert pairs["ravdess", "emodb"]["num_utterances"] == 6 * 4 * 3
    assert pairs["emodb", "emodb"]["num_utterances"] == 2 * 4 * 3, "never on its own training clips"
    assert "all clips of the others" in (finished / "report.md").read_text(encoding="utf-8")
    (finished / "report.md").unlink()
    assert cli.main(["cross-corpus", "--output_dir", str(finished), "--report_only"]) == 0
    assert "all clips of the others" in (finished / "report.md").read_text(encoding="utf-8")


def test_classes_are_those_that_all_corpora_have(corpora, tmp_path, capsys):
    other = {**corpora, "emodb": write_emodb(tmp_path / "emodb", "NFT")}
    dirs = {name: ["--dataset_name", name, "--data_dir", str(folder)] for name, folder in other.items()}
    made = cross_corpus.make_runs(dirs, list(dirs), list(dirs), [0, 1], tmp_path / "out")
    assert made["emodb", "ravdess", 1].settings["labels"] == ["neutral", "happy", "sad"]
    assert made["ravdess", None, 1].settings["seed"] == 1
    assert made["emodb", "ravdess", 1].folder.parent == made["emodb", None, 1].folder
    made = cross_corpus.make_runs(dirs, list(dirs), list(dirs), [0], tmp_path / "out", ["sad", "happy"])
    assert made["emodb", "ravdess", 0].settings["labels"] == ["sad", "happy"]
    with pytest.raises(ValueError, match="not all corpora have 'angry'; they share neutral, happy, sad"):
        cross_corpus.make_runs(dirs, list(dirs), list(dirs), [0], tmp_path / "out", ["angry"])


def test_fewer_classes_are_fewer_clips(finished, corpora, tmp_path):
    folder = finished / "runs" / "emodb" / "seed_0" / "part"
    settings = {
        **{"dataset_name": "ravdess", "data_dir": str(corpora["ravdess"]), "splits": ["test", "validation"]},
        **{"labels": ["sad", "happy"], "majority_label": "sad"},
    }
    write_json(folder / "settings.json", {"work": "evaluate", "keep_model": True, "settings": settings})
    assert runs.main([str(folder)]) == 0
    results = read(folder / "results.json")
    assert results["num_utterances"] == 4 * 2 * 4 and results["num_speakers"] == 4
    assert [sum(row) for row in results["metrics"]["confusion_matrix"]] == [0, 0, 16, 16]
    assert results["majority"]["label"] == 3


def test_a_test_without_its_model_is_a_problem(tmp_path):
    write_json(tmp_path / "x" / "on_y" / "settings.json", {"work": "evaluate", "keep_model": True, "settings": {}})
    assert runs.main([str(tmp_path / "x" / "on_y")]) == 1
    assert runs.Run("t", tmp_path / "x" / "on_y", "evaluate", {}).problem == "ValueError: its model is not trained"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--corpora", "ravdess"], "name two different corpora"),
        (["--source", "ravdess"], "give --source and --target, or --corpora"),
        (["--source", "a", "--target", "b", "--corpora", "a", "b"], "give --source and --target, or --corpora"),
        (["--source", "ravdess", "--target", "ravdess"], "nothing to cross with ravdess alone"),
        (["--corpora", "ravdess", "emodb", "--data_dirs", "meld=x"], "takes CORPUS=VALUE with one of ravdess, emodb"),
        (
            ["--corpora", "ravdess", "emodb", "--data_dir", "x"],
            "--data_dirs CORPUS=FOLDER takes the place of --data_dir",
        ),
        (["--report_only"], "nothing was begun in"),
    ],
)
def test_flags_that_make_no_sense_end_the_program(tmp_path, capsys, argv, message):
    with pytest.raises(SystemExit):
        cross_corpus_command.main(["--output_dir", str(tmp_path), *argv])
    assert message in capsys.readouterr().err


def test_one_source_and_one_target(finished, corpora, tmp_path):
    dirs = {name: ["--dataset_name", name, "--data_dir", str(folder)] for name, folder in corpora.items()}
    made = cross_corpus.make_runs(dirs, ["emodb"], ["ravdess"], [0], tmp_path)
    assert list(made) == [("emodb", None, 0), ("emodb", "emodb", 0), ("emodb", "ravdess", 0)]
    made = cross_corpus.make_few_shot_runs(dirs, ["emodb"], ["ravdess"], [0, 1], tmp_path, [1, 4])
    numbers = [(number, seed) for number in (1, 4) for seed in (0, 1)]
    assert list(made) == [(start, "ravdess", *both) for start in (None, "emodb") for both in numbers]
    assert len({run.folder for run in made.values()}) == 8
    assert made["emodb", "ravdess", 4, 1].settings["max_train_speakers"] == 4
    runs.check_runs(
        list(made.values()) + list(cross_corpus.make_runs(dirs, ["emodb"], ["ravdess"], [0, 1], tmp_path).values())
    )


@pytest.mark.slow
def test_few_speakers_of_the_target(finished, corpora, capsys):
    before = (finished / "runs" / "emodb" / "seed_0" / "model.safetensors").stat().st_mtime_ns
    argv = flags(corpora, finished, "--few_shot", "2", "--few_shot_flags", "--num_train_epochs 1")
    assert cli.main(["cross-corpus", *argv]) == 0, capsys.readouterr().err
    assert (finished / "runs" / "emodb" / "seed_0" / "model.safetensors").stat().st_mtime_ns == before
    results = read(finished / "results.json")
    rows = {(row["source"], row["target"], row["num_train_speakers"]): row for row in results["few_shot"]}
    assert set(rows) == {
        *((None, target, 2) for target in corpora),
        *((s, t, number) for s, t in (("ravdess", "emodb"), ("emodb", "ravdess")) for number in (0, 2)),
    }
    pair = next(row for row in results["pairs"] if (row["source"], row["target"]) == ("ravdess", "emodb"))
    for name in SCORES:
        assert rows["ravdess", "emodb", 0][name] == pair[name]
    assert rows["ravdess", "emodb", 0]["gain"] is None and rows["ravdess", "emodb", 2]["gain"] is not None
    text = (finished / "report.md").read_text(encoding="utf-8")
    assert "## Few speakers" in text and "| emodb | from ravdess | 2 |" in text
    assert (finished / "few_shot.png").is_file()
    assert "too high for new speakers" not in text.split("## Few speakers")[1]
    record = finished / "runs" / "ravdess" / "seed_0" / "few_shot_emodb_2" / "training.json"
    known = record.read_text(encoding="utf-8")
    record.write_text(json.dumps({**json.loads(known), "shared_speakers": {"train, test": 2}}), encoding="utf-8")
    assert cli.main(["cross-corpus", "--output_dir", str(finished), "--report_only"]) == 0
    few = (finished / "report.md").read_text(encoding="utf-8").split("## Few speakers")[1]
    assert "**emodb: 2 of the 2 test speakers (100 %) are in the training set too" in few
    record.write_text(known, encoding="utf-8")

    tuned = finished / "runs" / "ravdess" / "seed_0" / "few_shot_emodb_2"
    settings = read(tuned / "settings.json")["settings"]
    assert settings["num_train_epochs"] == 1 and settings["max_train_speakers"] == 2
    assert settings["load_best_model_at_end"] is False and "config_overrides" not in settings
    assert not (tuned / "model.safetensors").exists()
    # Normalised as the corpus of pre-training was.
    start = read(finished / "runs" / "ravdess" / "seed_0" / "preprocessor_config.json")
    assert read(tuned / "preprocessor_config.json")["mean"] == start["mean"]
