"""Predictions as a table for people, or as CSV, JSON or JSON lines for programs."""

import csv
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import IO

from ..escaping import csv_cell, printable
from .classifiers.outputs import Outputs
from .predict import Prediction


_NOTHING = "-"


def write_table(file: IO[str], predictions: Sequence[Prediction], outputs: Outputs) -> None:
    """Write one aligned line per recording: file, label, per cent, dimensions, and the notes or the error."""
    rows = [("file", *table_columns(outputs), "note")]
    for one in predictions:
        name = printable(one.file) + (f" ({one.channel})" if one.channel else "")
        problem = one.error and printable(one.error.removeprefix(f"{one.file}: "))
        found = table_cells(one.labels, one.probabilities, one.dimensions, outputs)
        rows.append((name, *found, problem or ", ".join(one.notes)))
    write_columns(file, rows)


def table_columns(outputs: Outputs) -> list[str]:
    """Return the names of the columns of `table_cells`."""
    return [*(["label", "sure"] if outputs.labels else []), *map(printable, outputs.dimensions)]


def table_cells(
    labels: Sequence[str],
    probabilities: Mapping[str, float],
    dimensions: Mapping[str, float],
    outputs: Outputs,
    nothing: str = _NOTHING,
) -> list[str]:
    """Return cells for people: classes with their per cent, and the value of each dimension.

    Args:
        labels: Classes of the recording; empty without any.
        probabilities: Probability of each class.
        dimensions: Value of each dimension; empty without any.
        outputs: Outputs of the model.
        nothing: Cell in place of a class.
    """
    cells = [f"{dimensions[name]:.3f}" if dimensions else "" for name in outputs.dimensions]
    if outputs.labels:
        cells = [", ".join(labels) or nothing, ",".join(f"{probabilities[label]:4.0%}" for label in labels), *cells]
    return cells


def write_columns(file: IO[str], rows: Sequence[Sequence[str]]) -> None:
    """Write rows of text as aligned columns, the first row as the head."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        file.write("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() + "\n")


def write_csv(file: IO[str], predictions: Iterable[Prediction], outputs: Outputs) -> None:
    """Write file, the columns of `score_columns`, seconds, note and error; see `csv_cell`."""
    writer = csv.writer(file)
    predictions = list(predictions)
    channels = any(one.channel for one in predictions)
    writer.writerow(["file", *(["channel"] if channels else []), *score_columns(outputs), "seconds", "note", "error"])
    for one in predictions:
        writer.writerow(
            [
                csv_cell(one.file),
                *([one.channel or ""] if channels else []),
                *score_cells(one.labels, one.probabilities, one.dimensions, outputs),
                "" if one.seconds is None else f"{one.seconds:.3f}",
                "; ".join(one.notes),
                csv_cell(one.error or ""),
            ]
        )


def write_json(file: IO[str], predictions: Iterable[Prediction], outputs: Outputs) -> None:
    """Write a list of objects with the fields of `Prediction` and its score."""
    file.write(json.dumps([_record(one, outputs) for one in predictions], indent=2) + "\n")


def write_json_lines(file: IO[str], predictions: Iterable[Prediction], outputs: Outputs) -> None:
    """Write one JSON object a line, with the fields of `Prediction` and its score."""
    for one in predictions:
        file.write(json.dumps(_record(one, outputs)) + "\n")


def score_columns(outputs: Outputs) -> list[str]:
    """Return the names of the columns of `score_cells`.

    They are label, score and the probability of each class, then the dimensions. Where a clip may have several
    classes, `labels` holds all that it has, with ";" between.
    """
    classes = ["label", *(["labels"] if outputs.several else []), "score"] if outputs.labels else []
    return [*classes, *(f"probability_{label}" for label in outputs.labels), *map(csv_cell, outputs.dimensions)]


def score_cells(
    labels: Sequence[str], probabilities: Mapping[str, float], dimensions: Mapping[str, float], outputs: Outputs
) -> list[str]:
    """Return cells for programs, with four decimals.

    Args:
        labels: Classes of the recording, the most probable first; empty without any.
        probabilities: Probability of each class; empty without any.
        dimensions: Value of each dimension; empty without any.
        outputs: Outputs of the model.
    """
    cells = [f"{probabilities[label]:.4f}" if probabilities else "" for label in outputs.labels]
    if outputs.labels:
        score = f"{probabilities[labels[0]]:.4f}" if labels else ""
        several = [csv_cell(";".join(labels))] if outputs.several else []
        cells = [csv_cell(labels[0] if labels else ""), *several, score, *cells]
    return [*cells, *(f"{dimensions[name]:.4f}" if dimensions else "" for name in outputs.dimensions)]


def _record(one: Prediction, outputs: Outputs) -> dict:
    fields = asdict(one)
    for name, needed in {"labels": outputs.several, "dimensions": outputs.dimensions}.items():
        if not needed:
            del fields[name]
    return {name: fields[name] for name in ("file", "channel", "label")} | {"score": one.score} | fields


#: Name of a format -> function that writes predictions with these outputs to a text file.
FORMATS: dict[str, Callable[[IO[str], Sequence[Prediction], Outputs], None]] = {
    "table": write_table,
    "csv": write_csv,
    "json": write_json,
    "jsonl": write_json_lines,
}

__all__ = ["FORMATS", "score_cells", "score_columns", "table_cells", "table_columns", "write_columns"]
