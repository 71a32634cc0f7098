"""Classification of one recording for the page and the endpoint."""

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import anyio
import librosa
import numpy as np

from ..audio import AudioError
from ..inference.classifiers.classifier import NO_SCORES, Classifier
from ..inference.classifiers.outputs import Outputs
from ..inference.classifiers.svm import SVMClassifier
from ..inference.predict import unscored_notes
from ..inference.quality import OVER_LONG, signal_notes
from ..inference.timeline.envelope import Envelope
from ..inference.timeline.scoring import TimelineSegment, score_timeline
from ..models.pyresnet.front_end_pyresnet import PyResNetFrontEnd
from .recordings import clock, read_recording


logger = logging.getLogger(__name__)

_WINDOW_SECONDS, _HOP_SECONDS = 3.0, 1.0


@dataclass(frozen=True)
class Features:
    """Input of a network, as its front end makes it.

    Attributes:
        values: float32 (frames, bins), or (samples,) for models that read waveforms.
        step: Seconds per frame or sample; None if the front end does not say.
        frequencies: Centres of the mel filters in Hz, (bins,); None if the front end does not say.
    """

    values: np.ndarray
    step: float | None = None
    frequencies: np.ndarray | None = None


@dataclass(frozen=True)
class Analysis:
    """Result of a classifier for one recording.

    Attributes:
        outputs: Outputs of the model, which name the scores.
        values: Scores, float32 (num_outputs,), for the whole recording, or the mean over the segments; None for a
            recording that gets no label, such as silence, which its notes explain.
        seconds: Length of the recording.
        notes: Remarks on the recording, such as silence.
        features: Input of the network.
        segments: Windows of a long recording, in order; empty for a short one.
        envelope: Outline of a long recording; empty for a short one.
    """

    outputs: Outputs
    values: np.ndarray | None
    seconds: float
    notes: list[str]
    features: Features
    segments: list[TimelineSegment]
    envelope: Envelope

    @property
    def scores(self) -> list[tuple[str, float]]:
        """Labels and probabilities, the largest first; empty for a recording that gets no label."""
        if self.values is None:
            return []
        probabilities, _ = self.outputs.split(self.values)
        return [(self.outputs.labels[index], float(probabilities[index])) for index in np.argsort(-probabilities)]

    @property
    def dimensions(self) -> dict[str, float]:
        """Value of each dimension of a regression model; empty for a classifier, or without a score."""
        if self.values is None:
            return {}
        return dict(zip(self.outputs.dimensions, map(float, self.outputs.split(self.values)[1])))


class AnalysisQueue:
    """Queue in front of the classifiers: one recording at a time, because a model keeps all cores busy.

    Args:
        classifiers: Name of each model -> its classifier.
        speech_only: Names of the models that give no label to recordings without speech.
        max_seconds: Longest recording that is accepted, in seconds.
        long_seconds: Length in seconds up to which a recording is classified as a whole; longer ones get windows.
    """

    def __init__(
        self,
        classifiers: Mapping[str, Classifier],
        speech_only: Collection[str] = (),
        max_seconds: float = 600.0,
        long_seconds: float = 10.0,
    ):
        self.classifiers = dict(classifiers)
        self.speech_only = speech_only
        self.max_seconds = max_seconds
        self.long_seconds = long_seconds
        self._turn = anyio.CapacityLimiter(1)

    async def analyse(self, path: Path, model: str, progress: Callable[[float], None] | None = None) -> Analysis:
        """Wait for a turn, then classify a recording in a thread.

        Args:
            path: Audio file; messages call it by its name without the folder.
            model: Name of a classifier.
            progress: Function that is called with the share of windows that are done, 0 to 1.

        Raises:
            AudioError: The recording cannot be read, see `read_recording`, or the model fails on it.
            ImportError: A decoder is not installed.
        """
        return await anyio.to_thread.run_sync(self._analyse, path, model, progress, limiter=self._turn)

    def _analyse(self, path: Path, model: str, progress: Callable[[float], None] | None) -> Analysis:
        classifier = self.classifiers[model]
        recording = read_recording(path, classifier.sampling_rate, self.max_seconds)
        waveform, rate = recording.samples, recording.sampling_rate
        try:
            found = signal_notes(waveform, rate)
            unscored = unscored_notes(None, model in self.speech_only)
            segments, envelope, values = [], Envelope(), None
            if not any(note in unscored for note in found):
                segments = self._windows(classifier, path, len(waveform) / rate, envelope, progress)
                if segments:
                    found_in = [np.concatenate([one.probabilities, one.dimensions]) for one in segments]
                    values = np.mean(found_in, axis=0)
                else:
                    values = next(classifier.scores([waveform]))
            if values is not None and not np.isfinite(values).all():
                raise ValueError(NO_SCORES)
            return Analysis(
                outputs=classifier.outputs,
                values=values,
                seconds=len(waveform) / rate,
                notes=[*(note for note in found if note != OVER_LONG), *recording.notes],  # windows have no such limit
                features=front_end(classifier, waveform),
                segments=segments,
                envelope=envelope,
            )
        except (ValueError, RuntimeError) as error:  # such as a clip that is shorter than a kernel
            logger.exception(f"{path.name} could not be classified")
            seconds, reason = clock(len(waveform) / rate), error.__cause__ or error  # without the model's folder
            raise AudioError(
                f"{path.name}: the model cannot classify these {seconds} ({reason}); try another recording"
            ) from error

    def _windows(self, classifier, path, seconds, envelope, progress) -> list[TimelineSegment]:
        """Classify a long recording window by window; return no segments for a short one."""
        if seconds <= self.long_seconds:
            return []
        segments = []
        for segment in score_timeline(
            classifier, path, window_seconds=_WINDOW_SECONDS, hop_seconds=_HOP_SECONDS, envelope=envelope
        ):
            segments.append(segment)
            if progress:
                progress(min(segment.end / seconds, 1.0))
        return segments


def front_end(classifier: Classifier, waveform: np.ndarray) -> Features:
    """Return the input of the network for a waveform (samples,); for a support vector machine, the waveform."""
    if isinstance(classifier, SVMClassifier):
        return Features(waveform, 1 / classifier.sampling_rate)
    extractor = classifier.feature_extractor
    inputs = extractor([waveform], sampling_rate=classifier.sampling_rate, padding=True, return_tensors="np")
    values = np.asarray(inputs[extractor.model_input_names[0]][0], dtype=np.float32)
    if values.ndim == 1:
        return Features(values, 1 / classifier.sampling_rate)
    if values.shape[1] != extractor.feature_size == values.shape[0]:
        values = values.T  # Whisper's (bins, frames)
    hop = getattr(extractor, "hop_length", None)
    frequencies = None
    if isinstance(extractor, PyResNetFrontEnd):
        edges = librosa.mel_frequencies(extractor.num_mel_bins + 2, fmin=extractor.f_min, fmax=extractor.f_max)
        frequencies = edges[1:-1]
    return Features(values, hop and hop / classifier.sampling_rate, frequencies)
