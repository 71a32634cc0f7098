"""Studies of benchmarks/ on tones: which system to pick, which recipe, and how far a few labelled clips go."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny_whisper import write_whisper
from tones import FLAGS, write_emodb, write_ravdess

from lssed_hf import cli
from lssed_hf.experiments.settings import training_settings


BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
NETWORK = FLAGS[1]
QUICK = [part for flag in zip(FLAGS[::2], FLAGS[1::2]) if flag[0] != "--config_overrides" for part in flag]


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    folder = tmp_path_factory.mktemp("places")
    places = {"ravdess": write_ravdess(folder / "ravdess"), "emodb": write_emodb(folder / "emodb")}
    return {**places, "encoder": write_whisper(folder / "whisper")}


def run(module, monkeypatch, places, output_dir, *more):
    argv = [text for name, place in places.items() for text in (f"--{name}", str(place))]
    monkeypatch.setattr(sys, "argv", ["study", *argv, "--output_dir", str(output_dir), *more])
    module.main()


def test_every_system_has_flags_that_train_knows(places, tmp_path):
    which_one, recipe_study = map(importlib.import_module, ("which_one", "recipe_study"))
    data_dirs = {name: places[name] for name in ("ravdess", "emodb")}
    for name in which_one.SYSTEMS:
        made = which_one.runs_of(name, tmp_path, data_dirs, "openai/whisper-tiny.en", [0, 1])
        pairs = {(source, target) for source, target, _ in made}
        assert pairs >= {("ravdess", None), ("emodb", "emodb")}
        assert (("emodb", "ravdess") in pairs) == ("both corpora" not in name), "no other corpus is left to test on"
    for flags in recipe_study.SYSTEMS.values():
        training_settings([*recipe_study.BASE, *flags])


@pytest.mark.slow
def test_systems_are_scored_timed_and_drawn(places, tmp_path, monkeypatch):
    which_one = importlib.import_module("which_one")
    tiny = " ".join(["--config_overrides", NETWORK.replace(" ", ""), *(flag.replace(" ", "") for flag in QUICK)])
    systems = {
        which_one.TEACHER: "--model_name_or_path {encoder} --probe true --chunk_length 1",
        "student": f"{tiny} --teacher {{teacher}}",
    }
    monkeypatch.setattr(which_one, "SYSTEMS", systems)
    monkeypatch.setattr(which_one, "BASE", which_one.TEACHER)
    monkeypatch.setattr(which_one, "measure", lambda case: [run() for run in case.contestants.values()] and [])
    argv = ["--systems", *systems, "--seeds", "0"]
    # --systems has the choices of the original.
    monkeypatch.setattr(which_one.argparse.ArgumentParser, "_check_value", lambda *_: None)
    run(which_one, monkeypatch, places, tmp_path, *argv)
    results = json.loads((tmp_path / "results.json").read_text())
    assert list(results["systems"]) == list(systems) and results["failures"] == {}
    assert all(len(system["pairs"]) == 4 for system in results["systems"].values())
    assert set(results["megabytes"]) == set(systems) and (tmp_path / "which_one.png").is_file()
    (one, other) = (
        {pair["target"]: pair for pair in results["systems"][name]["pairs"] if pair["source"] == "ravdess"}
        for name in ("student", which_one.TEACHER)
    )
    difference = one["ravdess"]["unweighted_accuracy"]["mean"] - other["ravdess"]["unweighted_accuracy"]["mean"]
    assert results["against"]["student"]["ravdess"]["value"] == pytest.approx(difference)
    encoder = tmp_path / "systems" / "whisper_tiny__frozen" / "runs" / "ravdess" / "seed_0" / "encoder"
    assert results["megabytes"][which_one.TEACHER] > (encoder / "model.safetensors").stat().st_size / 1e6
    report = (tmp_path / "report.md").read_text()
    assert (
        report.count("| student |") == 2
        and f"## Against {which_one.TEACHER}" in report
        and str(tmp_path) not in report
    )
    settings = tmp_path / "systems" / "student" / "runs" / "emodb" / "seed_0" / "settings.json"
    (teacher,) = json.loads(settings.read_text())["settings"]["teacher"]
    assert Path(teacher).parts[-2:] == ("emodb", "seed_0"), "a teacher has heard the same corpus"


@pytest.mark.slow
def test_recipes_are_compared_and_teachers_hear_no_held_out_speaker(places, tmp_path, monkeypatch):
    recipe_study = importlib.import_module("recipe_study")
    monkeypatch.setattr(recipe_study, "NETWORK", NETWORK)
    monkeypatch.setattr(recipe_study, "BASE", (*recipe_study.BASE, *QUICK, "--validation_fraction", "0.34"))
    run(recipe_study, monkeypatch, places, tmp_path, "--seeds", "0", "1", "--systems", "base", "student-logits")
    report = (tmp_path / "report.md").read_text()
    assert "validation UA" in report and "| base |" in report and str(tmp_path) not in report
    assert "| student-logits |" in report and "Missing" not in report
    for seed in (0, 1):
        folders = [tmp_path / "runs" / name / f"seed_{seed}" for name in ("whisper-probe", "student-logits")]
        teacher, student = (json.loads((folder / "training.json").read_text()) for folder in folders)
        assert teacher["splits"] == student["splits"] and teacher["shared_speakers"] == {
            "train, validation": 0,
            "train, test": 0,
            "validation, test": 0,
        }


def test_a_few_labelled_clips_are_drawn_from_speakers_who_are_not_tested(places, tmp_path, monkeypatch):
    few_shot = importlib.import_module("few_shot_left_out")
    monkeypatch.setattr(few_shot, "AMOUNTS", (1, 2))
    monkeypatch.setattr(few_shot, "DRAWS", 2)
    probe = "--probe true --probe_pooling statistics --probe_layer 1 --probe_C 0.1 --validation_fraction 0"
    systems = [f"tiny={places['encoder']} {probe} --speaker_normalization all"]
    corpora = [f"{name}={places[name]}" for name in ("ravdess", "emodb")]
    argv = ["cross-corpus", "--leave_one_out", "--corpora", "ravdess", "emodb", "--data_dirs", *corpora]
    left_out = tmp_path / "left_out"
    assert cli.main([*argv, "--models", *systems, "--output_dir", str(left_out), "--report_to", "none"]) == 0
    out = tmp_path / "few_shot"
    monkeypatch.setattr(
        sys, "argv", ["study", str(left_out), "tiny", "--data_dirs", *corpora, "--output_dir", str(out)]
    )
    few_shot.main()
    results = json.loads((out / "results.json").read_text())
    rows = {(row["corpus"], row["way"], row["clips_of_each_class"]): row for row in results["few_shot"]}
    # Each speaker has as many clips of each emotion, so the mean of both halves is the score of all.
    tested = json.loads(
        (left_out / "runs" / "tiny" / "without_emodb" / "seed_0" / "on_it_none" / "results.json").read_text()
    )
    as_it_is = rows["emodb", few_shot.ADAPTED, 0]["unweighted_accuracy"][few_shot.WITHOUT_SPEAKERS]
    assert as_it_is["value"] == pytest.approx(tested["metrics"]["unweighted_accuracy"])
    assert {way for _, way, amount in rows if amount == 1} == {few_shot.ADAPTED, few_shot.NEW}
    assert {way for _, way, amount in rows if amount == 2} == {few_shot.ADAPTED, few_shot.CHOSEN, few_shot.NEW}
    assert (out / "few_shot.png").is_file() and str(tmp_path) not in (out / "report.md").read_text()

    clips = few_shot.Embeddings(np.zeros((24, 1, 2)), np.arange(24) % 4, [f"s{n // 4}" for n in range(24)], [""] * 24)
    for order, test in few_shot.halves(clips, draw=0):
        labelled = {clips.speakers[row] for row in order}
        assert len(labelled) == 3 and labelled.isdisjoint(test.speakers) and len(set(test.speakers)) == 3
