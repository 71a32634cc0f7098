"""Turns of speakers, read from RTTM files, tables, subtitles and transcripts."""

import json
import logging
import math
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ...corpora.daic.defects import repairs_of
from ...corpora.daic.segments import SPEAKERS, Repairs, Segmentation, segment
from ...corpora.daic.transcripts import HEADER as DAIC_WOZ_HEADER
from ...corpora.daic.transcripts import is_comma_copy, read_daic_woz, read_e_daic
from ...corpora.fields import decimal
from ...corpora.tables import TABLE_SUFFIXES, read_table, read_text
from ...wording import counted


logger = logging.getLogger(__name__)

_TRANSCRIPT = re.compile(r"(\d{1,9})_TRANSCRIPT\.csv", re.IGNORECASE)
_COLUMNS = {"start": ("start", "start_time"), "end": ("end", "end_time", "stop", "stop_time")}
_NOTHING = "<NA>"
_SUBTITLES = (".srt", ".vtt")
_LONGEST = 1e9  # seconds, 30 years
# Hours are optional in WebVTT. Fractions begin with a point in WebVTT and with a comma in SubRip.
_TIME = r"((?:\d{1,4}:)?\d{1,2}:\d{1,2}(?:[.,]\d{1,9})?)"
_CUE = re.compile(rf"\s*{_TIME}\s*-->\s*{_TIME}(?!\d)")
# WebVTT's voice tag, and the speaker that WhisperX writes in front of a cue's text.
_VOICE = re.compile(r"<v(?:\.[^\s>]+)?\s+([^>]+)>|\[([^\]]+)\]:")


@dataclass(frozen=True)
class Turn:
    """Stretch of a recording, `start` to `end` seconds, in which somebody speaks."""

    start: float
    end: float
    speaker: str | None = None

    def __str__(self) -> str:
        speaker = "" if self.speaker is None else f" of {self.speaker}"
        return f"turn{speaker} from {self.start} to {self.end} s"


