"""Hostile metadata, names, links and audio: each is refused with a message that names it, and nothing gets lost.

`lssed` and `folder` read the same metadata here: clips beside it, named with their suffix. (Tables and feature files
by themselves are in test_tables.py and test_feature_sets.py.)
"""

import csv
import os
import struct
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lssed_hf import load_audio, load_corpus
from lssed_hf.audio import AudioError
from lssed_hf.corpora import CorpusDataError, Reject, Utterance, corpus_builder
from lssed_hf.corpora.base import CorpusBuilder


READERS = ["lssed", "folder"]
CLIPS = ["E0001_a.wav", "E0002_b.wav", "E0003_c.wav"]
IDS = ["E0001_a", "E0002_b", "E0003_c"]
HEADER = "name,emotion,start,end,age,gender,age_group,split,transcript"

Read = tuple[list[Utterance], list[Reject]]


def read(reader: str, data_dir: Path, **options) -> Read:
    if reader == "folder":
        options["label_set"] = "lssed"
    return corpus_builder(reader)(config_name="default", **options).read(data_dir)


@pytest.fixture(params=READERS)
def reader(request) -> str:
    return request.param


@pytest.fixture
def data(tmp_path, write_clip) -> Path:
    """Write three clips, without metadata."""
    for index, clip in enumerate(CLIPS):
        write_clip(tmp_path / "data" / clip, frequency=300.0 + index)
    return tmp_path / "data"


@pytest.fixture
def outside(tmp_path, write_clip) -> Path:
    return write_clip(tmp_path / "outside" / "secret.wav")


@pytest.fixture
def write_rows(data):
    """Write metadata: CSV text of the rows below `HEADER`."""

    def write_rows(*rows: str, header: str = HEADER) -> Path:
        (data / "metadata.csv").write_text("\n".join([header, *rows]), encoding="utf-8")
        return data / "metadata.csv"

    return write_rows


# The second of three rows, and the message about it.
BAD_ROWS = [
    pytest.param("../outside/secret.wav,sad", "leads out", id="parent folder"),
    pytest.param("x/../../outside/secret.wav,sad", "leads out", id="parent folder by a way round"),
    pytest.param("..\\outside\\secret.wav,sad", "leads out", id="parent folder of Windows"),
    pytest.param("{outside},sad", "leads out", id="absolute path"),
    pytest.param("~/secret.wav,sad", "leads out", id="home"),
    pytest.param("~root/secret.wav,sad", "leads out", id="another's home"),
    pytest.param("C:\\clips\\secret.wav,sad", "leads out", id="drive"),
    pytest.param("c:secret.wav,sad", "leads out", id="folder of a drive"),
    pytest.param("\\\\server\\clips\\secret.wav,sad", "leads out", id="network drive"),
    pytest.param("a\0b.wav,sad", "zero bytes", id="NUL in the name"),
    pytest.param("E0002_b.wav,sad,,,,,,,Well\0yes", "zero bytes", id="NUL in the text"),
    pytest.param(",sad", "no (name|file) given", id="no name"),
    pytest.param("gone.wav,sad", "no (audio )?file", id="missing file"),
    pytest.param("x/,sad", "no (audio )?file|no audio or video file", id="a folder's name"),
    pytest.param(".,sad", "no (audio )?file|no audio or video file", id="dot"),
    pytest.param("{long},sad", "no (audio )?file", id="a name too long for any file system"),
    pytest.param("E0002_b.wav,", "no (emotion|label) given", id="no label"),
    pytest.param("E0002_b.wav", "no (emotion|label) given", id="short line"),
    pytest.param("E0002_b.wav,confused", "unknown emotion 'confused'", id="unknown label"),
    pytest.param("E0002_b.wav,sad;confused", "unknown emotion '(sad;)?confused'", id="unknown second label"),
    pytest.param("E0002_b.wav,-1", "unknown emotion '-1'", id="negative label"),
    pytest.param("E0002_b.wav,1e9", "unknown emotion '1e9'", id="label like a number"),
    pytest.param("E0002_b.wav,nan", "unknown emotion 'nan'", id="nan label"),
    pytest.param("E0002_b.wav,11", "emotion (number 11|'11')", id="label out of range"),
    pytest.param("E0002_b.wav,{digits}", "emotion (number 9|'9)", id="label of 5000 digits"),
    pytest.param("E0002_b.wav,sad,nan,1", "start is nan", id="nan start"),
    pytest.param("E0002_b.wav,sad,0,inf", "end is inf", id="endless"),
    pytest.param("E0002_b.wav,sad,0,1e400", "end is 1e400", id="beyond floats"),
    pytest.param("E0002_b.wav,sad,-0.5,1", "start is -0.5", id="negative start"),
    pytest.param("E0002_b.wav,sad,2,1", "ends at 1.0 s, before or when it starts", id="end before start"),
    pytest.param("E0002_b.wav,sad,1,1", "ends at 1.0 s, before or when it starts", id="no duration"),
    pytest.param('E0002_b.wav,sad,"1.000,5",1', "start '1.000,5' is no number", id="two separators"),
    pytest.param("E0002_b.wav,sad,0:01,0:02", "start '0:01' is no number", id="clock"),
    pytest.param("E0002_b.wav,sad,,,,,,eval", "split 'eval' is none of", id="ambiguous split"),
    pytest.param("E0002_b.wav,sad,,,,,,t", "split 't' is none of", id="ambiguous initial"),
    pytest.param("E0002_b.wav,sad,,,,,,,Well, yes", "10 cells where the header has 9", id="too many cells"),
]


