"""`lssed-hf embed` and `lssed_hf.embed`: one vector per recording, or per frame."""

import csv
from itertools import pairwise

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
import torch
from tiny_classifier import write_classifier
from tiny_whisper import write_whisper

import lssed_hf
from lssed_hf import cli
from lssed_hf.inference.classifiers.exported import ExportedClassifier


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_classifier(tmp_path_factory.mktemp("model"), ["angry", "sad"])


@pytest.fixture
def clips(tmp_path):
    folder = tmp_path / "clips"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name, seconds in (("a.wav", 1.0), ("b.flac", 2.5), ("d.wav", 0.3)):
        soundfile.write(folder / name, rng.uniform(-0.3, 0.3, round(16000 * seconds)), 16000)
    (folder / "c.wav").write_text("not audio")
    return folder


def test_the_embedding_is_what_enters_the_head(model, clips):
    classifier = lssed_hf.load_classifier(model)
    rows = {one.file.rsplit("/", 1)[-1]: one for one in lssed_hf.embed(clips, model)}
    assert list(rows) == ["a.wav", "b.flac", "c.wav", "d.wav"]
    assert rows["c.wav"].values is None and "c.wav" in rows["c.wav"].error and "c.wav" in repr(rows["c.wav"])
    head = classifier.model.classifier
    for name in ("a.wav", "b.flac", "d.wav"):
        embedding = torch.from_numpy(rows[name].values)
        expected = classifier.logits([lssed_hf.load_audio(clips / name)])[0]
        np.testing.assert_allclose(head(embedding).detach().numpy(), expected, atol=1e-5)


def test_frames_average_to_the_clip(model, clips):
    clip = [one for one in lssed_hf.embed(clips, model) if one.error is None]
    frames = [one for one in lssed_hf.embed(clips, model, frames=True) if one.error is None]
    for whole, parts in zip(clip, frames, strict=True):
        assert parts.values.ndim == 2 and parts.seconds == whole.seconds
        np.testing.assert_allclose(parts.values.mean(axis=0), whole.values, atol=1e-5)
    assert len(frames[1].values) > 2 * len(frames[0].values)


def test_frames_of_a_model_that_pads_are_the_clips_own(tmp_path, clips):
    write_whisper(tmp_path / "whisper")
    one, two = (list(lssed_hf.embed(clips / name, tmp_path / "whisper", frames=True)) for name in ("a.wav", "b.flac"))
    assert len(two[0].values) / len(one[0].values) == pytest.approx(2.5, rel=0.05)


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".npy"])
def test_files(model, clips, tmp_path, capsys, suffix):
    out = tmp_path / f"out{suffix}"
    assert cli.main(["embed", str(model), str(clips), "--out", str(out)]) == 1
    errors = capsys.readouterr().err
    assert "c.wav" in errors and "3 of 4 recordings written" in errors
    expected = list(lssed_hf.embed(clips, model))
    if suffix == ".npy":
        values = np.load(out)
        assert values.shape == (4, len(expected[0].values)) and np.isnan(values[2]).all()
    elif suffix == ".parquet":
        table = pq.read_table(out).to_pylist()
        assert [row["file"] for row in table] == [one.file for one in expected] and table[2]["embedding"] is None
        assert "c.wav" in table[2]["error"] and table[1]["seconds"] == 2.5
        values = [row["embedding"] for row in table]
    else:
        with open(out, newline="", encoding="utf-8") as file:
            table = list(csv.DictReader(file))
        size = len(expected[0].values)
        values = [[float(row[f"e{i}"] or "nan") for i in range(size)] for row in table]
        assert table[2]["e0"] == "" and "c.wav" in table[2]["error"]
    for row, one in zip(values, expected, strict=True):
        if one.values is not None:
            np.testing.assert_allclose(row, one.values, rtol=1e-4, atol=1e-6)


def test_a_recording_that_the_network_fails_on_keeps_its_row(model, clips, tmp_path, capsys, monkeypatch):
    classifier = lssed_hf.load_classifier(model)
    run = type(classifier).embeddings

    def embeddings(self, waveforms, frames=False):
        waveforms = list(waveforms)
        if len(waveforms[0]) > 16000 * 2:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:121]\nnot enough memory")
        return run(self, waveforms, frames)

    monkeypatch.setattr(type(classifier), "embeddings", embeddings)
    assert cli.main(["embed", str(model), str(clips), "--out", str(tmp_path / "out.csv")]) == 1
    with open(tmp_path / "out.csv", encoding="utf-8", newline="") as file:
        errors = {row["file"].rpartition("/")[2]: row["error"] for row in csv.DictReader(file)}
    assert [name for name, error in errors.items() if not error] == ["a.wav", "d.wav"]
    assert errors["b.flac"].endswith("cannot be run: [enforce fail at alloc_cpu.cpp:121] not enough memory")
    assert errors["b.flac"] in capsys.readouterr().err


def test_an_unreadable_first_file_keeps_its_row(model, clips, tmp_path):
    (clips / "c.wav").rename(clips / "0.wav")
    for suffix in (".csv", ".parquet", ".npy"):
        assert cli.main(["embed", str(model), str(clips), "--out", str(tmp_path / f"out{suffix}")]) == 1
    assert (tmp_path / "out.csv").read_text().count("\n") == 5
    assert pq.read_table(tmp_path / "out.parquet").num_rows == len(np.load(tmp_path / "out.npy")) == 4


def test_rows_of_frames_say_when(model, clips, tmp_path):
    out = tmp_path / "frames.parquet"
    assert cli.main(["embed", str(model), str(clips / "b.flac"), "--out", str(out), "--frames"]) == 0
    rows = pq.read_table(out).to_pylist()
    assert rows[0]["start"] == 0 and rows[-1]["end"] == pytest.approx(2.5)
    assert all(a["end"] == pytest.approx(b["start"]) for a, b in pairwise(rows))


@pytest.mark.parametrize(
    "flags, problem",
    [
        (["--out", "x.txt"], r"x\.txt: embeddings are written to \.parquet, \.npy, \.csv"),
        (["--out", "x.npy", "--frames"], r"x\.npy: frames of recordings of unequal length"),
    ],
)
def test_what_cannot_be_written_is_said_before_the_work(model, clips, tmp_path, capsys, monkeypatch, flags, problem):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("lssed_hf.inference.embed.embed", lambda *args, **settings: pytest.fail("work"))
    assert cli.main(["embed", str(model), str(clips), *flags]) == 1
    pytest.importorskip("re").search(problem, capsys.readouterr().err) or pytest.fail("another message")
    assert not list(tmp_path.glob("x.*"))


def test_a_model_without_embeddings_says_what_to_name(clips):
    exported = object.__new__(ExportedClassifier)
    exported.name = "outputs/onnx"
    exported.feature_extractor = lssed_hf.PyResNetFeatureExtractor()
    with pytest.raises(ValueError, match="outputs/onnx gives probabilities and no embeddings"):
        next(lssed_hf.embed(clips / "a.wav", exported))
