"""Heads that are adapted to a few labelled clips, and their scores by cross-validation: numbers only.

Where all labels are the model's, its head is the prior of the new one: the penalty of the logistic regression is the
distance from the old weights (maximum a posteriori; Chelba and Acero 2004, "Adaptation of maximum entropy capitalizer:
little data can help a lot"). Other labels get a new head on the same embedding.
"""

import dataclasses
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold

from ..evaluation.calibration import fit_temperature
from ..evaluation.intervals import bootstrap_intervals
from ..evaluation.significance import paired_differences
from .statistics import Embeddings, Head, fit_head


#: Inverse strength of the prior (scikit-learn's C) times the size of the embedding. On four corpora that were left out
#: of the training, with 1 to 20 clips of each class, it did as well as a choice by cross-validation.
TRUST = 5.0
#: Inverse strength of regularisation of a head for other labels.
NEW_C = 0.1
#: Number of clips from which on the temperature is fitted anew.
ENOUGH_CLIPS = 20
_MOST_FOLDS = {"speakers": 10, "clips": 5}
WITHOUT_SPEAKERS, BY_SPEAKER = "without speakers", "by speaker"


@dataclass(frozen=True)
class Adapter:
    """Way to refit a head.

    Attributes:
        head: Head of the model as it is.
        num_labels: Number of classes of the adapted model.
        from_prior: Whether the labels are the model's, so that `head` is the prior.
        views: Names of the ways to standardise clips. The second way is by speaker.
        trust: Inverse strength of the prior times the size of the embedding.
    """

    head: Head
    num_labels: int
    from_prior: bool
    views: tuple[str, ...] = (WITHOUT_SPEAKERS,)
    trust: float = TRUST

    @property
    def both(self) -> bool:
        """True if it learns from each clip standardised by its speaker as well."""
        return len(self.views) > 1

    @property
    def C(self) -> float:
        """Inverse strength of regularisation."""
        return self.trust / len(self.head.mean) if self.from_prior else NEW_C

    def fit(self, clips: Embeddings) -> Head:
        """Return the head that is adapted to some clips."""
        if not self.from_prior:
            return fit_head(clips, self.num_labels, 0, self.C, self.both)
        views = self.head.views(clips, self.both)
        weights = np.tile(clips.weights(self.num_labels), len(views)) / len(views)
        labels = np.tile(clips.labels, len(views))
        weight, bias = fit_from_prior(np.concatenate(views), labels, self.head.weight, self.head.bias, self.C, weights)
        # Within a class the embedding varies in every direction, so the variance of logits grows with the weights.
        growth = _size(weight) / _size(self.head.weight) if self.both else 1.0
        variance = self.head.within_variance * growth
        return dataclasses.replace(self.head, weight=weight, bias=bias, within_variance=variance)


def _size(weight: np.ndarray) -> float:
    return float(np.square(weight - weight.mean(axis=0)).sum())