class TestRows:
    @pytest.mark.parametrize(("row", "message"), BAD_ROWS)
    def test_one_is_refused_and_the_others_are_kept(self, reader, data, outside, write_rows, row, message):
        row = (
            row.replace("{outside}", str(outside))
            .replace("{long}", "x" * 9000 + ".wav")
            .replace("{digits}", "9" * 5000)
        )
        metadata = write_rows("E0001_a.wav,sad", row, "E0003_c.wav,sad")
        utterances, rejects = read(reader, data)
        assert [row.id for row in utterances] == ["E0001_a", "E0003_c"]
        assert [(reject.source, reject.by_rule) for reject in rejects] == [(f"{metadata}, line 3", False)]
        with pytest.raises(ValueError, match=message):
            raise ValueError(rejects[0].reason)

    @pytest.mark.parametrize("cells", [",,nan", ",,-3", ",,old", ",,,x", ",,,,ancient"])
    def test_an_unknown_value_costs_the_value(self, reader, data, write_rows, cells):
        write_rows("E0001_a.wav,sad", f"E0002_b.wav,sad,{cells}")
        utterances, rejects = read(reader, data)
        assert [row.id for row in utterances] == ["E0001_a", "E0002_b"] and not rejects
        assert (utterances[1].age, utterances[1].gender, utterances[1].age_group) == (None, None, None)

    def test_duplicates(self, reader, data, write_rows):
        write_rows("E0001_a.wav,sad", "E0001_a.wav,happy", "./E0001_a.wav,sad", "E0002_b.wav,sad")
        utterances, rejects = read(reader, data)
        assert [row.id for row in utterances] == ["E0001_a", "E0002_b"] and utterances[0].emotion == "sad"
        metadata = data / "metadata.csv"
        assert [(reject.source, reject.reason) for reject in rejects] == [
            (f"{metadata}, line {line}", f"the same id as {metadata}, line 2; give each utterance its own")
            for line in (3, 4)
        ]

    def test_mixed_names_and_numbers(self, data, write_rows):
        write_rows("E0001_a.wav,3", "E0002_b.wav,sad", "E0003_c.wav,2")
        with pytest.raises(
            CorpusDataError, match=r"metadata\.csv mixes numbers and names of emotions \(lines 2 and 3\)"
        ):
            read("lssed", data)
        utterances, (first, _) = read("folder", data)  # which has no numbers of its own
        assert [row.id for row in utterances] == ["E0002_b"]
        assert "unknown emotion '3'" in first.reason and "--label_map 2=other 3=other" in first.reason

    def test_the_same_name_in_two_folders(self, data, write_clip, write_rows):
        write_clip(data / "wav_all" / "s1" / "twin.wav"), write_clip(data / "wav_all" / "s2" / "twin.wav")
        write_rows("wav_all/s1/twin.wav,sad", "E0001_a.wav,sad", "wav_all/s2/twin.wav,happy")
        for reader in ("lssed", "folder"):
            utterances, rejects = read(reader, data)
            assert [row.id for row in utterances] == ["wav_all/s1/twin", "E0001_a", "wav_all/s2/twin"]
            assert not rejects
        write_rows("twin.wav,sad", "E0001_a.wav,sad", "s3/twin.wav,happy")
        utterances, rejects = read("lssed", data)
        assert [row.id for row in utterances] == ["E0001_a"] and len(rejects) == 2
        for reject in rejects:
            assert reject.reason.startswith(f"there are several files of that name: {data}/wav_all/s1/twin.wav, ")

    def test_the_same_name_in_two_formats(self, data, write_clip, write_rows):
        write_clip(data / "E0001_a.flac")
        write_rows("E0001_a.wav,sad", "E0001_a.flac,sad")
        utterances, (reject,) = read("folder", data)
        assert [row.path for row in utterances] == [str(data / "E0001_a.wav")]
        assert reject.reason == f"the same id as {data / 'metadata.csv'}, line 2; give each utterance its own"

    def test_a_table_of_features_with_a_name_twice(self, data, write_rows):
        (data / "is13_compare.csv").write_text("name,a\nE0001_a,1\nE0001_a.wav,2\n")
        write_rows("E0001_a.wav,sad")
        with pytest.raises(CorpusDataError, match=r"is13_compare\.csv has E0001_a more than once"):
            corpus_builder("lssed")(config_name="is13_compare").read(data)


