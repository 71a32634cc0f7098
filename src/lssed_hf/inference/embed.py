"""Embeddings of recordings, and the files that they are written to."""

import csv
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..audio import load_audio
from ..escaping import csv_cell
from ..files import replacing
from .classifiers.checks import one_line
from .classifiers.classifier import NO_SCORES, Classifier
from .classifiers.loading import load_embedder
from .predict import CHANNELS, find_recordings


#: Suffixes that `write_embeddings` knows.
FORMATS = (".parquet", ".npy", ".csv")
_ROWS = 1024  # rows of a group in a Parquet file


@dataclass(frozen=True, repr=False)
class Embedding:
    """Embedding of one recording.

    Attributes:
        file: Name of the recording, as it was given.
        values: float32 (size,), or (num_frames, size) where frames were asked for; None where it could not be read.
        seconds: Length of the recording; None where it could not be read.
        error: Reason why the recording could not be read or scored, else None.

    Examples:
        >>> import numpy as np
        >>> from lssed_hf import Embedding
        >>> Embedding("clip.wav", np.zeros(256, np.float32), seconds=2.0)
        Embedding('clip.wav', (256,))
    """

    file: str
    values: np.ndarray | None = None
    seconds: float | None = None
    error: str | None = None

    def __repr__(self) -> str:
        return f"Embedding({self.file!r}, {self.error or self.values.shape})"


def embed(
    inputs: str | os.PathLike | Sequence[str | os.PathLike],
    model: str | os.PathLike | Classifier | None = None,
    *,
    frames: bool = False,
    channel: str = "mix",
    device: str | None = None,
    trust_remote_code: bool = False,
) -> Iterator[Embedding]:
    """Yield the embedding of each recording: the input of the classifier's head, or the encoder's frames.

    ```python
    import lssed_hf

    for one in lssed_hf.embed("recordings/"):
        print(one.file, one.values.shape)
    ```

    Args:
        inputs: Audio file, folder that is searched for them, pattern such as `"rec/*.wav"`, or a list of these.
        model: Folder or Hub name of a classifier, or one that is open; by default the built-in model.
        frames: Whether to give one vector per frame of the encoder, evenly spaced over the recording.
        channel: Channel of stereo recordings: "mix" (their mean), "left" or "right".
        device: Device of torch, by default the GPU if there is one.
        trust_remote_code: Whether code from the model's repository may run.

    Raises:
        FileNotFoundError: There is no such folder or model, or a folder or pattern holds no recordings.
        ValueError: The model gives no embeddings, as exported ones do not.
    """
    if channel not in CHANNELS[:3]:
        raise ValueError(f"channel={channel!r} is none of {', '.join(CHANNELS[:3])}")
    paths = find_recordings(inputs)
    if not isinstance(model, Classifier):
        model = load_embedder(model, device, trust_remote_code)
    return _embeddings(model, paths, frames, channel)


def _embeddings(classifier: Classifier, paths: Iterable[Path], frames: bool, channel: str) -> Iterator[Embedding]:
    for path in paths:
        try:
            waveform = load_audio(path, classifier.sampling_rate, channel=channel)
        except (OSError, ValueError, ImportError) as error:
            yield Embedding(str(path), error=str(error))
            continue
        try:
            [values] = classifier.embeddings([waveform], frames)
        except (RuntimeError, MemoryError) as error:  # too short for the network, or too long for the memory
            yield Embedding(str(path), error=f"{path}: {classifier.name} cannot be run: {one_line(error)}")
            continue
        seconds, finite = len(waveform) / classifier.sampling_rate, np.isfinite(values).all()
        yield (
            Embedding(str(path), values, seconds)
            if finite
            else Embedding(str(path), None, seconds, f"{path}: {NO_SCORES}")
        )


