"""Tables of people's own recordings: their discovery, and the file and label that each row names."""

import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ...scan import RECORDING_SUFFIXES
from ...wording import count_left_out
from ..base import DIMENSIONS, CorpusDataError, Reject
from ..fields import SPLIT_NAMES
from ..tables import SPREADSHEET_SUFFIXES, TABLE_SUFFIXES, Row, read_table, rename_columns
from .folder_trees import composed, is_recording, walk
from .label_names import are_mostly_emotions


#: Label of all clips of a table that has ratings of dimensions and no column of labels.
UNLABELLED = "unlabelled"
_SHOWN = 8  # names in a message


class Clip(NamedTuple):
    """Utterance before its fields are read.

    Args:
        source: Place for messages: table and line, or file.
        path: Path of the recording.
        label: Text that names the label.
        row: Other columns.
    """

    source: str
    path: Path
    label: str
    row: Row


class Columns(NamedTuple):
    """Possible names of the columns of a table, lower case, the preferred ones first."""

    path: Sequence[str] = ("path", "file", "file_name", "filename", "audio", "name")
    label: Sequence[str] = ("emotion", "label")
    speaker: Sequence[str] = ("speaker", "speaker_id")


#: Columns of each field, the usual one first.
FIELDS = {
    **dict(zip(("path", "emotion", "speaker"), Columns())),
    "session": ("session", "session_id"),
    **{name: (name,) for name in ("gender", "age", "age_group", "transcript", "split", "start", "end", *DIMENSIONS)},
}
_KNOWN = {name for names in FIELDS.values() for name in names}
#: Flag of each field of `Columns`.
_FLAGS = {"path": "--audio_column_name", "label": "--label_column_name", "speaker": "--speaker_column_name"}


class Table(NamedTuple):
    """Table of clips.

    Args:
        path: Path of the file.
        split: Split that the file or its folder is named after, if any.
    """

    path: Path
    split: str | None = None


def find_tables(data_dir: Path) -> list[Table]:
    """Return the tables of a folder: `metadata.*` in it, else its only table, else one for each split.

    A table for each split is named after it (`train.csv`) or is in a folder named after it (`train/metadata.csv`).

    Raises:
        CorpusDataError: There are several tables, and none is preferred.
    """
    tables = _tables_in(data_dir)
    named = [path for path in tables if path.stem.lower() == "metadata"]
    if len(named or tables) == 1:
        return [Table(path) for path in named or tables]
    if tables and not named and all(path.stem.lower() in SPLIT_NAMES for path in tables):
        return [Table(path, SPLIT_NAMES[path.stem.lower()]) for path in tables]
    if tables:
        names = ", ".join(path.name for path in (named or tables)[:_SHOWN])
        raise CorpusDataError(
            f"{data_dir} holds several metadata files: {names}; keep one there, or give one of them by "
            f'--dataset_options \'{{"data_files": "{(named or tables)[0]}"}}\''
        )
    return [
        Table(path, SPLIT_NAMES.get(folder.name.lower()))
        for folder in sorted(data_dir.iterdir())
        if folder.is_dir() and not folder.name.startswith(".")
        for path in _tables_in(folder)
        if path.stem.lower() == "metadata"
    ]


def _tables_in(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in TABLE_SUFFIXES and path.is_file() and not path.name.startswith((".", "~$"))
        # Many other things are JSON, such as settings.
        if path.suffix.lower() != ".json" or path.stem.lower() == "metadata"
    )


def find_spreadsheets(data_dir: Path) -> list[Path]:
    """Return files of spreadsheet programs, which are not read."""
    return sorted(path for path in data_dir.iterdir() if path.suffix.lower() in SPREADSHEET_SUFFIXES)


def clips_of_tables(
    tables: Sequence[Table],
    data_dir: Path,
    columns: Columns,
    label_of: Callable[[str], str] | None,
    renamed: Mapping[str, str],
) -> Iterator[Clip | Reject]:
    """Yield the clip that each row names, or a reject with the reason.

    Args:
        tables: Tables.
        data_dir: Folder that holds all recordings.
        columns: Names of the columns.
        label_of: Function that finds the label in a path, in place of a column.
        renamed: Field -> column of the tables, see `rename_columns`.

    Raises:
        CorpusDataError: A table lacks the column with the paths or the labels.
    """
    for table in tables:
        required = {field: (column,) for field, column in renamed.items()}
        rows = [(f"{table.path}, line {row.line}", row) for row in read_table(table.path, required)]
        for _, row in rows:
            rename_columns(row, renamed, FIELDS)
        yield from clips_of_rows(rows, table, data_dir, columns, label_of)


