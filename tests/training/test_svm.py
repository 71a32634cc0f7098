"""Support vector machines on functionals: choice of C, saved folders, and the commands that take them."""

import json
import sys

import datasets
import numpy as np
import pytest
from fake_opensmile import fake_opensmile  # noqa: F401
from safetensors.numpy import load_file, save_file
from sklearn.svm import SVC
from tones import write_emodb, write_ravdess

import lssed_hf
from lssed_hf.cli.benchmark import main as benchmark
from lssed_hf.cli.cross_corpus import main as cross_corpus
from lssed_hf.cli.train import main as train
from lssed_hf.corpora import corpus_arguments as corpus_flags
from lssed_hf.inference.classifiers import svm as classical
from lssed_hf.inference.classifiers.speaker_statistics import SpeakerStatistics
from lssed_hf.inference.classifiers.svm import FunctionalsExtractor, SVMClassifier, read_svm, save_svm
from lssed_hf.training.svm import compute_functionals, fit_svm


pytestmark = pytest.mark.usefixtures("fake_opensmile")


@pytest.fixture(scope="module")
def ravdess(tmp_path_factory):
    return write_ravdess(tmp_path_factory.mktemp("ravdess"))


def flags(data, folder, name="egemaps-svm"):
    return ["--corpus", "ravdess", "--data_dir", str(data), "--model_name_or_path", name, "--output_dir", str(folder)]


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def random_svm(labels=("angry", "sad", "happy"), size=9):
    rng = np.random.default_rng(0)
    classes = np.arange(30) % len(labels)
    inputs = rng.normal(size=(30, size)) + classes[:, None]
    return fit_svm(inputs, classes, labels, "eGeMAPSv02", "none", rng.normal(size=size), np.full(size, 2.0))


def test_training_leaves_a_model_with_scores_a_card_and_its_licence(ravdess, tmp_path):
    assert train(flags(ravdess, tmp_path)) == 0
    content, record = read(tmp_path / "svm.json"), read(tmp_path / "training.json")
    assert content["feature_set"] == "eGeMAPSv02" and content["complexity"] == 1
    svm = read_svm(tmp_path)
    assert (
        record["num_parameters"] == len(svm.support) * (9 + 6) + 6
        and record["settings"]["complexity"] == content["complexity"]
    )
    assert "learning_rate" not in record["settings"] and record["start"]["name"] is None
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    for text in (content["license_note"], card):
        assert "audEERING" in text and "research" in text
    assert "not calibrated" in card and "load_classifier" in card and "pipeline(" not in card
    results = read(tmp_path / "results.json")
    assert results["num_utterances"] == 48 and results["metrics"]["unweighted_accuracy"] > 0.5  # chance is 0.25
    for name in ("report.md", "predictions.csv", "confusion_matrix.png", "eval_results.json"):
        assert (tmp_path / name).is_file()

    classifier = lssed_hf.load_classifier(tmp_path)
    assert isinstance(classifier, SVMClassifier) and classifier.labels == list(content["id2label"].values())
    clip = min(ravdess.glob("*-17.wav"))
    answers = classifier(str(clip), top_k=None)
    assert sum(answer["score"] for answer in answers) == pytest.approx(1)


