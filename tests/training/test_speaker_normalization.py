"""Training and evaluation with each speaker's own statistics."""

import csv
import json
import shutil

import datasets
import numpy as np
import pytest
from tones import FLAGS, write_ravdess

from lssed_hf import PyResNetFeatureExtractor, cli, fit_normalization
from lssed_hf.corpora.sources import load_splits
from lssed_hf.experiments import runs
from lssed_hf.files import write_json
from lssed_hf.inference.evaluate import evaluate_model
from lssed_hf.inference.speaker_normalization import SpeakerArguments, scored_rows, statistics_rows
from lssed_hf.training.data import SpeechDataset
from lssed_hf.training.features import compute_features
from lssed_hf.training.speaker_front_ends import front_ends_of, speaker_front_ends


FEATURES = datasets.Features(
    {
        "id": datasets.Value("string"),
        "speaker_id": datasets.Value("string"),
        "emotion": datasets.ClassLabel(names=["Neutral", "sad"]),
    }
)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_ravdess(tmp_path_factory.mktemp("ravdess"))


@pytest.fixture(scope="module")
def trained(corpus, tmp_path_factory):
    """Train a model of enrolments of two clips."""
    folder = tmp_path_factory.mktemp("trained") / "model"
    flags = ["--speaker_normalization", "enrolment", "--enrolment_clips", "2"]
    assert cli.main(["train", *data(corpus), *FLAGS, *flags, "--output_dir", str(folder)]) == 0
    return folder


def data(corpus):
    return ["--dataset_name", "ravdess", "--data_dir", str(corpus)]


def rows_of(counts, seed=0):
    """Return rows of speakers with so many neutral clips each, and two sad ones, in random order."""
    rows = []
    for speaker, count in counts.items():
        labels = [0] * count + [1] * 2
        rows += [
            {"id": f"{speaker}_{number:02}", "speaker_id": speaker, "emotion": label}
            for number, label in enumerate(labels)
        ]
    order = np.random.default_rng(seed).permutation(len(rows))
    return datasets.Dataset.from_list([rows[number] for number in order], features=FEATURES)


def chosen(rows, clips, **settings):
    args = SpeakerArguments("enrolment", clips, **settings)
    ids = rows["id"]
    return {
        speaker: [ids[row] for row in numbers]
        for speaker, numbers in statistics_rows(rows, args, "speaker_id", "emotion").items()
    }


class TestChoice:
    def test_a_larger_enrolment_includes_a_smaller_one(self):
        rows = rows_of({"a": 6, "b": 8})
        five, two, one = (chosen(rows, clips) for clips in (5, 2, 1))
        for speaker in ("a", "b"):
            assert five[speaker][:2] == two[speaker] and two[speaker][:1] == one[speaker]
            assert len(set(five[speaker])) == 5

    def test_it_depends_on_seed_and_speaker_alone(self):
        first = chosen(rows_of({"a": 6, "b": 8}), 3)
        assert chosen(rows_of({"b": 8, "c": 9, "a": 6}, seed=5), 3) == {
            **first,
            "c": chosen(rows_of({"c": 9}), 3)["c"],
        }
        assert any(chosen(rows_of({"a": 6}), 3, enrolment_seed=seed)["a"] != first["a"] for seed in (1, 2, 3))

    def test_only_clips_of_the_label_whatever_its_case(self):
        rows = rows_of({"a": 3})
        for label in ("neutral", "NEUTRAL"):
            assert set(chosen(rows, 3, enrolment_label=label)["a"]) == {"a_00", "a_01", "a_02"}
        assert set(chosen(rows, 2, enrolment_label="sad")["a"]) == {"a_03", "a_04"}

    def test_all_takes_every_clip_of_those_who_have_a_name(self):
        rows = datasets.Dataset.from_dict(
            {"id": list("abcd"), "speaker_id": ["x", None, "y", "x"], "emotion": [0, 1, 1, 1]}, features=FEATURES
        )
        assert statistics_rows(rows, SpeakerArguments("all"), "speaker_id", "emotion") == {"x": [0, 3], "y": [2]}
        assert statistics_rows(rows, SpeakerArguments(), "speaker_id", "emotion") == {}

    def test_what_is_wrong_is_named(self):
        rows = rows_of({"a": 6, "b": 1})
        with pytest.raises(ValueError, match="speaker b has 1 clips labelled neutral, fewer than --enrolment_clips 2"):
            chosen(rows, 2)
        with pytest.raises(ValueError, match="--enrolment_label calm: the labels are Neutral, sad"):
            chosen(rows, 1, enrolment_label="calm")
        with pytest.raises(ValueError, match="--enrolment_clips must be 1 or more"):
            chosen(rows, 0)
        with pytest.raises(ValueError, match="no 'speaker_id' among id, emotion"):
            chosen(rows.remove_columns("speaker_id"), 1)
        nobody = rows.remove_columns("speaker_id").add_column("speaker_id", [None] * len(rows))
        with pytest.raises(ValueError, match="nobody whose statistics to take"):
            chosen(nobody, 1)
        with pytest.raises(ValueError, match="none is left to score"):
            scored_rows(2, {"a": [0, 1]}, SpeakerArguments("enrolment"))


