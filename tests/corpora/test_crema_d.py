import datasets
import numpy as np
import pytest

from lssed_hf import load_audio, load_corpus
from lssed_hf.corpora import CorpusDataError, Reject, Utterance, corpus_builder
from lssed_hf.corpora.crema_d import SENTENCES
from lssed_hf.testing.synthesize import synthesize


ACTORS = ("1001", "1002", "1003", "1040")


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    pytest.importorskip("espeakng_loader")
    return synthesize("crema_d", tmp_path_factory.mktemp("crema_d") / "data", num_speakers=len(ACTORS))


@pytest.fixture
def load(tmp_path):
    return lambda folder, *args, **kwargs: load_corpus("crema_d", folder, *args, cache_dir=tmp_path / "c", **kwargs)


@pytest.fixture
def read(tmp_path):
    """Return the utterances and rejects of a folder, by the name of the file."""
    return lambda folder: corpus_builder("crema_d")(cache_dir=str(tmp_path / "c")).read(folder)


@pytest.fixture
def clips(tmp_path, write_clip):
    """Write clips of three actors, one each, without demographics."""
    for actor in (1001, 1002, 1091):
        write_clip(tmp_path / "data" / "AudioWAV" / f"{actor}_TIE_FEA_XX.wav")
    return tmp_path / "data"


def test_the_release(release, load):
    splits = load(release)
    rows = datasets.concatenate_datasets(list(splits.values()))
    assert len(rows) == 23 * len(ACTORS) and set(rows["speaker_id"]) == set(ACTORS)
    speakers = [set(rows["speaker_id"]) for rows in splits.values()]
    assert list(splits) == ["train", "validation", "test"]
    assert sum(map(len, speakers)) == len(ACTORS) and all(speakers)
    emotions = {
        (name.split("_")[2], rows.features["emotion"].int2str(value))
        for name, value in zip(rows["id"], rows["emotion"])
    }
    assert emotions == {
        ("ANG", "angry"),
        ("DIS", "disgusted"),
        ("FEA", "fearful"),
        ("HAP", "happy"),
        ("NEU", "neutral"),
        ("SAD", "sad"),
    }
    assert sum(map(len, load(release, "benchmark").values())) == len(ACTORS) * (4 + 4 + 4 + 3)


