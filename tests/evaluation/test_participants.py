"""Scores by participant, on made-up predictions."""

import dataclasses
import json

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, f1_score, roc_auc_score
from test_text_tables import check_latex

from lssed_hf.evaluation.depression_report import depression_latex, depression_markdown
from lssed_hf.evaluation.participants import DepressionSystem, compare_depression, participant_run
from lssed_hf.evaluation.plots import plot_people, plot_roc
from lssed_hf.evaluation.run_results import RunResults


LABELS = ["not_depressed", "depressed"]


def make_run(scores, labels, utterances=3, spread=0.0, seed=0):
    """Return a run of so many utterances of each participant, with scores around the participant's."""
    rng = np.random.default_rng(seed)
    people = np.repeat(np.arange(len(labels)), utterances)
    values = np.clip(np.repeat(scores, utterances) + spread * rng.normal(size=len(people)), 0, 1)
    return RunResults(
        {"labels": LABELS},
        [f"u{index}" for index in range(len(people))],
        np.repeat(labels, utterances),
        (values > 0.5).astype(int),
        np.stack([1 - values, values], axis=1),
        [f"p{person}" for person in people],
    )


@pytest.fixture
def development():
    """Labels of 23 controls and 12 depressed participants."""
    return np.array([0] * 23 + [1] * 12)


def test_the_papers_figures_are_two_people(development):
    never = make_run(np.full(35, 0.2), development)
    two = make_run(np.where(np.arange(35) >= 33, 0.9, 0.2), development)
    comparison = compare_depression(
        [DepressionSystem("never", "asr", "all", {0: never}), DepressionSystem("two", "ser", "all", {0: two})]
    )
    rows = {row["name"]: row["participants"] for row in comparison["systems"]}
    for name, expected in {"never": (0.657, 0.500), "two": (0.714, 0.583)}.items():
        scores = (rows[name]["weighted_accuracy"]["mean"], rows[name]["unweighted_accuracy"]["mean"])
        assert tuple(round(score, 3) for score in scores) == expected
    assert comparison["reference"] == "two" and comparison["num_depressed"] == 12
    never = comparison["all_negative"]
    assert {
        name: [round(row, 3) for row in never[name].values()]
        for name in ("weighted_accuracy", "ppv")
        if never[name]["value"]
    } == {"weighted_accuracy": [0.657, 0.478, 0.809]}
    assert comparison["all_negative"]["f1_depressed"]["value"] == 0
    (test,) = comparison["comparisons"]
    assert (test["mcnemar"]["only_first"], test["mcnemar"]["only_second"], test["mcnemar"]["p"]) == (0, 2, 0.5)
    assert test["unweighted_accuracy"]["value"] == pytest.approx(-1 / 12)
    exact = comparison["systems"][1]["exact"]["0"]
    assert (exact["found"]["successes"], exact["found"]["trials"]) == (2, 12)
    assert (exact["cleared"]["successes"], exact["cleared"]["trials"]) == (23, 23)
    # Two of twelve: between 2 and 48 per cent are found.
    assert exact["found"]["low"] == pytest.approx(0.0209, abs=1e-4)
    assert exact["found"]["high"] == pytest.approx(0.4841, abs=1e-4)


@pytest.mark.parametrize(("decision", "expected"), [("mean", [1, 0]), ("vote", [0, 0])])
def test_a_participant_is_decided_on_by_mean_or_vote(decision, expected):
    values = np.array([0.95, 0.45, 0.45, 0.6, 0.1])  # one sure utterance outweighs two doubtful ones in the mean
    run = RunResults(
        {"labels": LABELS},
        list("abcde"),
        np.array([1, 1, 1, 0, 0]),
        (values > 0.5).astype(int),
        np.stack([1 - values, values], axis=1),
        ["p", "p", "p", "q", "q"],
    )
    people = participant_run(run, decision)
    assert people.ids == ["p", "q"] and people.references.tolist() == [1, 0]
    assert people.predictions.tolist() == expected
    assert people.probabilities[0, 1] == pytest.approx(values[:3].mean() if decision == "mean" else 1 / 3)


