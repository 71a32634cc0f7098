"""Features of clips, computed once and cached, and the corpus statistics that normalise them."""

import hashlib
import inspect
import json
import math
from functools import cache
from types import ModuleType
from typing import get_args

import datasets
import numpy as np
from transformers import SequenceFeatureExtractor

from .. import audio
from ..audio import load_audio
from ..corpora.feature_sets import feature_set_of
from ..inference.classifiers.checks import refusing
from ..inference.classifiers.speaker_statistics import FrameStatistics, extraction_settings
from ..models.espnet.feature_extraction_espnet_asr import EspnetAsrFeatureExtractor
from ..models.pyresnet.feature_extraction_pyresnet import PyResNetFeatureExtractor
from . import perturbation as perturbation_module
from .arrays import frames_of
from .perturbation import Perturbation, perturb


#: Extractors that tell features (`extract`) and their normalisation (`normalize`) apart.
FrameExtractor = PyResNetFeatureExtractor | EspnetAsrFeatureExtractor


def is_cacheable(feature_extractor: SequenceFeatureExtractor) -> bool:
    """Return whether features can be cached and cropped. If not, waveforms are, and each crop is extracted."""
    return isinstance(feature_extractor, FrameExtractor)


def decibel(feature_extractor: SequenceFeatureExtractor) -> float:
    """Return the size of a decibel in features that can be cached. ESPnet's are natural logarithms of power."""
    return math.log(10) / 10 if isinstance(feature_extractor, EspnetAsrFeatureExtractor) else 1.0


def compute_features(
    dataset: datasets.Dataset,
    feature_extractor: SequenceFeatureExtractor,
    audio_column: str = "audio",
    num_proc: int | None = None,
    perturbation: Perturbation | None = None,
    copy: int = 0,
) -> datasets.Dataset:
    """Replace the audio column by `values` (float32) and `width`: `values.reshape(-1, width)` are a clip's frames.

    For the extractors of this package these are the features before normalisation (`extract`), for any other one the
    waveform at its sampling rate, of width 1. The result is cached by `datasets` under the audio, the extractor's
    settings and the code that computes it.

    Args:
        dataset: Dataset with an audio column.
        feature_extractor: Front end that computes features, or gives the sampling rate of waveforms.
        audio_column: Name of the column with the audio.
        num_proc: Number of processes.
        perturbation: Changes to the waveforms. The draws depend on `copy` and the row's number alone.
        copy: Number of the copy.

    Raises:
        AudioError, FileNotFoundError: A clip cannot be used. The message names its file.
    """
    cacheable = is_cacheable(feature_extractor)
    sampling_rate = {"sampling_rate": feature_extractor.sampling_rate}
    settings = extraction_settings(feature_extractor) if cacheable else sampling_rate
    features = dataset.features.copy()
    if feature_set_of(features.pop(audio_column)) is None:
        dataset = dataset.cast_column(audio_column, datasets.Audio(decode=False))
    features["values"] = datasets.Sequence(datasets.Value("float32"))
    features["width"] = datasets.Value("int32")
    return dataset.map(
        _extract_row,
        with_indices=True,
        fn_kwargs={
            "audio_column": audio_column,
            "settings": json.dumps(settings, sort_keys=True),
            "cacheable": cacheable,
            "perturbation": perturbation,
            "copy": copy,
            "code": _code_hash(feature_extractor, *([] if perturbation is None else [perturbation_module])),
        },
        remove_columns=[audio_column],
        features=features,
        num_proc=num_proc,
        writer_batch_size=100,
        desc=("Computing features" if cacheable else "Decoding audio") + (f", perturbed copy {copy}" if copy else ""),
    )


def _code_hash(feature_extractor: SequenceFeatureExtractor, *others: ModuleType) -> str:
    """Hash the source of the front end, because `datasets` hashes a function of a package by its name alone."""
    classes = type(feature_extractor).__mro__ if is_cacheable(feature_extractor) else ()
    own = dict.fromkeys(inspect.getmodule(kind) for kind in classes if kind.__module__.startswith("lssed_hf."))
    modules = [audio, *own, *others]
    return hashlib.sha256("".join(map(inspect.getsource, modules)).encode()).hexdigest()


def _extract_row(
    row: dict,
    index: int,
    audio_column: str,
    settings: str,
    cacheable: bool,
    perturbation: Perturbation | None,
    copy: int,
    code: str,
) -> dict:
    extractor = _extractor(settings) if cacheable else None
    sampling_rate = json.loads(settings)["sampling_rate"]
    if getattr(extractor, "input_type", "waveform") != "waveform":
        with refusing(row.get("id") or f"row {index}"):
            values = extractor.extract(np.asarray(row[audio_column], np.float32))
        return {"values": values.ravel(), "width": values.shape[1]}
    waveform = load_audio(row[audio_column], sampling_rate)
    if perturbation is not None:
        waveform = perturb(waveform, sampling_rate, perturbation, np.random.default_rng([copy, index]))
    if extractor is None:
        return {"values": waveform, "width": 1}
    values = extractor.extract(waveform)
    return {"values": values.ravel(), "width": values.shape[1]}


@cache
def _extractor(settings: str) -> FrameExtractor:
    settings = json.loads(settings)
    classes = {kind.__name__: kind for kind in get_args(FrameExtractor)}
    return classes[settings["feature_extractor_type"]].from_dict(settings)


def fit_normalization(
    feature_extractor: FrameExtractor,
    dataset: datasets.Dataset | datasets.IterableDataset,
    audio_column: str = "audio",
    num_proc: int | None = None,
) -> FrameExtractor:
    """Set the extractor's `mean` and `std` per mel bin to those over all frames of a dataset.

    Fit on training data only. `save_pretrained` then keeps the statistics in `preprocessor_config.json`.

    Args:
        feature_extractor: Front end, changed in place.
        dataset: Dataset with an audio column, streamed or not, or the result of `compute_features`. A stream is read
            to its end: `dataset.take(1000)` measures a part.
        audio_column: Name of the column with the audio.
        num_proc: Number of processes.

    Returns:
        The same front end.

    Raises:
        ValueError: The dataset has no rows.
    """
    frames = FrameStatistics()
    if isinstance(dataset, datasets.IterableDataset):
        for row in dataset.cast_column(audio_column, datasets.Audio(decode=False)):
            frames.add(feature_extractor.extract(load_audio(row[audio_column], feature_extractor.sampling_rate)))
    elif len(dataset):
        if "values" not in dataset.column_names:
            dataset = compute_features(dataset, feature_extractor, audio_column, num_proc)
        for values in frames_of(dataset):
            frames.add(values)
    if frames.count == 0:
        raise ValueError("cannot fit normalisation statistics on a dataset without rows")
    feature_extractor.mean, feature_extractor.std = frames.mean.tolist(), frames.std.tolist()
    return feature_extractor
