"""Trainings in folders that hold a training: they go on, are finished, or are refused; and never two at once."""

import json
import os
import pickle
import re
import shutil

import datasets
import pytest
from interruption import stopped_at
from tones import FLAGS, write_ravdess

import lssed_hf
from lssed_hf import cli
from lssed_hf.audio import encode_audio, load_audio
from lssed_hf.corpora.sources import load_splits
from lssed_hf.experiments.settings import training_settings
from lssed_hf.hub.push import plan_upload
from lssed_hf.training.arguments import FlagParser
from lssed_hf.training.output_folder import SETTINGS, claimed, settings_of
from lssed_hf.training.prediction_cache import model_digest


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def ravdess(tmp_path_factory):
    return write_ravdess(tmp_path_factory.mktemp("ravdess"))


def flags(data, folder, *more):
    return ["--dataset_name", "ravdess", "--data_dir", str(data), "--output_dir", str(folder), *FLAGS, *more]


@pytest.fixture(scope="module")
def finished(ravdess, tmp_path_factory):
    """Train once, and return the folder."""
    folder = tmp_path_factory.mktemp("finished")
    assert cli.main(["train", *flags(ravdess, folder)]) == 0
    return folder


@pytest.fixture
def folder(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "model")


def test_the_record_is_no_part_of_the_model(folder):
    assert SETTINGS in plan_upload(folder).left_out
    before = model_digest(folder)
    (folder / SETTINGS).unlink()
    assert model_digest(folder) == before


def contents(folder):
    names = ("model.safetensors", "training.json", "results.json", SETTINGS, "README.md")
    return {name: (folder / name).read_bytes() for name in names}


def test_a_finished_training_is_left_alone(ravdess, folder, caplog, monkeypatch):
    before = contents(folder)
    monkeypatch.chdir(ravdess.parent)
    with caplog.at_level("INFO"):
        assert cli.main(["train", *flags(ravdess.name, folder, "--logging_steps", "3")]) == 0
    assert f"{folder} holds this training, and it is finished" in caplog.text
    assert contents(folder) == before
    settings = {"num_train_epochs": 2, "crop_seconds": 0, "learning_rate": 0.05, "per_device_train_batch_size": 8}
    settings |= {"gradient_accumulation_steps": 1, "feature_extractor_overrides": {"do_denoise": False}}
    settings |= {"config_overrides": json.loads(FLAGS[1])}
    scores = lssed_hf.train("ravdess", folder, data_dir=ravdess, **settings)
    assert scores == json.loads(before["results.json"]) and contents(folder) == before


