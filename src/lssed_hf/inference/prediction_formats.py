"""Predictions as a table for people, or as CSV, JSON or JSON lines for programs."""

import csv
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import IO

import numpy as np

from ..escaping import csv_cell, printable
from .predict import Prediction


_NOTHING = "-"


def write_table(file: IO[str], predictions: Sequence[Prediction], labels: Sequence[str]) -> None:
    """Write one aligned line per recording: file, label, per cent, and the notes or the error."""
    rows = [("file", "label", "sure", "note")]
    for one in predictions:
        name = printable(one.file) + (f" ({one.channel})" if one.channel else "")
        sure = "" if one.score is None else f"{one.score:4.0%}"
        problem = one.error and printable(one.error.removeprefix(f"{one.file}: "))
        rows.append((name, one.label or _NOTHING, sure, problem or ", ".join(one.notes)))
    write_columns(file, rows)


def write_columns(file: IO[str], rows: Sequence[Sequence[str]]) -> None:
    """Write rows of text as aligned columns, the first row as the head."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        file.write("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() + "\n")


def write_csv(file: IO[str], predictions: Iterable[Prediction], labels: Sequence[str]) -> None:
    """Write file, label, score, the probability of each class, seconds, note and error; see `csv_cell`."""
    writer = csv.writer(file)
    predictions = list(predictions)
    channels = any(one.channel for one in predictions)
    writer.writerow(["file", *(["channel"] if channels else []), *score_columns(labels), "seconds", "note", "error"])
    for one in predictions:
        scores = [f"{one.probabilities[label]:.4f}" if one.probabilities else "" for label in labels]
        writer.writerow(
            [
                csv_cell(one.file),
                *([one.channel or ""] if channels else []),
                csv_cell(one.label or ""),
                "" if one.score is None else f"{one.score:.4f}",
                *scores,
                "" if one.seconds is None else f"{one.seconds:.3f}",
                "; ".join(one.notes),
                csv_cell(one.error or ""),
            ]
        )


def write_json(file: IO[str], predictions: Iterable[Prediction], labels: Sequence[str]) -> None:
    """Write a list of objects with the fields of `Prediction` and its score."""
    file.write(json.dumps([_record(one) for one in predictions], indent=2) + "\n")


def write_json_lines(file: IO[str], predictions: Iterable[Prediction], labels: Sequence[str]) -> None:
    """Write one JSON object a line, with the fields of `Prediction` and its score."""
    for one in predictions:
        file.write(json.dumps(_record(one)) + "\n")


def score_columns(labels: Sequence[str]) -> list[str]:
    """Return the names of the columns of `score_cells`."""
    return ["label", "score", *(f"probability_{label}" for label in labels)]


def score_cells(probabilities: np.ndarray | None, labels: Sequence[str]) -> list[str]:
    """Return cells with the best label, its probability and all probabilities (num_labels,); empty cells for None."""
    if probabilities is None:
        return [""] * (len(labels) + 2)
    best = int(probabilities.argmax())
    return [csv_cell(labels[best]), *(f"{score:.4f}" for score in (probabilities[best], *probabilities))]


def _record(one: Prediction) -> dict:
    fields = asdict(one)
    return {name: fields[name] for name in ("file", "channel", "label")} | {"score": one.score} | fields


#: Name of a format -> function that writes predictions with these labels to a text file.
FORMATS: dict[str, Callable[[IO[str], Sequence[Prediction], Sequence[str]], None]] = {
    "table": write_table,
    "csv": write_csv,
    "json": write_json,
    "jsonl": write_json_lines,
}

__all__ = ["FORMATS", "score_cells", "score_columns", "write_columns"]
