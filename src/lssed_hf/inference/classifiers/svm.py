"""Support vector machines on openSMILE's functionals: the classical peers of the networks."""

import copy
import itertools
import json
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

from .classifier import Classifier
from .speaker_statistics import STD_SHARE, SpeakerStatistics


logger = logging.getLogger(__name__)

#: Name of a system -> feature set of openSMILE.
CLASSICAL = {"egemaps-svm": "eGeMAPSv02", "compare-svm": "ComParE_2016"}
#: Its presence makes a folder one of a support vector machine. What it holds is said at `save_svm`.
SVM_MARKER = "svm.json"
SVM_WEIGHTS = "svm.safetensors"
_ARRAYS = ("support", "weight", "bias", "mean", "std")
MODEL_TYPE = "svm"
LICENSE_NOTE = (
    "Its features come from openSMILE, whose licence (audEERING GmbH) allows private use, research and education "
    "alone: a commercial product needs one from audEERING."
)
SAMPLING_RATE = 16000
_NEVER = -1e3  # of a class without training clips: an answer that is never given, and finite
_SHORTEST = 0.1  # seconds; below 60 ms there are no functionals


class FunctionalsExtractor:
    """Functionals of whole clips by openSMILE.

    eGeMAPSv02 (Eyben et al. 2016, "The Geneva Minimalistic Acoustic Parameter Set") has 88, ComParE_2016 (Schuller et
    al. 2016, "The INTERSPEECH 2016 Computational Paralinguistics Challenge") 6,373.

    Args:
        feature_set: a name of `opensmile.FeatureSet`.

    Raises:
        ImportError: the package opensmile is not installed.
        ValueError: it has no such set.
    """

    sampling_rate = SAMPLING_RATE

    def __init__(self, feature_set: str):
        self.feature_set = feature_set
        self._process = open_smile(feature_set)

    def extract(self, waveform: np.ndarray) -> np.ndarray:
        """float32 (num_functionals,) of a float32 waveform (samples,); silence is put behind very short ones."""
        missing = math.ceil(_SHORTEST * self.sampling_rate) - len(waveform)
        values = self._process(np.pad(waveform, (0, missing)) if missing > 0 else waveform)
        if not np.isfinite(values).all():
            raise ValueError(f"openSMILE gives no {self.feature_set} functionals of a clip of {len(waveform)} samples")
        return values


