"""Systems side by side, and corpora side by side, on made-up predictions."""

import dataclasses
import json

import numpy as np
import pytest
from matplotlib.image import imread
from test_text_tables import check_latex

from lssed_hf.evaluation.comparison import System, compare_systems, comparison_latex, comparison_markdown
from lssed_hf.evaluation.corpus_losses import compare_corpora, cross_corpus_latex, cross_corpus_markdown, loss_matrices
from lssed_hf.evaluation.fairness import fairness_table
from lssed_hf.evaluation.intervals import SCORES, bootstrap_intervals
from lssed_hf.evaluation.leakage import leakage_sentence
from lssed_hf.evaluation.plots import plot_confusion_matrices, plot_losses, plot_scores
from lssed_hf.evaluation.report import evaluate_predictions, write_predictions, write_report
from lssed_hf.evaluation.run_results import choose_reference, read_run
from lssed_hf.evaluation.ser_metrics.ser_metrics import score
from lssed_hf.evaluation.significance import holm, paired_differences


LABELS = ["angry", "neutral", "happy", "sad"]
SIZE = 80


@pytest.fixture
def make_run(tmp_path):
    def make_run(seed: int, right: float = 0.5, test_set: int = 0, size: int = SIZE, fake: bool = False):
        rng = np.random.default_rng(test_set)
        references = rng.choice(4, size, p=[0.2, 0.5, 0.2, 0.1])
        speakers = [f"{test_set}_{index % 8}" for index in range(size)]
        rng = np.random.default_rng([seed, int(100 * right)])
        predictions = np.where(rng.random(size) < right, references, rng.integers(4, size=size))
        probabilities = 0.7 * np.eye(4)[predictions] + 0.3 * rng.dirichlet(np.ones(4), size)
        ids = [f"u{index}" for index in range(size)]
        results = evaluate_predictions(references, probabilities, LABELS, ids=ids, speakers=speakers, majority_label=1)
        if fake:
            scores = {key: results[key] for key in ("metrics", "intervals")}
            results["adversarial"] = {"epsilon": 0.02, "real": scores, "fake": scores}
        folder = tmp_path / f"{test_set}_{seed}_{right}_{fake}"
        write_report(results, folder)
        groups = {"gender": [["female", "male", None][index % 8 % 3] for index in range(size)]}
        groups["age_group"] = [None] * size
        write_predictions(folder / "predictions.csv", ids, references, probabilities, LABELS, speakers, groups)
        return read_run(folder)

    return make_run


def test_a_run_is_read_back(make_run):
    run = make_run(0)
    assert run.labels == LABELS and run.ids[:2] == ["u0", "u1"] and run.speakers[8] == "0_0"
    assert score(run.references, run.predictions, 4) == run.results["metrics"]
    assert run.probabilities.shape == (SIZE, 4)
    assert list(run.groups) == ["gender"] and run.groups["gender"][:4] == ["female", "male", None, "female"]


def test_predictions_outside_of_the_labels_give_way(make_run):
    run = make_run(0)
    same = run.restricted(LABELS)
    assert (same.predictions == run.predictions).all() and same.speakers == run.speakers
    part = run.restricted(["sad", "neutral"])
    assert part.labels == ["sad", "neutral"] and run.labels == LABELS
    kept = np.isin(run.references, [1, 3])
    assert part.ids == [name for name, is_kept in zip(run.ids, kept) if is_kept]
    assert (part.references == (run.references[kept] == 1)).all()
    assert part.groups["gender"] == [value for value, is_kept in zip(run.groups["gender"], kept) if is_kept]
    assert (part.predictions == (run.probabilities[kept, 1] > run.probabilities[kept, 3])).all()


def test_an_answer_among_the_labels_stays_though_the_digits_of_the_csv_tie(make_run):
    run = make_run(0)
    tied = dataclasses.replace(run, probabilities=np.full((SIZE, 4), 0.25))
    assert (tied.restricted(LABELS).predictions == run.predictions).all()


