"""Emotion over time: windows over a recording of any length, which is streamed and never held whole."""

import heapq
import itertools
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ...audio import AudioError, audio_duration, stream_audio
from ...decoding.source import END_TOLERANCE
from ..classifiers.classifier import Classifier
from ..classifiers.speaker_statistics import SpeakerStatistics
from ..quality import MIN_SPEECH, NO_SPEECH, SHORTEST, TOO_SHORT
from ..voice_activity import Gate, silero_gate
from .envelope import Envelope
from .turns import Turn


NO_TURN = "no turn"
_BATCHES = 4  # whose windows are held at once


@dataclass(frozen=True)
class TimelineSegment:
    """A window of a recording and what was heard in it.

    Attributes:
        start: seconds from the beginning of the recording.
        end: seconds.
        probabilities: float32 (num_labels,); all NaN where the segment was not scored.
        speaker: of the turn that the window is in, None without turns.
        skipped: why the segment was not scored (`NO_SPEECH`, `NO_TURN` or `TOO_SHORT`), else None.
    """

    start: float
    end: float
    probabilities: np.ndarray
    speaker: str | None = None
    skipped: str | None = None


class _Span(NamedTuple):
    """Samples `first` to `last` (exclusive) of a recording, to be scored unless `skipped` says why not."""

    first: int
    last: int
    speaker: str | None = None
    skipped: str | None = None


def score_timeline(
    classifier: Classifier,
    recording: str | os.PathLike,
    *,
    window_seconds: float = 3.0,
    hop_seconds: float = 1.0,
    vad: bool | Gate = False,
    min_speech: float = MIN_SPEECH,
    turns: Sequence[Turn] | None = None,
    speakers: Mapping[str, SpeakerStatistics] | None = None,
    channel: str = "mix",
    envelope: Envelope | None = None,
) -> Iterator[TimelineSegment]:
    """Classify a recording window by window, in constant memory.

    Windows begin every `hop_seconds`; the last one ends with the recording, and therefore begins less than a hop after
    the one before. A recording that is shorter than a window is one segment. With `turns` the same is done to each of
    them, and what lies in no turn becomes segments of its own, not scored. Segments come in the order in which they
    begin, and together they cover the recording.

    ```python
    classifier = lssed_hf.load_classifier("outputs/pyresnet50")
    for segment in lssed_hf.score_timeline(classifier, "interview.wav"):
        if segment.skipped is None:
            print(segment.start, segment.end, classifier.labels[segment.probabilities.argmax()])
    ```

    Args:
        classifier: of `lssed_hf.load_classifier`.
        recording: anything that `load_audio` reads from a path.
        window_seconds: length of a window. The default is that of the clips that classifiers learn from: those of
            LSSED and RAVDESS mostly last 3 to 5 s.
        hop_seconds: from the start of a window to that of the next, at most `window_seconds`.
        vad: whether to leave windows without speech unscored, as `silero_gate` hears them; or another gate.
        min_speech: share of a window that has to be speech for it to be scored, with `vad`.
        turns: of speakers, as `lssed_hf.read_turns` returns them; they may overlap.
        speakers: with `turns`, statistics to normalise each turn by, by the name of its speaker. (Without turns, pass
            `classifier.for_speaker(statistics)`.)
        channel: Channel of a stereo recording: "mix" (the mean), "left" or "right".
        envelope: takes the waveform's outline on the way.

    Returns:
        An iterator. Closing it closes the file.

    Raises:
        FileNotFoundError: there is no such file.
        AudioError: the recording cannot be read, or a turn ends after it; where this shows only later, the iterator
            raises it.
        ValueError: a setting or turn is no number of its range, or `speakers` lacks the speaker of a turn.
        ImportError: `vad=True` without the package silero-vad.
    """
    rate = classifier.sampling_rate
    if not (math.isfinite(window_seconds) and window_seconds >= SHORTEST):
        raise ValueError(f"window_seconds must be {SHORTEST} or more, got {window_seconds}")
    if not (hop_seconds <= window_seconds and hop_seconds * rate >= 1):
        raise ValueError(
            f"hop_seconds must be at most window_seconds ({window_seconds}), so that nothing is left out, and at "
            f"least one sample, got {hop_seconds}"
        )
    if not 0 <= min_speech <= 1:
        raise ValueError(f"min_speech must be from 0 to 1, got {min_speech}")
    duration = audio_duration(recording)
    for turn in turns or ():
        if not 0 <= turn.start < turn.end < math.inf:
            raise ValueError(f"{turn} must begin at 0 s or later and end after its beginning")
        if 0 < duration < turn.end - END_TOLERANCE:  # some videos say 0
            raise AudioError(f"{recording}: lasts {duration:.3f} s, so it has no {turn}; correct the times")
    own = _own_classifiers(classifier, turns, speakers)
    gate = (silero_gate if vad is True else vad) or None
    blocks = stream_audio(recording, rate, channel=channel)
    return _score(own, blocks, gate, envelope, (round(window_seconds * rate), hop_seconds * rate), min_speech, turns)


def _own_classifiers(
    classifier: Classifier, turns: Sequence[Turn] | None, speakers: Mapping[str, SpeakerStatistics] | None
) -> dict[str | None, Classifier]:
    """By the speakers of turns; that of None is for all others."""
    own: dict[str | None, Classifier] = {None: classifier}
    if speakers is None:
        return own
    if turns is None:
        raise ValueError("speakers are those of turns: give turns, or the classifier of one speaker (for_speaker)")
    for turn in turns:
        if turn.speaker not in speakers:
            raise ValueError(
                f"the {turn} has no speaker with statistics: they are of {', '.join(speakers) or 'nobody'}. Enroll "
                "the speaker (lssed-hf enroll), correct the name, or name one speaker for all turns (--speaker)"
            )
        if turn.speaker not in own:
            own[turn.speaker] = classifier.for_speaker(speakers[turn.speaker])
    return own


