"""A small benchmark end to end: its files, its continuation after a kill, and its refusals."""

import csv
import inspect
import json
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from interruption import run_killed
from tones import FLAGS, write_ravdess

from lssed_hf import cli
from lssed_hf.cli import benchmark as command
from lssed_hf.evaluation.intervals import SCORES
from lssed_hf.experiments import benchmark, runs
from lssed_hf.experiments.settings import recipe
from lssed_hf.files import write_json
from lssed_hf.training.output_folder import claimed


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_ravdess(tmp_path_factory.mktemp("ravdess"))


def flags(corpus, output_dir, *more):
    return ["--corpus", "ravdess", "--data_dir", str(corpus), "--output_dir", str(output_dir), *FLAGS, *more]


SYSTEMS = ["pyresnet50", "fast=pyresnet50 --learning_rate 0.2"]


@pytest.fixture(scope="module")
def finished(corpus, tmp_path_factory):
    output_dir = tmp_path_factory.mktemp("benchmark") / "out"
    assert command.main(flags(corpus, output_dir, "--models", *SYSTEMS, "--seeds", "0", "1")) == 0
    return output_dir


def read(path: Path):
    return json.loads(path.read_text(encoding="utf-8"))


def state_of(folder: Path):
    """Return bytes and times of all files of a run."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


@pytest.mark.slow
def test_two_systems_with_two_seeds(finished):
    written = {path.name for path in finished.iterdir()}
    assert {"report.md", "results.json", "table.tex", "table.png", "figure2.png", "runs"} <= written
    results, text = read(finished / "results.json"), (finished / "report.md").read_text(encoding="utf-8")
    assert [row["name"] for row in results["systems"]] == ["pyresnet50", "fast"]
    for row in results["systems"]:
        folders = {str(seed): finished / "runs" / row["name"] / f"seed_{seed}" for seed in (0, 1)}
        for name in SCORES:
            by_seed = {seed: read(folder / "results.json")["metrics"][name] for seed, folder in folders.items()}
            assert row[name]["by_seed"] == by_seed
            assert f"| {sum(by_seed.values()) / 2:.3f} ± " in text
        assert row["num_parameters"] == 468 and f"| {row['num_parameters']} |" in text
        seconds = [read(folder / "run.json")["train_seconds"] for folder in folders.values()]
        assert row["train_seconds"] == pytest.approx(sum(seconds) / 2) and not row["resumed"]
        validation = [read(folder / "eval_results.json")["eval_unweighted_accuracy"] for folder in folders.values()]
        assert row["validation_unweighted_accuracy"]["mean"] == pytest.approx(sum(validation) / 2)
    assert results["num_utterances"] == 48 and results["num_speakers"] == 3 and results["corpus"] == "ravdess"
    assert len(results["comparisons"]) == 1 and results["failures"] == {}
    assert "paper WA" not in text and "Table 5" not in text and "PyResNet†" in text, (
        "the paper has no figures for this corpus"
    )
    assert "**None of the 3 test speakers is in the training set.**" in text
    assert "- fast: model_name_or_path `pyresnet50`, learning_rate `0.2`" in text


def test_finished_runs_have_no_checkpoints_and_no_weights(finished):
    for folder in (finished / "runs").glob("*/*"):
        assert not list(folder.glob("checkpoint-*")) and not list(folder.glob("*.safetensors"))
        assert not (folder / "README.md").exists(), "a card of no model"
        with (folder / "predictions.csv").open(encoding="utf-8") as file:
            assert {row["speaker"] for row in csv.DictReader(file)} == {"17", "18", "19"}


def test_systems_get_their_own_flags_and_the_common_ones(finished):
    settings = {
        name: read(finished / "runs" / name / "seed_1" / "settings.json")["settings"]
        for name in ("pyresnet50", "fast")
    }
    assert (settings["pyresnet50"]["learning_rate"], settings["fast"]["learning_rate"]) == (0.05, 0.2)
    assert settings["fast"]["num_train_epochs"] == 2 and settings["fast"]["seed"] == 1


def test_once_more_changes_no_run_and_report_only_needs_no_flags(finished, corpus, capsys):
    before = state_of(finished / "runs")
    assert (
        command.main(flags(corpus, finished, "--models", *SYSTEMS, "--seeds", "0", "1", "--logging_steps", "3")) == 0
    )
    assert capsys.readouterr().out.count("finished before") == 4
    results = (finished / "results.json").read_bytes()
    for name in ("report.md", "results.json"):
        (finished / name).unlink()
    assert command.main(["--output_dir", str(finished), "--report_only"]) == 0
    assert (finished / "results.json").read_bytes() == results
    printed = capsys.readouterr().out
    assert re.search(r"^system +algorithm +backbone +WA +UA", printed, re.MULTILINE), "the table on the terminal"
    assert "\nNone of the 3 test speakers is in the training set.\n" in printed
    assert command.main(["--output_dir", str(finished), "--report_only", "--reference", "pyresnet50"]) == 0
    assert read(finished / "results.json")["reference"] == "pyresnet50"
    assert "| against pyresnet50 |" in (finished / "report.md").read_text(encoding="utf-8")
    assert state_of(finished / "runs") == before


def test_other_settings_are_refused_and_named(finished, corpus, capsys):
    before = state_of(finished / "runs")
    argv = ["benchmark", *flags(corpus, finished, "--models", *SYSTEMS, "--seeds", "0", "1", "--mixup", "0.2")]
    assert cli.main([*argv, "--learning_rate", "0.01"]) == 1
    error = capsys.readouterr().err
    assert "pyresnet50/seed_0 was begun with other settings" in error.replace("\\", "/")
    assert "learning_rate was 0.05 and is not given now" in error, "0.01 is the default"
    assert "mixup was not given and is 0.2 now" in error and "fast" not in error
    assert state_of(finished / "runs") == before


@pytest.mark.parametrize("model", ["pyresnet5", "{folder}/nothing"])
def test_a_model_that_there_is_not_is_named_before_any_training(model, corpus, tmp_path, capsys):
    model = model.format(folder=tmp_path)
    assert cli.main(["benchmark", *flags(corpus, tmp_path / "out", "--models", "pyresnet50", f"b={model}")]) == 1
    assert f"model {model!r}" in capsys.readouterr().err
    assert not (tmp_path / "out" / "runs").exists()


def test_a_failing_run_is_listed_and_stops_nothing(corpus, tmp_path, capsys):
    systems = ['broken=pyresnet50 --config_overrides "{\\"groups\\": [[3]]}"', "pyresnet50"]
    assert command.main(flags(corpus, tmp_path / "out", "--models", *systems, "--keep_models")) == 1
    assert "broken, seed 0: " in capsys.readouterr().err
    results = read(tmp_path / "out" / "results.json")
    assert [row["name"] for row in results["systems"]] == ["pyresnet50"]
    reason = results["failures"]["broken, seed 0"]
    assert "groups" in reason and "\n" not in reason
    assert f"- broken, seed 0: {reason}" in (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert (tmp_path / "out" / "runs" / "pyresnet50" / "seed_0" / "model.safetensors").is_file()
    assert command.main(["--output_dir", str(tmp_path / "out"), "--report_only"]) == 1


def test_nothing_finished_is_no_report(corpus, tmp_path, capsys):
    broken = 'broken=pyresnet50 --config_overrides "{\\"groups\\": [[3]]}"'
    assert command.main(flags(corpus, tmp_path / "out", "--models", broken)) == 1
    assert not (tmp_path / "out" / "report.md").exists()
    assert "Report" not in capsys.readouterr().out


def test_killed_in_a_run_it_goes_on_there_in_a_process_of_its_own(
    finished, corpus, tmp_path, own_processes, forking_python
):
    out = shutil.copytree(finished, tmp_path / "out")
    argv = ["benchmark", *flags(corpus, out, "--models", *SYSTEMS, "--seeds", "0", "1")]
    (out / "report.md").unlink()
    first, second = (out / "runs" / "pyresnet50" / f"seed_{seed}" for seed in (0, 1))
    shutil.rmtree(second)
    before = state_of(first)
    # Between the checkpoints of steps 4 and 8.
    run_killed(forking_python, 6, argv, str(Path("pyresnet50") / "seed_1"))
    assert (second / "checkpoint-4").is_dir() and not (second / "run.json").exists()
    assert not (out / "report.md").exists()
    # As a kill while a checkpoint is written leaves it: the Trainer writes the state last.
    shutil.copytree(second / "checkpoint-4", second / "checkpoint-6")
    (second / "checkpoint-6" / "trainer_state.json").unlink()

    assert cli.main(argv) == 0, (second / "log.txt").read_text()
    assert state_of(first) == before
    assert read(second / "run.json")["resumed"] and "going on from" in (second / "log.txt").read_text()
    assert "| ≥ " in (out / "report.md").read_text(encoding="utf-8")
    # The same answers as without the kill.
    expected = finished / "runs" / "pyresnet50" / "seed_1" / "predictions.csv"
    assert (second / "predictions.csv").read_bytes() == expected.read_bytes()


def test_a_folder_that_was_begun_under_the_old_names_goes_on_under_them(finished, corpus, tmp_path, capsys):
    out = shutil.copytree(finished, tmp_path / "out")
    (out / "runs").rename(out / "cells")
    for path in (out / "cells").rglob("run.json"):
        path.rename(path.with_name("cell.json"))
    old = out / "cells" / "fast" / "seed_1"
    (old / "cell.json").unlink()
    assert command.main(flags(corpus, out, "--models", *SYSTEMS, "--seeds", "0", "1")) == 0
    assert capsys.readouterr().out.count("finished before") == 3
    assert read(old / "cell.json")["num_parameters"] == 468
    assert not (out / "runs").exists() and not list(out.rglob("run.json"))
    results = read(out / "results.json")
    (out / "results.json").unlink()
    assert command.main(["--output_dir", str(out), "--report_only"]) == 0
    assert read(out / "results.json") == results
    for row, before in zip(results["systems"], read(finished / "results.json")["systems"], strict=True):
        assert [row[name] for name in SCORES] == [before[name] for name in SCORES]
    assert cli.main(["card", str(out), "--output_dir", str(tmp_path / "cards")]) == 0
    names = {path.name for path in (tmp_path / "cards").iterdir()}
    assert names == {f"out-{system}-seed_{seed}.md" for system in ("fast", "pyresnet50") for seed in (0, 1)}


def test_a_process_that_dies_is_named_and_one_without_a_parent_ends(tmp_path, monkeypatch, own_processes):
    dying = tmp_path / "python"
    dying.write_text("#!/bin/sh\nkill -9 $$\n")
    dying.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(dying))
    runs.run_in_process(tmp_path)
    assert "ended with SIGKILL" in (tmp_path / "error.txt").read_text()

    monkeypatch.undo()
    code = f"import os, sys, threading, time\n{inspect.getsource(runs._die_with_parent)}"
    command = [sys.executable, "-c", f"{code}\n_die_with_parent(); print(1, flush=True); time.sleep(60)"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        process.stdin.close()
        assert process.wait(timeout=20) == 1


def test_several_runs_at_once_share_the_processors(tmp_path, monkeypatch):
    both = threading.Barrier(2, timeout=20)  # opens only where two runs are at work together
    given = []

    def run(folder, num_threads):
        both.wait()
        given.append(num_threads)
        write_json(folder / "run.json", {})

    monkeypatch.setattr(runs, "run_in_process", run)
    monkeypatch.setattr(runs.os, "cpu_count", lambda: 6)
    several = [runs.Run(f"run {index}", tmp_path / str(index), "train", {}) for index in range(4)]
    runs.do_runs(several, jobs=2)
    assert given == [3] * 4 and all(run.facts == {} for run in several)


def test_two_benchmarks_do_not_share_a_folder(corpus, tmp_path, capsys):
    with claimed(tmp_path):
        assert cli.main(["benchmark", *flags(corpus, tmp_path, "--models", "pyresnet50")]) == 1
    assert "another run is at work" in capsys.readouterr().err


def test_the_folder_of_another_command_is_refused(finished, corpus, capsys):
    before = state_of(finished)
    for argv in (["--report_only"], ["--data_dir", str(corpus), "--models", "pyresnet50"]):
        with pytest.raises(SystemExit):
            cli.main(["finetune-daic", "--output_dir", str(finished), *argv])
        assert "holds the runs of `lssed-hf benchmark`: choose another --output_dir" in capsys.readouterr().err
    assert state_of(finished) == before
    asked = finished / "asked.json"
    content = asked.read_text(encoding="utf-8")
    asked.write_text(json.dumps(json.loads(content)["flags"]), encoding="utf-8")  # of earlier versions
    assert cli.main(["benchmark", "--output_dir", str(finished), "--report_only"]) == 0
    asked.write_text(content, encoding="utf-8")


def test_a_recipe_tells_flags_that_are_set_and_systems_that_differ():
    text = recipe({"a": {"dataset_name": None, "optim": "sgd"}, "b": {"optim": "sgd", "learning_rate": 0.1}})
    assert text.endswith(
        "- all: optim `sgd`\n- a: model_name_or_path `pyresnet50`\n"
        "- b: model_name_or_path `pyresnet50`, learning_rate `0.1`"
    )
    options = {"dataset_options": '{"labels_dir": "/home/me/labels", "gap": 1}'}
    assert '- all: dataset_options `{"labels_dir": "labels", "gap": 1}`' in recipe({"a": options, "b": options})
    assert "- all: label_pattern `{speaker}_{label}`" in recipe({"a": {"label_pattern": "{speaker}_{label}"}})
    same = {"model_name_or_path": "x"}
    assert recipe({"a": same, "b": same}).endswith("- all: model_name_or_path `x`")


def test_systems_are_models_or_names_with_flags():
    texts = ["pyresnet50", "runs/lr=0.1", "adv=vgg16 --adversarial vanilla --mixup 0.1", "a.b-c=x/y"]
    assert benchmark.parse_systems(texts) == [
        benchmark.Spec("pyresnet50", "pyresnet50"),
        benchmark.Spec("runs_lr_0.1", "runs/lr=0.1"),
        benchmark.Spec("adv", "vgg16", ("--adversarial", "vanilla", "--mixup", "0.1")),
        benchmark.Spec("a.b-c", "x/y"),
    ]
    for texts, message in (
        (["a", "a=b"], "two systems are called 'a'"),
        (["a=--mixup 0.1"], "names no model"),
        (["x|`$=vgg16"], "is no name of a system; letters, digits"),
        (["=vgg16"], "'' is no name of a system"),
    ):
        with pytest.raises(ValueError, match=message):
            benchmark.parse_systems(texts)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--models", "a", "--seed", "3"], "--seeds takes the place of --seed"),
        (["--models", "a", "--model_name_or_path=b"], "--models takes the place of --model_name_or_path"),
        (["--seeds", "0"], "required: --models"),
        (["--models", "a", "--reference", "b"], "no system 'b'; there are a"),
        (["--models", "a", "--figure2", "a", "b"], "no system 'b'"),
        (["--report_only"], "nothing was begun in"),
    ],
)
def test_flags_that_make_no_sense_end_the_program(tmp_path, capsys, argv, message):
    with pytest.raises(SystemExit):
        command.main(["--output_dir", str(tmp_path), "--corpus", "ravdess", *argv])
    assert message in capsys.readouterr().err


def test_a_flag_that_training_does_not_know_is_named_with_the_nearest(tmp_path):
    argv = ["--output_dir", str(tmp_path), "--corpus", "ravdess", "--models", "a", "--learning_rat", "1"]
    with pytest.raises(ValueError, match="unknown flag --learning_rat; did you mean --learning_rate"):
        command.main(argv)
