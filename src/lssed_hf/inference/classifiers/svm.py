"""Inference with support vector machines on openSMILE's functionals, classical peers of the networks."""

import copy
import itertools
import logging
import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from transformers import PreTrainedConfig

from ...corpora.feature_sets import FEATURE_SETS
from ...files import write_json
from .checks import check_deviation, check_finite, check_labels, one_line, read_settings_file
from .classifier import Classifier
from .speaker_statistics import STD_SHARE, SpeakerStatistics


logger = logging.getLogger(__name__)

#: Name of a system -> feature set of openSMILE. None: the one that the corpus comes with.
CLASSICAL = {"egemaps-svm": "eGeMAPSv02", "compare-svm": "ComParE_2016", "features-svm": None}
#: System on the features that a corpus comes with.
FEATURES_SVM = "features-svm"
#: File that makes a folder one of a support vector machine. `save_svm` describes its contents.
SVM_MARKER = "svm.json"
SVM_WEIGHTS = "svm.safetensors"
_ARRAYS = ("support", "weight", "bias", "mean", "std")
MODEL_TYPE = "svm"
LICENSE_NOTE = (
    "Its features come from openSMILE, whose licence (audEERING GmbH) allows private use, research and education "
    "alone: a commercial product needs one from audEERING."
)
SAMPLING_RATE = 16000
_NEVER = -1e3  # votes for a class without training clips: never the most, and finite
_SHORTEST = 0.1  # seconds; below 60 ms there are no functionals


class FunctionalsExtractor:
    """Functionals of whole clips by openSMILE.

    eGeMAPSv02 (Eyben et al. 2016, "The Geneva Minimalistic Acoustic Parameter Set") has 88, ComParE_2016 (Schuller et
    al. 2016, "The INTERSPEECH 2016 Computational Paralinguistics Challenge") 6,373.

    Args:
        feature_set: Name of `opensmile.FeatureSet`.

    Raises:
        ImportError: The package opensmile is not installed.
        ValueError: There is no such set.
    """

    sampling_rate = SAMPLING_RATE

    def __init__(self, feature_set: str):
        self.feature_set = feature_set
        self._process = open_smile(feature_set)

    def measure(self, waveform: np.ndarray) -> np.ndarray:
        """Return functionals, float32 (num_functionals,), of a float32 waveform (samples,), NaN where there are none.

        Silence is added behind a very short waveform.
        """
        missing = math.ceil(_SHORTEST * self.sampling_rate) - len(waveform)
        return self._process(np.pad(waveform, (0, missing)) if missing > 0 else waveform)

    def extract(self, waveform: np.ndarray) -> np.ndarray:
        """Return functionals as `measure` does, all of them finite.

        Raises:
            ValueError: There are none for this clip.
        """
        values = self.measure(waveform)
        if not np.isfinite(values).all():
            raise ValueError(f"openSMILE gives no {self.feature_set} functionals of a clip of {len(waveform)} samples")
        return values


class FeatureSetExtractor:
    """Features that a corpus comes with, in place of functionals: values of a clip, or their moments over its frames.

    Args:
        feature_set: Name in `lssed_hf.corpora.feature_sets.FEATURE_SETS`.
        size: Number of values of a clip. Default: any.
    """

    sampling_rate = SAMPLING_RATE

    def __init__(self, feature_set: str, size: int | None = None):
        self.feature_set = self.input_type = feature_set
        self.size = size

    def measure(self, values: np.ndarray) -> np.ndarray:
        """Return values of a clip as they are, and of (frames, values) their mean and deviation, float32 (size,).

        Raises:
            ValueError: The clip has another number of values than `size`.
        """
        values = np.asarray(values, np.float64)
        if values.ndim == 2:
            values = np.concatenate([values.mean(axis=0), values.std(axis=0)])
        if self.size not in (None, len(values)):
            raise ValueError(f"{len(values)} {self.feature_set} values, where other clips have {self.size}")
        return values.astype(np.float32)

    extract = measure  # readers refuse what is not finite