@pytest.mark.slow
def test_the_validation_split_has_a_column_where_it_was_scored(make_run):
    facts = {"num_parameters": 5, "train_seconds": 1, "resumed": False}
    known = [{**facts, "validation_unweighted_accuracy": value} for value in (0.5, 0.7)]
    both = [System("a", "x", "", {0: make_run(0), 1: make_run(1)}, known), System("b", "y", "", {0: make_run(2)})]
    text = comparison_markdown(compare_systems(both), "ravdess", "table.png")
    assert "| 0.600 ± 0.141 |" in text and "the only one to choose by" in text
    unknown = [System("a", "x", "", {0: make_run(0)}, [facts]), System("b", "y", "", {0: make_run(2)})]
    assert "validation UA" not in comparison_markdown(compare_systems(unknown), "ravdess", "table.png")


def test_scores_and_tests_are_those_of_the_runs(make_run):
    a, b = make_run(0, 0.7), make_run(1, 0.6)
    c, d = make_run(0, 0.3), make_run(1, 0.4)
    e = make_run(0, 0.5)
    comparison = compare_systems(
        [
            System("mine", "somewhere/mine", "", {0: e}),
            System(
                "good", "pyresnet50", "", {0: a, 1: b}, [{"num_parameters": 5, "train_seconds": 1, "resumed": False}]
            ),
            System("bad", "resnet18", "--mixup 0.2", {0: c, 1: d}),
        ]
    )
    assert json.loads(json.dumps(comparison, allow_nan=False)) == comparison
    rows = {row["name"]: row for row in comparison["systems"]}
    assert list(rows) == ["bad", "good", "mine"], "in the order of Table 5"
    wa = [run.results["metrics"]["weighted_accuracy"] for run in (a, b)]
    assert rows["good"]["weighted_accuracy"]["by_seed"] == {"0": wa[0], "1": wa[1]}
    assert rows["good"]["weighted_accuracy"]["mean"] == pytest.approx(np.mean(wa))
    assert rows["good"]["weighted_accuracy"]["std"] == pytest.approx(abs(wa[0] - wa[1]) / np.sqrt(2))
    assert rows["good"]["published"]["weighted_accuracy"] == 0.615 and rows["mine"]["published"] is None
    for name in SCORES:
        expected = e.results["intervals"][name]
        assert (rows["mine"][name]["low"], rows["mine"][name]["high"]) == (expected["low"], expected["high"])
        assert rows["mine"][name]["std"] is None
    total = np.add(a.results["metrics"]["confusion_matrix"], b.results["metrics"]["confusion_matrix"])
    assert rows["good"]["confusion_matrix"] == total.tolist()

    assert (comparison["reference"], comparison["reference_chosen"]) == ("good", "by UA")
    bad, mine = comparison["comparisons"]
    expected = paired_differences(
        a.references, [c.predictions, d.predictions], [a.predictions, b.predictions], a.speakers, 4
    )
    assert (bad["system"], mine["system"]) == ("bad", "mine")
    assert {key: bad["weighted_accuracy"][key] for key in expected["weighted_accuracy"]} == expected[
        "weighted_accuracy"
    ]
    for name in (*SCORES, "mcnemar"):
        assert [row[name]["p_holm"] for row in (bad, mine)] == holm([row[name]["p"] for row in (bad, mine)])
    assert mine["mcnemar"]["seed"] == 0


@pytest.mark.slow
def test_the_first_of_systems_that_tie_up_to_rounding_is_the_reference():
    assert choose_reference(None, {"a": 0.1, "b": (1 / 2 + 2 / 3) / 2, "c": 7 / 12}) == "b"


