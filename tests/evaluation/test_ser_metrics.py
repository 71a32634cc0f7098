import json
import os
import subprocess
import sys
from pathlib import Path

import evaluate
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from lssed_hf import evaluation
from lssed_hf.evaluation import metric_path
from lssed_hf.evaluation.ser_metrics.ser_metrics import SerMetrics, score


# Table 3's test counts and the row per cents of Figure 2; angry, neutral, happy, sad.
LSSED_TEST_COUNTS = [1298, 12092, 5406, 2410]
FIGURE_2 = {
    "PyResNet": [
        [32.43, 47.23, 16.56, 3.78],
        [1.45, 86.85, 9.54, 2.17],
        [2.77, 59.85, 35.18, 2.20],
        [2.12, 71.04, 9.83, 17.01],
    ],
    "MTS-3branches": [
        [5.48, 72.47, 20.12, 1.93],
        [0.08, 95.17, 4.12, 0.63],
        [0.24, 85.04, 13.42, 1.30],
        [0.17, 91.31, 3.99, 4.53],
    ],
}

label_pairs = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=60)


def labels_of(matrix):
    """References and predictions that have this confusion matrix."""
    rows, columns = np.indices(np.shape(matrix))
    return np.repeat(rows, np.ravel(matrix)), np.repeat(columns, np.ravel(matrix))


@pytest.mark.parametrize(("system", "wa", "ua"), [("PyResNet", 0.624, 0.429), ("MTS-3branches", 0.585, 0.296)])
def test_figure_2_gives_the_rows_of_table_5(system, wa, ua):
    matrix = np.rint(np.array(FIGURE_2[system]) / 100 * np.array(LSSED_TEST_COUNTS)[:, None]).astype(int)
    results = score(*labels_of(matrix))
    assert results["confusion_matrix"] == matrix.tolist()
    assert round(results["weighted_accuracy"], 3) == wa
    assert round(results["unweighted_accuracy"], 3) == ua


def test_scores_by_hand():
    results = score([0, 0, 1, 2], [0, 1, 1, 2], num_labels=4)
    assert results == {
        "weighted_accuracy": 0.75,
        "unweighted_accuracy": pytest.approx(5 / 6),
        "macro_f1": pytest.approx(7 / 9),
        "per_class_recall": [0.5, 1.0, 1.0, None],
        "confusion_matrix": [[1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]],
    }
    assert json.loads(json.dumps(results, allow_nan=False)) == results


def test_a_class_that_is_only_predicted_lowers_f1_but_not_ua():
    results = score([0, 0], [0, 1])
    assert results["per_class_recall"] == [0.5, None]
    assert results["unweighted_accuracy"] == 0.5
    assert results["macro_f1"] == pytest.approx((2 / 3 + 0) / 2)


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true", "ignore:A single label was found")
@given(label_pairs)
def test_agrees_with_scikit_learn_and_with_the_definition(pairs):
    references, predictions = np.array(pairs).T
    results = score(references, predictions, num_labels=6)
    assert results["weighted_accuracy"] == pytest.approx(accuracy_score(references, predictions))
    assert results["unweighted_accuracy"] == pytest.approx(balanced_accuracy_score(references, predictions))
    assert results["macro_f1"] == pytest.approx(f1_score(references, predictions, average="macro"))

    matrix = np.zeros((6, 6), dtype=int)
    for pair in pairs:
        matrix[pair] += 1
    recalls = [row[label] / row.sum() if row.sum() else None for label, row in enumerate(matrix)]
    assert results["confusion_matrix"] == matrix.tolist()
    assert results["per_class_recall"] == pytest.approx(recalls)
    assert results["unweighted_accuracy"] == pytest.approx(
        np.mean([recall for recall in recalls if recall is not None])
    )


@given(label_pairs, st.randoms(use_true_random=False))
def test_order_of_utterances_and_number_of_labels_change_no_score(pairs, random):
    shuffled = random.sample(pairs, len(pairs))
    results, other = score(*np.array(pairs).T), score(*np.array(shuffled).T, num_labels=9)
    for name in ("weighted_accuracy", "unweighted_accuracy", "macro_f1"):
        assert results[name] == pytest.approx(other[name])
        assert 0 <= results[name] <= 1


@given(st.lists(st.integers(0, 10), min_size=1, max_size=40))
def test_perfect_predictions_score_one(references):
    results = score(references, references, num_labels=11)
    assert results["weighted_accuracy"] == results["unweighted_accuracy"] == results["macro_f1"] == 1


