"""Transcripts of DAIC-WOZ and E-DAIC: written rows come back, and any content is a row or an error."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from interviews import HEADER

from lssed_hf.corpora import CorpusDataError
from lssed_hf.corpora.daic.transcripts import TranscriptRow, read_daic_woz, read_e_daic


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tmp_path_factory.mktemp("transcripts") / "300_TRANSCRIPT.csv"


def read(file, content, reader=read_daic_woz):
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return reader(file)


def test_rows(file):
    text = f'{HEADER}\n1.5\t2.75\tEllie\thi i\'m "ellie"\n\n3\t4\tParticipant\t<laughter> ok, fine\n'
    assert read(file, text) == [
        TranscriptRow(2, 1.5, 2.75, "Ellie", 'hi i\'m "ellie"'),
        TranscriptRow(4, 3.0, 4.0, "Participant", "<laughter> ok, fine"),
    ]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(f"\ufeff{HEADER}\n1\t2\tEllie\thi\n", id="BOM"),
        pytest.param(f"{HEADER}\r\n1\t2\tEllie\thi\r\n", id="CRLF"),
        pytest.param(f"{HEADER}\r1\t2\tEllie\thi\r", id="CR"),
        pytest.param(f"\n\n{HEADER}\n1\t2\tEllie\thi", id="blank lines first, none last"),
        pytest.param(f"{HEADER.upper()}\t\t\n 1 \t2\t Ellie\thi \t\t\n", id="empty columns"),
        pytest.param(f"{HEADER}\n\t\t\t\n1\t2\tEllie\thi\n \t \n", id="blank rows"),
    ],
)
def test_formats(file, content):
    (row,) = read(file, content)
    assert (row.start, row.stop, row.speaker, row.value, row.problem) == (1.0, 2.0, "Ellie", "hi", None)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("\t\tEllie\thi", "its times are missing or no numbers"),
        ("a\tb\tEllie\thi", "its times are missing or no numbers"),
        ("nan\t2\tEllie\thi", "its times are missing or no numbers"),
        ("1\tinf\tEllie\thi", "its times are missing or no numbers"),
        ("1\t1e999\tEllie\thi", "its times are missing or no numbers"),
        ("1_0\t2_0\tEllie\thi", "its times are missing or no numbers"),
        ("0:01\t0:02\tEllie\thi", "its times are missing or no numbers"),
        ("1,5\t2,5\tEllie\thi", "its times are missing or no numbers"),
        ("-1\t2\tEllie\thi", "begins before the recording"),
        ("2\t1\tEllie\thi", "ends before or when it starts"),
        ("2\t2\tEllie\thi", "ends before or when it starts"),
        ("1\t2\t\thi", "has no speaker or no text"),
        ("1\t2\tEllie\t", "has no speaker or no text"),
        ("1\t2\tEllie", "has no speaker or no text"),
        ("1\t2", "has no speaker or no text"),
        ("1", "its times are missing or no numbers"),
        ("1\t2\tEllie\thi\tyou", "has more cells than the header"),
        ("1\t2\tEllie\thi\0", "holds zero bytes"),
    ],
)
def test_rows_with_problems(file, line, problem):
    first, row, last = read(file, f"{HEADER}\n1\t2\tEllie\ta\n{line}\n3\t4\tEllie\tb\n")
    assert row.problem == problem and row.line == 3
    assert first.problem is None and last.problem is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", "found an empty file", id="empty"),
        pytest.param("1\t2\tEllie\thi\n", "found '1.*2.*Ellie.*hi'", id="no header"),
        pytest.param("start_time\tstop_time\tvalue\n1\t2\thi\n", "looked for the header", id="a column is missing"),
        pytest.param("Start_Time,End_Time,Text,Confidence\n1,2,hi,1\n", "looked for the header", id="E-DAIC's"),
        pytest.param(f"{HEADER}\n1\t2\tEllie\t\xe9\n".encode("latin-1"), "line 2: not UTF-8", id="Latin-1"),
        pytest.param(f"{HEADER}\n".encode("utf-16"), "line 1: not UTF-8", id="UTF-16"),
        pytest.param(f"{HEADER}\n1\t2\tEllie\thi\n".encode("utf-16-le"), "looked for the header", id="UTF-16 LE"),
    ],
)
def test_files_that_are_refused(file, content, message):
    with pytest.raises(CorpusDataError, match=rf"{file.name}.*{message}"):
        read(file, content)


@pytest.mark.parametrize("separator", [",", ";"])
def test_copies_with_commas_are_read(file, separator):
    lines = ["start_time,stop_time,speaker,value", "1,2,Ellie,hi", '3,4,Participant,"well, yes"', "x,5,Ellie,a"]
    text = "\n".join(line.replace(",", separator, 3) for line in lines)
    first, second, third = read(file, text)
    assert (first.start, first.stop, first.speaker, first.value, first.line) == (1, 2, "Ellie", "hi", 2)
    assert second.value == "well, yes" and second.problem is None
    assert third.problem == "its times are missing or no numbers"


def test_a_huge_cell(file):
    (row,) = read(file, f"{HEADER}\n1\t2\tEllie\t{'ha ' * 1_000_000}\n")
    assert len(row.value) == 2_999_999


def test_quotes_mean_nothing(file):
    rows = read(file, f'{HEADER}\n1\t2\tEllie\t"open\n3\t4\tEllie\tshut"\n')
    assert [row.value for row in rows] == ['"open', 'shut"']


class TestEDaic:
    COLUMNS = "Start_Time,End_Time,Text,Confidence\n"

    def test_rows(self, file):
        rows = read(file, self.COLUMNS + '1.5,2.5,"yes, ""really""",0.93\n3,4,no,0.5\n', read_e_daic)
        assert rows == [
            TranscriptRow(2, 1.5, 2.5, None, 'yes, "really"'),
            TranscriptRow(3, 3.0, 4.0, None, "no"),
        ]

    @pytest.mark.parametrize(
        ("line", "problem"),
        [
            ("1,2,,0.9", "has no speaker or no text"),
            ("x,2,hi,0.9", "its times are missing or no numbers"),
            ("2,1,hi,0.9", "ends before or when it starts"),
            ("-2,1,hi,0.9", "begins before the recording"),
            ("1,2,well, yes,0.9", "has more cells than the header"),
            ("1,2,h\0i,0.9", "holds zero bytes"),
        ],
    )
    def test_rows_with_problems(self, file, line, problem):
        row, _ = read(file, f"{self.COLUMNS}{line}\n3,4,no,0.9\n", read_e_daic)
        assert row.problem == problem

    @pytest.mark.parametrize(
        "content", [b"", f"{HEADER}\n1\t2\tEllie\thi\n", b"\xff\xfe", 'Start_Time,End_Time,Text\n"1']
    )
    def test_files_that_are_refused(self, file, content):
        with pytest.raises(CorpusDataError, match=file.name):
            read(file, content, read_e_daic)


