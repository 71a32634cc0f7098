"""Emotion over time: classification of windows of a recording, which is streamed and never held whole."""

import heapq
import itertools
import math
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ...audio import AudioError, audio_duration, stream_audio
from ...decoding.source import END_TOLERANCE
from ..classifiers.classifier import Classifier
from ..classifiers.speaker_statistics import SpeakerStatistics
from ..quality import MIN_SPEECH, NO_SPEECH, SHORTEST, TOO_SHORT, UNSURE
from ..voice_activity import Gate, silero_gate
from .envelope import Envelope


if TYPE_CHECKING:  # its module reads tables by the package datasets
    from .turns import Turn


NO_TURN = "no turn"
#: Reason why the model gave a segment no score that is a number.
NOT_FINITE = "no finite score"
#: Baselines of segments: the speech of their speaker in the recording, or statistics that were measured before.
OWN_SPEECH, ENROLMENT = "own speech", "enrolment"
_BATCHES = 4  # batches of windows that are held at once


@dataclass(frozen=True)
class TimelineSegment:
    """Window of a recording and its probabilities.

    Attributes:
        start: Start in seconds from the beginning of the recording.
        end: End in seconds from the beginning of the recording.
        probabilities: Class probabilities, float32 (num_labels,); all NaN if the segment was not scored. Empty for a
            regression model.
        speaker: Speaker of the turn that the window is in, None without turns.
        skipped: Reason why the segment has no label, else None: it was not scored (`NO_SPEECH`, `NO_TURN`,
            `TOO_SHORT` or `NOT_FINITE`), or no class is probable enough (`UNSURE`).
        baseline: Statistics that the segment was normalised by: those of the speaker's or the recording's own speech
            (`OWN_SPEECH`), or those of an enrolled speaker (`ENROLMENT`). None for neither.
        dimensions: Values of a regression model's dimensions, float32 (num_dimensions,); all NaN if the segment was
            not scored. Empty for a classifier.
    """

    start: float
    end: float
    probabilities: np.ndarray
    speaker: str | None = None
    skipped: str | None = None
    baseline: str | None = None
    dimensions: np.ndarray = field(default_factory=lambda: np.empty(0, np.float32))

    @property
    def scored(self) -> bool:
        """True if the segment has probabilities, as one that is unsure does."""
        return self.skipped in (None, UNSURE)


class _Span(NamedTuple):
    """Samples `first` to `last` (exclusive) of a recording, and the reason why they are not scored, if any."""

    first: int
    last: int
    speaker: str | None = None
    skipped: str | None = None


#: Windows, each with its samples, or None where it is not scored.
_Drawn = Generator[tuple[_Span, np.ndarray | None], None, None]


