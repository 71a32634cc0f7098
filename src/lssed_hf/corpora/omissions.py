"""Rows that loaders leave out, gathered for the files of a run."""

import csv
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..escaping import csv_cell
from ..files import replacing


#: File with a row for each utterance that was left out, beside `results.json`.
LEFT_OUT = "left_out.csv"


@dataclass(frozen=True, slots=True)
class Omission:
    """Rows that are left out for one reason.

    Attributes:
        source: Name of the corpus or of the split.
        reason: Reason, for people.
        count: Number of rows.
        ids: Names of the rows, (count,), empty where they are unknown.
    """

    source: str
    reason: str
    count: int
    ids: tuple[str, ...] = ()

    @property
    def summary(self) -> dict[str, Any]:
        """Source, reason and count, JSON-ready."""
        return {"source": self.source, "reason": self.reason, "count": self.count}


_gathered: ContextVar[list[Omission] | None] = ContextVar("gathered_omissions", default=None)


@contextmanager
def gathering() -> Iterator[list[Omission]]:
    """Gather what loaders leave out within the block."""
    omissions: list[Omission] = []
    token = _gathered.set(omissions)
    try:
        yield omissions
    finally:
        _gathered.reset(token)


def leave_out(omission: Omission) -> None:
    """Add an omission to those of the block around, unless it is among them."""
    omissions = _gathered.get()
    if omissions is not None and omission not in omissions:
        omissions.append(omission)


def write_left_out(folder: str | os.PathLike, omissions: Sequence[Omission]) -> None:
    """Write the rows with known names as `left_out.csv`, or remove the file of an earlier run if there are none."""
    path, named = Path(folder, LEFT_OUT), [omission for omission in omissions if omission.ids]
    if not named:
        path.unlink(missing_ok=True)
        return
    encoding = {"encoding": "utf-8", "errors": "backslashreplace"}  # names of files may be any bytes
    with replacing(path) as temporary, temporary.open("w", newline="", **encoding) as file:
        writer = csv.writer(file)
        writer.writerow(["source", "id", "reason"])
        for omission in named:
            for name in omission.ids:
                writer.writerow(map(csv_cell, (omission.source, name, omission.reason)))
