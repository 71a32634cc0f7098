"""Scores of ratings such as arousal: concordance, correlation and errors, with intervals that resample speakers."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from .fairness import group_indices
from .intervals import draw_counts, numbered


#: Scores of a dimension: concordance, Pearson's correlation, root mean squared error and mean absolute error.
RATING_SCORES = ("ccc", "pearson", "rmse", "mae")


def score_ratings(references: np.ndarray, predictions: np.ndarray, dimensions: Sequence[str]) -> dict[str, Any]:
    """Score predicted ratings.

    The concordance correlation coefficient (Lin 1989, "A concordance correlation coefficient to evaluate
    reproducibility", Biometrics 45(1)) is 2 s_xy / (s_x^2 + s_y^2 + (m_x - m_y)^2), with moments of the clips, divided
    by their number. It is 1 only where all predictions are right, and 0 for a constant.

    Args:
        references: True ratings, (N, D), NaN where unknown. Such clips count for the other dimensions.
        predictions: Predicted ratings, (N, D).
        dimensions: Names of the dimensions, (D,).

    Returns:
        JSON-ready: `mean_ccc` over the dimensions, and `dimensions`, which maps a name to `num_rated` (clips) and the
        `RATING_SCORES`. A score that is not defined is None.

    Raises:
        ValueError: Shapes that do not fit each other, no clip with a rating of a dimension, or predictions that are
            not finite.
    """
    references, predictions = _checked(references, predictions, dimensions)
    scores = {}
    for name, reference, prediction in zip(dimensions, references.T, predictions.T):
        known = ~np.isnan(reference)
        sums = _sums(reference[known], prediction[known], np.zeros(known.sum(), int), 1)
        values = _scores_of_sums(sums, reference[known].mean(), prediction[known].mean())[:, 0]
        scores[name] = {"num_rated": int(known.sum()), **dict(zip(RATING_SCORES, map(_json, values), strict=True))}
    return {"mean_ccc": _mean([one["ccc"] for one in scores.values()]), "dimensions": scores}


def evaluate_ratings(
    references: np.ndarray,
    predictions: np.ndarray,
    dimensions: Sequence[str],
    *,
    speakers: Sequence[str | None] | None = None,
    groups: Mapping[str, Sequence[str | None]] | None = None,
    training_means: Sequence[float] | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Score the ratings of one system on one test set.

    Args:
        references: True ratings, (N, D), NaN where unknown.
        predictions: Predicted ratings, (N, D).
        dimensions: Names of the dimensions, (D,).
        speakers: Speaker of each clip, (N,); intervals are clustered by them. None is an unknown speaker; when all are
            unknown, clips count as independent.
        groups: Attributes to score by value, each (N,), as in `{"gender": ["female", None, ...]}`.
        training_means: Mean of each dimension in the training set, (D,), which the baseline predicts. Default: those
            of the references.
        seed: Seed of the bootstrap.

    Returns:
        JSON-ready dictionary: `dimensions`; `num_utterances`; `num_speakers` (known ones, None without speakers);
        `metrics` (see `score_ratings`); `intervals`: "mean_ccc" and each dimension's `RATING_SCORES`, each with
        `value`, `low` and `high` (95 %, None for one speaker); `interval_clusters`, "speaker" or "utterance";
        `baseline`: `means`, `metrics` and where the means are `from`, "training" or "references"; `groups`, which maps
        an attribute to a list of `value`, `num_utterances`, `num_speakers` and `intervals`.

    Raises:
        ValueError: See `score_ratings`.
    """
    references, predictions = _checked(references, predictions, dimensions)
    if speakers is not None and all(speaker is None for speaker in speakers):
        speakers = None
    means = np.nanmean(references, axis=0) if training_means is None else np.asarray(training_means, np.float64)
    constant = np.broadcast_to(means, references.shape)
    by_attribute: dict[str, list[dict[str, Any]]] = {attribute: [] for attribute in groups or {}}
    for attribute, value, chosen in group_indices(groups or {}):
        if np.isnan(references[chosen]).all(axis=0).any():
            continue
        some = None if speakers is None else [speakers[index] for index in chosen]
        part = _counts_and_intervals(references[chosen], predictions[chosen], dimensions, some, seed)
        by_attribute[attribute].append({"value": value, **part})
    return {
        "dimensions": list(dimensions),
        **_counts_and_intervals(references, predictions, dimensions, speakers, seed),
        "metrics": score_ratings(references, predictions, dimensions),
        "interval_clusters": "utterance" if speakers is None else "speaker",
        "baseline": {
            "means": dict(zip(dimensions, means.tolist())),
            "from": "references" if training_means is None else "training",
            "metrics": score_ratings(references, constant, dimensions),
        },
        "groups": by_attribute,
    }


def _counts_and_intervals(
    references: np.ndarray,
    predictions: np.ndarray,
    dimensions: Sequence[str],
    speakers: Sequence[str | None] | None,
    seed: int,
) -> dict[str, Any]:
    return {
        "num_utterances": len(references),
        "num_speakers": None if speakers is None else len(set(speakers) - {None}),
        "intervals": rating_intervals(references, predictions, dimensions, speakers, seed=seed),
    }


def rating_intervals(
    references: np.ndarray,
    predictions: np.ndarray,
    dimensions: Sequence[str],
    groups: Sequence[Hashable] | None = None,
    *,
    num_resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> dict[str, Any]:
    """Return percentile bootstrap intervals of ratings that resample speakers, as `bootstrap_intervals` does.

    Args:
        references: True ratings, (N, D), NaN where unknown.
        predictions: Predicted ratings, (N, D).
        dimensions: Names of the dimensions, (D,).
        groups: Speaker of each clip, (N,). Default: each clip is a cluster of its own.
        num_resamples: Number of bootstrap resamples.
        confidence: Coverage aimed at, between 0 and 1.
        seed: Seed of the resampling.

    Returns:
        `mean_ccc`, and for each dimension its `RATING_SCORES`: `value`, `low` and `high` of each.
    """
    references, predictions = _checked(references, predictions, dimensions)
    metrics = score_ratings(references, predictions, dimensions)
    clusters = np.arange(len(references)) if groups is None else numbered(groups)
    num_clusters = int(clusters.max()) + 1
    columns = [
        (x[known], y[known], clusters[known]) for x, y in zip(references.T, predictions.T) for known in [~np.isnan(x)]
    ]
    sums = np.concatenate([_sums(*column, num_clusters) for column in columns])
    resampled = np.stack([sums @ draw for draw in draw_counts(num_clusters, num_resamples, seed)], axis=1)
    parts = np.split(resampled, len(dimensions))
    bounds = {
        name: _scores_of_sums(part, x.mean(), y.mean()) for name, part, (x, y, _) in zip(dimensions, parts, columns)
    }

    def interval(value: float | None, resampled: np.ndarray) -> dict[str, float | None]:
        if value is None or num_clusters == 1 or np.isnan(resampled).all():
            return {"value": value, "low": None, "high": None}
        low, high = np.nanquantile(resampled, [(1 - confidence) / 2, (1 + confidence) / 2])
        return {"value": value, "low": float(low), "high": float(high)}

    return {
        "mean_ccc": interval(metrics["mean_ccc"], np.mean([resampled[0] for resampled in bounds.values()], axis=0)),
        **{
            name: {
                score: interval(metrics["dimensions"][name][score], row)
                for score, row in zip(RATING_SCORES, bounds[name], strict=True)
            }
            for name in dimensions
        },
    }


def _checked(
    references: np.ndarray, predictions: np.ndarray, dimensions: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    references, predictions = np.asarray(references, np.float64), np.asarray(predictions, np.float64)
    if references.shape != predictions.shape or references.ndim != 2 or references.shape[1] != len(dimensions):
        raise ValueError(
            f"{len(dimensions)} dimensions need as many columns, got references of shape {references.shape} and "
            f"predictions of shape {predictions.shape}"
        )
    if not np.isfinite(predictions).all():
        raise ValueError("a prediction is not finite, so it rates nothing")
    for name, column in zip(dimensions, references.T):
        if np.isnan(column).all():
            raise ValueError(f"no clip has a rating of {name}: leave it out")
    return references, predictions


def _sums(reference: np.ndarray, prediction: np.ndarray, clusters: np.ndarray, num_clusters: int) -> np.ndarray:
    """Return sums over the clips of each cluster, (8, num_clusters), that all scores are functions of.

    They are of values without their means over all clips, so that no digits are lost.
    """
    x, y, error = reference - reference.mean(), prediction - prediction.mean(), prediction - reference
    columns = (np.ones_like(x), x, y, x * x, y * y, x * y, error * error, np.abs(error))
    return np.stack([np.bincount(clusters, weights=column, minlength=num_clusters) for column in columns])


def _scores_of_sums(sums: np.ndarray, reference_mean: float, prediction_mean: float) -> np.ndarray:
    """Return the `RATING_SCORES`, (4, resamples), NaN where one is not defined, of sums from `_sums`."""
    with np.errstate(invalid="ignore", divide="ignore"):
        mean_x, mean_y, xx, yy, xy, squares, absolutes = sums[1:] / sums[0]
        variance_x, variance_y = np.maximum(xx - mean_x**2, 0), np.maximum(yy - mean_y**2, 0)
        covariance, shift = xy - mean_x * mean_y, (mean_x + reference_mean) - (mean_y + prediction_mean)
        ccc = 2 * covariance / (variance_x + variance_y + shift**2)
        pearson = np.clip(covariance / np.sqrt(variance_x * variance_y), -1, 1)
    return np.stack([ccc, pearson, np.sqrt(squares), absolutes])


def _json(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _mean(values: Sequence[float | None]) -> float | None:
    return None if None in values else float(np.mean(values))


__all__ = ["RATING_SCORES", "evaluate_ratings", "rating_intervals", "score_ratings"]
