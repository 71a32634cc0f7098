"""PHQ-8 scores from probabilities."""

import numpy as np
import pytest
from test_participants import make_run

from lssed_hf.evaluation.depression_report import depression_markdown
from lssed_hf.evaluation.participants import DepressionSystem, compare_depression, participant_run
from lssed_hf.evaluation.phq8 import compare_phq8


LABELS = np.array([0, 0, 0, 1, 1, 1])
SCORES = np.array([0.1, 0.2, 0.3, 0.6, 0.7, 0.9])


def people(scores=SCORES):
    return participant_run(make_run(scores, LABELS, utterances=2))


def test_a_line_that_fits_is_found():
    phq8 = {f"p{index}": 20 * score + 2 for index, score in enumerate(SCORES)}
    row = compare_phq8({0: people()}, {0: people()}, phq8)
    assert row["mae"]["mean"] == pytest.approx(0) and row["ccc"]["mean"] == pytest.approx(1)
    assert row["baseline"]["ccc"] == 0 and row["baseline"]["rmse"] == pytest.approx(20 * SCORES.std())
    assert row["num_participants"] == 6


def test_estimates_stay_on_the_scale_and_a_constant_has_no_concordance():
    steep = {f"p{index}": 200 * score - 60 for index, score in enumerate(SCORES)}
    truth = {"p0": 0, "p5": 24}
    fitted = compare_phq8({0: people()}, {0: people()}, {**steep})
    assert fitted["num_participants"] == 6 and fitted["mae"]["mean"] > 0
    row = compare_phq8({0: people(np.full(6, 0.5))}, {0: people()}, truth)
    assert row["num_participants"] == 2 and row["ccc"]["mean"] == 0 and row["mae"]["mean"] == 12


def test_a_constant_has_no_interval_of_its_concordance_and_the_report_counts_the_fitted():
    held_out = people(np.full(6, 0.5))
    phq8 = {f"p{index}": 4 * index for index in range(6)}
    row = compare_phq8({0: held_out, 1: held_out}, {0: people(), 1: people()}, phq8)
    assert row["ccc"]["mean"] == 0 and row["ccc"]["low"] is row["ccc"]["high"] is None
    assert row["mae"]["low"] < row["mae"]["mean"] < row["mae"]["high"]
    del phq8["p5"]
    row = compare_phq8({0: people()}, {0: people()}, phq8)
    assert row["num_participants"] == 5 and row["num_fitted"] == {"0": 5}
    comparison = compare_depression([DepressionSystem("a", "x", "all", {0: make_run(SCORES, LABELS)})])
    constant = compare_phq8({0: held_out}, {0: people()}, phq8)
    text = depression_markdown({**comparison, "phq8": {"a": constant}}, "x", "test", [])
    assert "| system | participants | line fitted on | MAE |" in text and "| a | 5 | 5 |" in text
    assert "| 0.000 [not estimable] |" in text and "below 0 and above 24 are set to these bounds" in text


def test_unknown_scores_leave_nothing_to_compare():
    assert compare_phq8({0: people()}, {0: people()}, {}) is None
    assert compare_phq8({0: people()}, {0: people()}, {"p0": 3}) is None
