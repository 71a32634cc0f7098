import numpy as np
import pytest

from lssed_hf.evaluation.fairness import speaker_recalls
from lssed_hf.evaluation.report import evaluate_predictions, write_report
from lssed_hf.evaluation.ser_metrics.ser_metrics import score


LABELS = ["angry", "neutral", "happy", "sad"]


@pytest.fixture
def data():
    rng = np.random.default_rng(1)
    references = rng.integers(4, size=90)
    predictions = np.where(rng.random(90) < 0.6, references, rng.integers(4, size=90))
    return references, predictions, [f"s{index % 9}" for index in range(90)]


def test_every_speaker_is_scored_alone_worst_first(data):
    references, predictions, speakers = data
    recalls = speaker_recalls(references, predictions, speakers, 4)
    values = [row["unweighted_accuracy"] for row in recalls["by_speaker"]]
    assert values == sorted(values) and len(values) == 9
    for row in recalls["by_speaker"]:
        chosen = [index for index, speaker in enumerate(speakers) if speaker == row["speaker"]]
        expected = score(references[chosen], predictions[chosen], 4)
        assert row["num_utterances"] == 10
        assert row["num_labels"] == len(set(references[chosen]))
        for name in ("weighted_accuracy", "unweighted_accuracy"):
            assert row[name] == expected[name]
    median = recalls["median"]
    assert median["value"] == np.median(values)
    assert values[0] <= median["low"] <= median["value"] <= median["high"] <= values[-1]


def test_unknown_speakers_are_left_out_and_one_alone_is_nothing_to_compare(data):
    references, predictions, _ = data
    speakers = ["a"] * 30 + ["b"] * 30 + [None] * 30
    assert [row["num_utterances"] for row in speaker_recalls(references, predictions, speakers)["by_speaker"]] == [
        30
    ] * 2
    assert speaker_recalls(references, predictions, ["a"] * 60 + [None] * 30) is None


def test_the_report_shows_worst_median_and_best(data, tmp_path):
    references, predictions, speakers = data
    results = evaluate_predictions(references, np.eye(4)[predictions], LABELS, speakers=speakers)
    assert results["speakers"] == speaker_recalls(references, predictions, speakers, 4)
    text = write_report(results, tmp_path).read_text(encoding="utf-8")
    worst, best = results["speakers"]["by_speaker"][0], results["speakers"]["by_speaker"][-1]
    assert f"| worst | {worst['speaker']} | 10 | {worst['weighted_accuracy']:.3f} |" in text
    assert f"| {best['unweighted_accuracy']:.3f} |" in text
    assert "| median | 9 speakers |" in text
    without = evaluate_predictions(references, np.eye(4)[predictions], LABELS)
    assert without["speakers"] is None
    assert "## Speakers" not in write_report(without, tmp_path).read_text(encoding="utf-8")
