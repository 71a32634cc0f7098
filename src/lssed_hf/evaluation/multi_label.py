"""Scores of several classes for each utterance: F1, average precision and scores of each class."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score

from ..labels import PRESENT
from .fairness import group_indices
from .intervals import draw_counts, numbered


#: Scores that have intervals.
MULTI_LABEL_SCORES = ("macro_f1", "micro_f1")


def given_labels(probabilities: np.ndarray) -> np.ndarray:
    """Return the classes that each utterance is given, boolean (N, C): all from 0.5 on, or else the most probable."""
    given = probabilities >= PRESENT
    given[np.arange(len(given)), probabilities.argmax(axis=1)] = True
    return given


def score_multi_label(references: np.ndarray, probabilities: np.ndarray, labels: Sequence[str]) -> dict[str, Any]:
    """Score probabilities of classes that are independent of each other.

    Args:
        references: True where an utterance has a class, boolean (N, C).
        probabilities: Probability of each class, (N, C).
        labels: Class names, (C,).

    Returns:
        JSON-ready: `macro_f1`, the mean F1 over classes that the references or the predictions hold; `micro_f1`, the
        F1 of all decisions together; `mean_average_precision` over classes that the references hold; `exact_match`,
        the share of utterances with all classes right; and `per_class`, which maps a name to `num_utterances`,
        `num_predicted`, `precision`, `recall`, `f1` and `average_precision`, None where one is not defined.

    Raises:
        ValueError: Shapes that do not fit each other, no utterance, or probabilities that are not finite.
    """
    references, probabilities = _checked(references, probabilities, labels)
    given = given_labels(probabilities)
    counts = _counts(references, given).sum(axis=0)
    f1 = _f1(*counts)
    per_class = {}
    for number, name in enumerate(labels):
        hits, extra, missed = (int(count) for count in counts[:, number])
        per_class[name] = {
            "num_utterances": hits + missed,
            "num_predicted": hits + extra,
            "precision": hits / (hits + extra) if hits + extra else None,
            "recall": hits / (hits + missed) if hits + missed else None,
            "f1": None if np.isnan(f1[number]) else float(f1[number]),
            "average_precision": float(average_precision_score(references[:, number], probabilities[:, number]))
            if hits + missed
            else None,
        }
    precisions = [one["average_precision"] for one in per_class.values() if one["average_precision"] is not None]
    return {
        "macro_f1": float(np.nanmean(f1)),
        "micro_f1": float(_f1(*counts.sum(axis=1))),
        "mean_average_precision": float(np.mean(precisions)) if precisions else 0.0,
        "exact_match": float((given == references).all(axis=1).mean()),
        "per_class": per_class,
    }


def evaluate_multi_label(
    references: np.ndarray,
    probabilities: np.ndarray,
    labels: Sequence[str],
    *,
    speakers: Sequence[str | None] | None = None,
    groups: Mapping[str, Sequence[str | None]] | None = None,
    majority_label: int | None = None,
    num_resamples: int = 2000,
    seed: int = 0,
) -> dict[str, Any]:
    """Score one system on one test set.

    Args:
        references: True where an utterance has a class, boolean (N, C).
        probabilities: Probability of each class, (N, C).
        labels: Class names, (C,).
        speakers: Speaker of each utterance, (N,); intervals are clustered by them. None is an unknown speaker; when
            all are unknown, utterances count as independent.
        groups: Attributes to score by value, each (N,).
        majority_label: Number of the most frequent class of the training set. Default: that of the references.
        num_resamples: Number of bootstrap resamples.
        seed: Seed of the bootstrap.

    Returns:
        JSON-ready dictionary: `labels`; `num_utterances`; `num_speakers` (known ones, None without speakers);
        `metrics` (see `score_multi_label`); `intervals` of the `MULTI_LABEL_SCORES`, each with `value`, `low` and
        `high` (95 %, None for one speaker); `interval_clusters`; `majority`: the `label` that the baseline always
        gives, and its `metrics`; `majority_from`, "training" or "references"; `groups`, which maps an attribute to a
        list of `value`, `num_utterances`, `num_speakers` and `intervals`.

    Raises:
        ValueError: See `score_multi_label`.
    """
    references, probabilities = _checked(references, probabilities, labels)
    if speakers is not None and all(speaker is None for speaker in speakers):
        speakers = None
    majority = int(references.sum(axis=0).argmax()) if majority_label is None else majority_label
    constant = np.broadcast_to(np.eye(len(labels))[majority], references.shape)
    settings = {"num_resamples": num_resamples, "seed": seed}
    by_attribute: dict[str, list[dict[str, Any]]] = {attribute: [] for attribute in groups or {}}
    for attribute, value, chosen in group_indices(groups or {}):
        some = None if speakers is None else [speakers[index] for index in chosen]
        part = _counts_and_intervals(references[chosen], probabilities[chosen], some, **settings)
        by_attribute[attribute].append({"value": value, **part})
    return {
        "labels": list(labels),
        **_counts_and_intervals(references, probabilities, speakers, **settings),
        "metrics": score_multi_label(references, probabilities, labels),
        "interval_clusters": "utterance" if speakers is None else "speaker",
        "majority": {"label": majority, "metrics": score_multi_label(references, constant, labels)},
        "majority_from": "references" if majority_label is None else "training",
        "groups": by_attribute,
    }


def _counts_and_intervals(
    references: np.ndarray,
    probabilities: np.ndarray,
    speakers: Sequence[str | None] | None,
    num_resamples: int,
    seed: int,
) -> dict[str, Any]:
    clusters = np.arange(len(references)) if speakers is None else numbered(speakers)
    num_clusters = int(clusters.max()) + 1
    counts = np.zeros((num_clusters, 3, references.shape[1]))
    np.add.at(counts, clusters, _counts(references, given_labels(probabilities)))

    def scores(counts: np.ndarray) -> np.ndarray:
        return np.array([np.nanmean(_f1(*counts)), _f1(*counts.sum(axis=1))])

    values, bounds = scores(counts.sum(axis=0)), np.full((2, 2), None)
    if num_clusters > 1:
        drawn = [scores(np.tensordot(draw, counts, 1)) for draw in draw_counts(num_clusters, num_resamples, seed)]
        bounds = np.quantile(drawn, [0.025, 0.975], axis=0).T
    return {
        "num_utterances": len(references),
        "num_speakers": None if speakers is None else len(set(speakers) - {None}),
        "intervals": {
            name: {"value": float(value), "low": low, "high": high}
            for name, value, (low, high) in zip(MULTI_LABEL_SCORES, values, bounds.tolist(), strict=True)
        },
    }


def _counts(references: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Return 1 where a class is given rightly, given wrongly or missed, (N, 3, C)."""
    return np.stack([references & given, ~references & given, references & ~given], axis=1).astype(np.float64)


def _f1(hits: np.ndarray, extra: np.ndarray, missed: np.ndarray) -> np.ndarray:
    """Return F1, NaN for a class that nobody gives."""
    with np.errstate(invalid="ignore"):
        return 2 * hits / (2 * hits + extra + missed)


def _checked(
    references: np.ndarray, probabilities: np.ndarray, labels: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    references, probabilities = np.asarray(references, bool), np.asarray(probabilities, np.float64)
    if references.shape != probabilities.shape or references.ndim != 2 or references.shape[1] != len(labels):
        raise ValueError(
            f"{len(labels)} labels need as many columns, got references of shape {references.shape} and probabilities "
            f"of shape {probabilities.shape}"
        )
    if not len(references) or not np.isfinite(probabilities).all():
        raise ValueError("there is no utterance to score, or a probability is not finite")
    return references, probabilities


__all__ = ["MULTI_LABEL_SCORES", "evaluate_multi_label", "given_labels", "score_multi_label"]
