"""Division of an interview into segments by its transcript, with an account of every row.

Labels are unknown here: the segments depend on the transcript and the recording alone.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from ...decoding.source import END_TOLERANCE
from .transcripts import TranscriptRow


ROLES = ("participant", "interviewer")
SPEAKERS = {"participant": "participant", "ellie": "interviewer"}  # lower case -> role
SEGMENTATIONS = ("turns", "rows", "windows")
#: Outcomes of rows and segments in the account: they are used, or left out for a reason.
KEPT = "kept"
BEYOND = "ends after the recording"
INTERRUPTED = "in an interruption"
SYNC = "a sync marker"
SCRUBBED = "scrubbed_entry: its sound was set to zero"
CHATTER = "before the first row of the interviewer"
UNKNOWN_SPEAKER = "of an unknown speaker"
NOT_CHOSEN = "of a speaker whom `speakers` leaves out"
TOO_SHORT = "shorter than min_seconds"
WINDOW_REST = "what windows left of a turn"
_SYNC = re.compile(r"\W*[<\[]\s*synch?(?:ing)?\s*[>\]]\W*", re.IGNORECASE)
_AUTO_TRANSCRIBED = re.compile(r"[\w.-]+\s*\((.+)\)", re.DOTALL)
_EPSILON = 1e-6  # seconds: times are sums of decimal fractions


@dataclass(frozen=True)
class Segmentation:
    """Settings of the division; `DaicWozConfig` explains the fields.

    Raises:
        ValueError: A name is unknown, or a length is impossible.
    """

    speakers: Sequence[str] | None = ("participant",)  # None: the transcript does not name the speakers
    segmentation: str = "turns"
    max_gap_seconds: float | None = None
    window_seconds: float | None = None
    hop_seconds: float | None = None
    window_rest: str = "keep"
    min_seconds: float = 1.0
    max_seconds: float | None = None

    def __post_init__(self):
        if self.speakers is not None and (not self.speakers or set(self.speakers) - set(ROLES)):
            raise ValueError(f"speakers={list(self.speakers)!r}; give one or both of {', '.join(ROLES)}")
        if self.segmentation not in SEGMENTATIONS:
            raise ValueError(f"segmentation={self.segmentation!r}; known are {', '.join(SEGMENTATIONS)}")
        if self.window_rest not in ("keep", "drop"):
            raise ValueError(f"window_rest={self.window_rest!r}; known are keep, drop")
        for name in ("max_gap_seconds", "window_seconds", "hop_seconds", "min_seconds", "max_seconds"):
            value = getattr(self, name)
            may_be_zero = name in ("min_seconds", "max_gap_seconds")
            if value is not None and not (_is_number(value) and (value > 0 or (may_be_zero and value == 0))):
                raise ValueError(f"{name}={value!r}; give seconds{'' if may_be_zero else ' above 0'}")
        if (self.segmentation == "windows") != (self.window_seconds is not None):
            raise ValueError("segmentation='windows' and window_seconds go together; give both or neither")
        if self.hop_seconds is not None and not (self.window_seconds and self.hop_seconds <= self.window_seconds):
            raise ValueError("hop_seconds goes with window_seconds and may not exceed it: speech would fall between")
        if self.max_seconds is not None and self.segmentation == "windows":
            raise ValueError("max_seconds is for turns and rows; windows have window_seconds")
        for name in ("max_seconds", "window_seconds"):
            if getattr(self, name) is not None and getattr(self, name) < self.min_seconds:
                raise ValueError(f"{name} is below min_seconds ({self.min_seconds:g} s): nothing would be left")
        if self.speakers is None and self.segmentation == "turns" and self.max_gap_seconds is None:
            raise ValueError(
                "turns end where another speaks, which this transcript does not tell; give max_gap_seconds, or "
                "segmentation='rows'"
            )


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


@dataclass(frozen=True)
class Repairs:
    """Repairs of the defects of one session, none by default.

    Attributes:
        offset: Offset of all times in seconds.
        interruptions: Start and end of each interruption in seconds.
        drop_sync: Whether sync markers are left out.
        drop_scrubbed: Whether scrubbed entries are left out.
        drop_chatter: Whether rows before the first one of the interviewer are left out.
        auto_transcribed: Whether the interviewer's rows are `identifier (spoken text)`.
        split_without_interviewer: Whether each row is a turn if the interviewer has no row.
    """

    offset: float = 0.0
    interruptions: Sequence[tuple[float, float]] = ()
    drop_sync: bool = False
    drop_scrubbed: bool = False
    drop_chatter: bool = False
    auto_transcribed: bool = False
    split_without_interviewer: bool = False


@dataclass(frozen=True, slots=True)
class Segment:
    """Part of a recording.

    Attributes:
        line: Line of its first row in the transcript.
        piece: Number of the piece of a divided turn, from 0, None for a whole turn.
        start: Start in seconds.
        end: End in seconds.
        role: Role of the speaker, one of `ROLES`, None if unknown.
        text: Spoken words.
    """

    line: int
    piece: int | None
    start: float
    end: float
    role: str | None
    text: str

    @property
    def name(self) -> str:
        """Name of the segment within its interview."""
        return f"{self.line:04d}" if self.piece is None else f"{self.line:04d}_{self.piece:02d}"


@dataclass
class Segments:
    """Outcome of cutting one interview into segments.

    Attributes:
        kept: Segments in order.
        left_out: Name, line and reason of each row or segment that is not used.
        rows: Outcome -> number of rows. The sum is the number of rows in the transcript.
        counts: Outcome -> number of segments. The sum is the number of segments that were formed.
        has_interviewer: Whether any row is the interviewer's.
    """

    kept: list[Segment] = field(default_factory=list)
    left_out: list[tuple[str, int, str]] = field(default_factory=list)
    rows: Counter = field(default_factory=Counter)
    counts: Counter = field(default_factory=Counter)
    has_interviewer: bool = False


@dataclass(frozen=True, slots=True)
class _JudgedRow:
    """Repaired row with times, the role of its speaker, and the reason to leave it out, None for a row to use."""

    row: TranscriptRow
    role: str | None
    reason: str | None


def segment(rows: Sequence[TranscriptRow], duration: float, settings: Segmentation, repairs: Repairs) -> Segments:
    """Divide an interview into segments.

    A turn is a run of rows of one speaker, from the start of the first row to the end of the last one. It ends where
    another speaker's row begins, where the next row begins more than `max_gap_seconds` later, and at an interruption.
    It also ends at any row that is left out, because it would contain the sound of that row. If the transcript does
    not tell when the other person speaks, each row is a turn, unless `max_gap_seconds` is given.

    Args:
        rows: Rows of the transcript.
        duration: Length of the recording in seconds.
        settings: Settings of the division.
        repairs: Repairs of this session's defects.
    """
    result = Segments()
    judged = []
    for row in rows:
        if row.start is None:
            _leave_out(result, row, row.problem)
        else:
            judged.append(_judge(row, duration, settings, repairs))
    judged.sort(key=lambda item: (item.row.start, item.row.line))
    result.has_interviewer = any(item.role == "interviewer" for item in judged)
    if repairs.drop_chatter:
        judged = _without_chatter(judged)
    for item in judged:
        if item.reason is not None:
            _leave_out(result, item.row, item.reason)
    speakers_known = settings.speakers is not None and (
        result.has_interviewer or not repairs.split_without_interviewer
    )
    if settings.segmentation != "rows" and (speakers_known or settings.max_gap_seconds is not None):
        turns = _turns(judged, settings.max_gap_seconds, repairs.interruptions)
    else:
        turns = ([item] for item in judged if item.reason is None)
    for turn in turns:
        _divide(turn, duration, settings, result)
    return result


def _leave_out(result: Segments, row: TranscriptRow, reason: str) -> None:
    result.left_out.append((f"{row.line:04d}", row.line, reason))
    result.rows[reason] += 1


def _judge(row: TranscriptRow, duration: float, settings: Segmentation, repairs: Repairs) -> _JudgedRow:
    start, stop = (round(time + repairs.offset, 6) for time in (row.start, row.stop))
    row = replace(row, start=start, stop=stop)
    role = None if row.speaker is None else SPEAKERS.get(row.speaker.lower())
    if repairs.auto_transcribed and role == "interviewer" and (match := _AUTO_TRANSCRIBED.fullmatch(row.value)):
        row = replace(row, value=match[1].strip())
    if row.problem:
        reason = row.problem
    elif row.start >= duration or row.stop > duration + END_TOLERANCE:
        reason = BEYOND
    elif any(row.start < end and row.stop > start for start, end in repairs.interruptions):
        reason = INTERRUPTED
    elif repairs.drop_sync and _SYNC.fullmatch(row.value):
        reason = SYNC
    elif repairs.drop_scrubbed and "scrubbed_entry" in row.value.lower():
        reason = SCRUBBED
    elif row.speaker is not None and role is None:
        reason = UNKNOWN_SPEAKER
    elif settings.speakers is not None and role not in settings.speakers:
        reason = NOT_CHOSEN
    else:
        reason = None
    return _JudgedRow(row, role, reason)


def _without_chatter(judged: Sequence[_JudgedRow]) -> list[_JudgedRow]:
    """Mark the rows before the interviewer's first one as chatter, if she has one."""
    spoken = [item.reason in (None, NOT_CHOSEN) for item in judged]
    first = next((i for i, item in enumerate(judged) if item.role == "interviewer" and spoken[i]), 0)
    return [
        replace(item, reason=CHATTER) if index < first and spoken[index] else item for index, item in enumerate(judged)
    ]


