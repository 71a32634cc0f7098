"""Scores of a yes-or-no diagnosis, each with an interval that holds for a few dozen people (see `small_samples`)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .run_results import RunResults
from .small_samples import (
    NOT_ESTIMABLE,
    Estimate,
    area_under_curve,
    clopper_pearson,
    clustered_share,
    f1_of_share,
    mean_of_people,
    mean_of_shares,
    share,
)


#: Scores that counts of decisions give. Sensitivity is the share of the depressed who are found, specificity that of
#: the others who are cleared; PPV and NPV are the shares of right ones among those called depressed and not depressed.
FIGURES = (
    *("weighted_accuracy", "unweighted_accuracy", "sensitivity", "specificity"),
    *("ppv", "npv", "f1_depressed", "f1_not_depressed"),
)
#: Scores of the probabilities of people.
SCORE_FIGURES = ("auc", "brier")
_BINS = 5


def confusions_by_person(run: RunResults, names: Sequence[str]) -> np.ndarray:
    """Return counts (people, 2, 2) of a run, in the order of `names`; rows are references, columns predictions."""
    numbers = {name: number for number, name in enumerate(names)}
    persons = np.array([numbers[speaker] for speaker in run.speakers])
    counts = np.zeros((len(names), 2, 2))
    np.add.at(counts, (persons, run.references, run.predictions), 1)
    return counts


def diagnosis(counts: np.ndarray, by_utterance: bool = False) -> dict[str, Estimate]:
    """Return the `FIGURES` of decisions. UA is balanced accuracy, the mean of sensitivity and specificity.

    Without people of a class, UA and the F1 of this class are not estimable.

    Args:
        counts: Decisions by person, class and answer, (people, 2, 2), or means of them over trainings.
        by_utterance: Whether the decisions are on utterances, several of each person.
    """

    def of(right: np.ndarray, among: np.ndarray) -> Estimate:
        return clustered_share(right, among) if by_utterance else share(float(right.sum()), float(among.sum()))

    (cleared, alarms), (missed, found) = counts.transpose(1, 2, 0)
    sensitivity, specificity = of(found, found + missed), of(cleared, cleared + alarms)
    wrong = alarms + missed

    def f1(right: np.ndarray, recall: Estimate) -> Estimate:
        return NOT_ESTIMABLE if recall["value"] is None else f1_of_share(of(right, right + wrong))

    return {
        "weighted_accuracy": of(found + cleared, found + cleared + wrong),
        "unweighted_accuracy": mean_of_shares([specificity, sensitivity]),
        "sensitivity": sensitivity,
        "specificity": specificity,
        "ppv": of(found, found + alarms),
        "npv": of(cleared, cleared + missed),
        "f1_depressed": f1(found, sensitivity),
        "f1_not_depressed": f1(cleared, specificity),
    }


def diagnosis_of_runs(counts: np.ndarray, seeds: Sequence[int], by_utterance: bool = False) -> dict[str, Any]:
    """Return the `FIGURES` over trainings, each as `over_seeds` gives it.

    They are those of the counts summed over trainings (Forman and Scholz 2010, SIGKDD Explorations 12(1)), so that a
    training that calls nobody depressed has its say in PPV. For shares of fixed numbers of people that is the mean.

    Args:
        counts: Decisions by training, person, class and answer, (trainings, people, 2, 2).
        seeds: Seed of each training.
        by_utterance: See `diagnosis`.
    """
    together = diagnosis(counts.mean(axis=0), by_utterance)
    singles = [diagnosis(run, by_utterance) for run in counts]
    return {name: over_seeds(together[name], [one[name]["value"] for one in singles], seeds) for name in FIGURES}


def over_seeds(estimate: Estimate, values: Sequence[float | None], seeds: Sequence[int]) -> dict[str, Any]:
    """Return a score over trainings: `mean`, `std` (sample deviation; None for one), `low`, `high` and `by_seed`."""
    known = [value for value in values if value is not None]
    return {
        "mean": estimate["value"],
        "std": float(np.std(known, ddof=1)) if len(known) > 1 else None,
        "low": estimate["low"],
        "high": estimate["high"],
        "by_seed": {str(seed): value for seed, value in zip(seeds, values, strict=True)},
    }


def probability_figures(references: np.ndarray, scores: np.ndarray, seeds: Sequence[int]) -> dict[str, Any]:
    """Return the `SCORE_FIGURES` over trainings: area under the ROC curve, and mean squared error (Brier 1950).

    Args:
        references: Class of each person, 1 for depressed, (N,).
        scores: Probability of being depressed, (trainings, N).
        seeds: Seed of each training.
    """
    positive, negative = references == 1, references == 0
    areas = [None] * len(seeds)
    if positive.any() and negative.any():
        order = np.sign(scores[:, positive, None] - scores[:, None, negative]) / 2 + 0.5
        areas = order.mean(axis=(1, 2)).tolist()
    area = 0.0 if None in areas else float(np.mean(areas))
    errors = (scores - references) ** 2
    return {
        "auc": over_seeds(area_under_curve(area, int(positive.sum()), int(negative.sum())), areas, seeds),
        "brier": over_seeds(mean_of_people(errors.mean(axis=0)), errors.mean(axis=1).tolist(), seeds),
    }


def observed_shares(references: np.ndarray, scores: np.ndarray) -> list[dict[str, float]]:
    """Return how many people are depressed among those of about the same score, the calibration of the scores.

    Args:
        references: Class of each person, 1 for depressed, (N,).
        scores: Probability of being depressed, (N,).

    Returns:
        For each fifth of the range that has people: `score`, their mean, and the share of depressed ones, see
        `clopper_pearson`.
    """
    bins = np.minimum((scores * _BINS).astype(int), _BINS - 1)
    return [
        {
            "score": float(scores[bins == number].mean()),
            **clopper_pearson(int(references[bins == number].sum()), int((bins == number).sum())),
        }
        for number in np.unique(bins)
    ]


def by_group(
    groups: Mapping[str, Sequence[str | None]], references: np.ndarray, counts: np.ndarray
) -> dict[str, list[dict[str, Any]]]:
    """Return the `FIGURES` of each group of people, by attribute. People of an unknown value are in no group.

    Args:
        groups: Value of each person by attribute, (N,).
        references: Class of each person, (N,).
        counts: Decisions by person, class and answer, (N, 2, 2), or means of them over trainings.
    """
    parts: dict[str, list[dict[str, Any]]] = {}
    for attribute, values in groups.items():
        for value in sorted({value for value in values if value is not None}):
            chosen = np.array([other == value for other in values])
            parts.setdefault(attribute, []).append(
                {
                    "value": value,
                    "num_participants": int(chosen.sum()),
                    "num_depressed": int(references[chosen].sum()),
                    **diagnosis(counts[chosen]),
                }
            )
    return parts


def best_threshold(references: np.ndarray, scores: np.ndarray) -> float:
    """Return the threshold of the highest UA (Youden 1950, Cancer 3); of equal ones, the one closest to a half.

    Args:
        references: Class of each person, 1 for depressed, (N,); both must occur.
        scores: Probability of being depressed, (N,).

    Raises:
        ValueError: All people are of one class.
    """
    if len(set(references.tolist())) < 2:
        raise ValueError("a threshold cannot be chosen on people of one class")
    distinct = np.unique(scores)
    # A half is the choice where it does as well as any other.
    candidates = np.concatenate([[0.5], (distinct[:-1] + distinct[1:]) / 2])
    called = scores > candidates[:, None]
    scored = called[:, references == 1].mean(axis=1) + (~called[:, references == 0]).mean(axis=1)
    best = candidates[scored >= scored.max() - 1e-12]
    return float(best[np.argmin(np.abs(best - 0.5))])
