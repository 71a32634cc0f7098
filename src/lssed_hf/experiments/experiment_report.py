"""Parts that the reports of all experiments have in common."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..escaping import table_cell
from ..files import replacing
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


def missing_section(failures: Mapping[str, str]) -> str:
    """Return the section of a report, Markdown, on runs that are not finished. It is empty without any."""
    lines = "".join(f"- {table_cell(title)}: {table_cell(problem)}\n" for title, problem in failures.items())
    return f"\n## Missing\n\n{lines}" if failures else ""


def write_text(path: Path, text: str) -> None:
    """Write a file that is either complete or absent."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
