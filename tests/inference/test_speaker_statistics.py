"""Statistics of speakers, the file that keeps them, and classifiers that take them."""

import copy
import json
import tempfile
from pathlib import Path
from types import SimpleNamespace

import datasets
import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from tiny_classifier import write_classifier

from lssed_hf import EspnetAsrFeatureExtractor, PyResNetFeatureExtractor, fit_normalization, load_classifier
from lssed_hf.inference.classifiers.speaker_statistics import (
    FrameStatistics,
    SpeakerStatistics,
    add_speaker,
    extraction_settings,
    measure_speaker,
    read_speakers,
    speaker_front_end,
)


RATE = 16000
EXTRACTOR = PyResNetFeatureExtractor(num_mel_bins=3)


def model_of(extractor, name="outputs/mine"):
    """Return what the file of speakers has to know of a classifier."""
    return SimpleNamespace(name=name, front_end=extraction_settings(extractor))


MODEL = model_of(EXTRACTOR)


def noise(seed, seconds=0.5, level=0.1):
    return np.random.default_rng(seed).normal(0, level, round(seconds * RATE)).astype(np.float32)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Return a model of clips that were normalised speaker by speaker."""
    return write_classifier(tmp_path_factory.mktemp("model"), ["angry", "sad"], normalization="speaker")


finite = st.floats(-1e6, 1e6)
statistics = st.integers(3, 3).flatmap(
    lambda size: st.builds(
        SpeakerStatistics,
        mean=st.lists(finite, min_size=size, max_size=size).map(tuple),
        std=st.lists(st.floats(1e-5, 1e6), min_size=size, max_size=size).map(tuple),
        num_clips=st.integers(1, 10_000),
        seconds=st.floats(0.01, 1e6),
    )
)


@given(
    st.lists(st.lists(st.lists(st.floats(-100, 100, width=32), min_size=2, max_size=2), max_size=6), max_size=5),
    st.lists(st.floats(-100, 100, width=32), min_size=2, max_size=2),
)
def test_statistics_of_streamed_parts_are_those_of_the_whole(parts, first):
    stream = FrameStatistics()
    parts = [np.array([first], np.float32), *(np.array(part, np.float32).reshape(-1, 2) for part in parts)]
    for part in parts:
        stream.add(part)
    whole = np.concatenate(parts).astype(np.float64)
    assert stream.count == len(whole)
    np.testing.assert_allclose(stream.mean, whole.mean(axis=0), atol=1e-9)
    np.testing.assert_allclose(stream.std, np.maximum(whole.std(axis=0), 1e-5), atol=1e-5)


@given(st.dictionaries(st.text(min_size=1, max_size=8), statistics, min_size=1, max_size=4))
def test_a_file_gives_back_what_was_added(speakers):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "people.json")
        for name, person in speakers.items():
            assert not add_speaker(path, name, person, MODEL)
        assert read_speakers(path, MODEL) == speakers
        again = SpeakerStatistics((1, 2, 3), (1, 1, 1), 1, 1)
        assert add_speaker(path, next(iter(speakers)), again, MODEL)
        assert read_speakers(path, MODEL) == {**speakers, next(iter(speakers)): again}


@pytest.mark.parametrize("extractor", [PyResNetFeatureExtractor(), EspnetAsrFeatureExtractor()])
def test_statistics_equal_those_that_are_fitted_on_the_same_clips(extractor, tmp_path):
    paths = []
    for seed in range(3):
        paths.append(str(tmp_path / f"{seed}.wav"))
        soundfile.write(paths[-1], noise(seed, 0.3 + seed / 5), RATE, subtype="FLOAT")
    measured = measure_speaker(extractor, (soundfile.read(path, dtype="float32")[0] for path in paths))
    fitted = fit_normalization(copy.copy(extractor), datasets.Dataset.from_dict({"audio": paths}))
    np.testing.assert_allclose(measured.mean, fitted.mean, rtol=1e-12)
    np.testing.assert_allclose(measured.std, fitted.std, rtol=1e-9)
    assert measured.num_clips == 3 and measured.seconds == pytest.approx(1.5)


def test_a_speakers_front_end_normalises_the_speakers_frames():
    clips = [noise(seed) for seed in range(3)]
    for kind in (PyResNetFeatureExtractor, EspnetAsrFeatureExtractor):
        model = kind(normalization="speaker")
        own = speaker_front_end(model, measure_speaker(model, clips))
        frames = np.concatenate(own(clips, sampling_rate=RATE)["input_features"])
        np.testing.assert_allclose(frames.mean(axis=0), 0, atol=1e-3)
        np.testing.assert_allclose(frames.std(axis=0), 1, atol=1e-3)
        assert model.mean is None and own.window is model.window


def test_a_bin_that_does_not_move_is_not_blown_up():
    model = PyResNetFeatureExtractor(num_mel_bins=2, normalization="speaker", mean=[0, 0], std=[10, 10])
    own = speaker_front_end(model, SpeakerStatistics((0, 0), (1e-5, 5), 1, 1))
    assert own.std == [1, 5]


def test_the_speaker_normalisation_is_saved_and_uses_the_corpus_until_the_speaker_is_known(tmp_path):
    for kind, corpus in ((PyResNetFeatureExtractor, "corpus"), (EspnetAsrFeatureExtractor, "global_mvn")):
        parameters = {"num_mel_bins": 2, "mean": [1, 2], "std": [3, 4]}
        kind(normalization="speaker", **parameters).save_pretrained(tmp_path / kind.__name__)
        loaded = kind.from_pretrained(tmp_path / kind.__name__)
        assert loaded.normalization == "speaker"
        frames = np.ones((5, 2), np.float32)
        np.testing.assert_array_equal(
            loaded.normalize(frames), kind(normalization=corpus, **parameters).normalize(frames)
        )


class TestClassifier:
    def test_each_speaker_is_scored_alone_as_in_any_company(self, model):
        classifier = load_classifier(model)
        people = {name: [noise(seed, level=level) for seed in range(3)] for name, level in (("a", 0.01), ("b", 0.3))}
        own = {name: classifier.for_speaker(classifier.speaker_statistics(clips)) for name, clips in people.items()}
        rows = {name: np.stack(list(own[name].probabilities(people[name]))) for name in ("b", "a")}
        for name, clips in people.items():
            alone = np.stack([next(own[name].probabilities([clip])) for clip in reversed(clips)])[::-1]
            np.testing.assert_allclose(rows[name], alone, atol=1e-5)
            corpus = np.stack(list(classifier.probabilities(clips)))
            assert np.abs(corpus - rows[name]).max() > 1e-3

    def test_the_network_is_shared_and_the_model_stays_as_it_was(self, model):
        classifier = load_classifier(model)
        own = classifier.for_speaker(classifier.speaker_statistics([noise(0)]))
        assert own.model is classifier.model and type(own) is type(classifier)
        assert classifier.statistics is None and classifier.feature_extractor.mean == [-50.0] * 128
        with pytest.raises(ValueError, match="speaker's already"):
            own.for_speaker(own.statistics)

    def test_a_model_that_wants_a_speaker_says_so_once(self, model, caplog):
        classifier = load_classifier(model)
        own = classifier.for_speaker(classifier.speaker_statistics([noise(0)]))
        assert not caplog.records
        list(own.probabilities([noise(1)]))
        assert not caplog.records
        for _ in range(2):
            list(classifier.probabilities([noise(1)]))
        assert [record.message.count("lssed-hf enroll") for record in caplog.records] == [1]

    def test_a_model_that_was_not_trained_so_says_so_once(self, tmp_path, caplog):
        classifier = load_classifier(write_classifier(tmp_path, ["angry", "sad"], normalization="speaker"))
        classifier.feature_extractor.normalization = "corpus"
        for seed in range(2):
            list(classifier.for_speaker(classifier.speaker_statistics([noise(seed)])).probabilities([noise(2)]))
        assert [record.message.count("may lose much") for record in caplog.records] == [1]

    @pytest.mark.parametrize("normalization", ["utterance", "none"])
    def test_a_model_that_takes_no_statistics_is_named(self, normalization):
        extractor = PyResNetFeatureExtractor(normalization=normalization)
        with pytest.raises(ValueError, match=f"normalization='{normalization}', under which"):
            measure_speaker(extractor, [noise(0)])
        with pytest.raises(ValueError, match=f"normalization='{normalization}', under which"):
            speaker_front_end(extractor, SpeakerStatistics((0,) * 128, (1,) * 128, 1, 1))

    def test_a_model_of_waveforms_is_named(self):
        from transformers import Wav2Vec2FeatureExtractor

        with pytest.raises(ValueError, match="Wav2Vec2FeatureExtractor keeps no mean and deviation"):
            measure_speaker(Wav2Vec2FeatureExtractor(), [noise(0)])

    def test_there_has_to_be_speech(self):
        with pytest.raises(ValueError, match="at least one recording"):
            measure_speaker(EXTRACTOR, [])
        with pytest.raises(ValueError, match="silent"):
            measure_speaker(EXTRACTOR, [np.zeros(RATE, np.float32)])
        with pytest.raises(ValueError, match="NaN"):
            measure_speaker(EXTRACTOR, [np.full(RATE, np.nan, np.float32)])
        with pytest.raises(ValueError, match="128 mel bins and the model has 3"):
            speaker_front_end(EXTRACTOR, SpeakerStatistics((0,) * 128, (1,) * 128, 1, 1))


ANNA = {"mean": [1, 2, 3], "std": [1, 1, 1], "num_clips": 1, "seconds": 1.0}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"mean": [1, 2]}, "mean has 2 entries and std 3"),
        ({"mean": [1], "std": [1]}, "mean has 1 entries, not 3"),
        ({"mean": [1, 2, float("nan")]}, "mean must be a list of finite numbers"),
        ({"mean": [1, 2, 10**400]}, "mean must be a list of finite numbers"),
        ({"mean": [1, 2, True]}, "mean must be a list of finite numbers"),
        ({"mean": "abc"}, "mean must be a list of finite numbers"),
        ({"mean": {"0": 1}}, "mean must be a list of finite numbers"),
        ({"std": [1, 1, 0]}, "std must be above 0"),
        ({"std": [1, 1, float("inf")]}, "std must be a list of finite numbers"),
        ({"num_clips": 0}, "num_clips must be an integer above 0"),
        ({"num_clips": 1.5}, "num_clips must be an integer above 0"),
        ({"seconds": -1}, "seconds must be a finite number above 0"),
        ({"seconds": None}, "seconds must be a finite number above 0"),
        ({"more": 1}, "nothing else"),
    ],
)
def test_hostile_fields_are_named_with_file_and_speaker(fields, message, tmp_path):
    path = tmp_path / "people.json"
    add_speaker(path, "bert", SpeakerStatistics((1, 2, 3), (1, 1, 1), 1, 1), MODEL)
    content = json.loads(path.read_text())
    content["speakers"]["anna"] = {**ANNA, **fields}
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"people.json: speakers: 'anna': .*" + message):
        read_speakers(path, MODEL)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="anna"):  # rather than lose her
        add_speaker(path, "carl", SpeakerStatistics((1, 2, 3), (1, 1, 1), 1, 1), MODEL)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe", "not JSON"),
        (b"{", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "no objects 'features' and 'speakers'"),
        (b'{"features": 1, "speakers": {}}', "no objects 'features' and 'speakers'"),
        (b'{"features": {}, "speakers": []}', "no objects 'features' and 'speakers'"),
        (b'{"model": "a\\u001b[2J", "features": {}, "speakers": {}}', "was made for another model"),
        (b'{"features": {}, "speakers": {}}', "was made for another model and does not fit outputs/mine"),
    ],
)
def test_hostile_files_are_named(content, message, tmp_path):
    path = tmp_path / "people.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"people.json:? .*{message}"):
        read_speakers(path, MODEL)


def test_statistics_of_another_front_end_are_refused(tmp_path):
    path = tmp_path / "people.json"
    add_speaker(path, "anna", SpeakerStatistics((1, 2, 3), (1, 1, 1), 1, 1), MODEL)
    other = model_of(PyResNetFeatureExtractor(num_mel_bins=3, gain=3.0), "outputs/my other")
    with pytest.raises(ValueError) as error:
        read_speakers(path, other)
    command = f"lssed-hf enroll 'outputs/my other' --speaker NAME --speakers '{tmp_path}/people_my other.json'"
    assert str(error.value) == (
        f"{path} was made for the model outputs/mine and does not fit outputs/my other; make a file that does: "
        f"{command} RECORDING ..."
    )
    other.name = MODEL.name
    with pytest.raises(ValueError, match="made for an earlier version of the model outputs/mine and does not fit"):
        read_speakers(path, other)
    # What comes after the features does not matter.
    other = PyResNetFeatureExtractor(num_mel_bins=3, normalization="speaker", mean=[0, 0, 0], std=[1, 1, 1])
    assert list(read_speakers(path, model_of(other))) == ["anna"]
    with pytest.raises(FileNotFoundError, match=r"nobody.json: no such file"):
        read_speakers(tmp_path / "nobody.json", MODEL)
