"""Inference with networks whose embeddings a speaker's own statistics can standardise.

These are truncated Whisper encoders, and PyResNets of `lssed-hf train --refit_head`.

A speaker's mean embedding is voice, microphone and emotion together. Subtracting it takes the voice away, and the
emotion too where the clips have mostly one. So a speaker's statistics are shrunk towards the corpus's, by the amount
and by the variety of the speech; `measure_offset` says how.
"""

import copy
import hashlib
import math
import threading
from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from .checks import COPY_AGAIN, check_deviation, check_finite
from .classifier import NO_SCORES, Classifier, batched_by_length
from .outputs import SINGLE_LABEL
from .speaker_statistics import SpeakerStatistics


#: Weight of the prior of a speaker's mean and deviation, in clips.
PRIOR_CLIPS = 5
#: Share of the expected spread between emotions from which on clips count as varied.
ENOUGH_VARIETY = 1 / 6
#: Least deviation of a speaker's standardised embeddings.
LEAST_STD = 0.1
_STEPS = 20
_KEPT = 4096  # embeddings


def measure_offset(
    embeddings: np.ndarray, weight: np.ndarray, bias: np.ndarray, class_means: np.ndarray, within_variance: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the offset and the deviation of a speaker, (size,) both, in standardised embeddings.

    The prior of a speaker is offset 0 and deviation 1, and it weighs as much as `PRIOR_CLIPS` clips (maximum a
    posteriori, Gauvain and Lee 1994). There are two estimates of the offset:

    - The mean of the clips, which is right if the speaker shows all emotions alike.
    - The mean of what is left when each clip's class mean is subtracted. Classes and offset are found in turn, from
      offset 0 on (classification EM, Celeux and Govaert 1992).

    Which of them counts depends on the variety of the clips: the variance of their logits beyond that of clips of one
    emotion, as a share of the variance that all emotions would add. Clips of one emotion have about 0, whatever the
    emotion is, and no label is needed.

    Args:
        embeddings: Standardised embeddings of the speaker's clips, (clips, size).
        weight: Weights of the classifier, (num_labels, size).
        bias: Biases of the classifier, (num_labels,).
        class_means: Means of the classes for speakers of mean 0, (num_labels, size).
        within_variance: Variance of the logits of clips of one speaker and one emotion, summed over logits.
    """
    count, size = embeddings.shape
    share = count / (count + PRIOR_CLIPS)
    between = np.square(class_means).mean(axis=0)
    offset, deviation = np.zeros(size), np.ones(size)
    for _ in range(_STEPS):
        classes = ((embeddings - offset) / deviation @ weight.T + bias).argmax(axis=1)
        rest = embeddings - class_means[classes]
        offset = share * rest.mean(axis=0)
        variance = np.square(rest - offset).mean(axis=0) + between  # as if all emotions had been shown
        deviation = np.maximum(np.sqrt(share * variance + 1 - share), LEAST_STD)

    plain = share * embeddings.mean(axis=0)
    plain_deviation = np.maximum(np.sqrt(share * embeddings.var(axis=0) + 1 - share), LEAST_STD)
    trust = min(1.0, _variety(embeddings, weight, class_means, within_variance) / ENOUGH_VARIETY)
    squares = trust * np.square(plain_deviation) + (1 - trust) * np.square(deviation)
    return trust * plain + (1 - trust) * offset, np.sqrt(squares)


def temperature_of(speaker_temperature: float, num_clips: int) -> float:
    """Return the temperature of a speaker's logits: 1 for one clip, and the model's own for many.

    The model's own fits speakers of many clips. The power grows with the clips as the weight of a speaker's mean does;
    a single clip says nothing of its speaker, and must not make answers surer.
    """
    return speaker_temperature ** ((num_clips - 1) / (num_clips - 1 + PRIOR_CLIPS))


def _variety(embeddings: np.ndarray, weight: np.ndarray, class_means: np.ndarray, within_variance: float) -> float:
    """Return the variance between emotions as a share of that of all emotions, 0 to 1."""
    centred = weight - weight.mean(axis=0)
    between = (class_means @ centred.T).var(axis=0).sum()
    if len(embeddings) < 2 or between <= 0:
        return 0.0
    variance = (embeddings @ centred.T).var(axis=0, ddof=1).sum()
    return float(np.clip((variance - within_variance) / between, 0, 1))


class StatisticsClassifier(Classifier):
    """Base class: network of `lssed-hf train --probe_pooling statistics` or `--refit_head`, by any engine.

    Embeddings of the last clips are kept, because those that a speaker is measured on are often classified next.
    """

    def __init__(self, *args, **kwargs):
        # Both are shared with the classifiers of speakers.
        self._kept: OrderedDict[bytes, np.ndarray] = OrderedDict()
        self._lock = threading.Lock()
        super().__init__(*args, **kwargs)

    @property
    def wants_speaker(self) -> bool:
        """False: the model serves speakers who are known and speakers who are not."""
        return False

    @property
    def suits_speakers(self) -> bool:
        """True for models of one class a clip: `measure_offset` takes a speaker's mean away as far as it is voice."""
        return self.outputs.problem_type == SINGLE_LABEL

    @property
    def takes_any_speech(self) -> bool:
        """True for models of one class a clip, by `measure_offset`."""
        return self.suits_speakers

    def check_speakers(self) -> None:
        """Accept statistics of any speaker, whatever the front end is, for a model of one class a clip.

        Raises:
            ValueError: `measure_offset` has no classes to tell a speaker's voice from.
        """
        self.check_single_label("a speaker's own statistics of embeddings")

    @abstractmethod
    def head(self) -> Mapping[str, np.ndarray]:
        """Return what follows the embedding, float64: `mean`, `std`, and the arguments of `measure_offset`."""

    @property
    @abstractmethod
    def speaker_temperature(self) -> float:
        """Temperature of the logits of speakers with many clips, see `temperature_of`."""

    def check_head(self) -> None:
        """Check the arrays of the head.

        Raises:
            ValueError: Values are not finite, a deviation is not above 0, or shapes do not fit.
        """
        head = self.head()
        size = head["mean"].shape
        rows = (len(self.labels), *size)
        shapes = {"std": size, "weight": rows, "bias": rows[:1], "class_means": rows, "within_variance": ()}
        for name, shape in shapes.items():
            if head[name].shape != shape:
                raise ValueError(
                    f"{self.name}: the head's {name} has the shape {head[name].shape}, and the labels and embeddings "
                    f"need {shape}; {COPY_AGAIN}"
                )
        check_deviation(head["mean"], head["std"], self.name, ("embedding_mean", "embedding_std"))
        check_finite(head, self.name)
        if head["within_variance"] < 0 or not 0 < self.speaker_temperature < math.inf:
            raise ValueError(f"{self.name}: within_variance or speaker_temperature is not above 0; {COPY_AGAIN}")

    @abstractmethod
    def pooled(self, batch: list[np.ndarray]) -> np.ndarray:
        """Return the embeddings of clips before they are standardised, float32 (batch, size), in one pass."""

    @abstractmethod
    def standardize_by(self, statistics: SpeakerStatistics) -> None:
        """Take a speaker's mean and deviation of embeddings, and divide logits by `temperature_of` them."""

    def speaker_statistics(self, waveforms: Iterable[np.ndarray]) -> SpeakerStatistics:
        """Measure the mean and deviation of a speaker's embeddings, as if all emotions were alike in them.

        Args:
            waveforms: Clips of the speaker, float32 (samples,), at `sampling_rate`.

        Raises:
            ValueError: There are no clips, or none with finite embeddings, or see `check_speakers`.
        """
        self.check_speakers()
        samples: list[int] = []

        def counted() -> Iterator[np.ndarray]:
            for waveform in waveforms:
                samples.append(len(waveform))
                yield waveform

        embeddings = np.array(list(self.embeddings(counted())))
        if not samples:
            raise ValueError("a speaker's baseline needs at least one recording")
        embeddings = embeddings[np.isfinite(embeddings).all(axis=1)]  # the others are scored as errors
        if not len(embeddings):
            raise ValueError(f"a speaker's baseline cannot be measured: {NO_SCORES}")
        head = self.head()
        mean, std = head.pop("mean"), head.pop("std")
        offset, deviation = measure_offset((embeddings - mean) / std, **head)
        seconds = sum(samples) / self.sampling_rate
        return SpeakerStatistics(tuple(mean + std * offset), tuple(std * deviation), len(embeddings), seconds)

    def for_speaker(self, statistics: SpeakerStatistics) -> "StatisticsClassifier":
        """Return the classifier with a speaker's own mean and deviation of embeddings. The encoder is shared.

        Logits are divided by a temperature (`temperature_of`), so that confidence is right for known speakers too.

        Args:
            statistics: Statistics of the speaker, from `speaker_statistics`.

        Raises:
            ValueError: The statistics belong to another model, or the classifier is a speaker's already.
        """
        self.check_speakers()
        self._check_free()
        size = len(self.head()["mean"])
        if len(statistics.mean) != size:
            raise ValueError(
                f"the speaker's statistics are of {len(statistics.mean)} values and the model's embedding has {size}: "
                "take those of this model, which lssed-hf enroll gives"
            )
        classifier = copy.copy(self)
        classifier.standardize_by(statistics)
        classifier.statistics = statistics
        return classifier

    def embeddings(self, waveforms: Iterable[np.ndarray], frames: bool = False) -> Iterator[np.ndarray]:
        """Yield the statistics of each clip before they are standardised, in order; with `frames` the states."""
        if frames:
            yield from super().embeddings(waveforms, frames)
        else:
            yield from batched_by_length(self._embeddings, waveforms, self.batch_size, self.num_workers)

    def _embeddings(self, batch: list[np.ndarray]) -> np.ndarray:
        """Return the statistics of each clip before they are standardised, (batch, size)."""
        keys = [hashlib.sha256(waveform.tobytes()).digest() for waveform in batch]
        with self._lock:
            found = {key: self._kept[key] for key in keys if key in self._kept}
        new = {key: waveform for key, waveform in zip(keys, batch) if key not in found}
        if new:
            found.update(zip(new, self.pooled(list(new.values()))))
        with self._lock:
            self._kept.update(found)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return np.stack([found[key] for key in keys])
