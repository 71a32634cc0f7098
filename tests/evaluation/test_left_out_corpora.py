"""Systems on corpora that they were not trained on, on cases that are counted by hand."""

import numpy as np
import pytest

from lssed_hf.evaluation.intervals import SCORES
from lssed_hf.evaluation.left_out_corpora import (
    compare_left_out,
    left_out_cells,
    left_out_latex,
    left_out_markdown,
)
from lssed_hf.evaluation.run_results import RunResults


LABELS = ["angry", "sad"]
UA = "unweighted_accuracy"


def run(references, predictions, speakers="aabb", sure=0.8, labels=LABELS) -> RunResults:
    """Return a run whose predictions have a probability of `sure`."""
    count = len(references)
    probabilities = np.full((count, len(labels)), (1 - sure) / (len(labels) - 1))
    probabilities[np.arange(count), predictions] = sure
    ids = [f"clip{number}" for number in range(count)]
    names = None if speakers is None else list(speakers)
    return RunResults({"labels": labels}, ids, np.array(references), np.array(predictions), probabilities, names)


@pytest.fixture
def runs():
    """Two systems on two corpora of four clips, the first with two seeds on the first corpus."""
    return {
        "good": {
            "one": {0: run([0, 1, 0, 1], [0, 1, 0, 1]), 1: run([0, 1, 0, 1], [0, 1, 0, 0])},
            "two": {0: run([0, 0, 0, 1], [0, 0, 1, 1])},
        },
        "poor": {
            "one": {0: run([0, 1, 0, 1], [0, 0, 0, 0])},
            "two": {0: run([0, 0, 0, 1], [0, 1, 1, 0])},
        },
    }


def test_by_hand(runs):
    comparison = compare_left_out(runs, LABELS)
    assert comparison["corpora"] == ["one", "two"] and comparison["labels"] == LABELS
    good, poor = comparison["systems"]
    # UA of seeds 1 and 3/4 on the first corpus, and (2/3 + 1) / 2 on the second.
    assert good["corpora"]["one"][UA]["by_seed"] == {"0": 1.0, "1": 0.75}
    assert good["corpora"]["one"][UA]["mean"] == pytest.approx(0.875)
    assert good["corpora"]["two"][UA]["mean"] == pytest.approx(5 / 6)
    assert good["mean"][UA]["value"] == pytest.approx((0.875 + 5 / 6) / 2)
    assert good["mean"]["weighted_accuracy"]["value"] == pytest.approx((0.875 + 0.75) / 2)
    assert good["mean"][UA]["std"] is None and good["seeds"] == [0, 1]  # one seed is in all corpora
    assert good["corpora"]["one"]["confusion_matrix"] == [[4, 0], [1, 3]]
    assert good["corpora"]["one"]["num_utterances"] == 4 and good["corpora"]["one"]["num_speakers"] == 2
    assert poor["mean"][UA]["value"] == pytest.approx((0.5 + 1 / 6) / 2)
    # 12 predictions of confidence 0.8, of which 10 are right: 4 and 3 of 4, and 3 of 4.
    assert good["calibration"]["ece"] == pytest.approx(10 / 12 - 0.8)
    assert good["corpora"]["two"]["calibration"]["ece"] == pytest.approx(0.05)
    [difference] = comparison["comparisons"]
    assert (difference["system"], difference["other"]) == ("good", "poor")
    assert difference["value"] == pytest.approx(good["mean"][UA]["value"] - poor["mean"][UA]["value"])
    assert difference["low"] <= difference["value"] <= difference["high"]
    assert difference["p_holm"] == difference["p"]


def test_deviation_over_seeds_is_that_of_means_over_corpora(runs):
    runs["good"]["two"][1] = run([0, 0, 0, 1], [0, 0, 0, 1])
    good = compare_left_out(runs, LABELS)["systems"][0]
    by_seed = [(1 + 5 / 6) / 2, (0.75 + 1) / 2]
    assert good["mean"][UA]["std"] == pytest.approx(np.std(by_seed, ddof=1))
    assert good["mean"][UA]["value"] == pytest.approx(np.mean(by_seed))


