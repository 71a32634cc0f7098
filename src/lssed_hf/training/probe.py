"""`lssed-hf train --probe`: a linear classifier on one layer of a frozen encoder.

The mean over time of every layer's hidden states is standardised and given to a logistic regression, as in many
studies of what encoders know (e.g. Pasad et al. 2021; Yang et al., SUPERB, 2021). Ratings are learnt by ridge
regression, and several classes of a clip by a logistic regression each. The layer and the strength of regularisation
are chosen on the validation speakers.
"""

import json
import logging
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import datasets
import numpy as np
import torch
from safetensors.torch import save_file
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge

from ..audio import load_audio
from ..evaluation.multi_label import score_multi_label
from ..evaluation.ratings import score_ratings
from ..evaluation.ser_metrics.ser_metrics import score
from ..files import replacing, write_json
from ..inference.classifiers.outputs import sigmoid
from ..inference.classifiers.probe import ENCODER, MARKER, WEIGHTS, pooled_states
from ..models.encoders import encoder_of
from .arguments import DataArguments, ModelArguments, RecipeArguments
from .arrays import column_array
from .prediction_cache import cached_predictions, model_digest
from .pretrained import label_maps, load_pretrained
from .problem import BEST_METRIC, MULTI_LABEL, REGRESSION, SINGLE_LABEL, Problem
from .record import Outcome, record_training


logger = logging.getLogger(__name__)

#: Inverse strengths of regularisation to choose from (scikit-learn's C, on standardised features).
GRID = tuple(10.0**exponent for exponent in range(-4, 2))


@dataclass(frozen=True)
class Probe:
    """Fitted probe.

    Attributes:
        layer: Number of the layer, 0 for the input of the first one.
        C: Inverse strength of regularisation.
        weight: Weights of the regression on unstandardised states, (num_labels, hidden_size).
        bias: Biases of the regression, (num_labels,).
        validation: Score on the validation split by layer, each with the best C.
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
    problem_type: str = SINGLE_LABEL,
) -> Probe:
    """Choose a layer and C by the score of the validation clips, and fit on the training clips.

    The score is UA, of several classes a clip macro F1, and of ratings the mean concordance.

    Args:
        train: States (N, layers, hidden_size) and targets of the training clips: class numbers (N,), or those of
            `Problem.targets`, (N, num_labels).
        validation: The same of the validation clips.
        num_labels: Number of outputs.
        layer: The only layer to consider. Default: all.
        grid: Values of C to consider.
        problem_type: Kind of problem.

    Raises:
        ValueError: There is no such layer.
    """
    count = train[0].shape[1]
    if layer is not None and not 0 <= layer < count:
        raise ValueError(f"--probe_layer {layer}: the encoder has layers 0 to {count - 1}")
    regression = {REGRESSION: _ridge, MULTI_LABEL: _several}.get(problem_type, fit_regression)
    best: tuple[float, int, float] | None = None
    by_layer = []
    for number in range(count) if layer is None else [layer]:
        scores = []
        for C in grid:
            weight, bias = _unstandardized(regression, train[0][:, number], train[1], C, num_labels)
            outputs = validation[0][:, number] @ weight.T + bias
            scores.append(_score(validation[1], outputs, problem_type))
            if best is None or scores[-1] > best[0]:  # of equals the lower layer, and the stronger regularisation
                best = (scores[-1], number, C)
        by_layer.append(max(scores))
    _, number, C = best
    final = _unstandardized(regression, train[0][:, number], train[1], C, num_labels)
    return Probe(number, C, *final, tuple(by_layer))


def _score(targets: np.ndarray, outputs: np.ndarray, problem_type: str) -> float:
    """Return the score of the kind of problem, of outputs (clips, num_labels)."""
    names = [str(number) for number in range(outputs.shape[1])]
    if problem_type == REGRESSION:
        return score_ratings(targets, outputs, names)["mean_ccc"] or 0.0
    if problem_type == MULTI_LABEL:
        return score_multi_label(targets > 0.5, sigmoid(outputs.astype(np.float64)), names)["macro_f1"]
    return score(targets, outputs.argmax(axis=1), len(names))["unweighted_accuracy"]


def _unstandardized(
    regression: Callable, states: np.ndarray, targets: np.ndarray, C: float, num_labels: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return weights and biases of a regression on standardised states, for states as they are."""
    mean, std = states.mean(axis=0, dtype=np.float64), np.maximum(states.std(axis=0, dtype=np.float64), 1e-6)
    weight, bias = regression((states - mean) / std, targets, C, num_labels)
    weight = weight / std
    return weight, bias - weight @ mean


