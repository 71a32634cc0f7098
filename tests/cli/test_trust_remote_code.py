"""Models with code of their own: it runs only with --trust_remote_code, and nothing asks for it on the terminal."""

import builtins
import json
import shutil
from pathlib import Path

import pytest
from tiny_classifier import write_classifier
from tones import FLAGS, write_ravdess

from lssed_hf import cli
from lssed_hf.experiments.depression import Study, make_plans
from lssed_hf.training.arguments import FlagParser
from lssed_hf.training.train import train_model


pytestmark = pytest.mark.usefixtures("one_thread")

LABELS = ["angry", "neutral", "happy", "sad"]


def make_foreign(folder: Path) -> Path:
    """Let the model of a folder be of a type that nobody knows, so that its code is needed, which leaves a trace."""
    for name, key in {"config.json": "model_type", "preprocessor_config.json": "feature_extractor_type"}.items():
        settings = json.loads((folder / name).read_text())
        assert settings["auto_map"]
        (folder / name).write_text(json.dumps({**settings, key: "foreign"}))
    for code in folder.glob("*.py"):
        code.write_text(f"open({str(folder / 'it_ran')!r}, 'w').close()\n{code.read_text()}")
    return folder


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return make_foreign(write_classifier(tmp_path_factory.mktemp("foreign") / "model", LABELS, "corpus"))


@pytest.fixture
def foreign(original, tmp_path):
    folder = shutil.copytree(original, tmp_path / "model")
    for code in folder.glob("*.py"):
        code.write_text(code.read_text().replace(str(original), str(folder)))
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_ravdess(tmp_path_factory.mktemp("ravdess"))


@pytest.fixture(autouse=True)
def nobody_is_asked(monkeypatch):
    def refuse(question=""):
        raise AssertionError(f"it asks: {question}")

    monkeypatch.setattr(builtins, "input", refuse)


def arguments(command: str, model: Path, data: Path, out: Path) -> list[str]:
    clip, model, training = str(min(data.glob("*.wav"))), str(model), ["--dataset_name", "ravdess", "--data_dir", data]
    training += ["--output_dir", out, *FLAGS]
    for folder in ("angry", "sad"):
        for number in range(3):
            (out.parent / "own" / folder).mkdir(parents=True, exist_ok=True)
            shutil.copyfile(clip, out.parent / "own" / folder / f"{number}.wav")
    return {
        "predict": [model, clip],
        "timeline": [model, clip],
        "embed": [model, clip, "--out", out / "out.npy"],
        "enroll": [model, clip, "--speaker", "me", "--speakers", out / "speakers.json"],
        "serve": [model],
        "evaluate": ["--model_name_or_path", model, "--dataset_name", "ravdess", "--data_dir", data],
        "export": [model, out],
        "adapt": [model, out.parent / "own", "--output_dir", out],
        "train": [*training[4:], *training[:4], "--model_name_or_path", model],
        "train a probe": [*training, "--model_name_or_path", model, "--probe", "true"],
        "train by a teacher": [*training, "--teacher", model],
    }[command]


@pytest.mark.parametrize(
    "command",
    [
        *("predict", "timeline", "embed", "enroll", "serve", "evaluate", "export", "adapt"),
        *("train", "train a probe", "train by a teacher"),
    ],
)
def test_its_absence_is_an_error(command, foreign, data, tmp_path, capsys):
    words = list(map(str, arguments(command, foreign, data, tmp_path / "out")))
    assert cli.main([command.partition(" ")[0], *words]) == 1
    error = capsys.readouterr().err
    assert "read the code, then set trust_remote_code" in error and "it asks" not in error and "Traceback" not in error
    assert not (foreign / "it_ran").exists()


def test_cards_and_uploads_need_no_code(foreign, capsys):
    assert cli.main(["card", str(foreign)]) == 0
    assert cli.main(["push", str(foreign), "me/model"]) == 0
    assert "modeling_pyresnet.py" in capsys.readouterr().out
    assert not (foreign / "it_ran").exists()


def test_a_training_takes_the_permission_along_to_its_end(foreign, data, tmp_path):
    flags = ["--dataset_name", "ravdess", "--data_dir", str(data), "--output_dir", str(tmp_path / "out"), *FLAGS[4:]]
    flags += ["--model_name_or_path", str(foreign), "--trust_remote_code", "true"]
    assert train_model(*FlagParser().parse_args_into_dataclasses(flags)).results["metrics"]
    assert (foreign / "it_ran").exists()


def test_plans_for_depression_take_it_along(foreign, tmp_path):
    study = Study(tmp_path / "out", "daic_woz", [0], "development", ["training"])
    with pytest.raises(ValueError, match="then set trust_remote_code"):
        make_plans(study, [str(foreign)], ["full"], ["65ms"], [])
    assert not (foreign / "it_ran").exists()
    [plan] = make_plans(study, [str(foreign)], ["full"], ["65ms"], ["--trust_remote_code", "true"])
    assert plan.runs[0].settings["trust_remote_code"] is True and (foreign / "it_ran").exists()


def test_recognisers_never_run_code(foreign, data, tmp_path):
    pytest.importorskip("jiwer")
    from lssed_hf.cli import train_asr

    given = ["--dataset_name", "ravdess", "--data_dir", str(data), "--output_dir", str(tmp_path / "out")]
    with pytest.raises(ValueError, match=r"then set trust_remote_code|has no column|no transcri"):
        train_asr.main([*given, "--model_name_or_path", str(foreign)])
    assert not (foreign / "it_ran").exists()
