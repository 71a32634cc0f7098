"""Base class of all classifiers of waveforms."""

import copy
import logging
import os
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Any

import numpy as np

from ...audio import load_audio
from .checks import COPY_AGAIN, one_line
from .outputs import SINGLE_LABEL, Outputs
from .speaker_statistics import (
    SpeakerStatistics,
    check_front_end,
    extraction_settings,
    measure_speaker,
    speaker_front_end,
    wants_speaker,
)


logger = logging.getLogger(__name__)

#: Reason why a clip has no label although it could be read.
NO_SCORES = "the model gives no finite scores; its weights or its front end do not suit this recording"

_WINDOW = 8  # batches that are sorted by length together
_WINDOW_SAMPLES = 2**23


class Classifier(ABC):
    """Base class: a model behind its feature extractor.

    Attributes:
        name: Folder or Hub name that the model was opened by.
        config: Configuration of the model.
        feature_extractor: Front end of the model.
        batch_size: Clips per forward pass.
        num_workers: Threads that compute batches at once; with 1, batches are computed one by one.
        statistics: Statistics of the speaker whom `for_speaker` made it for; None for the model without a speaker.
    """

    name: str
    config: Any
    feature_extractor: Any
    batch_size: int
    num_workers = 1
    statistics: SpeakerStatistics | None = None
    _warned = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, {self.outputs})"

    @property
    def labels(self) -> list[str]:
        """Names in `id2label` of the configuration: classes in the order of the probabilities, or dimensions."""
        return [self.config.id2label[index] for index in range(self.config.num_labels)]

    @property
    def outputs(self) -> Outputs:
        """Names of the outputs and their conversion to scores, by the `problem_type` of the configuration."""
        return Outputs.of(self.config)

    @property
    def sampling_rate(self) -> int:
        """Sampling rate of the waveforms in Hz."""
        return self.feature_extractor.sampling_rate

    @property
    def input_type(self) -> str:
        """Kind of the clips: "waveform", or the name of one of LSSED's feature sets."""
        return getattr(self.feature_extractor, "input_type", "waveform")

    @property
    def wants_speaker(self) -> bool:
        """True if the model was trained on clips that were normalised speaker by speaker."""
        return wants_speaker(self.feature_extractor)

    @property
    def suits_speakers(self) -> bool:
        """True if a speaker's own statistics are likely to help the model."""
        return self.wants_speaker

    @property
    def takes_any_speech(self) -> bool:
        """True if a speaker's statistics may come from any speech: they are shrunk where it lacks variety."""
        return False

    @property
    def front_end(self) -> dict[str, Any]:
        """Settings of the front end that speaker statistics depend on, as JSON.

        Raises:
            ValueError: The model takes no statistics of a speaker.
        """
        self.check_speakers()
        return extraction_settings(self.feature_extractor)

    def check_speakers(self) -> None:
        """Check that the model takes statistics of speakers.

        Raises:
            ValueError: It takes none; the message says why.
        """
        check_front_end(self.feature_extractor)

    def check_single_label(self, purpose: str) -> None:
        """Check that the model gives one class to each clip.

        Args:
            purpose: Purpose that needs it, for the message.

        Raises:
            ValueError: A clip may have several classes, or values in place of classes.
        """
        if self.outputs.problem_type != SINGLE_LABEL:
            raise ValueError(
                f"{purpose} needs a model that gives one class to each clip, and {self.name} has "
                f"problem_type={self.outputs.problem_type!r} (config.json): name another model"
            )

    @abstractmethod
    def logits(self, batch: list[np.ndarray]) -> np.ndarray:
        """Return the network's outputs, float32 (batch, num_outputs), of float32 waveforms (samples,) in one pass."""

    def scores(self, waveforms: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Yield the scores (num_outputs,) of each float32 waveform (samples,), in order; see `Outputs.scores`.

        They are all NaN for a clip whose logits are not finite. Up to 17 minutes of waveforms, at 16 kHz, are read
        ahead, so that the clips of a batch are about equally long.

        Raises:
            ValueError: The model cannot be run, or gives another number of logits than it has labels.
        """
        self._warn_without_speaker()
        outputs = self.outputs
        for logits in batched_by_length(self._checked_logits, waveforms, self.batch_size, self.num_workers):
            yield outputs.scores(logits)

    def probabilities(self, waveforms: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Yield class probabilities (num_labels,) of each float32 waveform (samples,), in order; see `scores`.

        They sum to 1 unless a clip may have several classes.

        Raises:
            ValueError: The model gives values and no probabilities, or see `scores`.
        """
        outputs = self.outputs
        if not outputs.labels:
            raise ValueError(
                f"{self.name} gives values ({', '.join(outputs.dimensions)}) and no probabilities: call scores"
            )
        return (outputs.split(row)[0] for row in self.scores(waveforms))

    def _checked_logits(self, batch: list[np.ndarray]) -> np.ndarray:
        """Return the outputs for a batch, (batch, num_outputs); errors and other shapes are refused by name."""
        try:
            logits = self.logits(batch)
        except (ValueError, OSError, ImportError):
            raise
        except Exception as error:  # runtimes raise many kinds of errors, some of them their own
            raise ValueError(f"{self.name} cannot be run: {one_line(error)}") from error
        names = self.outputs.names
        if logits.shape != (len(batch), len(names)):
            raise ValueError(
                f"{self.name} gives {logits.shape[-1]} scores and has the labels {', '.join(names)}; {COPY_AGAIN}"
            )
        return logits

    def embeddings(self, waveforms: Iterable[np.ndarray], frames: bool = False) -> Iterator[np.ndarray]:
        """Yield the embedding of each clip, in order: the input of the classifier's head.

        Args:
            waveforms: float32 waveforms (samples,) at `sampling_rate`.
            frames: Whether to yield the encoder's frames, evenly spaced over the clip, in place of one vector.

        Yields:
            float32 (size,), or (num_frames, size) with `frames`.

        Raises:
            ValueError: The model gives no embeddings, as exported networks do not.
        """
        raise ValueError(
            f"{self.name} gives probabilities and no embeddings: name a model of transformers, or the one that it was "
            "exported from"
        )

    def speaker_statistics(self, waveforms: Iterable[np.ndarray]) -> SpeakerStatistics:
        """Measure the statistics of one speaker, for `for_speaker`.

        Args:
            waveforms: Clips of the speaker, float32 (samples,), at `sampling_rate`.

        Raises:
            ValueError: There are no clips, they are silent, or the model has no mean and deviation of mel bins, as
                models that read waveforms do not.
        """
        self.check_speakers()
        return measure_speaker(self.feature_extractor, waveforms)

    def for_speaker(self, statistics: SpeakerStatistics) -> "Classifier":
        """Return the classifier with a speaker's own mean and deviation in place of the corpus's.

        The network is shared. A model that was not trained on clips normalised speaker by speaker most likely loses by
        it (docs/speakers.md); a warning says that once.

        Args:
            statistics: Statistics of the speaker, from `speaker_statistics`.

        Raises:
            ValueError: The statistics belong to another front end, the model has no mean and deviation of mel bins, or
                the classifier is a speaker's already.
        """
        self.check_speakers()
        self._check_free()
        if not self.wants_speaker and not self._warned:
            self._warned = True
            logger.warning(
                "This model was not trained on clips normalised speaker by speaker, and may lose much by a speaker's "
                "own statistics: train one with lssed-hf train --speaker_normalization"
            )
        classifier = copy.copy(self)
        classifier.feature_extractor = speaker_front_end(self.feature_extractor, statistics)
        classifier.statistics = statistics
        return classifier

    def _check_free(self) -> None:
        if self.statistics is not None:
            raise ValueError("this classifier is a speaker's already: call for_speaker of the one it was made from")

    def _warn_without_speaker(self) -> None:
        if self.wants_speaker and self.statistics is None and not self._warned:
            self._warned = True
            logger.warning(
                "This model was trained on clips normalised speaker by speaker, and takes the statistics of its "
                "corpus for want of the speaker's own: enroll the speaker (lssed-hf enroll) and give --speakers"
            )

    def __call__(self, inputs, top_k: int | None = 5) -> list:
        """Classify clips, as `transformers.pipeline("audio-classification")` does.

        Args:
            inputs: Clip, or list of clips. A clip is a path, the bytes of an audio file, `{"array", "sampling_rate"}`,
                or an array (samples,) at `sampling_rate`.
            top_k: Number of labels to return, None for all.

        Returns:
            List of `{"score", "label"}`, the best label first; for a list of clips a list of such lists. A regression
            model has its dimensions for labels, and their values for scores.

        Raises:
            FileNotFoundError, AudioError: A clip cannot be used.
            ValueError: The model gives no finite scores for a clip.
        """
        many = isinstance(inputs, (list, tuple))
        rows = list(self.scores(self._waveform(clip) for clip in (inputs if many else [inputs])))
        for number, row in enumerate(rows):
            if not np.isfinite(row).all():
                raise ValueError(f"clip {number}: {NO_SCORES}")
        results = [
            [
                {"score": float(row[index]), "label": label}
                for index, label in sorted(enumerate(self.labels), key=lambda pair: -row[pair[0]])[:top_k]
            ]
            for row in rows
        ]
        return results if many else results[0]

    def _waveform(self, clip) -> np.ndarray:
        if isinstance(clip, Mapping) and "raw" in clip:  # the pipeline's other name for it
            clip = {"array": clip["raw"], "sampling_rate": clip["sampling_rate"]}
        elif not isinstance(clip, (str, os.PathLike, bytes, Mapping)) and hasattr(clip, "__array__"):
            clip = {"array": np.asarray(clip), "sampling_rate": self.sampling_rate}
        return load_audio(clip, self.sampling_rate)


def batched_by_length(
    compute: Callable[[list[np.ndarray]], np.ndarray],
    waveforms: Iterable[np.ndarray],
    batch_size: int,
    num_workers: int = 1,
) -> Iterator[np.ndarray]:
    """Yield the result of a function for each clip, in order; the function gets batches of about equally long clips.

    Args:
        compute: Function of a list of waveforms that returns an array (batch, ...).
        waveforms: Clips, float32 (samples,).
        batch_size: Clips per call.
        num_workers: Threads that call the function. With more than 1, further clips are read meanwhile.
    """
    pool = ThreadPoolExecutor(num_workers)  # starts threads for what is submitted only
    run, most_ahead = (pool.map, 1) if num_workers > 1 else (map, 0)
    ahead: deque[tuple[np.ndarray, Iterable[np.ndarray]]] = deque()
    try:
        for window in _windows(waveforms, _WINDOW * batch_size, _WINDOW_SAMPLES):
            order = np.argsort([len(waveform) for waveform in window], kind="stable")
            batches = [order[start : start + batch_size] for start in range(0, len(window), batch_size)]
            ahead.append((order, run(compute, [[window[index] for index in batch] for batch in batches])))
            if len(ahead) > most_ahead:
                yield from _in_order(*ahead.popleft())
        for order, results in ahead:
            yield from _in_order(order, results)
    finally:
        pool.shutdown(cancel_futures=True)


def _in_order(order: Sequence[int], batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield rows by their index, where `order` has the indices of the rows of all batches."""
    rows = dict(zip(order, chain.from_iterable(batches), strict=True))
    yield from (rows[index] for index in range(len(rows)))


def _windows(waveforms: Iterable[np.ndarray], most: int, most_samples: int) -> Iterator[list[np.ndarray]]:
    """Cut a stream of waveforms where either bound is reached."""
    window: list[np.ndarray] = []
    for waveform in waveforms:
        window.append(waveform)
        if len(window) == most or sum(map(len, window)) >= most_samples:
            yield window
            window = []
    if window:
        yield window
