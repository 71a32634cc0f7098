import csv
import json

import numpy as np
import pytest

from lssed_hf.evaluation.intervals import bootstrap_intervals
from lssed_hf.evaluation.report import evaluate_predictions, write_predictions, write_report
from lssed_hf.evaluation.ser_metrics.ser_metrics import score


LABELS = ["angry", "neutral", "happy", "sad"]
SIZE = 60


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    references = rng.choice(4, SIZE, p=[0.2, 0.5, 0.2, 0.1])
    return {
        "references": references,
        "logits": rng.normal(size=(SIZE, 4)) + 2 * np.eye(4)[references],
        "speakers": [f"s{index % 6}" for index in range(SIZE)],
        # Speakers s0 to s3 by gender; the gender of s4 and s5 is unknown.
        "gender": [("female", "male", "female", "female", None, None)[index % 6] for index in range(SIZE)],
    }


@pytest.fixture
def results(data):
    return evaluate_predictions(
        data["references"],
        data["logits"],
        LABELS,
        ids=[f"u{index}" for index in range(SIZE)],
        speakers=data["speakers"],
        groups={"gender": data["gender"], "age_group": [None] * SIZE},
        majority_label=1,
        seed=3,
    )


@pytest.mark.filterwarnings("ignore:All utterances are of one cluster")
def test_results_are_the_scores_and_survive_json(data, results):
    predictions = data["logits"].argmax(axis=1)
    assert json.loads(json.dumps(results, allow_nan=False)) == results
    assert (results["num_utterances"], results["num_speakers"], results["labels"]) == (SIZE, 6, LABELS)
    assert results["metrics"] == score(data["references"], predictions, 4)
    assert results["intervals"] == bootstrap_intervals(data["references"], predictions, data["speakers"], 4, seed=3)
    assert results["interval_clusters"] == "speaker"
    assert results["majority_from"] == "training"
    assert results["majority"]["label"] == 1
    assert results["majority"]["weighted_accuracy"] == pytest.approx(np.mean(data["references"] == 1))


@pytest.mark.filterwarnings("ignore:All utterances are of one cluster")
def test_groups_are_scored_on_their_own_utterances_and_speakers(data, results):
    female, male = results["groups"]["gender"]
    chosen = np.array([gender == "female" for gender in data["gender"]])
    expected = score(data["references"][chosen], data["logits"][chosen].argmax(axis=1), 4)
    assert (female["value"], female["num_utterances"], female["num_speakers"]) == ("female", 30, 3)
    assert female["intervals"]["unweighted_accuracy"]["value"] == expected["unweighted_accuracy"]
    assert female["intervals"]["unweighted_accuracy"]["low"] is not None
    assert female["per_class_recall"] == expected["per_class_recall"]
    assert (male["value"], male["num_speakers"], male["intervals"]["weighted_accuracy"]["low"]) == ("male", 1, None)
    assert results["groups"]["age_group"] == []


def test_what_is_not_known_is_left_out(data):
    results = evaluate_predictions(data["references"], data["logits"], LABELS, speakers=[None] * SIZE)
    assert results["num_speakers"] is None
    assert results["interval_clusters"] == "utterance"
    assert results["majority_from"] == "references"
    assert results["majority"]["label"] == np.bincount(data["references"]).argmax()
    assert results == evaluate_predictions(data["references"], data["logits"], LABELS)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": LABELS[:3]}, r"3 labels need rows of that length, got shape \(60, 4\)"),
        ({"labels": ["angry", "sad", "happy", "sad"]}, r"labels\[3\] repeats labels\[1\]: 'sad'"),
        ({"references": [0, 1]}, "60 rows of logits or probabilities but 2 references"),
        ({"references": [-1] * SIZE}, r"references\[0\] is -1"),
        ({"speakers": ["a"]}, "but 1 speakers"),
        ({"groups": {"gender": ["female"]}}, "but 1 gender"),
        ({"ids": ["u"] * SIZE}, r"ids\[1\] repeats ids\[0\]: 'u'"),
        ({"majority_label": 4}, r"is 4, but labels run from 0 to 3"),
        ({"logits_or_probabilities": np.full((SIZE, 4), np.nan)}, "row 0 holds NaN"),
    ],
)
def test_bad_input_is_refused(data, changes, message):
    arguments = {"references": data["references"], "logits_or_probabilities": data["logits"], "labels": LABELS}
    with pytest.raises(ValueError, match=message):
        evaluate_predictions(**(arguments | changes))