def test_scores_are_those_of_scikit_learn(development):
    rng = np.random.default_rng(1)
    runs = {seed: make_run(rng.random(35), development, spread=0.3, seed=seed) for seed in (0, 1)}
    comparison = compare_depression([DepressionSystem("a", "x", "all", runs)])
    assert json.loads(json.dumps(comparison, allow_nan=False)) == comparison
    (row,) = comparison["systems"]
    people = [participant_run(run) for run in runs.values()]
    for level, scored in (("participants", people), ("utterances", list(runs.values()))):
        for name, label in (("f1_depressed", 1), ("f1_not_depressed", 0)):
            expected = [f1_score(run.references, run.predictions, pos_label=label) for run in scored]
            assert list(row[level][name]["by_seed"].values()) == pytest.approx(expected)
            assert row[level][name]["std"] == pytest.approx(np.std(expected, ddof=1))
    expected = [roc_auc_score(run.references, run.probabilities[:, 1]) for run in people]
    auc, brier = (row["participants"][name] for name in ("auc", "brier"))
    assert auc["mean"] == pytest.approx(np.mean(expected)) and auc["low"] < auc["mean"] < auc["high"]
    expected = [brier_score_loss(run.references, run.probabilities[:, 1]) for run in people]
    assert list(brier["by_seed"].values()) == pytest.approx(expected)
    assert brier["low"] < brier["mean"] < brier["high"]


def test_report_latex_and_pictures(development, tmp_path):
    rng = np.random.default_rng(2)
    systems = [
        DepressionSystem("a_b", "ser", "all", {s: make_run(rng.random(35), development, seed=s) for s in (0, 1)}),
        DepressionSystem("c", "pyresnet50, random weights", "head", {1: make_run(rng.random(35), development)}),
    ]
    comparison = compare_depression(systems, "vote", "c")
    text = depression_markdown(comparison, "daic_woz", "development", ["roc.png", "participants.png"])
    wa = comparison["systems"][0]["participants"]["weighted_accuracy"]
    assert f"| a_b | ser | all | {wa['mean']:.3f} ± {wa['std']:.3f} [" in text
    assert "| paper: PyResNet (SER) |  |  | 0.714 | 0.583 |" in text
    assert "| always not depressed |  |  | 0.657 [0.478, 0.809] | 0.500 [0.426, 0.632] |" in text
    assert (
        "called depressed if the share of utterances called depressed is above a half." in text
        and "35 participants, 12 of them depressed" in text
    )
    assert "| against c | WA | p |" in text and "![](roc.png)" in text and "flatters" not in text
    assert comparison["comparisons"][0]["mcnemar"]["seed"] == 1
    check_latex(depression_latex(comparison, "daic_woz", "development"), 3)
    chosen = compare_depression(systems, "vote")
    assert f"{chosen['reference']} was chosen for its UA on these very participants" in depression_markdown(
        chosen, "daic_woz", "development", []
    )
    scores = {row["name"]: np.array(list(row["scores"].values())) for row in comparison["systems"]}
    for path in (
        plot_roc(scores, development, tmp_path / "roc.png", title="t"),
        plot_people(scores, development, tmp_path / "people.png", names=["not", "depressed"], xlabel="score"),
    ):
        assert path.read_bytes().startswith(b"\x89PNG")


def test_one_class_alone_has_no_auc():
    run = make_run(np.array([0.2, 0.7]), np.array([0, 0]))
    (row,) = compare_depression([DepressionSystem("a", "x", "all", {0: run})])["systems"]
    assert row["participants"]["auc"]["mean"] is None and row["exact"]["0"]["found"]["low"] is None
    assert row["p_chance"] is None


