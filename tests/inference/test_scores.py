"""Models of several classes a clip and of values: what each command and function makes of their scores."""

import csv
import io
import json

import datasets
import numpy as np
import pytest
import soundfile
from tiny_classifier import write_classifier

import lssed_hf
from lssed_hf import cli, load_classifier
from lssed_hf.inference.classifiers.outputs import MULTI_LABEL, REGRESSION, Outputs
from lssed_hf.inference.fgsm import real_and_fake_probabilities
from lssed_hf.inference.predict import Prediction
from lssed_hf.inference.prediction_formats import FORMATS
from lssed_hf.training.teachers import Teacher


pytestmark = pytest.mark.usefixtures("one_thread")

DIMENSIONS = ["valence", "arousal", "dominance"]
LABELS = ["angry", "sad", "happy"]


@pytest.fixture(scope="module")
def regression(tmp_path_factory):
    return write_classifier(tmp_path_factory.mktemp("regression"), DIMENSIONS, problem_type=REGRESSION)


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    return write_classifier(tmp_path_factory.mktemp("several"), LABELS, problem_type=MULTI_LABEL)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clips") / "clip.wav"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.3, 0.3, 5 * 16000), 16000)
    return path


@pytest.fixture(scope="module")
def values(regression, clip):
    """Return the values of the clip, straight from the network."""
    classifier = load_classifier(regression)
    waveform = lssed_hf.load_audio(clip)
    return dict(zip(DIMENSIONS, map(float, classifier.logits([waveform])[0]), strict=True))


