"""Packing of output folders for benchmarks/results, and what reads both forms."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lssed_hf.evaluation.report import evaluate_predictions, write_predictions, write_report
from lssed_hf.evaluation.run_results import read_run
from lssed_hf.files import write_json
from lssed_hf.hub.cards.facts import recorded_systems
from lssed_hf.hub.run_folders import facts_path, recorded_runs


BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
LABELS = ["angry", "sad"]


@pytest.fixture(autouse=True)
def pack_results(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    sys.modules.pop("pack_results", None)
    return __import__("pack_results")


def write_run(folder: Path, seed: int, **facts) -> None:
    rng = np.random.default_rng(seed)
    references, probabilities = np.array([0, 1, 1, 0]), rng.dirichlet([1, 1], 4)
    ids, speakers, groups = (
        list("abcd"),
        ["1", "1", None, "2"],
        {"gender": ["f", "f", None, "m"], "age_group": [None] * 4},
    )
    results = evaluate_predictions(references, probabilities, LABELS, ids=ids, speakers=speakers, groups=groups)
    write_report(results, folder, context={"dataset": "toys", "split": "test"})
    write_predictions(folder / "predictions.csv", ids, references, probabilities, LABELS, speakers, groups)
    write_json(facts_path(folder), facts)
    (folder / "log.txt").write_text("much\n")


def write_experiment(folder: Path, runs: str) -> list[Path]:
    places = [folder / runs / system / f"seed_{seed}" for system in ("one", "two") for seed in (0, 1)]
    for number, place in enumerate(places):
        write_run(place, number, num_parameters=number)
    write_run(places[0] / "on_other_test", 9)
    write_json(places[1] / "probe.json", {"layer": 3})
    write_json(folder / "results.json", {"systems": []})
    (folder / "report.md").write_text("# Report\n\n## Recipe\n\n- all: mixup `0.2`\n- one: \n- two: \n")
    (folder / "table.png").write_bytes(b"picture")
    return [*places, places[0] / "on_other_test"]


@pytest.mark.parametrize("name", ["runs", "cells"])
def test_a_packed_folder_gives_all_runs_back(tmp_path, pack_results, name):
    folder, packed, again = (tmp_path / place / "toys" for place in ("before", "packed", "after"))
    places = write_experiment(folder, name)
    pack_results.pack(folder, packed)
    names = {"report.md", "results.json", "table.png", "predictions.parquet", "runs.json"}
    assert {path.name for path in packed.iterdir()} == names
    pack_results.unpack(packed, again)
    assert recorded_runs(packed) == recorded_runs(folder) == recorded_runs(again)
    assert recorded_runs(packed)["runs/one/seed_1"]["probe.json"] == {"layer": 3}
    for place in places:
        before, after = read_run(place), read_run(again / "runs" / place.relative_to(folder / name))
        np.testing.assert_array_equal(before.probabilities, after.probabilities)
        for field in ("results", "ids", "speakers", "groups"):
            assert getattr(before, field) == getattr(after, field)
        assert (before.references == after.references).all() and (before.predictions == after.predictions).all()
    # The card's facts are those of the folder.
    assert dict(recorded_systems(packed)) == dict(recorded_systems(folder)) == dict(recorded_systems(again))


def test_predictions_are_a_table(tmp_path, pack_results):
    write_experiment(tmp_path / "out", "runs")
    pack_results.pack(tmp_path / "out", tmp_path / "packed")
    table = pd.read_parquet(tmp_path / "packed" / "predictions.parquet")
    rows = table[table.run == "runs/two/seed_0"]
    assert list(rows.id) == list("abcd") and list(rows.reference) == ["angry", "sad", "sad", "angry"]
    assert "age_group" not in table, "nobody has one"
    assert (rows[["probability_angry", "probability_sad"]].sum(axis=1) - 1).abs().max() < 1e-5
    with pytest.raises(FileNotFoundError, match="holds no scored run"):
        pack_results.pack(tmp_path / "packed" / "nothing", tmp_path / "again")


@pytest.mark.parametrize(
    "folder", sorted(path.parent for path in BENCHMARKS.glob("results/*/runs.json")), ids=lambda path: path.name
)
def test_recorded_scores_are_those_of_the_recorded_predictions(folder):
    table = pd.read_parquet(folder / "predictions.parquet")
    runs = recorded_runs(folder)
    assert set(table.run) == set(runs)
    right = (table.reference == table.prediction).groupby(table.run).mean()
    for name, files in runs.items():
        assert right[name] == pytest.approx(files["results.json"]["metrics"]["weighted_accuracy"])
