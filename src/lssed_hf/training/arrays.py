"""Numbers of data sets as arrays.

The numpy format of `datasets` before 5 imports a class that torchvision 0.26 dropped, so the Arrow format is used.
"""

from collections.abc import Iterator

import datasets
import numpy as np
import pyarrow as pa


def row_frames(row: pa.Table) -> np.ndarray:
    """Return the frames (frames, width) of a row of `compute_features` in Arrow's format, which are read-only."""
    return row["values"].combine_chunks().flatten().to_numpy().reshape(-1, row["width"][0].as_py())


def frames_of(rows: datasets.Dataset) -> Iterator[np.ndarray]:
    """Yield the frames (frames, width) of each row of `compute_features`."""
    yield from map(row_frames, rows.select_columns(["values", "width"]).with_format("arrow").iter(1))


def column_array(rows: datasets.Dataset, column: str) -> np.ndarray:
    """Return a column of lists, of equal lengths on each level, as an array (rows, ...)."""
    parts = []
    for batch in rows.select_columns([column]).with_format("arrow").iter(1000):
        values, shape = batch[column].combine_chunks(), [len(batch)]
        while pa.types.is_list(values.type):
            shape.append(len(values[0]))
            values = values.flatten()
        parts.append(values.to_numpy(zero_copy_only=False).reshape(shape))
    return np.concatenate(parts)


__all__ = ["column_array", "frames_of", "row_frames"]