@cache
def open_smile(feature_set: str) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function from a float32 waveform (samples,) at 16 kHz to float32 functionals (num_functionals,).

    Raises:
        ImportError: The package opensmile is not installed.
        ValueError: It has no such feature set.
    """
    try:
        import opensmile
    except ImportError as error:
        raise ImportError(
            f"the features {feature_set} need {error.name}; run pip install 'lssed-hf[opensmile]' (licence: private "
            "use, research and education alone)"
        ) from error
    if feature_set not in opensmile.FeatureSet.__members__:
        raise ValueError(f"openSMILE has no feature set {feature_set!r}")
    logger.warning(f"{feature_set}: {LICENSE_NOTE}")
    smile = opensmile.Smile(opensmile.FeatureSet[feature_set], opensmile.FeatureLevel.Functionals)
    return lambda waveform: smile.process_signal(waveform, SAMPLING_RATE).to_numpy(np.float32)[0]


@dataclass(frozen=True)
class SupportVectorMachine:
    """Support vector machine with a radial or linear kernel, for every pair of classes, on standardised functionals.

    Attributes:
        feature_set: Feature set of openSMILE, or of the corpus.
        labels: Class names, (num_labels,).
        complexity: Weight of training errors, C.
        gamma: Factor of the kernel exp(-gamma |x - s|^2). None: the linear kernel x . s.
        speaker_normalization: Origin of the statistics that standardise: "none" for all training clips, else each
            speaker.
        support: Standardised training clips, float32 (num_vectors, num_functionals).
        weight: Weights, float32 (num_pairs, num_vectors); pairs are (0, 1), (0, 2), ..., (1, 2), ... of `classes`.
        bias: Biases, float32 (num_pairs,).
        classes: Numbers of the labels that had training clips, int64.
        mean: Mean of the training clips, float32 (num_functionals,).
        std: Deviation of the training clips, float32 (num_functionals,).
    """

    feature_set: str
    labels: Sequence[str]
    complexity: float
    gamma: float | None
    speaker_normalization: str
    support: np.ndarray
    weight: np.ndarray
    bias: np.ndarray
    classes: np.ndarray
    mean: np.ndarray
    std: np.ndarray

    @property
    def num_parameters(self) -> int:
        """Number of values in `support`, `weight` and `bias`."""
        return self.support.size + self.weight.size + self.bias.size

    def decision(self, functionals: np.ndarray, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
        """Return the votes for each class, float32 (batch, num_labels).

        The whole part is the number of pairs that the class won, the rest tells how clearly it won them, like the
        `decision_function` of scikit-learn's `SVC`.

        Args:
            functionals: Functionals, (batch, num_functionals).
            mean: Mean to standardise by, (num_functionals,).
            std: Deviation to standardise by, (num_functionals,).
        """
        x = ((functionals - mean) / std).astype(np.float64)
        squares = np.square(x).sum(axis=1)[:, None] + np.square(self.support, dtype=np.float64).sum(axis=1)
        products = x @ self.support.T.astype(np.float64)
        kernel = products if self.gamma is None else np.exp(-self.gamma * np.maximum(squares - 2 * products, 0))
        margins = kernel @ self.weight.T + self.bias
        votes, sums = (np.zeros((len(x), len(self.labels))) for _ in range(2))
        for margin, (first, second) in zip(margins.T, itertools.combinations(self.classes, 2)):
            votes[np.arange(len(x)), np.where(margin > 0, first, second)] += 1
            sums[:, first] += margin
            sums[:, second] -= margin
        votes[:, np.setdiff1d(np.arange(len(self.labels)), self.classes)] = _NEVER
        return (votes + sums / (3 * (np.abs(sums) + 1))).astype(np.float32)


class SVMClassifier(Classifier):
    """Support vector machine that `lssed-hf train` saved.

    The logit of a class counts the other classes that it wins against. The softmax of the logits orders the classes,
    but is not calibrated: a probability does not tell how often a label is right.

    Args:
        folder: Folder with `svm.json` and `svm.safetensors`.
        batch_size: Clips per batch.
        device: Device, None or "cpu".
        trust_remote_code: Argument of all classifiers, without effect.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: A file cannot be read, or the device is not the CPU.
        ImportError: The package opensmile is not installed.
    """

    def __init__(self, folder: str | os.PathLike, batch_size: int = 8, device=None, trust_remote_code: bool = False):
        if device is not None and torch.device(device).type != "cpu":
            raise ValueError(f"{folder} holds a support vector machine, which runs on the CPU and not on {device}")
        self.name, self.svm = os.fspath(folder), read_svm(folder)
        self.config = PreTrainedConfig(id2label=dict(enumerate(self.svm.labels)))
        if self.svm.feature_set in FEATURE_SETS:
            self.feature_extractor = FeatureSetExtractor(self.svm.feature_set, len(self.svm.mean))
        else:
            self.feature_extractor = FunctionalsExtractor(self.svm.feature_set)
        self.batch_size = batch_size
        self._mean, self._std = self.svm.mean, self.svm.std

    @property
    def wants_speaker(self) -> bool:
        return self.svm.speaker_normalization != "none"

    @property
    def front_end(self) -> dict[str, str]:
        return {"feature_set": self.svm.feature_set}

    def check_speakers(self) -> None:
        """Accept statistics of any speaker: functionals are standardised whatever the settings are."""

    def speaker_statistics(self, waveforms: Iterable[np.ndarray]) -> SpeakerStatistics:
        """Measure mean and deviation of each functional over clips of one speaker.

        Args:
            waveforms: Clips of the speaker, float32 (samples,).

        Raises:
            ValueError: There are no clips.
        """
        functionals, samples = [], 0
        for waveform in waveforms:
            functionals.append(self.feature_extractor.extract(waveform))
            samples += len(waveform)
        if not functionals:
            raise ValueError("a speaker's baseline needs at least one recording")
        mean, std = speaker_moments(np.stack(functionals), self.svm.std)
        return SpeakerStatistics(tuple(mean), tuple(std), len(functionals), samples / self.sampling_rate)

    def for_speaker(self, statistics: SpeakerStatistics) -> "SVMClassifier":
        """Return the classifier with functionals standardised by the speaker's own mean and deviation.

        Args:
            statistics: Statistics of the speaker, from `speaker_statistics`.

        Raises:
            ValueError: The statistics belong to another feature set, or the classifier is a speaker's already.
        """
        self._check_free()
        if len(statistics.mean) != len(self.svm.mean):
            raise ValueError(
                f"the speaker's statistics are of {len(statistics.mean)} values, and {self.svm.feature_set} has "
                f"{len(self.svm.mean)}: take those of this model"
            )
        classifier = copy.copy(self)
        classifier.statistics = statistics
        classifier._mean, classifier._std = np.float32(statistics.mean), np.float32(statistics.std)
        return classifier

    def embeddings(self, waveforms: Iterable[np.ndarray], frames: bool = False) -> Iterator[np.ndarray]:
        if frames:
            raise ValueError(f"{self.name} works on functionals of whole clips, which have no frames")
        return map(self.feature_extractor.measure, waveforms)

    def logits(self, batch: list[np.ndarray]) -> np.ndarray:
        functionals = np.stack([self.feature_extractor.measure(waveform) for waveform in batch])
        return self.svm.decision(functionals, self._mean, self._std)


def speaker_moments(functionals: np.ndarray, corpus_std: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and deviation (num_functionals,) of one speaker's clips (num_clips, num_functionals).

    Deviations are at least `STD_SHARE` of the corpus's, like in the front ends of networks.
    """
    functionals = functionals.astype(np.float64)
    return functionals.mean(axis=0), np.maximum(functionals.std(axis=0), STD_SHARE * corpus_std)