@pytest.mark.filterwarnings("ignore:All utterances are of one cluster")
def test_report_files(tmp_path, results):
    context = {"model": "tiny", "command": "lssed-hf evaluate --split test | tee log"}
    path = write_report(results, tmp_path / "report", title="Tiny on nothing", context=context)
    assert path == tmp_path / "report" / "report.md"
    assert {file.name for file in path.parent.iterdir()} == {"results.json", "confusion_matrix.png", "report.md"}
    stored = json.loads((path.parent / "results.json").read_text(encoding="utf-8"))
    assert stored == {"title": "Tiny on nothing", "context": context, **results}
    assert (path.parent / "confusion_matrix.png").read_bytes().startswith(b"\x89PNG")

    text = path.read_text(encoding="utf-8")
    wa, ua = (results["intervals"][name] for name in ("weighted_accuracy", "unweighted_accuracy"))
    cells = " | ".join(f"{score['value']:.3f} [{score['low']:.3f}, {score['high']:.3f}]" for score in (wa, ua))
    assert text.startswith(
        "# Tiny on nothing\n\n- model: `tiny`\n- command: `lssed-hf evaluate --split test | tee log`\n"
    )
    assert "60 utterances, 6 speakers." in text
    assert f"| **this system** | {cells} |" in text
    assert f'| always "neutral" | {results["majority"]["weighted_accuracy"]:.3f} | 0.250 |' in text
    assert "largest class of the training set" in text
    assert f"| sad | {sum(results['metrics']['confusion_matrix'][3])} |" in text
    assert "![Confusion matrix](confusion_matrix.png)" in text
    assert "| gender: female | 30 | 3 |" in text
    assert "age_group" not in text


def test_report_without_speakers_groups_or_one_of_the_classes(tmp_path):
    results = evaluate_predictions([0, 0, 1], np.eye(3)[[0, 1, 1]], ["a|b", "c", "d"])
    text = write_report(results, tmp_path).read_text(encoding="utf-8")
    assert "3 utterances.\n" in text
    assert "resample utterances" in text
    assert "| a\\|b | 2 | 1 | 0.500 |" in text
    assert "| d | 0 | 0 | – |" in text
    assert "## Groups" not in text


def test_predictions_csv(tmp_path):
    probabilities = np.array([[0.7, 0.1, 0.1, 0.1], [0.0, 0.25, 0.25, 0.5], [1.0, 0.0, 0.0, 0.0]], dtype=np.float32)
    path = write_predictions(
        tmp_path / "new" / "predictions.csv", ["a,1", "ü", "c"], [0, -1, None], probabilities, LABELS
    )
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["id", "reference", "prediction", *(f"probability_{label}" for label in LABELS)]
    assert [(row["id"], row["reference"], row["prediction"]) for row in rows] == [
        ("a,1", "angry", "angry"),
        ("ü", "", "sad"),
        ("c", "", "angry"),
    ]
    assert [float(rows[0][f"probability_{label}"]) for label in LABELS] == pytest.approx([0.7, 0.1, 0.1, 0.1])


@pytest.mark.parametrize(
    ("ids", "references", "rows", "message"),
    [
        (["a"], [0], [[2.0, -1.0, 0.0, 0.0]], "apply a softmax"),
        (["a"], [0], [[0.5, 0.5, 0.5, 0.5]], "apply a softmax"),
        (["a"], [0, 1], [[1.0, 0.0, 0.0, 0.0]], "1 rows of probabilities, 1 ids and 2 references"),
        (["a"], [4], [[1.0, 0.0, 0.0, 0.0]], r"references\[0\] is 4"),
    ],
)
def test_predictions_that_do_not_fit_are_refused(tmp_path, ids, references, rows, message):
    with pytest.raises(ValueError, match=message):
        write_predictions(tmp_path / "predictions.csv", ids, references, np.array(rows), LABELS)
    assert not list(tmp_path.iterdir())