def score_timeline(
    classifier: Classifier,
    recording: str | os.PathLike,
    *,
    window_seconds: float = 3.0,
    hop_seconds: float = 1.0,
    vad: bool | Gate = False,
    min_speech: float = MIN_SPEECH,
    min_confidence: float = 0.0,
    turns: "Sequence[Turn] | None" = None,
    speakers: Mapping[str, SpeakerStatistics] | None = None,
    own_baseline: bool | None = None,
    channel: str = "mix",
    envelope: Envelope | None = None,
) -> Iterator[TimelineSegment]:
    """Classify a recording window by window, in constant memory.

    Windows begin every `hop_seconds`. The last one ends with the recording, so it begins less than a hop after the one
    before. A recording that is shorter than a window is one segment. With `turns` each turn is cut like this, and the
    stretches between turns are segments that are not scored. Segments come in the order in which they begin, and
    together they cover the recording.

    ```python
    classifier = lssed_hf.load_classifier("outputs/pyresnet50")
    for segment in lssed_hf.score_timeline(classifier, "interview.wav"):
        if segment.skipped is None:
            print(segment.start, segment.end, classifier.labels[segment.probabilities.argmax()])
    ```

    Args:
        classifier: Classifier of `lssed_hf.load_classifier`.
        recording: Path that `load_audio` can read.
        window_seconds: Length of a window in seconds. The default is the length of the clips that classifiers learn
            from: clips of LSSED and RAVDESS mostly last 3 to 5 s.
        hop_seconds: Seconds between the starts of windows, at most `window_seconds`.
        vad: Whether to leave windows without speech unscored, judged by `silero_gate`; or another gate.
        min_speech: Share of a window that has to be speech for the window to be scored, with `vad`.
        min_confidence: Probability, 0 to 1, below which the most probable class is no label: the segment keeps its
            probabilities and is skipped as `UNSURE`. A regression model, which has no probabilities, takes none.
        turns: Turns of speakers from `lssed_hf.read_turns`; they may overlap.
        speakers: Statistics of each speaker of `turns`, by name, to normalise the turns by. (Without turns, pass
            `classifier.for_speaker(statistics)`.)
        own_baseline: Whether to normalise each speaker of `turns`, or the whole recording without turns, by its own
            speech in the recording, which is read once more for it. No labels are needed. Default: for models of
            `lssed-hf train --probe_pooling statistics`, such as the built-in encoder-small, unless there are
            statistics of speakers.
        channel: Channel of a stereo recording: "mix" (the mean), "left" or "right".
        envelope: Outline of the waveform, which is filled on the way.

    Returns:
        Iterator over the segments. Closing it closes the file.

    Raises:
        FileNotFoundError: There is no such file.
        AudioError: The recording cannot be read, or a turn ends after it. The iterator raises it for later faults.
        ValueError: A setting or turn is out of its range, or `speakers` lacks the speaker of a turn.
        ImportError: `vad=True` needs the package silero-vad, which is not installed.
    """
    rate = classifier.sampling_rate
    if not (math.isfinite(window_seconds) and window_seconds >= SHORTEST):
        raise ValueError(f"window_seconds must be {SHORTEST} or more, got {window_seconds}")
    if not (hop_seconds <= window_seconds and hop_seconds * rate >= 1):
        raise ValueError(
            f"hop_seconds must be at most window_seconds ({window_seconds}), so that nothing is left out, and at "
            f"least one sample, got {hop_seconds}"
        )
    for name, share in {"min_speech": min_speech, "min_confidence": min_confidence}.items():
        if not 0 <= share <= 1:
            raise ValueError(f"{name} must be from 0 to 1, got {share}")
    classifier.outputs.check_confidence(min_confidence)
    _check_turns(turns or (), recording)
    if own_baseline is None:
        own_baseline = classifier.takes_any_speech and classifier.statistics is None and speakers is None
    elif own_baseline:
        classifier.check_speakers()
    if own_baseline and (speakers is not None or classifier.statistics is not None):
        raise ValueError("own_baseline and statistics of speakers are two origins of a baseline: give one")
    classifiers = _speaker_classifiers(classifier, turns, speakers)
    gate = (silero_gate if vad is True else vad) or None

    def drawn(own: "Sequence[Turn] | None", hop: float, gate: Gate | None, envelope: Envelope | None = None) -> _Drawn:
        blocks = stream_audio(recording, rate, channel=channel)
        return _drawn(blocks, gate, envelope, (round(window_seconds * rate), hop * rate), min_speech, own, rate)

    if not own_baseline:
        return _score(classifiers, drawn(turns, hop_seconds, gate, envelope), min_confidence, ENROLMENT)
    judge = _judging_once(gate or silero_gate)
    windows = drawn(turns, hop_seconds, gate and judge, envelope)
    return _score_by_own_speech(
        classifier, windows, min_confidence, turns, lambda own: drawn(own, window_seconds, judge)
    )


def _check_turns(turns: "Iterable[Turn]", recording: str | os.PathLike) -> None:
    duration = audio_duration(recording)
    for turn in turns:
        if not 0 <= turn.start < turn.end < math.inf:
            raise ValueError(f"{turn} must begin at 0 s or later and end after its beginning")
        if 0 < duration < turn.end - END_TOLERANCE:  # some videos say 0
            raise AudioError(f"{recording}: lasts {duration:.3f} s, so it has no {turn}; correct the times")


def _speaker_classifiers(
    classifier: Classifier, turns: "Sequence[Turn] | None", speakers: Mapping[str, SpeakerStatistics] | None
) -> dict[str | None, Classifier]:
    """Return the classifier of each speaker with statistics; the one of None is for all others."""
    classifiers: dict[str | None, Classifier] = {None: classifier}
    if speakers is None:
        return classifiers
    if turns is None:
        raise ValueError("speakers are those of turns: give turns, or the classifier of one speaker (for_speaker)")
    for turn in turns:
        if turn.speaker not in speakers:
            raise ValueError(
                f"the {turn} has no speaker with statistics: they are of {', '.join(speakers) or 'nobody'}. Enroll "
                "the speaker (lssed-hf enroll), correct the name, or name one speaker for all turns (--speaker)"
            )
        if turn.speaker not in classifiers:
            classifiers[turn.speaker] = classifier.for_speaker(speakers[turn.speaker])
    return classifiers


