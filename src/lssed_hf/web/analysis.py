"""What the page shows of a recording, as numbers."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import librosa
import numpy as np

from ..inference.base import Classifier
from ..inference.classical import SVMClassifier
from ..inference.envelope import Envelope
from ..inference.timeline import TimelineSegment, score_timeline
from ..models.pyresnet.feature_extraction_pyresnet import PyResNetFeatureExtractor


@dataclass(frozen=True)
class Features:
    """What a front end hands to its network.

    Attributes:
        values: float32 (frames, bins), or (samples,) of models that read waveforms.
        step: seconds per frame or sample; None if the front end does not say.
        frequencies: (bins,), centres of the mel filters in Hz; None if the front end does not say.
    """

    values: np.ndarray
    step: float | None = None
    frequencies: np.ndarray | None = None


@dataclass(frozen=True)
class Analysis:
    """A recording through a classifier.

    Attributes:
        seconds: its length.
        silent: whether every sample is 0.
        probabilities: (num_labels,), of the whole recording, or the mean of the segments'.
        features: what its front end made of it.
        segments: windows of a long recording, in order; empty for a short one.
        envelope: of a long recording; empty for a short one.
    """

    seconds: float
    silent: bool
    probabilities: np.ndarray
    features: Features
    segments: list[TimelineSegment]
    envelope: Envelope


def analyse(
    classifier: Classifier,
    waveform: np.ndarray,
    path: Path,
    *,
    long_seconds: float = 10.0,
    window_seconds: float = 3.0,
    hop_seconds: float = 1.0,
    progress: Callable[[float], None] | None = None,
) -> Analysis:
    """Classify a recording: in one pass up to `long_seconds`, window by window beyond.

    Args:
        classifier: from `load_classifier`.
        waveform: float32 (samples,) at `classifier.sampling_rate`.
        path: the file that it is from.
        long_seconds: the longest recording that is classified as a whole.
        window_seconds, hop_seconds: of the windows.
        progress: is told the share of the windows that are done.
    """
    seconds = len(waveform) / classifier.sampling_rate
    segments, envelope = [], Envelope()
    if seconds > long_seconds:
        windows = score_timeline(
            classifier, path, window_seconds=window_seconds, hop_seconds=hop_seconds, envelope=envelope
        )
        for segment in windows:
            segments.append(segment)
            if progress:
                progress(min(segment.end / seconds, 1.0))
        probabilities = np.mean([segment.probabilities for segment in segments], axis=0)
    else:
        probabilities = next(classifier.probabilities([waveform]))
    return Analysis(seconds, not waveform.any(), probabilities, front_end(classifier, waveform), segments, envelope)


def front_end(classifier: Classifier, waveform: np.ndarray) -> Features:
    """What the network gets for a waveform (samples,); of a support vector machine, what functionals come from."""
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
    if isinstance(extractor, PyResNetFeatureExtractor):
        edges = librosa.mel_frequencies(extractor.num_mel_bins + 2, fmin=extractor.f_min, fmax=extractor.f_max)
        frequencies = edges[1:-1]
    return Features(values, hop and hop / classifier.sampling_rate, frequencies)