CELL = st.text(st.characters(exclude_characters="\t\n\r\0", exclude_categories=["Cs"]), min_size=1, max_size=30)
WORDS = CELL.map(str.strip).filter(bool)
TIMES = st.tuples(st.integers(0, 10**6), st.integers(1, 10**5)).map(lambda pair: (pair[0] / 1000, sum(pair) / 1000))
ROWS = st.lists(st.tuples(TIMES, st.sampled_from(["Ellie", "Participant"]), WORDS), max_size=8)


@given(rows=ROWS, end=st.sampled_from(["\n", "\r\n"]), bom=st.booleans())
def test_what_was_written_comes_back(file, rows, end, bom):
    lines = [HEADER, *(f"{start:.3f}\t{stop:.3f}\t{speaker}\t{words}" for (start, stop), speaker, words in rows), ""]
    content = end.join(lines).encode("utf-8-sig" if bom else "utf-8")
    assert [((row.start, row.stop), row.speaker, row.value) for row in read(file, content)] == rows


@given(rows=ROWS)
def test_what_was_written_for_e_daic_comes_back(file, rows):
    text = io.StringIO()
    table = [(start, stop, words, 0.9) for (start, stop), _, words in rows]
    csv.writer(text).writerows([("Start_Time", "End_Time", "Text", "Confidence"), *table])
    found = read(file, text.getvalue(), read_e_daic)
    assert [((row.start, row.stop), row.value) for row in found] == [(times, words) for times, _, words in rows]


@pytest.mark.fuzz
@pytest.mark.parametrize("reader", [read_daic_woz, read_e_daic])
@given(content=st.binary(max_size=200) | st.binary(max_size=80).map(lambda tail: f"{HEADER}\n1\t2\t".encode() + tail))
def test_any_bytes(file, reader, content):
    try:
        rows = read(file, content, reader)
    except CorpusDataError as error:
        assert str(file) in str(error)
        return
    for row in rows:
        assert (row.start is None) <= (row.problem is not None)
        assert row.start is None or 0 <= row.start < row.stop < float("inf")
