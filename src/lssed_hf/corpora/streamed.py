"""Clips of a stream, as many as a training needs, in a data set on disk."""

import atexit
import logging
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import datasets
import pyarrow as pa


logger = logging.getLogger(__name__)

_BUFFER = 1000  # rows that a shuffle chooses from
_ROWS = 100  # that are written at once


def take_clips(
    splits: Mapping[str, datasets.IterableDataset], limits: Mapping[str, int], seed: int
) -> datasets.DatasetDict:
    """Return the rows of streamed splits as data sets on disk, with the audio as it is encoded.

    Args:
        splits: Streams by split.
        limits: Number of rows to take of a split, drawn from a shuffled buffer. Default: all, in their order.
        seed: Seed of the shuffle.

    Raises:
        ValueError: A split has no rows.
    """
    taken = {}
    for split, stream in splits.items():
        if split in limits:
            stream = stream.shuffle(seed, buffer_size=_BUFFER).take(limits[split])
        taken[split] = _on_disk(stream, split)
        logger.info(f"{len(taken[split])} clips of {split!r} are taken from the stream")
    return datasets.DatasetDict(taken)


def _on_disk(stream: datasets.IterableDataset, split: str) -> datasets.Dataset:
    # Not in the cache of `datasets`: a stream has no name that the rows could be found by again.
    folder = tempfile.mkdtemp(prefix="lssed_hf_stream_")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path, writer, info = Path(folder, "rows.arrow"), None, stream.info.copy()
    with pa.OSFile(str(path), "wb") as sink:
        for table in stream.with_format("arrow").iter(_ROWS):
            if writer is None:
                info.features = stream.features or datasets.Features.from_arrow_schema(table.schema)
                writer = pa.ipc.new_stream(sink, info.features.arrow_schema)
            writer.write_table(datasets.table.table_cast(table, info.features.arrow_schema))
        if writer is None:
            raise ValueError(f"the stream of {split!r} has no rows")
        writer.close()
    return datasets.Dataset.from_file(str(path), info=info)


__all__ = ["take_clips"]
