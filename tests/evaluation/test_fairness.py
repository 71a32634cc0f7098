import numpy as np
import pytest

from lssed_hf.evaluation.fairness import fairness, fairness_table, group_recalls, speaker_recalls
from lssed_hf.evaluation.intervals import bootstrap_intervals
from lssed_hf.evaluation.report import evaluate_predictions, write_report
from lssed_hf.evaluation.run_results import RunResults
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
    values = [row["unweighted_accuracy"]["value"] for row in recalls["by_speaker"]]
    assert values == sorted(values) and len(values) == 9
    for row in recalls["by_speaker"]:
        chosen = [index for index, speaker in enumerate(speakers) if speaker == row["speaker"]]
        expected = score(references[chosen], predictions[chosen], 4)
        assert row["num_utterances"] == 10
        assert row["num_labels"] == len(set(references[chosen]))
        for name in ("weighted_accuracy", "unweighted_accuracy"):
            assert row[name]["value"] == expected[name]
            alone = bootstrap_intervals(references[chosen], predictions[chosen], None, 4)[name]
            assert row[name] == alone and alone["low"] < alone["value"] < alone["high"]
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
    assert f"| worst | {worst['speaker']} | 10 | {worst['weighted_accuracy']['value']:.3f} [" in text
    assert f"| {best['unweighted_accuracy']['value']:.3f} [" in text
    assert "| median | 9 speakers |" in text
    without = evaluate_predictions(references, np.eye(4)[predictions], LABELS)
    assert without["speakers"] is None
    assert "## Speakers" not in write_report(without, tmp_path).read_text(encoding="utf-8")


def test_groups_are_scored_alone_and_their_speakers_resampled(data):
    references, predictions, speakers = data
    gender = [[None, "male", "female"][index % 3] for index in range(90)]
    rows = group_recalls(references, predictions, speakers, {"gender": gender, "age_group": [None] * 90}, 4)
    assert [(row["attribute"], row["value"], row["num_utterances"], row["num_speakers"]) for row in rows] == [
        ("gender", "female", 30, 3),
        ("gender", "male", 30, 3),
    ]
    chosen = np.arange(90) % 3 == 1
    expected = bootstrap_intervals(references[chosen], predictions[chosen], np.array(speakers)[chosen].tolist(), 4)
    assert {name: rows[1][name] for name in expected} == expected


def make_run(references, predictions, speakers, **groups):
    return RunResults({"labels": LABELS}, [], references, predictions, np.eye(4)[predictions], speakers, groups)


def test_several_runs_are_averaged(data):
    references, predictions, speakers = data
    other = np.random.default_rng(2).integers(4, size=90)
    runs = [make_run(references, run, speakers, gender=["female", "male"] * 45) for run in (predictions, other)]
    single, both = [fairness({0: run}) for run in runs], fairness(dict(enumerate(runs)))

    def values(result, name):
        return {
            **{part["value"]: part[name]["value"] for part in result["groups"]},
            **{row["speaker"]: row[name]["value"] for row in result["speakers"]["by_speaker"]},
        }

    for name in ("weighted_accuracy", "unweighted_accuracy"):
        first, second = (values(result, name) for result in single)
        assert values(both, name) == pytest.approx({key: (first[key] + second[key]) / 2 for key in first})


def test_the_table_of_several_systems(data):
    references, predictions, speakers = data
    full = fairness({0: make_run(references, predictions, speakers, gender=["female", "male"] * 45)})
    bare = fairness({0: make_run(references, predictions, None)})
    assert bare == {"groups": [], "speakers": None}
    lines = fairness_table({"full": full, "bare": bare}).splitlines()
    assert lines[0] == "| UA | gender: female | gender: male | worst speaker | median speaker | best speaker |"
    female = full["groups"][0]["unweighted_accuracy"]
    assert lines[2].startswith(f"| full | {female['value']:.3f} [{female['low']:.3f}, {female['high']:.3f}] | ")
    assert lines[3] == "| bare | – | – | – | – | – |"
    assert fairness_table({"bare": bare}) is None