def read_csv(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


class TestScores:
    def test_a_sigmoid_of_large_logits_is_finite(self):
        with np.errstate(all="raise", under="ignore"):
            scores = Outputs(("a", "b", "c"), problem_type=MULTI_LABEL).scores(np.float32([-1000, 0, 1000]))
        assert scores.tolist() == [0, 0.5, 1]

    def test_values_stay_as_they_are(self):
        outputs = Outputs((), ("valence",), REGRESSION)
        assert outputs.scores(np.float32([4.25])).tolist() == [4.25]
        assert np.isnan(outputs.scores(np.float32([np.inf]))).all()

    def test_classes_and_values_together(self):
        outputs = Outputs(("angry", "sad"), ("valence",))
        scores = outputs.scores(np.float32([0, np.log(3), 5]))
        assert scores == pytest.approx([0.25, 0.75, 5])
        assert np.isnan(outputs.scores(np.float32([0, 1, np.nan]))).all()

    @pytest.mark.parametrize(
        ("probabilities", "least", "chosen"),
        [
            ([0.2, 0.9, 0.6], 0, ("sad", "happy")),
            ([0.2, 0.4, 0.3], 0, ("sad",)),
            ([0.2, 0.9, 0.6], 0.8, ("sad",)),
            ([0.2, 0.4, 0.3], 0.45, ()),
        ],
    )
    def test_several_classes_are_chosen(self, probabilities, least, chosen):
        outputs = Outputs(tuple(LABELS), problem_type=MULTI_LABEL)
        assert outputs.chosen(np.float32(probabilities), least) == chosen

    def test_an_unknown_problem_is_refused_by_name(self, regression, tmp_path):
        for path in regression.iterdir():
            (tmp_path / path.name).write_bytes(path.read_bytes())
        config = json.loads((tmp_path / "config.json").read_text())
        (tmp_path / "config.json").write_text(json.dumps({**config, "problem_type": "ranking"}))
        with pytest.raises(ValueError, match=r"config\.json: problem_type='ranking' is none of single_label"):
            load_classifier(tmp_path)

    def test_probabilities_of_a_regression_are_refused(self, regression):
        with pytest.raises(ValueError, match=r"gives values .valence, arousal, dominance. and no probabilities"):
            load_classifier(regression).probabilities([])

    def test_repr_names_the_problem(self, regression, several):
        assert "dimensions=[valence, arousal, dominance])" in repr(load_classifier(regression))
        assert "problem_type='multi_label_classification', labels=[angry," in repr(load_classifier(several))


class TestPredict:
    def test_values_in_python(self, regression, clip, values):
        (prediction,) = lssed_hf.predict(clip, regression)
        assert prediction.dimensions == pytest.approx(values, abs=1e-5)
        assert (prediction.label, prediction.labels, prediction.score) == (None, (), None)
        assert prediction.probabilities == {} and prediction.error is None
        assert repr(prediction).endswith(f"dominance {values['dominance']:.2f})")

    def test_values_as_csv(self, regression, clip, values, tmp_path, capsys):
        assert cli.main(["predict", str(regression), str(clip), "--csv", str(tmp_path / "out.csv")]) == 0
        (row,) = read_csv(tmp_path / "out.csv")
        assert list(row) == ["file", *DIMENSIONS, "seconds", "note", "error"]
        assert {name: float(row[name]) for name in DIMENSIONS} == pytest.approx(values, abs=1e-4)
        assert "1 of 1 recordings classified" in capsys.readouterr().err

    @pytest.mark.parametrize("form", ["json", "jsonl"])
    def test_values_as_json(self, regression, clip, values, capsys, form):
        assert cli.main(["predict", str(regression), str(clip), "--format", form]) == 0
        record = json.loads(capsys.readouterr().out)
        record = record[0] if form == "json" else record
        assert record["dimensions"] == pytest.approx(values, abs=1e-5) and record["label"] is None

    def test_values_as_a_table(self, regression, clip, values, capsys):
        assert cli.main(["predict", str(regression), str(clip), "--format", "table"]) == 0
        head, row = capsys.readouterr().out.splitlines()
        assert head.split() == ["file", *DIMENSIONS, "note"]
        assert row.split()[1:4] == [f"{value:.3f}" for value in values.values()]

    def test_a_long_recording_has_the_mean_of_its_pieces(self, regression, tmp_path):
        rng = np.random.default_rng(0)
        samples = [rng.uniform(-0.3, 0.3, 30 * 16000), rng.uniform(-0.01, 0.01, 10 * 16000)]
        soundfile.write(tmp_path / "long.wav", np.concatenate(samples), 16000, subtype="FLOAT")
        (prediction,) = lssed_hf.predict(tmp_path / "long.wav", regression)
        pieces = list(load_classifier(regression).scores([np.float32(piece) for piece in samples]))
        expected = np.average(pieces, axis=0, weights=[30, 10])
        assert list(prediction.dimensions.values()) == pytest.approx(expected.tolist(), abs=1e-4)

    def test_several_classes(self, several, clip, tmp_path):
        assert cli.main(["predict", str(several), str(clip), "--csv", str(tmp_path / "out.csv")]) == 0
        (row,) = read_csv(tmp_path / "out.csv")
        scores = {label: float(row[f"probability_{label}"]) for label in LABELS}
        logits = load_classifier(several).logits([lssed_hf.load_audio(clip)])[0]
        assert list(scores.values()) == pytest.approx((1 / (1 + np.exp(-logits))).tolist(), abs=1e-4)
        best = max(scores, key=scores.get)
        assert row["label"] == best and float(row["score"]) == scores[best]
        over = sorted((label for label in LABELS if scores[label] >= 0.5), key=scores.get, reverse=True)
        assert row["labels"].split(";") == (over or [best])

    def test_all_formats_of_several_classes(self):
        outputs = Outputs(tuple(LABELS), problem_type=MULTI_LABEL)
        shares = {"angry": 0.9, "sad": 0.6, "happy": 0.1}
        prediction = Prediction("a.wav", "angry", shares, 1.0, labels=("angry", "sad"))
        texts = {}
        for form, write in FORMATS.items():
            write(file := io.StringIO(), [prediction], outputs)
            texts[form] = file.getvalue()
        assert "angry, sad   90%, 60%" in texts["table"]
        assert "a.wav,angry,angry;sad,0.9000,0.9000,0.6000,0.1000,1.000" in texts["csv"]
        assert json.loads(texts["jsonl"])["labels"] == json.loads(texts["json"])[0]["labels"] == ["angry", "sad"]

    def test_all_formats_of_classes_and_values(self):
        outputs = Outputs(("angry", "sad"), ("valence",))
        predictions = [
            Prediction("a.wav", "sad", {"angry": 0.25, "sad": 0.75}, 1.0, dimensions={"valence": 2.5}),
            Prediction("b.wav", error="b.wav: cannot be read"),
        ]
        texts = {}
        for form, write in FORMATS.items():
            write(file := io.StringIO(), predictions, outputs)
            texts[form] = file.getvalue().splitlines()
        assert texts["table"][0].split() == ["file", "label", "sure", "valence", "note"]
        assert texts["table"][1].split() == ["a.wav", "sad", "75%", "2.500"]
        assert texts["csv"][0].startswith("file,label,score,probability_angry,probability_sad,valence,seconds")
        assert texts["csv"][2] == "b.wav,,,,,,,,b.wav: cannot be read"
        assert json.loads(texts["jsonl"][0])["dimensions"] == {"valence": 2.5}

    def test_classes_and_values_of_a_network_with_two_heads(self, clip, tmp_path):
        folder = write_classifier(tmp_path / "model", LABELS, dimensions=["valence"])
        assert cli.main(["predict", str(folder), str(clip), "--csv", str(tmp_path / "out.csv")]) == 0
        (row,) = read_csv(tmp_path / "out.csv")
        assert sum(float(row[f"probability_{label}"]) for label in LABELS) == pytest.approx(1, abs=1e-3)
        classifier = load_classifier(folder)
        assert float(row["valence"]) == pytest.approx(classifier.logits([lssed_hf.load_audio(clip)])[0, 3], abs=1e-4)
        assert {one["label"] for one in classifier(clip)} == set(LABELS), "as the pipeline, the classes alone"
        segments = list(lssed_hf.score_timeline(classifier, clip))
        assert len(lssed_hf.draw_timeline(segments, classifier.outputs).axes) == 2
        assert np.stack([segment.dimensions for segment in segments]).shape == (3, 1)

    def test_a_threshold_without_probabilities_is_refused(self, regression, clip, capsys):
        with pytest.raises(ValueError, match=r"min_confidence=0\.5 is a probability, and this model gives values"):
            lssed_hf.predict(clip, regression, min_confidence=0.5)
        assert cli.main(["predict", str(regression), str(clip), "--min_confidence", "0.5"]) == 1
        assert "gives values (valence, arousal, dominance): leave it out" in capsys.readouterr().err

    def test_no_finite_value_is_an_error(self, regression, clip, monkeypatch):
        classifier = load_classifier(regression)
        monkeypatch.setattr(classifier, "logits", lambda batch: np.float32([[1, np.nan, 2]] * len(batch)))
        (prediction,) = lssed_hf.predict(clip, classifier)
        assert "no finite scores" in prediction.error and not prediction.dimensions


class TestTimeline:
    def test_values_in_all_formats(self, regression, clip, tmp_path):
        outputs = ["--csv", "--json", "--figure"]
        paths = [tmp_path / name for name in ("t.csv", "t.json", "t.svg")]
        flags = [str(part) for pair in zip(outputs, paths, strict=True) for part in pair]
        assert cli.main(["timeline", str(regression), str(clip), *flags]) == 0
        rows, content = read_csv(paths[0]), json.loads(paths[1].read_text())
        expected = list(lssed_hf.score_timeline(load_classifier(regression), clip))
        assert len(rows) == len(expected) == 3
        for row, record, segment in zip(rows, content["segments"], expected, strict=True):
            assert segment.probabilities.shape == (0,) and segment.skipped is None
            assert [float(row[name]) for name in DIMENSIONS] == pytest.approx(segment.dimensions.tolist(), abs=1e-4)
            assert list(record["dimensions"].values()) == pytest.approx(segment.dimensions.tolist(), abs=1e-5)
            assert record["probabilities"] is record["label"] is None
        assert content["dimensions"] == DIMENSIONS and content["labels"] == []
        assert paths[2].stat().st_size > 1000

    def test_several_classes(self, several, clip, tmp_path):
        flags = ["--csv", str(tmp_path / "t.csv"), "--textgrid", str(tmp_path / "t.TextGrid")]
        assert cli.main(["timeline", str(several), str(clip), *flags]) == 0
        for row in read_csv(tmp_path / "t.csv"):
            scores = {label: float(row[f"probability_{label}"]) for label in LABELS}
            over = sorted((label for label in LABELS if scores[label] >= 0.5), key=scores.get, reverse=True)
            assert row["labels"].split(";") == (over or [row["label"]])
        figure = lssed_hf.draw_timeline(
            lssed_hf.score_timeline(load_classifier(several), clip), Outputs(tuple(LABELS), problem_type=MULTI_LABEL)
        )
        assert figure.axes[-1].get_ylim() == (0, 1)

    @pytest.mark.parametrize("flag", ["--textgrid", "--rttm"])
    def test_stretches_of_values_are_refused(self, regression, clip, tmp_path, capsys, flag):
        assert cli.main(["timeline", str(regression), str(clip), flag, str(tmp_path / "out")]) == 1
        assert "would hold stretches of one class, and the model gives values" in capsys.readouterr().err
        assert not (tmp_path / "out").exists()

    def test_the_table_gives_the_reason_of_windows_without_values(self, regression, tmp_path, monkeypatch, capsys):
        soundfile.write(tmp_path / "silence.wav", np.zeros(4 * 16000), 16000)
        monkeypatch.setattr("sys.stdout.isatty", lambda: True)
        assert cli.main(["timeline", str(regression), str(tmp_path / "silence.wav"), "--vad"]) == 0
        head, *rows = capsys.readouterr().out.splitlines()
        assert head.split() == ["start", "end", *DIMENSIONS, "note"]
        assert all(row.endswith("no speech") for row in rows)


class TestOthers:
    def test_adapt_needs_one_class_a_clip(self, regression, clip, tmp_path, capsys):
        for label in ("angry", "sad"):
            (tmp_path / "data" / label).mkdir(parents=True)
            (tmp_path / "data" / label / "a.wav").write_bytes(clip.read_bytes())
        arguments = ["adapt", str(regression), str(tmp_path / "data"), "--output_dir", str(tmp_path / "out")]
        assert cli.main(arguments) == 1
        assert "adapt needs a model that gives one class to each clip" in capsys.readouterr().err

    def test_a_teacher_of_probabilities_needs_one_class_a_clip(self, regression, several, clip):
        rows = datasets.Dataset.from_dict({"audio": [str(clip)]}).cast_column("audio", datasets.Audio(decode=False))
        for folder, labels in ((regression, DIMENSIONS), (several, LABELS)):
            teacher = Teacher(str(folder))
            with pytest.raises(ValueError, match="--distill logits needs a model that gives one class to each clip"):
                teacher.probabilities(rows, labels)
            assert teacher.embeddings(rows).shape == (1, 32), "its embeddings teach all the same"

    def test_adversarial_clips_need_one_class_a_clip(self, several):
        with pytest.raises(ValueError, match="the fast gradient sign method needs a model that gives one class"):
            next(real_and_fake_probabilities(load_classifier(several), [np.zeros(16000, np.float32)], 0.02))

    def test_statistics_of_embeddings_need_classes(self, tmp_path):
        fields = {"problem_type": REGRESSION, "standardize_embedding": True}
        classifier = load_classifier(write_classifier(tmp_path, DIMENSIONS, **fields))
        assert not classifier.suits_speakers and not classifier.takes_any_speech
        with pytest.raises(ValueError, match="statistics of embeddings needs a model that gives one class"):
            classifier.speaker_statistics([np.zeros(16000, np.float32)])

    def test_a_front_end_is_normalised_by_speaker_all_the_same(self, tmp_path, clip):
        folder = write_classifier(tmp_path, DIMENSIONS, "speaker", problem_type=REGRESSION)
        predictions = lssed_hf.predict([clip], folder, speaker_from="recording")
        plain = lssed_hf.predict([clip], folder)
        assert predictions[0].dimensions.keys() == plain[0].dimensions.keys() == set(DIMENSIONS)
        assert predictions[0].dimensions != plain[0].dimensions