def test_gender_and_age_are_those_of_the_table(release, read):
    utterances, rejects = read(release)
    lines = (release / "VideoDemographics.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == '"ActorID","Age","Sex","Race","Ethnicity"'
    expected = {
        actor: (float(age), sex[1:-1].lower()) for actor, age, sex, *_ in (line.split(",") for line in lines[1:])
    }
    assert {row.speaker_id: (row.age, row.gender) for row in utterances} == expected
    assert {gender for _, gender in expected.values()} == {"female", "male"} and rejects == []


def test_every_clip_decodes(release, read):
    for row in read(release)[0]:
        samples = load_audio(row.path)
        assert 8000 < len(samples) < 80000 and np.abs(samples).max() > 0.01


def test_one_row(tmp_path, clips, load):
    (clips / "VideoDemographics.csv").write_text(
        '"ActorID","Age","Sex","Race","Ethnicity"\n1002,21,"Female","Caucasian","Not Hispanic"\n1001,51,"Male",,\n',
        encoding="utf-8",
    )
    rows = datasets.concatenate_datasets(list(load(clips).values())).cast_column("audio", datasets.Audio(decode=False))
    row = next(row for row in rows if row["speaker_id"] == "1002")
    assert row == {
        "id": "1002_TIE_FEA_XX",
        "audio": {"bytes": None, "path": str(clips / "AudioWAV" / "1002_TIE_FEA_XX.wav")},
        "emotion": 9,  # fearful
        "secondary_emotions": [],
        "gender": 0,
        "age_group": -1,
        "age": 21.0,
        "speaker_id": "1002",
        "session_id": None,
        "start": None,
        "end": None,
        "transcript": "That is exactly what happened.",
    }
    row = next(row for row in rows if row["speaker_id"] == "1091")  # not in the table
    assert (row["gender"], row["age"]) == (-1, None)


def test_the_split_is_the_same_each_time_and_of_all_emotions(tmp_path, write_clip, read):
    for actor in range(1001, 1092):
        for emotion in ("ANG", "SAD"):
            write_clip(tmp_path / "data" / f"{actor}_TIE_{emotion}_XX.wav")
    builder = corpus_builder("crema_d")(cache_dir=str(tmp_path / "c"))
    utterances = read(tmp_path / "data")[0]
    splits = builder.assign_splits(utterances, "speaker")
    by_split = {split: {row.speaker_id for row, side in zip(utterances, splits) if side == split} for split in splits}
    assert {split: len(actors) for split, actors in by_split.items()} == {"train": 64, "validation": 9, "test": 18}
    assert len(set().union(*by_split.values())) == 91
    assert builder.assign_splits(utterances[::-1], "speaker") == splits[::-1]


def test_sentences(tmp_path, write_clip, read):
    for code in SENTENCES:
        write_clip(tmp_path / "data" / f"1001_{code}_NEU_XX.wav")
    texts = {row.id[5:8]: row.transcript for row in read(tmp_path / "data")[0]}
    assert texts == SENTENCES and len(SENTENCES) == 12
    assert (texts["WSI"], texts["TSI"]) == ("We'll stop in a couple of minutes.", "The surface is slick.")


def test_a_clip_in_several_formats_is_read_once_as_wav(clips, write_clip, read):
    (clips / "VideoFlash").mkdir()
    (clips / "VideoFlash" / "1001_TIE_FEA_XX.flv").write_bytes(b"FLV")
    mp3 = write_clip(clips / "AudioMP3" / "1001_TIE_FEA_XX.mp3")
    write_clip(clips / "AudioMP3" / "1002_IOM_HAP_XX.mp3")  # there is no WAV file of this one
    utterances, rejects = read(clips)
    assert {(row.id, row.path.rsplit(".")[-1]) for row in utterances} == {
        ("1001_TIE_FEA_XX", "wav"),
        ("1002_TIE_FEA_XX", "wav"),
        ("1091_TIE_FEA_XX", "wav"),
        ("1002_IOM_HAP_XX", "mp3"),
    }
    reason = "the same clip is read in another format"
    assert rejects[0] == Reject("1001_TIE_FEA_XX", str(mp3), reason, by_rule=True)
    assert [reject.by_rule for reject in rejects] == [True, True]


def test_irregular_files(clips, write_clip, read):
    write_clip(clips / "AudioWAV" / "1040_ITH_SAD_X.wav")
    write_clip(clips / "AudioMP3" / "1040_ITH_SAD_XX.mp3")
    silent = write_clip(clips / "AudioWAV" / "1076_MTI_SAD_XX.wav")
    (clips / "AudioWAV" / "._1001_TIE_FEA_XX.wav").write_bytes(b"macOS")
    utterances, rejects = read(clips)
    assert [row.path[-4:] for row in utterances if row.id == "1040_ITH_SAD_XX"] == [".wav"]
    assert len(utterances) == 4 and len(rejects) == 2
    assert rejects[1] == Reject("1076_MTI_SAD_XX", str(silent), "known to hold no sound", by_rule=True)


def test_two_files_of_one_clip_are_named(clips, write_clip, load):
    write_clip(clips / "more" / "1001_TIE_FEA_XX.wav", frequency=300.0)
    with pytest.raises(CorpusDataError, match=r"1 of 4 .*more/1001_TIE_FEA_XX.wav .*the same id as .*AudioWAV"):
        load(clips)


@pytest.mark.parametrize(
    "name",
    ["1000_TIE_FEA_XX", "1092_TIE_FEA_XX", "1001_TIE_FER_XX", "1001_ABC_FEA_XX", "1001_TIE_FEA_XL", "1001_TIE_FEA"],
)
def test_unknown_names_are_named(clips, load, write_clip, name):
    write_clip(clips / f"{name}.wav")
    with pytest.raises(CorpusDataError, match=rf"1 of 4 utterances .*{name}\.wav .*not one of CREMA-D's"):
        load(clips)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("1,51,Male,,", "ActorID '1' is none of 1001 to 1091"),
        (",51,Male,,", "ActorID '' is none of"),
        ("1001,51,Male,a,b,c", "6 cells where the header has 5"),
        ("1002,51,Male,,", "actor 1002 stands here twice"),
    ],
)
def test_a_faulty_line_of_the_table_is_named(clips, read, line, problem):
    table = clips / "CREMA-D" / "VideoDemographics.csv"  # one level below
    table.parent.mkdir()
    table.write_text(f"ActorID,Age,Sex,Race,Ethnicity\n1002,21,Female,,\n{line}\n", encoding="utf-8")
    utterances, rejects = read(clips)
    assert [(reject.source, reject.by_rule) for reject in rejects] == [(f"{table}, line 3", False)]
    assert problem in rejects[0].reason
    assert [(row.gender, row.age) for row in utterances] == [(None, None), ("female", 21.0), (None, None)]


@pytest.mark.parametrize(
    ("cells", "read_as"),
    [("old,Male", ("male", None)), ("nan,Male", ("male", None)), ("51,Robot", (None, 51.0))],
)
def test_an_unknown_value_of_the_table_costs_the_value(clips, read, cells, read_as):
    (clips / "VideoDemographics.csv").write_text(f"ActorID,Age,Sex,Race,Ethnicity\n1001,{cells},,\n", encoding="utf-8")
    utterances, rejects = read(clips)
    assert not rejects and (utterances[0].gender, utterances[0].age) == read_as


def test_a_table_without_its_columns(clips, load):
    (clips / "VideoDemographics.csv").write_text("ActorID,Age\n1001,51\n", encoding="utf-8")
    with pytest.raises(
        CorpusDataError, match=r"VideoDemographics.csv has no sex column: looked for sex, found actorid"
    ):
        load(clips)


def test_another_corpus(tmp_path, load, write_clip):
    write_clip(tmp_path / "data" / "wav" / "03a01Fa.wav")
    with pytest.raises(CorpusDataError, match=r"is not CREMA-D: looked for clips such as AudioWAV/.*, found wav;"):
        load(tmp_path / "data")


def test_utterances_are_plain(clips, read):
    utterances, _ = read(clips)
    assert utterances[0] == Utterance(
        id="1001_TIE_FEA_XX",
        path=str(clips / "AudioWAV" / "1001_TIE_FEA_XX.wav"),
        emotion="fearful",
        speaker_id="1001",
        transcript="That is exactly what happened.",
    )


def test_too_many_actors(tmp_path):
    with pytest.raises(ValueError, match="CREMA-D has 91 actors, got num_speakers=92"):
        synthesize("crema_d", tmp_path / "data", num_speakers=92)