def test_without_a_class_balanced_accuracy_and_its_f1_are_not_estimable():
    labels = np.array([0, 0])
    systems = [
        DepressionSystem("half", "x", "all", {0: make_run(np.array([0.2, 0.7]), labels)}),
        DepressionSystem("right", "x", "all", {0: make_run(np.array([0.2, 0.3]), labels)}),
    ]
    comparison = compare_depression(systems)
    for row in comparison["systems"]:
        for level in ("participants", "utterances"):
            for name in ("unweighted_accuracy", "f1_depressed"):
                assert row[level][name] == {
                    "mean": None,
                    "std": None,
                    "low": None,
                    "high": None,
                    "by_seed": {"0": None},
                }
    assert comparison["systems"][0]["participants"]["weighted_accuracy"]["mean"] == 0.5
    assert comparison["all_negative"]["unweighted_accuracy"]["value"] is None
    assert (comparison["reference"], comparison["reference_chosen"]) == ("right", "by WA")
    (test,) = comparison["comparisons"]
    assert test["unweighted_accuracy"] == {"value": None, "p": None, "p_holm": None}
    text = depression_markdown(comparison, "x", "test", [], difference=None)
    assert "| UA | not estimable | not estimable | not estimable |" in text
    assert "| half | -0.500 | 1.000 | not estimable | – |" in text and "right was chosen for its WA" in text
    latex = depression_latex(comparison, "x", "test", None)
    check_latex(latex, 3)
    assert "textbf" not in latex and "Bold" not in latex, "all right is what the trivial answer is, too"


def test_bold_is_what_beats_the_trivial_answer(development):
    ties = make_run(np.full(35, 0.2), development)
    finds = make_run(np.where(np.arange(35) % 2, 0.9, 0.2), development)  # UA above a half, WA below the trivial one
    systems = [DepressionSystem("ties", "x", "all", {0: ties}), DepressionSystem("finds", "x", "all", {0: finds})]
    comparison = compare_depression(systems)
    ua = comparison["systems"][1]["participants"]["unweighted_accuracy"]["mean"]
    latex = depression_latex(comparison, "x", "test")
    assert ua > 0.5 and latex.count(r"\textbf") == 1 and rf"\textbf{{{ua:.3f} [" in latex
    assert "Bold: best of the trained systems, where it beats always not depressed." in latex


def test_the_report_says_what_it_cannot_estimate_and_where_figures_hold():
    # One person has all utterances of a class, so that their spread between people is unknown.
    run = make_run(np.array([0.2, 0.3, 0.9]), np.array([0, 0, 1]))
    comparison = compare_depression([DepressionSystem("a", "x", "all", {0: run})])
    text = " ".join(depression_markdown(comparison, "x", "test", [], difference=None).split())
    assert "1.000 [not estimable] |" in text and "In brackets: there is a score but no interval" in text
    assert "PPV and NPV hold at the prevalence of this sample only" in text
    assert "always giving the prevalence among the scored participants themselves" in text


def test_what_cannot_be_scored_is_refused(development):
    run = make_run(np.full(35, 0.2), development)
    other = make_run(np.full(35, 0.2), 1 - development)
    with pytest.raises(ValueError, match="no system to compare"):
        compare_depression([])
    with pytest.raises(ValueError, match="b, seed 0, was scored on another test set than a"):
        compare_depression([DepressionSystem("a", "", "", {0: run}), DepressionSystem("b", "", "", {0: other})])
    with pytest.raises(ValueError, match="no system 'z' to compare with; there are a"):
        compare_depression([DepressionSystem("a", "", "", {0: run})], reference="z")
    with pytest.raises(ValueError, match="decision='max' is not one of mean, vote"):
        participant_run(run, "max")
    run.references[0] = 1
    with pytest.raises(ValueError, match="participant p0 is labelled both ways"):
        participant_run(run)
    with pytest.raises(ValueError, match="without a speaker"):
        participant_run(RunResults(run.results, run.ids, run.references, run.predictions, run.probabilities, None))


