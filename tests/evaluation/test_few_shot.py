import json

import numpy as np
import pytest

from lssed_hf.evaluation.few_shot import compare_few_shot, few_shot_markdown
from lssed_hf.evaluation.intervals import SCORES
from lssed_hf.evaluation.plots import plot_curves
from lssed_hf.evaluation.run_results import RunResults
from lssed_hf.evaluation.ser_metrics.ser_metrics import score
from lssed_hf.evaluation.significance import paired_differences


LABELS = ["angry", "neutral", "happy", "sad"]


def make_run(right, seed):
    references = np.random.default_rng(0).integers(4, size=120)
    rng = np.random.default_rng([seed, int(100 * right)])
    predictions = np.where(rng.random(120) < right, references, rng.integers(4, size=120))
    speakers = [f"s{index % 6}" for index in range(120)]
    return RunResults({"labels": LABELS}, [], references, predictions, np.eye(4)[predictions], speakers)


@pytest.fixture
def curves():
    return {
        (None, "emodb", 1): {0: make_run(0.1, 0), 1: make_run(0.2, 1)},
        ("ravdess", "emodb", 0): {0: make_run(0.4, 0), 1: make_run(0.5, 1)},
        ("ravdess", "emodb", 1): {1: make_run(0.7, 1), 2: make_run(0.8, 2)},
    }


def test_models_are_compared_with_scratch_over_the_seeds_that_both_have(curves):
    rows = compare_few_shot(curves)
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows
    scratch, zero, tuned = rows
    assert scratch["gain"] is None and zero["gain"] is None, "nothing is trained from scratch on no speaker"
    runs = curves["ravdess", "emodb", 1]
    for name in SCORES:
        values = [score(run.references, run.predictions, 4)[name] for run in runs.values()]
        assert tuned[name]["mean"] == pytest.approx(np.mean(values)) and tuned[name]["low"] < tuned[name]["mean"]
        assert tuned[name]["by_seed"] == {"1": values[0], "2": values[1]}
    other = curves[None, "emodb", 1][1]
    expected = paired_differences(runs[1].references, runs[1].predictions, other.predictions, other.speakers, 4)
    assert tuned["gain"] == expected
    assert len(tuned["speakers"]["by_speaker"]) == 6


def test_report_and_picture(curves, tmp_path):
    rows = compare_few_shot(curves)
    text = few_shot_markdown(rows, "few_shot.png")
    gain = rows[2]["gain"]["unweighted_accuracy"]
    assert f"| emodb | from ravdess | 1 | {rows[2]['weighted_accuracy']['mean']:.3f} ± " in text
    assert f"| {gain['value']:+.3f} [{gain['low']:+.3f}, {gain['high']:+.3f}] | {gain['p']:.3f} |" in text
    assert "| emodb | from ravdess | 0 | " in text and "![Curves](few_shot.png)" in text
    points = [{"x": 1, "value": 0.5, "low": 0.4, "high": 0.6}, {"x": 8, "value": 0.7, "low": None, "high": None}]
    path = plot_curves({"emodb": {"a": points, "b": points[:1]}, "x": {"b": points}}, tmp_path / "p.png", xlabel="n")
    assert path.read_bytes().startswith(b"\x89PNG")