class TestLinks:
    def test_a_file_inside(self, reader, data, write_rows):
        (data / "link.wav").symlink_to(data / "E0001_a.wav")
        write_rows("link.wav,sad", "E0002_b.wav,sad")
        utterances, rejects = read(reader, data)
        assert [row.id for row in utterances] == ["link", "E0002_b"] and not rejects

    @pytest.mark.parametrize("kind", ["out", "to nothing", "to itself"])
    def test_a_file_elsewhere(self, reader, data, outside, write_rows, kind):
        link = data / "wav_all" / "link.wav"
        link.parent.mkdir()
        link.symlink_to({"out": outside, "to nothing": data / "gone.wav", "to itself": link}[kind])
        write_rows("E0001_a.wav,sad", "wav_all/link.wav,sad")
        utterances, (reject,) = read(reader, data)
        assert [row.id for row in utterances] == ["E0001_a"] and "link" in reject.id
        is_there = reader == "lssed" or kind == "out"  # lssed lists folders, and does not look at each file
        assert ("is a link out of" if is_there else "no file 'wav_all/link.wav'") in reject.reason

    def test_a_folder_outside(self, reader, data, outside, write_rows):
        (data / "wav").symlink_to(outside.parent)
        write_rows("E0001_a.wav,sad", "wav/secret.wav,sad")
        utterances, (reject,) = read(reader, data)
        assert [row.id for row in utterances] == ["E0001_a"]
        assert reject.reason.startswith(f"{data / 'wav' / 'secret.wav'} is a link out of")

    def test_folders_that_are_links_in_a_tree(self, data, outside):
        (data / "sad").mkdir()
        for clip in CLIPS:
            (data / clip).rename(data / "sad" / clip)
        (data / "happy").symlink_to(outside.parent)
        (data / "angry").symlink_to(data / "sad")  # read where it is
        (data / "sad" / "loop").symlink_to(data)
        (data / "sad" / "itself").symlink_to(data / "sad" / "itself")
        (data / "sad" / "gone.wav").symlink_to(data / "gone.wav")
        utterances, rejects = read("folder", data)
        assert [row.id for row in utterances] == [f"sad/{name}" for name in IDS]
        assert {Path(reject.source).name: reject.reason for reject in rejects} == {
            "gone.wav": f"{data}/sad/gone.wav is a link out of {data}, or to nothing; put the file itself there",
            "happy": f"a link to a folder outside of {data}; put the folder itself there",
        }

    def test_nothing_but_links(self, data, outside):
        for clip in CLIPS:
            (data / clip).unlink()
        (data / "happy").symlink_to(outside.parent)
        utterances, (reject,) = read("folder", data)
        assert not utterances and reject.source == str(data / "happy")


