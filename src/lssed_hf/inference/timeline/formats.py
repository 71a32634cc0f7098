"""Files of timelines: all windows as a table, CSV or JSON, and windows without overlap as Praat TextGrid or RTTM."""

import csv
import json
import re
from collections.abc import Sequence
from typing import IO, Any, NamedTuple

import numpy as np

from ...escaping import csv_cell, printable
from ..classifiers.outputs import Outputs
from ..prediction_formats import score_cells, score_columns, table_cells, table_columns, write_columns
from ..quality import NO_SPEECH, UNSURE
from .scoring import NO_TURN, OWN_SPEECH, TimelineSegment


class Interval(NamedTuple):
    """Stretch with one label and its mean `score`; both are None if it has none, for the reason `skipped`.

    Where a clip may have several classes, `label` holds all of the stretch, with ";" between, and `score` is that of
    the most probable one.
    """

    start: float
    end: float
    label: str | None
    score: float | None
    skipped: str | None


def flatten(segments: Sequence[TimelineSegment], end: float) -> list[TimelineSegment]:
    """Return segments without overlap that cover 0 to `end` seconds.

    Time is cut wherever a segment begins or ends. A piece gets the mean scores of the scored segments that
    cover it. A piece without such segments is skipped for the reason of the first segment that covers it, or as
    `NO_TURN` if none does.
    """
    bounds = np.unique([0.0, end, *(time for segment in segments for time in (segment.start, segment.end))])
    num_labels = len(segments[0].probabilities) if segments else 0
    width = num_labels + len(segments[0].dimensions) if segments else 0
    sums, counts = np.zeros((len(bounds) - 1, width)), np.zeros(len(bounds) - 1)
    reasons: list[str | None] = [None] * (len(bounds) - 1)
    for segment in segments:
        first, last = np.searchsorted(bounds, (segment.start, segment.end))
        if segment.scored:
            sums[first:last] += np.concatenate([segment.probabilities, segment.dimensions])
            counts[first:last] += 1
        else:
            reasons[first:last] = [reason or segment.skipped for reason in reasons[first:last]]
    with np.errstate(invalid="ignore"):
        means = (sums / counts[:, None]).astype(np.float32)
    return [
        TimelineSegment(
            start,
            stop,
            row[:num_labels],
            skipped=None if count else reason or NO_TURN,
            dimensions=row[num_labels:],
        )
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


def check_intervals(outputs: Outputs, path: Any) -> None:
    """Check that a model has classes, which the stretches of a file are made of.

    Args:
        outputs: Outputs of the model.
        path: File, for the message.

    Raises:
        ValueError: The model gives values alone.
    """
    if not outputs.labels:
        raise ValueError(
            f"{path} would hold stretches of one class, and the model gives values ({', '.join(outputs.dimensions)}): "
            "write --csv, --json or --figure"
        )


def intervals(pieces: Sequence[TimelineSegment], outputs: Outputs, min_confidence: float = 0.0) -> list[Interval]:
    """Return the label of each flattened segment, see `Outputs.chosen`; neighbours with the same label are joined.

    Pieces whose mean probabilities are all below `min_confidence` have no label, for the reason `UNSURE`.
    """
    joined: list[Interval] = []
    for piece in pieces:
        label, score, skipped = None, None, piece.skipped
        if not skipped:
            if labels := outputs.chosen(piece.probabilities, min_confidence):
                label, score = ";".join(labels), float(piece.probabilities.max())
            else:
                skipped = UNSURE
        last = joined[-1] if joined else None
        if last and (last.label, last.skipped) == (label, skipped):
            if score is not None:
                before, now = last.end - last.start, piece.end - piece.start
                score = (last.score * before + score * now) / (before + now)
            joined[-1] = last._replace(end=piece.end, score=score)
        else:
            joined.append(Interval(piece.start, piece.end, label, score, skipped))
    return joined


def write_table(file: IO[str], segments: Sequence[TimelineSegment], outputs: Outputs) -> None:
    """Write one aligned line per window: times, speaker, label, per cent and dimensions, or why it has none."""
    note = [] if outputs.labels else ["note"]  # the reason takes the place of a label
    rows = [("start", "end", "speaker", *table_columns(outputs), *note)]
    for segment in segments:
        times, reason = (f"{segment.start:8.1f}", f"{segment.end:8.1f}"), segment.skipped or ""
        cells = table_cells(*_scores(segment, outputs), outputs, nothing=reason)
        rows.append((*times, printable(segment.speaker or ""), *cells, *([reason] if note else [])))
    if not any(row[2] for row in rows[1:]):
        rows = [(*row[:2], *row[3:]) for row in rows]
    write_columns(file, rows)


def _scores(segment: TimelineSegment, outputs: Outputs) -> tuple[tuple[str, ...], dict[str, float], dict[str, float]]:
    """Return the labels, probabilities and dimensions of a segment, by name; all empty if it was not scored."""
    if not segment.scored:
        return (), {}, {}
    labels = () if segment.skipped else outputs.chosen(segment.probabilities)
    named = (
        dict(zip(names, map(float, values)))
        for names, values in ((outputs.labels, segment.probabilities), (outputs.dimensions, segment.dimensions))
    )
    return (labels, *named)


def write_csv(file: IO[str], segments: Sequence[TimelineSegment], outputs: Outputs) -> None:
    """Write a row per segment: start, end (seconds), speaker, those of `score_columns`, skipped and baseline."""
    writer = csv.writer(file)
    writer.writerow(["start", "end", "speaker", *score_columns(outputs), "skipped", "baseline"])
    for segment in segments:
        cells = score_cells(*_scores(segment, outputs), outputs)
        place = (f"{segment.start:.4f}", f"{segment.end:.4f}", csv_cell(segment.speaker or ""))
        writer.writerow([*place, *cells, segment.skipped or "", segment.baseline or ""])


def write_json(file: IO[str], segments: Sequence[TimelineSegment], outputs: Outputs, settings: dict[str, Any]) -> None:
    """Write an object of settings, results and segments, with the fields of the CSV.

    Args:
        file: Text file to write to.
        segments: Segments of `score_timeline`.
        outputs: Outputs of the classifier.
        settings: Settings to record. `own_baseline` (whether a segment was normalised by its own speech), `duration`
            (seconds), `labels`, `dimensions` of a model that has some, and `segments` come behind them.
    """
    rows = []
    for segment in segments:
        row: dict[str, Any] = {"start": segment.start, "end": segment.end, "speaker": segment.speaker}
        row |= {"label": None, "score": None, "probabilities": None}
        labels, probabilities, dimensions = _scores(segment, outputs)
        if probabilities:
            row["probabilities"] = probabilities
        if labels:
            row |= {"label": labels[0], "score": probabilities[labels[0]]}
        if outputs.several:
            row["labels"] = labels
        if outputs.dimensions:
            row["dimensions"] = dimensions or None
        rows.append({**row, "skipped": segment.skipped, "baseline": segment.baseline})
    own_baseline = any(segment.baseline == OWN_SPEECH for segment in segments)
    duration = max(segment.end for segment in segments)
    content = {**settings, "own_baseline": own_baseline, "duration": duration, "labels": list(outputs.labels)}
    if outputs.dimensions:
        content["dimensions"] = list(outputs.dimensions)
    content["segments"] = rows
    json.dump(content, file, ensure_ascii=False, allow_nan=False, indent=1)
    file.write("\n")


def write_textgrid(
    file: IO[str], segments: Sequence[TimelineSegment], outputs: Outputs, min_confidence: float = 0.0
) -> None:
    """Write Praat's long text format: an interval tier per speaker, or one called `emotion`, without gaps.

    The text of an interval is the label, `(unsure)`, `(no speech)` or `(too short)`. It is empty where the speaker has
    no turn.
    """
    end = max(segment.end for segment in segments)
    by_speaker = {speaker: intervals(pieces, outputs, min_confidence) for speaker, pieces in tiers(segments).items()}
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


def write_rttm(
    file: IO[str],
    segments: Sequence[TimelineSegment],
    outputs: Outputs,
    recording: str,
    min_confidence: float = 0.0,
) -> None:
    """Write NIST's Rich Transcription Time Marked format (RT-09 evaluation plan, appendix A), sorted by onset.

    A stretch of one label is a SPEAKER line. Its name is the label, behind `SPEAKER:` with turns, and its confidence
    is the mean probability. Stretches without speech are NON-SPEECH of subtype `other`. Stretches that are without a
    turn, too short or unsure are NOSCORE. Blanks in names become `_`.

    Args:
        file: Text file to write to.
        segments: Segments of `score_timeline`.
        outputs: Outputs of the classifier.
        recording: Name of the recording, for the second field.
        min_confidence: Probability below which a stretch is unsure, see `intervals`.
    """
    lines = []
    for segment in segments:
        if segment.skipped == NO_TURN:
            lines.append(_rttm("NOSCORE", recording, segment.start, segment.end))
    for speaker, pieces in tiers(segments).items():
        for stretch in intervals(pieces, outputs, min_confidence):
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


__all__ = [
    "Interval",
    "check_intervals",
    "flatten",
    "intervals",
    "tiers",
    "write_csv",
    "write_json",
    "write_rttm",
    "write_table",
    "write_textgrid",
]
