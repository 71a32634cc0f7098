"""Targets in the rows of a corpus besides one class: further classes, and ratings of dimensions."""

from collections.abc import Sequence

import datasets
import numpy as np

from ..labels import label_numbers


#: Column with the further classes of a clip.
SECONDARY = "secondary_emotions"


def ratings_of(rows: datasets.Dataset, dimensions: Sequence[str]) -> np.ndarray:
    """Return ratings, float32 (rows, num_dimensions), NaN where they are unknown or no finite number."""
    with np.errstate(over="ignore"):
        ratings = np.stack([np.array(list(rows[name]), dtype=np.float32) for name in dimensions], axis=1)
    return np.where(np.isfinite(ratings), ratings, np.float32(np.nan))


def too_large_ratings(rows: datasets.Dataset, dimensions: Sequence[str]) -> str:
    """Return how many ratings of each dimension are infinite in float32, for people, and one of them; "" for none."""
    largest, found = np.finfo(np.float32).max, []
    for name in dimensions:
        values = np.array(list(rows[name]), dtype=np.float64)
        values = values[np.abs(values) > largest]
        if len(values):
            found.append(f"{len(values):,} of {name} (such as {values[0]:g})")
    return ", ".join(found)


def several_labels(rows: datasets.Dataset, main: np.ndarray, labels: Sequence[str]) -> np.ndarray:
    """Return whether each row has each class, boolean (rows, num_labels): its own, and its secondary emotions.

    Secondary emotions that are not among the classes are left out.

    Args:
        rows: Rows of a corpus.
        main: Number of the class of each row among `labels`, (rows,).
        labels: Class names.
    """
    targets = np.zeros((len(rows), len(labels)), dtype=bool)
    targets[np.arange(len(rows)), main] = True
    if SECONDARY in rows.column_names:
        numbers = np.array(label_numbers(rows.features[SECONDARY].feature.names, labels))
        for target, others in zip(targets, rows[SECONDARY]):
            known = numbers[list(others or ())]
            target[known[known >= 0]] = True
    return targets


__all__ = ["SECONDARY", "ratings_of", "several_labels", "too_large_ratings"]
