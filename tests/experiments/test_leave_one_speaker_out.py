"""`lssed-hf benchmark --protocol leave-one-speaker-out`, end to end on a corpus of tones."""

import json

import numpy as np
import pytest
from tiny_whisper import write_whisper
from tones import write_emodb

from lssed_hf import cli
from lssed_hf.cli import benchmark as command
from lssed_hf.evaluation.run_results import read_run
from lssed_hf.experiments.benchmark import Spec, make_run
from lssed_hf.training.arguments import DataArguments
from lssed_hf.training.selection import training_splits


SPEAKERS = ("03", "08", "12", "13", "15", "16")
PROBE = "--probe true --probe_pooling statistics"
FIXED = f"{PROBE} --probe_layer 1 --probe_C 0.1 --validation_fraction 0"
UA = "unweighted_accuracy"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_emodb(tmp_path_factory.mktemp("emodb"))


@pytest.fixture(scope="module")
def argv(corpus, tmp_path_factory):
    whisper = write_whisper(tmp_path_factory.mktemp("whisper"))
    systems = [f"fixed={whisper} {FIXED}", f"chosen={whisper} {PROBE} --probe_C 0.1 --validation_fraction 0.2"]
    quiet = ["--disable_tqdm", "true", "--report_to", "none"]
    data = ["--corpus", "emodb", "--data_dir", str(corpus)]
    return ["--protocol", "leave-one-speaker-out", *data, "--models", *systems, *quiet]


@pytest.fixture(scope="module")
def finished(argv, tmp_path_factory):
    output_dir = tmp_path_factory.mktemp("leave_one_speaker_out") / "out"
    assert cli.main(["benchmark", *argv, "--output_dir", str(output_dir)]) == 0
    return output_dir


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def fold(output_dir, system, speaker):
    return output_dir / "runs" / system / f"without_{speaker}" / "seed_0"


def test_each_speaker_is_tested_by_a_model_of_the_others(finished):
    for system, validation in (("fixed", 0), ("chosen", 1)):
        for speaker in SPEAKERS:
            folder = fold(finished, system, speaker)
            assert set(read_run(folder).speakers) == {speaker}
            facts = read(folder / "training.json")
            sizes = {use: part["num_speakers"] for use, part in facts["splits"].items()}
            assert sizes == {"train": 5 - validation, "test": 1} | ({"validation": 1} if validation else {})
            assert not any(facts["shared_speakers"].values()) and "test_speaker" not in facts["settings"]
            assert not (folder / "model.safetensors").exists()


def test_scores_are_those_of_all_folds_together(finished):
    results = read(finished / "results.json")
    assert results["num_utterances"] == 72 and results["num_speakers"] == 6 and results["failures"] == {}
    text = (finished / "report.md").read_text(encoding="utf-8")
    for row in results["systems"]:
        parts = [read_run(fold(finished, row["name"], speaker)) for speaker in SPEAKERS]
        hits = np.concatenate([part.references == part.predictions for part in parts])
        labels = np.concatenate([part.references for part in parts])
        pooled = np.mean([hits[labels == label].mean() for label in range(4)])
        assert row[UA]["mean"] == pytest.approx(pooled) and row[UA]["low"] < row[UA]["high"]
        by_fold = [part.results["metrics"][UA] for part in parts]
        assert f"| {row['name']} | {pooled:.3f} | {np.mean(by_fold):.3f} ± {np.std(by_fold, ddof=1):.3f} |" in text
        assert sum(map(sum, row["confusion_matrix"])) == 72
    assert len(results["comparisons"]) == 1 and results["comparisons"][0][UA]["p"] <= 1
    chosen = next(row for row in results["systems"] if row["name"] == "chosen")
    scores = [read(fold(finished, "chosen", speaker) / "run.json") for speaker in SPEAKERS]
    validation = np.mean([facts["validation_unweighted_accuracy"] for facts in scores])
    assert chosen["validation_unweighted_accuracy"]["mean"] == pytest.approx(validation)
    assert chosen["train_seconds"] == pytest.approx(sum(facts["train_seconds"] for facts in scores))
    assert "test_speaker" not in text and str(finished) not in text


def test_it_goes_on_where_it_stopped_and_reports_finished_seeds_alone(finished, argv, capsys):
    results = (finished / "results.json").read_bytes()
    (fold(finished, "fixed", "08") / "run.json").unlink()
    assert cli.main(["benchmark", "--output_dir", str(finished), "--report_only"]) == 1
    assert "fixed without speaker 08, seed 0: not finished" in capsys.readouterr().err
    assert [row["name"] for row in read(finished / "results.json")["systems"]] == ["chosen"]
    assert cli.main(["benchmark", *argv, "--output_dir", str(finished)]) == 0
    assert capsys.readouterr().out.count("finished before") == 11
    again = read(finished / "results.json")
    for row in (*again["systems"], *(before := json.loads(results))["systems"]):
        del row["train_seconds"]
    assert again == before


def test_a_speaker_is_left_out_whatever_the_splits_are(corpus):
    arguments = DataArguments(dataset_name="emodb", data_dir=str(corpus), test_speaker="03")
    splits = training_splits(arguments, seed=0)
    assert set(splits["test"]["speaker_id"]) == {"03"}
    kept = set(splits["train"]["speaker_id"]) | set(splits["validation"]["speaker_id"])
    assert kept == set(SPEAKERS) - {"03"} and not set(splits["train"]["speaker_id"]) & set(
        splits["validation"]["speaker_id"]
    )
    with pytest.raises(ValueError, match="--test_speaker x: speakers of emodb are 03, 08, 12, 13, 15, 16"):
        training_splits(DataArguments(dataset_name="emodb", data_dir=str(corpus), test_speaker="x"), seed=0)
    with pytest.raises(ValueError, match="leave out --train_split_name"):
        training_splits(
            DataArguments("emodb", str(corpus), test_speaker="03", train_split_name="train+validation"), seed=0
        )


def test_folders_are_named_by_the_speaker(tmp_path):
    run = make_run(Spec("a", "pyresnet50"), 3, ["--dataset_name", "emodb"], tmp_path, test_speaker="an/na")
    assert run.folder.parent.parent == tmp_path / "runs" / "a" and run.folder.name == "seed_3"
    assert run.settings["test_speaker"] == "an/na" and run.title == "a without speaker an/na, seed 3"


def test_clips_without_a_speaker_are_refused(tmp_path, capsys):
    own = write_emodb(tmp_path / "own")
    argv = ["--data_dir", str(own), "--label_pattern", r"a01(\w)\w", "--models", "pyresnet50"]
    protocol = ["--protocol", "leave-one-speaker-out", "--output_dir", str(tmp_path / "out")]
    assert cli.main(["benchmark", *protocol, *argv]) == 1
    assert "needs the speaker of every clip, and two speakers at least; folder has 0" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        command.main([*protocol, *argv, "--test_speaker", "03"])
    assert "--protocol leave-one-speaker-out takes the place of --test_speaker" in capsys.readouterr().err
