"""Reading metadata that people wrote: CSV with any usual separator, or JSON lines, with errors that name the line."""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from .base import CorpusDataError


_SEPARATORS = (",", ";", "\t")


class Row(dict):
    """One line: lower-case column -> text, empty cells left out. `line` is its number in the file, from 1."""

    line: int
    #: What is wrong with the whole line, if anything.
    problem: str | None = None

    def first(self, *names: str) -> str | None:
        """The first of the columns that is there and not empty."""
        return next((self[name] for name in names if name in self), None)


def read_table(path: Path, required: Mapping[str, Sequence[str]] | None = None) -> Iterator[Row]:
    """Rows of a `.jsonl` file, or of a CSV file with a header and `,`, `;` or tabs between cells, in UTF-8.

    Args:
        path: of the file.
        required: what each field may be called; a file that has none of a field's names is refused.

    Raises:
        CorpusDataError: not UTF-8, no header, repeated or missing columns, or quotes or JSON that do not close.
    """
    rows = _read_json_lines(path) if path.suffix.lower() == ".jsonl" else _read_csv(path, required or {})
    try:
        yield from rows
    except UnicodeDecodeError as error:
        with path.open("rb") as file:
            line = next((n for n, text in enumerate(file, 1) if not _is_utf8(text)), 1)
        raise CorpusDataError(f"{path}, line {line}: not UTF-8 ({error.reason}); save the file as UTF-8") from error


def _read_csv(path: Path, required: Mapping[str, Sequence[str]]) -> Iterator[Row]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        header = file.readline()
        if "\0" in header:
            raise CorpusDataError(f"{path}: not UTF-8 text (it holds zero bytes); save the file as UTF-8 CSV")
        file.seek(0)
        # Strict: a quote that never closes would swallow the rest of the file as one cell.
        reader = csv.reader(file, delimiter=max(_SEPARATORS, key=header.count), strict=True)
        columns: list[str] = []
        try:
            columns = [name.strip().lower() for name in next(reader, [])]
            _check_columns(path, columns, required)
            last = reader.line_num
            for cells in reader:
                row = Row((name, text) for name, cell in zip(columns, cells) if (text := cell.strip()))
                row.line, last = last + 1, reader.line_num
                if not row and not any(cells):
                    continue  # an empty line
                if len(cells) > len(columns):
                    row.problem = (
                        f"{len(cells)} cells where the header has {len(columns)}; quote what holds separators"
                    )
                yield row
        except csv.Error as error:
            raise CorpusDataError(f"{path}, line {reader.line_num}: {error}; check the quotes around it") from error


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
                values = json.loads(text)
            except json.JSONDecodeError as error:
                raise CorpusDataError(f"{path}, line {number}: no JSON ({error.msg})") from error
            if not isinstance(values, dict):
                raise CorpusDataError(f"{path}, line {number}: no JSON object, but {type(values).__name__}")
            texts = {key.strip().lower(): _text(value) for key, value in values.items()}
            row = Row((key, text) for key, text in texts.items() if text)
            row.line = number
            yield row


def _text(value) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return ";".join(map(str, value))
    return str(value).strip()


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
