import itertools

import datasets
import numpy as np
import pytest

from lssed_hf import load_audio, load_corpus
from lssed_hf.corpora import CorpusDataError, Reject, corpus_builder
from lssed_hf.testing.synthesize import synthesize


FOLDERS = {
    "anger": "angry",
    "disgust": "disgusted",
    "fear": "fearful",
    "happiness": "happy",
    "sadness": "sad",
    "surprise": "surprised",
}


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """Write the irregular subjects 3, 6, 11, 12, 16 and 23."""
    pytest.importorskip("espeakng_loader")
    pytest.importorskip("av")
    return synthesize("enterface", tmp_path_factory.mktemp("enterface") / "data", num_speakers=6)


@pytest.fixture
def load(tmp_path):
    return lambda folder, *args: load_corpus("enterface", folder, *args, cache_dir=tmp_path / "c")


@pytest.fixture
def read(tmp_path):
    return lambda folder: corpus_builder("enterface")(cache_dir=str(tmp_path / "c")).read(folder)


def test_the_release_has_the_irregular_names(release):
    files = {path.relative_to(release / "enterface database").as_posix() for path in release.rglob("*.avi")}
    assert {
        "subject 3/surprise/sentence 1/s_3_su_1.avi",
        "subject 6/anger/s6_an.avi",
        "subject 11/anger/sentence 1/s12_an_1.avi",
        "subject 12/anger/sentence 1/s12_an_1.avi",
        "subject 16/surprise/sentence 3/s16_su_3avi.avi",
    } <= files
    assert len(files) == 4 * 12 + 6 + 9


def test_subject_and_emotion_are_those_of_the_folders(release, read):
    utterances, rejects = read(release)
    assert rejects == []
    expected = {
        f"s{subject}_{folder}_{sentence}": (str(subject), emotion)
        for subject in (3, 11, 12, 16, 23)
        for folder, emotion in FOLDERS.items()
        for sentence in (1, 3)
        if not (subject == 23 and sentence == 3 and folder in ("fear", "sadness", "surprise"))
    }
    expected.update({f"s6_{folder}": ("6", emotion) for folder, emotion in FOLDERS.items()})
    assert {row.id: (row.speaker_id, row.emotion) for row in utterances} == expected


def test_one_row_and_the_splits(release, load):
    splits = load(release)
    speakers = {split: set(rows["speaker_id"]) for split, rows in splits.items()}
    assert set(speakers) == {"train", "validation", "test"}
    assert sorted(itertools.chain(*speakers.values())) == ["11", "12", "16", "23", "3", "6"]
    rows = datasets.concatenate_datasets(list(splits.values())).cast_column("audio", datasets.Audio(decode=False))
    path = release / "enterface database" / "subject 11" / "fear" / "sentence 3" / "s12_fe_3.avi"
    assert next(row for row in rows if row["id"] == "s11_fear_3") == {
        "id": "s11_fear_3",
        "audio": {"bytes": None, "path": str(path)},
        "emotion": 9,
        "secondary_emotions": [],
        "gender": -1,
        "age_group": -1,
        "age": None,
        "speaker_id": "11",
        "session_id": None,
        "start": None,
        "end": None,
        "transcript": None,
    }


def test_the_benchmark_has_no_neutral_speech(release, load):
    rows = datasets.concatenate_datasets(list(load(release, "benchmark").values()))
    assert rows.features["emotion"].names == ["angry", "neutral", "happy", "sad"]
    assert set(rows["emotion"]) == {0, 2, 3}


def test_videos_decode(release, read):
    for row in read(release)[0][::7]:
        samples = load_audio(row.path)
        assert 8000 < len(samples) < 80000 and np.abs(samples).max() > 0.01


def test_audio_is_read_in_place_of_the_video_beside_it(tmp_path, write_clip, read):
    folder = tmp_path / "data" / "subject 1" / "anger" / "sentence 2"
    wav = write_clip(folder / "s1_an_2.wav")
    video = folder / "s1_an_2.avi"
    video.write_bytes(b"RIFF")
    flac = write_clip(tmp_path / "data" / "subject 2" / "sadness" / "sentence 5" / "s2_sa_5.flac")
    utterances, rejects = read(tmp_path / "data")
    assert [(row.id, row.path) for row in utterances] == [("s1_anger_2", str(wav)), ("s2_sadness_5", str(flac))]
    assert rejects == [Reject("s1_an_2", str(video), "the same clip is read in another format", by_rule=True)]
    assert load_audio(utterances[0].path).shape == (320,)


def test_the_name_of_the_file_says_nothing(tmp_path, write_clip, read):
    write_clip(tmp_path / "data" / "subject 1" / "anger" / "sentence 2" / "s7_sa_4.wav")
    row = read(tmp_path / "data")[0][0]
    assert (row.id, row.speaker_id, row.emotion) == ("s1_anger_2", "1", "angry")


def test_other_spellings_of_the_folders(tmp_path, write_clip, read):
    write_clip(tmp_path / "data" / "a" / "Subject_04" / "Anger" / "Sentence 02" / "x.wav")
    assert [(row.id, row.speaker_id) for row in read(tmp_path / "data")[0]] == [("s4_anger_2", "4")]


def test_hidden_files_are_none(tmp_path, write_clip, read):
    folder = write_clip(tmp_path / "data" / "subject 1" / "anger" / "sentence 1" / "s1_an_1.wav").parent
    (folder / "._s1_an_1.avi").write_bytes(b"macOS")
    (folder / "Thumbs.db").write_bytes(b"Windows")
    utterances, rejects = read(tmp_path / "data")
    assert len(utterances) == 1 and rejects == []


@pytest.mark.parametrize(
    "name",
    ["subject 1/x.wav", "subject 1/boredom/sentence 1/x.wav", "subject 0/anger/x.wav", "s1_an_1.wav", "anger/x.wav"],
)
def test_files_elsewhere_are_named(tmp_path, load, write_clip, name):
    write_clip(tmp_path / "data" / "subject 1" / "anger" / "sentence 1" / "s1_an_1.wav")
    write_clip(tmp_path / "data" / name)
    with pytest.raises(CorpusDataError, match=rf"1 of 2 .*{name} .*not in a folder subject N/EMOTION/sentence K"):
        load(tmp_path / "data")


def test_two_files_of_one_sentence_are_named(tmp_path, load, write_clip):
    for name, frequency in {"a": 300.0, "b": 400.0}.items():
        write_clip(tmp_path / "data" / "subject 1" / "anger" / "sentence 1" / f"{name}.wav", frequency=frequency)
    with pytest.raises(CorpusDataError, match=r"b\.wav \(s1_anger_1\): the same id as .*a\.wav"):
        load(tmp_path / "data")


def test_another_corpus(tmp_path, load, write_clip):
    write_clip(tmp_path / "data" / "wav" / "03a01Fa.wav")
    with pytest.raises(CorpusDataError, match=r"is not eNTERFACE'05: looked for folders .*subject 1/.*, found wav;"):
        load(tmp_path / "data")


def test_too_many_subjects(tmp_path):
    with pytest.raises(ValueError, match="has 44 subjects, got num_speakers=45"):
        synthesize("enterface", tmp_path / "data", num_speakers=45)
