import datasets
import numpy as np
import pytest

from lssed_hf import load_audio, load_corpus
from lssed_hf.corpora import CorpusDataError, Reject, base, corpus_builder
from lssed_hf.corpora.fau_aibo import LABELS
from lssed_hf.testing.synthesize import synthesize


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """Write chunks of Ohm_01, 31 and 32, and Mont_01 to 03."""
    pytest.importorskip("espeakng_loader")
    return synthesize("fau_aibo", tmp_path_factory.mktemp("fau_aibo") / "data", num_speakers=6)


@pytest.fixture
def load(tmp_path):
    return lambda folder, *args: load_corpus("fau_aibo", folder, *args, cache_dir=tmp_path / "c")


@pytest.fixture
def read(tmp_path):
    return lambda folder: corpus_builder("fau_aibo")(cache_dir=str(tmp_path / "c")).read(folder)


@pytest.fixture
def make(tmp_path, write_clip):
    """Write a corpus of lines of labels, and a clip for each chunk in a good line."""

    def make(*lines):
        labels = tmp_path / "data" / LABELS
        labels.parent.mkdir(parents=True, exist_ok=True)
        labels.write_bytes("".join(f"{line}\n" for line in lines).encode("latin-1"))
        for line in lines:
            if line.startswith(("Ohm_", "Mont_")):
                write_clip(tmp_path / "data" / "wav" / f"{line.split()[0]}.wav")
        return tmp_path / "data"

    return make


def test_the_official_split(release, load):
    splits = load(release)
    speakers = {split: sorted(set(rows["speaker_id"])) for split, rows in splits.items()}
    assert speakers == {
        "train": ["Ohm_01"],
        "validation": ["Ohm_31", "Ohm_32"],
        "test": ["Mont_01", "Mont_02", "Mont_03"],
    }
    assert {split: len(rows) for split, rows in splits.items()} == {"train": 6, "validation": 12, "test": 18}


def test_classes(release, read):
    utterances, rejects = read(release)
    lines = (release / LABELS).read_text(encoding="utf-8").splitlines()
    classes = {"A": "angry", "E": "other", "N": "neutral", "P": "happy", "R": "other"}
    expected = {chunk: classes[code] for chunk, code, _ in (line.split(" ") for line in lines)}
    assert {row.id: row.emotion for row in utterances} == expected and rejects == []
    assert len(expected) == 36 and set(expected.values()) == set(classes.values())
    two = (release / LABELS).with_name("chunk_labels_2cl_corpus.txt").read_text(encoding="utf-8").splitlines()
    assert [line.split()[0] for line in two] == [line.split()[0] for line in lines]


def test_one_row(release, load):
    rows = load(release)["test"].cast_column("audio", datasets.Audio(decode=False))
    chunk = next(row for row in rows if row["id"] == "Mont_02_003_00")
    assert chunk == {
        "id": "Mont_02_003_00",
        "audio": {"bytes": None, "path": str(release / "wav" / "Mont_02_003_00.wav")},
        "emotion": 2,  # P
        "secondary_emotions": [],
        "gender": -1,
        "age_group": -1,
        "age": None,
        "speaker_id": "Mont_02",
        "session_id": "Mont",
        "start": None,
        "end": None,
        "transcript": None,
    }


def test_the_benchmark_has_three_classes(release, load):
    rows = datasets.concatenate_datasets(list(load(release, "benchmark").values()))
    assert len(rows) == 6 * 4 and set(rows["emotion"]) == {0, 1, 2}


def test_chunks_decode(release, read):
    for row in read(release)[0]:
        samples = load_audio(row.path)
        assert 8000 < len(samples) < 80000 and np.abs(samples).max() > 0.01


def test_validation_speakers_are_the_last_ones_by_number(make, read, tmp_path):
    data = make(*(f"{child}_000_00 N 1" for child in ("Ohm_10", "Ohm_02", "Ohm_09", "Mont_99", "Ohm_01")))
    utterances, _ = read(data)
    splits = corpus_builder("fau_aibo")(cache_dir=str(tmp_path / "c")).assign_splits(utterances, "official")
    assert {row.speaker_id: split for row, split in zip(utterances, splits)} == {
        "Ohm_01": "train",
        "Ohm_02": "train",
        "Ohm_09": "validation",
        "Ohm_10": "validation",
        "Mont_99": "test",
    }


@pytest.mark.parametrize(("children", "expected"), [(1, ["train"]), (2, ["train", "validation"])])
def test_someone_is_left_to_train_on(make, load, children, expected):
    assert list(load(make(*(f"Ohm_{number:02}_000_00 N 1" for number in range(children))))) == expected