def test_nobody_called_depressed_has_no_ppv_and_an_interval_that_is_no_point(development):
    """Every resample of a bootstrap has a UA of 0.5 then, and no PPV."""
    never = make_run(np.full(35, 0.2), development)
    comparison = compare_depression([DepressionSystem("never", "asr", "all", {0: never, 1: never})])
    (row,) = comparison["systems"]
    for level in ("participants", "utterances"):
        scores = row[level]
        assert scores["ppv"]["mean"] is None and scores["ppv"]["by_seed"] == {"0": None, "1": None}
        for name in ("unweighted_accuracy", "sensitivity", "specificity", "f1_depressed"):
            assert scores[name]["high"] - scores[name]["low"] > 0.1, (level, name)
        assert scores["unweighted_accuracy"]["low"] < 0.45 and scores["unweighted_accuracy"]["high"] > 0.6
    assert row["p_chance"] == 1.0
    text = depression_markdown(comparison, "daic_woz", "development", [])
    assert "| PPV | not estimable | not estimable |" in text and "[0.500, 0.500]" not in text


def test_thresholds_move_participants_and_no_utterance(development):
    run = make_run(np.where(development == 1, 0.4, 0.1), development)
    systems = [
        DepressionSystem("half", "x", "all", {0: run}),
        DepressionSystem("own", "x", "all", {0: run}, {0: 0.25}),
    ]
    half, own = compare_depression(systems)["systems"]
    assert half["participants"]["sensitivity"]["mean"] == 0 and own["participants"]["sensitivity"]["mean"] == 1
    assert half["participants"]["auc"] == own["participants"]["auc"] and own["utterances"] is None
    text = depression_markdown(compare_depression(systems), "x", "test", [])
    assert "own: threshold chosen on training participants (0.25).\n" in text
    systems[1].thresholds[0] = 0.4999873
    text = depression_markdown(compare_depression(systems), "x", "test", [])
    assert "own: threshold chosen on training participants (0.499987).\n" in text


def test_genders_are_scored_by_participant(development):
    run = make_run(np.where(np.arange(35) % 2 == development, 0.9, 0.1), development)
    codes = [str(int(name[1:]) % 2) for name in run.speakers]
    run = RunResults(
        run.results, run.ids, run.references, run.predictions, run.probabilities, run.speakers, {"gender_code": codes}
    )
    (row,) = compare_depression([DepressionSystem("a", "x", "all", {0: run})])["systems"]
    zero, one = row["groups"]["gender_code"]
    assert (zero["value"], zero["num_participants"], one["num_participants"]) == ("0", 18, 17)
    assert zero["num_depressed"] + one["num_depressed"] == 12
    assert zero["specificity"]["value"] == 0 and one["sensitivity"]["value"] == 1


def test_a_group_of_one_class_has_no_balanced_accuracy():
    run = make_run(np.array([0.2, 0.3, 0.9, 0.1]), np.array([0, 0, 1, 0]))
    run = dataclasses.replace(run, groups={"gender_code": ["0"] * 6 + ["1"] * 6})
    comparison = compare_depression([DepressionSystem("a", "x", "all", {0: run})])
    zero, one = comparison["systems"][0]["groups"]["gender_code"]
    assert zero["num_depressed"] == 0 and zero["unweighted_accuracy"]["value"] is None
    assert zero["f1_depressed"]["value"] is None and zero["f1_not_depressed"]["value"] == 1
    assert one["unweighted_accuracy"]["value"] == 1
    text = depression_markdown(comparison, "x", "test", [])
    assert "| a | gender_code: 0 | 2, 0 depressed | not estimable | 1.000 [0.158, 1.000] |" in text
    assert "| 1.000 [0.158, 1.000] | not estimable |\n" in text
