"""Calibration against hand-computed values and a second implementation, and temperatures that are known."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from lssed_hf.evaluation.calibration import calibration, fit_temperature


def test_by_hand():
    """Confidences of 0.55 (right), 0.6 (wrong), 0.95 (wrong) and 1.0 (right), which the last bin includes."""
    probabilities = [[0.55, 0.45], [0.4, 0.6], [0.95, 0.05], [0.0, 1.0]]
    result = calibration(np.array(probabilities), [0, 0, 1, 1], num_bins=10)
    assert [(row["low"], row["count"], row["accuracy"]) for row in result["bins"]] == [
        (0.5, 1, 1.0),
        (0.6, 1, 0.0),
        (0.9, 2, 0.5),
    ]
    # |0.55 - 1| / 4 + |0.6 - 0| / 4 + |0.975 - 0.5| / 2
    assert result["ece"] == pytest.approx(0.1125 + 0.15 + 0.2375)
    assert result["confidence"] == pytest.approx(0.775) and result["accuracy"] == 0.5
    assert calibration(np.array(probabilities), [0, 0, 1, 1], num_bins=1)["ece"] == pytest.approx(0.275)


def second_implementation(probabilities: np.ndarray, references: np.ndarray, num_bins: int) -> float:
    """Loop over bins (low, high], as Guo et al. write them (equation 3)."""
    error, edges = 0.0, np.linspace(0, 1, num_bins + 1)
    for low, high in pairwise(edges):
        rows = [row for row in range(len(references)) if low < max(probabilities[row]) <= high]
        if rows:
            sure = sum(max(probabilities[row]) for row in rows) / len(rows)
            right = sum(int(np.argmax(probabilities[row])) == references[row] for row in rows) / len(rows)
            error += len(rows) / len(references) * abs(sure - right)
    return error


@pytest.mark.parametrize("num_bins", [1, 7, 10, 15])
def test_against_a_second_implementation(num_bins):
    rng = np.random.default_rng(num_bins)
    probabilities = softmax(3 * rng.normal(size=(300, 4)), axis=1)
    references = rng.integers(4, size=300)
    result = calibration(probabilities, references, num_bins)
    assert result["ece"] == pytest.approx(second_implementation(probabilities, references, num_bins), abs=1e-8)
    assert sum(row["count"] for row in result["bins"]) == 300
    assert all(row["low"] <= row["confidence"] <= row["high"] for row in result["bins"])


def test_answers_drawn_from_the_probabilities_are_calibrated():
    rng = np.random.default_rng(0)
    probabilities = softmax(rng.normal(size=(20000, 3)), axis=1)
    references = (rng.random((20000, 1)) > probabilities.cumsum(axis=1)).sum(axis=1)
    assert calibration(probabilities, references)["ece"] < 0.02
    sharp = probabilities**3 / (probabilities**3).sum(axis=1, keepdims=True)
    assert calibration(sharp, references)["ece"] > 0.15


def drawn(temperature: float, count: int = 20000) -> tuple[np.ndarray, np.ndarray]:
    """Return logits and classes that were drawn from the logits divided by a temperature."""
    rng = np.random.default_rng(0)
    logits = 3 * rng.normal(size=(count, 4))
    shares = softmax(logits / temperature, axis=1)
    return logits, (rng.random((count, 1)) > shares.cumsum(axis=1)).sum(axis=1).clip(max=3)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5, 8.0])
def test_a_known_temperature_is_found(temperature):
    logits, references = drawn(temperature)
    found = fit_temperature(logits, references)
    assert found == pytest.approx(temperature, rel=0.05)
    # Logarithms of probabilities will do as well as logits.
    assert fit_temperature(log_softmax(logits, axis=1), references) == pytest.approx(found, rel=1e-4)
    if temperature == 2.5:
        before, after = (calibration(softmax(logits / scale, axis=1), references)["ece"] for scale in (1, found))
        assert after < 0.02 < 0.1 < before


def test_the_log_loss_is_least_there():
    logits, references = drawn(2.0, 400)
    found = fit_temperature(logits, references)
    losses = [
        -log_softmax(logits / scale, axis=1)[np.arange(400), references].mean()
        for scale in (found * 0.98, found, found * 1.02)
    ]
    assert losses[1] < min(losses[0], losses[2])


def test_weights_are_copies_of_clips():
    logits, references = drawn(2.0, 60)
    weights = np.arange(60) % 3
    expected = fit_temperature(np.repeat(logits, weights, axis=0), np.repeat(references, weights))
    assert fit_temperature(logits, references, weights) == pytest.approx(expected, rel=1e-4)
    assert fit_temperature(logits, references) != pytest.approx(expected, rel=1e-3)