def save_svm(svm: SupportVectorMachine, folder: str | os.PathLike) -> None:
    """Write `svm.safetensors` with the arrays and, last, `svm.json` with the other fields and the labels."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: np.ascontiguousarray(getattr(svm, name), np.float32) for name in _ARRAYS}
    tensors["classes"] = np.asarray(svm.classes, np.int64)
    save_file(tensors, folder / SVM_WEIGHTS)
    content = {
        "model_type": MODEL_TYPE,
        "id2label": dict(enumerate(svm.labels)),
        "feature_set": svm.feature_set,
        "sampling_rate": SAMPLING_RATE,
        "complexity": svm.complexity,
        "gamma": svm.gamma,
        "speaker_normalization": svm.speaker_normalization,
        "license_note": "" if svm.feature_set in FEATURE_SETS else LICENSE_NOTE,
    }
    write_json(folder / SVM_MARKER, content)


def read_svm(folder: str | os.PathLike) -> SupportVectorMachine:
    """Read a support vector machine that `save_svm` wrote.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: A file is damaged, or the two files do not fit each other.
    """
    path, weights = Path(folder, SVM_MARKER), Path(folder, SVM_WEIGHTS)
    for file in (path, weights):
        if not file.is_file():
            raise FileNotFoundError(f"{file} is missing: train the model again (a benchmark needs --keep_models)")
    try:
        content = read_settings_file(path)
        check_labels(content, path)
        svm = SupportVectorMachine(
            content["feature_set"],
            [content["id2label"][str(index)] for index in range(len(content["id2label"]))],
            float(content["complexity"]),
            None if content["gamma"] is None else float(content["gamma"]),
            content["speaker_normalization"],
            **load_file(weights),
        )
        (num_pairs, num_vectors), num_functionals = svm.weight.shape, len(svm.mean)
        shapes = {
            "support": (num_vectors, num_functionals),
            "bias": (num_pairs,),
            "std": (num_functionals,),
            "classes": (len(svm.classes),),
        }
        fits = all(getattr(svm, name).shape == shape for name, shape in shapes.items())
        known = set(svm.classes.tolist()) <= set(range(len(svm.labels)))
        if not fits or not known or num_pairs != math.comb(len(svm.classes), 2):
            raise ValueError("weights, statistics and labels do not fit")
        check_finite({name: getattr(svm, name) for name in _ARRAYS}, weights)
        check_deviation(svm.mean, svm.std, weights, ("mean", "std"))
        if svm.gamma is not None and not 0 < svm.gamma < math.inf:
            raise ValueError(f"gamma={svm.gamma} is not above 0")
    except Exception as error:  # errors of JSON, Unicode and safetensors, and missing keys
        raise ValueError(
            f"{folder} holds no support vector machine of this version, train it again: {one_line(error)}"
        ) from error
    return svm


__all__ = [
    "CLASSICAL",
    "FEATURES_SVM",
    "LICENSE_NOTE",
    "MODEL_TYPE",
    "SVM_MARKER",
    "SVM_WEIGHTS",
    "FeatureSetExtractor",
    "FunctionalsExtractor",
    "SVMClassifier",
    "SupportVectorMachine",
    "open_smile",
    "read_svm",
    "save_svm",
    "speaker_moments",
]
