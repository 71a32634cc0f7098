import datasets
import pytest

from lssed_hf import load_audio, load_corpus
from lssed_hf.corpora import CorpusDataError, corpus_builder
from lssed_hf.testing.synthesize import synthesize


SPEAKERS = {
    "EB0": "female",
    "IC0": "female",
    "KD0": "female",
    "MK0": "female",
    "KS0": "male",
    "MP0": "male",
    "SM0": "male",
    "TP0": "male",
    "WR0": "male",
}
EMOTIONS = {
    "anger": "angry",
    "fear": "fearful",
    "happiness": "happy",
    "neutral": "neutral",
    "sadness": "sad",
    "surprised": "surprised",
}
HEADER = "file_id\temotion\traw_text\tnormalized_text\tspeaker_id\tgender\tage\n"


@pytest.fixture
def load(tmp_path):
    def load(folder, *args, **kwargs) -> datasets.DatasetDict:
        splits = load_corpus("nemo", folder, *args, cache_dir=tmp_path / "cache", **kwargs)
        return splits.cast_column("audio", datasets.Audio(decode=False))

    return load


@pytest.fixture
def read(tmp_path):
    return lambda folder: corpus_builder("nemo")(cache_dir=str(tmp_path / "cache")).read(folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, write_clip):
    """Write a clip of each actor in each emotion."""
    folder = tmp_path_factory.mktemp("nemo")
    lines = []
    for speaker, gender in SPEAKERS.items():
        for emotion in EMOTIONS:
            name = f"{speaker}_{emotion}_64"
            write_clip(folder / "samples" / f"{name}.wav", rate=24000)
            lines.append(
                f"{name}.wav\t{emotion}\tUcho wykrywa dźwięki.\tucho wykrywa dźwięki\t{speaker}\t{gender}\t23"
            )
    (folder / "data.tsv").write_text(HEADER + "\n".join(lines) + "\n", encoding="utf-8")
    return folder


@pytest.fixture
def two(tmp_path, write_clip):
    """Return a function that writes lines below a sound one, and two clips."""
    for name in ("KD0_anger_1", "TP0_fear_2"):
        write_clip(tmp_path / "two" / "samples" / f"{name}.wav")

    def two(*lines: str):
        first = "KD0_anger_1.wav\tanger\tTak.\ttak\tKD0\tfemale\t28"
        (tmp_path / "two" / "data.tsv").write_text("\n".join([HEADER + first, *lines]), encoding="utf-8")
        return tmp_path / "two"

    return two


def test_the_fixed_split(folder, load):
    splits = load(folder)
    assert {name: set(rows["speaker_id"]) for name, rows in splits.items()} == {
        "train": {"EB0", "IC0", "KS0", "MP0", "SM0"},
        "validation": {"MK0", "WR0"},
        "test": {"KD0", "TP0"},
    }
    assert all(set(rows["gender"]) == {0, 1} for rows in splits.values())


@pytest.mark.parametrize("speaker", SPEAKERS)
def test_one_speaker_is_left_out(folder, load, speaker):
    splits = load(folder, "benchmark", split_scheme=f"speaker_{speaker}")
    assert set(splits["test"]["speaker_id"]) == {speaker} and len(splits["test"]) == 4
    assert set(splits["train"]["speaker_id"]) == {*SPEAKERS} - {speaker} and len(splits["train"]) == 32


def test_rows(folder, read):
    utterances, rejects = read(folder)
    assert {row.id: (row.emotion, row.gender, row.speaker_id) for row in utterances} == {
        f"{speaker}_{name}_64": (emotion, gender, speaker)
        for speaker, gender in SPEAKERS.items()
        for name, emotion in EMOTIONS.items()
    }
    assert not rejects


def test_one_row(folder, load):
    row = next(row for row in load(folder)["validation"] if row["id"] == "WR0_surprised_64")
    assert row == {
        "id": "WR0_surprised_64",
        "audio": {"bytes": None, "path": str(folder / "samples" / "WR0_surprised_64.wav")},
        "emotion": 8,  # surprised
        "secondary_emotions": [],
        "gender": 1,
        "age_group": -1,
        "age": 23.0,
        "speaker_id": "WR0",
        "session_id": None,
        "start": None,
        "end": None,
        "transcript": "Ucho wykrywa dźwięki.",
    }


def test_suffixes_do_not_count(two, write_clip, read):
    """Read tables that name the suffix of another copy, or none."""
    folder = two("TP0_fear_2.ogg\tfear\tNie.\tnie\tTP0\tmale\t26", "MK0_neutral_3\tneutral\tNo.\tno\tMK0\tfemale\t23")
    write_clip(folder / "samples" / "MK0_neutral_3.ogg")
    write_clip(folder / "samples" / "TP0_fear_2.flac")
    utterances, (reject,) = read(folder)
    assert [(row.id, row.path[-4:]) for row in utterances] == [
        ("KD0_anger_1", ".wav"),
        ("TP0_fear_2", ".wav"),
        ("MK0_neutral_3", ".ogg"),
    ]
    assert reject.by_rule and reject.source.endswith("TP0_fear_2.flac")


