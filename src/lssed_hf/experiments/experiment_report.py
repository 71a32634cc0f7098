"""Parts that the reports of all experiments have in common."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..escaping import table_cell
from ..evaluation.text_tables import left_out_note
from ..files import read_json, replacing
from .runs import Run


@dataclass(frozen=True)
class Report:
    """Report of an experiment.

    Attributes:
        path: Path of `report.md`.
        header: Header of its first table.
        rows: Rows of its first table.
        notes: Sentences below the table on a terminal.
    """

    path: Path
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()


def failures_of(runs: Iterable[Run]) -> dict[str, str]:
    """Return title -> problem of the runs that are not finished."""
    return {run.title: run.problem for run in runs if run.problem}


def left_out_of(runs: Iterable[Run]) -> list[dict[str, Any]]:
    """Return the entries `left_out` of the `results.json` of finished runs, each once."""
    entries: list[dict[str, Any]] = []
    for run in runs:
        left_out = [] if run.problem else read_json(run.folder / "results.json").get("left_out", [])
        entries += [entry for entry in left_out if entry not in entries]
    return entries


def left_out_section(left_out: Sequence[Mapping[str, Any]]) -> str:
    """Return the section of a report, Markdown, on rows that loading the data left out. It is empty without any."""
    return f"\n## Left out\n\n{left_out_note(left_out)}\n" if left_out else ""


def missing_section(failures: Mapping[str, str]) -> str:
    """Return the section of a report, Markdown, on runs that are not finished. It is empty without any."""
    lines = "".join(f"- {table_cell(title)}: {table_cell(problem)}\n" for title, problem in failures.items())
    return f"\n## Missing\n\n{lines}" if failures else ""


def write_text(path: Path, text: str) -> None:
    """Write a file that is either complete or absent."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
