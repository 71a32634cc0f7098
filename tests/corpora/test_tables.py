"""Tables as people write them: every format, separator, line end and encoding that is read."""

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lssed_hf.corpora import CorpusDataError
from lssed_hf.corpora.tables import given_table, read_table


@pytest.fixture
def write(tmp_path):
    def write(content: bytes | str, name: str = "metadata.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Make a folder for properties, whose examples overwrite each other's file."""
    return tmp_path_factory.mktemp("tables") / "metadata.csv"


CHARACTERS = st.characters(codec="utf-8", exclude_characters="\0") | st.sampled_from(",;\t\"'\r\n ")
TWO = [{"name": "a", "emotion": "sad"}, {"name": "b", "emotion": "happy"}]


class TestCsv:
    @pytest.mark.parametrize(
        "content",
        [
            pytest.param("name,emotion\na,sad\nb,happy\n", id="plain"),
            pytest.param("name,emotion\na,sad\nb,happy", id="no line end at the end"),
            pytest.param("name;emotion\na;sad\nb;happy\n", id="semicolons"),
            pytest.param("name\temotion\na\tsad\nb\thappy\n", id="tabs"),
            pytest.param("name,emotion\r\na,sad\r\nb,happy\r\n", id="Windows"),
            pytest.param("name,emotion\ra,sad\rb,happy\r", id="old Mac"),
            pytest.param("\ufeffname,emotion\na,sad\nb,happy\n", id="byte order mark"),
            pytest.param('\ufeff"name","emotion"\n"a","sad"\n"b","happy"\n', id="quotes after a byte order mark"),
            pytest.param(" Name , EMOTION \n a , sad \n b,happy\n", id="spaces and capitals"),
            pytest.param("name,emotion\n\na,sad\n,\n \nb,happy\n\n", id="blank lines"),
            pytest.param("\n\nname,emotion\na,sad\nb,happy\n", id="blank lines before the header"),
            pytest.param("name,emotion,\na,sad,\nb,happy,,\n", id="a separator at the end of lines"),
            pytest.param(
                '"name";"the, so to say, note";"emotion"\na;;sad\nb;;happy\n', id="other separators in quotes"
            ),
        ],
    )
    def test_the_same_two_rows(self, write, content):
        assert list(read_table(write(content))) == TWO

    def test_lines_are_those_of_an_editor(self, write):
        content = 'name,transcript\na,"two\nlines"\n\nb,one\n"c","x\r\ny"\nd,\n'
        rows = list(read_table(write(content)))
        assert [(row["name"], row.line) for row in rows] == [("a", 2), ("b", 5), ("c", 6), ("d", 8)]
        assert [row.get("transcript") for row in rows] == ["two\nlines", "one", "x\r\ny", None]

    def test_what_is_wrong_with_a_line_does_not_stop_the_others(self, write):
        rows = list(read_table(write("name,emotion\na,sad,oh,dear\nb\nc\0,sad\nd,sad\n")))
        assert [row.problem for row in rows] == [
            "4 cells where the header has 2; quote what holds separators",
            None,
            "holds zero bytes; save the file as UTF-8 CSV again",
            None,
        ]

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            pytest.param('name,emotion\na,sad\nb,"happy\nc,sad\nd,sad\n', "line 3: unexpected end", id="open quote"),
            pytest.param('name,emotion\na,sad\n"b"x,happy\n', "line 3: .* expected after", id="stray quote"),
            pytest.param('name,"emotion\na,sad\n', "line 1: unexpected end", id="open quote in the header"),
            pytest.param("", "no name column: .*found an empty file", id="empty"),
            pytest.param("\ufeff \n\n", "found an empty file", id="blank"),
            pytest.param("title,emotion\na,sad\n", "no name column: looked for name, file, found title", id="no name"),
            pytest.param("a,sad\nb,happy\n", "no name column: .*found a, sad", id="no header"),
            pytest.param("name,emotion,Name \na,sad,b\n", "has the column name more than once", id="repeated column"),
            pytest.param("name,emotion\na,sad\n".encode("utf-16-le"), "line 1: not UTF-8 text", id="UTF-16 unmarked"),
            pytest.param(b"name,emotion\na,sad\nb,\x81\n", "line 3: not UTF-8", id="no Windows-1252"),
            pytest.param(b"name\ra\r\nb\r\x8d\r", "line 4: not UTF-8", id="mixed line ends"),
            pytest.param(b"name\n" + b"a\n" * 9999 + b"\x90\n", "line 10001: not UTF-8", id="far down"),
            pytest.param("name,note\na,b\nc," + "x" * 10_000_000, "line 3: field larger", id="10 MB in a cell"),
        ],
    )
    def test_refused(self, write, content, message):
        path = write(content)
        with pytest.raises(CorpusDataError, match=f"metadata.csv.* ?{message}") as error:
            list(read_table(path, {"name": ("name", "file")}))
        assert str(path) in str(error.value)

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
    @pytest.mark.parametrize("first", ["", "sep=;\r\n", '"sep=;"\n', "\nSEP=;\n"])
    def test_what_excel_writes(self, write, encoding, first, caplog):
        text = f'{first}Name;Start;Label\r\n"a;b.wav";0,5;fröhlich\r\n'
        with caplog.at_level("WARNING"):
            (row,) = read_table(write(text.encode(encoding)))
        assert row == {"name": "a;b.wav", "start": "0,5", "label": "fröhlich"} and row.columns == list(row)
        assert row.line == 2 + first.count("\n")
        line = f"is not UTF-8 and is read as Windows-1252, e.g. line {row.line}: "
        assert (line in caplog.text) == (encoding == "cp1252")

    @given(
        cells=st.lists(st.lists(st.text(CHARACTERS), min_size=3, max_size=3)),
        separator=st.sampled_from(",;\t"),
        line_end=st.sampled_from(["\n", "\r\n", "\r"]),
        mark=st.booleans(),
        all_quoted=st.booleans(),
    )
    def test_what_csv_writes_comes_back(self, path, cells, separator, line_end, mark, all_quoted):
        if not all_quoted:  # csv leaves line ends other than its own without quotes
            cells = [[cell.replace("\r", " ").replace("\n", " ") for cell in row] for row in cells]
        quoting = csv.QUOTE_ALL if all_quoted else csv.QUOTE_MINIMAL
        text = io.StringIO(newline="")
        writer = csv.writer(text, delimiter=separator, lineterminator=line_end, quoting=quoting)
        writer.writerows([["one", "two", "three"], *cells])
        path.write_text(text.getvalue(), encoding="utf-8-sig" if mark else "utf-8", newline="")
        stripped = [{name: cell.strip() for name, cell in zip(("one", "two", "three"), row)} for row in cells]
        expected = [{name: cell for name, cell in row.items() if cell} for row in stripped]
        rows = list(read_table(path))
        assert rows == [row for row in expected if row] and not any(row.problem for row in rows)


