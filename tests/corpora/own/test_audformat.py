"""Databases in audformat, written by hand in the form that the package audformat (version 1.4) writes."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lssed_hf.corpora import CorpusDataError
from lssed_hf.corpora.own import folder


HEADER = """\
name: mydb
usage: research
languages: []
schemes:
  feeling:
    dtype: str
    labels:
      anger: {de: Wut}
      joy: {}
  gender:
    dtype: str
    labels: [female, male]
  speaker: {dtype: str, labels: speaker}
splits:
  test: {type: test}
  train: {type: train}
tables:
  emotion:
    type: segmented
    columns:
      perceived: {scheme_id: feeling}
      perceived.confidence: {}
  files:
    type: filewise
    columns:
      speaker: {scheme_id: speaker}
      duration: {}
misc_tables:
  speaker:
    levels: {speaker: str}
    columns:
      gender: {scheme_id: gender}
      age: {}
"""
EMOTION = """\
file,start,end,perceived,perceived.confidence
wav/a.wav,0 days 00:00:00.000000,0 days 00:00:00.250000,anger,0.5
wav/a.wav,0 days 00:00:00.250000,,joy,1.0
wav/b.wav,0 days 00:00:00.000000,,joy,0.5
wav/c.wav,,,anger,0.5
"""
FILES = "file,speaker,duration\nwav/a.wav,0,0 days 00:00:01\nwav/b.wav,1,0 days 00:00:01\nwav/c.wav,0,\n"
SPEAKERS = "speaker,gender,age\n0,female,20\n1,male,30\n"


@pytest.fixture
def data(tmp_path, write_clip) -> Path:
    for name in "abc":
        write_clip(tmp_path / "data" / "wav" / f"{name}.wav", seconds=1.0)
    for name, text in {"db.yaml": HEADER, "db.files.csv": FILES, "db.speaker.csv": SPEAKERS}.items():
        (tmp_path / "data" / name).write_text(text)
    return tmp_path / "data"


def read(data: Path, **options):
    utterances, rejects = folder.FolderCorpus(config_name="default", **options).read(data)
    assert not rejects
    return utterances


@pytest.mark.parametrize("storage", ["csv", "parquet"])
def test_labels_times_and_speakers(data, storage):
    if storage == "csv":
        (data / "db.emotion.csv").write_text(EMOTION)
    else:
        nanoseconds = pa.array([0, 250_000_000, 0, None], pa.duration("ns"))
        ends = pa.array([250_000_000, None, None, None], pa.duration("ns"))
        columns = {"file": [f"wav/{name}.wav" for name in "aabc"], "start": nanoseconds, "end": ends}
        labels = pa.array(["anger", "joy", "joy", "anger"]).dictionary_encode()
        pq.write_table(pa.table({**columns, "perceived": labels}), data / "db.emotion.parquet")
    rows = read(data)
    assert [(row.id, row.emotion, row.cut, row.start, row.end) for row in rows] == [
        ("wav/a#0.0-0.25", "anger", True, 0.0, 0.25),
        ("wav/a#0.25-1.0", "joy", True, 0.25, 1.0),
        ("wav/b", "joy", False, None, None),
        ("wav/c", "anger", False, None, None),
    ]
    assert [(row.speaker_id, row.gender, row.age) for row in rows] == [
        ("0", "female", 20.0),
        ("0", "female", 20.0),
        ("1", "male", 30.0),
        ("0", "female", 20.0),
    ]
    assert rows[0].source == f"{data}/db.emotion.{storage}, {'line 2' if storage == 'csv' else 'row 1'}"


def test_tables_of_splits(data):
    tables = "".join(
        f"  emotion.{split}:\n    type: filewise\n    split_id: {split}\n    columns:\n      emotion: {{}}\n"
        for split in ("train", "test")
    )
    (data / "db.yaml").write_text(HEADER.replace("tables:\n", f"tables:\n{tables}", 1))
    (data / "db.emotion.csv").write_text(EMOTION)
    (data / "db.emotion.train.csv").write_text("file,emotion\nwav/a.wav,anger\nwav/b.wav,joy\n")
    (data / "db.emotion.test.csv").write_text("file,emotion\nwav/c.wav,joy\n")
    assert [(row.id, row.emotion, row.split, row.speaker_id) for row in read(data)] == [
        ("wav/a", "anger", "train", "0"),
        ("wav/b", "joy", "train", "1"),
        ("wav/c", "joy", "test", "0"),
    ]
    assert len(read(data, table="emotion")) == 4


def test_another_column(data):
    (data / "db.yaml").write_text(HEADER.replace("      speaker: {scheme_id: speaker}\n      duration", "      mood"))
    (data / "db.files.csv").write_text("file,mood,Who\nwav/a.wav,red,x\nwav/b.wav,green,y\nwav/c.wav,red,x\n")
    (data / "db.emotion.csv").write_text(EMOTION)
    rows = read(data, label_column="Mood", speaker_column="who")
    assert [(row.emotion, row.speaker_id) for row in rows] == [("red", "x"), ("green", "y"), ("red", "x")]


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (("name: mydb", "name: [mydb"), {}, r"db\.yaml is no header of audformat"),
        ((HEADER, "- a\n- list\n"), {}, r"db\.yaml is no header of audformat"),
        (
            ("perceived: {scheme_id: feeling}", "valence: {}"),
            {},
            "no table has a column named emotion or label; found",
        ),
        (("", ""), {"table": "files"}, "table 'files' has no labels; those with some: emotion"),
        (("", ""), {}, r"db\.emotion: no \.csv or \.parquet file of that name, and pickles are not read"),
    ],
)
def test_what_cannot_be_read(data, change, options, message):
    (data / "db.yaml").write_text(HEADER.replace(*change, 1))
    (data / "db.emotion.pkl").write_bytes(b"not looked at")
    with pytest.raises(CorpusDataError, match=message):
        read(data, **options)


def test_times_that_are_none(data):
    (data / "db.emotion.csv").write_text(EMOTION.replace("0 days 00:00:00.250000,anger", "soon,anger"))
    utterances, (reject,) = folder.FolderCorpus(config_name="default").read(data)
    assert len(utterances) == 3 and "its times are no durations" in reject.reason and reject.source.endswith("line 2")


CALLS = "name: calls\ntables:\n  calls:\n    type: filewise\n    columns: {mood: {}, caller: {}, sex: {}}\n"


def test_columns_of_other_names(data):
    (data / "db.yaml").write_text(CALLS)
    (data / "db.calls.csv").write_text(
        "file,mood,caller,sex\nwav/a.wav,anger,x,f\nwav/b.wav,joy,y,m\nwav/c.wav,joy,x,f\n"
    )
    rows = read(data, columns=["emotion=mood", "speaker=caller", "gender=sex"])
    assert [(row.emotion, row.speaker_id, row.gender) for row in rows] == [
        ("anger", "x", "female"),
        ("joy", "y", "male"),
        ("joy", "x", "female"),
    ]
    with pytest.raises(CorpusDataError, match="no table has a column named temper"):
        read(data, columns=["emotion=temper"])
    with pytest.raises(
        CorpusDataError, match=r"db\.calls\.csv, line 2: no column for --columns speaker=nobody; found f"
    ):
        read(data, columns=["emotion=mood", "speaker=nobody"])