def clips_of_rows(
    rows: Sequence[tuple[str, Row]],
    table: Table,
    data_dir: Path,
    columns: Columns,
    label_of: Callable[[str], str] | None,
) -> Iterator[Clip | Reject]:
    """Yield the clip that each row of a table names, or a reject with the reason.

    Args:
        rows: Rows, each with its place for messages.
        table: Table of the rows.
        data_dir: Folder that holds all recordings.
        columns: Names of the columns.
        label_of: Function that finds the label in a path, in place of a column.

    Raises:
        CorpusDataError: The table is empty, or lacks the column with the paths or the labels.
    """
    if not rows:
        raise CorpusDataError(f"{table.path} has no rows; write one for each clip")
    names = {*_column_names([row for _, row in rows])}
    if (
        label_of is None
        and columns.label == Columns().label
        and not names & {*columns.label}
        and names & {*DIMENSIONS}
    ):

        def label_of(path: str) -> str:
            return UNLABELLED

    _check_columns([row for _, row in rows], table.path, columns, label_of is not None)
    files = Files(data_dir, table.path.parent)
    for source, row in rows:
        name = ""
        if table.split:
            row.setdefault("split", table.split)
        try:
            name = row.first(*columns.path) or ""
            if row.problem:
                raise ValueError(row.problem)
            if not name:
                raise ValueError(f"no file given; looked for {', '.join(columns.path)}")
            path = files.find(name)
            label = row.first(*columns.label) if label_of is None else label_of(files.below(path))
            if label is None:
                raise ValueError(f"no label given; looked for {', '.join(columns.label)}")
            yield Clip(source, path, label, row)
        except ValueError as error:
            yield Reject(name, source, str(error))


def _check_columns(rows: Sequence[Row], path: Path, columns: Columns, labels_elsewhere: bool) -> None:
    found = _column_names(rows)
    usual = Columns()
    missing: dict[str, str] = {}
    flags: list[str] = []
    for field, names in columns._asdict().items():
        chosen = names != getattr(usual, field)
        needed = chosen or field == "path" or (field == "label" and not labels_elsewhere)
        if not needed or set(names) & set(found):
            continue
        missing[field] = f"no {field} column (looked for {', '.join(names)})"
        guess = {"path": _guess_path, "label": _guess_label}.get(field, lambda rows, found: None)(rows, found)
        flags.append(f"{_FLAGS[field]} {_quoted(guess) if guess else 'COLUMN'}")
    if missing:
        raise CorpusDataError(
            f"{path} has {' and '.join(missing.values())}; found {', '.join(found) or 'none'}. Add {' '.join(flags)}"
        )


def guess_speaker(rows: Sequence[Row], columns: Columns) -> str | None:
    """Return the first column without a meaning whose values recur like names of speakers, ready for a flag."""
    known = {*_KNOWN, *columns.path, *columns.label}
    for column in dict.fromkeys(name for row in rows for name in row.columns if name not in known):
        texts = _texts(rows, column)
        if 2 <= len(set(texts)) <= len(texts) / 2 and not any(map(is_recording, texts)):
            return _quoted(column)
    return None


def names_recordings(path: Path) -> bool:
    """Return whether a table has a column with paths of recordings, whatever its name."""
    rows = list(read_table(path))
    found = _column_names(rows)
    return bool(set(Columns().path) & set(found) or (rows and _guess_path(rows, found)))


def _column_names(rows: Iterable[Row]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row.columns if name))


def _quoted(name: str) -> str:
    return f"'{name}'" if " " in name else name


def _texts(rows: Iterable[Row], column: str) -> list[str]:
    return [text for row in rows if isinstance(text := row.get(column), str)]


def _guess_path(rows: Sequence[Row], found: Sequence[str]) -> str | None:
    """Return the column in which most cells end like names of audio files."""

    def share(column: str) -> float:
        return sum(map(is_recording, _texts(rows, column))) / len(rows)

    best = max(found, key=share, default=None)
    return best if best is not None and share(best) > 0.5 else None


