"""`lssed-hf predict`: recordings of any kind, notes on them, and what is printed."""

import csv
import io
import json
import os
import re
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from tiny_classifier import write_classifier

import lssed_hf
from lssed_hf import cli, default_model, load_classifier


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


class TestFormats:
    def rows(self, model, clips, capsys, form, *flags):
        assert (
            cli.main(["predict", str(model), str(clips / "a.wav"), str(clips / "b.flac"), "--format", form, *flags])
            == 0
        )
        return capsys.readouterr().out

    def test_the_table_is_aligned_and_says_percent(self, model, clips, capsys):
        header, *rows = self.rows(model, clips, capsys, "table").splitlines()
        assert header.split() == ["file", "label", "sure", "note"] and len(rows) == 2
        for row in rows:
            assert row.index(row.split()[1]) == header.index("label") and re.search(r" \d+%", row)
            assert "no speech" in row, "noise, of which another model than the built-in one still says something"

    def test_json_and_json_lines_hold_the_same(self, model, clips, capsys):
        whole = json.loads(self.rows(model, clips, capsys, "json"))
        assert [json.loads(line) for line in self.rows(model, clips, capsys, "jsonl").splitlines()] == whole
        for one in whole:
            assert one["score"] == max(one["probabilities"].values()) == one["probabilities"][one["label"]]
            assert one["error"] is None and one["notes"] == ["no speech"]
        assert [one["seconds"] for one in whole] == [1, 1]

    def test_csv_has_the_same_scores(self, model, clips, capsys):
        table = list(csv.DictReader(self.rows(model, clips, capsys, "csv").splitlines()))
        for row, one in zip(table, json.loads(self.rows(model, clips, capsys, "json")), strict=True):
            assert float(row["score"]) == pytest.approx(one["score"], abs=1e-4) and row["label"] == one["label"]
            assert row["note"] == "no speech" and row["seconds"] == "1.000"

    def test_what_the_model_is_not_sure_of_has_no_label(self, model, clips, capsys):
        whole = json.loads(self.rows(model, clips, capsys, "json"))
        scores = sorted(one["score"] for one in whole)
        assert scores[0] < scores[1]
        between = ["--min_confidence", str(np.mean(scores))]
        for before, one in zip(whole, json.loads(self.rows(model, clips, capsys, "json", *between)), strict=True):
            sure = before["score"] == scores[1]
            assert (
                one["label"] == (before["label"] if sure else None) and one["probabilities"] == before["probabilities"]
            )
            assert ("unsure" in one["notes"]) != sure
        printed = self.rows(model, clips, capsys, "csv", *between).splitlines()
        assert sum("unsure; no speech" in row for row in printed) == 1
        assert cli.main(["predict", str(model), str(clips / "a.wav"), *between[:1], "1"]) == 0
        assert "0 of 1 recordings classified, 1 unsure" in capsys.readouterr().err

    def test_a_table_is_for_terminals_and_csv_for_pipes(self, model, clips, capsys, monkeypatch):
        arguments = ["predict", str(model), str(clips / "a.wav")]
        assert cli.main(arguments) == 0 and capsys.readouterr().out.startswith("file,label,score")
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
        assert cli.main(arguments) == 0 and capsys.readouterr().out.startswith("file  ")

    def test_what_fails_is_said_once(self, model, clips, capsys):
        assert cli.main(["predict", str(model), str(clips / "a.wav"), "nowhere.wav", "--format", "table"]) == 1
        output = capsys.readouterr()
        assert output.out.count("no such file or folder") == 1 and "no such file or folder" not in output.err

    def test_terminals_get_no_escapes_from_names(self, model, clips, capsys):
        (clips / "a.wav").rename(clips / "a\x1b[31m.wav")
        assert cli.main(["predict", str(model), str(clips), "--format", "table"]) == 0
        output = capsys.readouterr().out
        assert "\x1b" not in output and "a\\x1b[31m.wav" in output

    @pytest.mark.skipif(sys.platform != "linux", reason="other systems keep names as Unicode")
    def test_names_that_are_not_utf8_come_back_byte_for_byte(self, model, clips, tmp_path, capfdbinary):
        name = os.fsencode(clips) + b"/caf\xe9.wav"
        os.rename(clips / "a.wav", name)
        out = tmp_path / "out.csv"
        assert cli.main(["predict", str(model), str(clips), "--csv", str(out), "--format", "json"]) == 0
        assert name in out.read_bytes()
        printed = json.loads(capfdbinary.readouterr().out)
        assert name in [os.fsencode(one["file"]) for one in printed]


