"""How far to trust a score: bootstrap intervals clustered by speaker, and the score of knowing nothing."""

import warnings
from collections.abc import Hashable, Sequence

import numpy as np

from .ser_metrics.ser_metrics import check_labels, score


SCORES = ("weighted_accuracy", "unweighted_accuracy")


def bootstrap_intervals(
    references: Sequence[int],
    predictions: Sequence[int],
    groups: Sequence[Hashable] | None = None,
    num_labels: int | None = None,
    *,
    num_resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> dict[str, dict[str, float | None]]:
    """Percentile bootstrap intervals of WA and UA that resample speakers, not utterances.

    Utterances of one speaker resemble each other, so intervals that treat them as independent are too narrow. Whole
    clusters (speakers) are drawn with replacement, as many as there are, and scored together (cluster bootstrap: Field
    and Welsh 2007, "Bootstrapping clustered data", JRSS B 69(3)); the interval runs between percentiles of the
    resampled scores (Efron and Tibshirani 1993, "An Introduction to the Bootstrap", chapter 13). It covers the choice
    of test speakers, not of training data or seeds, and below some ten speakers it is still too narrow.

    UA of a resample is the mean over the classes present in it, as in `score`.

    Args:
        references: True labels, (N,).
        predictions: Predicted labels, (N,).
        groups: Speaker of each utterance, (N,); None entries together form one cluster of unknown speakers. Without
            groups each utterance is a cluster of its own.
        num_labels: Number of classes; by default the largest label seen, plus one.
        num_resamples: Number of bootstrap resamples.
        confidence: Coverage aimed at, between 0 and 1.
        seed: Seed of the resampling; the same seed gives the same interval.

    Returns:
        `weighted_accuracy` and `unweighted_accuracy`, each with `value` (of all utterances), `low` and `high`. One
        cluster alone says nothing about the spread between clusters: `low` and `high` are None then, with a warning.

    Raises:
        ValueError: Bad labels (see `check_labels`), groups of another length, or a confidence outside (0, 1).
    """
    references, predictions, num_labels = check_labels(references, predictions, num_labels)
    if groups is not None and len(groups) != len(references):
        raise ValueError(f"{len(references)} references but {len(groups)} groups")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence}")

    values = score(references, predictions, num_labels)
    intervals = {name: {"value": values[name], "low": None, "high": None} for name in SCORES}
    clusters = np.arange(len(references)) if groups is None else _numbered(groups)
    num_clusters = int(clusters.max()) + 1
    if num_clusters == 1:
        warnings.warn("All utterances are of one cluster (speaker): there is no interval to give", stacklevel=2)
        return intervals

    # WA and UA need two parts of each cluster's confusion matrix: its diagonal and its row sums.
    hits, totals = np.zeros((2, num_clusters, num_labels), dtype=np.int64)
    np.add.at(totals, (clusters, references), 1)
    np.add.at(hits, (clusters, references), references == predictions)

    # Clusters with equal counts are interchangeable, so draw kinds of clusters: the same distribution, and without
    # groups a few kinds instead of N clusters.
    kinds, kind_sizes = np.unique(np.hstack([hits, totals]), axis=0, return_counts=True)
    draws = np.random.default_rng(seed).multinomial(num_clusters, kind_sizes / num_clusters, size=num_resamples)
    hits, totals = np.split(draws @ kinds, 2, axis=1)

    recalls = np.divide(hits, totals, out=np.full(hits.shape, np.nan), where=totals > 0)
    resampled = np.stack([hits.sum(axis=1) / totals.sum(axis=1), np.nanmean(recalls, axis=1)])
    bounds = np.quantile(resampled, [(1 - confidence) / 2, (1 + confidence) / 2], axis=1)
    for name, low, high in zip(SCORES, *bounds.tolist(), strict=True):
        intervals[name] |= {"low": low, "high": high}
    return intervals


def majority_row(
    references: Sequence[int], train_references: Sequence[int] | None = None, num_labels: int | None = None
) -> dict[str, float | int]:
    """Score of always answering with the largest class, the row to read every WA beside.

    Args:
        references: True labels of the test set, (N,).
        train_references: Labels that choose the largest class; by default the test set's own, which is optimistic.
            Of equally large classes the smallest label wins.
        num_labels: Number of classes; by default the largest label seen, plus one.

    Returns:
        `label`, `weighted_accuracy` and `unweighted_accuracy`.

    Raises:
        ValueError: Bad labels, see `check_labels`.
    """
    seen = references if train_references is None else train_references
    seen, _, _ = check_labels(seen, seen, num_labels)
    label = int(np.bincount(seen).argmax())
    values = score(references, np.full(len(references), label), num_labels)
    return {"label": label, **{name: values[name] for name in SCORES}}


def _numbered(groups: Sequence[Hashable]) -> np.ndarray:
    """Number the groups 0, 1, ... by first appearance; unlike `np.unique` this takes None beside strings."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(group, len(numbers)) for group in groups])