@pytest.mark.parametrize(
    "changes, words",
    [
        (["--seed", "7"], "seed was not given and is 7 now"),
        (["--learning_rate", "0.1"], "learning_rate was 0.05 and is 0.1 now"),
        (["--seed", "7", "--mixup", "0.2"], "mixup was not given and is 0.2 now; seed was not given and is 7 now"),
        (["--num_train_epochs", "3"], "num_train_epochs was 2.0 and is 3.0 now"),
        (["--model_name_or_path", "egemaps-svm"], "model_name_or_path was not given and is 'egemaps-svm' now"),
        (["--test_speaker", "17"], "test_speaker was not given and is '17' now"),
        (["--speaker_normalization", "all"], "speaker_normalization was not given and is 'all' now"),
    ],
)
def test_other_settings_are_refused_by_name(changes, words, ravdess, folder, capsys):
    before = contents(folder)
    assert cli.main(["train", *flags(ravdess, folder, *changes)]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert f"{folder} holds a training with other settings: {words}. " in error
    assert "choose another --output_dir, or begin anew with --restart true" in error
    assert contents(folder) == before


def test_other_clips_are_refused(ravdess, folder, tmp_path, capsys):
    before = contents(folder)
    other = shutil.copytree(ravdess, tmp_path / "other")
    assert cli.main(["train", *flags(other, folder)]) == 1
    assert f"data_dir was '{ravdess}' and is '{other}' now" in capsys.readouterr().err

    kept = shutil.copytree(ravdess, tmp_path / "kept")
    try:
        min(ravdess.glob("*-01.wav")).unlink()
        assert cli.main(["train", *flags(ravdess, folder)]) == 1
    finally:
        shutil.copytree(kept, ravdess, dirs_exist_ok=True)
    assert "holds a training on other clips: train had 32 clips" in capsys.readouterr().err
    assert contents(folder) == before


def test_other_sound_under_the_same_names_is_refused(ravdess, folder, capsys):
    before = contents(folder)
    clip = min(ravdess.glob("*-01.wav"))
    sound, status = clip.read_bytes(), clip.stat()
    try:
        clip.write_bytes(sound[:-2] + b"\1\1")
        assert cli.main(["train", *flags(ravdess, folder)]) == 1
    finally:
        clip.write_bytes(sound)
        os.utime(clip, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert re.search(
        r"on other clips: train had (32 clips \(\w+), sound \w+\) and has \1, sound", capsys.readouterr().err
    )
    assert contents(folder) == before
    assert cli.main(["train", *flags(ravdess, folder)]) == 0  # the old sound again


def test_clips_in_memory_are_compared(ravdess, tmp_path):
    splits = load_splits("ravdess", None, ravdess)
    settings = {"model": "pyresnet50", "num_train_epochs": 1, "config_overrides": json.loads(FLAGS[1])}
    settings |= {"gradient_accumulation_steps": 1, "eval_strategy": "no", "load_best_model_at_end": False}
    scores = lssed_hf.train(splits, tmp_path / "out", **settings)
    again = lssed_hf.train(splits, tmp_path / "out", **settings)
    assert again["metrics"] == scores["metrics"] and again["context"]["dataset"] == "in memory"
    fewer = datasets.DatasetDict({**splits, "train": splits["train"].select(range(20))})
    with pytest.raises(ValueError, match=r"other clips: train had 32 clips .* and has 20 clips"):
        lssed_hf.train(fewer, tmp_path / "out", **settings)

    def louder(row):
        return {"audio": {"path": None, "bytes": encode_audio(1.01 * load_audio(row["audio"]))}}

    undecoded = splits["train"].cast_column("audio", datasets.Audio(16000, decode=False))
    other = datasets.DatasetDict({**splits, "train": undecoded.map(louder)})
    with pytest.raises(ValueError, match=r"other clips: train had (32 clips \(\w+), sound \w+\) and has \1, sound"):
        lssed_hf.train(other, tmp_path / "out", **settings)


def test_a_stopped_training_goes_on_with_the_same_settings_alone(ravdess, tmp_path, capsys, caplog):
    asked = flags(ravdess, tmp_path, "--save_strategy", "steps", "--save_steps", "2", "--eval_strategy", "steps")
    asked += ["--eval_steps", "2"]
    with stopped_at(5):
        assert cli.main(["train", *asked]) == 130
    assert (tmp_path / "checkpoint-4").is_dir() and not (tmp_path / "model.safetensors").exists()
    assert cli.main(["train", *asked, "--seed", "1"]) == 1
    assert "seed was not given and is 1 now" in capsys.readouterr().err
    with caplog.at_level("INFO"):
        assert cli.main(["train", *asked, "--save_total_limit", "5"]) == 0
    assert f"going on from {tmp_path / 'checkpoint-4'}" in caplog.text
    assert json.loads((tmp_path / SETTINGS).read_text())["finished"]


def test_restart_begins_anew_with_any_settings(ravdess, folder):
    (folder / "probe.json").write_text("{}")  # would be opened in place of the network
    before = contents(folder)
    assert cli.main(["train", *flags(ravdess, folder, "--seed", "7", "--restart", "true")]) == 0
    after = contents(folder)
    assert after["model.safetensors"] != before["model.safetensors"]
    assert json.loads(after["training.json"])["settings"]["seed"] == 7
    assert json.loads(after[SETTINGS])["settings"]["seed"] == 7
    assert not (folder / "probe.json").exists()


@pytest.mark.parametrize("marker", ["probe.json", "svm.json", "export.json"])
def test_a_folder_with_a_model_of_another_kind_is_refused(marker, ravdess, tmp_path, capsys):
    (tmp_path / marker).write_text("{}")
    assert cli.main(["train", *flags(ravdess, tmp_path)]) == 1
    assert f"{tmp_path} holds another model ({marker}); choose another --output_dir" in capsys.readouterr().err


def test_the_model_to_start_from_is_not_overwritten(ravdess, folder, capsys):
    before = contents(folder)
    assert cli.main(["train", *flags(ravdess, folder, "--model_name_or_path", str(folder))]) == 1
    assert "is the folder of the model to start from: choose another one" in capsys.readouterr().err
    assert contents(folder) == before


@pytest.mark.parametrize("command", [["--seed", "7", "--restart", "true"], []])
def test_two_trainings_do_not_share_a_folder(command, ravdess, folder, capsys):
    before = contents(folder)
    with claimed(folder):
        assert cli.main(["train", *flags(ravdess, folder, *command)]) == 1
    error = capsys.readouterr().err
    assert f"another run is at work in {folder}: wait for it, or choose another --output_dir" in error
    assert "Traceback" not in error and contents(folder) == before


def test_recognisers_are_checked_alike(ravdess, tmp_path, capsys):
    pytest.importorskip("jiwer")
    from lssed_hf.cli import train_asr

    (tmp_path / "checkpoint-1").mkdir()
    (tmp_path / SETTINGS).write_text(json.dumps({"settings": {"seed": 3}, "data": {}, "finished": False}))
    given = ["--dataset_name", "ravdess", "--data_dir", str(ravdess), "--output_dir", str(tmp_path)]
    with pytest.raises(ValueError, match=r"holds a training with other settings: .*seed was 3 and is not given now"):
        train_asr.main(given)
    with claimed(tmp_path), pytest.raises(ValueError, match="another run is at work"):
        train_asr.main(given)


def test_what_is_recorded_holds_no_secret_and_nothing_of_the_machine(tmp_path):
    given = ["--dataset_name", "ravdess", "--output_dir", str(tmp_path), "--hub_token", "hf_secret"]
    given += ["--seed", "5", "--use_cpu", "true", "--dataloader_num_workers", "2", "--lr_scheduler_type", "cosine"]
    arguments = FlagParser().parse_args_into_dataclasses(given)
    assert settings_of(*arguments) == {"dataset_name": "ravdess", "lr_scheduler_type": "cosine", "seed": 5}


def test_no_file_of_a_training_holds_the_token(ravdess, tmp_path):
    from lssed_hf.training.asr_arguments import AsrRecipeArguments

    assert (
        cli.main(["train", *flags(ravdess, tmp_path, "--hub_token", "hf_secret", "--report_to", "tensorboard")]) == 0
    )
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.name == "training_args.bin" for path in files)
    assert not [path for path in files if b"hf_secret" in path.read_bytes()]
    args = AsrRecipeArguments(output_dir=str(tmp_path), hub_token="hf_secret")
    assert b"hf_secret" not in pickle.dumps(args) and args.hub_token == "hf_secret"
    with pytest.raises(ValueError, match="--hub_token is a secret, and runs record their settings"):
        training_settings(["--dataset_name", "ravdess", "--hub_token", "hf_secret"])