class TestInputs:
    def test_standard_input(self, model, clips, capsys, monkeypatch):
        def fed(path):
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(path.read_bytes()), encoding="utf-8"))
            assert cli.main(["predict", str(model), "-", "--format", "json"]) == 0
            return json.loads(capsys.readouterr().out)[0]

        piped = fed(clips / "b.flac")
        assert cli.main(["predict", str(model), str(clips / "b.flac"), "--format", "json"]) == 0
        named = json.loads(capsys.readouterr().out)[0]
        assert piped["file"] == "-" and piped["probabilities"] == named["probabilities"]

    def test_standard_input_is_not_for_workers_elsewhere(self, model, capsys):
        assert cli.main(["predict", str(model), "-", "--engine", "ray"]) == 1
        assert "leave out --engine ray" in capsys.readouterr().err

    def test_patterns_and_names_with_a_dash(self, model, clips, capsys, monkeypatch):
        monkeypatch.chdir(clips)
        (clips / "a.wav").rename(clips / "-a.wav")
        assert cli.main(["predict", str(model), "*.flac", "**/*.ogg", "--format", "jsonl", "--", "-a.wav"]) == 0
        files = [json.loads(line)["file"] for line in capsys.readouterr().out.splitlines()]
        assert files == ["b.flac", "deep/c.ogg", "-a.wav"]
        assert cli.main(["predict", str(model), "*.mp4"]) == 1
        assert "*.mp4" in capsys.readouterr().err

    def test_a_scan_says_what_it_skipped(self, model, clips, caplog, capsys):
        assert cli.main(["predict", str(model), str(clips)]) == 0
        assert "3 recordings; skipped 1 file (1 .txt)" in caplog.text

    def test_channels(self, model, clips, capsys):
        noise = np.random.default_rng(1).uniform(-0.3, 0.3, (16000, 2))
        soundfile.write(clips / "call.wav", noise, 16000, subtype="FLOAT")
        for number, name in enumerate(("left", "right")):
            soundfile.write(clips / f"{name}.wav", noise[:, number], 16000, subtype="FLOAT")

        def scores(*arguments):
            assert cli.main(["predict", str(model), *arguments, "--format", "json"]) == 0
            return {one["channel"]: one["probabilities"]["sad"] for one in json.loads(capsys.readouterr().out)}

        each = scores(str(clips / "call.wav"), "--channel", "each")
        assert list(each) == ["left", "right"]
        for name in each:
            alone = scores(str(clips / f"{name}.wav"))
            assert alone[None] == pytest.approx(each[name], abs=1e-6)
            assert scores(str(clips / "call.wav"), "--channel", name)[name] == pytest.approx(each[name], abs=1e-6)
        assert list(scores(str(clips / "left.wav"), "--channel", "each")) == [None]

    def test_a_folder_without_recordings_stops_no_other_input(self, model, clips, caplog, capsys):
        (clips.parent / "empty.wav").mkdir()
        assert cli.main(["predict", str(model), str(clips / "a.wav"), str(clips.parent / "empty.wav")]) == 0
        assert "no audio file below" in caplog.text and "1 of 1 recordings" in capsys.readouterr().err

    def test_a_recording_that_is_named_twice_counts_once(self, model, clips, capsys):
        assert cli.main(["predict", str(model), str(clips / "a.wav"), str(clips / "a.wav")]) == 0
        assert "1 of 1 recordings" in capsys.readouterr().err

    @pytest.mark.skipif(sys.platform == "win32", reason="pipes of POSIX")
    def test_a_pipe_in_a_folder_is_passed_over_and_one_by_name_is_read(self, model, clips, caplog, capsys):
        os.mkfifo(clips / "pipe.wav")
        assert cli.main(["predict", str(model), str(clips)]) == 0
        assert "1 pipe or device" in caplog.text and "3 of 3 recordings" in capsys.readouterr().err
        sound = (clips / "a.wav").read_bytes()
        writer = threading.Thread(target=lambda: (clips / "pipe.wav").write_bytes(sound))
        writer.start()
        assert cli.main(["predict", str(model), str(clips / "pipe.wav")]) == 0
        writer.join()

    @pytest.mark.parametrize(
        "name, problem",
        [("a.wav", "is one of the recordings"), ("deep", "is a folder"), ("", "is empty")],
    )
    def test_an_output_that_cannot_be_is_refused_before_the_work(
        self, model, clips, monkeypatch, capsys, name, problem
    ):
        monkeypatch.chdir(clips)
        before = (clips / "a.wav").read_bytes()
        monkeypatch.setattr("lssed_hf.inference.predict.predict_files", lambda *args, **settings: pytest.fail("work"))
        assert cli.main(["predict", str(model), "a.wav", "--csv", name]) == 1
        assert problem in capsys.readouterr().err and (clips / "a.wav").read_bytes() == before

    def test_ctrl_c_is_one_line(self, model, clips, monkeypatch, capsys):
        def interrupted(*args, **settings):
            raise KeyboardInterrupt

        monkeypatch.setattr("lssed_hf.inference.predict.predict_files", interrupted)
        assert cli.main(["predict", str(model), str(clips / "a.wav")]) == 130
        assert capsys.readouterr().err.count("\n") == 1

    @pytest.mark.parametrize(
        "inputs, settings, error, problem",
        [
            (b"RIFF", {}, TypeError, "not bytes"),
            (3, {}, TypeError, "not int"),
            ([np.zeros(3)], {}, TypeError, "not ndarray; a classifier of load_classifier takes arrays"),
            ("", {}, ValueError, "is empty"),
            ("a.wav", {"channel": "middle"}, ValueError, "channel='middle' is none of mix, left, right, each"),
            ("a.wav", {"min_speech": 5}, ValueError, "min_speech=5 must be between 0 and 1"),
            ("a.wav", {"min_confidence": -1}, ValueError, "min_confidence=-1 must be between 0 and 1"),
            ("a.wav", {"batch_size": 0}, ValueError, "batch_size=0 must be 1 or more"),
            ("a.wav", {"speaker": "anna"}, ValueError, "give both, or neither"),
        ],
    )
    def test_wrong_arguments_of_the_function(self, model, inputs, settings, error, problem):
        with pytest.raises(error, match=re.escape(problem)):
            lssed_hf.predict(inputs, model, **settings)


