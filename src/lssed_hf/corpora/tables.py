"""Reading metadata that people wrote: CSV with any usual separator, or JSON lines, with errors that name the line."""

import codecs
import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import datasets

from .base import CorpusDataError


TABLE_SUFFIXES = (".csv", ".tsv", ".jsonl", ".json")
SPREADSHEET_SUFFIXES = (".xlsx", ".xls", ".xlsm", ".ods")
_JSON_SUFFIXES = (".jsonl", ".json")
_JSON = json.JSONDecoder(object_pairs_hook=tuple)  # a dict would drop repeated keys
_SEPARATORS = (",", ";", "\t")
_SPACE = re.compile(r"\s*")
_ZERO = "\uffff"  # a zero byte, which csv refuses before Python 3.11; no text holds this character
_EXCEL_SEPARATOR = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)  # the first line of some CSV files of Excel

logger = datasets.logging.get_logger(__name__)


class Row(dict):
    """Line of a table: lower-case column -> text, empty cells left out.

    Objects of JSON, which no cell of a CSV file can hold, are kept as they are: they matter only where they are read.
    """

    #: Number of the line in its file, from 1.
    line: int
    #: All columns of the table, or the keys of the line where it is JSON.
    columns: Sequence[str] = ()
    #: What is wrong with the whole line, if anything.
    problem: str | None = None

    def first(self, *names: str) -> str | None:
        """Return the first of the columns that is there and not empty.

        Raises:
            ValueError: It holds an object in place of text.
        """
        name = next((name for name in names if name in self), None)
        if name is not None and not isinstance(self[name], str):
            raise ValueError(f"{name} holds an object or nested lists; give text, a number or a list of these")
        return self.get(name)


def find_table(data_dir: Path, *names: str) -> Path | None:
    """Return the first file with one of these names, in a folder or one level below, None where there is none."""
    below = sorted(path for path in data_dir.iterdir() if path.is_dir())
    paths = (folder / name for folder in (data_dir, *below) for name in names)
    return next((path for path in paths if path.is_file()), None)


def column_pairs(
    given: Mapping[str, str] | Sequence[str] | None, known: Mapping[str, Sequence[str]]
) -> dict[str, str]:
    """Return field -> column of the user's table, in lower case.

    Args:
        given: Mapping of field to column, or texts FIELD=COLUMN.
        known: Names of each field's column, which may be given in place of the field.

    Raises:
        ValueError: A field is unknown or given twice, or has no column.
    """
    items = given.items() if isinstance(given, Mapping) else [text.partition("=")[::2] for text in given or ()]
    fields = {name: field for field, names in known.items() for name in (field, *names)}
    pairs: dict[str, str] = {}
    for name, column in items:
        field = fields.get(name.strip().lower())
        if field is None or field in pairs or not column.strip():
            raise ValueError(
                f"columns {name}={column}: give each field one column, as --columns emotion=mood; fields are "
                f"{', '.join(known)}"
            )
        pairs[field] = column.strip().lower()
    return pairs


def rename_columns(row: Row, columns: Mapping[str, str], known: Mapping[str, Sequence[str]]) -> None:
    """Give cells the usual name of their field, and drop cells that have one of the field's names by chance.

    Args:
        row: Line of a table.
        columns: Field -> column, as `column_pairs` returns it.
        known: Names of each field's column, the usual one first.
    """
    cells = {known[field][0]: row.get(column) for field, column in columns.items()}
    for name in (*columns.values(), *(name for field in columns for name in known[field])):
        row.pop(name, None)
    row.update((name, cell) for name, cell in cells.items() if cell is not None)
    row.columns = [*row.columns, *cells]


def read_table(path: Path, required: Mapping[str, Sequence[str]] | None = None) -> Iterator[Row]:
    """Read the rows of JSON, or of a CSV file with a header and `,`, `;` or tabs between cells.

    JSON is a list of objects in a `.json` file, or an object on each line of a `.jsonl` file.

    Text is UTF-8, or UTF-16 with a byte order mark. Other CSV is read as Windows-1252, with a warning.

    Args:
        path: Path of the file.
        required: Possible names of each column that must be there; a CSV file that lacks one is refused.

    Raises:
        CorpusDataError: The text has no header, repeated or missing columns, or quotes or JSON that do not close.
    """
    text = read_text(path)
    if path.suffix.lower() in _JSON_SUFFIXES:
        return _read_json(path, _json_list(path, text) if path.suffix.lower() == ".json" else _json_lines(path, text))
    return _read_csv(path, text, required or {})