def test_audio_in_folders_and_other_formats(make, read, write_clip):
    data = make("Ohm_01_000_00 A 0.5", "", "Ohm_01_000_01 R 1.0")
    nested = write_clip(data / "wav" / "Ohm" / "Ohm_01_000_00.flac")
    (data / "wav" / "Ohm_01_000_01.wav").rename(data / "Ohm_01_000_01.wav")
    (data / "wav" / "._Ohm_01_000_00.wav").write_bytes(b"macOS")
    utterances, rejects = read(data)
    assert [row.path for row in utterances] == [
        str(data / "wav" / "Ohm_01_000_00.wav"),
        str(data / "Ohm_01_000_01.wav"),
    ]
    assert [(reject.source, reject.by_rule) for reject in rejects] == [(str(nested), True)]


@pytest.mark.parametrize(
    "line",
    [
        "Ohm_01_000_00 X 0.5",
        "Ohm_01_000_00 IDL 0.5",
        "Ohm_01_000_00 N",
        "Ohm_01_000_00 N 1.5",
        "Ohm_01_000_00 N -0.5",
        "Ohm_01_000_00 N nan",
        "Ohm_01_000_00 N 0.5 more",
        "Ohm_1_000_00 N 0.5",
        "Köln_01_000_00 N 0.5",  # in Latin-1, no UTF-8
        "words",
    ],
)
def test_bad_lines_are_named(make, read, line):
    data = make("Ohm_02_000_00 N 0.5", line, "Ohm_02_000_01 N 0.5")
    utterances, rejects = read(data)
    assert [row.id for row in utterances] == ["Ohm_02_000_00", "Ohm_02_000_01"]
    faulty = [reject for reject in rejects if not reject.by_rule]
    assert [reject.source for reject in faulty] == [f"{data / LABELS}, line 2"]
    assert "is not a chunk, one of A, E, N, P, R and a number from 0 to 1" in faulty[0].reason


def test_a_chunk_labelled_twice(make, read):
    data = make("Ohm_02_000_00 N 0.5", "Ohm_02_000_00 A 0.5")
    utterances, rejects = read(data)
    assert [row.emotion for row in utterances] == ["neutral"]
    assert rejects == [Reject("Ohm_02_000_00", f"{data / LABELS}, line 2", "labelled in line 1 already")]


def test_a_chunk_without_audio(make, load):
    data = make("Ohm_01_000_00 N 0.5", "Ohm_01_000_01 N 0.5")
    (data / "wav" / "Ohm_01_000_01.wav").unlink()
    with pytest.raises(CorpusDataError, match=r"1 of 2 .*5cl_corpus.txt, line 2 .*no audio file Ohm_01_000_01.wav"):
        load(data)


def test_audio_outside_of_the_challenge(make, read, load, write_clip, monkeypatch):
    data = make("Ohm_01_000_00 N 0.5")
    other = write_clip(data / "wav" / "Ohm_01_001_00.wav")
    reason = "not in the challenge's file of labels"
    assert read(data)[1] == [Reject("Ohm_01_001_00", str(other), reason, by_rule=True)]
    warnings = []
    monkeypatch.setattr(base.logger, "warning", warnings.append)
    assert load(data)["train"]["id"] == ["Ohm_01_000_00"]
    assert warnings == [f"fau_aibo: 1 utterance is left out: {reason}"]


def test_two_files_of_one_chunk(make, read, write_clip):
    data = make("Ohm_01_000_00 N 0.5")
    again = write_clip(data / "wav" / "copy" / "Ohm_01_000_00.wav")
    utterances, rejects = read(data)
    assert [row.path for row in utterances] == [str(data / "wav" / "Ohm_01_000_00.wav")]
    assert [reject.source for reject in rejects] == [str(again)] and "remove one of them" in rejects[0].reason


def test_another_corpus(tmp_path, load, write_clip):
    write_clip(tmp_path / "data" / "wav" / "03a01Fa.wav")
    expected = r"is not FAU-AIBO: looked for labels/IS2009EmotionChallenge/chunk_labels_5cl_corpus.txt, found wav;"
    with pytest.raises(CorpusDataError, match=expected):
        load(tmp_path / "data")


def test_many_children(tmp_path):
    with pytest.raises(ValueError, match="has 51 children, got num_speakers=52"):
        synthesize("fau_aibo", tmp_path / "data", num_speakers=52)