def test_labels_of_the_test_split_change_nothing(ravdess, tmp_path, monkeypatch):
    assert train(flags(ravdess, tmp_path / "as_it_is")) == 0
    load = corpus_flags.load_splits

    def shuffled(*args, **kwargs):
        dataset = load(*args, **kwargs)
        rows = dataset["test"]
        labels = np.random.default_rng(0).permutation(rows["emotion"])
        column = datasets.Dataset.from_dict({"emotion": labels}, datasets.Features(emotion=rows.features["emotion"]))
        rows = datasets.concatenate_datasets([rows.remove_columns("emotion"), column], axis=1)
        return datasets.DatasetDict({**dataset, "test": rows})

    monkeypatch.setattr(corpus_flags, "load_splits", shuffled)
    assert train(flags(ravdess, tmp_path / "shuffled")) == 0
    first, second = (read_svm(tmp_path / name) for name in ("as_it_is", "shuffled"))
    for name in ("support", "weight", "bias", "mean", "std"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    ua = [
        read(tmp_path / name / "results.json")["metrics"]["unweighted_accuracy"] for name in ("as_it_is", "shuffled")
    ]
    assert ua[0] != ua[1]  # they were shuffled


@pytest.mark.parametrize("num_labels", [2, 3, 4])
def test_margins_and_answers_are_scikit_learns(num_labels):
    rng = np.random.default_rng(num_labels)
    labels = rng.integers(num_labels, size=90)
    inputs, others = (labels[:, None] * [[1.0, -0.5]] + rng.normal(size=(90, 2)) for _ in range(2))
    names = [f"label {index}" for index in range(num_labels)]
    svm = fit_svm(inputs, labels, names, "eGeMAPSv02", "none", np.zeros(2), np.ones(2))
    reference = SVC(class_weight="balanced").fit(inputs, labels)
    scores = svm.decision(others, np.zeros(2), np.ones(2))
    np.testing.assert_array_equal(scores.argmax(axis=1), SVC.predict(reference.set_params(break_ties=True), others))
    if num_labels > 2:  # of two classes scikit-learn gives one margin
        np.testing.assert_allclose(scores, reference.decision_function(others), atol=1e-4)


def test_a_class_without_training_clips_is_never_answered():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 2], 20)
    inputs = labels[:, None] + rng.normal(size=(40, 2))
    svm = fit_svm(inputs, labels, ["a", "b", "c"], "eGeMAPSv02", "none", np.zeros(2), np.ones(2))
    answers = svm.decision(inputs, np.zeros(2), np.ones(2)).argmax(axis=1)
    assert set(answers) == {0, 2} and np.mean(answers == labels) > 0.8
    with pytest.raises(ValueError, match="one label"):
        fit_svm(inputs, np.zeros(40, int), ["a", "b"], "eGeMAPSv02", "none", np.zeros(2), np.ones(2))


def test_a_saved_one_comes_back_and_scores_as_scikit_learn_would(tmp_path):
    svm = random_svm()
    save_svm(svm, tmp_path)
    again = read_svm(tmp_path)
    assert (again.labels, again.feature_set, again.gamma) == (svm.labels, svm.feature_set, svm.gamma)
    clips = [np.random.default_rng(seed).normal(0, 0.1, 4000 + seed).astype(np.float32) for seed in range(5)]
    functionals = np.stack([FunctionalsExtractor("eGeMAPSv02").extract(clip) for clip in clips])
    logits = svm.decision(functionals, svm.mean, svm.std)
    classifier = lssed_hf.load_classifier(tmp_path, batch_size=2)
    np.testing.assert_allclose(classifier.logits(clips), logits, rtol=1e-4)
    found = np.stack(list(classifier.probabilities(clips)))
    np.testing.assert_allclose(found, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), rtol=1e-3)


def test_a_speakers_own_statistics_take_the_place_of_the_corpuss(tmp_path):
    svm = random_svm()
    save_svm(svm, tmp_path)
    classifier = lssed_hf.load_classifier(tmp_path)
    clips = [np.random.default_rng(seed).normal(0, 0.02 * (seed + 1), 4000).astype(np.float32) for seed in range(6)]
    functionals = np.stack([classifier.feature_extractor.extract(clip) for clip in clips])
    statistics = classifier.speaker_statistics(iter(clips))
    assert statistics.num_clips == 6 and statistics.seconds == pytest.approx(1.5)
    own = classifier.for_speaker(statistics)
    std = np.maximum(functionals.std(axis=0), 0.1 * svm.std)
    expected = svm.decision(functionals, functionals.mean(axis=0), std)
    np.testing.assert_allclose(own.logits(clips), expected, atol=1e-3)
    assert not np.allclose(classifier.logits(clips), expected, atol=1e-4)  # which is left as it was
    with pytest.raises(ValueError, match="a speaker's already"):
        own.for_speaker(statistics)
    with pytest.raises(ValueError, match="at least one recording"):
        classifier.speaker_statistics([])
    with pytest.raises(ValueError, match="3 values"):
        classifier.for_speaker(SpeakerStatistics((0.0,) * 3, (1.0,) * 3, 1, 1.0))


