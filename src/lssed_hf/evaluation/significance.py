"""Paired tests of two systems on the same test set, and Holm's correction for several tests."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import binomtest

from .intervals import SCORES, bootstrap_scores, cluster_hits, percentile_intervals
from .run_results import RunResults
from .ser_metrics.ser_metrics import check_labels


#: Bound on the difference between sums of the same numbers in another order.
_ROUNDING = 1e-12
_SWAPS_AT_ONCE = 500


def paired_differences(
    references: Sequence[int],
    predictions: Sequence[int] | np.ndarray,
    other_predictions: Sequence[int] | np.ndarray,
    groups: Sequence[Hashable] | None = None,
    num_labels: int | None = None,
    *,
    num_resamples: int = 10_000,
    seed: int = 0,
) -> dict[str, dict[str, float | None]]:
    """Return the differences of WA and UA between two systems, compared speaker by speaker.

    The interval comes from a paired bootstrap: each resample of speakers is scored with both systems (Efron and
    Tibshirani 1993, chapter 16), so difficulties that both have with a speaker cancel out. `p_bootstrap` is the
    two-sided level at which the interval just excludes 0: twice the smaller share of resamples at or beyond 0. With
    few speakers both are too optimistic: two speakers who agree give the smallest p there is.

    `p` comes from a randomisation test (Noreen 1989, "Computer-intensive methods for testing hypotheses"). If the
    systems are alike, their predictions for a speaker may be swapped. p is the share of swaps of whole speakers that
    give a difference at least as large as the observed one. All swaps are tried, or `num_resamples` random ones if
    there are more. With K speakers p is never below 2 / 2^K.

    Args:
        references: True labels, (N,).
        predictions: Predicted labels of the first system, (N,), or (runs, N) for the mean score of several training
            runs.
        other_predictions: Predicted labels of the other system, likewise. The difference is first minus other.
        groups: Speaker of each utterance, (N,), see `bootstrap_intervals`.
        num_labels: Number of classes.
        num_resamples: Number of bootstrap resamples, and of swaps.
        seed: Seed of the bootstrap and of the swaps.

    Returns:
        `weighted_accuracy` and `unweighted_accuracy`, each with `value`, `low` and `high` (95 %), `p` and
        `p_bootstrap`. With a single speaker the last four are None.

    Raises:
        ValueError: See `bootstrap_scores`.
    """
    systems = [np.atleast_2d(np.asarray(predictions)), np.atleast_2d(np.asarray(other_predictions))]
    values, resampled = bootstrap_scores(
        references, systems, groups, num_labels, num_resamples=num_resamples, seed=seed
    )
    differences = None if resampled is None else resampled[0] - resampled[1]
    result = percentile_intervals(values[0] - values[1], differences)
    if differences is None:
        return {name: {**row, "p": None, "p_bootstrap": None} for name, row in result.items()}

    hits, totals = cluster_hits(references, systems, groups, num_labels)
    gained = hits[0] / len(systems[0]) - hits[1] / len(systems[1])
    present = totals.sum(axis=0) > 0
    by_speaker = np.stack(
        [gained.sum(axis=1) / totals.sum(), (gained[:, present] / totals.sum(axis=0)[present]).mean(axis=1)], axis=1
    )
    p_values = _swap_test(by_speaker, num_resamples, seed)
    for index, name in enumerate(SCORES):
        result[name] |= {"p": float(p_values[index]), "p_bootstrap": two_sided(differences[index])}
    return result


def _swap_test(by_speaker: np.ndarray, num_swaps: int, seed: int) -> np.ndarray:
    """Return two-sided p (2,) of sums over speakers (K, 2) by all 2^K changes of sign, or random ones if too many."""
    size = len(by_speaker)
    observed = np.abs(by_speaker.sum(axis=0)) - _ROUNDING
    if 2**size <= num_swaps:
        signs = 1 - 2 * (np.arange(2**size)[:, None] >> np.arange(size) & 1)
        return (np.abs(signs @ by_speaker) >= observed).mean(axis=0)
    rng, as_large = np.random.default_rng(seed), np.zeros(2)
    for first in range(0, num_swaps, _SWAPS_AT_ONCE):
        signs = 1 - 2 * rng.integers(2, size=(min(_SWAPS_AT_ONCE, num_swaps - first), size), dtype=np.int8)
        as_large += (np.abs(signs @ by_speaker) >= observed).sum(axis=0)
    return (as_large + 1) / (num_swaps + 1)


def two_sided(differences: np.ndarray) -> float:
    """Return the two-sided p of no difference, from resampled differences (num_resamples,)."""
    beyond = min((differences <= _ROUNDING).sum(), (differences >= -_ROUNDING).sum())
    return float(min(1.0, 2 * (beyond + 1) / (len(differences) + 1)))


def mcnemar(references: Sequence[int], predictions: Sequence[int], other_predictions: Sequence[int]) -> dict[str, Any]:
    """Return McNemar's exact test of equal accuracy (McNemar 1947, Psychometrika 12(2)): two-sided, binomial.

    The test counts utterances as independent. Utterances of one speaker are not, so its p is too small where speakers
    differ: read it beside `paired_differences`.

    Args:
        references: True labels, (N,).
        predictions: Predicted labels of the first system, (N,).
        other_predictions: Predicted labels of the second system, (N,).

    Returns:
        `only_first` and `only_second`, numbers of utterances that one system alone has right, and `p`.

    Raises:
        ValueError: Bad labels, see `check_labels`.
    """
    references, predictions, _ = check_labels(references, predictions)
    _, other_predictions, _ = check_labels(references, other_predictions)
    right, other_right = predictions == references, other_predictions == references
    first, second = int((right & ~other_right).sum()), int((~right & other_right).sum())
    p = binomtest(first, first + second).pvalue if first + second else 1.0
    return {"only_first": first, "only_second": second, "p": float(p)}


def mcnemar_of_runs(
    runs: Mapping[int, RunResults], other_runs: Mapping[int, RunResults]
) -> tuple[int | None, dict[str, Any]]:
    """Compare the runs of the first seed that two systems have in common.

    Args:
        runs: Runs of the first system on a test set, by seed.
        other_runs: Runs of the second system on the same test set, by seed.

    Returns:
        The seed, and the result of `mcnemar`; None, and None in all entries, without a common seed.
    """
    seed = next((seed for seed in runs if seed in other_runs), None)
    if seed is None:
        return None, {"only_first": None, "only_second": None, "p": None}
    return seed, mcnemar(runs[seed].references, runs[seed].predictions, other_runs[seed].predictions)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Correct p values of several tests by Holm's step-down method (Holm 1979, Scand. J. Statist. 6(2)).

    Args:
        p_values: One p per comparison; None for a comparison without a test, which does not count.

    Returns:
        Corrected p values in the same order, at most 1.
    """
    order = sorted((p, index) for index, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, index) in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p))
        corrected[index] = largest
    return corrected


def better_than_chance(
    references: Sequence[int], predictions: np.ndarray, *, num_shuffles: int = 10_000, seed: int = 0
) -> float:
    """Return p of a permutation test of a UA above chance, for two classes (Ojala and Garriga 2010, JMLR 11, test 1).

    p is the share of random exchanges of labels among people that give a mean UA over runs at least as high.

    Args:
        references: Class of each person, 0 or 1, (N,); both must occur.
        predictions: Decisions of each run, 0 or 1, (runs, N).
        num_shuffles: Number of exchanges.
        seed: Seed of the exchanges.
    """
    references, called = np.asarray(references), np.atleast_2d(predictions).mean(axis=0)
    # A sensitivity and a specificity that sum to more are a higher UA.
    weights = np.where(references == 1, 1 / (references == 1).sum(), -1 / (references == 0).sum())
    shuffled = np.random.default_rng(seed).permuted(np.tile(weights, (num_shuffles, 1)), axis=1) @ called
    return float(((shuffled >= weights @ called - _ROUNDING).sum() + 1) / (num_shuffles + 1))