def read_turns(path: str | os.PathLike, recording: str | os.PathLike | None = None) -> list[Turn]:
    r"""Read the turns in a file, sorted by their start.

    | file | |
    |---|---|
    | `.rttm` | the SPEAKER lines of NIST's Rich Transcription Time Marked format (RT-09 evaluation plan, appendix A) |
    | `.csv`, `.tsv`, `.jsonl` | columns `start`, `end` and perhaps `speaker`; `,`, `;` or tabs between cells |
    | `.srt`, `.vtt` | a turn for each cue; speakers as `<v Anna>` or, as WhisperX writes them, `[SPEAKER_00]:` |
    | `.json` | `segments` with `start`, `end` and perhaps `speaker`, as Whisper and WhisperX write them |
    | `XXX_TRANSCRIPT.csv` of DAIC-WOZ | `start_time`, `stop_time`, `speaker` |
    | `XXX_Transcript.csv` of E-DAIC | `Start_Time`, `End_Time`; it names no speakers |

    Of transcripts with these two names, known defects are repaired as `lssed-hf prepare` does by default: times are
    moved where the transcript is misaligned, and interruptions, markers, scrubbed passages, talk before the interview
    and rows without usable times are left out, with a warning that counts them.

    Args:
        path: File of one of these formats.
        recording: Recording of the turns. It chooses from an RTTM file on several, by its name without the suffix.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file has another format or no turn, or a line has no usable times; the message names the line.

    Examples:
        >>> from pathlib import Path
        >>> from lssed_hf import read_turns
        >>> lines = ["start,end,speaker", "0.0,2.5,anna", "2.5,4.0,ben"]
        >>> size = Path("turns.csv").write_text("\n".join(lines))
        >>> print(*read_turns("turns.csv"), sep=", ")
        turn of anna from 0.0 to 2.5 s, turn of ben from 2.5 to 4.0 s
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file of turns")
    if path.suffix.lower() == ".rttm":
        turns = _read_rttm(path, recording)
    elif path.suffix.lower() in _SUBTITLES:
        turns = list(_read_subtitles(path))
    elif path.suffix.lower() == ".json":
        turns = list(_read_segments(path))
    elif path.suffix.lower() in TABLE_SUFFIXES:
        turns = _read_transcript(path)
        if turns is None:
            turns = list(_read_daic_woz(path) if _is_daic_woz(path) else _read_table(path))
    else:
        known = ", ".join((".rttm", *_SUBTITLES, ".json", *TABLE_SUFFIXES))
        raise ValueError(f"{path}: turns are read from {known}; rename or convert the file")
    if not turns:
        raise ValueError(f"{path}: holds no turn; give another file, or none to score the recording as a whole")
    return sorted(turns, key=lambda turn: (turn.start, turn.end))


def _read_rttm(path: Path, recording: str | os.PathLike | None) -> list[Turn]:
    text = read_text(path)
    turns: dict[str, list[Turn]] = {}
    for number, line in enumerate(text.split("\n"), 1):
        cells = line.split()
        if not cells or cells[0].startswith(";;") or cells[0] != "SPEAKER":  # comments, words, noises, ...
            continue
        if len(cells) not in (9, 10):  # RT-09 added the tenth, signal look-ahead time
            raise ValueError(f"{path}, line {number}: a SPEAKER line has 9 or 10 fields, this one has {len(cells)}")
        start = _seconds(path, number, "onset", cells[3])
        length = _seconds(path, number, "duration", cells[4])
        speaker = None if cells[7] == _NOTHING else cells[7]
        turns.setdefault(cells[1], []).append(_turn(path, number, start, start + length, speaker))
    if len(turns) > 1:
        if recording is None or (name := Path(recording).stem) not in turns:
            raise ValueError(
                f"{path}: is on the recordings {', '.join(sorted(turns)[:8])}, none of which is called "
                f"{'this one' if recording is None else name}; keep the lines of one of them"
            )
        return turns[name]
    return next(iter(turns.values()), [])


def _read_subtitles(path: Path) -> Iterator[Turn]:
    lines = read_text(path).splitlines()
    for number, line in enumerate(lines, 1):
        if "-->" not in line or not line.lstrip()[:1].isdigit():
            continue  # text or a comment with an arrow
        cue = _CUE.match(line)
        if cue is None:
            raise ValueError(f"{path}, line {number}: {line.strip()!r} has no two times; correct or remove it")
        voice = _VOICE.match(lines[number].strip()) if number < len(lines) else None
        speaker = ((voice[1] or voice[2]).strip() or None) if voice else None
        yield _turn(path, number, _clock(cue[1]), _clock(cue[2]), speaker)


def _clock(text: str) -> float:
    """Return the seconds of `01:02:03,400`, `02:03.400` and the like."""
    *hours, minutes, seconds = text.replace(",", ".").split(":")
    return 3600 * int(hours[0] if hours else 0) + 60 * int(minutes) + float(seconds)


def _read_segments(path: Path) -> Iterator[Turn]:
    try:
        content = json.loads(read_text(path))
        segments = content["segments"] if isinstance(content, dict) else content
        rows = [(row.get("start"), row.get("end"), row.get("speaker")) for row in segments]
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path}: holds no list of segments, as Whisper and WhisperX write them ({error!r}); give another file"
        ) from error
    for number, (start, end, speaker) in enumerate(rows, 1):
        if not all(type(time) in (int, float) and abs(time) < _LONGEST for time in (start, end)):
            raise ValueError(f"{path}, segment {number}: start {start!r} and end {end!r} are no times; correct it")
        yield _turn(path, number, start, end, None if speaker is None else str(speaker), "segment")


def _is_daic_woz(path: Path) -> bool:
    """Return whether the header is that of a DAIC-WOZ transcript, in which quotes have no meaning."""
    return tuple(cell.strip().lower() for cell in _header(path).split("\t") if cell.strip()) == DAIC_WOZ_HEADER


def _header(path: Path) -> str:
    with path.open("rb") as file:
        return file.readline(1000).decode("utf-8-sig", "replace")


def _read_transcript(path: Path) -> list[Turn] | None:
    """Return the repaired turns of a transcript of DAIC-WOZ or E-DAIC under its own name, None for another file."""
    named = _TRANSCRIPT.fullmatch(path.name)
    if named is None:
        return None
    if _is_daic_woz(path) or is_comma_copy(path):
        rows, repairs, roles = read_daic_woz(path), repairs_of(int(named[1])), tuple(SPEAKERS.values())
    elif "end_time" in _header(path).lower():
        rows, repairs, roles = read_e_daic(path), Repairs(drop_scrubbed=True), None
    else:
        return None
    # Prepared corpora leave out speakers other than the two of the release; here all are of interest.
    others = [row for row in rows if row.start is not None and row.speaker and row.speaker.lower() not in SPEAKERS]
    settings = Segmentation(speakers=roles, segmentation="rows", min_seconds=0.0)
    mended = segment([row for row in rows if row not in others], math.inf, settings, repairs)
    if mended.left_out:
        reasons = Counter(reason for _, _, reason in mended.left_out)
        listed = ", ".join(f"{number} {reason}" for reason, number in reasons.items())
        verb = "is" if len(mended.left_out) == 1 else "are"
        logger.warning(f"{path}: {len(mended.left_out)} of {counted(len(rows), 'row')} {verb} left out: {listed}")
    if repairs.offset:
        logger.warning(f"{path}: times are moved by {repairs.offset:g} s, because the transcript is misaligned")
    speakers = {row.line: row.speaker for row in rows}
    moved = [Turn(row.start + repairs.offset, row.stop + repairs.offset, row.speaker) for row in others]
    return [*moved, *(Turn(kept.start, kept.end, speakers[kept.line] or None) for kept in mended.kept)]


def _read_daic_woz(path: Path) -> Iterator[Turn]:
    for row in read_daic_woz(path):
        if row.start is None:
            raise ValueError(f"{path}, line {row.line}: {row.problem}; correct or remove the line")
        yield Turn(row.start, row.stop, row.speaker or None)


def _read_table(path: Path) -> Iterator[Turn]:
    for row in read_table(path, _COLUMNS):
        if row.problem:
            raise ValueError(f"{path}, line {row.line}: {row.problem}")
        start, end = (_seconds(path, row.line, field, row.first(*names) or "") for field, names in _COLUMNS.items())
        yield _turn(path, row.line, start, end, row.first("speaker"))


def _seconds(path: Path, line: int, field: str, text: str) -> float:
    try:
        seconds = decimal(text)
    except ValueError:
        seconds = math.nan
    if not math.isfinite(seconds):
        raise ValueError(f"{path}, line {line}: the {field} {text!r} is no number of seconds; correct it")
    return seconds


def _turn(path: Path, line: int, start: float, end: float, speaker: str | None, unit: str = "line") -> Turn:
    if not 0 <= start < end < math.inf:
        raise ValueError(
            f"{path}, {unit} {line}: a turn from {start:g} to {end:g} s begins before the recording, or ends before "
            "or when it starts; correct or remove it"
        )
    return Turn(start, end, speaker)


__all__ = ["Turn", "read_turns"]