def test_speakers_are_standardised_by_themselves_in_training_too(ravdess, tmp_path):
    assert train([*flags(ravdess, tmp_path / "all"), "--speaker_normalization", "all"]) == 0
    own = read_svm(tmp_path / "all")
    assert own.speaker_normalization == "all"
    # Two training actors: what each is standardised to has mean 0, so the vectors of all clips together have it too.
    rows = corpus_flags.load_splits("ravdess", None, str(ravdess))["train"]
    functionals = compute_functionals(rows, "eGeMAPSv02")
    speakers = np.asarray(rows["speaker_id"])
    expected = np.empty_like(functionals)
    for speaker in set(speakers):
        values = functionals[speakers == speaker]
        expected[speakers == speaker] = (values - values.mean(0)) / np.maximum(values.std(0), 0.1 * own.std)
    for vector in own.support:
        assert np.abs(expected - vector).max(axis=1).min() < 1e-3
    results = read(tmp_path / "all" / "results.json")
    assert results["speaker_normalization"]["statistics"] == "all" and results["num_utterances"] == 48

    enrolment = ["--speaker_normalization", "enrolment", "--enrolment_clips", "2"]
    assert train([*flags(ravdess, tmp_path / "two"), *enrolment]) == 0
    assert read(tmp_path / "two" / "results.json")["num_utterances"] == 48 - 3 * 2
    assert read(tmp_path / "two" / "eval_results.json")["eval_samples"] == 16 - 2


def test_very_short_clips_are_filled_up(tmp_path):
    short = FunctionalsExtractor("eGeMAPSv02").extract(np.ones(16, np.float32))
    assert np.isfinite(short).all()


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        (lambda folder: (folder / "svm.safetensors").unlink(), FileNotFoundError, "svm.safetensors is missing"),
        (lambda folder: (folder / "svm.safetensors").write_bytes(b"\x80\x04"), ValueError, "train it again"),
        (lambda folder: (folder / "svm.json").write_text("{"), ValueError, "train it again"),
        (lambda folder: (folder / "svm.json").write_text("[]"), ValueError, "train it again"),
        (lambda folder: (folder / "svm.json").write_text('{"id2label": {"0": "a"}}'), ValueError, "feature_set"),
        (
            lambda folder: save_file(
                {**load_file(folder / "svm.safetensors"), "mean": np.zeros(3, np.float32)}, folder / "svm.safetensors"
            ),
            ValueError,
            "do not fit",
        ),
    ],
)
def test_damaged_folders_are_named(tmp_path, damage, error, message):
    save_svm(random_svm(), tmp_path)
    damage(tmp_path)
    with pytest.raises(error, match=message):
        lssed_hf.load_classifier(tmp_path)


def test_what_it_cannot_do_is_said(ravdess, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="--config_overrides is for networks, and egemaps-svm is none"):
        train([*flags(ravdess, tmp_path), "--config_overrides", "{}"])
    save_svm(random_svm(), tmp_path)
    with pytest.raises(ValueError, match="runs on the CPU"):
        lssed_hf.load_classifier(tmp_path, device="cuda")
    classical.open_smile.cache_clear()
    monkeypatch.setitem(sys.modules, "opensmile", None)
    with pytest.raises(ImportError, match=r"pip install 'lssed-hf\[opensmile\]'"):
        lssed_hf.load_classifier(tmp_path)


def in_this_process(monkeypatch):
    """Do runs in this process, where the stand-in is."""
    from lssed_hf.experiments import runs

    monkeypatch.setattr(runs, "run_in_process", lambda folder, num_threads=None: runs.main([str(folder)]))


def test_a_benchmark_takes_it(ravdess, tmp_path, monkeypatch):
    in_this_process(monkeypatch)
    asked = ["--corpus", "ravdess", "--data_dir", str(ravdess), "--models", "compare-svm", "egemaps-svm"]
    assert benchmark([*asked, "--output_dir", str(tmp_path)]) == 0
    run = tmp_path / "runs" / "compare-svm" / "seed_0"
    assert read(run / "run.json")["num_parameters"] == read(run / "training.json")["num_parameters"] > 40
    assert not (run / "svm.safetensors").exists()  # without --keep_models
    assert "egemaps-svm" in (tmp_path / "report.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_cross_corpus_runs_take_it(ravdess, tmp_path, monkeypatch):
    in_this_process(monkeypatch)
    emodb = write_emodb(tmp_path / "emodb")
    data = ["--corpora", "ravdess", "emodb", "--data_dirs", f"ravdess={ravdess}", f"emodb={emodb}"]
    assert cross_corpus([*data, "--model", "egemaps-svm", "--output_dir", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "report.md").is_file()
