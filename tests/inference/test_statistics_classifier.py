"""Classifiers of `--probe_pooling statistics`: offsets of speakers, and `enroll` and `predict` with them."""

import csv
import json
import shutil

import numpy as np
import pytest
import soundfile
import torch
from scipy.special import softmax

from lssed_hf import cli, load_classifier
from lssed_hf.inference.classifiers import exported, statistics
from lssed_hf.inference.classifiers.network import NetworkStatisticsClassifier
from lssed_hf.inference.classifiers.speaker_statistics import SpeakerStatistics, read_speakers
from lssed_hf.inference.classifiers.statistics import StatisticsClassifier, measure_offset
from lssed_hf.models.registry import create_feature_extractor, create_model


pytestmark = pytest.mark.usefixtures("one_thread")

SIZE, LABELS = 24, ["angry", "neutral", "sad"]
RATE = 16000


class Emotions:
    """A world of three classes: their means, clips of a speaker, and the classifier that fits them."""

    def __init__(self):
        rng = np.random.default_rng(0)
        means = rng.normal(size=(3, SIZE))
        means -= means.mean(axis=0)
        self.class_means = 3 * means / np.linalg.norm(means, axis=1, keepdims=True)
        self.weight, self.bias = self.class_means.copy(), -0.5 * np.square(self.class_means).sum(axis=1)
        self.shift = rng.normal(size=SIZE) * 0.5
        logits = self.clips([0] * 2000, 1) @ (self.weight - self.weight.mean(axis=0)).T
        self.within_variance = float(logits.var(axis=0).sum())

    def clips(self, classes, seed: int, shift: float | np.ndarray = 0.0) -> np.ndarray:
        noise = np.random.default_rng(seed).normal(size=(len(classes), SIZE)) * 0.7
        return self.class_means[classes] + noise + shift

    def offset(self, embeddings):
        return measure_offset(embeddings, self.weight, self.bias, self.class_means, self.within_variance)

    def answers(self, embeddings, offset=0.0, deviation=1.0) -> np.ndarray:
        return softmax((embeddings - offset) / deviation @ self.weight.T + self.bias, axis=1).argmax(axis=1)


@pytest.fixture(scope="module")
def emotions() -> Emotions:
    return Emotions()


class TestOffset:
    @pytest.mark.parametrize("count", [6, 30, 300])
    def test_of_a_balanced_speaker_is_about_the_shift_as_far_as_the_clips_go(self, emotions, count):
        embeddings = emotions.clips(np.arange(count) % 3, 2, emotions.shift)
        offset, deviation = emotions.offset(embeddings)
        share = count / (count + 5)
        error = np.linalg.norm(offset - share * emotions.shift) / np.linalg.norm(emotions.shift)
        assert error < 0.25 + 1 / np.sqrt(count)
        assert (deviation > 0.5).all() and (deviation < 2).all()

    def test_rights_the_answers_of_a_speaker_far_away(self, emotions):
        classes = np.arange(60) % 3
        shift = 3 * emotions.class_means[1]  # sounds like class 1 whatever the emotion
        embeddings = emotions.clips(classes, 3, shift)
        offset, deviation = emotions.offset(embeddings)
        before, after = emotions.answers(embeddings), emotions.answers(embeddings, offset, deviation)
        assert (after == classes).mean() > 0.9 > 0.5 > (before == classes).mean()

    @pytest.mark.parametrize("label", [0, 1, 2])
    def test_a_speaker_of_one_emotion_keeps_it(self, emotions, label):
        embeddings = emotions.clips([label] * 40, 4)
        offset, deviation = emotions.offset(embeddings)
        assert (emotions.answers(embeddings) == label).mean() > 0.95
        assert (emotions.answers(embeddings, offset, deviation) == label).mean() > 0.95
        plain = emotions.answers(embeddings, embeddings.mean(axis=0), embeddings.std(axis=0))
        assert (plain == label).mean() < 0.6  # the mean took the emotion along
        assert np.linalg.norm(offset) < 0.3 * np.linalg.norm(embeddings.mean(axis=0))

    def test_one_emotion_and_a_voice(self, emotions):
        embeddings = emotions.clips([2] * 40, 5, emotions.shift)
        offset, _ = emotions.offset(embeddings)
        to_shift, to_mean = (np.linalg.norm(offset - x) for x in (emotions.shift, embeddings.mean(axis=0)))
        assert to_shift < 0.5 * to_mean

    def test_one_clip_moves_little(self, emotions):
        embeddings = emotions.clips([0], 6, emotions.shift)
        offset, deviation = emotions.offset(embeddings)
        assert np.linalg.norm(offset) < np.linalg.norm(embeddings - emotions.class_means[0]) / 3
        assert np.abs(deviation - 1).max() < 0.5

    def test_constant_embeddings_keep_a_deviation(self, emotions):
        _, deviation = emotions.offset(np.ones((100, SIZE)))
        assert (deviation >= 0.1).all()


