"""`lssed-hf train --probe`: a linear classifier on one layer of a frozen encoder.

The mean over time of every layer's hidden states is standardised and given to a logistic regression, as in many
studies of what encoders know (e.g. Pasad et al. 2021; Yang et al., SUPERB, 2021). The layer and the strength of
regularisation are chosen on the validation speakers.
"""

import json
import logging
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import datasets
import numpy as np
import torch
from safetensors.torch import save_file
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from transformers import SequenceFeatureExtractor

from ..audio import load_audio
from ..evaluation.ser_metrics.ser_metrics import score
from ..files import replacing
from ..inference.classifiers.probe import ENCODER, MARKER, WEIGHTS, pooled_states
from ..models.encoders import encoder_of
from .arguments import ModelArguments
from .prediction_cache import ask, model_digest
from .pretrained import load_pretrained


logger = logging.getLogger(__name__)

#: Inverse strengths of regularisation to choose from (scikit-learn's C, on standardised features).
GRID = tuple(10.0**exponent for exponent in range(-4, 2))


@dataclass(frozen=True)
class Probe:
    """A fitted probe.

    Attributes:
        layer: of the hidden states, 0 for what goes into the first layer.
        C: of `GRID`.
        weight, bias: of the regression on unstandardised states, (num_labels, hidden_size) and (num_labels,).
        validation: UA on the validation split by layer, each with the best C.
    """

    layer: int
    C: float
    weight: np.ndarray
    bias: np.ndarray
    validation: tuple[float, ...]


def fit_probe(
    train: tuple[np.ndarray, np.ndarray],
    validation: tuple[np.ndarray, np.ndarray],
    num_labels: int,
    layer: int | None = None,
    grid: Sequence[float] = GRID,
) -> Probe:
    """Choose a layer and C by UA on the validation clips, and fit on the training clips.

    Args:
        train, validation: states (N, layers, hidden_size) and class numbers (N,).
        num_labels: classes.
        layer: the only one to consider, or None for all.
        grid: values of C to consider.

    Raises:
        ValueError: there is no such layer.
    """
    count = train[0].shape[1]
    if layer is not None and not 0 <= layer < count:
        raise ValueError(f"--probe_layer {layer}: the encoder has layers 0 to {count - 1}")
    best: tuple[float, int, float] | None = None
    by_layer = []
    for number in range(count) if layer is None else [layer]:
        scores = []
        for C in grid:
            weight, bias = _regression(train[0][:, number], train[1], C, num_labels)
            answers = (validation[0][:, number] @ weight.T + bias).argmax(axis=1)
            scores.append(score(validation[1], answers, num_labels)["unweighted_accuracy"])
            if best is None or scores[-1] > best[0]:  # of equals the lower layer, and the stronger regularisation
                best = (scores[-1], number, C)
        by_layer.append(max(scores))
    _, number, C = best
    return Probe(number, C, *_regression(train[0][:, number], train[1], C, num_labels), tuple(by_layer))


def _regression(states: np.ndarray, labels: np.ndarray, C: float, num_labels: int) -> tuple[np.ndarray, np.ndarray]:
    mean, std = states.mean(axis=0, dtype=np.float64), np.maximum(states.std(axis=0, dtype=np.float64), 1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        regression = LogisticRegression(C=C, max_iter=1000).fit((states - mean) / std, labels)
    coef, intercept = regression.coef_, regression.intercept_
    if len(regression.classes_) == 2:  # of two classes it has the second one's row alone
        coef, intercept = np.concatenate([-coef, coef]) / 2, np.concatenate([-intercept, intercept]) / 2
    weight = np.zeros((num_labels, states.shape[1]))
    bias = np.full(num_labels, -100.0)  # a class without training clips is never the answer
    weight[regression.classes_] = coef / std
    bias[regression.classes_] = intercept - (coef / std) @ mean
    return weight, bias


def hear(
    dataset: datasets.Dataset, model_args: ModelArguments, audio_column: str, label_column: str
) -> tuple[np.ndarray, np.ndarray]:
    """Means over time of all hidden states, float32 (N, layers, hidden_size), and labels (N,), cached by datasets."""
    settings = {
        key: getattr(model_args, key)
        for key in ("model_name_or_path", "config_overrides", "feature_extractor_overrides", "chunk_length")
    }
    settings = json.dumps({**settings, "trust_remote_code": model_args.trust_remote_code})

    def answer(batch: dict[str, list]) -> dict[str, list]:
        encoder, feature_extractor = _encoder(settings)
        waveforms = (load_audio(clip, feature_extractor.sampling_rate) for clip in batch[audio_column])
        return {
            "states": [pooled_states(encoder, feature_extractor, waveform).cpu().numpy() for waveform in waveforms]
        }

    features = datasets.Features({"states": datasets.Sequence(datasets.Sequence(datasets.Value("float32")))})
    digest = model_digest(model_args.model_name_or_path, model_args.trust_remote_code)
    rows = ask(dataset, answer, features, [settings, digest], "Running the encoder", audio_column)
    return np.stack(list(rows.with_format("numpy")["states"])), np.asarray(dataset[label_column])


@cache
def _encoder(settings: str) -> tuple[torch.nn.Module, SequenceFeatureExtractor]:
    model, feature_extractor = load_pretrained(ModelArguments(**json.loads(settings)), {})
    return encoder_of(model).eval(), feature_extractor


def train_probe(
    model_args: ModelArguments,
    splits: Sequence[datasets.Dataset],
    label_maps: dict,
    audio_column: str,
    label_column: str,
    output_dir: str,
) -> int:
    """Fit a probe on the training split, choose on the validation split, and save what `ProbeClassifier` opens.

    `output_dir` also gets `train_results.json` and `eval_results.json`; `probe.json` says what was chosen, and the
    validation UA of each layer.

    Returns:
        The number of parameters, the encoder's included.

    Raises:
        ValueError: the encoder's states are no sequences of vectors.
    """
    start = time.perf_counter()
    train, validation = (hear(rows, model_args, audio_column, label_column) for rows in splits)
    grid = GRID if model_args.probe_C is None else [model_args.probe_C]
    probe = fit_probe(train, validation, len(label_maps["id2label"]), model_args.probe_layer, grid)
    seconds = time.perf_counter() - start
    layers = range(len(probe.validation)) if model_args.probe_layer is None else [probe.layer]
    by_layer = {str(layer): value for layer, value in zip(layers, probe.validation, strict=True)}
    logger.info(f"layer {probe.layer}, C {probe.C:g}; validation UA by layer: {by_layer}")

    folder = Path(output_dir)
    model, feature_extractor = load_pretrained(model_args, label_maps)
    model.save_pretrained(folder / ENCODER)
    feature_extractor.save_pretrained(folder / ENCODER)
    weights = {"weight": probe.weight, "bias": probe.bias}
    with replacing(folder / WEIGHTS) as path:
        save_file({name: torch.from_numpy(value).float().contiguous() for name, value in weights.items()}, path)
    config = {"model_type": "probe", "architectures": ["ProbeClassifier"], **label_maps}
    chosen = {"layer": probe.layer, "C": probe.C, "validation_unweighted_accuracy": by_layer}
    for name, content in {
        "train_results.json": {"train_runtime": seconds},
        "eval_results.json": {"eval_unweighted_accuracy": max(probe.validation)},
        "config.json": config,
        MARKER: chosen,
    }.items():
        with replacing(folder / name) as path:
            path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return encoder_of(model).num_parameters() + probe.weight.size + probe.bias.size
