"""`lssed-hf train --probe --probe_pooling statistics`: the first layers of a Whisper encoder with a linear head.

The head is a logistic regression on the mean and deviation over time of one layer. With `--speaker_normalization all`
it learns from each clip twice, standardised by all clips and by its speaker's, so that one model serves speakers who
are known and speakers who are not.
"""

import dataclasses
import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import datasets
import numpy as np
import torch
from transformers import PreTrainedModel
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from ..evaluation.calibration import fit_temperature
from ..evaluation.ser_metrics.ser_metrics import score
from ..inference.classifiers.statistics import LEAST_STD
from ..inference.speaker_normalization import speakers_of, standardize_by_speaker
from ..models.encoders import encoder_of
from ..models.pyresnet.feature_extraction_pyresnet import PyResNetFeatureExtractor
from ..models.registry import create_feature_extractor
from ..models.whisper_statistics.configuration_whisper_statistics import WhisperStatisticsConfig
from ..models.whisper_statistics.modeling_whisper_statistics import (
    WhisperStatisticsForAudioClassification,
    WhisperStatisticsModel,
)
from .arguments import DataArguments, ModelArguments, RecipeArguments
from .pretrained import label_maps, load_pretrained
from .probe import GRID, cached_states, fit_regression
from .record import Outcome, record_training
from .selection import CORPUS_COLUMN


logger = logging.getLogger(__name__)

_LEAST_STD = 1e-4