def _turns(
    judged: Sequence[_JudgedRow], max_gap: float | None, interruptions: Sequence[tuple[float, float]]
) -> Iterator[list[_JudgedRow]]:
    """Yield the rows of each turn; times and gaps are in seconds."""
    turn: list[_JudgedRow] = []
    for item in judged:
        goes_on = turn and item.reason is None and item.role == turn[-1].role
        if goes_on:
            end = max(other.row.stop for other in turn)
            goes_on = max_gap is None or item.row.start - end <= max_gap + _EPSILON
            if any(start < item.row.start and stop > end for start, stop in interruptions):
                goes_on = False
        if turn and not goes_on:
            yield turn
            turn = []
        if item.reason is None:
            turn.append(item)
    if turn:
        yield turn


def _divide(turn: Sequence[_JudgedRow], duration: float, settings: Segmentation, result: Segments) -> None:
    """Add the segments of a turn to the result, and its rows to the account."""
    first = turn[0]
    start, end = first.row.start, min(max(item.row.stop for item in turn), duration)
    pieces = list(_pieces(start, end, settings))
    kept, reason = False, TOO_SHORT
    for piece, (begin, stop, fits) in enumerate(pieces):
        begin, stop = round(begin, 6), round(stop, 6)
        text = " ".join(item.row.value for item in turn if item.row.start < stop and item.row.stop > begin)
        cut = Segment(first.row.line, piece if len(pieces) > 1 else None, begin, stop, first.role, text)
        problem = None
        if not fits and (settings.window_rest == "drop" or (piece and stop - begin < settings.min_seconds - _EPSILON)):
            problem = WINDOW_REST
        elif stop - begin < settings.min_seconds - _EPSILON:
            problem = TOO_SHORT
        result.counts[problem or KEPT] += 1
        if problem is None:
            result.kept.append(cut)
            kept = True
        else:
            result.left_out.append((cut.name, cut.line, problem))
            reason = problem
    result.rows[KEPT if kept else reason] += len(turn)


def _pieces(start: float, end: float, settings: Segmentation) -> Iterator[tuple[float, float, bool]]:
    """Yield the start and the end of each piece of a turn, and whether it has its full length."""
    length = end - start
    if settings.segmentation == "windows":
        window, hop = settings.window_seconds, settings.hop_seconds or settings.window_seconds
        number = max(math.floor((length - window) / hop + _EPSILON) + 1, 0)
        for index in range(number):
            yield start + index * hop, start + index * hop + window, True
        covered = (number - 1) * hop + window if number else 0.0
        if length - covered > _EPSILON:
            yield start + number * hop, end, False
    elif settings.max_seconds is not None and length > settings.max_seconds:
        number = math.ceil(length / settings.max_seconds - _EPSILON)
        for index in range(number):
            yield start + index * length / number, start + (index + 1) * length / number, True
    else:
        yield start, end, True