@pytest.mark.parametrize(
    ("references", "predictions", "num_labels", "message"),
    [
        ([], [], None, "references is empty"),
        ([0, 1], [0], None, "2 references but 1 predictions"),
        ([0, 1, -1], [0, 1, 1], 4, r"references\[2\] is -1, but labels run from 0 to 3; -1 marks a missing label"),
        ([0, -1], [0, 0], None, r"references\[1\] is -1"),
        ([0, 1], [0, 4], 4, r"predictions\[1\] is 4, but labels run from 0 to 3"),
        ([0, 1], [0.2, 0.9], None, "predictions must hold one whole number per utterance, got float64"),
        ([0, 1], [[0.2, 0.8], [0.9, 0.1]], None, r"predictions must .* shape \(2, 2\)"),
    ],
)
def test_bad_input_is_refused(references, predictions, num_labels, message):
    with pytest.raises(ValueError, match=message):
        score(references, predictions, num_labels)


def test_metric_class_adds_batches_and_refuses_bad_input(tmp_path):
    metric = SerMetrics(cache_dir=str(tmp_path))
    metric.add_batch(references=np.array([0, 0]), predictions=np.array([0, 1]))
    metric.add(reference=1, prediction=1)
    assert metric.compute(num_labels=3) == score([0, 0, 1], [0, 1, 1], 3)
    with pytest.raises(ValueError, match="empty"):
        SerMetrics(cache_dir=str(tmp_path)).compute(references=[], predictions=[])
    with pytest.raises(ValueError, match="Mismatch"):
        SerMetrics(cache_dir=str(tmp_path)).compute(references=[0, 1], predictions=[0])


LOAD = """
import json, sys
sys.modules["transformers"] = None  # evaluate imports it where it can, which takes seconds
import evaluate
del sys.modules["transformers"]

path = sys.argv[1]
metric = evaluate.load(path)
metric.add_batch(references=[0, 0], predictions=[0, 1])
metric.add_batch(references=[1], predictions=[1])
combined = evaluate.combine({"first": evaluate.load(path), "second": path}, force_prefix=True)
print(json.dumps({
    "batches": metric.compute(num_labels=3),
    "combined": combined.compute(references=[0, 1], predictions=[0, 0], num_labels=2),
    "package": "lssed_hf" in sys.modules,
}))
"""


@pytest.mark.slow
def test_evaluate_loads_it_offline_from_anywhere_without_the_package(tmp_path):
    # A process of its own, because evaluate and huggingface_hub read these variables when they are imported.
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")}
    environment |= {"HF_MODULES_CACHE": str(tmp_path / "modules"), "HF_EVALUATE_CACHE": str(tmp_path / "evaluate")}
    command = [sys.executable, "-c", LOAD, metric_path()]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert results["batches"] == score([0, 0, 1], [0, 1, 1], 3)
    assert results["combined"]["first_weighted_accuracy"] == results["combined"]["second_unweighted_accuracy"] == 0.5
    assert not results["package"]


def test_scalars_alone_for_a_bootstrap():
    """`evaluate.evaluator` resamples every value of a metric by scipy, which lists break."""
    labels = {"references": [0, 0, 1, 1, 2, 2], "predictions": [0, 0, 1, 1, 1, 1]}
    results = evaluate.evaluator("audio-classification").compute_metric(
        evaluate.load(metric_path(), "scalars"), labels, strategy="bootstrap", n_resamples=20, random_state=0
    )
    assert results["unweighted_accuracy"]["score"] == pytest.approx(2 / 3)
    assert results.keys() == {"weighted_accuracy", "unweighted_accuracy", "macro_f1"}
    with pytest.raises(ValueError, match="choose default or scalars"):
        evaluate.load(metric_path(), "scores")


def test_the_folder_is_what_evaluate_and_the_hub_ask_for():
    folder = Path(metric_path())
    assert (folder / f"{folder.name}.py").is_file()
    assert (folder / "requirements.txt").is_file()
    card = (folder / "README.md").read_text(encoding="utf-8")
    sections = ["# Metric Card", "## Metric Description", "## How to Use", "### Inputs", "### Output Values"]
    sections += ["#### Values from Popular Papers", "### Examples", "## Limitations and Bias", "## Citation"]
    positions = [card.index(f"\n{section}") for section in [*sections, "## Further References"]]
    assert positions == sorted(positions)


def test_public_names_resolve():
    for name in evaluation.__all__:
        assert callable(getattr(evaluation, name))
        assert name in dir(evaluation)
    with pytest.raises(AttributeError, match="nonsense"):
        _ = evaluation.nonsense