class TestTables:
    """Whole files; tests of their contents are in test_tables.py."""

    @pytest.mark.parametrize("name", ["metadata.csv", "metadata.jsonl"])
    def test_a_folder_of_that_name(self, reader, data, name):
        (data / name).mkdir()
        with pytest.raises(CorpusDataError, match=f"{data}.* looked for .*found E0001_a.wav, .*{name}/"):
            read(reader, data)

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            pytest.param(b"", "has no (rows|name column: .*found an empty file)", id="empty"),
            pytest.param(b"emotion\nsad\n", "has no (name|path) column.*found emotion", id="no names"),
            pytest.param(b"name\nE0001_a.wav\n", "has no (emotion|label) column.*found name", id="no labels"),
            pytest.param(b"name,emotion,emotion\na.wav,sad,sad\n", "the column emotion more than once", id="repeated"),
            pytest.param(
                b'name,emotion\n"E0001_a.wav,sad\nE0002_b.wav,sad\n', ", line 2: unexpected", id="open quote"
            ),
            pytest.param("name,emotion\na.wav,sad".encode("utf-16-le"), ", line 1: not UTF-8", id="UTF-16 unmarked"),
            pytest.param(b"name,emotion\na.wav,sad\n\x81.wav,sad", ", line 3: not UTF-8", id="no Windows-1252"),
        ],
    )
    def test_refused(self, reader, data, content, message):
        (data / "metadata.csv").write_bytes(content)
        with pytest.raises(CorpusDataError, match=f"metadata.csv.* ?{message}"):
            read(reader, data)

    def test_a_header_alone(self, reader, data, write_rows):
        write_rows()
        with pytest.raises(CorpusDataError, match=f"{reader}: no utterance in {data}|metadata.csv has no rows"):
            read(reader, data)

    @pytest.mark.parametrize(
        ("row", "message"),
        [
            ('{"name": "E0002_b.wav", "emotion": {"main": "sad"}}', "emotion holds an object"),
            ('{"name": {"path": "E0002_b.wav"}, "emotion": "sad"}', "name holds an object"),
            ('{"name": "E0002_b.wav", "emotion": "sad", "emotion": "happy"}', "a key more than once"),
            ('{"name": "E0002_b.wav", "emotion": "sad", "speaker": {"id": 3}}', "speaker holds an object"),
            ('{"name": "E0002_b.wav", "emotion": "sad", "end": [1, 2]}', "end '1;2' is no number"),
            ('{"name": "a\\u0000.wav", "emotion": "sad"}', "leads out"),
            ('{"emotion": "sad"}', "no (name|file) given"),
        ],
    )
    def test_json_lines(self, reader, data, row, message):
        sound = [f'{{"name": "{clip}", "emotion": "sad", "words": [{{"at": 1}}]}}' for clip in CLIPS]
        (data / "metadata.jsonl").write_text(f"{sound[0]}\n{row}\n{sound[2]}\n")
        utterances, (reject,) = read(reader, data)
        assert [row.id for row in utterances] == ["E0001_a", "E0003_c"]
        assert reject.source == f"{data / 'metadata.jsonl'}, line 2"
        with pytest.raises(ValueError, match=message):
            raise ValueError(reject.reason)

    @pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read anything")
    def test_unreadable(self, reader, data, write_rows):
        write_rows("E0001_a.wav,sad").chmod(0)
        with pytest.raises(PermissionError, match=r"metadata\.csv"):
            read(reader, data)

    def test_a_file_in_place_of_the_folder(self, reader, data):
        with pytest.raises(FileNotFoundError, match=r"E0001_a\.wav is not a folder"):
            load_corpus(reader, data / "E0001_a.wav")
        with pytest.raises(OSError, match=r"E0001_a\.wav"):
            read(reader, data / "E0001_a.wav")


