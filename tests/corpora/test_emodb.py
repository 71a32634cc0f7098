import datasets
import pytest

from lssed_hf import load_corpus
from lssed_hf.corpora import CorpusDataError, corpus_builder
from lssed_hf.corpora.emodb import SPEAKERS


AUDIO = datasets.Audio(decode=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, write_clip):
    """Write clips of every speaker in every emotion, WAV and FLAC in turn, at two rates."""
    folder = tmp_path_factory.mktemp("emodb")
    for index, speaker in enumerate(SPEAKERS):
        for code in "WNFTLEA":
            suffix, rate = ((".wav", 16000), (".flac", 44100))[index % 2]
            write_clip(folder / f"{speaker}a01{code}b{suffix}", rate=rate)
    return folder


@pytest.fixture
def load(tmp_path):
    return lambda folder, *args, **kwargs: load_corpus("emodb", folder, *args, cache_dir=tmp_path / "cache", **kwargs)


def test_splits_are_of_disjoint_speakers_with_both_genders(folder, load):
    splits = load(folder)
    speakers = {name: set(rows["speaker_id"]) for name, rows in splits.items()}
    assert speakers["validation"] == {"15", "16"} and speakers["test"] == {"12", "13"}
    assert speakers["train"] == set(SPEAKERS) - speakers["validation"] - speakers["test"]
    assert all(set(rows["gender"]) == {0, 1} for rows in splits.values())


@pytest.mark.parametrize("speaker", ["03", "16"])
def test_one_speaker_is_left_out(folder, load, speaker):
    splits = load(folder, split_scheme=f"speaker_{speaker}")
    assert {name: set(rows["speaker_id"]) for name, rows in splits.items()} == {
        "train": set(SPEAKERS) - {speaker},
        "test": {speaker},
    }
    assert {name: len(rows) for name, rows in splits.items()} == {"train": 9 * 7, "test": 7}


def test_schemes_are_those_of_the_speakers_that_are_there(tmp_path, load, write_clip):
    for speaker in ("03", "09", "12", "15"):
        write_clip(tmp_path / "data" / f"{speaker}a01Fa.wav")
    builder = corpus_builder("emodb")(cache_dir=str(tmp_path / "cache"))
    utterances, _ = builder.read(tmp_path / "data")
    schemes = ("speaker", "speaker_03", "speaker_09", "speaker_12", "speaker_15")
    assert builder.split_schemes(utterances) == schemes
    with pytest.raises(ValueError, match=f"split_scheme='speaker_16'; emodb has {', '.join(schemes)}"):
        load(tmp_path / "data", split_scheme="speaker_16")


def test_emotions(folder, load):
    rows = load(folder)["test"]
    label = rows.features["emotion"]
    emotions = sorted((name[5], label.int2str(emotion)) for name, emotion in zip(rows["id"], rows["emotion"]))
    expected = ["A fearful", "E disgusted", "F happy", "L bored", "N neutral", "T sad", "W angry"]
    assert [" ".join(pair) for pair in emotions] == sorted(2 * expected)  # two speakers
    assert {len(rows) for rows in load(folder, "benchmark").values()} == {6 * 4, 2 * 4}


def test_one_row(folder, load):
    rows = load(folder)["validation"].cast_column("audio", datasets.Audio(decode=False))
    row = next(row for row in rows if row["id"] == "16a01Fb")
    assert row["audio"]["path"] == str(folder / "16a01Fb.flac")
    assert (row["emotion"], row["gender"], row["age"], row["speaker_id"]) == (2, 0, 31.0, "16")


@pytest.mark.parametrize("name", ["03a01Xa.wav", "04a01Fa.wav", "03c01Fa.wav", "speech.wav"])
def test_unknown_names_are_named(tmp_path, load, write_clip, name):
    write_clip(tmp_path / "data" / "03a01Fa.wav")
    write_clip(tmp_path / "data" / name)
    with pytest.raises(CorpusDataError, match=f"1 of 2 utterances cannot be used: .*{name} .*not one of EMO-DB's"):
        load(tmp_path / "data")


def test_a_folder_without_audio(tmp_path, load):
    (tmp_path / "data").mkdir()
    with pytest.raises(FileNotFoundError, match="no audio file below"):
        load(tmp_path / "data")


def test_laryngograms_are_left_out(tmp_path, load, write_clip, caplog):
    for folder, frequency in {"wav": 400.0, "laryngo": 100.0}.items():
        for name in ("03a01Wa", "08a01Fa", "12a01Na", "15a01Tb"):
            write_clip(tmp_path / "raw" / folder / f"{name}.wav", frequency=frequency)
    with caplog.at_level("WARNING"):
        splits = load(tmp_path / "raw")
    assert sum(map(len, splits.values())) == 4
    assert "emodb: 4 utterances are left out: a laryngogram, not speech" in caplog.messages
    paths = [row["path"] for rows in splits.values() for row in rows.cast_column("audio", AUDIO)["audio"]]
    assert all("/wav/" in path for path in paths)