def write_model(folder, seed: int = 0):
    torch.manual_seed(seed)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    fields = {"labels": LABELS, "num_mel_bins": 8, "pooled_layers": [1], **sizes}
    model = create_model("whisper_statistics", **fields)
    with torch.no_grad():
        model.embedding_mean.normal_(0, 0.1)
        model.embedding_std.uniform_(0.01, 0.02)  # answers depend on the clip
        model.class_means.normal_(0, 0.5)
        model.classifier.weight.normal_(0, 0.2)
    model.save_pretrained(folder)
    statistics = {"mean": [-40.0] * 8, "std": [40.0] * 8}
    create_feature_extractor("whisper_statistics", num_mel_bins=8, **statistics).save_pretrained(folder)
    return folder


def speech(seed: int, seconds: float = 0.5) -> np.ndarray:
    rng = np.random.default_rng(seed)
    time = np.arange(int(RATE * seconds)) / RATE
    tone = 0.2 * np.sin(2 * np.pi * rng.uniform(100, 2000) * time) + 0.02 * rng.normal(size=len(time))
    return tone.astype(np.float32)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Write two models and recordings of two people."""
    folder = tmp_path_factory.mktemp("home")
    write_model(folder / "model")
    write_model(folder / "other", seed=1)
    for name, seeds in {"anna": range(4), "bert": range(4, 8)}.items():
        (folder / name).mkdir()
        for seed in seeds:
            soundfile.write(folder / name / f"{seed}.wav", speech(seed), RATE, subtype="FLOAT")
    return folder


@pytest.fixture(scope="module")
def classifier(home) -> StatisticsClassifier:
    return load_classifier(home / "model")


@pytest.fixture(scope="module")
def people(home):
    path = home / "people.json"
    for name in ("anna", "bert"):
        argv = ["enroll", str(home / "model"), "--speaker", name, "--speakers", str(path), str(home / name)]
        assert cli.main(argv) == 0
    return path


def table(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


class TestClassifier:
    def test_is_the_one_that_a_folder_opens_with(self, classifier):
        assert type(classifier) is NetworkStatisticsClassifier and not classifier.wants_speaker
        assert classifier.labels == LABELS

    def test_embeddings_are_what_the_head_standardises(self, classifier):
        clips = [speech(0), speech(1, 0.31)]
        embeddings = np.array(list(classifier.embeddings(clips)))
        model = classifier.model
        standardised = (torch.from_numpy(embeddings) - model.embedding_mean) / model.embedding_std
        logits = model.classifier(standardised).detach()
        np.testing.assert_allclose(classifier.logits(clips), logits, atol=2e-3)
        [frames] = classifier.embeddings(clips[1:], frames=True)
        assert frames.shape == (16, 16)  # 0.31 s, 50 a second, without the margin
        np.testing.assert_allclose(frames.mean(axis=0), embeddings[1, :16], atol=1e-5)

    def test_a_clip_that_was_measured_is_not_computed_again(self, home, monkeypatch):
        classifier = load_classifier(home / "model")
        clips, passes = [speech(seed) for seed in range(4)], []
        inputs = classifier.inputs
        monkeypatch.setattr(classifier, "inputs", lambda batch: passes.append(len(batch)) or inputs(batch))
        own = classifier.for_speaker(classifier.speaker_statistics(clips))
        assert sum(passes) == 4
        assert own.logits([*clips, clips[0][::2]]).shape == (5, 3) and sum(passes) == 5
        monkeypatch.setattr(statistics, "_KEPT", 2)
        classifier.logits([speech(9)])
        classifier.logits(clips)
        assert sum(passes) > 6

    def test_a_speakers_statistics_are_measured_around_the_corpus_s(self, classifier):
        clips = [speech(seed) for seed in range(4)]
        statistics = classifier.speaker_statistics(clips)
        model = classifier.model
        mean, std, weight, bias, class_means = (
            tensor.detach().double().numpy()
            for tensor in (
                *(model.embedding_mean, model.embedding_std),
                *(model.classifier.weight, model.classifier.bias, model.class_means),
            )
        )
        standardised = (np.array(list(classifier.embeddings(clips))) - mean) / std
        offset, deviation = measure_offset(standardised, weight, bias, class_means, float(model.within_variance))
        np.testing.assert_allclose(statistics.mean, mean + std * offset)
        np.testing.assert_allclose(statistics.std, std * deviation)
        assert (statistics.num_clips, statistics.seconds) == (4, 2.0)

    def test_a_speakers_classifier_shares_the_encoder_and_changes_nothing_of_the_first(self, classifier):
        clips = [speech(seed) for seed in range(4)]
        before = classifier.logits(clips)
        own = classifier.for_speaker(classifier.speaker_statistics(clips))
        assert own.model.whisper_statistics is classifier.model.whisper_statistics
        assert np.abs(own.logits(clips) - before).max() > 0.1
        np.testing.assert_array_equal(classifier.logits(clips), before)
        assert own.front_end == classifier.front_end
        assert own.speaker_statistics(clips) == classifier.speaker_statistics(clips)
        with pytest.raises(ValueError, match="this classifier is a speaker's already"):
            own.for_speaker(own.statistics)

    def test_logits_of_a_known_speaker_have_their_own_temperature(self, home):
        clips = [speech(seed) for seed in range(6)]
        classifier = load_classifier(home / "model")
        statistics = classifier.speaker_statistics(clips)
        plain, own = classifier.logits(clips), classifier.for_speaker(statistics).logits(clips)
        classifier.model.speaker_temperature.fill_(0.5)
        np.testing.assert_allclose(classifier.for_speaker(statistics).logits(clips), own / 0.5**0.5, rtol=1e-5)
        np.testing.assert_array_equal(classifier.logits(clips), plain)

    def test_a_single_clip_makes_no_answer_surer(self, home):
        classifier = load_classifier(home / "model")
        statistics = classifier.speaker_statistics([speech(0)])
        own = classifier.for_speaker(statistics).logits([speech(0)])
        classifier.model.speaker_temperature.fill_(0.5)
        np.testing.assert_allclose(classifier.for_speaker(statistics).logits([speech(0)]), own, rtol=1e-6)

    def test_no_warning_says_that_it_was_not_trained_so(self, classifier, caplog):
        own = classifier.for_speaker(classifier.speaker_statistics([speech(0)]))
        list(own.probabilities([speech(1)]))
        list(classifier.probabilities([speech(1)]))
        assert not caplog.records

    def test_statistics_of_another_size_and_no_clips_are_refused(self, classifier):
        with pytest.raises(ValueError, match="are of 3 values and the model's embedding has 32"):
            classifier.for_speaker(SpeakerStatistics((0,) * 3, (1,) * 3, 1, 1))
        with pytest.raises(ValueError, match="at least one recording"):
            classifier.speaker_statistics([])


class TestFrontEnd:
    def test_is_that_of_the_folder_whenever_it_is_opened(self, home, classifier, tmp_path):
        shutil.copytree(home / "model", tmp_path / "moved")
        assert load_classifier(tmp_path / "moved").front_end == classifier.front_end
        assert load_classifier(home / "other").front_end != classifier.front_end

    @pytest.mark.parametrize("tensor", ["classifier.bias", "class_means", "whisper_statistics.conv1.weight"])
    def test_depends_on_every_weight(self, home, classifier, tensor):
        other = load_classifier(home / "model")
        with torch.no_grad():
            other.model.state_dict()[tensor].view(-1)[0] += 1e-3
        assert other.front_end != classifier.front_end

    def test_depends_on_the_features_and_the_layer(self, home, classifier, tmp_path):
        shutil.copytree(home / "model", tmp_path / "model")
        path = tmp_path / "model" / "preprocessor_config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "mean": [-41.0] * 8}))
        assert load_classifier(tmp_path / "model").front_end != classifier.front_end
        shutil.copy(home / "model" / "preprocessor_config.json", path)
        assert load_classifier(tmp_path / "model").front_end == classifier.front_end
        path = tmp_path / "model" / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "pooled_layers": [0]}))
        assert load_classifier(tmp_path / "model").front_end != classifier.front_end


class TestCommands:
    def test_predict_takes_an_enrolled_speaker(self, home, people, classifier, tmp_path):
        out = tmp_path / "out.csv"
        for name in ("anna", "bert"):
            flags = ["--speakers", str(people), "--speaker", name, "--csv", str(out)]
            assert cli.main(["predict", str(home / "model"), str(home / name), *flags]) == 0
            files = sorted((home / name).glob("*.wav"))
            clips = [soundfile.read(file, dtype="float32")[0] for file in files]
            own = classifier.for_speaker(classifier.speaker_statistics(clips))
            found = [float(row["probability_sad"]) for row in table(out)]
            expected = [row[2] for row in own.probabilities(clips)]
            np.testing.assert_allclose(found, expected, atol=1e-4)
            plain = [row[2] for row in classifier.probabilities(clips)]
            assert np.abs(np.array(expected) - plain).max() > 1e-3

    def test_enrolling_says_nothing_of_models_that_were_not_trained_so(self, home, tmp_path, capsys):
        argv = ["enroll", str(home / "model"), "--speaker", "anna", "--speakers", str(tmp_path / "people.json")]
        assert cli.main([*argv, str(home / "anna")]) == 0
        errors = capsys.readouterr().err
        assert "anna: 4 recordings, 2.0 s, added to" in errors and "may lose much" not in errors

    def test_a_file_of_another_model_is_refused(self, home, people, capsys):
        flags = ["--speakers", str(people), "--speaker", "anna"]
        assert cli.main(["predict", str(home / "other"), str(home / "anna"), *flags]) == 1
        refusal = f"{people} was made for the model {home / 'model'} and does not fit "
        assert f"{refusal}{home / 'other'}; make a file that does: lssed-hf enroll" in capsys.readouterr().err
        before = people.read_bytes()
        argv = ["enroll", str(home / "other"), "--speaker", "carl", "--speakers", str(people), str(home / "anna")]
        assert cli.main(argv) == 1
        assert f"{refusal}{home / 'other'}; " in capsys.readouterr().err
        assert people.read_bytes() == before
        assert cli.main(["predict", str(home / "anna"), *flags]) == 1  # the built-in model
        other = people.with_name("people_encoder-small.json")
        command = f"lssed-hf enroll encoder-small --speaker NAME --speakers {other} RECORDING ..."
        assert f"{refusal}encoder-small; make a file that does: {command}\n" in capsys.readouterr().err

    def test_the_file_holds_the_front_end_and_the_people(self, people, classifier):
        content = json.loads(people.read_text(encoding="utf-8"))
        assert content["features"] == classifier.front_end and len(content["features"]["embedding"]) == 64
        assert list(read_speakers(people, classifier)) == ["anna", "bert"]

    def test_an_exported_model_takes_no_speakers(self, home, people, tmp_path, monkeypatch, capsys):
        shutil.copytree(home / "model", tmp_path / "onnx")
        names = ["input_features", "attention_mask"]
        settings = {"format": "onnx", "inputs": names, "min_length": 1, "by_length": False}
        (tmp_path / "onnx" / "export.json").write_text(json.dumps(settings))
        network = load_classifier(home / "model").model

        def run(feed):
            with torch.inference_mode():
                return network(**{name: torch.from_numpy(value) for name, value in feed.items()}).logits.numpy()

        monkeypatch.setattr(exported, "open_network", lambda path, format: run)
        opened = load_classifier(tmp_path / "onnx")
        np.testing.assert_allclose(opened.logits([speech(0)]), load_classifier(home / "model").logits([speech(0)]))
        for call in (
            lambda: opened.front_end,
            lambda: opened.speaker_statistics([speech(0)]),
            lambda: opened.for_speaker(SpeakerStatistics((0,) * 8, (1,) * 8, 1, 1)),
        ):
            with pytest.raises(ValueError, match="takes no speaker's own statistics"):
                call()
        flags = ["--speakers", str(people), "--speaker", "anna"]
        assert cli.main(["predict", str(tmp_path / "onnx"), str(home / "anna"), *flags]) == 1
        assert "name the model that it was exported from" in capsys.readouterr().err
