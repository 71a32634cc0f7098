"""`lssed-hf train` and `evaluate` on LSSED's feature sets, which stand in place of audio."""

import json
import shutil

import numpy as np
import pytest
import soundfile
from feature_sets import HEIGHT, write_feature_sets
from PIL import Image
from transformers import pipeline

import lssed_hf
from lssed_hf.cli import main
from lssed_hf.inference.classifiers.loading import load_scorer


TINY = json.dumps(
    {"depths": [1, 1], "embedding_size": 8, "hidden_sizes": [32, 64]}
    | {"kernel_sizes": [[3], [3]], "groups": [[1], [1]]}
)
NETWORK = (
    *("--model_name_or_path", "pyresnet50", "--config_overrides", TINY, "--num_train_epochs", "8", "--seed", "1"),
    *("--per_device_train_batch_size", "8", "--gradient_accumulation_steps", "1", "--report_to", "none"),
    *("--lr_step_epochs", "0", "--optim", "adamw_torch", "--learning_rate", "5e-3"),
)


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    return write_feature_sets(tmp_path_factory.mktemp("release"))


def train(release, folder, feature_set, *flags):
    data = ("--dataset_name", "lssed", "--data_dir", str(release), "--dataset_config_name", feature_set)
    return main(["train", *data, "--output_dir", str(folder), *flags])


