"""Durations of the clips of a corpus, from file headers or from start and end times; nothing is decoded."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import datasets
import numpy as np
from tqdm.auto import tqdm

from ..audio import audio_duration


_BATCH = 100  # clips whose bytes are in memory at once
_LONGEST = 1e7  # seconds; the headers of streamed files promise far more
_BIN_WIDTHS = (0.05, 0.1, 0.2, 0.25, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600)  # seconds
_MAX_BINS = 20


def corpus_durations(
    dataset: datasets.DatasetDict, columns: Mapping[str, Mapping[str, list]], num_proc: int
) -> dict[str, Any]:
    """Measure the clips of a corpus.

    Args:
        dataset: Splits, with or without a column `audio`.
        columns: Split -> column -> values of `id`, `start` and `end`, as far as there are any.
        num_proc: Number of threads that read headers.

    Returns:
        The entry `durations` of `corpus_statistics`.
    """
    source, note = _source(dataset, columns)
    seconds: dict[str, np.ndarray] = {}
    unreadable: list[dict[str, Any]] = []
    if source is not None:
        with tqdm(
            total=sum(map(len, dataset.values())), desc="Reading durations", unit="clip", disable=None
        ) as progress:
            for split, rows in dataset.items():
                found = _from_times(columns[split], len(rows))
                if source == "headers":
                    found = _from_headers(rows, num_proc)
                lengths = []
                for index, length in enumerate(found):
                    progress.update()
                    if isinstance(length, float):
                        lengths.append(length)
                    else:
                        name = columns[split]["id"][index] if "id" in columns[split] else f"row {index}"
                        unreadable.append({"split": split, "id": name, "reason": length})
                seconds[split] = np.array(lengths)
    missing = Counter(clip["split"] for clip in unreadable)
    everything = np.concatenate([*seconds.values(), []])
    return {
        "source": source,
        "note": note,
        "splits": {split: _summary(lengths, missing[split]) for split, lengths in seconds.items()},
        "all": _summary(everything, len(unreadable)),
        "histogram": _histogram(seconds, everything) if len(everything) else None,
        "unreadable": unreadable,
    }


def _source(dataset: datasets.DatasetDict, columns: Mapping[str, Mapping[str, list]]) -> tuple[str | None, str]:
    if all("audio" in rows.column_names for rows in dataset.values()):
        return "headers", "Durations are those that the headers of the files give."
    times = [time for rows in columns.values() for field in ("start", "end") for time in rows.get(field, ())]
    if any(time is not None for time in times):
        return "times", "There is no column of audio; durations are end minus start."
    return None, "There is no column of audio, nor start and end: durations are unknown."


def _from_headers(rows: datasets.Dataset, num_proc: int) -> Iterator[float | str]:
    """Yield the duration of each clip in seconds, or the reason why it is unknown."""
    audio = rows.select_columns(["audio"]).cast_column("audio", datasets.Audio(decode=False)).with_format("arrow")
    with ThreadPoolExecutor(num_proc) as pool:
        each = pool.map if num_proc > 1 else map  # a single thread beside this one would only slow it down
        for batch in audio.iter(_BATCH):
            yield from each(_from_header, batch["audio"].to_pylist())


def _from_header(clip: Mapping[str, Any] | None) -> float | str:
    if clip is None or (clip["bytes"] is None and clip["path"] is None):
        return "no audio"
    try:
        seconds = audio_duration(clip)
    except (OSError, ValueError, ImportError) as error:
        return str(error)
    return _checked(seconds, clip["path"] or "the clip")


def _from_times(columns: Mapping[str, list], num_rows: int) -> Iterator[float | str]:
    unknown = [None] * num_rows
    for start, end in zip(columns.get("start", unknown), columns.get("end", unknown)):
        yield "no start or end" if start is None or end is None else _checked(end - start, "the clip")


def _checked(seconds: float, name: str) -> float | str:
    return float(seconds) if 0 < seconds < _LONGEST else f"{name}: {seconds:g} s is no duration"


def _summary(seconds: np.ndarray, unreadable: int) -> dict[str, Any]:
    summary = {"clips": len(seconds), "unreadable": unreadable}
    if not len(seconds):
        return summary | dict.fromkeys(("total", "mean", "min", "quartiles", "max"))
    total = math.fsum(seconds)
    return summary | {
        "total": total,
        "mean": total / len(seconds),
        "min": float(seconds.min()),
        "quartiles": np.percentile(seconds, [25, 50, 75]).tolist(),
        "max": float(seconds.max()),
    }


def _histogram(seconds: Mapping[str, np.ndarray], everything: np.ndarray) -> dict[str, Any]:
    """Count durations in bins of one round width up to the 99th percentile, so that no long clip flattens the rest."""
    low, high, longest = everything.min(), np.percentile(everything, 99), everything.max()
    width = next((width for width in _BIN_WIDTHS if (high - low) / width <= _MAX_BINS), (high - low) / _MAX_BINS)
    first, last = math.floor(low / width), math.floor(high / width) + 1
    edges = [round(index * width, 6) for index in range(first, last + 1)]
    tail = bool(longest > edges[-1])
    if tail:
        edges.append(float(longest))
    return {
        "edges": edges,
        "tail": tail,
        # Clipped, because rounding may have put an edge past the shortest clip.
        "splits": {
            split: np.histogram(np.clip(lengths, edges[0], edges[-1]), edges)[0].tolist()
            for split, lengths in seconds.items()
        },
    }