def read_text(path: Path, errors: str = "strict") -> str:
    """Read text in UTF-8, or in UTF-16 with a byte order mark. Other lines are Windows-1252, with a warning.

    Args:
        path: Path of the file.
        errors: Treatment of bytes that no encoding has, "strict" or "replace".

    Raises:
        CorpusDataError: The text is in none of these; JSON lines have to be UTF-8 or UTF-16.
    """
    content = path.read_bytes()
    is_utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return content.decode("utf-16" if is_utf16 else "utf-8-sig", errors if is_utf16 else "strict")
    except UnicodeDecodeError as error:
        reason = error.reason
    number, line = _first_line_that_is_not_utf8(content)
    if not is_utf16 and path.suffix.lower() not in _JSON_SUFFIXES:
        try:
            text = _decode_lines(content, errors)
        except UnicodeDecodeError as error:
            reason = error.reason
        else:
            shown = line.decode("cp1252", errors).strip()[:60]
            logger.warning(f"{path} is not UTF-8 and is read as Windows-1252, e.g. line {number}: {shown}")
            return text
    raise CorpusDataError(f"{path}, line {number}: not UTF-8 ({reason}); save the file as UTF-8")


def _decode_lines(content: bytes, errors: str) -> str:
    """Decode each line as UTF-8 if it is, else as Windows-1252: some releases mix the two."""
    lines = content.removeprefix(codecs.BOM_UTF8).splitlines(keepends=True)
    return "".join(line.decode() if _is_utf8(line) else line.decode("cp1252", errors) for line in lines)


def decode_text(content: bytes, fallback: str) -> str:
    """Decode text in UTF-8, in UTF-16 with a byte order mark, or else in another encoding, whatever it costs."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", errors="replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode(fallback, errors="replace")


def _first_line_that_is_not_utf8(content: bytes) -> tuple[int, bytes]:
    lines = content.splitlines()
    return next(((number, line) for number, line in enumerate(lines, 1) if not _is_utf8(line)), (1, lines[0]))


def given_table(data_files: Mapping[str, Sequence[str]] | None) -> Path | None:
    """Return the table that a user gave as `data_files`, if any.

    Raises:
        CorpusDataError: There are several, or it is a spreadsheet.
    """
    given = [str(path) for paths in (data_files or {}).values() for path in paths]
    if len(given) == 1 and given[0].lower().endswith(SPREADSHEET_SUFFIXES):
        raise CorpusDataError(f"{given[0]} is a spreadsheet, which is not read: save it as CSV")
    # Where no data_files were given, load_dataset puts everything below data_dir there.
    if not given or not all(path.lower().endswith(TABLE_SUFFIXES) for path in given):
        return None
    if len(given) > 1:
        raise CorpusDataError(f"one metadata file is read, but data_files are {', '.join(given)}")
    return Path(given[0])


def _read_csv(path: Path, text: str, required: Mapping[str, Sequence[str]]) -> Iterator[Row]:
    records = _records(path, text)
    number, header = next(records, (1, []))
    if any(_ZERO in name for name in header):
        raise CorpusDataError(
            f"{path}, line {number}: not UTF-8 text (it holds zero bytes); save the file as UTF-8 CSV"
        )
    columns = [name.strip().lower() for name in header]
    _check_columns(path, columns, required)
    for number, cells in records:
        row = Row((name, text) for name, cell in zip(columns, cells) if (text := cell.strip()))
        row.line, row.columns = number, columns
        if any(cell.strip() for cell in cells[len(columns) :]):
            row.problem = f"{len(cells)} cells where the header has {len(columns)}; quote what holds separators"
        elif any(_ZERO in cell for cell in cells):
            row.problem = "holds zero bytes; save the file as UTF-8 CSV again"
        yield row


def _records(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the cells of every line that is not blank, and the number of the line on which they begin."""
    file = io.StringIO(text, newline="")
    number = 1
    header = next((line for line in file if line.strip()), "")
    if separator := _EXCEL_SEPARATOR.fullmatch(header):
        delimiter, number = separator[1], _header_line(text) + 1
    else:
        unquoted = re.sub(r'"[^"]*"', "", header)
        delimiter = max(_SEPARATORS, key=unquoted.count)
        file.seek(0)
    # Strict: a quote that never closes would swallow the rest of the file as one cell.
    reader = csv.reader((line.replace("\0", _ZERO) for line in file), delimiter=delimiter, strict=True)
    first = number
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield number, cells
            number = first + reader.line_num
    except csv.Error as error:
        raise CorpusDataError(f"{path}, line {number}: {error}; check the quotes from there on") from error


