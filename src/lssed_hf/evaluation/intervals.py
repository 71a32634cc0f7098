"""Bootstrap intervals of scores, clustered by speaker, and the score of always answering with the largest class."""

import warnings
from collections.abc import Hashable, Iterator, Sequence

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
    """Return percentile bootstrap intervals of WA and UA that resample speakers, not utterances.

    Utterances of one speaker resemble each other, so intervals that treat them as independent are too narrow. Whole
    clusters (speakers) are drawn with replacement, as many as there are, and scored together (cluster bootstrap: Field
    and Welsh 2007, "Bootstrapping clustered data", JRSS B 69(3)). The interval runs between percentiles of the
    resampled scores (Efron and Tibshirani 1993, "An Introduction to the Bootstrap", chapter 13). It covers the choice
    of test speakers, not the choice of training data or seeds. Below some ten speakers it is still too narrow.

    UA of a resample is the mean over the classes present in it, like in `score`.

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
        `weighted_accuracy` and `unweighted_accuracy`, each with `value` (of all utterances), `low` and `high`. With a
        single cluster the spread between clusters is unknown: `low` and `high` are None then, with a warning.

    Raises:
        ValueError: Bad labels (see `check_labels`), groups of another length, or a confidence outside (0, 1).
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence}")
    values, resampled = bootstrap_scores(
        references, [predictions], groups, num_labels, num_resamples=num_resamples, seed=seed
    )
    if resampled is None:
        warnings.warn("All utterances are of one cluster (speaker): there is no interval to give", stacklevel=2)
    return percentile_intervals(values[0], None if resampled is None else resampled[0], confidence)


def bootstrap_scores(
    references: Sequence[int],
    systems: Sequence[Sequence[int] | np.ndarray],
    groups: Sequence[Hashable] | None = None,
    num_labels: int | None = None,
    *,
    num_resamples: int = 2000,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return WA and UA of systems on the test set and on resamples of its speakers.

    The resamples are the same for all systems.

    Args:
        references: True labels, (N,).
        systems: Predicted labels of each of M systems: (N,), or (runs, N) where the scores of several training runs
            are averaged.
        groups: Speaker of each utterance, (N,), see `bootstrap_intervals`.
        num_labels: Number of classes; by default the largest label seen, plus one.
        num_resamples: Number of bootstrap resamples.
        seed: Seed of the resampling.

    Returns:
        The scores (M, 2), in the order of `SCORES`, and the resampled scores (M, 2, num_resamples), or None in their
        place if there is a single cluster.

    Raises:
        ValueError: Bad labels (see `check_labels`), or groups of another length.
    """
    runs, references, num_labels = _checked_runs(references, systems, num_labels)
    scored = [[score(references, run, num_labels) for run in predictions] for predictions in runs]
    values = np.array([[np.mean([run[name] for run in system]) for name in SCORES] for system in scored])
    hits, totals = cluster_hits(references, runs, groups, num_labels)
    num_clusters = len(totals)
    if num_clusters == 1:
        return values, None

    # Clusters with equal counts are interchangeable, so kinds of clusters are drawn. The distribution is the same, and
    # without groups there are a few kinds instead of N clusters.
    kinds, kind_sizes = np.unique(np.hstack([*hits, totals]), axis=0, return_counts=True)
    draws = np.random.default_rng(seed).multinomial(num_clusters, kind_sizes / num_clusters, size=num_resamples)
    *hits, totals = np.split(draws @ kinds, len(runs) + 1, axis=1)

    resampled = np.empty((len(runs), 2, num_resamples))
    for row, of_system, predictions in zip(resampled, hits, runs, strict=True):
        recalls = np.divide(of_system, totals, out=np.full(totals.shape, np.nan), where=totals > 0)
        row[0] = of_system.sum(axis=1) / totals.sum(axis=1) / len(predictions)
        row[1] = np.nanmean(recalls, axis=1) / len(predictions)
    return values, resampled


def draw_counts(num_clusters: int, num_resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Yield how often each cluster is drawn in a resample, int64 (num_clusters,)."""
    generator = np.random.default_rng(seed)
    for _ in range(num_resamples):
        yield np.bincount(generator.integers(num_clusters, size=num_clusters), minlength=num_clusters)


def cluster_hits(
    references: Sequence[int],
    systems: Sequence[Sequence[int] | np.ndarray],
    groups: Sequence[Hashable] | None = None,
    num_labels: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Count the right predictions of each system and the utterances of each speaker, both by class.

    Args:
        references: True labels, (N,).
        systems: Predicted labels of each of M systems, (N,) or (runs, N).
        groups: Speaker of each utterance, (N,), see `bootstrap_intervals`.
        num_labels: Number of classes; by default the largest label seen, plus one.

    Returns:
        Right predictions int64 (M, clusters, C), summed over the runs of a system, and utterances int64 (clusters, C).

    Raises:
        ValueError: Bad labels (see `check_labels`), or groups of another length.
    """
    runs, references, num_labels = _checked_runs(references, systems, num_labels)
    if groups is not None and len(groups) != len(references):
        raise ValueError(f"{len(references)} references but {len(groups)} groups")
    clusters = np.arange(len(references)) if groups is None else numbered(groups)
    shape = (int(clusters.max()) + 1, num_labels)
    hits, totals = np.zeros((len(runs), *shape), dtype=np.int64), np.zeros(shape, dtype=np.int64)
    np.add.at(totals, (clusters, references), 1)
    for of_system, predictions in zip(hits, runs, strict=True):
        for run in predictions:
            np.add.at(of_system, (clusters, references), references == run)
    return hits, totals


def _checked_runs(
    references: Sequence[int], systems: Sequence[Sequence[int] | np.ndarray], num_labels: int | None
) -> tuple[list[np.ndarray], np.ndarray, int]:
    """Return predictions (runs, N) of each system, references (N,) and the number of classes."""
    runs = [np.atleast_2d(np.asarray(predictions)) for predictions in systems]
    if num_labels is None:
        num_labels = max(check_labels(references, run)[2] for predictions in runs for run in predictions)
    runs = [np.stack([check_labels(references, run, num_labels)[1] for run in system]) for system in runs]
    return runs, check_labels(references, references, num_labels)[0], num_labels


def percentile_intervals(
    values: np.ndarray, resampled: np.ndarray | None, confidence: float = 0.95
) -> dict[str, dict[str, float | None]]:
    """Return the intervals of resampled scores, or of differences of scores.

    Args:
        values: WA and UA, (2,).
        resampled: Both on the resamples, (2, num_resamples); None leaves the bounds unknown.
        confidence: Coverage aimed at.

    Returns:
        Intervals of both scores (see `bootstrap_intervals`).
    """
    bounds = [[None, None]] * 2
    if resampled is not None:
        bounds = np.quantile(resampled, [(1 - confidence) / 2, (1 + confidence) / 2], axis=1).T.tolist()
    return {
        name: {"value": float(value), "low": low, "high": high}
        for name, value, (low, high) in zip(SCORES, values, bounds, strict=True)
    }


def majority_row(
    references: Sequence[int], train_references: Sequence[int] | None = None, num_labels: int | None = None
) -> dict[str, float | int]:
    """Return the score of always answering with the largest class, a baseline for every WA.

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


def numbered(groups: Sequence[Hashable]) -> np.ndarray:
    """Return the number of each group, counted by first appearance."""
    numbers: dict[Hashable, int] = {}  # not `np.unique`, which sorts and so takes no None beside strings
    return np.array([numbers.setdefault(group, len(numbers)) for group in groups])
