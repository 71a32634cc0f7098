"""Labels of test clips play no part in a model: with others in their place, the saved files are the same."""

import json
from pathlib import Path

import numpy as np
import pytest
from tiny_whisper import write_whisper
from tones import FLAGS, write_emodb, write_ravdess

from lssed_hf.experiments.benchmark import make_run, parse_systems
from lssed_hf.experiments.leave_one_out import make_runs
from lssed_hf.experiments.runs import Run, do_runs


#: Files that hold the model, its choices (layer, C, epoch) and its temperatures.
KEPT = ("*.safetensors", "config.json", "preprocessor_config.json", "training.json", "probe.json", "svm.json")
QUIET = ["--disable_tqdm", "true", "--report_to", "none"]


@pytest.fixture(scope="module")
def systems(tmp_path_factory):
    """Systems that choose something: a layer and C (with a temperature after it), and an epoch."""
    whisper = write_whisper(tmp_path_factory.mktemp("whisper"))
    statistics = "--probe true --probe_pooling statistics --speaker_normalization all"
    network = " ".join(f"'{flag}'" for flag in FLAGS)
    texts = [
        f"statistics={whisper} {statistics}",
        f"mean={whisper} --probe true --chunk_length 1",
        f"network=pyresnet50 {network}",
    ]
    return {spec.name: spec for spec in parse_systems(texts)}


def shuffle_labels(folder: Path, speakers: str) -> None:
    """Exchange the names of the clips of some speakers of EMO-DB, and with them their labels."""
    for speaker in speakers.split():
        paths = sorted(folder.glob(f"{speaker}*.wav"))
        contents = [path.read_bytes() for path in paths]
        order = np.random.default_rng(int(speaker)).permutation(len(paths))
        for path, number in zip(paths, order):
            path.write_bytes(contents[number])


def model_files(run: Run) -> dict[str, bytes]:
    found = {path.name: path.read_bytes() for pattern in KEPT for path in run.folder.glob(pattern)}
    assert any(name.endswith(".safetensors") for name in found) and "training.json" in found
    facts = json.loads((run.folder / "run.json").read_text(encoding="utf-8"))
    return {**found, "validation": str(facts["validation_unweighted_accuracy"]).encode()}


def recalls(run: Run) -> list[float]:
    return json.loads((run.folder / "results.json").read_text(encoding="utf-8"))["metrics"]["per_class_recall"]


def finished(runs: list[Run]) -> list[Run]:
    do_runs(runs)
    assert [run.problem for run in runs] == [None] * len(runs)
    return runs


@pytest.mark.parametrize("name", ["statistics", "mean", "network"])
def test_those_of_a_speaker_who_is_left_out(systems, name, tmp_path):
    runs = []
    for kind, speakers in {"true": "", "shuffled": "03", "of another": "08"}.items():
        corpus = write_emodb(tmp_path / kind)
        shuffle_labels(corpus, speakers)
        flags = ["--dataset_name", "emodb", "--data_dir", str(corpus), *QUIET]
        runs.append(make_run(systems[name], 0, flags, tmp_path / f"out_{kind}", True, test_speaker="03"))
    true, shuffled, of_another = finished(runs)
    assert model_files(true) == model_files(shuffled)
    assert model_files(true) != model_files(of_another), "training labels do play a part"
    assert recalls(true) != recalls(shuffled), "the labels were not shuffled"


@pytest.mark.parametrize("name", ["statistics", "mean", "network"])
def test_those_of_a_corpus_that_is_left_out(systems, name, tmp_path):
    ravdess = write_ravdess(tmp_path / "ravdess")
    trainings, tests = [], []
    for kind in ("true", "shuffled"):
        emodb = write_emodb(tmp_path / kind)
        if kind == "shuffled":
            shuffle_labels(emodb, "03 08 12 13 15 16")
        folders = {"ravdess": ravdess, "emodb": emodb}
        flags_of = {corpus: ["--dataset_name", corpus, "--data_dir", str(path)] for corpus, path in folders.items()}
        made = make_runs([systems[name]], flags_of, QUIET, [0], tmp_path / f"out_{kind}")
        training = made[name, "emodb", 0]
        trainings.append(training)
        tests += [run for run in made.values() if run.folder.parent == training.folder][:1]
    finished([*trainings, *tests])
    assert model_files(trainings[0]) == model_files(trainings[1])
    assert recalls(tests[0]) != recalls(tests[1]), "the labels were not shuffled"