def _drawn(
    blocks: Iterator[np.ndarray],
    gate: Gate | None,
    envelope: Envelope | None,
    lengths: tuple[int, float],
    min_speech: float,
    turns: "Sequence[Turn] | None",
    rate: int,
) -> _Drawn:
    """Yield the windows of a stream, each with its samples, or None where it is not scored.

    Args:
        blocks: Samples of the recording.
        gate: Gate that marks speech; None takes all for speech.
        envelope: Outline of the waveform, which is filled on the way.
        lengths: Lengths of window and hop in samples.
        min_speech: Share of a window that has to be speech.
        turns: Turns of speakers, None for the whole recording.
        rate: Sampling rate in Hz.
    """
    with closing(blocks):
        outlined = blocks if envelope is None else _outlined(blocks, envelope)
        marked = ((block, np.ones(len(block), bool)) for block in outlined) if gate is None else gate(outlined, rate)
        stream = _Stream(marked)
        spans = _windows(stream, *lengths) if turns is None else _turn_windows(stream, *lengths, turns, rate)
        for span in spans:
            yield _draw(stream, span, rate, min_speech)


def _score(
    classifiers: Mapping[str | None, Classifier], windows: _Drawn, min_confidence: float, baseline: str
) -> Iterator[TimelineSegment]:
    """Yield the segments of windows.

    Args:
        classifiers: Classifier by speaker; the one of None is for all others.
        windows: Windows of `_drawn`.
        min_confidence: Probability below which a segment is unsure.
        baseline: Name of the statistics of speakers that classifiers have.
    """
    classifier, outputs = classifiers[None], classifiers[None].outputs
    rate, nothing = classifier.sampling_rate, np.full(len(outputs.names), np.nan, np.float32)
    with closing(windows):
        while chunk := list(itertools.islice(windows, _BATCHES * classifier.batch_size)):
            rows = _by_speaker(classifiers, chunk)
            for span, _ in chunk:
                row, skipped, used = nothing, span.skipped, None
                if not skipped:
                    speaker = span.speaker if span.speaker in rows else None
                    row = next(rows[speaker])
                    if not np.isfinite(row).all():
                        skipped = NOT_FINITE
                    elif outputs.labels and not outputs.chosen(outputs.split(row)[0], min_confidence):
                        skipped = UNSURE
                    used = None if classifiers[speaker].statistics is None else baseline
                shares, values = (part.copy() for part in outputs.split(row))
                times = (span.first / rate, span.last / rate)
                yield TimelineSegment(*times, shares, span.speaker, skipped, used, values)


def _score_by_own_speech(
    classifier: Classifier,
    windows: _Drawn,
    min_confidence: float,
    turns: "Sequence[Turn] | None",
    read: "Callable[[Sequence[Turn] | None], _Drawn]",
) -> Iterator[TimelineSegment]:
    """Yield the segments of windows, normalised by each speaker's own speech.

    Args:
        classifier: Classifier without statistics of a speaker.
        windows: Windows of `_drawn`.
        min_confidence: Probability below which a segment is unsure.
        turns: Turns of speakers, None for the whole recording. Turns of nobody keep the corpus's statistics.
        read: Function of turns that yields their windows, without overlap.
    """
    classifiers: dict[str | None, Classifier] = {None: classifier}
    speakers = [None] if turns is None else sorted({turn.speaker for turn in turns if turn.speaker is not None})
    for speaker in speakers:
        own = None if turns is None else [turn for turn in turns if turn.speaker == speaker]
        speech = (waveform for _, waveform in read(own) if waveform is not None)
        if (first := next(speech, None)) is not None:
            statistics = classifier.speaker_statistics(itertools.chain([first], speech))
            classifiers[speaker] = classifier.for_speaker(statistics)
    yield from _score(classifiers, windows, min_confidence, OWN_SPEECH)


def _by_speaker(
    classifiers: Mapping[str | None, Classifier], chunk: Sequence[tuple[_Span, np.ndarray | None]]
) -> dict[str | None, Iterator[np.ndarray]]:
    """Return the scores of the spans that are scored, in order, by speaker of the classifier."""
    waveforms: dict[str | None, list[np.ndarray]] = {speaker: [] for speaker in classifiers}
    for span, waveform in chunk:
        if not span.skipped:
            waveforms[span.speaker if span.speaker in classifiers else None].append(waveform)
    return {speaker: classifiers[speaker].scores(waveforms[speaker]) for speaker in classifiers}