def _guess_label(rows: Sequence[Row], found: Sequence[str]) -> str | None:
    """Return the column of emotion words, else the text column with the fewest distinct values, but at least two."""
    values = {column: set(_texts(rows, column)) for column in found}
    words = {
        column: texts
        for column, texts in values.items()
        if len(texts) > 1
        and not any(is_recording(text) or text.replace(",", ".").replace(".", "").isdigit() for text in texts)
    }
    emotional = [column for column, texts in words.items() if are_mostly_emotions(texts)]
    return next(iter(emotional), None) or min(words, key=lambda column: len(words[column]), default=None)


class Files:
    """Files that the rows of a table name.

    Args:
        data_dir: Resolved folder that must hold all of them.
        table_dir: Folder of the table. Paths may start there as well.
    """

    def __init__(self, data_dir: Path, table_dir: Path):
        self._data_dir = data_dir
        # Paths in many tables begin with the name of the data folder, so they start at its parent.
        self._bases = list(dict.fromkeys([Path(os.path.realpath(table_dir)), data_dir, data_dir.parent]))
        self._listings: dict[str, dict[str, list[str]]] = {}
        self._all: dict[str, list[Path]] | None = None

    def below(self, path: Path) -> str:
        """Return a path below the data folder, with composed characters."""
        return composed(path.relative_to(self._data_dir))

    def find(self, name: str) -> Path:
        """Return the file that a cell names.

        Raises:
            ValueError: There is no such audio file in the data folder, or several would do.
        """
        text = name.replace("\\", "/")
        inside, outside = False, f"{name!r} leads out of the data folder; give paths below {self._data_dir}"
        if "\0" in text or text.startswith("~") or re.match(r"[A-Za-z]:", text):
            raise ValueError(outside)
        for form in dict.fromkeys([text, unicodedata.normalize("NFC", text), unicodedata.normalize("NFD", text)]):
            for base in self._bases:
                path = self._inside(os.path.normpath(base / form))
                if path is None:
                    continue
                inside = True
                if os.path.isfile(path):
                    if not is_recording(form):
                        known = ", ".join(RECORDING_SUFFIXES)
                        raise ValueError(f"{name!r} is no audio or video file by its suffix; known are {known}")
                    return path
                if found := self._with_suffix(path):
                    if len(found) > 1:
                        raise ValueError(f"{name!r} could be {' or '.join(found)}; give the suffix")
                    return path.with_name(found[0])
        if not inside:
            raise ValueError(outside)
        if "/" not in text and (found := self._anywhere(unicodedata.normalize("NFC", text))):
            if len(found) > 1:
                raise ValueError(f"{name!r} could be {' or '.join(map(self.below, found[:2]))}; give the path")
            return found[0]
        raise ValueError(f"no file {name!r} in {self._data_dir}")

    def _inside(self, path: str) -> Path | None:
        """Return a normalized path as a path below the data folder, None if it leads elsewhere."""
        for candidate in (path, os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))):
            if Path(candidate).is_relative_to(self._data_dir):
                return Path(candidate)
        return None

    def _anywhere(self, name: str) -> list[Path]:
        """Return the audio files with a name, given with or without suffix, in any folder."""
        if self._all is None:
            self._all = {}
            for path in walk(self._data_dir)[0]:
                for key in {composed(path.name), composed(path.stem)}:
                    self._all.setdefault(key, []).append(path)
        return self._all.get(name, [])

    def _with_suffix(self, path: Path) -> list[str]:
        """Return the names of the audio files that a path without suffix may stand for."""
        folder = str(path.parent)
        if folder not in self._listings:
            listing: dict[str, list[str]] = {}
            for file in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
                if is_recording(file):
                    listing.setdefault(os.path.splitext(file)[0], []).append(file)
            self._listings[folder] = listing
        return self._listings[folder].get(path.name, [])


def unnamed_line(files: Sequence[Path], data_dir: Path, tables: Sequence[Table]) -> str:
    """Return a line that counts and lists the audio files without a row."""
    names = ", ".join(str(path.relative_to(data_dir)) for path in files[:_SHOWN])
    more = ", ..." if len(files) > _SHOWN else ""
    where = ", ".join(os.path.relpath(table.path, data_dir) for table in tables)
    return f"{count_left_out(len(files), 'audio file')}, as no row of {where} names them: {names}{more}"
