"""Data sets by the name that a user gives: own recordings, a corpus, a prepared folder or a data set on the Hub."""

import dataclasses
import logging
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import datasets
import huggingface_hub
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..suggest import did_you_mean
from . import CorpusBuilder, corpus_builder, list_corpora, load_corpus
from .base import UNDIVIDED
from .omissions import Omission, leave_out
from .own.audformat import HEADER
from .prepared import NO_SCRIPTS, load_prepared, read_manifest
from .synthetic_mark import SYNTHETIC_MARK


#: Flags that name a column, and the names that the corpora give to these columns.
COLUMNS = {"audio_column_name": "audio", "label_column_name": "emotion", "speaker_column_name": "speaker_id"}
#: Suffixes of files that `datasets.load_dataset` reads without a table of ours.
_DATA_SUFFIXES = (".parquet", ".arrow")
_HUB_TIMEOUT = 10  # seconds

logger = logging.getLogger(__name__)


class Source(NamedTuple):
    """Origin of a data set.

    Args:
        corpus: Name in `list_corpora()`; None for data sets of others.
        path: Folder of the raw or prepared corpus (None: the corpus's own), or what `load_dataset` takes.
        manifest: Manifest of a prepared folder, else None.
    """

    corpus: str | None
    path: str | None
    manifest: Mapping[str, Any] | None = None


def is_synthetic(folder: str | os.PathLike) -> bool:
    """Return whether a corpus is a synthetic release, or was prepared from one."""
    if manifest := read_manifest(folder):
        return manifest.get("synthetic", False)
    readme = Path(folder).expanduser() / "README.txt"
    return readme.is_file() and readme.read_text(encoding="utf-8", errors="replace").startswith(SYNTHETIC_MARK)


def find_source(name: str | None, data_dir: str | os.PathLike | None = None) -> Source:
    """Return the origin of a data set. A prepared folder is of the corpus in its manifest.

    Args:
        name: Name of a corpus, a folder, or a data set on the Hub. Default: the contents of `data_dir`.
        data_dir: Folder of the recordings or of the corpus.

    Raises:
        FileNotFoundError: The folder is missing.
        ValueError: Neither is given, or `data_dir` was prepared from another corpus.
    """
    if name is None and data_dir is None:
        raise ValueError(
            f"no data: give --data_dir, the folder of your recordings, or --dataset_name, one of {_known()}"
        )
    if name is None or (name in list_corpora() and data_dir is not None):
        folder = os.path.expanduser(data_dir)
        if not os.path.isdir(folder):
            raise FileNotFoundError(f"{name or 'folder'}: {_missing(folder)}")
        manifest = read_manifest(folder)
        if manifest is None:
            return Source(name or "folder", folder)
        if name not in (None, "folder", manifest["corpus"]):
            raise ValueError(
                f"{folder} was prepared from {manifest['corpus']}, not {name}: give --dataset_name {folder} alone"
            )
        return Source(manifest["corpus"], folder, manifest)
    folder = os.path.expanduser(name)
    if data_dir is None and os.path.isdir(folder):
        if manifest := read_manifest(folder):
            return Source(manifest["corpus"], folder, manifest)
        if _holds_dataset(Path(folder)):
            return Source(None, folder)
        if name not in list_corpora():
            return Source("folder", folder)
    if name in list_corpora():
        return Source(name, None)
    if not os.path.isdir(folder) and not re.fullmatch(r"[\w.-]*\w[\w.-]*(/[\w.-]*\w[\w.-]*)?", name):
        raise FileNotFoundError(f"{_missing(folder)}; corpora are {_known()}")
    return Source(None, name)


