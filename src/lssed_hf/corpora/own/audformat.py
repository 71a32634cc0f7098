"""Databases in audformat, audEERING's format: db.yaml with tables db.<table>.csv or .parquet."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas
import pyarrow.parquet as pq
import yaml

from ...audio import AudioError, audio_duration
from ..base import CorpusDataError
from ..fields import SPLIT_NAMES
from ..tables import Row, read_table, rename_columns
from .label_names import are_mostly_emotions
from .label_tables import FIELDS, Columns, Files, Table


HEADER = "db.yaml"
_ATTRIBUTES = {"path": "path", "emotion": "label", "speaker": "speaker"}  # field -> attribute of `Columns`


def read_audformat(
    data_dir: Path, columns: Columns, table: str | None = None, renamed: Mapping[str, str] | None = None
) -> Iterator[tuple[Table, list[tuple[str, Row]], Columns]]:
    """Read the tables with the labels, and join the columns of other tables, such as speakers, to them.

    Args:
        data_dir: Folder with `db.yaml`.
        columns: Names of the columns.
        table: Name of the table with the labels. Default: the tables of the splits, else the only one with emotions.
        renamed: Field -> column of the tables, see `rename_columns`.

    Yields:
        Table; its rows, each with its place for messages; and the names of its columns.

    Raises:
        CorpusDataError: The header or a table cannot be read, or several tables may hold the labels.
    """
    path, renamed = data_dir / HEADER, renamed or {}
    usual = columns
    columns = columns._replace(
        **{attribute: (renamed[field],) for field, attribute in _ATTRIBUTES.items() if field in renamed}
    )
    try:
        header = yaml.safe_load(path.read_text(encoding="utf-8"))
        tables, schemes = header["tables"], header.get("schemes") or {}
        labelled = {name: _label_column(spec, schemes, columns) for name, spec in tables.items()}
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as error:
        raise CorpusDataError(f"{path} is no header of audformat ({error}); save the database again") from error
    chosen = _choose({name: column for name, column in labelled.items() if column}, tables, path, table, columns)
    files = _columns_of_files(data_dir, [name for name in tables if name not in labelled or not labelled[name]])
    people = _columns_of_speakers(data_dir, header, schemes)
    finder = Files(data_dir, data_dir)
    for name in chosen:
        split = (header.get("splits") or {}).get(tables[name].get("split_id"), {}).get("type")
        rows = []
        for source, row in _read(data_dir, name):
            joined = {**files.get(row.get("file"), {}), **row}
            joined = {**people.get(next((joined[c] for c in columns.speaker if c in joined), None), {}), **joined}
            merged = Row(joined)
            merged.line, merged.problem, merged.columns = row.line, row.problem, [*row.columns, *joined]
            if missing := [f"{field}={column}" for field, column in renamed.items() if column not in merged.columns]:
                found = ", ".join(dict.fromkeys(merged.columns))
                raise CorpusDataError(f"{source}: no column for --columns {' '.join(missing)}; found {found}")
            rename_columns(merged, renamed, FIELDS)
            _set_times(merged, finder)
            rows.append((source, merged))
        yield (
            Table(path.with_name(f"db.{name}"), SPLIT_NAMES.get(split)),
            rows,
            usual if "emotion" in renamed else usual._replace(label=(labelled[name],)),
        )


def _label_column(spec: Mapping[str, Any], schemes: Mapping[str, Any], columns: Columns) -> str | None:
    """Return the column of a table that holds the label: by its name, else by the labels of its scheme."""
    names = {name.lower(): column or {} for name, column in (spec.get("columns") or {}).items()}
    for name in columns.label:
        if name in names:
            return name
    if columns.label != Columns().label:
        return None
    for name, column in names.items():
        labels = list((schemes.get(column.get("scheme_id")) or {}).get("labels") or ())
        if are_mostly_emotions(list(map(str, labels))):
            return name
    return None


def _choose(
    labelled: Mapping[str, str], tables: Mapping[str, Any], path: Path, table: str | None, columns: Columns
) -> list[str]:
    if table is not None:
        if table not in labelled:
            raise CorpusDataError(f"{path}: table {table!r} has no labels; those with some: {', '.join(labelled)}")
        return [table]
    if not labelled:
        raise CorpusDataError(
            f"{path}: no table has a column named {' or '.join(columns.label)}; found {', '.join(tables)}. Name the "
            "column by --label_column_name COLUMN"
        )
    divided = [name for name in labelled if tables[name].get("split_id")]
    chosen = divided or ([name for name in labelled if name in ("emotion", "label")] or list(labelled))
    if len(chosen) > 1 and not divided:
        raise CorpusDataError(
            f"{path}: several tables have labels: {', '.join(chosen)}; choose one by --dataset_options "
            f'\'{{"table": "{chosen[0]}"}}\''
        )
    return chosen


def _read(data_dir: Path, name: str) -> Iterator[tuple[str, Row]]:
    """Yield the rows of a table, each with its place for messages."""
    path = data_dir / f"db.{name}"
    if (csv := path.with_name(f"{path.name}.csv")).is_file():
        for row in read_table(csv):
            yield f"{csv}, line {row.line}", row
    elif (parquet := path.with_name(f"{path.name}.parquet")).is_file():
        for number, cells in enumerate(pq.read_table(parquet).to_pylist(), 1):
            row = Row((key.lower(), str(cell)) for key, cell in cells.items() if cell is not None)
            row.line, row.columns = number, [key.lower() for key in cells]
            yield f"{parquet}, row {number}", row
    else:
        raise CorpusDataError(
            f"{path}: no .csv or .parquet file of that name, and pickles are not read; save the database again with "
            "storage_format='csv'"
        )


def _columns_of_files(data_dir: Path, names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return file -> its columns in tables of whole files."""
    joined: dict[str, dict[str, str]] = {}
    for name in names:
        for _, row in _read(data_dir, name):
            if "file" in row and "start" not in row.columns:
                cells = {key: cell for key, cell in row.items() if key != "file"}
                joined[row["file"]] = {**cells, **joined.get(row["file"], {})}
    return joined


def _columns_of_speakers(
    data_dir: Path, header: Mapping[str, Any], schemes: Mapping[str, Any]
) -> dict[str, dict[str, str]]:
    """Return speaker -> gender and age, from the scheme "speaker" or the table that it names."""
    labels = (schemes.get("speaker") or {}).get("labels")
    if isinstance(labels, str) and labels in (header.get("misc_tables") or {}):
        people = {row.get(row.columns[0]): row for _, row in _read(data_dir, labels)}
    elif isinstance(labels, Mapping):
        people = {str(name): facts for name, facts in labels.items() if isinstance(facts, Mapping)}
    else:
        return {}
    return {
        name: {key: str(facts[key]) for key in ("gender", "age") if facts.get(key) is not None}
        for name, facts in people.items()
    }


def _set_times(row: Row, files: Files) -> None:
    """Convert the times of a row to seconds; drop them for a row from 0 to an open end, which is a whole file."""
    try:
        start, end = (pandas.to_timedelta(row.pop(field, None)) for field in ("start", "end"))
    except ValueError as error:
        row.problem = f"its times are no durations ({error}); correct them"
        return
    if pandas.isna(end) and (pandas.isna(start) or start.total_seconds() == 0):
        return
    try:
        seconds = audio_duration(files.find(row.get("file", ""))) if pandas.isna(end) else end.total_seconds()
    except (AudioError, ValueError, OSError) as error:
        row.problem = str(error)
        return
    row["start"] = str(0.0 if pandas.isna(start) else start.total_seconds())
    row["end"] = str(seconds)
