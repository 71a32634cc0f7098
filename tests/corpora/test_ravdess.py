import os

import datasets
import pytest

from lssed_hf import load_audio, load_corpus
from lssed_hf.corpora import CorpusDataError, base


ACTORS = (1, 2, 14, 15, 16, 17, 24)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, write_clip):
    """Write one statement of seven actors in all emotions: 48 kHz stereo WAV for even actors, else 16 kHz FLAC."""
    folder = tmp_path_factory.mktemp("ravdess")
    for actor in ACTORS:
        for emotion in range(1, 9):
            path = folder / f"Actor_{actor:02}" / f"03-01-{emotion:02}-01-02-01-{actor:02}"
            if actor % 2:
                write_clip(path.with_suffix(".flac"))
            else:
                write_clip(path.with_suffix(".wav"), rate=48000, channels=2)
    return folder


@pytest.fixture
def load(tmp_path):
    return lambda folder, *args, **kwargs: load_corpus("ravdess", folder, *args, cache_dir=tmp_path / "c", **kwargs)


def test_splits_are_of_disjoint_speakers(folder, load):
    splits = load(folder)
    speakers = {name: sorted(set(rows["speaker_id"])) for name, rows in splits.items()}
    assert speakers == {"train": ["01", "02", "14"], "validation": ["15", "16"], "test": ["17", "24"]}
    assert {name: len(rows) for name, rows in splits.items()} == {"train": 24, "validation": 16, "test": 16}


def test_one_row(folder, load):
    rows = load(folder)["train"].cast_column("audio", datasets.Audio(decode=False))
    row = next(row for row in rows if row["id"] == "03-01-05-01-02-01-02")
    path = row.pop("audio")
    assert path == {"bytes": None, "path": str(folder / "Actor_02" / "03-01-05-01-02-01-02.wav")}
    assert row == {
        "id": "03-01-05-01-02-01-02",
        "emotion": 0,  # angry
        "secondary_emotions": [],
        "gender": 0,  # even: female
        "age_group": -1,
        "age": None,
        "speaker_id": "02",
        "session_id": None,
        "start": None,
        "end": None,
        "transcript": "Dogs are sitting by the door.",
    }


def test_every_file_decodes_to_16_khz_mono(folder, load):
    for rows in load(folder).values():
        for row in rows.cast_column("audio", datasets.Audio(decode=False)):
            assert load_audio(row["audio"]).shape == (320,)


def test_benchmark_keeps_four_emotions_in_their_order(folder, load):
    rows = load(folder, "benchmark")["test"]
    assert rows.features["emotion"].names == ["angry", "neutral", "happy", "sad"]
    emotions = dict(zip(rows["id"], rows["emotion"]))
    assert [emotions[f"03-01-{code}-01-02-01-24"] for code in ("01", "02", "03", "04", "05")] == [1, 1, 2, 3, 0]
    assert len(emotions) == 10


@pytest.mark.parametrize(("actor", "gender"), [("01", "male"), ("02", "female"), ("17", "male"), ("24", "female")])
def test_gender_is_in_the_actors_number(folder, load, actor, gender):
    rows = datasets.concatenate_datasets(list(load(folder).values()))
    genders = {gender for speaker, gender in zip(rows["speaker_id"], rows["gender"]) if speaker == actor}
    assert {rows.features["gender"].int2str(value) for value in genders} == {gender}


def test_songs_and_hidden_files_are_left_out(tmp_path, load, write_clip, monkeypatch):
    for actor in ACTORS:
        write_clip(tmp_path / "data" / f"03-01-01-01-01-01-{actor:02}.wav")
        write_clip(tmp_path / "data" / "songs" / f"03-02-01-01-01-01-{actor:02}.wav")
        (tmp_path / "data" / f"._03-01-01-01-01-01-{actor:02}.wav").write_bytes(b"macOS")
        (tmp_path / "data" / ".trash").mkdir(exist_ok=True)
        (tmp_path / "data" / ".trash" / f"{actor}.wav").write_bytes(b"old")
    warnings = []
    monkeypatch.setattr(base.logger, "warning", warnings.append)
    splits = load(tmp_path / "data")
    assert sum(map(len, splits.values())) == len(ACTORS)
    assert warnings == ["ravdess: 7 utterances are left out: sung (vocal channel 02)"]


@pytest.mark.parametrize(
    "name",
    ["holiday.wav", "03-01-09-01-01-01-01.wav", "03-01-01-01-01-01-25.wav", "03-01-01-01-01-01-00.wav", "03a01Fa.wav"],
)
def test_unknown_names_are_named(tmp_path, load, write_clip, name):
    write_clip(tmp_path / "data" / "03-01-01-01-01-01-01.wav")
    write_clip(tmp_path / "data" / name)
    with pytest.raises(CorpusDataError, match=f"1 of 2 utterances cannot be used: .*{name} .*not one of RAVDESS's"):
        load(tmp_path / "data")


def test_songs_alone_are_not_the_corpus(tmp_path, load, write_clip):
    write_clip(tmp_path / "data" / "03-02-01-01-01-01-01.wav")
    with pytest.raises(CorpusDataError, match=r"no utterance in .*sung"):
        load(tmp_path / "data")


def test_a_changed_folder_is_read_again(tmp_path, load, write_clip):
    data = tmp_path / "data"
    for actor in ACTORS:
        write_clip(data / f"03-01-01-01-01-01-{actor:02}.wav")
    first = load(data)["train"]
    assert len(first) == 3
    assert load(data)["train"].cache_files == first.cache_files

    added = write_clip(data / "03-01-03-01-01-01-01.wav")
    second = load(data)["train"]
    assert len(second) == 4
    os.utime(added, (1, 1))
    third = load(data)["train"]
    assert third.cache_files != second.cache_files and third._fingerprint != second._fingerprint
    added.unlink()
    assert len(load(data)["train"]) == 3


def test_identical_copies_are_left_out(tmp_path, load, write_clip, caplog):
    for index, actor in enumerate((1, 15, 17)):
        for folder in ("", "audio_speech_actors_01-24/"):
            name = f"{folder}Actor_{actor:02}/03-01-05-01-01-01-{actor:02}.wav"
            write_clip(tmp_path / "raw" / name, frequency=300.0 + index)
    for _ in range(2):  # the second time out of the cache
        caplog.clear()
        with caplog.at_level("WARNING"):
            assert sum(map(len, load(tmp_path / "raw").values())) == 3
        assert caplog.messages == ["ravdess: 3 utterances are left out: an identical copy of another file"]


def test_different_files_of_one_name_are_a_fault(tmp_path, load, write_clip):
    for folder, frequency in {"a": 300.0, "b": 301.0}.items():
        write_clip(tmp_path / "raw" / folder / "03-01-05-01-01-01-01.wav", frequency=frequency)
    with pytest.raises(CorpusDataError, match=r"the same id as .*give each utterance its own"):
        load(tmp_path / "raw")
