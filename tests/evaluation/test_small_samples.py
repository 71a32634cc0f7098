"""Intervals for a few dozen people: bounds that are known, and coverage on 23 controls and 12 depressed."""

import numpy as np
import pytest
from scipy.stats import binomtest, norm

from lssed_hf.evaluation.diagnosis import diagnosis
from lssed_hf.evaluation.small_samples import (
    area_under_curve,
    clopper_pearson,
    clustered_share,
    mean_of_people,
    mean_of_shares,
    share,
)


CONTROLS, DEPRESSED = 23, 12
RATES = (0.0, 0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98, 1.0)


def test_clopper_pearson_bounds():
    # Bounds that textbooks give: without failures the upper one is 1, and the lower one (alpha / 2)^(1 / n).
    full = clopper_pearson(10, 10)
    assert full["high"] == 1 and full["low"] == pytest.approx(0.025 ** (1 / 10))
    none = clopper_pearson(0, 10)
    assert none["low"] == 0 and none["high"] == pytest.approx(1 - 0.025 ** (1 / 10))
    assert clopper_pearson(0, 0)["low"] is None
    exact = binomtest(2, 12).proportion_ci(method="exact")
    assert tuple(clopper_pearson(2, 12).values()) == pytest.approx((2, 12, exact.low, exact.high))


def test_nobody_found_is_neither_a_point_nor_unknown():
    nobody = diagnosis(np.array([[[1, 0], [0, 0]]] * CONTROLS + [[[0, 0], [1, 0]]] * DEPRESSED))
    wa, ua = nobody["weighted_accuracy"], nobody["unweighted_accuracy"]
    assert [round(value, 3) for value in wa.values()] == [0.657, 0.478, 0.809]
    # Distances to the bounds of 23 of 23 and 0 of 12, squared, added and halved.
    below, above = 1 - 0.025 ** (1 / CONTROLS), 1 - 0.025 ** (1 / DEPRESSED)
    assert list(ua.values()) == pytest.approx([0.5, 0.5 - below / 2, 0.5 + above / 2])
    assert nobody["ppv"] == {"value": None, "low": None, "high": None}
    f1 = nobody["f1_depressed"]
    assert f1["value"] == 0 and f1["high"] == pytest.approx(2 * above / (1 + above))


def table_of_bounds():
    """Return bounds by score for all numbers of cleared controls and found depressed, (24, 13, 2)."""
    bounds = {}
    for cleared in range(CONTROLS + 1):
        for found in range(DEPRESSED + 1):
            counts = np.array([[[cleared, CONTROLS - cleared], [DEPRESSED - found, found]]])
            for name, row in diagnosis(counts).items():
                bounds.setdefault(name, np.full((CONTROLS + 1, DEPRESSED + 1, 2), np.nan))
                if row["low"] is not None:
                    bounds[name][cleared, found] = row["low"], row["high"]
    return bounds


def test_intervals_cover_the_truth_at_35_people():
    rng, bounds = np.random.default_rng(0), table_of_bounds()
    for specificity in RATES:
        for sensitivity in RATES:
            cleared = rng.binomial(CONTROLS, specificity, size=4000)
            found = rng.binomial(DEPRESSED, sensitivity, size=4000)
            truth = {
                "weighted_accuracy": (CONTROLS * specificity + DEPRESSED * sensitivity) / (CONTROLS + DEPRESSED),
                "unweighted_accuracy": (specificity + sensitivity) / 2,
                "sensitivity": sensitivity,
                "specificity": specificity,
            }
            wrong = CONTROLS * (1 - specificity) + DEPRESSED * (1 - sensitivity)
            if sensitivity:
                truth["f1_depressed"] = 2 * DEPRESSED * sensitivity / (2 * DEPRESSED * sensitivity + wrong)
            for name, value in truth.items():
                low, high = bounds[name][cleared, found].T
                coverage = np.mean((low <= value + 1e-9) & (value <= high + 1e-9))
                assert coverage >= 0.93, (name, specificity, sensitivity, coverage)


@pytest.mark.parametrize("distance", [0.0, 1.0, 2.0, 3.0])
def test_the_area_under_the_curve_is_covered(distance):
    rng, truth = np.random.default_rng(1), norm.cdf(distance / np.sqrt(2))
    depressed, controls = rng.normal(distance, 1, (1000, DEPRESSED)), rng.normal(0, 1, (1000, CONTROLS))
    areas = (depressed[:, :, None] > controls[:, None]).mean(axis=(1, 2))
    bounds = {area: area_under_curve(area, DEPRESSED, CONTROLS) for area in np.unique(areas)}
    assert np.mean([bounds[area]["low"] <= truth <= bounds[area]["high"] for area in areas]) >= 0.93


def test_an_area_without_variance_has_a_width():
    for area in (0.0, 0.5, 1.0):
        row = area_under_curve(area, DEPRESSED, CONTROLS)
        assert row["low"] <= area <= row["high"] and row["high"] - row["low"] > 0.1
    assert area_under_curve(0.0, 0, 5)["value"] is None


def test_brier_scores_are_covered():
    rng = np.random.default_rng(2)
    scores = rng.beta(2, 4, (1000, 35))
    errors = (scores - (rng.random((1000, 35)) < scores)) ** 2
    truth = 2 * 4 / (6 * 7)  # mean of p (1 - p)
    rows = [mean_of_people(row) for row in errors]
    assert np.mean([row["low"] <= truth <= row["high"] for row in rows]) >= 0.93
    assert mean_of_people([0.2]) == mean_of_people([0.2, 0.2]) == {"value": 0.2, "low": None, "high": None}


def test_a_person_counts_once_however_many_utterances():
    assert clustered_share([50, 0], [50, 50]) == pytest.approx(share(1, 2))
    assert clustered_share([30, 30, 0], [30, 30, 0])["low"] == pytest.approx(share(2, 2)["low"])
    rng, covered = np.random.default_rng(3), 0
    for _ in range(500):
        trials = rng.integers(10, 60, 12)
        row = clustered_share(rng.binomial(trials, rng.beta(1, 3, 12)), trials)
        covered += row["low"] <= 0.25 <= row["high"]
    assert covered / 500 >= 0.93
    assert clustered_share([3], [5])["low"] is None and clustered_share([0], [0])["value"] is None


def test_a_mean_needs_every_share():
    unknown = share(0, 0)
    assert mean_of_shares([share(2, 4), unknown]) == unknown
    assert mean_of_shares([share(2, 4), share(4, 4)])["value"] == 0.75
