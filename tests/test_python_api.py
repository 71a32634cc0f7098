"""The functions that people call from Python, and what editors and type checkers see of them."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tiny_classifier import TINY
from transformers import pipeline

import lssed_hf


SOURCE = Path(lssed_hf.__file__).parent


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Two classes of tones, six clips each."""
    folder = tmp_path_factory.mktemp("recordings")
    for label, frequency in (("calm", 200), ("wut", 1200)):
        (folder / label).mkdir()
        for number in range(6):
            time = np.arange(8000) / 16000
            soundfile.write(
                folder / label / f"{number}.wav", 0.3 * np.sin(2 * np.pi * (frequency + number) * time), 16000
            )
    return folder


@pytest.fixture(scope="module")
def trained(recordings, tmp_path_factory):
    output_dir = tmp_path_factory.mktemp("trained") / "model"
    scores = lssed_hf.train(
        recordings,
        output_dir,
        model="pyresnet50",
        num_train_epochs=1,
        label_map={"wut": "angry"},
        config_overrides=TINY,
        report_to="none",
        per_device_train_batch_size=4,
        gradient_accumulation_steps=1,
    )
    return output_dir, scores


@pytest.mark.slow
def test_training_from_python_keeps_the_labels(trained):
    output_dir, scores = trained
    assert scores["labels"] == ["angry", "calm"] and scores["num_utterances"] == 2
    assert lssed_hf.load_classifier(output_dir).labels == ["angry", "calm"]


def test_evaluating_from_python(recordings, trained, tmp_path):
    output_dir, _ = trained
    scores = lssed_hf.evaluate(recordings, output_dir, split="all", label_map={"wut": "angry"})
    assert scores["num_utterances"] == 12 and not (tmp_path / "report").exists()
    both = lssed_hf.evaluate(
        recordings, output_dir, tmp_path / "report", split="train+test", label_map={"wut": "angry"}
    )
    assert both["num_utterances"] == 12 and (tmp_path / "report" / "report.md").is_file()
    with pytest.raises(ValueError, match="has no split 'nope'; it has train, test"):
        lssed_hf.evaluate(recordings, output_dir, split="nope", label_map={"wut": "angry"})


def test_data_sets_in_memory(recordings, trained, tmp_path):
    corpus = lssed_hf.load_corpus("folder", recordings, label_map={"wut": "angry"})
    output_dir, _ = trained
    assert lssed_hf.evaluate(corpus["test"], output_dir)["num_utterances"] == len(corpus["test"])
    settings = {"model": "pyresnet50", "config_overrides": TINY, "num_train_epochs": 1, "report_to": "none"}
    scores = lssed_hf.train(corpus, tmp_path / "again", **settings, per_device_train_batch_size=4)
    assert scores["labels"] == ["angry", "calm"]
    assert "in memory" in (tmp_path / "again" / "README.md").read_text(encoding="utf-8")


def test_flags_that_are_not_there_are_named(recordings, tmp_path):
    with pytest.raises(TypeError, match="no flag 'learning_rat'; did you mean learning_rate"):
        lssed_hf.train(recordings, tmp_path, learning_rat=1)
    with pytest.raises(ValueError, match="invalid choice: 'large'"):
        lssed_hf.train(recordings, tmp_path, recipe="large")


def test_predictions_print_short(recordings, trained):
    output_dir, _ = trained
    found = lssed_hf.predict(str(recordings / "calm" / "*.wav"), output_dir)
    assert len(found) == 6 and all(len(repr(one)) < 200 and one.label in repr(one) for one in found)
    assert found[0].score == max(found[0].probabilities.values())
    [missing] = lssed_hf.predict("nowhere.wav", output_dir)
    assert missing.label is None and "nowhere.wav" in repr(missing)


def test_objects_print_short(trained):
    output_dir, _ = trained
    classifier = lssed_hf.load_classifier(output_dir)
    assert repr(classifier) == f"AudioClassifier('{output_dir}', labels=[angry, calm])"
    for extractor in (classifier.feature_extractor, lssed_hf.EspnetAsrFeatureExtractor()):
        assert len(repr(extractor)) < 250 and "sampling_rate=16000" in repr(extractor)
    assert "statistics=fitted" in repr(classifier.feature_extractor)