@dataclass(frozen=True)
class Embeddings:
    """Embeddings of clips, and what is known of each clip.

    Attributes:
        values: Statistics of every layer, (clips, layers, size).
        labels: Class numbers, (clips,).
        speakers: Name of the speaker, None where unknown.
        corpora: Name of the corpus.
    """

    values: np.ndarray
    labels: np.ndarray
    speakers: Sequence[str | None]
    corpora: Sequence[str]

    def weights(self, num_labels: int) -> np.ndarray:
        """Return a weight for each clip, 1 on average: by the root of its corpus's size, and by that of its class.

        Both are in the denominator. So a corpus counts by the root of its size, and classes count alike where corpora
        have them in the same shares.
        """
        _, corpus, sizes = np.unique(self.corpora, return_inverse=True, return_counts=True)
        counts = np.bincount(self.labels, minlength=num_labels)
        weights = 1 / np.sqrt(sizes[corpus]) / counts[self.labels]
        return weights / weights.mean()

    def select(self, rows: np.ndarray) -> "Embeddings":
        """Return some of the clips, by their numbers."""
        speakers, corpora = ([names[row] for row in rows] for names in (self.speakers, self.corpora))
        return Embeddings(self.values[rows], self.labels[rows], speakers, corpora)

    def rows_of_speakers(self) -> list[np.ndarray]:
        """Return the numbers of the clips of each speaker, sorted by name; unknown speakers count as one."""
        rows: dict[str | None, list[int]] = {}
        for row, speaker in enumerate(self.speakers):
            rows.setdefault(speaker, []).append(row)
        return [np.array(rows[speaker]) for speaker in sorted(rows, key=str)]

    def by_speaker(self, layer: int, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
        """Return the embeddings of a layer standardised by each speaker's own clips, else by a mean and deviation."""
        values = (self.values[:, layer] - mean) / std
        for rows in self.rows_of_speakers():
            own = values[rows]
            if self.speakers[rows[0]] is not None and len(own) > 1:
                values[rows] = (own - own.mean(axis=0)) / np.maximum(own.std(axis=0), LEAST_STD)
        return values


@dataclass(frozen=True)
class Head:
    """Linear classifier of standardised statistics.

    Attributes:
        layer: Number of the layer, 0 for the input of the first one.
        C: Inverse strength of regularisation.
        mean: Mean of the embeddings, (size,).
        std: Deviation of the embeddings, (size,).
        weight: Weights of the regression, (num_labels, size).
        bias: Biases of the regression, (num_labels,).
        class_means: Mean of each class in standardised embeddings of speakers with zero mean, (num_labels, size).
        within_variance: Variance of the logits of one speaker's clips of one class, summed over logits.
        speaker_temperature: Temperature of the logits of clips that are standardised by their speaker.
    """

    layer: int
    C: float
    mean: np.ndarray
    std: np.ndarray
    weight: np.ndarray
    bias: np.ndarray
    class_means: np.ndarray
    within_variance: float
    speaker_temperature: float = 1.0

    def views(self, clips: Embeddings, both: bool) -> list[np.ndarray]:
        """Return standardised embeddings of clips, and with `both` also standardised by their speaker, as in use."""
        views = [(clips.values[:, self.layer] - self.mean) / self.std]
        if both:
            known = [rows for rows in clips.rows_of_speakers() if clips.speakers[rows[0]] is not None]
            head = {name: getattr(self, name) for name in ("weight", "bias", "class_means", "within_variance")}
            views.append(standardize_by_speaker(views[0], known, **head))
        return views

    def logits(self, clips: Embeddings, both: bool) -> list[np.ndarray]:
        """Return the logits of `views`, (clips, num_labels) each, before any temperature of speakers."""
        return [view @ self.weight.T + self.bias for view in self.views(clips, both)]

    def divided(self, plain: float, by_speaker: float | None = None) -> "Head":
        """Return the head with logits divided by a temperature, and those of known speakers by another."""
        return dataclasses.replace(
            self,
            weight=self.weight / plain,
            bias=self.bias / plain,
            within_variance=self.within_variance / plain**2,
            speaker_temperature=self.speaker_temperature if by_speaker is None else by_speaker / plain,
        )


def fit_head(train: Embeddings, num_labels: int, layer: int, C: float, both: bool) -> Head:
    """Fit a head to one layer.

    Args:
        train: Training clips.
        num_labels: Number of classes.
        layer: Number of the layer.
        C: Inverse strength of regularisation (scikit-learn's C).
        both: Whether to learn from each clip standardised by its speaker as well.
    """
    values = train.values[:, layer].astype(np.float64)
    mean, std = values.mean(axis=0), np.maximum(values.std(axis=0), _LEAST_STD)
    weights, labels = train.weights(num_labels), train.labels
    inputs = (values - mean) / std
    if both:
        inputs, weights = np.concatenate([inputs, train.by_speaker(layer, mean, std)]), np.tile(weights, 2)
    weight, bias = fit_regression(inputs, np.resize(labels, len(inputs)), C, num_labels, weights)
    class_means = _class_means(train, layer, mean, std, num_labels)
    return Head(layer, C, mean, std, weight, bias, class_means, _within_variance(train, layer, weight / std))


def _class_means(train: Embeddings, layer: int, mean: np.ndarray, std: np.ndarray, num_labels: int) -> np.ndarray:
    values = (train.values[:, layer] - mean) / std
    for rows in train.rows_of_speakers():
        values[rows] -= values[rows].mean(axis=0)
    means = np.zeros((num_labels, len(mean)))
    known = np.unique(train.labels)
    for label in known:
        means[label] = values[train.labels == label].mean(axis=0)
    means[known] -= means[known].mean(axis=0)
    return means


def _within_variance(train: Embeddings, layer: int, weight: np.ndarray) -> float:
    """Return the variance of logits of one speaker's clips of one class, summed over logits."""
    logits = train.values[:, layer] @ (weight - weight.mean(axis=0)).T
    variances = [
        logits[same].var(axis=0, ddof=1).sum()
        for rows in train.rows_of_speakers()
        for label in np.unique(train.labels[rows])
        if len(same := rows[train.labels[rows] == label]) > 1
    ]
    return float(np.mean(variances)) if variances else 0.0


def calibrated(head: Head, train: Embeddings, num_labels: int, both: bool) -> Head:
    """Return the head with temperatures that fit clips of corpora that it was not trained on.

    Each corpus is left out in turn, and a head fitted to the others gives logits of its clips. With a single corpus,
    fifths of its speakers take the place of corpora. A training set of one speaker is not calibrated.

    Args:
        head: Head that was fitted to all training clips.
        train: Training clips.
        num_labels: Number of classes.
        both: Whether clips that are standardised by their speaker have a temperature of their own.
    """
    groups = np.unique(train.corpora, return_inverse=True)[1]
    if groups.max() == 0:
        groups = np.empty(len(train.labels), dtype=int)
        for number, rows in enumerate(train.rows_of_speakers()):
            groups[rows] = number % 5
    logits: list[list[np.ndarray]] = [[], []]
    labels, weights = [], []
    for group in np.unique(groups) if groups.max() else ():
        others = train.select(np.flatnonzero(groups != group))
        known = np.unique(others.labels)
        left_out = train.select(np.flatnonzero((groups == group) & np.isin(train.labels, known)))
        if len(known) < 2 or not len(left_out.labels):  # nothing to learn, or nothing that can be known
            continue
        fitted = fit_head(others, num_labels, head.layer, head.C, both)
        for found, view in zip(logits, fitted.logits(left_out, both)):
            found.append(view)
        labels.append(left_out.labels)
        weights.append(np.full(len(left_out.labels), 1 / len(left_out.labels)))
    if not labels:
        return head
    references, weights = np.concatenate(labels), np.concatenate(weights)
    plain, speaker = (fit_temperature(np.concatenate(view), references, weights) if view else 1.0 for view in logits)
    logger.info(f"temperature {plain:.2f}, of known speakers {speaker:.2f}")
    return head.divided(plain, speaker if both else None)


def truncated_whisper(
    encoder: WhisperEncoder, num_layers: int | None = None, **settings: Any
) -> WhisperStatisticsModel:
    """Return the first layers of Whisper's encoder, which pool all of them.

    Args:
        encoder: Encoder of Whisper.
        num_layers: Number of layers to keep. Default: all.
        **settings: Further fields of `WhisperStatisticsConfig`.

    Raises:
        ValueError: The encoder is not Whisper's, or has fewer layers.
    """
    if not isinstance(encoder, WhisperEncoder):
        raise ValueError(
            f"--probe_pooling statistics takes the first layers of a Whisper encoder, not of {type(encoder).__name__}"
        )
    num_layers = encoder.config.encoder_layers if num_layers is None else num_layers
    if not 0 <= num_layers <= encoder.config.encoder_layers:
        raise ValueError(f"--probe_layer {num_layers}: the encoder has layers 0 to {encoder.config.encoder_layers}")
    config = WhisperStatisticsConfig(
        num_mel_bins=encoder.config.num_mel_bins,
        hidden_size=encoder.config.d_model,
        num_hidden_layers=num_layers,
        num_attention_heads=encoder.config.encoder_attention_heads,
        intermediate_size=encoder.config.encoder_ffn_dim,
        pooled_layers=list(range(num_layers + 1)),
        **settings,
        max_frames=2 * encoder.config.max_source_positions,
    )
    model = WhisperStatisticsModel(config)
    states = {name: value for name, value in encoder.state_dict().items() if name in model.state_dict()}
    model.load_state_dict(states)
    return model.eval()


def whisper_front_end(num_mel_bins: int) -> PyResNetFeatureExtractor:
    """Return a front end whose features are Whisper's log-mel values."""
    statistics = {"mean": [-40.0] * num_mel_bins, "std": [40.0] * num_mel_bins}
    return create_feature_extractor("whisper_statistics", num_mel_bins=num_mel_bins, **statistics)


@cache
def _statistics(settings: str) -> tuple[Callable[[np.ndarray], np.ndarray], int]:
    encoder, front_end = _encoder(ModelArguments(**json.loads(settings)))

    def states(waveform: np.ndarray) -> np.ndarray:
        inputs = front_end(waveform, sampling_rate=front_end.sampling_rate, return_tensors="pt")
        with torch.inference_mode():
            pooled = encoder(**inputs).pooler_output
        return pooled.reshape(encoder.config.num_hidden_layers + 1, -1).numpy()

    return states, front_end.sampling_rate


def _encoder(model_args: ModelArguments) -> tuple[WhisperStatisticsModel, PyResNetFeatureExtractor]:
    pretrained, _ = load_pretrained(model_args, {})
    encoder = encoder_of(pretrained)
    encoder = pretrained if encoder is None else encoder
    pooling = {"pooled_statistics": model_args.probe_statistics, "pooled_range": model_args.probe_range}
    model = truncated_whisper(encoder, model_args.probe_layer, **pooling)
    return model, whisper_front_end(model.config.num_mel_bins)


def _embeddings(rows: datasets.Dataset, data_args: DataArguments, model_args: ModelArguments) -> Embeddings:
    wanted = model_args.speaker_normalization != "none" or data_args.speaker_column_name in rows.column_names
    corpora = rows[CORPUS_COLUMN] if CORPUS_COLUMN in rows.column_names else [""] * len(rows)
    return Embeddings(
        cached_states(rows, model_args, data_args.audio_column_name, _statistics),
        np.asarray(rows[data_args.label_column_name]),
        speakers_of(rows, data_args.speaker_column_name) if wanted else [None] * len(rows),
        corpora,
    )


def train_statistics(
    data_args: DataArguments, model_args: ModelArguments, args: RecipeArguments, dataset: datasets.DatasetDict
) -> Outcome:
    """Fit a head on the statistics of one layer, and save the truncated encoder with it.

    The layer and C are chosen by UA on the validation split, unless both are given.

    Args:
        data_args: Names of splits and columns.
        model_args: Whisper model, by a name or a folder.
        args: Recipe, of which the output folder alone counts.
        dataset: Splits with encoded labels.

    Raises:
        ValueError: The encoder is not Whisper's, or speakers are unknown that clips are to be normalised by.
    """
    start = time.perf_counter()
    rows = dataset[data_args.train_split_name]
    labels = rows.features[data_args.label_column_name].names
    train = _embeddings(rows, data_args, model_args)
    validation = dataset.get(data_args.validation_split_name)
    validation = None if validation is None else _embeddings(validation, data_args, model_args)
    both = model_args.speaker_normalization != "none"
    layers = range(train.values.shape[1]) if model_args.probe_layer is None else [model_args.probe_layer]
    grid = GRID if model_args.probe_C is None else [model_args.probe_C]
    heads = (fit_head(train, len(labels), layer, C, both) for layer in layers for C in grid)
    found = [(_validation_score(head, validation, len(labels), both), head) for head in heads]
    best, head = max(found, key=lambda pair: pair[0])  # of equals the first: the lowest layer, most regularised
    logger.info(f"layer {head.layer}, C {head.C:g}, validation UA {best:.3f}")
    head = calibrated(head, train, len(labels), both)

    encoder, front_end = _encoder(dataclasses.replace(model_args, probe_layer=head.layer))
    model = classifier_of(encoder, head, labels)
    model.save_pretrained(args.output_dir)
    front_end.save_pretrained(args.output_dir)
    seconds = time.perf_counter() - start
    metrics = {} if validation is None else {"eval_unweighted_accuracy": best}
    outcome = Outcome(model.num_parameters(), {"train_runtime": seconds}, metrics)
    outcome.write_metrics(args.output_dir)
    num_trained = head.weight.size + head.bias.size
    trained = {"part": "head", "num_parameters": num_trained}
    record_training(data_args, model_args, args, dataset, outcome.num_parameters, trained=trained)
    return outcome


def _validation_score(head: Head, validation: Embeddings | None, num_labels: int, both: bool) -> float:
    """Return UA on validation clips; with `both`, the mean of UA with and without speakers. 0 without such clips."""
    if validation is None:
        return 0.0
    scores = [
        score(validation.labels, view.argmax(axis=1), num_labels)["unweighted_accuracy"]
        for view in head.logits(validation, both)
    ]
    return float(np.mean(scores))


def classifier_of(
    encoder: WhisperStatisticsModel, head: Head, labels: Sequence[str]
) -> WhisperStatisticsForAudioClassification:
    """Return the classifier of an encoder, which pools the head's layer alone, and a head."""
    settings = {**encoder.config.to_dict(), "pooled_layers": [head.layer], **label_maps(labels)}
    model = WhisperStatisticsForAudioClassification(WhisperStatisticsConfig(**settings))
    model.whisper_statistics.load_state_dict(encoder.state_dict())
    set_head(model, head)
    return model.eval()


def set_head(model: PreTrainedModel, head: Head) -> None:
    """Put a head into a classifier of its size that standardises its embeddings."""
    values = {
        "embedding_mean": head.mean,
        "embedding_std": head.std,
        "class_means": head.class_means,
        "within_variance": np.float64(head.within_variance),
        "speaker_temperature": np.float64(head.speaker_temperature),
        "classifier.weight": head.weight,
        "classifier.bias": head.bias,
    }
    model.load_state_dict(
        {name: torch.tensor(value, dtype=torch.float32) for name, value in values.items()}, strict=False
    )