class TestNotes:
    """Notes for the reader of a label, and recordings that get none."""

    def predictions(self, folder, samples, **settings):
        path = folder / "clip.wav"
        soundfile.write(path, samples, 16000, subtype="FLOAT")
        return lssed_hf.predict(path, **settings)[0]

    @pytest.mark.parametrize(
        "samples, note",
        [
            (np.zeros(32000), "silent"),
            (np.full(32000, 0.3), "silent"),  # a constant
            (1e-5 * np.random.default_rng(0).normal(size=32000), "silent"),
            (np.array([0.5]), "too short"),
            (np.full(800, 0.1), "too short"),
            (np.zeros(100), "too short"),
        ],
        ids=["zeros", "constant", "hiss", "one sample", "50 ms", "short zeros"],
    )
    def test_no_model_labels_what_holds_nothing(self, model, tmp_path, samples, note):
        for opened in (None, model):
            one = self.predictions(tmp_path, samples, model=opened)
            assert one.label is None and one.score is None and one.notes == (note,) and one.probabilities == {}

    @pytest.mark.parametrize("kind", ["noise", "tone", "hum"])
    def test_the_built_in_model_labels_speech_alone(self, model, tmp_path, kind):
        time = np.arange(32000) / 16000
        samples = {
            "noise": np.random.default_rng(0).uniform(-0.3, 0.3, 32000),
            "tone": 0.3 * np.sin(2 * np.pi * 440 * time),
            "hum": 0.2 * np.sign(np.sin(2 * np.pi * 50 * time)),
        }[kind]
        assert self.predictions(tmp_path, samples).label is None
        assert self.predictions(tmp_path, samples, vad=False).label is not None
        other = self.predictions(tmp_path, samples, model=model)
        assert other.label is not None and other.notes[0] == "no speech"
        assert self.predictions(tmp_path, samples, model=model, vad=True).label is None

    def test_speech_is_labelled_and_much_silence_around_it_noted(self, tmp_path):
        pytest.importorskip("espeakng_loader")
        from lssed_hf.testing.espeak import speak

        spoken, rate = speak("The dogs are sitting by the door, and the children are talking to them.")
        spoken = soxr.resample(spoken, rate, 16000)
        one = self.predictions(tmp_path, spoken)
        assert one.label in ("angry", "neutral", "happy", "sad") and one.notes == ()
        padded = np.concatenate([spoken, np.zeros(12 * len(spoken), np.float32)])
        one = self.predictions(tmp_path, padded)
        assert one.label is not None and "mostly no speech" in one.notes
        assert self.predictions(tmp_path, padded, vad=True).label is None
        assert "mostly no speech" not in self.predictions(tmp_path, padded, min_speech=0.0).notes
        loud = self.predictions(tmp_path, np.clip(40 * spoken, -1, 1))
        assert "clipped" in loud.notes and loud.label is not None

    def test_long_recordings_are_the_mean_of_their_pieces(self, model, tmp_path):
        rng = np.random.default_rng(0)
        samples = np.concatenate([rng.uniform(-a, a, 16000 * 30).astype(np.float32) for a in (0.01, 0.3, 0.8)])
        samples = samples[: 16000 * 75]
        one = self.predictions(tmp_path, samples, model=model)
        assert one.seconds == 75 and any("over 30 s" in note for note in one.notes)
        classifier = load_classifier(model)
        pieces = [samples[:480000], samples[480000:960000], samples[960000:]]
        expected = np.average(list(classifier.probabilities(pieces)), axis=0, weights=[30, 30, 15])
        assert list(one.probabilities.values()) == pytest.approx(expected.tolist(), abs=1e-5)

    def test_a_remainder_is_no_piece_of_its_own(self, model, tmp_path):
        samples = np.random.default_rng(0).uniform(-0.3, 0.3, 16000 * 30 + 100).astype(np.float32)
        one = self.predictions(tmp_path, samples, model=model)
        [expected] = load_classifier(model).probabilities([samples])
        assert list(one.probabilities.values()) == pytest.approx(expected.tolist(), abs=1e-5)

    def test_recordings_stay_in_order_whatever_becomes_of_them(self, model, tmp_path):
        rng = np.random.default_rng(0)
        lengths = [8000, 10, 16000 * 65, 0, 24000, 16000 * 31, 12, 9000]
        for number, length in enumerate(lengths):
            path = tmp_path / f"{number}.wav"
            soundfile.write(path, rng.uniform(-0.3, 0.3, length), 16000)
        found = lssed_hf.predict(tmp_path, model, batch_size=2)
        assert [Path(one.file).name for one in found] == [f"{number}.wav" for number in range(len(lengths))]
        assert [one.seconds for one in found if one.seconds] == [length / 16000 for length in lengths if length]
        for one, length in zip(found, lengths):
            assert (one.label is None) == (length < 1600) and (one.error is not None) == (length == 0)
            if one.label:
                [alone] = lssed_hf.predict(one.file, model)
                assert alone.probabilities == pytest.approx(one.probabilities, abs=2e-4)