def test_training_clips_are_normalised_by_their_speaker():
    rng = np.random.default_rng(0)
    levels = {"a": 0.01, "b": 0.3, None: 0.1}
    clips = [
        {
            "speaker_id": speaker,
            "emotion": 0,
            "audio": {"array": rng.normal(0, level, 4000 + 512 * number).astype(np.float32), "sampling_rate": 16000},
        }
        for number in range(3)
        for speaker, level in levels.items()
    ]
    extractor = PyResNetFeatureExtractor(num_mel_bins=4, normalization="speaker")
    features = _features(clips, extractor)
    fit_normalization(extractor, features)
    by_speaker = speaker_front_ends(features, {"a": [0, 3, 6], "b": [1, 4, 7]}, extractor)
    own = front_ends_of(features, by_speaker, "speaker_id", extractor)
    dataset = SpeechDataset(features, extractor, "emotion", front_ends=own)
    for rows, is_own in (([0, 3, 6], True), ([1, 4, 7], True), ([2, 5, 8], False)):
        frames = np.concatenate([dataset[row]["values"] for row in rows])
        assert np.allclose(frames.mean(axis=0), 0, atol=1e-3) == is_own
        assert np.allclose(frames.std(axis=0), 1, atol=1e-3) == is_own
    raw = extractor.extract(clips[2]["audio"]["array"])
    np.testing.assert_allclose(dataset[2]["values"], extractor.normalize(raw), atol=1e-5)


def _features(clips, extractor):
    """Return rows as of `compute_features` from arrays."""
    rows = []
    for clip in clips:
        values = extractor.extract(clip["audio"]["array"])
        rows.append({**clip, "audio": None, "values": values.ravel(), "width": values.shape[1]})
    return datasets.Dataset.from_list(rows).remove_columns("audio")


def predictions(folder):
    with open(folder / "predictions.csv", newline="", encoding="utf-8") as file:
        return {row["id"]: row for row in csv.DictReader(file)}


def results_of(folder):
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))


def test_an_enrolment_is_named_and_not_scored(trained):
    facts = results_of(trained)["speaker_normalization"]
    assert facts["statistics"] == "enrolment" and facts["enrolment_clips"] == 2 and facts["num_without_speaker"] == 0
    assert {speaker: len(ids) for speaker, ids in facts["enrolment"].items()} == {"17": 2, "18": 2, "19": 2}
    taken = {name for ids in facts["enrolment"].values() for name in ids}
    scored = set(predictions(trained))
    assert not taken & scored and len(scored) == results_of(trained)["num_utterances"] == 48 - 6
    report = (trained / "report.md").read_text(encoding="utf-8")
    assert "These 6 clips are not scored" in report and all(name in report for name in taken)
    card = (trained / "README.md").read_text(encoding="utf-8")
    assert "wants a speaker's own baseline" in card and "These 6 clips are not scored" in card