def load_splits(
    name: str | None,
    config_name: str | None = None,
    data_dir: str | os.PathLike | None = None,
    split_scheme: str | None = None,
    options: Mapping[str, Any] | None = None,
    columns: Mapping[str, str] | None = None,
    undivided: bool = False,
    streaming: bool = False,
) -> datasets.DatasetDict | datasets.IterableDatasetDict:
    """Load a corpus, a folder of recordings, a prepared folder, or a data set on the Hub.

    Args:
        name: Name of a corpus, a folder, or a data set on the Hub. Default: the contents of `data_dir`.
        config_name: Configuration. Default: the corpus's `TRAINING_CONFIG_NAME`, four emotions or all classes.
        data_dir: Folder of the recordings or of the corpus.
        split_scheme: Split scheme of a corpus. Default: its first.
        options: Switches of a corpus, e.g. `{"keep_chinese": True}`.
        columns: Names for the columns `audio`, `emotion` and `speaker_id` in the result. For a folder of recordings
            they are also the names in the user's table.
        undivided: Whether own recordings stay in one split, unless a scheme is named.
        streaming: Whether rows are read when they are asked for, which a data set of the Hub need not be downloaded
            for.

    Raises:
        FileNotFoundError: The folder is missing.
        ValueError: An argument does not fit the data; and the errors of `load_corpus`.
    """
    source = find_source(name, data_dir)
    options = dict(options or {})
    if source.path is not None and (source.corpus is None or source.manifest is not None):
        _check_files(Path(source.path))
    if source.manifest is None and source.corpus is not None:
        builder_class = corpus_builder(source.corpus)
        if builder_class.COLUMN_OPTIONS:
            named = {column: name for column, name in (columns or {}).items() if name != column}
            options |= {builder_class.COLUMN_OPTIONS[column]: name for column, name in named.items()}
        _check_options(source.corpus, builder_class, options)
        config_name = config_name or builder_class.TRAINING_CONFIG_NAME
        if undivided and split_scheme is None and UNDIVIDED in builder_class.SPLIT_SCHEMES:
            split_scheme = UNDIVIDED
        dataset = load_corpus(
            source.corpus, source.path, config_name, split_scheme=split_scheme, streaming=streaming, **options
        )
        return rename_columns(dataset, named) if builder_class.COLUMN_OPTIONS else dataset
    if options:
        what = f"a prepared folder of {source.corpus}" if source.manifest else "read as it is"
        raise ValueError(
            f"{', '.join(options)} cannot be changed in {source.path}, which is {what}; they are for recordings of "
            "your own and for raw corpora, and are given to `lssed-hf prepare`"
        )
    if source.manifest is not None:
        return load_prepared(source.path, source.manifest, config_name, split_scheme, streaming)
    if split_scheme is not None:
        raise ValueError(f"--split_scheme {split_scheme} is for corpora, and {source.path} is divided already")
    if os.path.isdir(source.path):
        path = os.path.abspath(source.path)
    else:
        path = source.path
        _ask_hub(path)
    try:
        folder = None if data_dir is None else os.fspath(data_dir)
        return datasets.load_dataset(path, config_name, data_dir=folder, streaming=streaming, **NO_SCRIPTS)
    except (datasets.exceptions.DatasetNotFoundError, ConnectionError) as error:
        raise FileNotFoundError(
            f"{name} is neither a folder, nor a corpus ({_known()}{did_you_mean(name, list_corpora())}), nor on the "
            f"Hub ({error})"
        ) from error


def _ask_hub(name: str) -> None:
    """Ask the Hub for a data set. `load_dataset` would find after half a minute of retries that it is not there.

    Raises:
        FileNotFoundError: The Hub has no data set of that name, or cannot be asked.
    """
    if huggingface_hub.constants.HF_HUB_OFFLINE:
        return  # load_dataset looks in its cache, and does not retry
    neither = f"{name} is neither a folder nor a corpus ({_known()}{did_you_mean(name, list_corpora())})"
    try:
        huggingface_hub.HfApi().dataset_info(name, timeout=_HUB_TIMEOUT)
    except huggingface_hub.errors.RepositoryNotFoundError as error:
        raise FileNotFoundError(f"{neither}, and the Hub has no data set of that name") from error
    except Exception as error:  # the Hub's client passes on its HTTP library's own exceptions
        raise FileNotFoundError(
            f"{neither}, and the Hub cannot be asked ({str(error).partition(chr(10))[0]}); with HF_HUB_OFFLINE=1 its "
            "cache is searched"
        ) from error


def _check_options(corpus: str, builder_class: type[CorpusBuilder], options: Mapping[str, Any]) -> None:
    known = {field.name for field in dataclasses.fields(builder_class.BUILDER_CONFIG_CLASS)}
    for name in options:
        if name in known:
            continue
        if name in {field.name for field in dataclasses.fields(corpus_builder("folder").BUILDER_CONFIG_CLASS)}:
            raise ValueError(
                f"--{name} is for recordings of your own (--data_dir without --dataset_name); {corpus} has its own "
                "labels and speakers"
            )
        raise ValueError(f"{corpus} has no option {name!r}")


def _known() -> str:
    return ", ".join(list_corpora())


def _missing(folder: str) -> str:
    if os.path.exists(folder):
        return f"{folder} is not a folder; give the folder that it is in"
    return f"there is no folder {folder}"


def _holds_dataset(folder: Path) -> bool:
    """Return whether `datasets` reads a folder by itself: Parquet or Arrow files, or a card with configurations."""
    if (folder / HEADER).is_file():  # audformat may keep its tables as Parquet
        return False
    card = folder / "README.md"
    if card.is_file() and re.search(r"(?m)^configs:", card.read_text(encoding="utf-8", errors="replace")):
        return True
    return any(path.suffix in _DATA_SUFFIXES for depth in ("*", "*/*") for path in folder.glob(depth))