def test_a_folder_without_audio_is_an_error(model, tmp_path, capsys):
    (tmp_path / "none").mkdir()
    assert cli.main(["predict", str(model), str(tmp_path / "none")]) == 1
    assert "no audio file below" in capsys.readouterr().err


def test_a_missing_model_is_named(tmp_path, clips, capsys):
    assert cli.main(["predict", str(tmp_path / "nothing"), str(clips)]) == 1
    assert "nothing" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments, problem",
    [
        (["nope", "a.wav"], "nope is neither an audio file nor a folder, and no model has that name"),
        (["nope/nope", "a.wav"], "no model 'nope/nope': there is no such folder"),
        (["a.wav", "--device", "cuda:7"], "device 'cuda:7' is not there: this machine has cpu"),
        (["a.wav", "--device", "fast"], "device 'fast' is not there"),
        (["missing/"], "missing"),
        (["a.wav", "--min_speech", "2"], "--min_speech 2.0 must be between 0 and 1"),
        (["a.wav", "--min_confidence", "2"], "--min_confidence 2.0 must be between 0 and 1"),
    ],
)
def test_what_is_not_there_is_one_line(clips, monkeypatch, capsys, caplog, arguments, problem):
    monkeypatch.chdir(clips)
    if arguments == ["missing/"]:
        pytest.importorskip("lssed_hf")
    assert cli.main(["predict", *arguments]) == 1
    errors = capsys.readouterr().err.strip().splitlines()
    assert any(problem in line for line in errors), errors


class TestDefaultModel:
    def test_without_a_name_the_one_in_the_package_is_taken_and_named(self, clips, tmp_path, caplog):
        assert cli.main(["predict", str(clips), "--csv", str(tmp_path / "out.csv")]) == 0
        rows = read_csv(tmp_path / "out.csv")
        assert len(rows) == 3 and {(row["label"], row["note"]) for row in rows} == {("", "no speech")}
        assert "No model was named" in caplog.text and "README.md" in caplog.text
        assert cli.main(["predict", *(str(clips / name) for name in ("a.wav", "b.flac")), "--no-vad"]) == 0

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

    def test_a_model_without_recordings(self, model, capsys):
        assert cli.main(["predict", str(model)]) == 1
        assert "name audio files" in capsys.readouterr().err
