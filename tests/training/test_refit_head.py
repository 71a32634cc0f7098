"""`--refit_head`, `--speaker_share` and teachers that are asked about all clips of a speaker."""

import numpy as np
import pytest
from tiny_whisper import write_whisper
from tones import FLAGS

from lssed_hf import cli, load_classifier
from lssed_hf.corpora.sources import load_splits
from lssed_hf.inference.classifiers.statistics import StatisticsClassifier, temperature_of
from lssed_hf.inference.speaker_normalization import SpeakerArguments, statistics_rows, waveforms_of
from lssed_hf.labels import label_numbers
from lssed_hf.training.teachers import Teacher


pytestmark = pytest.mark.usefixtures("one_thread")

REFIT = [
    *("--recipe", "small", "--perturbed_copies", "0", "--speed", "0", "--pitch_shift", "0", "--refit_head", "true"),
    *("--speaker_normalization", "all", "--speaker_share", "0.5", "--recording_share", "0.25"),
    *("--train_split_name", "all", "--validation_fraction", "0", "--sampling", "corpora", "--eq_db", "3", *FLAGS),
]


@pytest.fixture(scope="module")
def data(corpora):
    first = ["--dataset_name", "ravdess", "--data_dir", str(corpora["ravdess"])]
    return [*first, "--dataset_config_name", "benchmark", "--extra_corpora", f"emodb={corpora['emodb']}"]


@pytest.fixture(scope="module")
def teacher(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("teacher") / "model"
    probe = ["--probe", "true", "--probe_pooling", "statistics", "--probe_layer", "1", "--probe_C", "0.1"]
    probe += ["--model_name_or_path", str(write_whisper(folder.parent / "whisper")), "--speaker_normalization", "all"]
    splits = ["--train_split_name", "all", "--validation_fraction", "0", "--report_to", "none"]
    assert cli.main(["train", *data, *probe, *splits, "--output_dir", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def student(data, teacher, tmp_path_factory):
    folder = tmp_path_factory.mktemp("student") / "model"
    assert cli.main(["train", *data, *REFIT, "--teacher", str(teacher), "--output_dir", str(folder)]) == 0
    return folder


def speaker_of(corpora, classifier):
    rows = load_splits("ravdess", "benchmark", str(corpora["ravdess"]))["test"]
    numbers = next(iter(statistics_rows(rows, SpeakerArguments("all"), "speaker_id", "emotion").values()))
    return list(waveforms_of(rows.select(numbers), "audio", classifier.sampling_rate))


def test_the_embedding_of_a_student_is_standardised_by_the_corpus_and_by_speakers(student, corpora):
    classifier = load_classifier(student)
    assert isinstance(classifier, StatisticsClassifier) and classifier.suits_speakers
    assert classifier.feature_extractor.normalization == "corpus"
    assert (classifier.model.embedding_std > 0).all() and classifier.model.class_means.abs().sum() > 0
    clips = speaker_of(corpora, classifier)
    speaker = classifier.for_speaker(classifier.speaker_statistics(clips))
    plain, own = (np.array(list(each.probabilities(clips))) for each in (classifier, speaker))
    assert plain.shape == own.shape == (len(clips), 4) and np.abs(plain - own).max() > 1e-3
    whole = next(classifier.embeddings(clips[:1], frames=True))
    np.testing.assert_allclose(whole.mean(axis=0), next(classifier.embeddings(clips[:1])), rtol=1e-3, atol=1e-5)


def test_only_pyresnets_can_be_refitted(data, tmp_path, capsys):
    flags = ["--model_name_or_path", "vgg11", "--config_overrides", "{}", "--output_dir", str(tmp_path / "model")]
    assert cli.main(["train", *data, *REFIT, *flags]) == 1
    assert "--refit_head is for PyResNets, and vgg11 is" in capsys.readouterr().err


def test_a_teacher_is_asked_about_all_clips_of_a_speaker(teacher, corpora):
    rows = load_splits("ravdess", "benchmark", str(corpora["ravdess"]))["train"]
    speakers = statistics_rows(rows, SpeakerArguments("all"), "speaker_id", "emotion")
    labels = rows.features["emotion"].names
    found = Teacher(str(teacher)).probabilities(rows, labels, 2.0, speakers=speakers)
    classifier = load_classifier(teacher)
    columns = label_numbers(labels, classifier.labels)
    for numbers in speakers.values():
        clips = list(waveforms_of(rows.select(numbers), "audio", classifier.sampling_rate))
        speaker = classifier.for_speaker(classifier.speaker_statistics(clips))
        logits = speaker.logits(clips) * temperature_of(float(classifier.model.speaker_temperature), len(clips))
        expected = np.exp(logits[:, columns] / 2)
        np.testing.assert_allclose(found[numbers], expected / expected.sum(axis=1, keepdims=True), rtol=1e-3)
    alone = Teacher(str(teacher)).probabilities(rows, labels, 2.0)
    assert np.abs(alone - found).max() > 1e-3