def test_names_that_are_not_utf8(data, tmp_path):
    """Arrow and Parquet hold UTF-8 alone."""
    (data / "sad").mkdir()
    (data / CLIPS[0]).rename(data / "sad" / CLIPS[0])
    for clip in CLIPS[1:]:
        (data / clip).unlink()
    (data / "sad" / os.fsdecode(b"\xff.wav")).write_bytes(b"")
    utterances, (reject,) = read("folder", data)
    assert [row.id for row in utterances] == ["sad/E0001_a"]
    assert reject.reason == "the file's name is not UTF-8; rename it"
    with pytest.raises(CorpusDataError, match=r"1 of 2 utterances cannot be used: .*rename it"):
        load_corpus("folder", data, cache_dir=tmp_path / "cache")


AUDIO = [
    pytest.param(lambda sound: b"", "the file is empty", id="0 bytes"),
    pytest.param(lambda sound: sound[:60], "truncated|lasts 0.001 s", id="cut"),
    pytest.param(lambda sound: b"Dear Sir or Madam,\n" * 50, "not an audio file", id="text"),
    pytest.param(lambda sound: sound[:44], "truncated|lasts 0.000 s", id="header alone"),
]


class TestAudio:
    """Audio is not decoded while reading; the error of decoding names the file."""

    @pytest.mark.parametrize(("damage", "message"), AUDIO)
    @pytest.mark.parametrize("times", ["", ",0.1,0.2"])
    def test_damaged(self, data, write_clip, write_rows, damage, message, times):
        path = write_clip(data / "E0001_a.wav", seconds=0.2)
        path.write_bytes(damage(path.read_bytes()))
        write_rows(f"E0001_a.wav,sad{times}")
        (row,), _ = read("folder", data)
        with pytest.raises(AudioError, match=f"E0001_a.wav: .*({message})"):
            load_audio(row.path, start=row.start, end=row.end)

    @pytest.mark.parametrize("times", ["1,2", "0,1", "1e300,2e300"])
    def test_times_past_the_end(self, data, tmp_path, write_rows, times):
        write_rows(f"E0001_a.wav,sad,{times},,,,test")
        builder = corpus_builder("folder")()
        (row,), _ = builder.read(data)
        with pytest.raises(AudioError, match=r"E0001_a\.wav: lasts 0\.020 s"):
            builder.payload(row)
        # datasets would only say "an error while generating the dataset".
        with pytest.raises(CorpusDataError, match=r"folder: .*E0001_a\.wav: lasts 0\.020 s"):
            load_corpus("folder", data, cache_dir=tmp_path / "cache")

    def test_damaged_features(self, data, tmp_path, write_rows):
        (data / "spectrogram").mkdir()
        (data / "spectrogram" / "E0001_a.png").write_bytes(b"Dear Sir or Madam,\n")
        write_rows("E0001_a.wav,sad,,,,,,test")
        with pytest.raises(CorpusDataError, match=r"lssed: .*E0001_a\.png: damaged, or no spectrogram"):
            load_corpus("lssed", data, "spectrogram", cache_dir=tmp_path / "cache")


class Listed(CorpusBuilder):
    """Corpus of given utterances, for the checks of all corpora."""

    rows = ()

    def read_utterances(self, data_dir):
        return iter(self.rows)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"start": float("nan")}, "start is nan"),
        ({"end": float("inf")}, "end is inf"),
        ({"age": -1.0}, "age is -1.0"),
        ({"start": 2.0, "end": 1.0}, "ends at 1.0 s, before or when it starts"),
        ({"cut": True, "start": 2.0}, "its start or end in the recording is missing"),
        ({"id": "first"}, "the same id as .*E0001_a.wav"),
        ({"path": "/etc/passwd"}, "is a link out of"),
        ({"path": "/gone/x.wav"}, "is a link out of"),
    ],
)
def test_checks_of_all_corpora(data, fields, message):
    builder = Listed()
    paths = [str(data / clip) for clip in CLIPS]
    second = Utterance(**{"id": "second", "path": paths[1], "emotion": "sad", **fields})
    builder.rows = [Utterance("first", paths[0], "sad"), second, Utterance("third", paths[2], "sad")]
    utterances, (reject,) = builder.read(data)
    assert [row.id for row in utterances] == ["first", "third"]
    with pytest.raises(ValueError, match=message):
        raise ValueError(reject.reason)


