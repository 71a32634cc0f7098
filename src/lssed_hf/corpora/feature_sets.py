"""Readers of the feature sets that LSSED's agreement names: a file per utterance, or one table for all.

Their release is not public, so the usual containers are read: PNG pictures, NumPy's `.npy`, and CSV. Nothing is ever
unpickled.
"""

import csv
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import numpy as np

from .base import CorpusDataError


#: Type of the column of each feature set, shapes in the comments.
FEATURE_SETS = {
    "spectrogram": datasets.Sequence(datasets.Sequence(datasets.Sequence(datasets.Value("float32")))),  # (C, H, W)
    "is13_compare": datasets.Sequence(datasets.Value("float32")),  # (6373,) functionals in openSMILE's set
    "vq_wav2vec": datasets.Sequence(datasets.Sequence(datasets.Value("float32"))),  # (frames, dimensions)
}
_DIMENSIONS = {"spectrogram": 3, "is13_compare": 1, "vq_wav2vec": 2}
FEATURE_SUFFIXES = (".png", ".npy", ".csv")
#: Column with the values, in place of `audio`.
FEATURES_COLUMN = "features"
_MAX_VALUES = 50_000_000
_STEP = 65535 / 255  # between the greys of 8 bits, in those of 16
_SMALLEST_PICTURE = 8  # pixels; a spectrogram has a row per band
_NAME_COLUMNS = ("name", "file", "filename", "id", "instname")
_OTHER_COLUMNS = ("frametime", "frameindex", "emotion", "faces", "label", "class", "is_chinese", "split")


def read_features(path: Path, feature_set: str, offset: int | None = None) -> np.ndarray:
    """Read the values of one utterance as they are stored. Grey pictures have one channel.

    Pictures are 0 to 255: those of 16 bits are scaled to that.

    Args:
        path: Path of a PNG, NPY or CSV file.
        feature_set: Name in `FEATURE_SETS`.
        offset: Byte at which the utterance's line begins, where `path` is a table of all utterances.

    Returns:
        Values, float32: `spectrogram` (channels, height, width), `is13_compare` (values,) or `vq_wav2vec` (frames,
        dimensions).

    Raises:
        CorpusDataError: The file cannot be read, or holds something else.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # numpy warns of empty text files, Pillow of enormous pictures
            values = _read_line(path, offset) if offset is not None else _READERS[path.suffix.lower()](path)
            return _shaped(np.asarray(values), feature_set)
    except Exception as error:  # each library has its own errors for damaged files
        name = path if offset is None else f"{path}, line {_line_number(path, offset)}"
        raise CorpusDataError(f"{name}: damaged, or no {feature_set} ({error}); copy it again") from error


def feature_set_of(kind: Any) -> str | None:
    """Return the name of the feature set that a column of such a type holds, None for audio and all else.

    Args:
        kind: Type of a column, from `datasets.Features`.
    """
    dimensions = 0
    while hasattr(kind, "feature"):  # lists, in any of the classes that `datasets` has had for them
        kind, dimensions = kind.feature, dimensions + 1
    is_number = isinstance(kind, datasets.Value) and kind.dtype.startswith("float")
    return next((name for name, count in _DIMENSIONS.items() if is_number and count == dimensions), None)


def table_offsets(path: Path) -> Iterator[tuple[str, int]]:
    """Yield the name and byte offset of every line of a table of features, which has a header and a column of names.

    Raises:
        CorpusDataError: There is no such column, or a line is not text.
    """
    with path.open("rb") as file:
        column, offset = None, 0
        for number, line in enumerate(file, 1):
            try:
                cells = _cells(line)
            except (ValueError, csv.Error) as error:
                raise CorpusDataError(f"{path}, line {number}: no line of a CSV file ({error})") from error
            if number == 1:
                column = next((index for index, cell in enumerate(cells) if cell.lower() in _NAME_COLUMNS), None)
                if column is None:
                    break
            elif len(cells) > column:
                yield cells[column], offset
            offset += len(line)
    if column is None:
        raise CorpusDataError(f"{path} has no name column: looked for {', '.join(_NAME_COLUMNS)} in its header")


def _read_line(path: Path, offset: int) -> np.ndarray:
    with path.open("rb") as file:
        columns = [column.lower() for column in _cells(file.readline())]
        file.seek(offset)
        cells = _cells(file.readline())
    if len(cells) != len(columns):
        raise ValueError(f"{len(cells)} cells where the header has {len(columns)}")
    kept = [cell for column, cell in zip(columns, cells) if column not in (*_NAME_COLUMNS, *_OTHER_COLUMNS)]
    return np.array([float(cell) for cell in kept])


def _line_number(path: Path, offset: int) -> int:
    with path.open("rb") as file:
        return file.read(offset).count(b"\n") + 1


def _cells(line: bytes) -> list[str]:
    text = line.decode("utf-8-sig").strip()
    return [cell.strip().strip("'") for cell in next(csv.reader([text], delimiter=";" if ";" in text else ","), [])]


def _read_png(path: Path) -> np.ndarray:
    from PIL import Image

    with Image.open(path, formats=["PNG"]) as picture:
        width, height = picture.size
        if height < _SMALLEST_PICTURE or width * height > _MAX_VALUES:
            raise ValueError(f"a picture of {width} x {height} pixels")
        deep = picture.mode.startswith("I")  # 16 bits: Pillow has "I" or "I;16" for them, by its version
        if picture.mode != "L" and not deep:
            picture = picture.convert("RGB")
        pixels = np.asarray(picture, np.float32) / _STEP if deep else np.asarray(picture)
    if pixels.ndim == 2:
        return pixels[None]
    channels = np.moveaxis(pixels, -1, 0)
    # A grey picture that was stored in colour has one channel three times.
    return channels[:1] if (channels == channels[:1]).all() else channels


def _read_npy(path: Path) -> np.ndarray:
    # Mapped, so that a header that promises too much allocates nothing; objects, which are pickled, cannot be.
    # datasets before 4 puts a function in the place of np.load that cannot map.
    return np.lib.format.open_memmap(path, mode="r")


def _read_csv(path: Path) -> np.ndarray:
    with path.open(encoding="utf-8-sig") as file:
        first = file.readline()
    separator = max((",", ";", "\t"), key=first.count)
    separator = separator if separator in first else None  # then any number of spaces
    numbers = [_is_number(cell) for cell in first.partition("#")[0].strip().split(separator)]
    if any(numbers) and not all(numbers):
        raise ValueError("its first line holds both numbers and text")  # a header, or damaged: nobody knows
    return np.loadtxt(path, delimiter=separator, skiprows=0 if all(numbers) else 1, encoding="utf-8-sig")


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


_READERS = {".png": _read_png, ".npy": _read_npy, ".csv": _read_csv}


def _shaped(values: np.ndarray, feature_set: str) -> np.ndarray:
    wanted = _DIMENSIONS[feature_set]
    shape = values.shape
    if not np.issubdtype(values.dtype, np.number) or np.iscomplexobj(values):
        raise ValueError(f"it holds {values.dtype}, not real numbers")
    if feature_set == "is13_compare":
        values = values.squeeze()
    if values.ndim < wanted and feature_set != "is13_compare":
        values = values.reshape((1,) * (wanted - values.ndim) + shape)
    if values.ndim != wanted or values.size == 0 or values.size > _MAX_VALUES:
        raise ValueError(f"values of shape {shape} where {wanted} dimensions are expected")
    values = values.astype(np.float32)
    if not np.isfinite(values).all():
        raise ValueError("it holds NaN or infinite values")
    return values
