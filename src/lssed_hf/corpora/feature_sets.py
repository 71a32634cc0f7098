"""Readers of the feature sets that LSSED's agreement names: a file per utterance, or one table for all.

Their release is not public, so the usual containers are read: PNG pictures, NumPy `.npy`, MATLAB `.mat` (versions 5 to
7) and CSV. Nothing is ever unpickled.
"""

import csv
import struct
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path

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
FEATURE_SUFFIXES = (".png", ".npy", ".mat", ".csv")
_MAX_VALUES = 50_000_000
_SMALLEST_PICTURE = 8  # pixels; a spectrogram has a row per band
# MATLAB's format: bytes before the first element, types of elements, types of numbers, classes of numeric matrices.
_MAT_HEADER = 128
_MAT_MATRIX, _MAT_COMPRESSED = 14, 15
_MAT_TYPES = {1: "i1", 2: "u1", 3: "<i2", 4: "<u2", 5: "<i4", 6: "<u4", 7: "<f4", 9: "<f8", 12: "<i8", 13: "<u8"}
_MAT_NUMERIC_CLASSES = range(6, 16)  # double, single, and the integers
_NAME_COLUMNS = ("name", "file", "filename", "id", "instname")
_OTHER_COLUMNS = ("frametime", "frameindex", "emotion", "faces", "label", "class", "is_chinese", "split")


def read_features(path: Path, feature_set: str, offset: int | None = None) -> np.ndarray:
    """Read the values of one utterance as they are stored. Pictures are 0 to 255; grey ones have one channel.

    Args:
        path: Path of a PNG, NPY, MAT or CSV file.
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
        if picture.mode not in ("L", "I", "I;16", "F"):
            picture = picture.convert("RGB")
        pixels = np.asarray(picture)
    if pixels.ndim == 2:
        return pixels[None]
    channels = np.moveaxis(pixels, -1, 0)
    # A grey picture that was stored in colour has one channel three times.
    return channels[:1] if (channels == channels[:1]).all() else channels


def _read_npy(path: Path) -> np.ndarray:
    # Mapped, so that a header that promises too much allocates nothing.
    return np.load(path, mmap_mode="r", allow_pickle=False)


def _read_mat(path: Path) -> np.ndarray:
    # One wrong byte makes scipy.io.loadmat crash the process (scipy#25829), and it unpacks zip bombs (scipy#25166).
    content = path.read_bytes()
    if content[126:128] != b"IM" or len(content) <= _MAT_HEADER:
        raise ValueError("no MATLAB file of version 5 to 7")
    if content[125] == 2:
        raise ValueError("MATLAB 7.3; save it again with -v7")
    arrays = {}
    for kind, data in _mat_elements(content[_MAT_HEADER:]):
        if kind == _MAT_COMPRESSED:
            unpacker = zlib.decompressobj()
            data = unpacker.decompress(data, 8 * _MAX_VALUES)
            if not unpacker.eof:
                raise ValueError("cut short, or enormous")
            ((kind, data),) = _mat_elements(data)
        if kind == _MAT_MATRIX:
            arrays.update(_mat_numbers(data))
    if len(arrays) != 1:
        raise ValueError(f"one array of real numbers is expected, found {', '.join(arrays) or 'none'}")
    return next(iter(arrays.values()))


def _mat_elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the type and content of each data element."""
    at = 0
    while at < len(data):
        kind, size = struct.unpack_from("<II", data, at)
        if kind >> 16:  # up to four bytes of content stand in place of their number
            kind, size, first, at = kind & 0xFFFF, kind >> 16, at + 4, at + 8
        else:
            first = at + 8
            at = first + size + (-size % 8 if kind != _MAT_COMPRESSED else 0)
        if first + size > len(data):
            raise ValueError("cut short")
        yield kind, data[first : first + size]


def _mat_numbers(data: bytes) -> dict[str, np.ndarray]:
    """Return the values of a matrix of real numbers, by its name; nothing of sparse ones, text, cells and objects."""
    (_, flags), (_, shape), (_, name), *parts = _mat_elements(data)
    if flags[0] not in _MAT_NUMERIC_CLASSES or len(parts) != 1 or not name:
        return {}
    ((kind, content),) = parts
    values = np.frombuffer(content, _MAT_TYPES[kind])
    return {name.decode("latin-1"): values.reshape(np.frombuffer(shape, "<u4"), order="F")}


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


_READERS = {".png": _read_png, ".npy": _read_npy, ".mat": _read_mat, ".csv": _read_csv}


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