@cache
def open_smile(feature_set: str) -> Callable[[np.ndarray], np.ndarray]:
    """What gives float32 functionals (num_functionals,) of a float32 waveform (samples,) at 16 kHz."""
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
    """A support vector machine with a radial kernel, of every pair of classes, on standardised functionals.

    Attributes:
        feature_set: of openSMILE.
        labels: classes.
        complexity: C, the weight of training errors.
        gamma: of the kernel exp(-gamma |x - s|^2).
        speaker_normalization: whose statistics standardise: "none" for those of all training clips, else every
            speaker's own.
        support: float32 (num_vectors, num_functionals), standardised training clips.
        weight: float32 (num_pairs, num_vectors); pairs are (0, 1), (0, 2), ..., (1, 2), ... of `classes`.
        bias: float32 (num_pairs,).
        classes: int64, numbers of the labels that had training clips.
        mean, std: float32 (num_functionals,), of the training clips.
    """

    feature_set: str
    labels: Sequence[str]
    complexity: float
    gamma: float
    speaker_normalization: str
    support: np.ndarray
    weight: np.ndarray
    bias: np.ndarray
    classes: np.ndarray
    mean: np.ndarray
    std: np.ndarray

    @property
    def num_parameters(self) -> int:
        return self.support.size + self.weight.size + self.bias.size

    def decision(self, functionals: np.ndarray, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
        """float32 (batch, num_labels) of functionals (batch, num_functionals), standardised by `mean` and `std`.

        A class's number of won pairs and, below one, by how much it won them, as scikit-learn's `SVC` has it.
        """
        x = ((functionals - mean) / std).astype(np.float64)
        squares = np.square(x).sum(axis=1)[:, None] + np.square(self.support, dtype=np.float64).sum(axis=1)
        kernel = np.exp(-self.gamma * np.maximum(squares - 2 * x @ self.support.T.astype(np.float64), 0))
        margins = kernel @ self.weight.T + self.bias
        votes, sums = (np.zeros((len(x), len(self.labels))) for _ in range(2))
        for margin, (first, second) in zip(margins.T, itertools.combinations(self.classes, 2)):
            votes[np.arange(len(x)), np.where(margin > 0, first, second)] += 1
            sums[:, first] += margin
            sums[:, second] -= margin
        votes[:, np.setdiff1d(np.arange(len(self.labels)), self.classes)] = _NEVER
        return (votes + sums / (3 * (np.abs(sums) + 1))).astype(np.float32)


class SVMClassifier(Classifier):
    """A support vector machine that `lssed-hf train` saved.

    Its logits count the other classes that a class wins against. Their softmax orders the classes, but is not
    calibrated: do not read the probabilities as how often an answer is right.

    Args:
        folder: with `svm.json` and `svm.safetensors`.
        batch_size: clips at a time.
        device: None or "cpu".
        trust_remote_code: of no use here.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: a file cannot be read, or another device.
        ImportError: the package opensmile is not installed.
    """

    def __init__(self, folder: str | os.PathLike, batch_size: int = 8, device=None, trust_remote_code: bool = False):
        if device is not None and torch.device(device).type != "cpu":
            raise ValueError(f"{folder} holds a support vector machine, which runs on the CPU and not on {device}")
        self.name, self.svm = os.fspath(folder), read_svm(folder)
        self.config = PreTrainedConfig(id2label=dict(enumerate(self.svm.labels)))
        self.feature_extractor = FunctionalsExtractor(self.svm.feature_set)
        self.batch_size = batch_size
        self._mean, self._std = self.svm.mean, self.svm.std

    @property
    def wants_speaker(self) -> bool:
        return self.svm.speaker_normalization != "none"

    @property
    def front_end(self) -> dict[str, str]:
        return {"feature_set": self.svm.feature_set}

    def speaker_statistics(self, waveforms: Iterable[np.ndarray]) -> SpeakerStatistics:
        """Mean and deviation of each functional over some clips of one speaker: float32 waveforms (samples,).

        Raises:
            ValueError: no clips.
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
        """The same machine, on functionals standardised by the speaker's own mean and deviation.

        Raises:
            ValueError: statistics of another feature set, or a classifier that is a speaker's already.
        """
        if self.statistics is not None:
            raise ValueError("this classifier is a speaker's already: call for_speaker of the one it was made from")
        if len(statistics.mean) != len(self.svm.mean):
            raise ValueError(
                f"the speaker's statistics are of {len(statistics.mean)} values, and {self.svm.feature_set} has "
                f"{len(self.svm.mean)}: take those of this model"
            )
        own = copy.copy(self)
        own.statistics = statistics
        own._mean, own._std = np.float32(statistics.mean), np.float32(statistics.std)
        return own

    def embeddings(self, waveforms: Iterable[np.ndarray], frames: bool = False) -> Iterator[np.ndarray]:
        if frames:
            raise ValueError(f"{self.name} works on functionals of whole clips, which have no frames")
        return (self.feature_extractor.extract(waveform) for waveform in waveforms)

    def logits(self, batch: list[np.ndarray]) -> np.ndarray:
        functionals = np.stack([self.feature_extractor.extract(waveform) for waveform in batch])
        return self.svm.decision(functionals, self._mean, self._std)


def speaker_moments(functionals: np.ndarray, corpus_std: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation (num_functionals,) of one speaker's (num_clips, num_functionals).

    Deviations are at least `STD_SHARE` of the corpus's, as those of front ends of networks.
    """
    functionals = functionals.astype(np.float64)
    return functionals.mean(axis=0), np.maximum(functionals.std(axis=0), STD_SHARE * corpus_std)


def save_svm(svm: SupportVectorMachine, folder: str | os.PathLike) -> None:
    """Write `svm.safetensors` (the arrays) and, last, `svm.json` with all else."""
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
        "license_note": LICENSE_NOTE,
    }
    (folder / SVM_MARKER).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_svm(folder: str | os.PathLike) -> SupportVectorMachine:
    """What `save_svm` wrote.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: a file is damaged, or the two do not fit.
    """
    path, weights = Path(folder, SVM_MARKER), Path(folder, SVM_WEIGHTS)
    for file in (path, weights):
        if not file.is_file():
            raise FileNotFoundError(f"{file} is missing: train the model again (a benchmark needs --keep_models)")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        svm = SupportVectorMachine(
            content["feature_set"],
            [content["id2label"][str(index)] for index in range(len(content["id2label"]))],
            float(content["complexity"]),
            float(content["gamma"]),
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
    except Exception as error:  # JSON's and Unicode's, missing keys, and safetensors' own
        raise ValueError(
            f"{folder} holds no support vector machine of this version, train it again: {error!r}"
        ) from error
    return svm


__all__ = [
    "CLASSICAL",
    "LICENSE_NOTE",
    "MODEL_TYPE",
    "SVM_MARKER",
    "SVM_WEIGHTS",
    "FunctionalsExtractor",
    "SVMClassifier",
    "SupportVectorMachine",
    "open_smile",
    "read_svm",
    "save_svm",
    "speaker_moments",
]
