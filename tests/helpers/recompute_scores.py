"""Scores of depression detection, recomputed from predictions.csv without the package."""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt
from pathlib import Path
from statistics import NormalDist, mean, stdev

import numpy as np
from scipy.optimize import bisect
from scipy.special import betaincinv, stdtrit
from sklearn.metrics import roc_auc_score


@dataclass(frozen=True)
class Person:
    """A participant: class (1 for depressed), score, code of gender, and the classes of the answers by utterance."""

    label: int
    score: float
    gender: str
    answers: list[int]


Run = dict[str, Person]
Counts = dict[str, float]  # TP, FN, TN and FP
Bounds = tuple[float, float]
Figure = tuple[float, Bounds | None, list[float]]  # value, interval, values by seed
EQUAL = 1e-9
Z = NormalDist().inv_cdf(0.975)
SHARES = {
    "WA": ("TP TN", "TP TN FP FN"),
    "sensitivity": ("TP", "TP FN"),
    "specificity": ("TN", "TN FP"),
    "PPV": ("TP", "TP FP"),
    "NPV": ("TN", "TN FN"),
}


def read_people(path: Path, decision: str = "mean") -> Run:
    rows: dict[str, list[dict]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            rows.setdefault(row["speaker"], []).append(row)
    people = {}
    for name, spoken in rows.items():
        answers = [int(row["prediction"] == "depressed") for row in spoken]
        score = mean(answers if decision == "vote" else [float(row["probability_depressed"]) for row in spoken])
        people[name] = Person(int(spoken[0]["reference"] == "depressed"), score, spoken[0]["gender_code"], answers)
    return people


def decisions(run: Run, threshold: float = 0.5) -> list[int]:
    return [int(person.score > threshold) for person in run.values()]


def counts(label: int, calls: Sequence[int]) -> Counts:
    yes, no = sum(calls), len(calls) - sum(calls)
    return {"TP": yes, "FN": no, "TN": 0, "FP": 0} if label else {"TP": 0, "FN": 0, "TN": no, "FP": yes}


def counts_by_person(run: Run, threshold: float = 0.5) -> list[Counts]:
    return [counts(person.label, [person.score > threshold]) for person in run.values()]


def counts_of_answers(run: Run) -> list[Counts]:
    return [counts(person.label, person.answers) for person in run.values()]


def exact(hits: float, number: float) -> Bounds:
    """Return the interval of Clopper and Pearson (1934)."""
    low = betaincinv(hits, number - hits + 1, 0.025) if hits else 0.0
    return low, betaincinv(hits + 1, number - hits, 0.975) if hits < number else 1.0


def of_people(hits: Sequence[float], numbers: Sequence[float]) -> Bounds:
    return exact(sum(hits), sum(numbers))


def of_utterances(hits: Sequence[float], numbers: Sequence[float]) -> Bounds:
    """Return the exact interval of the number of utterances over their design effect, at most that of people."""
    heard = [(hit, number) for hit, number in zip(hits, numbers, strict=True) if number]
    total, value = sum(numbers), sum(hits) / sum(numbers)
    between = sum(number**2 * (hit / number - value) ** 2 for hit, number in heard) / total**2
    effect = between / (value * (1 - value) / total) if 0 < value < 1 else 0.0
    number = min(total / effect, len(heard)) if effect > EQUAL else len(heard)
    return exact(value * number, number)


def scores(people: Sequence[Counts], interval: Callable) -> dict[str, tuple[float, Bounds] | None]:
    def share(over: str, under: str) -> tuple[float, Bounds] | None:
        hits, numbers = ([sum(one[key] for key in keys.split()) for one in people] for keys in (over, under))
        return (sum(hits) / sum(numbers), interval(hits, numbers)) if sum(numbers) else None

    rows = {name: share(*keys) for name, keys in SHARES.items()}
    recalls = rows["sensitivity"], rows["specificity"]
    rows["UA"] = None
    if None not in recalls:
        value = mean(recall[0] for recall in recalls)
        below, above = (sqrt(sum((recall[0] - recall[1][side]) ** 2 for recall in recalls)) / 2 for side in (0, 1))
        rows["UA"] = value, (max(value - below, 0), min(value + above, 1))
    for name, right, recall in zip(("F1 depressed", "F1 not depressed"), ("TP", "TN"), recalls, strict=True):
        rows[name] = None
        if recall is not None:
            value, bounds = share(right, f"{right} FP FN")
            f1, low, high = (2 * number / (1 + number) for number in (value, *bounds))
            rows[name] = f1, (low, high)
    return rows


def figures(runs: Sequence[Sequence[Counts]], interval: Callable = of_people) -> dict[str, Figure | None]:
    """Return the scores of mean counts over runs."""
    together = [{key: mean(one[key] for one in person) for key in person[0]} for person in zip(*runs, strict=True)]
    singles = [scores(run, interval) for run in runs]
    return {
        name: row and (*row, [single[name][0] for single in singles if single[name]])
        for name, row in scores(together, interval).items()
    }


def probability_figures(runs: Sequence[Run]) -> dict[str, Figure]:
    labels = np.array([person.label for person in runs[0].values()])
    guesses = np.array([[person.score for person in run.values()] for run in runs])
    areas = [roc_auc_score(labels, row) for row in guesses]
    area, ill, well = mean(areas), int(labels.sum()), int((1 - labels).sum())

    def misfit(truth: float) -> float:
        half = (ill + well) / 2 - 1
        q1, q2 = truth / (2 - truth), 2 * truth**2 / (1 + truth)
        spread = truth * (1 - truth) + half * (q1 - truth**2) + half * (q2 - truth**2)
        return abs(area - truth) - Z * sqrt(max(spread, 0) / (ill * well))

    low = 0.0 if area == 0 else bisect(misfit, 1e-12, min(area, 1 - EQUAL))
    high = 1.0 if area == 1 else bisect(misfit, max(area, EQUAL), 1 - 1e-12)
    errors = (guesses - labels) ** 2
    means, value = errors.mean(axis=0), float(errors.mean())
    bounds, variance = None, means.var(ddof=1) / len(means)
    if variance > EQUAL:
        number = value * (1 - value) / variance * (Z / stdtrit(len(means) - 1, 0.975)) ** 2
        bounds = exact(value * number, number)
    return {"AUC": (area, (low, high), areas), "Brier score": (value, bounds, errors.mean(axis=1).tolist())}


def threshold_of(run: Run) -> float:
    """Return the threshold with the highest balanced accuracy that is closest to a half."""
    distinct = sorted({person.score for person in run.values()})
    candidates = [0.5, *((low + high) / 2 for low, high in pairwise(distinct))]

    def balanced(threshold: float) -> float:
        return scores(counts_by_person(run, threshold), of_people)["UA"][0]

    best = max(map(balanced, candidates))
    return min((one for one in candidates if balanced(one) > best - EQUAL), key=lambda one: abs(one - 0.5))


def phq8_estimates(fitted: Run, scored: Run, truth: dict[str, int]) -> np.ndarray:
    """Return the estimates of a line through other people, level where their scores are equal."""
    known = np.array([[person.score, truth[name]] for name, person in fitted.items()])
    line = np.poly1d(np.polyfit(known[:, 0], known[:, 1], int(np.ptp(known[:, 0]) > EQUAL)))
    return np.clip([line(person.score) for person in scored.values()], 0, 24)


def phq8_figures(right: np.ndarray, guess: np.ndarray) -> list[float]:
    """Return MAE, RMSE and CCC, which is 0 for estimates of a constant."""
    covariance = np.cov(right, guess, ddof=0)
    below = covariance[0, 0] + covariance[1, 1] + (right.mean() - guess.mean()) ** 2
    ccc = 2 * covariance[0, 1] / below if below > EQUAL else 0.0
    return [np.abs(right - guess).mean(), np.sqrt(((right - guess) ** 2).mean()), ccc]


def cell(figure: Figure | tuple[float, Bounds] | None) -> str:
    """Return `value ± std [low, high]`; without seeds there is no std."""
    if figure is None:
        return "not estimable"
    value, bounds, *by_seed = figure
    deviation = f" ± {stdev(by_seed[0]):.3f}" if by_seed and len(by_seed[0]) > 1 else ""
    return f"{value:.3f}{deviation} [{f'{bounds[0]:.3f}, {bounds[1]:.3f}' if bounds else 'not estimable'}]"