def fit_from_prior(
    inputs: np.ndarray,
    labels: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray,
    C: float,
    sample_weight: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Fit a logistic regression whose penalty is the squared distance from given weights and biases.

    Classes without clips keep theirs.

    Args:
        inputs: Standardised inputs, (clips, size).
        labels: Class numbers, (clips,).
        weight: Weights to start from, (num_labels, size).
        bias: Biases to start from, (num_labels,).
        C: Inverse strength of the penalty (scikit-learn's C).
        sample_weight: Weight of each clip, (clips,).

    Returns:
        Weights (num_labels, size) and biases (num_labels,).
    """
    seen, numbers = np.unique(labels, return_inverse=True)
    inputs = np.column_stack([inputs, np.ones(len(inputs))])  # the bias is a weight like others
    prior = np.column_stack([weight, bias])[seen]
    truth = np.eye(len(seen))[numbers]
    logits = inputs @ prior.T

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        change = flat.reshape(prior.shape)
        log_shares = log_softmax(logits + inputs @ change.T, axis=1)
        errors = (np.exp(log_shares) - truth) * sample_weight[:, None]
        value = np.square(change).sum() / 2 - C * (sample_weight * (truth * log_shares).sum(axis=1)).sum()
        return value, (change + C * errors.T @ inputs).ravel()

    change = minimize(loss, np.zeros(prior.size), jac=True, method="L-BFGS-B").x.reshape(prior.shape)
    weight, bias = weight.copy(), bias.copy()
    weight[seen] += change[:, :-1]
    bias[seen] += change[:, -1]
    return weight, bias


def make_folds(clips: Embeddings) -> tuple[str, list[np.ndarray]]:
    """Return the kind of folds, "speakers" or "clips", and the numbers of the clips of each.

    Speakers are kept apart where all are known and there are two at least. Else clips of each class are dealt out.
    """
    indices = np.arange(len(clips.labels))
    if None not in clips.speakers and (count := len(set(clips.speakers))) > 1:
        divider, groups, kind = GroupKFold(min(_MOST_FOLDS["speakers"], count)), list(clips.speakers), "speakers"
    else:
        largest = int(np.bincount(clips.labels).max())
        groups, kind = None, "clips"
        divider = KFold(len(indices))
        if largest > 1:
            divider = StratifiedKFold(min(_MOST_FOLDS["clips"], largest), shuffle=True, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class has fewer clips than there are folds
        return kind, [test for _, test in divider.split(indices, clips.labels, groups)]


def cross_validate(adapter: Adapter, clips: Embeddings) -> dict[str, Any]:
    """Score a model on clips as it is, and adapted to the clips of the other folds.

    Args:
        adapter: Way to refit its head.
        clips: Labelled clips.

    Returns:
        JSON-ready. `folds` ("speakers" or "clips") and `num_folds`. `unweighted_accuracy`: by view `before`, `after`
        and `change`, each with `value`, `low` and `high` (95 %). Before and change are None for other labels, and
        after and change where a fold leaves clips of one class alone. `temperatures` for the logits of each view, None
        for too few clips. `confidence`: by view the mean `confidence` and the `accuracy` of the adapted model, None
        where after is.
    """
    kind, folds = make_folds(clips)
    before = adapter.head.logits(clips, adapter.both) if adapter.from_prior else [None] * len(adapter.views)
    after = left_out_logits(adapter, clips, folds)
    temperatures = None
    if after is not None and len(clips.labels) >= ENOUGH_CLIPS:
        temperatures = [_temperature(logits, clips.labels) for logits in after]
    groups = clips.speakers if kind == "speakers" else None
    scores, confidence = {}, {}
    for number, view in enumerate(adapter.views):
        left_out = None if after is None else after[number]
        scores[view] = _compare(before[number], left_out, clips.labels, groups, adapter.num_labels)
        if left_out is not None:
            own = (1.0, adapter.head.speaker_temperature) if temperatures is None else temperatures
            shares = softmax(left_out / own[number], axis=1)
            accuracy = float((shares.argmax(axis=1) == clips.labels).mean())
            confidence[view] = {"confidence": float(shares.max(axis=1).mean()), "accuracy": accuracy}
    return {
        "folds": kind,
        "num_folds": len(folds),
        "unweighted_accuracy": scores,
        "temperatures": temperatures,
        "confidence": confidence or None,
    }


def left_out_logits(adapter: Adapter, clips: Embeddings, folds: Sequence[np.ndarray]) -> np.ndarray | None:
    """Return logits of each clip by the head of the other folds, (views, clips, num_labels).

    The statistics of a speaker come from all clips of the speaker, without labels. The result is None where a fold
    leaves clips of one class alone, and the labels are not the model's.
    """
    logits = np.zeros((len(adapter.views), len(clips.labels), adapter.num_labels))
    for test in folds:
        rest = clips.select(np.setdiff1d(np.arange(len(clips.labels)), test))
        if not adapter.from_prior and len(np.unique(rest.labels)) < 2:
            return None
        logits[:, test] = np.array(adapter.fit(rest).logits(clips, adapter.both))[:, test]
    return logits


def _compare(
    before: np.ndarray | None,
    after: np.ndarray | None,
    labels: np.ndarray,
    groups: Sequence[str | None] | None,
    num_labels: int,
) -> dict[str, Any]:
    """Return UA of logits before and after with intervals, and the change."""
    found: dict[str, Any] = {"before": None, "after": None, "change": None}
    for name, logits in (("before", before), ("after", after)):
        if logits is not None:
            intervals = bootstrap_intervals(labels, logits.argmax(axis=1), groups, num_labels)
            found[name] = intervals["unweighted_accuracy"]
    if before is not None and after is not None:
        predictions = (logits.argmax(axis=1) for logits in (after, before))
        found["change"] = paired_differences(labels, *predictions, groups, num_labels)["unweighted_accuracy"]
    return found


def _temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the temperature of logits, with targets of Platt (1999), so that a few clips never give certainty."""
    count, num_labels = logits.shape
    right = (count / num_labels + 1) / (count / num_labels + 2)
    weights = np.full((count, num_labels), (1 - right) / (num_labels - 1))
    weights[np.arange(count), labels] = right
    return fit_temperature(
        np.repeat(logits, num_labels, axis=0), np.tile(np.arange(num_labels), count), weights.ravel()
    )