def _ridge(inputs: np.ndarray, ratings: np.ndarray, C: float, num_labels: int) -> tuple[np.ndarray, np.ndarray]:
    """Fit a ridge regression of each rating, on the clips that have it."""
    fits = [Ridge(1 / C).fit(inputs[known], column[known]) for column in ratings.T for known in [~np.isnan(column)]]
    return np.stack([fit.coef_ for fit in fits]), np.array([fit.intercept_ for fit in fits])


def _several(inputs: np.ndarray, targets: np.ndarray, C: float, num_labels: int) -> tuple[np.ndarray, np.ndarray]:
    """Fit a logistic regression of each class; one that all clips have, or none, is always or never predicted."""
    weight, bias = np.zeros((num_labels, inputs.shape[1])), np.zeros(num_labels)
    for number, present in enumerate(targets.T > 0.5):
        if present.all() or not present.any():
            bias[number] = 100.0 if present.all() else -100.0
            continue
        pair = fit_regression(inputs, present.astype(int), C, 2)
        weight[number], bias[number] = (values[1] - values[0] for values in pair)
    return weight, bias


def fit_regression(
    inputs: np.ndarray, labels: np.ndarray, C: float, num_labels: int, sample_weight: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Fit a logistic regression, and return weights (num_labels, size) and biases (num_labels,).

    Args:
        inputs: Standardised inputs, (clips, size).
        labels: Class numbers, (clips,). A class without clips is never predicted.
        C: Inverse strength of regularisation (scikit-learn's C).
        num_labels: Number of classes.
        sample_weight: Weight of each clip, (clips,). Default: 1.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        regression = LogisticRegression(C=C, max_iter=1000).fit(inputs, labels, sample_weight=sample_weight)
    coef, intercept = regression.coef_, regression.intercept_
    if len(regression.classes_) == 2:  # of two classes it has the second one's row alone
        coef, intercept = np.concatenate([-coef, coef]) / 2, np.concatenate([-intercept, intercept]) / 2
    weight, bias = np.zeros((num_labels, inputs.shape[1])), np.full(num_labels, -100.0)
    weight[regression.classes_], bias[regression.classes_] = coef, intercept
    return weight, bias


def cached_states(
    dataset: datasets.Dataset,
    model_args: ModelArguments,
    audio_column: str,
    states_function: Callable[[str], tuple[Callable[[np.ndarray], np.ndarray], int]],
) -> np.ndarray:
    """Return pooled states of all layers, float32 (N, layers, size). They are cached by `datasets`.

    Args:
        dataset: Clips.
        model_args: Encoder and front end.
        audio_column: Name of the column with the audio.
        states_function: Function of settings (fields of `ModelArguments`, JSON) that returns two things: a function
            from a waveform (samples,) to states (layers, size), and its sampling rate in Hz.
    """
    names = (
        *("model_name_or_path", "config_overrides", "feature_extractor_overrides", "chunk_length"),
        *("probe_layer", "probe_pooling", "probe_statistics", "probe_range", "trust_remote_code"),
    )
    settings = {name: getattr(model_args, name) for name in names}
    if model_args.probe_pooling == "mean":
        settings["probe_layer"] = None  # the states of all layers are at hand anyway
    settings = json.dumps({"probe": True, **settings})

    def predict(batch: dict[str, list]) -> dict[str, list]:
        states, sampling_rate = states_function(settings)
        return {"states": [states(load_audio(clip, sampling_rate)) for clip in batch[audio_column]]}

    features = datasets.Features({"states": datasets.Sequence(datasets.Sequence(datasets.Value("float32")))})
    digest = model_digest(model_args.model_name_or_path, model_args.trust_remote_code)
    rows = cached_predictions(dataset, predict, features, [settings, digest], "Running the encoder", audio_column)
    return column_array(rows, "states")


@cache
def _mean_states(settings: str) -> tuple[Callable[[np.ndarray], np.ndarray], int]:
    model, feature_extractor = load_pretrained(ModelArguments(**json.loads(settings)), {})
    encoder = encoder_of(model).eval()
    states = partial(pooled_states, encoder, feature_extractor)
    return lambda waveform: states(waveform).cpu().numpy(), feature_extractor.sampling_rate


def train_probe(
    data_args: DataArguments,
    model_args: ModelArguments,
    args: RecipeArguments,
    dataset: datasets.DatasetDict,
    problem: Problem,
) -> Outcome:
    """Fit a probe on the training split, choose on the validation split, and save what `ProbeClassifier` opens.

    The output folder also gets `train_results.json`, `eval_results.json`, `training.json`, and `probe.json` with the
    choice and the validation score of each layer.

    Args:
        data_args: Names of splits and columns.
        model_args: Encoder to probe.
        args: Recipe, of which the output folder alone counts.
        dataset: Splits with encoded labels, one for validation among them.
        problem: Kind of problem, and its targets.

    Raises:
        ValueError: The encoder's states are no sequences of vectors.
    """
    start = time.perf_counter()
    splits = [dataset[split] for split in (data_args.train_split_name, data_args.validation_split_name)]
    labels, kind = list(problem.labels), problem.problem_type
    metric = BEST_METRIC.get(kind, "unweighted_accuracy")
    train, validation = (
        (
            cached_states(rows, model_args, data_args.audio_column_name, _mean_states),
            np.asarray(rows[data_args.label_column_name]) if kind == SINGLE_LABEL else problem.targets(rows),
        )
        for rows in splits
    )
    grid = GRID if model_args.probe_C is None else [model_args.probe_C]
    probe = fit_probe(train, validation, len(labels), model_args.probe_layer, grid, kind)
    seconds = time.perf_counter() - start
    layers = range(len(probe.validation)) if model_args.probe_layer is None else [probe.layer]
    by_layer = {str(layer): value for layer, value in zip(layers, probe.validation, strict=True)}
    logger.info(f"layer {probe.layer}, C {probe.C:g}; validation {metric} by layer: {by_layer}")

    folder, maps = Path(args.output_dir), label_maps(labels)
    model, feature_extractor = load_pretrained(model_args, maps)
    model.save_pretrained(folder / ENCODER)
    feature_extractor.save_pretrained(folder / ENCODER)
    weights = {"weight": probe.weight, "bias": probe.bias}
    with replacing(folder / WEIGHTS) as path:
        save_file({name: torch.from_numpy(value).float().contiguous() for name, value in weights.items()}, path)
    field = {} if kind == SINGLE_LABEL else {"problem_type": kind}
    write_json(folder / "config.json", {"model_type": "probe", "architectures": ["ProbeClassifier"], **maps, **field})
    write_json(folder / MARKER, {"layer": probe.layer, "C": probe.C, f"validation_{metric}": by_layer, **field})
    num_trained = probe.weight.size + probe.bias.size
    outcome = Outcome(
        encoder_of(model).num_parameters() + num_trained,
        {"train_runtime": seconds},
        {f"eval_{metric}": max(probe.validation)},
    )
    outcome.write_metrics(folder)
    trained = {"part": "head", "num_parameters": num_trained}
    record_training(data_args, model_args, args, dataset, outcome.num_parameters, trained=trained, problem=problem)
    return outcome