@pytest.fixture(scope="module")
def anything(tmp_path_factory, write_clip) -> Path:
    """Make a folder for properties, whose examples overwrite each other's metadata."""
    folder = tmp_path_factory.mktemp("anything")
    for clip in CLIPS:
        write_clip(folder / clip)
    return folder


# Cells that are nearly right are more telling than any text.
CELLS = {
    "name": st.sampled_from([*CLIPS, "E0001_a", "../a.wav", "x\\E0001_a.wav", ""]) | st.text(max_size=9),
    "emotion": st.sampled_from(["sad", "3", "12", "joy; sad", ""]) | st.text(max_size=9),
    "start": st.sampled_from(["", "0", "1.5", "nan", "-1"]) | st.floats().map(str),
    "end": st.sampled_from(["", "2", "1e999"]) | st.floats().map(str),
    "split": st.sampled_from(["", "train", "dev", "x"]),
}


@pytest.mark.fuzz
@pytest.mark.parametrize("reader", READERS)
@given(rows=st.lists(st.fixed_dictionaries(CELLS), min_size=1, max_size=6))
@example(rows=[dict.fromkeys(CELLS, "") | {"name": CLIPS[0], "emotion": ","}])
def test_every_row_is_read_or_refused(anything, reader, rows):
    metadata = anything / "metadata.csv"
    with metadata.open("w", newline="", encoding="utf-8", errors="replace") as file:
        writer = csv.DictWriter(file, list(CELLS))
        writer.writeheader()
        writer.writerows(rows)
    number = sum(any(cell.encode("utf-8", "replace").decode().strip() for cell in row.values()) for row in rows)
    try:
        utterances, rejects = read(reader, anything)
    except CorpusDataError as error:
        assert f"{metadata} mixes numbers and names" in str(error) or number == 0
        return
    assert len(utterances) + len(rejects) == number
    for row in utterances:
        assert row.path.startswith(str(anything)) and Path(row.path).is_file()
    for reject in rejects:
        assert str(anything) in reject.source


@pytest.mark.fuzz
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", ["metadata.csv", "metadata.jsonl"])
@given(
    content=st.binary(max_size=200)
    | st.binary(max_size=50).map(lambda tail: b"name,emotion\nE0001_a.wav,sad\n" + tail)
)
def test_any_bytes_as_metadata(anything, reader, name, content):
    (anything / "metadata.csv").unlink(missing_ok=True)
    (anything / "metadata.jsonl").unlink(missing_ok=True)
    (anything / name).write_bytes(content)
    try:
        utterances, rejects = read(reader, anything)
    except CorpusDataError as error:
        assert str(anything) in str(error)
        return
    assert all(str(anything / name) in reject.source or reject.source.endswith(".wav") for reject in rejects)
    assert {row.id for row in utterances} <= set(IDS)


def altered(content: bytes) -> st.SearchStrategy[bytes]:
    """Return the content with some bytes of its header replaced, except the rate, and cut anywhere."""
    at = st.integers(0, 43).filter(lambda index: not 24 <= index < 28)
    changes = st.lists(st.tuples(at, st.integers(0, 255)), max_size=3)

    def alter(changes: list[tuple[int, int]], length: int) -> bytes:
        changed = bytearray(content)
        for index, value in changes:
            changed[index] = value
        return bytes(changed[:length])

    return st.builds(alter, changes, st.integers(0, len(content)) | st.just(len(content)))


WAV = b"RIFF" + struct.pack("<I", 356) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 16000, 32000, 2, 16)
WAV += b"data" + struct.pack("<I", 320) + bytes(range(160)) * 2


@pytest.mark.fuzz
@pytest.mark.parametrize("times", [{}, {"start": 0.001, "end": 0.005}])
@given(content=st.binary(max_size=300) | altered(WAV))
def test_any_bytes_as_audio(anything, times, content):
    path = anything / "any.wav"
    path.write_bytes(content)
    try:
        samples = load_audio(path, **times)
    except AudioError as error:
        assert str(path) in str(error)
    else:
        assert samples.size and samples.ndim == 1
    path.unlink()