def _check_files(folder: Path) -> None:
    """Check that each Parquet file of a folder has rows: `datasets` fails on one without, whatever its split.

    Raises:
        ValueError: A file has no rows, or is damaged.
    """
    for path in sorted(path for depth in ("*", "*/*") for path in folder.glob(f"{depth}.parquet")):
        try:
            number = pq.read_metadata(path).num_rows
        except (OSError, ValueError) as error:
            raise ValueError(f"{path}: damaged, or no Parquet file ({error}); copy it again") from error
        if not number:
            raise ValueError(f"{path} has no rows: write it again with rows, or remove it and do without its split")


def rename_columns(dataset: datasets.DatasetDict, columns: Mapping[str, str]) -> datasets.DatasetDict:
    """Rename columns of all splits. A column that had one of the new names is removed."""
    columns = {column: name for column, name in columns.items() if name != column}
    taken = set(columns.values()) & set(next(iter(dataset.values())).column_names)
    return dataset.remove_columns(sorted(taken - columns.keys())).rename_columns(columns)


def encode_labels(dataset: datasets.DatasetDict, column: str) -> datasets.DatasetDict:
    """Return the data set with `column` as a ClassLabel, names sorted over all splits where it was text or numbers.

    Rows without a label are left out (see `without_missing`).

    Raises:
        ValueError: There is no such column.
    """
    for split, rows in dataset.items():
        if column not in rows.column_names:
            classes = [name for name, kind in rows.features.items() if isinstance(kind, datasets.ClassLabel)]
            likely = [name for name in (*classes, "label", "labels", "emotion") if name in rows.column_names]
            raise ValueError(
                f"split {split!r} has no column {column!r}; it has {', '.join(rows.column_names)}. Name the one with "
                f"the labels: --label_column_name {likely[0] if likely else 'NAME'}"
            )
    dataset = without_missing(dataset, column, has_no_label)
    if all(isinstance(rows.features[column], datasets.ClassLabel) for rows in dataset.values()):
        return dataset
    names = sorted({str(label) for rows in dataset.values() for label in rows.unique(column)})
    label = datasets.ClassLabel(names=names)
    return datasets.DatasetDict(
        {
            split: rows.map(
                lambda row: {column: names.index(str(row[column]))},
                features=datasets.Features({**rows.features, column: label}),
            )
            for split, rows in dataset.items()
        }
    )


def has_no_label(rows: datasets.Dataset, column: str) -> np.ndarray:
    """Return whether each row has no label, boolean (rows,): null, NaN or no text; of a ClassLabel also -1."""
    missing = (None, "", -1) if isinstance(rows.features[column], datasets.ClassLabel) else (None, "")
    return np.array([label in missing or label != label for label in rows[column]], dtype=bool)


def has_no_values(rows: datasets.Dataset, column: str) -> np.ndarray:
    """Return whether each row has null in a column, boolean (rows,); of audio also neither bytes nor a path."""
    if not _nulls(rows.data.column(column)).any():  # reads no sound, unlike the rows in their order
        return np.zeros(len(rows), dtype=bool)
    batches = rows.select_columns([column]).with_format("arrow").iter(100)
    return np.concatenate([_nulls(batch[column]) for batch in batches])


def _nulls(values: pa.ChunkedArray) -> np.ndarray:
    null = pc.is_null(values)
    if pa.types.is_struct(values.type) and {"bytes", "path"} <= {field.name for field in values.type}:
        null = pc.or_(
            null, pc.and_(pc.is_null(pc.struct_field(values, "bytes")), pc.is_null(pc.struct_field(values, "path")))
        )
    return null.to_numpy()


def without_missing(
    dataset: datasets.DatasetDict, column: str, is_missing: Callable[[datasets.Dataset, str], np.ndarray]
) -> datasets.DatasetDict:
    """Return the splits without the rows that lack a value, and without splits of no rows. A warning counts them.

    Args:
        dataset: Splits.
        column: Name of the column.
        is_missing: Function that returns whether each row lacks a value, boolean (rows,).

    Raises:
        ValueError: No row of any split has a value.
    """
    parts = {}
    for split, rows in dataset.items():
        missing = is_missing(rows, column)
        if missing.any():
            logger.warning(
                f"split {split!r}: {missing.sum():,} of {len(rows):,} rows have no value in column {column!r} and are "
                "left out"
            )
            names = rows["id"] if "id" in rows.column_names else range(len(rows))
            ids = tuple(str(names[int(row)]) for row in np.flatnonzero(missing))
            leave_out(Omission(f"split {split!r}", f"no value in column {column!r}", len(ids), ids))
            rows = rows.select(np.flatnonzero(~missing))
        if len(rows):
            parts[split] = rows
        else:
            logger.warning(f"split {split!r} has no rows with a value in column {column!r}, and is left out")
    if not parts:
        raise ValueError(
            f"no row of the splits {', '.join(dataset)} has a value in column {column!r}: nothing is left"
        )
    return datasets.DatasetDict(parts)
