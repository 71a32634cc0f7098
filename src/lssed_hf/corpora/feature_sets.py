"""The feature sets that LSSED's agreement names, as files: one per utterance, or one table for all.

Their release is not public, so any of the usual containers is read: PNG pictures, NumPy `.npy`, MATLAB `.mat` (up to
version 7) and CSV. Nothing is ever unpickled.
"""

import csv
import warnings
from collections.abc import Iterator
from pathlib import Path

import datasets
import numpy as np

from .base import CorpusDataError


#: Feature set -> its column (without the name of the utterance), shapes in the comments.
FEATURE_SETS = {
    "spectrogram": datasets.Sequence(datasets.Sequence(datasets.Sequence(datasets.Value("float32")))),  # (C, H, W)
    "is13_compare": datasets.Sequence(datasets.Value("float32")),  # (6373,) functionals in openSMILE's set
    "vq_wav2vec": datasets.Sequence(datasets.Sequence(datasets.Value("float32"))),  # (frames, dimensions)
}
_DIMENSIONS = {"spectrogram": 3, "is13_compare": 1, "vq_wav2vec": 2}
FEATURE_SUFFIXES = (".png", ".npy", ".mat", ".csv")
_MAX_VALUES = 50_000_000
_SMALLEST_PICTURE = 8  # pixels; a spectrogram has a row per band
_NAME_COLUMNS = ("name", "file", "filename", "id", "instname")
_OTHER_COLUMNS = ("frametime", "frameindex", "emotion", "faces", "label", "class", "is_chinese", "split")


def read_features(path: Path, feature_set: str, offset: int | None = None) -> np.ndarray:
    """The values of one utterance, float32: `spectrogram` (channels, height, width), `is13_compare` (values,) or
    `vq_wav2vec` (frames, dimensions), as they are stored (pictures: 0 to 255; grey ones have one channel).

    Args:
        path: a PNG, NPY, MAT or CSV file.
        feature_set: one of `FEATURE_SETS`.
        offset: the byte at which the utterance's line begins, where `path` is a table of all utterances.

    Raises:
        CorpusDataError: the file cannot be read, or holds something else.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # numpy warns of empty text files, Pillow of enormous pictures
            values = _read_line(path, offset) if offset is not None else _READERS[path.suffix.lower()](path)
    except CorpusDataError:
        raise
    except Exception as error:  # each of these libraries raises what it likes at a damaged file
        raise CorpusDataError(f"{path}: damaged, or no {feature_set} ({error}); copy it again") from error
    return _shaped(np.asarray(values), path, feature_set)


def table_offsets(path: Path) -> Iterator[tuple[str, int]]:
    """Name and byte offset of every line of a table of features (a header and a column of names), in order."""
    with path.open("rb") as file:
        columns = _cells(file.readline())
        names = [index for index, column in enumerate(columns) if column.lower() in _NAME_COLUMNS]
        if not names:
            raise CorpusDataError(f"{path} has no name column: looked for {', '.join(_NAME_COLUMNS)} in its header")
        offset = file.tell()
        for line in file:
            cells = _cells(line)
            if len(cells) > names[0]:
                yield cells[names[0]], offset
            offset += len(line)


def _read_line(path: Path, offset: int) -> np.ndarray:
    with path.open("rb") as file:
        columns = [column.lower() for column in _cells(file.readline())]
        file.seek(offset)
        cells = _cells(file.readline())
    if len(cells) != len(columns):
        raise CorpusDataError(f"{path}, byte {offset}: {len(cells)} cells where the header has {len(columns)}")
    kept = [cell for column, cell in zip(columns, cells) if column not in (*_NAME_COLUMNS, *_OTHER_COLUMNS)]
    return np.array([float(cell) for cell in kept])


def _cells(line: bytes) -> list[str]:
    text = line.decode("utf-8-sig").strip()
    return [cell.strip().strip("'") for cell in next(csv.reader([text], delimiter=";" if ";" in text else ","), [])]


def _read_png(path: Path) -> np.ndarray:
    from PIL import Image

    with Image.open(path, formats=["PNG"]) as picture:
        width, height = picture.size
        if height < _SMALLEST_PICTURE or width * height > _MAX_VALUES:
            raise CorpusDataError(f"{path}: a picture of {width} x {height} pixels is no spectrogram")
        if picture.mode not in ("L", "I", "I;16", "F"):
            picture = picture.convert("RGB")
        pixels = np.asarray(picture)
    if pixels.ndim == 2:
        return pixels[None]
    channels = np.moveaxis(pixels, -1, 0)
    # A grey picture that was stored in colour has one channel, thrice.
    return channels[:1] if (channels == channels[:1]).all() else channels


def _read_npy(path: Path) -> np.ndarray:
    return np.load(path, allow_pickle=False)


def _read_mat(path: Path) -> np.ndarray:
    from scipy.io import loadmat

    try:
        content = loadmat(path)
    except NotImplementedError as error:
        raise CorpusDataError(f"{path}: MATLAB 7.3; save it again with -v7") from error
    arrays = {
        name: value
        for name, value in content.items()
        if not name.startswith("__") and isinstance(value, np.ndarray) and np.issubdtype(value.dtype, np.number)
    }
    if len(arrays) != 1:
        raise CorpusDataError(f"{path}: one array is expected, found {', '.join(arrays) or 'none'}")
    return next(iter(arrays.values()))


def _read_csv(path: Path) -> np.ndarray:
    with path.open(encoding="utf-8-sig") as file:
        first = file.readline()
    separator = max((",", ";", "\t", " "), key=first.count)
    try:
        [float(cell) for cell in first.strip().split(separator)]
        header = 0
    except ValueError:
        header = 1
    return np.loadtxt(
        path, delimiter=separator if first.count(separator) else None, skiprows=header, encoding="utf-8-sig"
    )


_READERS = {".png": _read_png, ".npy": _read_npy, ".mat": _read_mat, ".csv": _read_csv}


def _shaped(values: np.ndarray, path: Path, feature_set: str) -> np.ndarray:
    wanted = _DIMENSIONS[feature_set]
    shape = values.shape
    if not np.issubdtype(values.dtype, np.number) or np.iscomplexobj(values):
        raise CorpusDataError(f"{path}: holds {values.dtype}, not real numbers")
    if feature_set == "is13_compare":
        values = values.squeeze()
    if values.ndim < wanted and feature_set != "is13_compare":
        values = values.reshape((1,) * (wanted - values.ndim) + shape)
    if values.ndim != wanted or values.size == 0 or values.size > _MAX_VALUES:
        raise CorpusDataError(f"{path}: values of shape {shape} are no {feature_set}, which has {wanted} dimensions")
    values = values.astype(np.float32)
    if not np.isfinite(values).all():
        raise CorpusDataError(f"{path}: holds NaN or infinite values; repair or remove the file")
    return values