def test_report_and_latex_of_a_comparison(make_run):
    systems = [
        System("a_50%", "pyresnet50", "", {0: make_run(0, 0.7)}, changed=True),
        System("adv", "vgg16", "--adversarial vanilla", {0: make_run(0, 0.4, fake=True)}, adversarial=True),
        System("attacked", "vgg16", "", {0: make_run(1, 0.4, fake=True)}),
    ]
    comparison = compare_systems(systems, "adv")
    text = comparison_markdown(comparison, "ravdess", "table.png", "figure2.png", "the test set is a toy")
    ua = comparison["systems"][1]["unweighted_accuracy"]
    assert f"| {ua['mean']:.3f} [{ua['low']:.3f}, {ua['high']:.3f}] |" in text
    assert "| a_50% | PyResNet† | ResNet50 |" in text and "| 0.615 | 0.420 |" in text
    assert "| adv | ADV-Real | VGG16 |" in text
    assert "| adv, fake clips (FGSM 0.02) | ADV-Fake | VGG16 |" in text
    assert "| attacked | VGG | VGG16 |" in text, "it is no row of ADV"
    assert "| attacked, fake clips (FGSM 0.02) | VGG | VGG16 |" in text
    fair = fairness_table({row["name"]: row for row in comparison["systems"]})
    assert fair in text and "| gender: female | gender: male | worst speaker |" in fair
    assert "**Here the task differs: the test set is a toy.**" in text
    assert "task differs" not in comparison_markdown(comparison, "lssed", "table.png", difference="")
    assert 'always "neutral"' in text and "80 utterances of 8 speakers" in text
    assert "never below 0.0078" in text and "chosen for its UA" not in text
    latex = comparison_latex(comparison, "rav_dess", "the test set is a toy")
    check_latex(latex, 6)
    assert latex.count(r"\textbf") == 2 and "on another test set: the test set is a toy." in latex
    assert "Whether speakers of the test set are in the training set too is unknown." in latex


def test_the_papers_columns_stand_only_where_it_has_figures(make_run):
    own = compare_systems([System("mine", "outputs/mine", "", {0: make_run(0)})])
    zoo = compare_systems([System("zoo", "pyresnet50", "", {0: make_run(0)})])
    assert "| paper WA | paper UA |" in comparison_markdown(zoo, "folder", "table.png", difference="")
    assert "paper" not in comparison_markdown(own, "folder", "table.png", difference="")
    for comparison in (own, zoo):
        text = comparison_markdown(comparison, "lssed", "table.png") + comparison_latex(comparison, "lssed")
        assert "paper" not in text and "Table 5" not in text
        check_latex(comparison_latex(comparison, "folder"), 4 if comparison is zoo else 3)
        check_latex(comparison_latex(comparison, "folder", ""), 6 if comparison is zoo else 3)


def test_latex_tells_systems_apart_from_the_papers(make_run):
    systems = [
        System("a_50%", "pyresnet50", "", {0: make_run(0, 0.7)}, changed=True),
        System("taught", "resnet18", "--teacher x", {0: make_run(2, 0.6)}),
        System("adv", "vgg16", "--adversarial vanilla", {0: make_run(0, 0.4, fake=True)}, adversarial=True),
    ]
    latex = comparison_latex(compare_systems(systems), "lssed", "")
    rows = [line.split(" & ")[:2] for line in latex.splitlines() if line.endswith(r"\\")]
    names = [r"a\_50\%$\dagger$", "taught", "ADV-Real", "ADV-Fake"]
    assert sorted(row[0] for row in rows[1:-1]) == sorted(names)
    assert r"$\dagger$: not the network of the paper" in latex
    assert [line.split(" & ")[0] for line in latex.splitlines() if r"\textbf" in line] == [names[0]]


def test_the_papers_majority_is_of_its_own_class(make_run):
    comparison = compare_systems([System("zoo", "pyresnet50", "", {0: make_run(0)})])
    assert comparison_latex(comparison, "lssed", "").count("0.570 & 0.250") == 1
    comparison["majority"]["label"] = LABELS.index("angry")
    text = comparison_latex(comparison, "lssed", "") + comparison_markdown(comparison, "lssed", "t.png", difference="")
    assert "0.570" not in text


def test_one_speaker_gives_no_interval_and_few_give_narrow_ones(make_run):
    systems = [System(name, "pyresnet50", "", {0: make_run(seed)}) for name, seed in (("a", 0), ("b", 1))]
    few = comparison_markdown(compare_systems(systems[:1]), "lssed", "table.png")
    assert "With 8 speakers they are too narrow. They cover the choice of the test set" in few
    for system in systems:
        run = system.runs[0]
        system.runs[0] = dataclasses.replace(run, speakers=["s"] * SIZE, results={**run.results, "num_speakers": 1})
    text = comparison_markdown(compare_systems(systems), "lssed", "table.png")
    assert "a single one gives none." in text and "gives no p but McNemar's." in text
    assert "too narrow" not in text and "never below" not in text and "cover the choice" not in text


