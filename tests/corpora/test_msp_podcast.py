import pytest

from lssed_hf import load_corpus
from lssed_hf.corpora import CorpusDataError, corpus_builder


HEADER = "FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set"
LINES = {
    "train": "MSP-PODCAST_0001_0001.wav,A,5.4,1.8,6.0,12,Female,Train",
    "unknown": "MSP-PODCAST_0001_0002.wav,N,4,4,4,Unknown,Unknown,Train",
    "validation": "MSP-PODCAST_0002_0001.wav,S,2.2,2,3,13,Male,Development",
    "test1": "MSP-PODCAST_0003_0001.wav,H,6,6.4,5,14,Male,Test1",
    "test2": "MSP-PODCAST_0004_0001_02.wav,C,3,2,5,15,Female,Test2",
}


@pytest.fixture
def write(tmp_path, write_clip):
    """Return a function that writes a table and its clips."""

    def write(*lines: str, table: str = "Labels/labels_consensus.csv", audio: str = "Audios"):
        path = tmp_path / "data" / table
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join([HEADER, *lines]), encoding="utf-8")
        root = path.parent.parent if "abels" in path.parent.name else path.parent
        for number, line in enumerate(lines):
            name = line.partition(",")[0]
            if name:
                write_clip(root / audio / name, frequency=300.0 + number)
        return tmp_path / "data"

    return write


@pytest.fixture
def read(tmp_path):
    return lambda folder: corpus_builder("msp_podcast")(cache_dir=str(tmp_path / "cache")).read(folder)


@pytest.mark.parametrize(
    ("table", "audio"),
    [
        ("Labels/labels_consensus.csv", "Audios"),
        ("labels/labels_consensus.csv", "Audio"),
        ("Labels/labels_concensus.csv", "Audios"),
        ("labels_consensus.csv", "Audios"),
        ("labels_consensus.csv", ""),
        ("MSP-Podcast/Labels/labels_consensus.csv", "Audios"),
    ],
)
def test_layouts(write, read, table, audio):
    utterances, rejects = read(write(*LINES.values(), table=table, audio=audio))
    assert not rejects
    assert [(row.id[12:], row.emotion, row.gender, row.speaker_id, row.session_id[12:]) for row in utterances] == [
        ("0001_0001", "angry", "female", "12", "0001"),
        ("0001_0002", "neutral", None, None, "0001"),
        ("0002_0001", "sad", "male", "13", "0002"),
        ("0003_0001", "happy", "male", "14", "0003"),
        ("0004_0001_02", "other", "female", "15", "0004_0001"),
    ]
    assert (utterances[0].valence, utterances[0].arousal, utterances[0].dominance) == (1.8, 5.4, 6.0)


def test_splits(write, tmp_path):
    folder = write(*LINES.values())
    for scheme, tested in (("official", "0003"), ("test2", "0004")):
        splits = load_corpus("msp_podcast", folder, split_scheme=scheme, cache_dir=tmp_path / "cache")
        assert {split: {name[12:16] for name in rows["id"]} for split, rows in splits.items()} == {
            "train": {"0001"},
            "validation": {"0002"},
            "test": {tested},
        }
    with pytest.raises(CorpusDataError, match="split_scheme='test3' tests on test3, of which no turn is there"):
        load_corpus("msp_podcast", folder, split_scheme="test3", cache_dir=tmp_path / "cache")


def test_early_releases_call_development_validation(write, tmp_path):
    folder = write(*(line.replace("Development", "Validation") for line in LINES.values()))
    splits = load_corpus("msp_podcast", folder, cache_dir=tmp_path / "cache")
    assert len(splits["validation"]) == 1


def test_transcripts(write, read):
    folder = write(*LINES.values())
    (folder / "Transcripts").mkdir()
    (folder / "Transcripts" / "MSP-PODCAST_0001_0001.txt").write_text("You know, no.\n")
    utterances, _ = read(folder)
    assert [row.transcript for row in utterances] == ["You know, no.", None, None, None, None]


def test_what_is_left_out(write, read, write_clip):
    lines = [
        LINES["train"],
        "MSP-PODCAST_0009_0001.wav,X,4,4,4,1,Male,Train",
        "MSP-PODCAST_0009_0002.wav,Z,4,4,4,1,Male,Train",
        "MSP-PODCAST_0009_0003.wav,A,4,4,4,1,Male,Eval",
        "MSP-PODCAST_0009_0004.wav,A,4,4,4,1,robot,Train",
        "MSP-PODCAST_0009_0005.wav,A,4,4,4,1,Male,Train,more",
        LINES["train"],
    ]
    folder = write(*lines)
    write_clip(folder / "Audios" / "MSP-PODCAST_test3_0001.wav")
    utterances, rejects = read(folder)
    assert [row.id for row in utterances] == ["MSP-PODCAST_0001_0001", "MSP-PODCAST_0009_0004"]
    assert utterances[1].gender is None  # "robot" costs the value alone
    assert [(reject.id[12:], reject.by_rule, reject.reason) for reject in rejects] == [
        ("0009_0001", True, "the raters did not agree (X)"),
        ("0009_0002", False, "EmoClass 'Z' is none of A, H, S, N, U, F, D, C, O, X"),
        ("0009_0003", False, "Split_Set 'Eval' is none of Train, Development, Test1, Test2, Test3"),
        ("0009_0005", False, "9 cells where the header has 8; quote what holds separators"),
        ("0001_0001", False, "no clip MSP-PODCAST_0001_0001.wav in Audios/; copy it there"),
        ("test3_0001", True, "no line of labels_consensus.csv names it"),
    ]


def test_ratings_that_cannot_be_read_cost_nothing_else(write, read):
    (row,), _ = read(write("MSP-PODCAST_0001_0001.wav,A,,x,inf,12,Female,Train"))
    assert (row.valence, row.arousal, row.dominance) == (None, None, None)


def test_another_corpus(tmp_path, write_clip, read, write):
    write_clip(tmp_path / "other" / "clip.wav")
    with pytest.raises(CorpusDataError, match=r"is not MSP-Podcast: looked for Labels/labels_consensus.csv"):
        read(tmp_path / "other")
