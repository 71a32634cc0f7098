"""From the rows of an interview's transcript to segments of its recording, with an account of every row.

Nothing here knows a label: which segments there are depends on the transcript and the recording alone.
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
#: What the account calls rows and segments that are used.
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
    """How to divide an interview; `DaicWozConfig` explains the fields.

    Raises:
        ValueError: an unknown name, or lengths that cannot be.
    """

    speakers: Sequence[str] | None = ("participant",)  # None: the transcript does not say who speaks
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
class Mending:
    """What to do about the defects of one session; nothing by default. Times are seconds."""

    offset: float = 0.0
    interruptions: Sequence[tuple[float, float]] = ()
    drop_sync: bool = False
    drop_scrubbed: bool = False
    drop_chatter: bool = False
    auto_transcribed: bool = False
    split_without_interviewer: bool = False


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a recording: `line` is that of its first row, `piece` its number where a turn was divided, from 0."""

    line: int
    piece: int | None
    start: float
    end: float
    role: str | None
    text: str

    @property
    def name(self) -> str:
        return f"{self.line:04d}" if self.piece is None else f"{self.line:04d}_{self.piece:02d}"


@dataclass
class Segments:
    """What became of an interview.

    Attributes:
        kept: segments in order.
        left_out: (name, line, reason) of rows, and of segments, that are not used.
        rows: reason -> rows, `KEPT` among them; they sum to the rows of the transcript.
        counts: reason -> segments, `KEPT` among them; they sum to the segments that were formed.
        has_interviewer: whether any row is the interviewer's.
    """

    kept: list[Segment] = field(default_factory=list)
    left_out: list[tuple[str, int, str]] = field(default_factory=list)
    rows: Counter = field(default_factory=Counter)
    counts: Counter = field(default_factory=Counter)
    has_interviewer: bool = False


@dataclass(frozen=True, slots=True)
class _Judged:
    """A row with times, mended, and why it is left out, if it is."""

    row: TranscriptRow
    role: str | None
    reason: str | None


def segment(rows: Sequence[TranscriptRow], duration: float, how: Segmentation, mending: Mending) -> Segments:
    """Divide an interview.

    A turn is a run of rows of one speaker, from the first one's start to the last one's end. It ends where another
    speaker's row begins, where the next row begins more than `max_gap_seconds` later, at an interruption, and at any
    row that is left out: the sound of that row would be in the turn. Where nobody's rows tell when the other one
    speaks, each row is a turn unless `max_gap_seconds` is given.

    Args:
        rows: of the transcript.
        duration: of the recording, seconds.
        how: settings.
        mending: of this session's defects.
    """
    result = Segments()
    judged = []
    for row in rows:
        if row.start is None:
            _leave_out(result, row, row.problem)
        else:
            judged.append(_judge(row, duration, how, mending))
    judged.sort(key=lambda one: (one.row.start, one.row.line))
    result.has_interviewer = any(one.role == "interviewer" for one in judged)
    if mending.drop_chatter:
        judged = _without_chatter(judged)
    for one in judged:
        if one.reason is not None:
            _leave_out(result, one.row, one.reason)
    told = how.speakers is not None and (result.has_interviewer or not mending.split_without_interviewer)
    for turn in _turns(judged, how, mending, merges=told or how.max_gap_seconds is not None):
        _divide(turn, duration, how, result)
    return result


def _leave_out(result: Segments, row: TranscriptRow, reason: str) -> None:
    result.left_out.append((f"{row.line:04d}", row.line, reason))
    result.rows[reason] += 1


