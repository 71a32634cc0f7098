"""Transcripts of DAIC-WOZ (tabs, with speakers) and E-DAIC (commas, by a speech recogniser, without speakers)."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..base import CorpusDataError
from ..tables import read_table


HEADER = ("start_time", "stop_time", "speaker", "value")
_COLUMNS = {"start": ("start_time",), "end": ("end_time",), "text": ("text",)}  # E-DAIC
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")


@dataclass(frozen=True, slots=True)
class TranscriptRow:
    """Row of a transcript.

    Attributes:
        line: Number of the line in the file, from 1.
        start: Start of the speech in seconds, None if the times cannot be used.
        stop: End of the speech in seconds, after `start`, or None.
        speaker: Speaker in the spelling of the file, None if the transcript has no speakers.
        value: Spoken words.
        problem: Reason why the row cannot be used, one of a few wordings, or None.
    """

    line: int
    start: float | None
    stop: float | None
    speaker: str | None
    value: str
    problem: str | None = None


def read_daic_woz(path: Path) -> list[TranscriptRow]:
    """Read an `XXX_TRANSCRIPT.csv`: tabs between `start_time stop_time speaker value`, quotes mean nothing, UTF-8.

    Blank lines are skipped. Every other line below the header is a row. A copy with commas or semicolons between
    cells, as a spreadsheet writes it, is read as such a table, whose quotes have a meaning.

    Raises:
        CorpusDataError: The file is not UTF-8, or has another header, or quotes in a copy with commas do not close.
    """
    if is_comma_copy(path):
        return list(_read_comma_copy(path))
    lines = re.split(r"\r\n|\n|\r", _text(path))
    first = next((number for number, line in enumerate(lines) if line.strip()), None)
    header = [] if first is None else [cell.strip().lower() for cell in lines[first].split("\t")]
    if tuple(filter(None, header)) != HEADER:
        shown = "an empty file" if first is None else repr(lines[first][:80])
        raise CorpusDataError(
            f"{path}: looked for the header {' '.join(HEADER)} with tabs between, found {shown}; copy the file again "
            "from the release"
        )
    numbered = enumerate(lines[first + 1 :], first + 2)
    return [_row(number, line.split("\t")) for number, line in numbered if line.strip()]


def is_comma_copy(path: Path) -> bool:
    """Return whether a file has the header of a DAIC-WOZ transcript with commas or semicolons between its cells."""
    with path.open("rb") as file:
        header = file.readline(1000).decode("utf-8-sig", "replace")
    cells = (cell.strip().strip('"').lower() for cell in re.split("[,;]", header))
    return tuple(filter(None, cells)) == HEADER


def _read_comma_copy(path: Path) -> Iterator[TranscriptRow]:
    for row in read_table(path, {name: (name,) for name in HEADER}):
        if row.problem:
            problem = "holds zero bytes" if "zero bytes" in row.problem else "has more cells than the header"
            yield TranscriptRow(row.line, None, None, None, "", problem)
        else:
            yield _timed(row.line, *(row.get(name, "") for name in HEADER))


def _row(line: int, cells: list[str]) -> TranscriptRow:
    cells = [cell.strip() for cell in cells]
    if "\0" in "".join(cells):
        return TranscriptRow(line, None, None, None, "", "holds zero bytes")
    if len(cells) < len(HEADER):
        # Spreadsheets drop empty cells at the end of a line.
        start, stop, speaker, value = cells + [""] * (len(HEADER) - len(cells))
    else:
        start, stop, speaker, value, *rest = cells
        if any(rest):
            return TranscriptRow(line, None, None, speaker, "", "has more cells than the header")
    return _timed(line, start, stop, speaker, value)


def read_e_daic(path: Path) -> list[TranscriptRow]:
    """Read an `XXX_Transcript.csv`: commas between `Start_Time,End_Time,Text,Confidence`, UTF-8, no speakers.

    Raises:
        CorpusDataError: The file is not UTF-8, lacks columns, or has quotes that do not close.
    """
    rows = []
    for row in read_table(path, _COLUMNS):
        if row.problem:
            problem = "holds zero bytes" if "zero bytes" in row.problem else "has more cells than the header"
            rows.append(TranscriptRow(row.line, None, None, None, "", problem))
        else:
            start, stop, text = (row.get(names[0], "") for names in _COLUMNS.values())
            rows.append(_timed(row.line, start, stop, None, text))
    return rows


def _timed(line: int, start: str, stop: str, speaker: str | None, value: str) -> TranscriptRow:
    problem, times = None, (None, None)
    if not (_NUMBER.fullmatch(start) and _NUMBER.fullmatch(stop)):
        problem = "its times are missing or no numbers"
    else:
        times = float(start), float(stop)
        if not all(map(math.isfinite, times)):
            problem = "its times are missing or no numbers"
        elif times[0] < 0:
            problem = "begins before the recording"
        elif times[1] <= times[0]:
            problem = "ends before or when it starts"
    if problem:
        times = (None, None)
    elif not value or speaker == "":
        problem = "has no speaker or no text"
    return TranscriptRow(line, *times, speaker, value, problem)


def _text(path: Path) -> str:
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise CorpusDataError(f"{path}, line {line}: not UTF-8 ({error.reason}); save the file as UTF-8") from error
