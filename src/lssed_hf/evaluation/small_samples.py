"""Intervals of scores of a diagnosis that hold for a few dozen people, also where all or none of them are right.

A bootstrap is no help there: of a system that calls nobody depressed, every resample has the same recalls. Counts may
be means over several trainings that were scored on the same people. They are then taken as the counts of one decision
for each person, which is conservative: a mean over trainings varies less than a single one.
"""

import math
from collections.abc import Sequence

import numpy as np
from scipy.optimize import brentq
from scipy.stats import beta, norm
from scipy.stats import t as student


#: Value, lower and upper bound; both bounds are None where there is no interval to give, all where there is no value.
Estimate = dict[str, float | None]

CONFIDENCE = 0.95
_EQUAL = 1e-12  # variance of numbers that are equal up to rounding
NOT_ESTIMABLE: Estimate = {"value": None, "low": None, "high": None}


def clopper_pearson(successes: float, trials: float, confidence: float = CONFIDENCE) -> dict[str, float | None]:
    """Return the exact interval of a share (Clopper and Pearson 1934, Biometrika 26), by quantiles of the beta law.

    Returns:
        `successes`, `trials`, `low` and `high`; the last two are None without trials.
    """
    low = high = None
    if trials > 0:
        tail, failures = (1 - confidence) / 2, trials - successes
        low = float(beta.ppf(tail, successes, failures + 1)) if successes > 0 else 0.0
        high = float(beta.ppf(1 - tail, successes + 1, failures)) if failures > 0 else 1.0
    return {"successes": successes, "trials": trials, "low": low, "high": high}


def share(successes: float, trials: float) -> Estimate:
    """Return a share with its exact interval, see `clopper_pearson`; nothing is estimable without trials."""
    if trials <= 0:
        return NOT_ESTIMABLE
    exact = clopper_pearson(successes, trials)
    return {"value": successes / trials, "low": exact["low"], "high": exact["high"]}


def clustered_share(successes: Sequence[float], trials: Sequence[float]) -> Estimate:
    """Return a share of utterances with an interval that counts the people behind them.

    The exact interval is that of an effective number of utterances, with which the share would vary as much as it
    does between people (Korn and Graubard 1998, Survey Methodology 24(2)). Here the number of people is its limit: the
    variance between a dozen people is too uncertain to count any of them more than once.

    Args:
        successes: Utterances that count, by person, (K,).
        trials: Utterances, by person, (K,); people without any are left out.
    """
    trials = np.asarray(trials, dtype=float)
    successes, trials = np.asarray(successes, dtype=float)[trials > 0], trials[trials > 0]
    people, total = len(trials), float(trials.sum())
    if not people:
        return NOT_ESTIMABLE
    value = float(successes.sum()) / total
    if people == 1:
        return {**NOT_ESTIMABLE, "value": value}
    variance = float(((successes - value * trials) ** 2).sum()) / total**2
    effective = min(value * (1 - value) / variance, people) if variance > _EQUAL else people
    exact = clopper_pearson(value * effective, effective)
    return {"value": value, "low": exact["low"], "high": exact["high"]}


def mean_of_shares(shares: Sequence[Estimate]) -> Estimate:
    """Return the mean of independent shares, such as recalls of classes, with an interval made of theirs.

    The distances from each share to its bounds are added as squares: the method of variance estimates recovery, MOVER
    (Newcombe 1998, Statistics in Medicine 17(8); Zou and Donner 2008, Statistics in Medicine 27(10)). Nothing is
    estimable where a share is not, as of a class without people.
    """
    if any(row["value"] is None for row in shares):
        return NOT_ESTIMABLE
    value = sum(row["value"] for row in shares) / len(shares)
    if any(row["low"] is None for row in shares):
        return {**NOT_ESTIMABLE, "value": value}
    below, above = (
        math.sqrt(sum((row["value"] - row[bound]) ** 2 for row in shares)) / len(shares) for bound in ("low", "high")
    )
    return {"value": value, "low": max(value - below, 0.0), "high": min(value + above, 1.0)}


def f1_of_share(jaccard: Estimate) -> Estimate:
    """Return F1 of a class for its Jaccard index J, the share of right ones among all that are or are called so.

    F1 = 2 J / (1 + J) grows with J, so the bounds of the share J are those of F1.
    """
    return {name: None if value is None else 2 * value / (1 + value) for name, value in jaccard.items()}


def area_under_curve(value: float, positives: int, negatives: int) -> Estimate:
    """Return an area under the ROC curve with its score interval.

    The method is number 5 of Newcombe (2006, Statistics in Medicine 25(4), part 2). The bounds are the areas from
    which the value is as far as chance goes, by the variance of Hanley and McNeil (1982) at the bound. So the interval
    has a width also where the value is 0 or 1, or all scores tie.

    Args:
        value: Share of pairs of a positive and a negative in the right order, where ties count half.
        positives: Number of positives.
        negatives: Number of negatives.
    """
    if not positives or not negatives:
        return NOT_ESTIMABLE
    z, half = norm.ppf((1 + CONFIDENCE) / 2), (positives + negatives) / 2 - 1

    def distance(area: float) -> float:
        spread = 1 + half * (1 - area) / (2 - area) + half * area / (1 + area)
        return (value - area) ** 2 - z**2 * area * (1 - area) * spread / (positives * negatives)

    # At a value of 0 or 1 the value itself is a root, but not the bound.
    low = 0.0 if value <= 0 else brentq(distance, 0, min(value, 1 - 1e-9))
    high = 1.0 if value >= 1 else brentq(distance, max(value, 1e-9), 1)
    return {"value": value, "low": float(low), "high": float(high)}


def mean_of_people(values: Sequence[float]) -> Estimate:
    """Return the mean of one number between 0 and 1 for each person, such as squared errors, with its interval.

    The bounds are quantiles of the beta law as for a share, of the number of people whose shares would vary as much as
    this mean does (Korn and Graubard 1998, with their factor for few people). There are none for one person or equal
    numbers.
    """
    values = np.asarray(values, dtype=float)
    if not len(values):
        return NOT_ESTIMABLE
    value, variance = float(values.mean()), float(values.var(ddof=1)) / len(values) if len(values) > 1 else 0.0
    if variance < _EQUAL:
        return {**NOT_ESTIMABLE, "value": value}
    few = (norm.ppf((1 + CONFIDENCE) / 2) / student.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) ** 2
    effective = value * (1 - value) / variance * few
    exact = clopper_pearson(value * effective, effective)
    return {"value": value, "low": exact["low"], "high": exact["high"]}
