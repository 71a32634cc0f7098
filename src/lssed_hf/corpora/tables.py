"""Reading metadata that people wrote: CSV with any usual separator, or JSON lines, with errors that name the line."""

import csv
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from .base import CorpusDataError


TABLE_SUFFIXES = (".csv", ".tsv", ".jsonl")
_SEPARATORS = (",", ";", "\t")


class Row(dict):
    """One line: lower-case column -> text, empty cells left out. `line` is its number in the file, from 1.

    Objects of JSON, which no cell of a CSV file can hold, are kept as they are: they matter only where they are read.
    """

    line: int
    #: What is wrong with the whole line, if anything.
    problem: str | None = None

    def first(self, *names: str) -> str | None:
        """The first of the columns that is there and not empty.

        Raises:
            ValueError: it holds an object in place of text.
        """
        name = next((name for name in names if name in self), None)
        if name is not None and not isinstance(self[name], str):
            raise ValueError(f"{name} holds an object or nested lists; give text, a number or a list of these")
        return self.get(name)


def read_table(path: Path, required: Mapping[str, Sequence[str]] | None = None) -> Iterator[Row]:
    """Rows of a `.jsonl` file, or of a CSV file with a header and `,`, `;` or tabs between cells, in UTF-8.

    Args:
        path: of the file.
        required: what each field may be called; a CSV file that has none of a field's names is refused.

    Raises:
        CorpusDataError: not UTF-8, no header, repeated or missing columns, or quotes or JSON that do not close.
    """
    rows = _read_json_lines(path) if path.suffix.lower() == ".jsonl" else _read_csv(path, required or {})
    try:
        yield from rows
    except UnicodeDecodeError as error:
        lines = path.read_bytes().splitlines()
        line = next((number for number, text in enumerate(lines, 1) if not _is_utf8(text)), 1)
        raise CorpusDataError(f"{path}, line {line}: not UTF-8 ({error.reason}); save the file as UTF-8") from error


def given_table(data_files: Mapping[str, Sequence[str]] | None) -> Path | None:
    """The table that a user gave as `data_files`, if any.

    Raises:
        CorpusDataError: there are several.
    """
    given = [str(path) for paths in (data_files or {}).values() for path in paths]
    # Where no data_files were given, load_dataset puts everything below data_dir there.
    if not given or not all(path.lower().endswith(TABLE_SUFFIXES) for path in given):
        return None
    if len(given) > 1:
        raise CorpusDataError(f"one metadata file is read, but data_files are {', '.join(given)}")
    return Path(given[0])


def _read_csv(path: Path, required: Mapping[str, Sequence[str]]) -> Iterator[Row]:
    records = _records(path)
    number, header = next(records, (1, []))
    if any("\0" in name for name in header):
        raise CorpusDataError(
            f"{path}, line {number}: not UTF-8 text (it holds zero bytes); save the file as UTF-8 CSV"
        )
    columns = [name.strip().lower() for name in header]
    _check_columns(path, columns, required)
    for number, cells in records:
        row = Row((name, text) for name, cell in zip(columns, cells) if (text := cell.strip()))
        row.line = number
        if any(cell.strip() for cell in cells[len(columns) :]):
            row.problem = f"{len(cells)} cells where the header has {len(columns)}; quote what holds separators"
        elif any("\0" in cell for cell in cells):
            row.problem = "holds zero bytes; save the file as UTF-8 CSV again"
        yield row


def _records(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The cells of every line that is not blank, and the number of the line on which they begin."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        header = next((line for line in file if line.strip()), "")
        file.seek(0)
        unquoted = re.sub(r'"[^"]*"', "", header)
        # Strict: a quote that never closes would swallow the rest of the file as one cell.
        reader = csv.reader(file, delimiter=max(_SEPARATORS, key=unquoted.count), strict=True)
        number = 1
        try:
            for cells in reader:
                if any(cell.strip() for cell in cells):
                    yield number, cells
                number = reader.line_num + 1
        except csv.Error as error:
            raise CorpusDataError(f"{path}, line {number}: {error}; check the quotes from there on") from error


def _check_columns(path: Path, columns: list[str], required: Mapping[str, Sequence[str]]) -> None:
    found = ", ".join(columns) or "an empty file"
    for field, names in required.items():
        if not set(names) & set(columns):
            raise CorpusDataError(f"{path} has no {field} column: looked for {', '.join(names)}, found {found}")
    if repeated := {name for name in columns if name and columns.count(name) > 1}:
        raise CorpusDataError(f"{path} has the column {', '.join(sorted(repeated))} more than once; rename one")


def _read_json_lines(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig") as file:
        for number, text in enumerate(file, 1):
            if not text.strip():
                continue
            try:
                pairs = json.loads(text, object_pairs_hook=tuple)  # a dict would drop repeated keys
                json.dumps(pairs, ensure_ascii=False).encode()
            except (ValueError, RecursionError) as error:  # also endless numbers and halves of surrogate pairs
                raise CorpusDataError(f"{path}, line {number}: no JSON ({error})") from error
            if not isinstance(pairs, tuple):
                raise CorpusDataError(f"{path}, line {number}: no JSON object, but {type(pairs).__name__}")
            cells = [(key.strip().lower(), _cell(value)) for key, value in pairs]
            row = Row((key, cell) for key, cell in cells if cell != "")
            row.line = number
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