def test_the_saved_front_end_says_what_it_wants_and_falls_back_to_the_corpus(trained, corpus, tmp_path):
    extractor = PyResNetFeatureExtractor.from_pretrained(trained)
    assert extractor.normalization == "speaker"
    settings = json.loads((trained / "training.json").read_text(encoding="utf-8"))["settings"]
    assert settings["speaker_normalization"] == "enrolment" and settings["enrolment_clips"] == 2
    rows = load_splits("ravdess", None, str(corpus), None, {})["train"]
    plain = fit_normalization(PyResNetFeatureExtractor(do_denoise=False), compute_features(rows, extractor))
    np.testing.assert_allclose(extractor.mean, plain.mean)


def evaluate(trained, corpus, folder, *flags):
    arguments = ["--model_name_or_path", str(trained), *data(corpus), "--output_dir", str(folder), *flags]
    assert cli.main(["evaluate", *arguments]) == 0
    return predictions(folder)


def test_evaluate_repeats_what_training_found(trained, corpus, tmp_path):
    flags = ["--speaker_normalization", "enrolment", "--enrolment_clips", "2", "--batch_size", "3"]
    again = evaluate(trained, corpus, tmp_path / "again", *flags)
    assert again.keys() == predictions(trained).keys()
    for name, row in predictions(trained).items():
        assert float(row["probability_sad"]) == pytest.approx(float(again[name]["probability_sad"]), abs=1e-4)


def test_evaluate_by_a_file_is_evaluate_by_those_clips(trained, corpus, tmp_path):
    people = tmp_path / "people.json"
    for speaker, ids in results_of(trained)["speaker_normalization"]["enrolment"].items():
        clips = [str(corpus / f"{name}.wav") for name in ids]
        assert cli.main(["enroll", str(trained), "--speaker", speaker, "--speakers", str(people), *clips]) == 0
    by_file = evaluate(trained, corpus, tmp_path / "by_file", "--speakers", str(people))
    assert len(by_file) == 48  # a file says nothing of clips
    for name, row in predictions(trained).items():
        assert float(row["probability_sad"]) == pytest.approx(float(by_file[name]["probability_sad"]), abs=1e-4)
    assert results_of(tmp_path / "by_file")["speaker_normalization"]["statistics"] == "file"


def test_evaluate_without_speakers_warns_and_says_so_in_the_report(trained, corpus, tmp_path, caplog):
    evaluate(trained, corpus, tmp_path / "corpus")
    assert caplog.text.count("lssed-hf enroll") == 1
    assert results_of(tmp_path / "corpus")["speaker_normalization"]["statistics"] == "corpus"
    assert "although the model was trained on" in (tmp_path / "corpus" / "report.md").read_text(encoding="utf-8")


def test_all_depends_on_the_speaker_alone(trained, corpus, tmp_path):
    rows = load_splits("ravdess", None, str(corpus), None, {})["test"]
    how = SpeakerArguments("all")
    evaluate_model(trained, rows, tmp_path / "all", speaker_normalization=how)
    one = rows.select([row for row, speaker in enumerate(rows["speaker_id"]) if speaker == "18"])
    one = one.select(range(len(one))[::-1])
    with pytest.warns(UserWarning, match="of one cluster"):
        evaluate_model(trained, one, tmp_path / "one", speaker_normalization=how, batch_size=1)
    together, alone = predictions(tmp_path / "all"), predictions(tmp_path / "one")
    assert len(alone) == 16
    for name, row in alone.items():
        assert float(row["probability_sad"]) == pytest.approx(float(together[name]["probability_sad"]), abs=1e-4)
    assert "scored clips enter them" in (tmp_path / "all" / "report.md").read_text(encoding="utf-8")


def test_rows_without_a_speaker_are_counted(trained, corpus, tmp_path):
    rows = load_splits("ravdess", None, str(corpus), None, {})["test"]
    names = [None if speaker == "17" else speaker for speaker in rows["speaker_id"]]
    rows = rows.remove_columns("speaker_id").add_column("speaker_id", names)
    results = evaluate_model(trained, rows, tmp_path / "out", speaker_normalization=SpeakerArguments("all"))
    assert results["speaker_normalization"]["num_without_speaker"] == 16 and results["num_utterances"] == 48
    assert "16 clips have no speaker" in (tmp_path / "out" / "report.md").read_text(encoding="utf-8")


