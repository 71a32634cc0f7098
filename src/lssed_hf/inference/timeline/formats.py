"""Files of timelines: all windows as a table, CSV or JSON, and windows without overlap as Praat TextGrid or RTTM."""

import csv
import json
import re
from collections.abc import Sequence
from typing import IO, Any, NamedTuple

import numpy as np

from ..prediction_formats import printable, score_cells, score_columns, write_columns
from .scoring import NO_SPEECH, NO_TURN, TimelineSegment


class Interval(NamedTuple):
    """Stretch with one label and its mean `score`; both are None if it was not scored, for the reason `skipped`."""

    start: float
    end: float
    label: str | None
    score: float | None
    skipped: str | None


def flatten(segments: Sequence[TimelineSegment], end: float) -> list[TimelineSegment]:
    """Return segments without overlap that cover 0 to `end` seconds.

    Time is cut wherever a segment begins or ends. A piece gets the mean probabilities of the scored segments that
    cover it. A piece without such segments is skipped for the reason of the first segment that covers it, or as
    `NO_TURN` if none does.
    """
    bounds = np.unique([0.0, end, *(time for segment in segments for time in (segment.start, segment.end))])
    width = len(segments[0].probabilities) if segments else 0
    sums, counts = np.zeros((len(bounds) - 1, width)), np.zeros(len(bounds) - 1)
    reasons: list[str | None] = [None] * (len(bounds) - 1)
    for segment in segments:
        first, last = np.searchsorted(bounds, (segment.start, segment.end))
        if segment.skipped is None:
            sums[first:last] += segment.probabilities
            counts[first:last] += 1
        else:
            reasons[first:last] = [reason or segment.skipped for reason in reasons[first:last]]
    with np.errstate(invalid="ignore"):
        means = (sums / counts[:, None]).astype(np.float32)
    return [
        TimelineSegment(start, stop, row, skipped=None if count else reason or NO_TURN)
        for start, stop, row, count, reason in zip(bounds[:-1].tolist(), bounds[1:].tolist(), means, counts, reasons)
    ]


def tiers(segments: Sequence[TimelineSegment]) -> dict[str | None, list[TimelineSegment]]:
    """Return the flattened segments of each speaker, in the order in which they first speak.

    Without turns the only speaker is None.
    """
    end = max(segment.end for segment in segments)
    spoken: dict[str | None, list[TimelineSegment]] = {}
    for segment in segments:
        if segment.skipped != NO_TURN:
            spoken.setdefault(segment.speaker, []).append(segment)
    return {speaker: flatten(turns, end) for speaker, turns in (spoken or {None: segments}).items()}


def intervals(pieces: Sequence[TimelineSegment], labels: Sequence[str]) -> list[Interval]:
    """Return the most probable label of each flattened segment; neighbours with the same label are joined."""
    joined: list[Interval] = []
    for piece in pieces:
        best = None if piece.skipped else int(piece.probabilities.argmax())
        label, score = (None, None) if best is None else (labels[best], float(piece.probabilities[best]))
        last = joined[-1] if joined else None
        if last and (last.label, last.skipped) == (label, piece.skipped):
            if score is not None:
                before, now = last.end - last.start, piece.end - piece.start
                score = (last.score * before + score * now) / (before + now)
            joined[-1] = last._replace(end=piece.end, score=score)
        else:
            joined.append(Interval(piece.start, piece.end, label, score, piece.skipped))
    return joined


def write_table(file: IO[str], segments: Sequence[TimelineSegment], labels: Sequence[str]) -> None:
    """Write one aligned line per window: times, speaker, label and per cent, or the reason why it was not scored."""
    rows = [("start", "end", "speaker", "label", "sure")]
    for segment in segments:
        best = int(np.nan_to_num(segment.probabilities).argmax())
        label, sure = ("", "") if segment.skipped else (labels[best], f"{segment.probabilities[best]:4.0%}")
        times = (f"{segment.start:8.1f}", f"{segment.end:8.1f}")
        rows.append((*times, printable(segment.speaker or ""), segment.skipped or label, sure))
    if not any(row[2] for row in rows[1:]):
        rows = [(*row[:2], *row[3:]) for row in rows]
    write_columns(file, rows)


def write_csv(file: IO[str], segments: Sequence[TimelineSegment], labels: Sequence[str]) -> None:
    """Write a row per segment: start, end (seconds), speaker, label, score, probabilities, and why it was skipped."""
    writer = csv.writer(file)
    writer.writerow(["start", "end", "speaker", *score_columns(labels), "skipped"])
    for segment in segments:
        cells = score_cells(None if segment.skipped else segment.probabilities, labels)
        speaker = "" if segment.speaker is None else segment.speaker
        writer.writerow([f"{segment.start:.4f}", f"{segment.end:.4f}", speaker, *cells, segment.skipped or ""])