def _judge(row: TranscriptRow, duration: float, how: Segmentation, mending: Mending) -> _Judged:
    start, stop = (round(time + mending.offset, 6) for time in (row.start, row.stop))
    row = replace(row, start=start, stop=stop)
    role = None if row.speaker is None else SPEAKERS.get(row.speaker.lower())
    if mending.auto_transcribed and role == "interviewer" and (match := _AUTO_TRANSCRIBED.fullmatch(row.value)):
        row = replace(row, value=match[1].strip())
    if row.problem:
        reason = row.problem
    elif row.start >= duration or row.stop > duration + END_TOLERANCE:
        reason = BEYOND
    elif any(row.start < end and row.stop > start for start, end in mending.interruptions):
        reason = INTERRUPTED
    elif mending.drop_sync and _SYNC.fullmatch(row.value):
        reason = SYNC
    elif mending.drop_scrubbed and "scrubbed_entry" in row.value.lower():
        reason = SCRUBBED
    elif row.speaker is not None and role is None:
        reason = UNKNOWN_SPEAKER
    elif how.speakers is not None and role not in how.speakers:
        reason = NOT_CHOSEN
    else:
        reason = None
    return _Judged(row, role, reason)


def _without_chatter(judged: Sequence[_Judged]) -> list[_Judged]:
    """Rows before the first one of the interviewer marked as such, if there is one."""
    spoken = [one.reason in (None, NOT_CHOSEN) for one in judged]
    first = next((i for i, one in enumerate(judged) if one.role == "interviewer" and spoken[i]), 0)
    return [
        replace(one, reason=CHATTER) if index < first and spoken[index] else one for index, one in enumerate(judged)
    ]


def _turns(judged: Sequence[_Judged], how: Segmentation, mending: Mending, merges: bool) -> Iterator[list[_Judged]]:
    """Runs of rows that go together."""
    merges = merges and how.segmentation != "rows"
    turn: list[_Judged] = []
    for one in judged:
        goes_on = merges and turn and one.reason is None and one.role == turn[-1].role
        if goes_on:
            end = max(other.row.stop for other in turn)
            goes_on = how.max_gap_seconds is None or one.row.start - end <= how.max_gap_seconds + _EPSILON
            if any(start < one.row.start and stop > end for start, stop in mending.interruptions):
                goes_on = False
        if turn and not goes_on:
            yield turn
            turn = []
        if one.reason is None:
            turn.append(one)
    if turn:
        yield turn


def _divide(turn: Sequence[_Judged], duration: float, how: Segmentation, result: Segments) -> None:
    """Add a turn's segments to the result, and its rows to the account."""
    first = turn[0]
    start, end = first.row.start, min(max(one.row.stop for one in turn), duration)
    parts = list(_parts(start, end, how))
    kept, reason = False, TOO_SHORT
    for piece, (begin, stop, fits) in enumerate(parts):
        begin, stop = round(begin, 6), round(stop, 6)
        text = " ".join(one.row.value for one in turn if one.row.start < stop and one.row.stop > begin)
        part = Segment(first.row.line, piece if len(parts) > 1 else None, begin, stop, first.role, text)
        problem = None
        if not fits and (how.window_rest == "drop" or (piece and stop - begin < how.min_seconds - _EPSILON)):
            problem = WINDOW_REST
        elif stop - begin < how.min_seconds - _EPSILON:
            problem = TOO_SHORT
        result.counts[problem or KEPT] += 1
        if problem is None:
            result.kept.append(part)
            kept = True
        else:
            result.left_out.append((part.name, part.line, problem))
            reason = problem
    result.rows[KEPT if kept else reason] += len(turn)


def _parts(start: float, end: float, how: Segmentation) -> Iterator[tuple[float, float, bool]]:
    """Start and end of each part of a turn, and whether it is as long as it should be."""
    length = end - start
    if how.segmentation == "windows":
        window, hop = how.window_seconds, how.hop_seconds or how.window_seconds
        number = max(math.floor((length - window) / hop + _EPSILON) + 1, 0)
        for index in range(number):
            yield start + index * hop, start + index * hop + window, True
        covered = (number - 1) * hop + window if number else 0.0
        if length - covered > _EPSILON:
            yield start + number * hop, end, False
    elif how.max_seconds is not None and length > how.max_seconds:
        number = math.ceil(length / how.max_seconds - _EPSILON)
        for index in range(number):
            yield start + index * length / number, start + (index + 1) * length / number, True
    else:
        yield start, end, True
