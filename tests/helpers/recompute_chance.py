"""Tests and bootstraps of a few people, by all that can happen instead of a sample of it."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import combinations, combinations_with_replacement, product
from math import comb, factorial, prod, sqrt

import numpy as np
from recompute_scores import EQUAL


NUM_SHUFFLES, NUM_RESAMPLES = 10_000, 2000  # of the package's samples
ERRORS = 4  # standard errors that a sample may be off


class Sampled:
    """Text of a cell where each {} is a number of a sample, which lies in a range."""

    def __init__(self, text: str, *ranges: tuple[float, float]):
        self.text, self.ranges = text, ranges

    def __eq__(self, cell: object) -> bool:
        numbers = re.fullmatch(re.escape(self.text).replace(r"\{\}", r"(-?\d+\.\d+)"), str(cell))
        return numbers is not None and all(
            low - 0.5e-3 - EQUAL <= float(number) <= high + 0.5e-3 + EQUAL  # of three digits
            for number, (low, high) in zip(numbers.groups(), self.ranges, strict=True)
        )

    __hash__ = None

    def __repr__(self) -> str:
        return f"{self.text!r} of {self.ranges}"


def accuracies(labels: Sequence[int], runs: Sequence[Sequence[int]]) -> np.ndarray:
    """Return WA and UA of decisions, means over runs."""
    right = np.array(runs) == np.array(labels)
    recalls = [right[:, np.array(labels) == label].mean() for label in sorted(set(labels))]
    return np.array([right.mean(), np.mean(recalls)])


def p_chance(labels: Sequence[int], runs: Sequence[Sequence[int]]) -> Sampled:
    """Return p of a UA above chance: the share of all ways to hand out the labels."""
    observed, ways = accuracies(labels, runs)[1], list(combinations(range(len(labels)), sum(labels)))
    handed_out = ([int(number in ill) for number in range(len(labels))] for ill in ways)
    p = sum(accuracies(way, runs)[1] >= observed - EQUAL for way in handed_out) / len(ways)
    error = ERRORS * sqrt(p * (1 - p) / NUM_SHUFFLES) + 1 / NUM_SHUFFLES
    return Sampled("{}", (p - error, p + error))


def exchange(labels: Sequence[int], runs: np.ndarray, other_runs: np.ndarray) -> tuple[np.ndarray, list[float]]:
    """Return differences of WA and UA, and their p: the share of all exchanges of decisions, person by person."""
    observed = accuracies(labels, runs) - accuracies(labels, other_runs)
    differences = []
    for swapped in product([False, True], repeat=len(labels)):
        ours, theirs = np.where(swapped, other_runs, runs), np.where(swapped, runs, other_runs)
        differences.append(accuracies(labels, ours) - accuracies(labels, theirs))
    return observed, (np.abs(differences) >= np.abs(observed) - EQUAL).mean(axis=0).tolist()


def mcnemar(labels: Sequence[int], decided: Sequence[int], others: Sequence[int]) -> tuple[int, int, float]:
    """Return the people that one of two systems alone has right, and the exact p."""
    pairs = [(one == label, other == label) for label, one, other in zip(labels, decided, others, strict=True)]
    ours, theirs = pairs.count((True, False)), pairs.count((False, True))
    number = ours + theirs
    tail = sum(comb(number, few) for few in range(min(ours, theirs) + 1)) / 2**number
    return ours, theirs, min(1.0, 2 * tail)


def holm(p_values: Sequence[float]) -> list[float]:
    def corrected(p: float) -> float:
        return max(min(1.0, sum(other >= one for other in p_values) * one) for one in p_values if one <= p)

    return [corrected(p) for p in p_values]


def interval(number: int, statistic: Callable[[list[int]], float]) -> list[tuple[float, float]]:
    """Return the ranges of both ends of a 95 % percentile bootstrap interval, by all resamples of a few units.

    Args:
        number: Number of units.
        statistic: Function of the numbers of the drawn units.
    """
    weights: Counter[float] = Counter()
    for drawn in combinations_with_replacement(range(number), number):
        ways = factorial(number) / prod(map(factorial, Counter(drawn).values()))
        weights[statistic(list(drawn))] += ways / number**number
    values = sorted(weights)
    reached = np.cumsum([weights[value] for value in values])
    error = ERRORS * sqrt(0.025 * 0.975 / NUM_RESAMPLES)
    ranks = [np.searchsorted(reached, [level - error, level + error]) for level in (0.025, 0.975)]
    return [(values[low], values[high]) for low, high in ranks]