def test_utterances_of_unknown_speakers_count_as_those_of_one_more(make_run):
    systems = [System(name, "pyresnet50", "", {0: make_run(seed)}) for name, seed in (("a", 0), ("b", 1))]
    for system in systems:
        run = system.runs[0]
        system.runs[0] = dataclasses.replace(run, speakers=[None, *run.speakers[1:]])
    comparison = compare_systems(systems)
    assert (comparison["num_speakers"], comparison["num_clusters"]) == (8, 9)
    text = comparison_markdown(comparison, "lssed", "table.png")
    assert "Utterances of unknown speakers count as those of one more." in text and "never below 0.0039" in text


def test_seeds_that_differ_are_named(make_run):
    both = {0: make_run(0), 1: make_run(1)}
    comparison = compare_systems([System("a", "x", "", both), System("b", "y", "", {1: make_run(2)})])
    texts = [comparison_markdown(comparison, "lssed", "table.png"), comparison_latex(comparison, "lssed")]
    pairs = compare_corpora({("a", "a"): both, ("a", "b"): {0: make_run(0, test_set=1)}}, LABELS)
    texts += [cross_corpus_markdown(pairs, "test", "table.png"), cross_corpus_latex(pairs)]
    listed = ["a: 0, 1; b: 1"] * 2 + ["a → a: 0, 1; a → b: 0", r"a $\rightarrow$ a: 0, 1; a $\rightarrow$ b: 0"]
    for text, names in zip(texts, listed, strict=True):
        assert f"Rows differ in their seeds ({names})." in text
    same = comparison_latex(compare_systems([System("a", "x", "", both)]), "lssed")
    assert "Rows differ" not in same and r"Scores are means over seeds, $\pm$ one sample standard deviation." in same


def test_empty_columns_go(make_run):
    comparison = compare_systems([System("mine", "outputs/mine", "", {0: make_run(0)})])
    assert comparison_markdown(comparison, "folder", "table.png").startswith("| system | WA | UA |\n")


def test_speakers_that_training_knows_are_counted(make_run):
    facts = {"num_parameters": 1, "train_seconds": 1.0, "resumed": False, "validation_unweighted_accuracy": None}
    leakages = [{"shared": 7, "speakers": 8}, {"shared": 0, "speakers": 8}]
    systems = [
        System(f"s{index}", "pyresnet50", "", {0: make_run(index)}, [{**facts, "leakage": leakage}])
        for index, leakage in enumerate(leakages)
    ]
    comparison = compare_systems(systems)
    sentence = "7 of the 8 test speakers (88 %) are in the training set too"
    assert sentence in comparison_markdown(comparison, "lssed", "table.png")
    assert sentence.replace("%", r"\%") in comparison_latex(comparison, "lssed")
    assert leakage_sentence(leakages[1]) == "None of the 8 test speakers is in the training set."
    assert "is unknown" in leakage_sentence({"shared": None, "speakers": 8})
    assert "299 of the 300 test speakers (> 99 %) are" in leakage_sentence({"shared": 299, "speakers": 300})
    assert "1 of the 300 test speakers (< 1 %) is" in leakage_sentence({"shared": 1, "speakers": 300})
    assert "300 of the 300 test speakers (100 %) are" in leakage_sentence({"shared": 300, "speakers": 300})


def test_what_cannot_be_compared_is_refused(make_run):
    mine = System("mine", "pyresnet50", "", {0: make_run(0)})
    other = System("other", "resnet18", "", {3: make_run(0, test_set=1)})
    with pytest.raises(ValueError, match="other, seed 3, was scored on another test set than mine"):
        compare_systems([mine, other])
    with pytest.raises(ValueError, match="no system 'yours' to compare with; there are mine"):
        compare_systems([mine], "yours")
    with pytest.raises(ValueError, match="no system to compare"):
        compare_systems([])


