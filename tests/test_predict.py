"""`lssed-hf predict` and the dispatch of the command line."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from huggingface_hub import ModelCard
from tiny_classifier import write_classifier

from lssed_hf import cli, default_model, load_classifier
from lssed_hf.inference.loading import DEFAULT_MODEL


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_classifier(tmp_path_factory.mktemp("model"), ["angry", "sad"])


@pytest.fixture
def clips(tmp_path):
    rng = np.random.default_rng(0)
    folder = tmp_path / "clips"
    (folder / "deep").mkdir(parents=True)
    soundfile.write(folder / "a.wav", rng.uniform(-0.3, 0.3, 16000), 16000)
    soundfile.write(folder / "b.flac", rng.uniform(-0.3, 0.3, (48000, 2)), 48000)
    soundfile.write(folder / "deep" / "c.ogg", rng.uniform(-0.3, 0.3, 4000), 8000)
    (folder / "notes.txt").write_text("not audio")
    return folder


def read_csv(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_predict_classifies_a_folder_of_any_format_rate_and_channels(model, clips, tmp_path):
    assert cli.main(["predict", str(model), str(clips), "--csv", str(tmp_path / "out.csv")]) == 0
    rows = read_csv(tmp_path / "out.csv")
    assert [row["file"].rsplit("/", 1)[-1] for row in rows] == ["a.wav", "b.flac", "c.ogg"]
    for row in rows:
        probabilities = {label: float(row[f"probability_{label}"]) for label in ("angry", "sad")}
        assert sum(probabilities.values()) == pytest.approx(1, abs=1e-3)
        assert row["label"] == max(probabilities, key=probabilities.get)
        assert row["error"] == ""


def test_predict_reports_bad_files_and_goes_on(model, clips, tmp_path, capsys):
    (clips / "bad.wav").write_text("this is text")
    (clips / "empty.wav").touch()
    status = cli.main(["predict", str(model), str(clips), "nowhere.wav", "--csv", str(tmp_path / "out.csv")])
    assert status == 1
    rows = {row["file"].rsplit("/", 1)[-1]: row for row in read_csv(tmp_path / "out.csv")}
    assert len(rows) == 6
    assert all(rows[name]["label"] for name in ("a.wav", "b.flac", "c.ogg"))
    for name in ("bad.wav", "empty.wav", "nowhere.wav"):
        assert name in rows[name]["error"] and rows[name]["label"] == ""
    errors = capsys.readouterr().err
    assert "3 of 6 recordings classified, 3 could not be read" in errors and "bad.wav" in errors


def test_predictions_do_not_depend_on_the_batch_size(model, clips, tmp_path):
    for batch_size in (1, 2, 8):
        arguments = ["predict", str(model), str(clips), "--csv", str(tmp_path / f"{batch_size}.csv")]
        assert cli.main([*arguments, "--batch_size", str(batch_size)]) == 0
    alone = read_csv(tmp_path / "1.csv")
    for batch_size in (2, 8):
        for row, batched in zip(alone, read_csv(tmp_path / f"{batch_size}.csv")):
            assert float(row["probability_sad"]) == pytest.approx(float(batched["probability_sad"]), abs=2e-4)


def test_predict_prints_csv_without_a_file_to_write(model, clips, capsys):
    assert cli.main(["predict", str(model), str(clips / "a.wav")]) == 0
    header, row = capsys.readouterr().out.splitlines()
    assert header.startswith("file,label,score,probability_angry") and "a.wav" in row


def test_a_folder_without_audio_is_an_error(model, tmp_path, capsys):
    (tmp_path / "none").mkdir()
    assert cli.main(["predict", str(model), str(tmp_path / "none")]) == 1
    assert "no audio file below" in capsys.readouterr().err


def test_a_missing_model_is_named(tmp_path, clips, capsys):
    assert cli.main(["predict", str(tmp_path / "nothing"), str(clips)]) == 1
    assert "nothing" in capsys.readouterr().err


@pytest.mark.parametrize("command", sorted(cli.COMMANDS))
def test_every_command_has_help_with_an_example(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main([command, "--help"])
    assert stopped.value.code == 0
    assert f"example: lssed-hf {command} " in " ".join(capsys.readouterr().out.split())


def test_usage_and_unknown_commands(capsys):
    assert cli.main(["--help"]) == 0
    assert "predict" in capsys.readouterr().out
    assert cli.main(["dance"]) == 2
    assert "unknown command 'dance'" in capsys.readouterr().err


class TestDefaultModel:
    def test_without_a_name_the_one_in_the_package_is_taken_and_named(self, clips, tmp_path, caplog):
        assert cli.main(["predict", str(clips), "--csv", str(tmp_path / "out.csv")]) == 0
        rows = read_csv(tmp_path / "out.csv")
        assert len(rows) == 3 and {row["label"] for row in rows} <= {"angry", "neutral", "happy", "sad"}
        assert "No model was named" in caplog.text and "README.md" in caplog.text
        assert cli.main(["predict", *(str(clips / name) for name in ("a.wav", "b.flac"))]) == 0

    def test_flags_may_stand_anywhere(self, model, clips, tmp_path):
        arguments = [str(model), "--csv", str(tmp_path / "out.csv"), str(clips / "a.wav")]
        assert cli.main(["predict", *arguments]) == 0
        assert set(read_csv(tmp_path / "out.csv")[0]) >= {"probability_angry", "probability_sad"}
        arguments = ["timeline", "--csv", str(tmp_path / "timeline.csv"), str(clips / "a.wav")]
        assert cli.main(arguments) == 0 and cli.main([arguments[0], str(model), *arguments[1:]]) == 0

    def test_in_python(self, clips, caplog):
        named, unnamed = default_model(), load_classifier()
        assert named.labels == unnamed.labels == ["angry", "neutral", "happy", "sad"]
        assert named(str(clips / "a.wav")) == unnamed(str(clips / "a.wav"))

    def test_it_is_small_and_safe(self):
        files = sorted(DEFAULT_MODEL.iterdir())
        assert sum(file.stat().st_size for file in files) <= 6 * 2**20
        assert {file.suffix for file in files} <= {".json", ".safetensors", ".md", ".py"}

    def test_its_card_has_the_recorded_figures(self):
        recorded = Path(__file__).parents[1] / "benchmarks" / "results" / "default_model"
        expected = []
        for part in ("ravdess", "emodb"):
            metrics = json.loads((recorded / part / "results.json").read_text(encoding="utf-8"))["metrics"]
            expected += [metrics["weighted_accuracy"], metrics["unweighted_accuracy"]]
        card = ModelCard.load(DEFAULT_MODEL / "README.md", ignore_metadata_errors=False)
        assert [result.metric_value for result in card.data.eval_results] == expected
        assert card.data.license == "cc-by-nc-sa-4.0"

    def test_a_model_without_recordings(self, model, capsys):
        assert cli.main(["predict", str(model)]) == 1
        assert "name audio files" in capsys.readouterr().err