def _header_line(text: str) -> int:
    """Return the number of the first line that is not blank."""
    return 1 + next((number for number, line in enumerate(text.splitlines()) if line.strip()), 0)


def _check_columns(path: Path, columns: list[str], required: Mapping[str, Sequence[str]]) -> None:
    found = ", ".join(columns) or "an empty file"
    for field, names in required.items():
        if not set(names) & set(columns):
            raise CorpusDataError(f"{path} has no {field} column: looked for {', '.join(names)}, found {found}")
    if repeated := {name for name in columns if name and columns.count(name) > 1}:
        raise CorpusDataError(f"{path} has the column {', '.join(sorted(repeated))} more than once; rename one")


def _json_lines(path: Path, lines: str) -> Iterator[tuple[int, object]]:
    """Yield the values of JSON lines, each with the number of its line."""
    for number, text in enumerate(io.StringIO(lines), 1):
        if text.strip():
            value, end = _json_value(path, number, text, len(text) - len(text.lstrip()))
            if text[end:].strip():
                raise CorpusDataError(f"{path}, line {number}: no JSON (more follows after its end)")
            yield number, value


def _json_list(path: Path, text: str) -> Iterator[tuple[int, object]]:
    """Yield the values of a JSON list, each with the number of the line on which it begins."""
    number, end, expected = 1, 0, "["
    while True:
        start = _SPACE.match(text, end).end()
        number, end = number + text.count("\n", end, start), start
        if expected == "," and text[end : end + 1] == "]":
            return
        if text[end : end + 1] != expected:
            raise CorpusDataError(f"{path}, line {number}: no list of JSON objects; JSON lines are named .jsonl")
        start = _SPACE.match(text, end + 1).end()
        if expected == "[" and text[start : start + 1] == "]":
            return
        number += text.count("\n", end, start)
        value, end = _json_value(path, number, text, start)
        yield number, value
        number, expected = number + text.count("\n", start, end), ","


def _json_value(path: Path, number: int, text: str, start: int) -> tuple[object, int]:
    """Return the value of JSON that begins at a character, and the character behind it."""
    try:
        value, end = _JSON.raw_decode(text, start)
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:  # also endless numbers and halves of surrogate pairs
        raise CorpusDataError(f"{path}, line {number}: no JSON ({error})") from error
    return value, end


def _read_json(path: Path, values: Iterable[tuple[int, object]]) -> Iterator[Row]:
    for number, pairs in values:
        if not isinstance(pairs, tuple):
            raise CorpusDataError(f"{path}, line {number}: no JSON object, but {type(pairs).__name__}")
        cells = [(key.strip().lower(), _cell(value)) for key, value in pairs]
        row = Row((key, cell) for key, cell in cells if cell != "")
        row.line, row.columns = number, [key for key, _ in cells]
        if len({key for key, _ in cells}) < len(cells):
            row.problem = "has a key more than once; rename or remove one"
        yield row


def _cell(value: object) -> object:
    """Text of a value of JSON, or the value itself where it is an object or has some inside."""
    if value is None:
        return ""
    if isinstance(value, tuple) or (isinstance(value, list) and any(isinstance(v, (tuple, list)) for v in value)):
        return value
    return ";".join(map(str, value)) if isinstance(value, list) else str(value).strip()


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
