import datasets
import numpy as np
import pytest

from lssed_hf import load_audio, load_corpus
from lssed_hf.corpora import CorpusDataError, Reject, corpus_builder
from lssed_hf.testing.synthesize import synthesize


CODES = {"an": "angry", "di": "disgusted", "fe": "fearful", "ha": "happy", "sa": "sad", "su": "surprised"}


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """Write clips of subjects 1, 6 and 8; the first two speak two languages."""
    pytest.importorskip("espeakng_loader")
    pytest.importorskip("av")
    return synthesize("rml", tmp_path_factory.mktemp("rml") / "data", num_speakers=3)


@pytest.fixture
def load(tmp_path):
    return lambda folder, *args, **kwargs: load_corpus("rml", folder, *args, cache_dir=tmp_path / "c", **kwargs)


@pytest.fixture
def read(tmp_path):
    return lambda folder: corpus_builder("rml")(cache_dir=str(tmp_path / "c")).read(folder)


def test_speakers_and_emotions(release, read):
    utterances, rejects = read(release)
    places = ("s1_english", "s1_urdu", "s6_english", "s6_mandarin", "s8")
    expected = {
        f"{place}_{code}{number}": (place[:2], emotion)
        for place in places
        for code, emotion in CODES.items()
        for number in (1, 2)
    }
    assert {row.id: (row.speaker_id, row.emotion) for row in utterances} == expected
    assert rejects == []


def test_one_speaker_is_left_out(release, load):
    for scheme, held_out in ((None, "s8"), ("s1", "s1"), ("s6", "s6")):
        splits = load(release, split_scheme=scheme)
        speakers = {split: set(rows["speaker_id"]) for split, rows in splits.items()}
        assert speakers == {"train": {"s1", "s6", "s8"} - {held_out}, "test": {held_out}}
        assert sum(map(len, splits.values())) == 60


def test_schemes_are_those_of_the_speakers_that_are_there(release, load, read, tmp_path):
    builder = corpus_builder("rml")(cache_dir=str(tmp_path / "c"))
    assert list(builder.split_schemes(read(release)[0])) == ["s8", "s1", "s6"]
    with pytest.raises(ValueError, match=r"split_scheme='s2'; rml has s8, s1, s6"):
        load(release, split_scheme="s2")


def test_one_row(release, load):
    rows = load(release)["train"].cast_column("audio", datasets.Audio(decode=False))
    assert next(row for row in rows if row["id"] == "s6_mandarin_sa2") == {
        "id": "s6_mandarin_sa2",
        "audio": {"bytes": None, "path": str(release / "rml-2" / "s6" / "mandarin" / "sa2.avi")},
        "emotion": 3,
        "secondary_emotions": [],
        "gender": -1,
        "age_group": -1,
        "age": None,
        "speaker_id": "s6",
        "session_id": None,
        "start": None,
        "end": None,
        "transcript": None,
    }


def test_videos_decode(release, read):
    for row in read(release)[0][::7]:
        samples = load_audio(row.path)
        assert 8000 < len(samples) < 80000 and np.abs(samples).max() > 0.01


def test_audio_is_read_in_place_of_the_video_beside_it(tmp_path, write_clip, read):
    wav = write_clip(tmp_path / "data" / "rml-1" / "S1" / "English accent" / "AN1.wav")
    wav.with_suffix(".avi").write_bytes(b"RIFF")
    utterances, rejects = read(tmp_path / "data")
    assert [(row.id, row.speaker_id, row.path) for row in utterances] == [("s1_English-accent_AN1", "s1", str(wav))]
    reason = "the same clip is read in another format"
    assert rejects == [Reject("AN1", str(wav.with_suffix(".avi")), reason, by_rule=True)]


def test_the_innermost_folder_says_the_speaker(tmp_path, write_clip, read):
    write_clip(tmp_path / "data" / "s5" / "rml-2" / "s7" / "an1.wav")
    assert [(row.id, row.speaker_id) for row in read(tmp_path / "data")[0]] == [("s7_an1", "s7")]


def test_without_the_default_speaker(tmp_path, load, write_clip):
    for speaker in ("s1", "s2"):
        write_clip(tmp_path / "data" / speaker / "an1.wav")
    with pytest.raises(ValueError, match="no utterance of speaker s8 to test on; there are s1, s2"):
        load(tmp_path / "data")
    assert load(tmp_path / "data", split_scheme="s2")["test"]["id"] == ["s2_an1"]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("rml-1/s1/ne1.wav", "its name is not one of RML's"),
        ("rml-1/s1/an.wav", "its name is not one of RML's"),
        ("rml-1/s1/angry1.wav", "its name is not one of RML's"),
        ("rml-2/s9/an1.wav", "in no folder of a subject"),
        ("an1.wav", "in no folder of a subject"),
    ],
)
def test_other_files_are_named(tmp_path, load, write_clip, name, problem):
    write_clip(tmp_path / "data" / "rml-2" / "s8" / "an1.wav")
    write_clip(tmp_path / "data" / name)
    with pytest.raises(CorpusDataError, match=rf"1 of 2 utterances cannot be used: .*{name} .*{problem}"):
        load(tmp_path / "data")


def test_another_corpus(tmp_path, load, write_clip):
    write_clip(tmp_path / "data" / "subject 1" / "anger" / "an1.wav")
    with pytest.raises(CorpusDataError, match=r"is not RML: looked for .*rml-1/s1/an1.avi, found subject 1;"):
        load(tmp_path / "data")


def test_too_many_subjects(tmp_path):
    with pytest.raises(ValueError, match="has 8 subjects, got num_speakers=9"):
        synthesize("rml", tmp_path / "data", num_speakers=9)