def test_models_with_names_for_their_labels():
    model = lssed_hf.create_model("pyresnet50", labels=["calm", "wut"], **TINY)
    assert model.config.id2label == {0: "calm", 1: "wut"} and model.config.label2id == {"calm": 0, "wut": 1}
    assert lssed_hf.create_model("pyresnet50", 2, labels=["calm", "wut"], **TINY).config.num_labels == 2
    for labels, number in ((["a", "a"], None), (["a", "b"], 3)):
        with pytest.raises(ValueError, match="give each class once"):
            lssed_hf.create_model("pyresnet50", number, labels=labels, **TINY)


def test_the_built_in_model_is_a_path_for_the_pipeline():
    assert isinstance(lssed_hf.DEFAULT_MODEL, str)
    classifier = pipeline("audio-classification", model=lssed_hf.DEFAULT_MODEL)
    noise = np.random.default_rng(0).normal(0, 0.1, 16000).astype(np.float32)
    best = classifier({"array": noise, "sampling_rate": 16000})[0]
    ours = lssed_hf.load_classifier()({"array": noise, "sampling_rate": 16000})[0]
    assert best["label"] == ours["label"] and best["score"] == pytest.approx(ours["score"], abs=1e-4)


USER_SCRIPT = """
import lssed_hf

classifier = lssed_hf.load_classifier()
answers = lssed_hf.predict(["a.wav"], classifier)
label: str | None = answers[0].label
scores = lssed_hf.train("recordings", "out", recipe="small")
lssed_hf.evaluate("recordings", split="all")
rate: int = classifier.sampling_rate
names: list[str] = lssed_hf.list_models()
model = lssed_hf.PyResNetForAudioClassification(lssed_hf.PyResNetConfig())
"""
MISTAKES = {
    "number: int = lssed_hf.list_models()": "Incompatible types in assignment",
    "lssed_hf.predict(3)": 'Argument 1 to "predict" has incompatible type "int"',
    "lssed_hf.load_clasifier()": 'Module has no attribute "load_clasifier"',
    'lssed_hf.train("recordings", "out", recipe="big")': 'Argument "recipe" to "train" has incompatible type',
}


@pytest.mark.slow
def test_type_checkers_see_the_package(tmp_path):
    pytest.importorskip("mypy")
    script = tmp_path / "user.py"
    script.write_text(USER_SCRIPT + "\n".join(MISTAKES) + "\n")
    # Other libraries are left out, because reading torch takes a minute.
    flags = ["--no-site-packages", "--ignore-missing-imports", "--follow-imports=silent", "--cache-dir", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *flags, "--python-version", "3.11", str(script)],
        env={"MYPYPATH": str(SOURCE.parent), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    errors = [line for line in done.stdout.splitlines() if ": error: " in line]
    assert len(errors) == len(MISTAKES), done.stdout + done.stderr
    for error, (line, message) in zip(errors, MISTAKES.items()):
        assert message in error, line
    assert (SOURCE / "py.typed").is_file()


def test_editors_complete_public_names():
    jedi = pytest.importorskip("jedi")
    complete = lambda code: {one.name for one in jedi.Script(code).complete()}  # noqa: E731
    assert {"load_classifier", "load_corpus"} <= complete("import lssed_hf\nlssed_hf.load_c")
    assert {"probabilities", "embeddings"} <= complete("import lssed_hf\nlssed_hf.load_classifier().")
    assert {"label", "score", "notes"} <= complete("import lssed_hf\nlssed_hf.predict('a')[0].")


def test_public_functions_say_what_they_take():
    for name in ("predict", "train", "evaluate", "embed", "load_classifier", "create_model"):
        parameters = inspect.signature(getattr(lssed_hf, name)).parameters.values()
        text = getattr(lssed_hf, name).__doc__
        assert "```python" in text
        for one in parameters:
            assert re.search(rf"^\s+\**{one.name}: [A-Z\"0-9]", text, re.MULTILINE), f"{name}: {one.name}"