def test_clips_without_a_line_are_counted(two, load, caplog):
    with caplog.at_level("WARNING"):
        splits = load(two())
    assert {name: len(rows) for name, rows in splits.items()} == {"test": 1}
    assert "nemo: 1 utterance is left out: no line of data.tsv names it" in caplog.messages


@pytest.mark.parametrize(("cells", "read_as"), [("robot\t26", (None, 26.0)), ("male\told", ("male", None))])
def test_an_unknown_value_costs_the_value(two, read, cells, read_as):
    utterances, _ = read(two(f"TP0_fear_2.wav\tfear\tNie.\tnie\tTP0\t{cells}"))
    assert [(row.gender, row.age) for row in utterances if row.id == "TP0_fear_2"] == [read_as]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("TP0_fear_3.wav\tfear\tNie.\tnie\tTP0\tmale\t26", "no clip TP0_fear_3.wav"),
        ("../two/samples/TP0_fear_2.wav\tfear\tNie.\tnie\tTP0\tmale\t26", "no clip ../two"),
        ("TP0_fear_2.wav\tstrach\tNie.\tnie\tTP0\tmale\t26", "emotion 'strach' is none of anger, fear"),
        ("TP0_fear_2.wav\t\tNie.\tnie\tTP0\tmale\t26", "emotion '' is none of"),
        ("TP0_fear_2.wav\tfear\tNie.\tnie\t\tmale\t26", "speaker_id is empty"),
        ("TP0_fear_2.wav\tfear\tNie.\tnie\tTP0\tmale\t26\tx", "8 cells where the header has 7"),
        ("KD0_anger_1.wav\tanger\tTak.\ttak\tKD0\tfemale\t28", "the same id as .*data.tsv, line 2"),
        ("\tfear\tNie.\tnie\tTP0\tmale\t26", "no clip"),
    ],
)
def test_a_faulty_line_is_named(two, read, line, problem):
    folder = two(line)
    utterances, rejects = read(folder)
    (reject,) = (reject for reject in rejects if not reject.by_rule)
    assert [row.id for row in utterances] == ["KD0_anger_1"]
    assert reject.source == f"{folder / 'data.tsv'}, line 3"
    with pytest.raises(ValueError, match=problem):
        raise ValueError(reject.reason)


def test_two_files_of_one_clip_are_named(two, write_clip, load):
    folder = two()
    write_clip(folder / "more" / "KD0_anger_1.wav")
    with pytest.raises(CorpusDataError, match=r"line 2 .*more/KD0_anger_1.wav and .*have the same name; keep one"):
        load(folder)


def test_the_table_may_lie_one_level_below(two, read):
    folder = two()
    assert read(folder.parent) == read(folder)


def test_other_folders(tmp_path, load, write_clip):
    write_clip(tmp_path / "data" / "samples" / "KD0_anger_1.wav")
    with pytest.raises(
        CorpusDataError, match=r"is not nEMO: looked for data.tsv in it and one level below, found samp"
    ):
        load(tmp_path / "data")
    (tmp_path / "data" / "data.tsv").write_text("file_id\tspeaker_id\nKD0_anger_1.wav\tKD0\n", encoding="utf-8")
    with pytest.raises(CorpusDataError, match=r"data.tsv has no emotion column"):
        load(tmp_path / "data")


def test_the_release(tmp_path, load):
    pytest.importorskip("espeakng_loader")
    release = synthesize("nemo", tmp_path / "release", num_speakers=5)
    assert (release / "data.tsv").read_text(encoding="utf-8").startswith(HEADER)
    splits = load(release)
    assert {name: len(rows) for name, rows in splits.items()} == {"train": 12, "validation": 24, "test": 24}
    for row in splits["train"]:
        assert row["audio"]["path"] == str(release / "samples" / f"{row['id']}.wav")
        assert 0.3 < len(load_audio(row["audio"])) / 16000 < 8
        assert row["gender"] == 0 and row["age"] >= 18 and row["transcript"].endswith(".")
    with pytest.raises(ValueError, match="nEMO has 9 actors, got num_speakers=10"):
        synthesize("nemo", tmp_path / "many", num_speakers=10)


def test_the_real_corpus(shared_data, load):
    """Load the copy, which has the four benchmark emotions and half of the sentences, as Ogg."""
    if not (shared_data / "nemo").is_dir():
        pytest.skip(f"no nEMO in {shared_data}")
    splits = load(shared_data / "nemo", "benchmark")
    assert {name: len(rows) for name, rows in splits.items()} == {"train": 815, "validation": 359, "test": 360}
    genders = {row["speaker_id"]: row["gender"] for rows in splits.values() for row in rows.remove_columns("audio")}
    assert genders == {speaker: ("female", "male").index(gender) for speaker, gender in SPEAKERS.items()}
    assert all(set(rows["emotion"]) == {0, 1, 2, 3} for rows in splits.values())
    assert 0.5 < len(load_audio(splits["test"][0]["audio"])) / 16000 < 15