class TestRefusals:
    def test_a_test_speaker_with_too_few_clips_before_the_training(self, corpus, tmp_path, capsys):
        flags = ["--speaker_normalization", "enrolment", "--output_dir", str(tmp_path / "model")]
        assert cli.main(["train", *data(corpus), *FLAGS, *flags]) == 1
        assert "has 4 clips labelled neutral, fewer than --enrolment_clips 5" in capsys.readouterr().err

    def test_fine_tuning_without_speakers(self, trained, corpus, tmp_path, capsys):
        flags = [flag for flag in FLAGS if not flag.startswith(("{", "--config", "--feature"))]
        flags += ["--model_name_or_path", str(trained), "--output_dir", str(tmp_path / "model")]
        assert cli.main(["train", *data(corpus), *flags]) == 1
        assert "wants each speaker's own statistics: give --speaker_normalization" in capsys.readouterr().err

    def test_a_front_end_of_another_normalisation(self, corpus, tmp_path, capsys):
        flags = ["--speaker_normalization", "all", "--output_dir", str(tmp_path / "model")]
        flags += ["--feature_extractor_overrides", '{"normalization": "utterance"}']
        assert cli.main(["train", *data(corpus), *FLAGS, *flags]) == 1
        assert "normalization='utterance', under which" in capsys.readouterr().err

    def test_what_is_no_network(self, corpus, tmp_path, capsys):
        flags = ["--speaker_normalization", "all", "--output_dir", str(tmp_path / "model"), "--probe", "true"]
        assert cli.main(["train", *data(corpus), *FLAGS, *flags]) == 1
        assert "--speaker_normalization is for networks" in capsys.readouterr().err

    def test_a_file_and_clips(self, trained, corpus, tmp_path, capsys):
        flags = ["--model_name_or_path", str(trained), *data(corpus), "--output_dir", str(tmp_path / "out")]
        flags += ["--speakers", "people.json", "--speaker_normalization", "all"]
        assert cli.main(["evaluate", *flags]) == 1
        assert "both say whose statistics to take" in capsys.readouterr().err


def test_a_run_is_tested_as_it_was_trained_unless_it_says_otherwise(trained, corpus, tmp_path):
    training = {"speaker_normalization": "enrolment", "enrolment_clips": 2, "output_dir": "elsewhere"}
    write_json(trained / "settings.json", {"settings": training})
    write_json(trained / "run.json", {})
    settings = {"dataset_name": "ravdess", "data_dir": str(corpus), "splits": ["test"], "majority_label": "neutral"}
    settings["labels"] = ["angry", "neutral", "happy", "sad"]
    for name, more, count in (("on_same", {}, 42), ("on_more", {"enrolment_clips": 3}, 39)):
        runs.evaluate_run(trained / name, {**settings, **more})
        assert results_of(trained / name)["num_utterances"] == count


def test_with_perturbed_copies_a_teacher_clips_without_speakers_and_fgsm(trained, corpus, tmp_path, caplog):
    caplog.set_level("INFO")
    unlabelled = tmp_path / "unlabelled"
    unlabelled.mkdir()
    shutil.copy(next(corpus.glob("*-17.wav")), unlabelled)
    flags = ["--speaker_normalization", "all", "--teacher", str(trained), "--unlabelled_dir", str(unlabelled)]
    flags += ["--perturbed_copies", "1", "--speed", "0.1", "--mixup", "0.2", "--adversarial_test", "true"]
    assert cli.main(["train", *data(corpus), *FLAGS, *flags, "--output_dir", str(tmp_path / "model")]) == 0
    assert "33 training and 16 validation clips" in caplog.text
    assert caplog.text.count("lssed-hf enroll") == 1  # the teacher, opened once, knows no speakers
    results = results_of(tmp_path / "model")
    assert results["speaker_normalization"]["statistics"] == "all"
    assert results["adversarial"]["real"]["metrics"] == results["metrics"]
    report = (tmp_path / "model" / "report.md").read_text(encoding="utf-8")
    assert report.index("## A person's own baseline") < report.index("## Adversarial clips")
