import datasets
import numpy as np
import pytest

from lssed_hf import load_audio, load_corpus
from lssed_hf.corpora import CorpusDataError, Reject, base, corpus_builder
from lssed_hf.testing.synthesize import synthesize


FOLDERS = {
    "Angry": "angry",
    "Disgust": "disgusted",
    "Fear": "fearful",
    "Happy": "happy",
    "Neutral": "neutral",
    "Sad": "sad",
    "Surprise": "surprised",
}


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """Write seven scenes each for validation and test and 14 for training."""
    pytest.importorskip("espeakng_loader")
    pytest.importorskip("av")
    return synthesize("afew", tmp_path_factory.mktemp("afew") / "data", num_speakers=4)


@pytest.fixture
def load(tmp_path):
    return lambda folder, *args: load_corpus("afew", folder, *args, cache_dir=tmp_path / "c")


@pytest.fixture
def read(tmp_path):
    return lambda folder: corpus_builder("afew")(cache_dir=str(tmp_path / "c")).read(folder)


def test_split_and_emotion_are_those_of_the_folders(release, read):
    utterances, rejects = read(release)
    expected = {}
    for split, name, scenes in (("train", "train", 14), ("val", "validation", 7)):
        for index in range(scenes):
            expected[f"{split}_{index + 1:09d}"] = (name, [*FOLDERS.values()][index % 7])
    assert {row.id: (row.split, row.emotion) for row in utterances} == expected
    test = release / "Test_AFEW" / "000000001.avi"
    assert rejects[0] == Reject("test_000000001", str(test), "a test scene without a label", by_rule=True)
    assert len(rejects) == 7 and all(reject.by_rule for reject in rejects)


def test_the_official_split(release, load, monkeypatch):
    warnings = []
    monkeypatch.setattr(base.logger, "warning", warnings.append)
    splits = load(release)
    assert {split: len(rows) for split, rows in splits.items()} == {"train": 14, "validation": 7}
    assert warnings == ["afew: 7 utterances are left out: a test scene without a label"]
    assert {split: len(rows) for split, rows in load(release, "benchmark").items()} == {"train": 8, "validation": 4}


def test_one_row(release, load):
    rows = load(release)["validation"].cast_column("audio", datasets.Audio(decode=False))
    assert next(row for row in rows if row["id"] == "val_000000007") == {
        "id": "val_000000007",
        "audio": {"bytes": None, "path": str(release / "Val_AFEW" / "Surprise" / "000000007.avi")},
        "emotion": 8,
        "secondary_emotions": [],
        "gender": -1,
        "age_group": -1,
        "age": None,
        "speaker_id": None,
        "session_id": None,
        "start": None,
        "end": None,
        "transcript": None,
    }


def test_scenes_decode(release, read):
    for row in read(release)[0][::5]:
        samples = load_audio(row.path)
        assert 8000 < len(samples) < 80000 and np.abs(samples).max() > 0.01


def test_folders_without_the_suffix_and_labelled_test_scenes(tmp_path, write_clip, load):
    for split in ("Train", "Val", "Test"):
        for folder in FOLDERS:
            write_clip(tmp_path / "data" / split / folder / f"{folder}.wav")
    splits = load(tmp_path / "data")
    assert {split: len(rows) for split, rows in splits.items()} == {"train": 7, "validation": 7, "test": 7}
    for rows in splits.values():
        names = [name.split("_")[1] for name in rows["id"]]
        assert [rows.features["emotion"].int2str(value) for value in rows["emotion"]] == [FOLDERS[n] for n in names]


def test_audio_is_read_in_place_of_the_video_beside_it(tmp_path, write_clip, read):
    wav = write_clip(tmp_path / "data" / "AFEW" / "Train_AFEW" / "Train" / "Sad" / "000046280.wav")
    wav.with_suffix(".avi").write_bytes(b"RIFF")
    utterances, rejects = read(tmp_path / "data")
    assert [(row.id, row.path) for row in utterances] == [("train_000046280", str(wav))]
    assert [(reject.source, reject.by_rule) for reject in rejects] == [(str(wav.with_suffix(".avi")), True)]


def test_the_innermost_folder_says_the_split(tmp_path, write_clip, read):
    write_clip(tmp_path / "data" / "train" / "Val_AFEW" / "Sad" / "1.wav")
    assert [(row.id, row.split) for row in read(tmp_path / "data")[0]] == [("val_1", "validation")]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("Train_AFEW/Contempt/1.wav", "in no folder of an emotion"),
        ("Test_AFEW/Contempt/1.wav", "in no folder of an emotion"),
        ("Train_AFEW/1.wav", "in no folder of an emotion"),
        ("Angry/1.wav", "in no folder Train, Val or Test"),
        ("1.wav", "in no folder Train, Val or Test"),
    ],
)
def test_other_files_are_named(tmp_path, load, write_clip, name, problem):
    write_clip(tmp_path / "data" / "Train_AFEW" / "Angry" / "1.wav")
    write_clip(tmp_path / "data" / name)
    with pytest.raises(CorpusDataError, match=rf"1 of 2 utterances cannot be used: .*{name} .*{problem}"):
        load(tmp_path / "data")


def test_a_scene_with_two_emotions_is_named(tmp_path, load, write_clip):
    for folder in ("Angry", "Sad"):
        write_clip(tmp_path / "data" / "Train_AFEW" / folder / "1.wav")
    with pytest.raises(CorpusDataError, match=r"Sad/1\.wav \(train_1\): the same id as .*Angry/1\.wav"):
        load(tmp_path / "data")


def test_another_corpus(tmp_path, load, write_clip):
    write_clip(tmp_path / "data" / "Angry" / "1.wav")
    with pytest.raises(CorpusDataError, match=r"is not AFEW: looked for .*Train_AFEW/Angry.*, found Angry;"):
        load(tmp_path / "data")


def test_a_test_set_alone_has_no_labels(tmp_path, load, write_clip):
    write_clip(tmp_path / "data" / "Test_AFEW" / "1.wav")
    with pytest.raises(CorpusDataError, match=r"no utterance in .* \(a test scene without a label\)"):
        load(tmp_path / "data")