class TestJsonLines:
    @pytest.mark.parametrize(
        ("line", "cells"),
        [
            ('{"name": "a", "age": 41, "start": 1.5, "split": null}', {"name": "a", "age": "41", "start": "1.5"}),
            ('{" Name ": " a ", "emotion": ["sad", "other"], "note": ""}', {"name": "a", "emotion": "sad;other"}),
            ('{"name": true, "age": NaN}', {"name": "True", "age": "nan"}),
            ("{}", {}),
        ],
    )
    def test_values_as_cells(self, write, line, cells):
        (row,) = read_table(write(f"\ufeff\n{line}\r\n", "metadata.jsonl"))
        assert row == cells and row.line == 2 and row.problem is None

    def test_objects_are_refused_where_they_are_read(self, write):
        line = '{"name": "a", "emotion": {"main": "sad"}, "speaker": [["x"]], "words": [{"text": "Yes."}]}'
        (row,) = read_table(write(line, "metadata.jsonl"))
        assert row.first("name") == "a" and row.first("gender") is None
        for column in ("emotion", "speaker"):
            with pytest.raises(ValueError, match=f"{column} holds an object or nested lists; give text"):
                row.first("gone", column)

    @pytest.mark.parametrize("line", ['{"name": "a", "name": "b"}', '{"name": "a", "Name ": "a"}'])
    def test_repeated_keys(self, write, line):
        (row,) = read_table(write(line, "metadata.jsonl"))
        assert row.problem == "has a key more than once; rename or remove one"

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ('["a", "sad"]', "no JSON object, but list"),
            ('"a"', "no JSON object, but str"),
            ('{"name": "a"', "no JSON"),
            ("name,emotion", "no JSON"),
            ('{"name": "\\ud800"}', "no JSON .*surrogates"),
            ('{"name": ' + "9" * 5000 + "}", "no JSON .*digits"),
            ('{"name": ' + "[" * 100_000, "no JSON .*recursion"),
        ],
    )
    def test_refused(self, write, line, message):
        path = write(f'{{"name": "a"}}\n\n{line}\n', "metadata.jsonl")
        with pytest.raises(CorpusDataError, match=f"metadata.jsonl, line 3: {message}"):
            list(read_table(path))

    def test_not_utf8(self, write):
        with pytest.raises(CorpusDataError, match=r"metadata\.jsonl, line 2: not UTF-8"):
            list(read_table(write('{"name": "a"}\n{"name": "ö"}\n'.encode("latin-1"), "metadata.jsonl")))

    @pytest.mark.fuzz
    @given(st.dictionaries(st.text(), st.recursive(st.none() | st.text() | st.floats(), st.lists, max_leaves=5)))
    def test_any_object(self, path, values):
        path = path.with_suffix(".jsonl")
        path.write_text(json.dumps(values))
        try:
            (row,) = read_table(path)
        except CorpusDataError as error:
            assert f"{path}, line 1" in str(error)
        else:
            assert row.problem or set(row) <= {key.strip().lower() for key in values}


class TestGivenTable:
    def test_one_several_and_what_is_no_table(self):
        assert given_table({"train": ["/a/b.TSV"]}).name == "b.TSV"
        assert given_table(None) is given_table({}) is given_table({"train": ["a.wav", "metadata.csv"]}) is None
        with pytest.raises(CorpusDataError, match=r"one metadata file is read, but data_files are a\.csv, b\.jsonl"):
            given_table({"train": ["a.csv"], "test": ["b.jsonl"]})