def _score(
    classifiers: Mapping[str | None, Classifier],
    blocks: Iterator[np.ndarray],
    gate: Gate | None,
    envelope: Envelope | None,
    lengths: tuple[int, float],
    min_speech: float,
    turns: Sequence[Turn] | None,
) -> Iterator[TimelineSegment]:
    """Segments by the classifiers of speakers, or that of None; `lengths` are those of window and hop, in samples."""
    classifier = classifiers[None]
    rate, nothing = classifier.sampling_rate, np.full(len(classifier.labels), np.nan, np.float32)
    with closing(blocks):
        outlined = blocks if envelope is None else _outlined(blocks, envelope)
        marked = ((block, np.ones(len(block), bool)) for block in outlined) if gate is None else gate(outlined, rate)
        heard = _Heard(marked)
        spans = _windows(heard, *lengths) if turns is None else _turn_windows(heard, *lengths, turns, rate)
        drawn = (_draw(heard, span, rate, min_speech) for span in spans)
        while chunk := list(itertools.islice(drawn, _BATCHES * classifier.batch_size)):
            rows = _by_speaker(classifiers, chunk)
            for span, _ in chunk:
                row = nothing.copy() if span.skipped else next(rows[span.speaker if span.speaker in rows else None])
                yield TimelineSegment(span.first / rate, span.last / rate, row, span.speaker, span.skipped)


def _by_speaker(
    classifiers: Mapping[str | None, Classifier], chunk: Sequence[tuple[_Span, np.ndarray | None]]
) -> dict[str | None, Iterator[np.ndarray]]:
    """Probabilities of the spans that are to be scored, in order, by who they are scored for."""
    samples: dict[str | None, list[np.ndarray]] = {owner: [] for owner in classifiers}
    for span, waveform in chunk:
        if not span.skipped:
            samples[span.speaker if span.speaker in classifiers else None].append(waveform)
    return {owner: classifiers[owner].probabilities(those) for owner, those in samples.items()}


def _outlined(blocks: Iterable[np.ndarray], envelope: Envelope) -> Iterator[np.ndarray]:
    for block in blocks:
        envelope.add(block)
        yield block


class _Heard:
    """The stretch of a stream that is still needed: samples, and whether each is speech."""

    def __init__(self, marked: Iterable[tuple[np.ndarray, np.ndarray]]):
        self._marked = iter(marked)
        self._samples, self._speech = np.empty(0, np.float32), np.empty(0, bool)
        self._first = 0

    @property
    def end(self) -> int:
        """Samples that were heard so far."""
        return self._first + len(self._samples)

    def reach(self, last: float, needed: float = 0) -> bool:
        """Read on to sample `last`; False where the stream ends before it. What lies before `needed` is forgotten."""
        while self.end < last:
            samples, speech = next(self._marked, (None, None))
            if samples is None:
                return False
            self._samples = np.concatenate([self._samples, samples])
            self._speech = np.concatenate([self._speech, speech])
            self._forget(needed)
        return True

    def take(self, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
        """Samples and speech from `first` to `last`; what lies before `first` is forgotten."""
        self._forget(first)
        # A copy, because a view would keep all of the stretch in memory.
        return self._samples[: last - first].copy(), self._speech[: last - first]

    def _forget(self, before: float) -> None:
        passed = int(min(max(before - self._first, 0), len(self._samples)))
        self._samples, self._speech = self._samples[passed:], self._speech[passed:]
        self._first += passed


def _draw(heard: _Heard, span: _Span, rate: int, min_speech: float) -> tuple[_Span, np.ndarray | None]:
    """A span and its samples, or why it is not scored."""
    if span.skipped:
        return span, None
    if span.last - span.first < SHORTEST * rate:
        return span._replace(skipped=TOO_SHORT), None
    samples, speech = heard.take(span.first, span.last)
    if speech.mean() < min_speech:
        return span._replace(skipped=NO_SPEECH), None
    return span, samples


def _windows(heard: _Heard, window: int, hop: float) -> Iterator[_Span]:
    last = 0
    for index in itertools.count():
        first = round(index * hop)
        if not heard.reach(first + window):
            break
        last = first + window
        yield _Span(first, last)
    if last < heard.end:
        yield _Span(max(0, heard.end - window), heard.end)


def _turn_windows(heard: _Heard, window: int, hop: float, turns: Sequence[Turn], rate: int) -> Iterator[_Span]:
    covered = 0
    for span in heapq.merge(*(_cut(turn, window, hop, rate) for turn in turns), key=lambda span: span.first):
        heard.reach(span.last, needed=span.first)
        first, last = min(span.first, heard.end), min(span.last, heard.end)
        if first > covered:
            yield _Span(covered, first, skipped=NO_TURN)
        yield _Span(first, last, span.speaker)
        covered = max(covered, last)
    heard.reach(math.inf, needed=math.inf)
    if heard.end > covered:
        yield _Span(covered, heard.end, skipped=NO_TURN)


def _cut(turn: Turn, window: int, hop: float, rate: int) -> Iterator[_Span]:
    """The windows of one turn."""
    start, end = round(turn.start * rate), round(turn.end * rate)
    count = max(0, math.ceil((end - start - window) / hop))
    for index in range(count):
        first = start + round(index * hop)
        yield _Span(first, first + window, turn.speaker)
    yield _Span(max(start, end - window), end, turn.speaker)


__all__ = ["NO_TURN", "TimelineSegment", "score_timeline"]
