"""Scores of several classes for each utterance, against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score

from lssed_hf.evaluation.multi_label import evaluate_multi_label, given_labels, score_multi_label
from lssed_hf.inference.classifiers.outputs import MULTI_LABEL, Outputs


LABELS = ["angry", "neutral", "happy"]


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    references = rng.random((200, 3)) < [0.5, 0.3, 0.1]
    probabilities = np.clip(0.6 * references + rng.random((200, 3)) * 0.6, 0, 1)
    return references, probabilities, [f"s{number // 20}" for number in range(200)]


def test_an_utterance_is_given_all_probable_classes_or_the_most_probable_one():
    given = given_labels(np.array([[0.6, 0.5, 0.1], [0.1, 0.3, 0.2]]))
    assert given.tolist() == [[True, True, False], [False, True, False]]


def test_scores_are_scikit_learns(data):
    references, probabilities, _ = data
    scores, given = score_multi_label(references, probabilities, LABELS), given_labels(probabilities)
    assert scores["macro_f1"] == pytest.approx(f1_score(references, given, average="macro"), abs=1e-12)
    assert scores["micro_f1"] == pytest.approx(f1_score(references, given, average="micro"), abs=1e-12)
    expected = average_precision_score(references, probabilities, average="macro")
    assert scores["mean_average_precision"] == pytest.approx(expected, abs=1e-12)
    assert scores["exact_match"] == (given == references).all(axis=1).mean()
    assert scores["per_class"]["angry"]["num_utterances"] == references[:, 0].sum()


def test_a_class_that_nobody_has_counts_for_nothing(data):
    references, probabilities, _ = data
    references, probabilities = references & [True, True, False], probabilities * [1, 1, 0]
    scores = score_multi_label(references, probabilities, LABELS)
    assert scores["per_class"]["happy"]["f1"] is None and scores["per_class"]["happy"]["average_precision"] is None
    two = score_multi_label(references[:, :2], probabilities[:, :2], LABELS[:2])
    assert scores["macro_f1"] == two["macro_f1"]


def test_evaluation(data):
    references, probabilities, speakers = data
    groups = {"gender": ["female"] * 100 + ["male"] * 100}
    results = evaluate_multi_label(
        references, probabilities, LABELS, speakers=speakers, groups=groups, majority_label=0
    )
    assert results["num_speakers"] == 10 and results["interval_clusters"] == "speaker"
    low, value, high = (results["intervals"]["macro_f1"][key] for key in ("low", "value", "high"))
    assert low < value < high and value == pytest.approx(results["metrics"]["macro_f1"], abs=1e-12)
    baseline = results["majority"]["metrics"]
    assert baseline["per_class"]["angry"]["recall"] == 1 and baseline["per_class"]["happy"]["f1"] == 0
    assert [part["num_utterances"] for part in results["groups"]["gender"]] == [100, 100]
    alone = evaluate_multi_label(references, probabilities, LABELS, speakers=["s"] * 200)
    assert alone["intervals"]["macro_f1"]["low"] is None


def test_shapes_have_to_fit(data):
    with pytest.raises(ValueError, match="2 labels need as many columns"):
        score_multi_label(*data[:2], LABELS[:2])


def test_the_classes_are_those_that_predict_gives(data):
    outputs = Outputs(tuple(LABELS), (), MULTI_LABEL)
    for row, given in zip(data[1], given_labels(data[1])):
        assert set(outputs.chosen(row)) == {label for label, is_given in zip(LABELS, given) if is_given}