def _judging_once(gate: Gate) -> Gate:
    """Return a gate for a recording that is read several times: it keeps what it marked, a bit for each sample."""
    kept: list[tuple[int, np.ndarray]] = []
    complete = False

    def judge(blocks: Iterable[np.ndarray], sampling_rate: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        nonlocal complete
        if not complete:
            kept.clear()
            for samples, speech in gate(blocks, sampling_rate):
                kept.append((len(samples), np.packbits(speech)))
                yield samples, speech
            complete = True
            return
        marks, held = iter(kept), np.empty(0, np.float32)
        length, bits = next(marks, (0, None))
        for block in blocks:
            held = np.concatenate([held, block])
            while length and len(held) >= length:
                yield held[:length], np.unpackbits(bits, count=length).astype(bool)
                held = held[length:]
                length, bits = next(marks, (0, None))

    return judge


def _outlined(blocks: Iterable[np.ndarray], envelope: Envelope) -> Iterator[np.ndarray]:
    for block in blocks:
        envelope.add(block)
        yield block


class _Stream:
    """Stretch of a stream that is still needed: samples, and whether each is speech."""

    def __init__(self, marked: Iterable[tuple[np.ndarray, np.ndarray]]):
        self._marked = iter(marked)
        self._samples, self._speech = np.empty(0, np.float32), np.empty(0, bool)
        self._first = 0

    @property
    def end(self) -> int:
        """Number of samples that were read so far."""
        return self._first + len(self._samples)

    def reach(self, last: float, needed: float = 0) -> bool:
        """Read on to sample `last` and forget samples before `needed`; return False if the stream ends before."""
        while self.end < last:
            samples, speech = next(self._marked, (None, None))
            if samples is None:
                return False
            self._samples = np.concatenate([self._samples, samples])
            self._speech = np.concatenate([self._speech, speech])
            self._forget(needed)
        return True

    def take(self, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
        """Return samples and speech from `first` to `last`, and forget samples before `first`."""
        self._forget(first)
        # A copy, because a view would keep the whole stretch in memory.
        return self._samples[: last - first].copy(), self._speech[: last - first]

    def _forget(self, before: float) -> None:
        passed = int(min(max(before - self._first, 0), len(self._samples)))
        self._samples, self._speech = self._samples[passed:], self._speech[passed:]
        self._first += passed


def _draw(stream: _Stream, span: _Span, rate: int, min_speech: float) -> tuple[_Span, np.ndarray | None]:
    """Return a span and its samples, or the span with the reason why it is not scored, and None."""
    if span.skipped:
        return span, None
    if span.last - span.first < SHORTEST * rate:
        return span._replace(skipped=TOO_SHORT), None
    samples, speech = stream.take(span.first, span.last)
    if speech.mean() < min_speech:
        return span._replace(skipped=NO_SPEECH), None
    return span, samples


def _windows(stream: _Stream, window: int, hop: float) -> Iterator[_Span]:
    last = 0
    for index in itertools.count():
        first = round(index * hop)
        if not stream.reach(first + window):
            break
        last = first + window
        yield _Span(first, last)
    if last < stream.end:
        yield _Span(max(0, stream.end - window), stream.end)


def _turn_windows(stream: _Stream, window: int, hop: float, turns: "Sequence[Turn]", rate: int) -> Iterator[_Span]:
    covered = 0
    for span in heapq.merge(*(_cut(turn, window, hop, rate) for turn in turns), key=lambda span: span.first):
        stream.reach(span.last, needed=span.first)
        first, last = min(span.first, stream.end), min(span.last, stream.end)
        if first > covered:
            yield _Span(covered, first, skipped=NO_TURN)
        yield _Span(first, last, span.speaker)
        covered = max(covered, last)
    stream.reach(math.inf, needed=math.inf)
    if stream.end > covered:
        yield _Span(covered, stream.end, skipped=NO_TURN)


def _cut(turn: "Turn", window: int, hop: float, rate: int) -> Iterator[_Span]:
    """Yield the windows of one turn."""
    start, end = round(turn.start * rate), round(turn.end * rate)
    count = max(0, math.ceil((end - start - window) / hop))
    for index in range(count):
        first = start + round(index * hop)
        yield _Span(first, first + window, turn.speaker)
    yield _Span(max(start, end - window), end, turn.speaker)


__all__ = ["ENROLMENT", "NOT_FINITE", "NO_TURN", "OWN_SPEECH", "TimelineSegment", "score_timeline"]
