"""`predict --speaker_from`: recordings normalised by all recordings of their speaker."""

import csv

import numpy as np
import pytest
import soundfile
from test_statistics_classifier import RATE, speech, write_model
from tiny_classifier import write_classifier

from lssed_hf import cli, load_audio, load_classifier, predict


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Write a model, and a folder of recordings for each of two people."""
    folder = tmp_path_factory.mktemp("by_speaker")
    write_model(folder / "model")
    for name, seeds in {"anna": range(4), "bert": range(4, 7)}.items():
        (folder / "clips" / name).mkdir(parents=True)
        for seed in seeds:
            soundfile.write(folder / "clips" / name / f"{seed}.wav", speech(seed), RATE, subtype="FLOAT")
    return folder


@pytest.fixture(scope="module")
def model(home):
    return load_classifier(home / "model")


def rows(predictions) -> np.ndarray:
    return np.array([list(prediction.probabilities.values()) for prediction in predictions])


def expected(model, groups) -> np.ndarray:
    """The probabilities of recordings, each group normalised by its own."""
    found = []
    for paths in groups:
        waveforms = [load_audio(path, RATE) for path in paths]
        found += list(model.for_speaker(model.speaker_statistics(waveforms)).probabilities(waveforms))
    return np.array(found)


def test_folders_are_speakers(home, model):
    groups = [sorted((home / "clips" / name).iterdir()) for name in ("anna", "bert")]
    found = predict(home / "clips", model, speaker_from="path")
    assert [prediction.file for prediction in found] == [str(path) for group in groups for path in group]
    np.testing.assert_allclose(rows(found), expected(model, groups), atol=1e-5)
    assert np.abs(rows(found) - rows(predict(home / "clips", model))).max() > 0.01


def test_each_recording_is_a_speaker(home, model):
    paths = sorted((home / "clips").rglob("*.wav"))
    found = predict(home / "clips", model, speaker_from="recording")
    np.testing.assert_allclose(rows(found), expected(model, [[path] for path in paths]), atol=1e-5)


@pytest.mark.parametrize(
    ("header", "delimiter", "encoding"),
    [(["file", "speaker"], ",", "utf-8"), (["Filename", "Speaker_ID"], ";", "utf-16")],
    ids=["plain", "from a spreadsheet"],
)
def test_a_table_names_speakers_in_any_order(header, delimiter, encoding, home, model):
    paths = sorted((home / "clips").rglob("*.wav"))
    table = home / "clips" / "people.csv"
    names = ["a", "b", "a", "b", "", "b", "a"]
    with table.open("w", newline="", encoding=encoding) as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(header)
        writer.writerows(reversed([(path.relative_to(table.parent), name) for path, name in zip(paths, names)]))
    found = rows(predict(paths, model, speaker_from=table))
    for name in ("a", "b"):
        own = [index for index, other in enumerate(names) if other == name]
        np.testing.assert_allclose(found[own], expected(model, [[paths[index] for index in own]]), atol=1e-5)
    np.testing.assert_allclose(found[4], rows(predict(paths[4], model))[0], atol=1e-6)  # of an unknown speaker
    soundfile.write(home / "new.wav", speech(9), RATE)
    with pytest.raises(ValueError, match=r"people.csv has no row for 1 of the recordings, such as .*new.wav"):
        predict([*paths, home / "new.wav"], model, speaker_from=table)


def test_what_cannot_be_read_is_named_and_counts_for_nothing(home, model, tmp_path):
    good = [tmp_path / "1.wav", tmp_path / "3.wav"]
    for seed, path in enumerate(good):
        soundfile.write(path, speech(seed), RATE, subtype="FLOAT")
    (tmp_path / "2.wav").write_text("no audio")
    soundfile.write(tmp_path / "4.wav", np.zeros(RATE), RATE)
    found = predict(tmp_path, model, speaker_from="path")
    assert [prediction.label is None for prediction in found] == [False, True, False, True]
    assert "2.wav" in found[1].error and found[3].notes == ("silent",)
    np.testing.assert_allclose(rows([found[0], found[2]]), expected(model, [good]), atol=1e-5)


def test_a_speaker_of_silence_gets_no_label(home, model, tmp_path):
    soundfile.write(tmp_path / "quiet.wav", np.zeros(RATE), RATE)
    [found] = predict(tmp_path, model, speaker_from="path")
    assert found.label is None and found.notes == ("silent",)


def test_channels_have_rows_of_their_own(home, model, tmp_path):
    soundfile.write(tmp_path / "1.wav", np.stack([speech(1), speech(2)], axis=1), RATE, subtype="FLOAT")
    soundfile.write(tmp_path / "2.wav", speech(3), RATE, subtype="FLOAT")
    found = predict(tmp_path, model, speaker_from="path", channel="each")
    assert [prediction.channel for prediction in found] == ["left", "right", None]


def test_the_command(home, capsys, tmp_path):
    argv = ["predict", str(home / "model"), str(home / "clips"), "--csv", str(tmp_path / "out.csv")]
    assert cli.main([*argv, "--speaker_from", "path"]) == 0
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as file:
        found = np.array(
            [[float(value) for key, value in row.items() if "probability" in key] for row in csv.DictReader(file)]
        )
    np.testing.assert_allclose(found, rows(predict(home / "clips", home / "model", speaker_from="path")), atol=1e-3)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--speaker_from", "speaker"], "--speaker_from speaker: neither path, nor recording, nor a CSV file"),
        (["--speaker_from", "path", "--engine", "ray"], "--speaker_from goes neither with --speakers"),
        (["--speaker_from", "path", "--speakers", "people.json"], "--speaker_from goes neither with --speakers"),
    ],
)
def test_flags_that_do_not_fit(home, capsys, flags, message):
    assert cli.main(["predict", str(home / "model"), str(home / "clips"), *flags]) == 1
    assert message in capsys.readouterr().err


def test_a_table_without_speakers_is_refused(home, model, tmp_path):
    (tmp_path / "people.csv").write_text("name,who\n1.wav,anna\n")
    with pytest.raises(
        ValueError, match="has no file column: looked for file, path, file_name, filename, found name, who"
    ):
        predict(home / "clips", model, speaker_from=tmp_path / "people.csv")


def test_a_model_that_takes_no_statistics_is_refused(home, tmp_path):
    write_classifier(tmp_path / "pyresnet", ["angry", "sad"])
    with pytest.raises(ValueError, match="would change nothing"):
        predict(home / "clips", tmp_path / "pyresnet", speaker_from="path")