def test_speakers_are_resampled_within_corpora():
    """Speaker a is all right and b all wrong: UA of a resample of two is 1, 0.5 or 0, of shares 1/4, 1/2 and 1/4."""
    same = run([0, 1, 0, 1], [0, 1, 1, 0])
    mean = compare_left_out({"x": {"one": {0: same}}}, LABELS)["systems"][0]["mean"][UA]
    assert (mean["low"], mean["value"], mean["high"]) == (0.0, 0.5, 1.0)
    both = compare_left_out({"x": {"one": {0: same}, "two": {0: same}}}, LABELS, num_resamples=20000)
    # Of two corpora that are drawn apart, both are at 0 in 1 of 16, and at most 0.25 in 5 of 16 resamples.
    mean = both["systems"][0]["mean"][UA]
    assert (mean["low"], mean["high"]) == (0.0, 1.0)
    narrow = compare_left_out({"x": {str(n): {0: same} for n in range(6)}}, LABELS, num_resamples=4000)
    mean = narrow["systems"][0]["mean"][UA]
    assert 0.15 < mean["low"] < 0.35 and 0.65 < mean["high"] < 0.85


def test_p_is_small_where_all_speakers_differ_and_1_where_none_does():
    references, speakers = [0, 1] * 20, [f"s{number // 4}" for number in range(40)]
    right = {"one": {0: run(references, references, speakers)}}
    wrong = {"one": {0: run(references, [1 - label for label in references], speakers)}}
    rows = compare_left_out({"a": right, "same": right, "wrong": wrong}, LABELS, num_resamples=999)["comparisons"]
    assert (rows[0]["value"], rows[0]["p"], rows[0]["p_holm"]) == (0, 1, 1)
    assert rows[1]["value"] == 1 and rows[1]["p"] == pytest.approx(0.002) and rows[1]["p_holm"] == pytest.approx(0.004)


def test_other_classes_are_left_out():
    labels = ["angry", "calm", "sad"]
    three = run([0, 1, 2, 2], [0, 1, 1, 2], labels=labels)
    three.probabilities[2] = [0.3, 0.6, 0.1]  # angry is the more probable of those that count
    row = compare_left_out({"x": {"one": {0: three}}}, LABELS)["systems"][0]["corpora"]["one"]
    assert row["num_utterances"] == 3 and row["confusion_matrix"] == [[1, 0], [1, 1]]
    # Probabilities of the classes that count add up to 1: 8/9, 3/4 and 8/9.
    assert row["calibration"]["confidence"] == pytest.approx((8 / 9 + 3 / 4 + 8 / 9) / 3)


def test_a_corpus_that_is_missing_leaves_the_mean_open(runs):
    del runs["poor"]["two"]
    comparison = compare_left_out(runs, LABELS)
    good, poor = comparison["systems"]
    assert good["mean"] is not None and poor["mean"] is None and comparison["comparisons"] == []
    _, rows = left_out_cells(comparison)
    assert rows[1][1] != "" and rows[1][2:4] == ["", ""]
    del runs["good"]["two"]
    comparison = compare_left_out(runs, LABELS, ["two", "one"])
    assert comparison["corpora"] == ["two", "one"] and comparison["systems"][0]["mean"] is None
    assert "two:" not in left_out_markdown(comparison, [])


def test_unknown_speakers_and_a_lone_one():
    unknown = run([0, 1, 0, 1], [0, 1, 0, 0], speakers=None)
    comparison = compare_left_out({"x": {"one": {0: unknown}}}, LABELS)
    assert comparison["systems"][0]["corpora"]["one"]["num_speakers"] is None
    assert "one: 4 clips of unknown speakers." in left_out_markdown(comparison, [])
    lone = {"one": {0: run([0, 1, 0, 1], [0, 1, 0, 0], speakers="aaaa")}}
    comparison = compare_left_out({"x": lone, "y": lone}, LABELS)
    assert comparison["systems"][0]["mean"][UA]["low"] is None
    assert [row["p_holm"] for row in comparison["comparisons"]] == [None]
    assert "| x − y | +0.000 |  |" in left_out_markdown(comparison, [])


def test_tables(runs):
    comparison = compare_left_out(runs, LABELS)
    header, rows = left_out_cells(comparison)
    assert header == ["system", "one", "two", "mean UA", "ECE"]
    assert rows[0][:3] == ["good", "0.875", "0.833"] and rows[0][3].startswith("0.854 [") and rows[0][4] == "0.033"
    text = left_out_markdown(comparison, ["reliability.png"])
    for part in ("| good | 0.875 | 0.833 | 0.854 [", "one: 4 clips of 2 speakers; two: 4 clips of 2 speakers."):
        assert part in text
    assert "![reliability.png](reliability.png)" in text and "| good − poor | +0.521 [" in text
    assert all(name in left_out_latex(comparison) for name in ("good", "mean UA", "angry, sad"))
    assert set(SCORES) <= set(comparison["systems"][0]["mean"])
