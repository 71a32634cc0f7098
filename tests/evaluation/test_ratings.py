"""Scores of ratings against independent computations."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lssed_hf.evaluation.ratings import evaluate_ratings, rating_intervals, score_ratings


RATINGS = st.floats(-100, 100, allow_nan=False).map(lambda value: round(value, 3))
PAIRS = st.lists(st.tuples(RATINGS, RATINGS), min_size=2, max_size=40)


def exact_ccc(pairs) -> float | None:
    """Lin's coefficient in rational numbers, which have no rounding."""
    x, y = ([Fraction(value) for value in column] for column in zip(*pairs))
    n = len(pairs)
    mean_x, mean_y = sum(x) / n, sum(y) / n
    covariance = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y)) / n
    spread = sum((a - mean_x) ** 2 for a in x) / n + sum((b - mean_y) ** 2 for b in y) / n + (mean_x - mean_y) ** 2
    return float(2 * covariance / spread) if spread else None


def score(pairs) -> dict:
    x, y = np.array(pairs).T
    return score_ratings(x[:, None], y[:, None], ["arousal"])["dimensions"]["arousal"]


@settings(deadline=None)
@given(PAIRS)
def test_ccc_is_lins(pairs):
    expected, found = exact_ccc(pairs), score(pairs)["ccc"]
    if expected is None:
        assert found is None
    else:
        assert found == pytest.approx(expected, abs=1e-12)


@settings(deadline=None)
@given(PAIRS)
def test_other_scores_are_numpys(pairs):
    x, y = np.array(pairs).T
    found = score(pairs)
    assert found["rmse"] == pytest.approx(np.sqrt(np.mean((x - y) ** 2)), abs=1e-12)
    assert found["mae"] == pytest.approx(np.mean(np.abs(x - y)), abs=1e-12)
    if min(np.ptp(x), np.ptp(y)) > 0.1:
        assert found["pearson"] == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-9)


def test_the_example_of_the_definition():
    # By hand: means 2 and 3, variances 2/3 and 2/3, covariance 2/3: 4/3 / (4/3 + 1).
    assert score([(1, 2), (2, 3), (3, 4)])["ccc"] == pytest.approx(4 / 7, abs=1e-12)
    assert score([(1, 1), (2, 2), (4, 4)])["ccc"] == 1


def test_unknown_ratings_count_for_the_other_dimensions():
    references = np.array([[1, np.nan], [2, 5], [4, 3], [np.nan, 1]])
    predictions = np.array([[1, 9], [3, 4], [3, 3], [9, 2]])
    scores = score_ratings(references, predictions, ["valence", "arousal"])
    assert {name: one["num_rated"] for name, one in scores["dimensions"].items()} == {"valence": 3, "arousal": 3}
    assert scores["dimensions"]["valence"]["ccc"] == pytest.approx(exact_ccc([(1, 1), (2, 3), (4, 3)]), abs=1e-12)
    assert scores["mean_ccc"] == pytest.approx(np.mean([one["ccc"] for one in scores["dimensions"].values()]))


class TestEvaluation:
    @pytest.fixture
    def ratings(self):
        rng = np.random.default_rng(0)
        speakers = [f"s{number}" for number in range(12) for _ in range(20)]
        offsets = np.repeat(rng.normal(0, 1, 12), 20)
        references = rng.normal(4, 1, (240, 2))
        return references, references + offsets[:, None] + rng.normal(0, 0.3, (240, 2)), speakers

    def test_the_baseline_predicts_the_training_mean(self, ratings):
        references, predictions, speakers = ratings
        results = evaluate_ratings(
            references, predictions, ["valence", "arousal"], speakers=speakers, training_means=[3, 5]
        )
        baseline = results["baseline"]
        assert baseline["from"] == "training" and baseline["means"] == {"valence": 3, "arousal": 5}
        assert baseline["metrics"]["mean_ccc"] == 0
        assert baseline["metrics"]["dimensions"]["arousal"]["pearson"] is None
        expected = np.sqrt(np.mean((references[:, 1] - 5) ** 2))
        assert baseline["metrics"]["dimensions"]["arousal"]["rmse"] == pytest.approx(expected)

    def test_intervals_resample_speakers(self, ratings):
        references, predictions, speakers = ratings
        by_speaker = rating_intervals(references, predictions, ["valence", "arousal"], speakers)
        by_clip = rating_intervals(references, predictions, ["valence", "arousal"])
        for name in ("valence", "arousal"):
            low, value, high = (by_speaker[name]["ccc"][key] for key in ("low", "value", "high"))
            assert low < value < high
            assert high - low > 1.5 * (by_clip[name]["ccc"]["high"] - by_clip[name]["ccc"]["low"])

    def test_intervals_are_those_of_rescored_resamples(self, ratings):
        references, predictions, speakers = ratings
        found = rating_intervals(references, predictions, ["v", "a"], speakers, num_resamples=50, seed=3)
        rng, rows = np.random.default_rng(3), np.arange(240).reshape(12, 20)
        resampled = []
        for _ in range(50):
            chosen = rows[rng.integers(12, size=12)].ravel()
            resampled.append(score_ratings(references[chosen], predictions[chosen], ["v", "a"])["mean_ccc"])
        expected = np.quantile(resampled, [0.025, 0.975])
        assert [found["mean_ccc"]["low"], found["mean_ccc"]["high"]] == pytest.approx(expected, abs=1e-9)

    def test_one_speaker_gives_no_interval(self, ratings):
        references, predictions, _ = ratings
        found = rating_intervals(references, predictions, ["v", "a"], ["s"] * 240)
        assert found["mean_ccc"]["low"] is None and found["v"]["rmse"]["high"] is None

    def test_groups(self, ratings):
        references, predictions, speakers = ratings
        gender = ["female"] * 120 + ["male"] * 100 + [None] * 20
        results = evaluate_ratings(references, predictions, ["v", "a"], speakers=speakers, groups={"gender": gender})
        female, male = results["groups"]["gender"]
        assert (female["value"], female["num_speakers"], male["num_utterances"]) == ("female", 6, 100)
        expected = score_ratings(references[:120], predictions[:120], ["v", "a"])
        assert female["intervals"]["mean_ccc"]["value"] == expected["mean_ccc"]

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda x, y: (x[:, :1], y), "2 dimensions need as many columns"),
            (lambda x, y: (x * [1, np.nan], y), "no clip has a rating of a"),
            (lambda x, y: (x, y * np.nan), "not finite"),
        ],
    )
    def test_what_cannot_be_scored(self, ratings, change, message):
        with pytest.raises(ValueError, match=message):
            evaluate_ratings(*change(*ratings[:2]), ["v", "a"])