@pytest.mark.slow
def test_losses_are_own_minus_other_and_both_test_sets_are_resampled(make_run):
    own, other = make_run(0, 0.8), make_run(1, 0.3, test_set=1, size=50)
    comparison = compare_corpora({("a", "a"): {0: own}, ("a", "b"): {0: other}}, LABELS)
    assert json.loads(json.dumps(comparison, allow_nan=False)) == comparison
    first, second = comparison["pairs"]
    assert first["loss"] is None and (second["num_utterances"], second["num_speakers"]) == (50, 8)
    for name in SCORES:
        values = [run.results["metrics"][name] for run in (own, other)]
        loss = second["loss"][name]
        assert loss["value"] == pytest.approx(values[0] - values[1])
        # Of independent parts, so the variances add: the width lies between the wider one and both together.
        widths = [
            run.results["intervals"][name]["high"] - run.results["intervals"][name]["low"] for run in (own, other)
        ]
        assert max(widths) < loss["high"] - loss["low"] < sum(widths)
        assert loss["high"] - loss["low"] == pytest.approx(np.hypot(*widths), rel=0.1)
        intervals = bootstrap_intervals(own.references, own.predictions, own.speakers, 4)
        assert (first[name]["low"], first[name]["high"]) == (intervals[name]["low"], intervals[name]["high"])
    matrices, details = loss_matrices(comparison, ["a", "b"])
    assert matrices["−WA"][0].tolist() == [0, second["loss"]["weighted_accuracy"]["value"]]
    assert np.isnan(matrices["−WA"][1]).all(), "nothing was trained on b"
    assert details["−UA"][0][1].endswith(f"UA {second['unweighted_accuracy']['mean']:.3f}")
    text = cross_corpus_markdown(comparison, "test", "table.png")
    assert f"| a | b | 50 | {second['weighted_accuracy']['mean']:.3f} [" in text
    assert f"| {second['loss']['weighted_accuracy']['value']:.3f} [" in text
    assert "0.596" not in text, "a and b are not the paper's corpora"
    names = {"a": "iemocap", "b": "lssed"}
    assert "| a | b | 0.596 | 0.342 |" in cross_corpus_markdown(comparison, "test", "table.png", names)
    assert "**a: Whether speakers of the test set are in the training set too is unknown.**" in text
    latex = cross_corpus_latex(comparison, names)
    check_latex(latex, 4)
    assert "a (paper) & b & 0.596 & 0.342" in latex and r"\textbf" not in latex, "nothing to be better than"
    female = second["groups"][0]["unweighted_accuracy"]
    assert f"| a → b | {female['value']:.3f} [" in text


def test_the_least_loss_is_of_a_system_that_has_something_to_lose(make_run):
    run = make_run(2)
    constant = {0: dataclasses.replace(run, predictions=np.full(SIZE, 1))}
    pairs = {("a", "a"): {0: make_run(0, 0.8)}, ("a", "b"): {0: run}, ("b", "b"): constant, ("b", "a"): constant}
    comparison = compare_corpora(pairs, LABELS)
    assert comparison["pairs"][3]["loss"]["unweighted_accuracy"]["value"] == 0
    rows = [line for line in cross_corpus_latex(comparison).splitlines() if r"\textbf" in line]
    assert len(rows) == 1 and rows[0].startswith("a & b") and rows[0].count(r"\textbf") == 2


@pytest.mark.slow
def test_pictures_are_drawn(make_run, tmp_path):
    run = make_run(0)
    rows = [
        {"name": "a", "value": 0.5, "low": 0.4, "high": 0.6, "points": [0.45, 0.55], "published": 0.42},
        {"name": "a name that is much too long to stand beside a chart", "value": 0.3, "low": None, "high": None}
        | {"points": [0.3], "published": None},
    ]
    matrix = run.results["metrics"]["confusion_matrix"]
    plot_scores(rows, tmp_path / "scores.png", majority=0.25)
    plot_confusion_matrices({"one": matrix, "another with a long name": matrix}, LABELS, tmp_path / "two.png")
    plot_losses(
        {"−WA": np.array([[0, np.nan], [-0.5, 0.2]])}, {"−WA": [["x"] * 2] * 2}, ["a", "b"], tmp_path / "losses.png"
    )
    for name in ("scores", "two", "losses"):
        assert imread(tmp_path / f"{name}.png")[..., :3].std() > 0.03
    # Red where much is lost, blue where something is gained.
    colours = imread(tmp_path / "losses.png")[..., :3].reshape(-1, 3)
    assert (colours[:, 0] > colours[:, 2] + 0.15).any() and (colours[:, 2] > colours[:, 0] + 0.3).any()