@pytest.fixture(scope="module")
def models(release, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    for feature_set, flags in {"spectrogram": NETWORK, "is13_compare": (), "vq_wav2vec": ()}.items():
        assert train(release, folder / feature_set, feature_set, *flags) == 0
    return folder


FEATURE_SETS = ("spectrogram", "is13_compare", "vq_wav2vec")


@pytest.mark.parametrize("feature_set", FEATURE_SETS)
def test_training_leaves_a_scored_model_with_a_card(models, feature_set):
    folder = models / feature_set
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    assert results["metrics"]["unweighted_accuracy"] > 0.6  # chance is 0.25
    for name in ("report.md", "predictions.csv", "confusion_matrix.png", "training.json", "eval_results.json"):
        assert (folder / name).is_file()
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert f"--dataset_config_name {feature_set}" in card
    assert "lssed-hf predict" not in card and "pipeline(" not in card and "audEERING" not in card


@pytest.mark.parametrize("feature_set", FEATURE_SETS)
def test_the_folder_is_scored_again_with_the_same_result(models, release, feature_set, tmp_path):
    model = str(models / feature_set)
    data = ("--dataset_name", "lssed", "--data_dir", str(release), "--dataset_config_name", feature_set)
    assert main(["evaluate", "--model_name_or_path", model, *data, "--output_dir", str(tmp_path)]) == 0
    first, again = (json.loads((folder / "results.json").read_text()) for folder in (models / feature_set, tmp_path))
    assert first["metrics"] == again["metrics"]


@pytest.mark.parametrize("feature_set", FEATURE_SETS)
def test_recordings_are_refused_in_one_line(models, feature_set, tmp_path, capsys):
    clip, model = tmp_path / "clip.wav", str(models / feature_set)
    soundfile.write(clip, np.zeros(16000), 16000)
    commands = (
        ["predict", model, str(clip)],
        ["timeline", model, str(clip)],
        ["embed", model, str(clip), "--out", str(tmp_path / "e.npy")],
        ["enroll", model, str(clip), "--speaker", "x", "--speakers", str(tmp_path / "speakers.json")],
        ["export", model, str(tmp_path / "exported")],
    )
    for command in commands[: 4 if feature_set != "spectrogram" else 5]:
        assert main(command) == 1
        error = capsys.readouterr().err.strip().splitlines()[-1]
        assert f"was trained on LSSED's feature set {feature_set} and takes no recordings" in error, command


def test_other_features_and_recordings_are_refused(models, release, tmp_path, capsys):
    data = ("--dataset_name", "lssed", "--data_dir", str(release), "--dataset_config_name", "is13_compare")
    assert main(["evaluate", "--model_name_or_path", str(models / "spectrogram"), *data]) == 1
    error = capsys.readouterr().err
    assert "takes spectrogram features, and the data set holds is13_compare features: give" in error
    assert error.endswith(" --dataset_config_name spectrogram\n")
    assert main(["evaluate", *data]) == 1  # the built-in model
    assert "takes recordings, and the data set holds is13_compare features" in capsys.readouterr().err


def test_pixels_are_normalised_by_the_rows_of_the_training_pictures(models, release):
    classifier = load_scorer(models / "spectrogram")
    extractor = classifier.feature_extractor
    assert extractor.num_mel_bins == HEIGHT == len(extractor.mean)
    training = sorted((release / "spec_librosa").glob("*.png"))
    splits = lssed_hf.load_corpus("lssed", release, "spectrogram")
    names = set(splits["train"]["id"])
    pixels = np.concatenate([np.array(Image.open(path).convert("L")) for path in training if path.stem in names], 1)
    np.testing.assert_allclose(extractor.mean, pixels.mean(axis=1), rtol=1e-4)
    np.testing.assert_allclose(extractor.std, pixels.std(axis=1), rtol=1e-4)
    red = np.zeros((3, HEIGHT, 5), np.float32)
    red[0] = 100
    np.testing.assert_allclose(extractor.extract(red), 29.9, rtol=1e-5)


def test_a_pipeline_of_transformers_says_what_the_model_takes(models):
    classify = pipeline("audio-classification", model=str(models / "spectrogram"))
    with pytest.raises(ValueError, match=r"values of shape \(16000,\) where this model takes spectrograms"):
        classify({"array": np.zeros(16000, np.float32), "sampling_rate": 16000})


@pytest.mark.parametrize(
    ("feature_set", "flags", "message"),
    [
        ("spectrogram", ("--perturbed_copies", "2", "--speed", "0.1"), "--perturbed_copies needs the sound"),
        ("spectrogram", ("--crop_seconds", "3"), "--crop_seconds needs a frame rate"),
        ("spectrogram", ("--gain_db", "3"), "--gain_db needs decibels"),
        ("spectrogram", ("--speaker_normalization", "all"), "--speaker_normalization needs one scale"),
        ("spectrogram", ("--adversarial", "vanilla"), "--adversarial needs the sound"),
        (
            "spectrogram",
            ("--feature_extractor_overrides", '{"do_denoise": true}'),
            "--feature_extractor_overrides do_denoise: spectrograms are computed already",
        ),
        ("spectrogram", ("--model_name_or_path", "espnet-conformer"), "espnet-conformer takes no spectrograms of"),
        ("spectrogram", ("--model_name_or_path", "features-svm"), "features-svm takes no spectrograms"),
        ("is13_compare", ("--model_name_or_path", "pyresnet50"), "pyresnet50 takes no is13_compare features: use"),
        ("vq_wav2vec", ("--model_name_or_path", "compare-svm"), "compare-svm takes no vq_wav2vec features: use"),
        ("is13_compare", ("--perturbed_copies", "2", "--speed", "0.1"), "--perturbed_copies is for networks"),
    ],
)
def test_flags_that_do_not_go_together_are_named(release, tmp_path, capsys, feature_set, flags, message):
    assert train(release, tmp_path / "model", feature_set, *flags) == 1
    assert message in capsys.readouterr().err


def test_features_of_a_speaker_are_standardised_by_the_speakers_own(release, tmp_path):
    assert train(release, tmp_path, "is13_compare", "--speaker_normalization", "all") == 0
    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert results["speaker_normalization"]["statistics"] == "all"
    assert results["metrics"]["unweighted_accuracy"] > 0.6


def test_arrays_train_like_pictures(release, tmp_path):
    arrays = tmp_path / "release"
    (arrays / "spectrogram").mkdir(parents=True)
    shutil.copy(release / "metadata_4class.csv", arrays)
    for path in (release / "spec_librosa").glob("*.png"):
        decibels = np.array(Image.open(path).convert("L")) / 255 * 80 - 80
        np.save(arrays / "spectrogram" / f"{path.stem}.npy", decibels)
    assert train(arrays, tmp_path / "model", "spectrogram", *NETWORK) == 0
    results = json.loads((tmp_path / "model" / "results.json").read_text(encoding="utf-8"))
    assert results["metrics"]["unweighted_accuracy"] > 0.6


def test_a_prepared_folder_trains_too(release, tmp_path):
    prepared = tmp_path / "prepared"
    assert main(["prepare", "lssed", str(release), str(prepared), "--config_name", "is13_compare"]) == 0
    assert main(["train", "--data_dir", str(prepared), "--output_dir", str(tmp_path / "model")]) == 0
    assert (tmp_path / "model" / "svm.json").is_file()


@pytest.mark.parametrize("are_codes", [True, False])
def test_numbers_of_codes_are_not_pooled_without_a_word(release, tmp_path, caplog, are_codes):
    other = shutil.copytree(release, tmp_path / "release")
    for path in (other / "vq-wav2vec").glob("*.npy"):
        np.save(
            path, np.rint(100 * np.load(path)).astype(np.int64 if are_codes else np.float32) + 0.5 * (not are_codes)
        )
    assert train(other, tmp_path / "model", "vq_wav2vec") == 0
    assert ("vq_wav2vec: all values are whole numbers" in caplog.text) == are_codes


@pytest.mark.parametrize(
    ("feature_set", "message"),
    [
        ("spectrogram", f"E0003_0002: a spectrogram of 32 rows, where the others have {HEIGHT}"),
        ("vq_wav2vec", "E0003_0002: 8 vq_wav2vec values, where other clips have 12"),
    ],
)
def test_a_clip_of_another_size_is_named(release, tmp_path, capsys, feature_set, message):
    other = shutil.copytree(release, tmp_path / "release")
    Image.fromarray(np.zeros((32, 40), np.uint8)).save(other / "spec_librosa" / "E0003_0002.png")
    np.save(other / "vq-wav2vec" / "E0003_0002.npy", np.zeros((9, 4), np.float32))
    assert train(other, tmp_path / "model", feature_set) == 1
    assert message in capsys.readouterr().err
    if feature_set == "spectrogram":
        assert not (tmp_path / "model" / "train_results.json").exists(), "it is found before the training"
