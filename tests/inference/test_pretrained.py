"""Models that come with the package: names, files, cards, and what they say of sounds without speech."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from huggingface_hub import ModelCard

import lssed_hf
from lssed_hf import cli
from lssed_hf.inference.classifiers.pretrained import is_built_in, pretrained_folder
from lssed_hf.inference.quality import NO_SPEECH, SILENT, TOO_SHORT


pytestmark = pytest.mark.usefixtures("one_thread")

NAMES = ("encoder-small", "pyresnet-small")
MEGABYTES = {"encoder-small": 12, "pyresnet-small": 6}
RATE = 16000
RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
COMPARISON = {"encoder-small": "left_out", "pyresnet-small": "left_out_small"}


def test_the_default_is_the_first():
    assert tuple(lssed_hf.list_pretrained()) == NAMES
    assert Path(lssed_hf.DEFAULT_MODEL) == pretrained_folder(NAMES[0])
    assert lssed_hf.default_model().name == lssed_hf.DEFAULT_MODEL


@pytest.mark.parametrize("name", NAMES)
class TestFolder:
    def test_is_small_and_safe(self, name):
        files = sorted(pretrained_folder(name).iterdir())
        assert sum(file.stat().st_size for file in files) <= MEGABYTES[name] * 1e6
        assert {file.suffix for file in files} <= {".json", ".safetensors", ".onnx", ".md", ""}

    def test_opens_by_its_name(self, name):
        classifier = lssed_hf.load_classifier(name)
        assert sorted(classifier.labels) == ["angry", "happy", "neutral", "sad"]
        assert Path(classifier.name) == pretrained_folder(name)

    def test_its_card_has_the_recorded_figures(self, name):
        runs = json.loads((RESULTS / COMPARISON[name] / "runs.json").read_text(encoding="utf-8"))
        expected = []
        for corpus in ("ravdess", "emodb", "nemo", "emovo"):
            run = runs[f"runs/{name}/without_{corpus}/seed_0/on_it_none"]["results.json"]
            expected += [run["metrics"][score] for score in ("weighted_accuracy", "unweighted_accuracy")]
        card = ModelCard.load(pretrained_folder(name) / "README.md", ignore_metadata_errors=False)
        assert [result.metric_value for result in card.data.eval_results] == expected
        assert card.data.license == "cc-by-nc-sa-4.0"

    @pytest.mark.parametrize("sound", ["silence", "noise", "tone", "click", "50 ms"])
    def test_a_sound_without_speech_has_no_emotion(self, name, sound, tmp_path):
        rng, time = np.random.default_rng(0), np.arange(3 * RATE) / RATE
        samples = {
            "silence": np.zeros(3 * RATE),
            "noise": rng.normal(0, 0.1, 3 * RATE),
            "tone": 0.3 * np.sin(2 * np.pi * 440 * time),
            "click": np.eye(1, 3 * RATE, RATE)[0],
            "50 ms": rng.normal(0, 0.1, RATE // 20),
        }[sound]
        soundfile.write(tmp_path / "a.wav", samples, RATE)
        [prediction] = lssed_hf.predict(tmp_path / "a.wav", name)
        assert prediction.label is None and not prediction.probabilities
        assert prediction.notes[0] in (SILENT, TOO_SHORT, NO_SPEECH)

    def test_its_folder_answers_as_its_name_does(self, name, tmp_path, capsys):
        soundfile.write(tmp_path / "a.wav", np.random.default_rng(0).normal(0, 0.1, 3 * RATE), RATE)
        folder = pretrained_folder(name)
        for model in (name, folder, str(folder), f"{folder}/", lssed_hf.load_classifier(name)):
            [prediction] = lssed_hf.predict(tmp_path / "a.wav", model)
            assert prediction.label is None and prediction.notes == (NO_SPEECH,)
        for command in ("predict", "timeline"):
            printed = []
            for model in (name, folder):
                assert cli.main([command, str(model), str(tmp_path / "a.wav")]) == 0
                printed.append(capsys.readouterr().out)
            assert printed[0] == printed[1] and NO_SPEECH in printed[0]

    def test_sounds_without_speech_are_no_baseline(self, name, tmp_path, capsys):
        soundfile.write(tmp_path / "a.wav", np.random.default_rng(0).normal(0, 0.1, 3 * RATE), RATE)
        soundfile.write(tmp_path / "b.wav", np.zeros(RATE), RATE)
        flags = ["--speaker", "anna", "--speakers", str(tmp_path / "people.json")]
        assert cli.main(["enroll", name, *flags, str(tmp_path / "a.wav"), str(tmp_path / "b.wav")]) == 1
        said = capsys.readouterr().err
        assert f"left out: {tmp_path / 'a.wav'}: no speech" in said and "b.wav: silent" in said
        assert "needs at least one recording" in said and not (tmp_path / "people.json").exists()


def test_a_folder_of_the_same_name_is_another_model(tmp_path, monkeypatch):
    (tmp_path / NAMES[0]).mkdir()
    assert is_built_in(NAMES[0])
    monkeypatch.chdir(tmp_path)
    assert not is_built_in(NAMES[0])


def test_a_misspelt_name_is_told(capsys, tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(RATE), RATE)
    assert cli.main(["predict", "encodr-small", str(tmp_path / "a.wav")]) == 1
    assert "did you mean encoder-small?" in capsys.readouterr().err
