import pytest

from lssed_hf import load_corpus
from lssed_hf.corpora import CorpusDataError, corpus_builder


NAME = "MSP-IMPROV-S01A-{}-P-FM01"


@pytest.fixture
def write(tmp_path, write_clip):
    """Return a function that writes the lines of the table, and a clip of each speaker."""

    def write(*lines: str, table: str = "Evalution.txt", speakers=("F01", "M01", "F02", "M02")):
        for speaker in speakers:
            session = int(speaker[1:])
            write_clip(tmp_path / "data" / f"session{session}" / "S01A" / "P" / f"{NAME.format(speaker)}.wav")
        (tmp_path / "data" / table).parent.mkdir(exist_ok=True)
        (tmp_path / "data" / table).write_text("\n".join(lines), encoding="utf-8")
        return tmp_path / "data"

    return write


def line(speaker: str, label: str = "A", ratings: str = "A:3.200000; V:1.800000; D:3.400000 ; N:4.200000;") -> str:
    return f"UTD-IMPROV-S01A-{speaker}-P-FM01.avi; {label}; {ratings}"


@pytest.fixture
def read(tmp_path):
    return lambda folder: corpus_builder("msp_improv")(cache_dir=str(tmp_path / "cache")).read(folder)


@pytest.mark.parametrize("table", ["Evalution.txt", "Evaluation.txt", "labels/Evaluation.txt"])
def test_utterances(write, read, table):
    rater = "WORKER01; Anger; A:4.000000; V:2.000000; D:4.000000; N:4.000000;"
    lines = [line("F01"), rater, "", line("M01", "N"), line("F02", "S"), line("M02", "H")]
    utterances, rejects = read(write(*lines, table=table))
    assert not rejects
    assert [(row.id, row.emotion, row.gender, row.speaker_id, row.session_id) for row in utterances] == [
        (NAME.format("F01"), "angry", "female", "F01", "1"),
        (NAME.format("M01"), "neutral", "male", "M01", "1"),
        (NAME.format("F02"), "sad", "female", "F02", "2"),
        (NAME.format("M02"), "happy", "male", "M02", "2"),
    ]
    assert {(row.valence, row.arousal, row.dominance) for row in utterances} == {(1.8, 3.2, 3.4)}


def test_ratings_that_cannot_be_read_cost_nothing_else(write, read):
    lines = [line("F01", ratings="A:NaN; V:x; D:2;"), line("M01", ratings=""), line("F02"), line("M02")]
    utterances, _ = read(write(*lines))
    assert [(row.valence, row.arousal, row.dominance) for row in utterances] == [
        (None, None, 2.0),
        (None, None, None),
        (1.8, 3.2, 3.4),
        (1.8, 3.2, 3.4),
    ]


def test_what_is_left_out(write, read):
    folder = write(line("F01", "X"), line("M01", "O"), line("F02", "Q"), line("F06"), "UTD-IMPROV-S01A-F01; A")
    utterances, rejects = read(folder)
    assert [(row.speaker_id, row.emotion) for row in utterances] == [("M01", "other")]
    reasons = {(reject.id, reject.by_rule): reject.reason for reject in rejects}
    assert reasons == {
        (NAME.format("F01"), True): "the raters did not agree (X)",
        (NAME.format("F02"), False): "label 'Q' is none of A, H, N, S, O, X",
        (NAME.format("F06"), False): f"no clip {NAME.format('F06')}.wav beside the table; copy it there",
        ("", False): "'UTD-IMPROV-S01A-F01; A' is not a turn of MSP-IMPROV with a label and ratings",
        (NAME.format("M02"), True): "no line of Evalution.txt names it",
    }


def test_sessions_are_left_out(write, tmp_path):
    folder = write(*map(line, ("F01", "M01", "F02", "M02")))
    for session in ("1", "2"):
        splits = load_corpus("msp_improv", folder, split_scheme=f"session{session}", cache_dir=tmp_path / "cache")
        assert {*splits["test"]["session_id"]} == {session} and session not in splits["train"]["session_id"]
    row = splits["test"].remove_columns("audio")[0]
    assert (row["valence"], row["arousal"], row["dominance"]) == pytest.approx((1.8, 3.2, 3.4))
    with pytest.raises(CorpusDataError, match=r"tests on session 6 .* choose session1, session2"):
        load_corpus("msp_improv", folder, cache_dir=tmp_path / "cache")


def test_another_corpus(tmp_path, write_clip, read):
    write_clip(tmp_path / "data" / "clip.wav")
    with pytest.raises(CorpusDataError, match=r"is not MSP-IMPROV: looked for Evalution.txt or Evaluation.txt"):
        read(tmp_path / "data")