def write_json(
    file: IO[str], segments: Sequence[TimelineSegment], labels: Sequence[str], settings: dict[str, Any]
) -> None:
    """Write an object of `settings`, `duration` (seconds), `labels` and `segments`, with the fields of the CSV."""
    rows = []
    for segment in segments:
        row: dict[str, Any] = {"start": segment.start, "end": segment.end, "speaker": segment.speaker}
        if segment.skipped:
            row |= {"label": None, "score": None, "probabilities": None}
        else:
            probabilities = dict(zip(labels, map(float, segment.probabilities)))
            label = max(probabilities, key=probabilities.__getitem__)
            row |= {"label": label, "score": probabilities[label], "probabilities": probabilities}
        rows.append({**row, "skipped": segment.skipped})
    duration = max(segment.end for segment in segments)
    content = {**settings, "duration": duration, "labels": list(labels), "segments": rows}
    json.dump(content, file, ensure_ascii=False, allow_nan=False, indent=1)
    file.write("\n")


def write_textgrid(file: IO[str], segments: Sequence[TimelineSegment], labels: Sequence[str]) -> None:
    """Write Praat's long text format: an interval tier per speaker, or one called `emotion`, without gaps.

    The text of an interval is the label, `(no speech)` or `(too short)`. It is empty where the speaker has no turn.
    """
    end = max(segment.end for segment in segments)
    by_speaker = {speaker: intervals(pieces, labels) for speaker, pieces in tiers(segments).items()}
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {end!r}"]
    lines += ["tiers? <exists>", f"size = {len(by_speaker)}", "item []:"]
    for number, (speaker, stretches) in enumerate(by_speaker.items(), 1):
        name = "emotion" if speaker is None else speaker
        lines += [f"    item [{number}]:", '        class = "IntervalTier"', f"        name = {_quoted(name)}"]
        lines += ["        xmin = 0", f"        xmax = {end!r}", f"        intervals: size = {len(stretches)}"]
        for index, stretch in enumerate(stretches, 1):
            text = stretch.label or ("" if stretch.skipped == NO_TURN else f"({stretch.skipped})")
            lines += [f"        intervals [{index}]:", f"            xmin = {stretch.start!r}"]
            lines += [f"            xmax = {stretch.end!r}", f"            text = {_quoted(text)}"]
    file.write("\n".join([*lines, ""]))


def write_rttm(file: IO[str], segments: Sequence[TimelineSegment], labels: Sequence[str], recording: str) -> None:
    """Write NIST's Rich Transcription Time Marked format (RT-09 evaluation plan, appendix A), sorted by onset.

    A stretch of one label is a SPEAKER line. Its name is the label, behind `SPEAKER:` with turns, and its confidence
    is the mean probability. Stretches without speech are NON-SPEECH of subtype `other`. Stretches without a turn, or
    too short, are NOSCORE. Blanks in names become `_`.

    Args:
        file: Text file to write to.
        segments: Segments of `score_timeline`.
        labels: Labels of the classifier, (num_labels,).
        recording: Name of the recording, for the second field.
    """
    lines = []
    for segment in segments:
        if segment.skipped == NO_TURN:
            lines.append(_rttm("NOSCORE", recording, segment.start, segment.end))
    for speaker, pieces in tiers(segments).items():
        for stretch in intervals(pieces, labels):
            if stretch.label is not None:
                name = stretch.label if speaker is None else f"{speaker}:{stretch.label}"
                line = _rttm("SPEAKER", recording, stretch.start, stretch.end, name=name, confidence=stretch.score)
                lines.append(line)
            elif stretch.skipped == NO_SPEECH:
                lines.append(_rttm("NON-SPEECH", recording, stretch.start, stretch.end, subtype="other"))
            elif stretch.skipped != NO_TURN:
                lines.append(_rttm("NOSCORE", recording, stretch.start, stretch.end))
    file.writelines(line for _, line in sorted(lines))


def _rttm(
    kind: str,
    recording: str,
    start: float,
    end: float,
    *,
    subtype: str = "<NA>",
    name: str = "<NA>",
    confidence: float | None = None,
) -> tuple[float, str]:
    """Return the onset of a line, and the line."""
    onset, end = round(start, 3), round(end, 3)  # before the difference, so that neighbours still meet
    confident = "<NA>" if confidence is None else f"{confidence:.4f}"
    fields = [kind, _word(recording), "1", f"{onset:.3f}", f"{end - onset:.3f}", "<NA>", subtype, _word(name)]
    return onset, " ".join([*fields, confident, "<NA>"]) + "\n"


def _word(text: str) -> str:
    return re.sub(r"\s+", "_", text.strip()) or "<NA>"


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


__all__ = ["Interval", "flatten", "intervals", "tiers", "write_csv", "write_json", "write_rttm", "write_textgrid"]