def write_embeddings(path: str | os.PathLike, embeddings: Iterable[Embedding], frames: bool = False) -> None:
    """Write embeddings to a file, whole or not at all.

    | suffix | |
    |---|---|
    | `.parquet` | `file`, `seconds`, `error`, `embedding` (a list); a row for each frame with `start` and `end` |
    | `.csv` | the same, with a column `e0`, `e1`, ... for each number |
    | `.npy` | float32 (recordings, size) in the order of the files, NaN where one could not be read |

    Args:
        path: File to write.
        embeddings: Embeddings of `embed`.
        frames: Whether the embeddings are those of frames.

    Raises:
        ValueError: The file has another suffix, or frames go to a `.npy`, whose rows would have no names.
    """
    suffix = check_format(path, frames)
    with replacing(path) as partial:
        if suffix == ".parquet":
            _write_parquet(partial, embeddings, frames)
        elif suffix == ".csv":
            _write_csv(partial, embeddings, frames)
        else:
            _write_npy(partial, embeddings)


def check_format(path: str | os.PathLike, frames: bool) -> str:
    """Return the suffix of a file that `write_embeddings` can write.

    Raises:
        ValueError: The file has another suffix, or frames go to a `.npy`.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        raise ValueError(f"{path}: embeddings are written to {', '.join(FORMATS)}; choose one of these suffixes")
    if frames and suffix == ".npy":
        raise ValueError(f"{path}: frames of recordings of unequal length fit no array; write a .parquet")
    return suffix


def _rows(embeddings: Iterable[Embedding], frames: bool) -> Iterator[tuple[dict, np.ndarray | None]]:
    for one in embeddings:
        facts = {"file": one.file, "seconds": one.seconds, "error": one.error}
        if not frames or one.values is None:
            yield (facts | {"start": None, "end": None} if frames else facts), one.values
            continue
        step = one.seconds / len(one.values)
        for number, values in enumerate(one.values):
            yield {**facts, "start": number * step, "end": (number + 1) * step}, values


def _write_npy(path: Path, embeddings: Iterable[Embedding]) -> None:
    rows = [one.values for one in embeddings]
    missing = np.full(next((len(row) for row in rows if row is not None), 0), np.nan, np.float32)
    with open(path, "wb") as file:  # an open file, because numpy would add a suffix to a name
        np.save(file, np.array([missing if row is None else row for row in rows], np.float32), allow_pickle=False)


def _write_parquet(path: Path, embeddings: Iterable[Embedding], frames: bool) -> None:
    times = [("start", pa.float64()), ("end", pa.float64())] if frames else []
    fields = [("file", pa.string()), ("seconds", pa.float64()), ("error", pa.string()), *times]
    schema = pa.schema([*fields, ("embedding", pa.list_(pa.float32()))])
    with pq.ParquetWriter(path, schema) as writer:
        held: list[dict] = []
        for facts, values in _rows(embeddings, frames):
            # Arrow holds UTF-8 only.
            name = facts["file"].encode("utf-8", "backslashreplace").decode("utf-8")
            held.append({**facts, "file": name, "embedding": values})
            if len(held) == _ROWS:
                writer.write_table(pa.Table.from_pylist(held, schema))
                held = []
        writer.write_table(pa.Table.from_pylist(held, schema))


def _write_csv(path: Path, embeddings: Iterable[Embedding], frames: bool) -> None:
    with open(path, "w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.writer(file)
        unread, size = [], None
        for facts, values in _rows(embeddings, frames):
            if values is None and size is None:
                unread.append(facts)  # until the number of columns is known
                continue
            if size is None:
                size = len(values)
                writer.writerow([*facts, *(f"e{index}" for index in range(size))])
                writer.writerows([*_cells(one), *[""] * size] for one in unread)
                unread = []
            writer.writerow([*_cells(facts), *([""] * size if values is None else (f"{v:.6g}" for v in values))])
        if unread:
            writer.writerow([*unread[0]])
            writer.writerows(_cells(one) for one in unread)


def _cells(facts: dict) -> list[str]:
    values = facts.values()
    return ["" if v is None else f"{v:.3f}" if isinstance(v, float) else csv_cell(v) for v in values]


__all__ = ["FORMATS", "Embedding", "check_format", "embed", "write_embeddings"]
