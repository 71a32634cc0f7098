"""PHQ-8 scores of participants, estimated from the probability of being depressed by a line that training fits."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from .diagnosis import over_seeds
from .run_results import RunResults


#: Mean absolute error, root mean squared error, and concordance correlation coefficient.
PHQ8_FIGURES = ("mae", "rmse", "ccc")
HIGHEST_SCORE = 24
_NUM_RESAMPLES = 2000
_EQUAL = 1e-12  # numbers that are equal up to rounding


def compare_phq8(
    held_out: Mapping[int, RunResults], scored: Mapping[int, RunResults], phq8: Mapping[str, int], *, seed: int = 0
) -> dict[str, Any] | None:
    """Estimate the PHQ-8 scores of participants, and compare them with the questionnaire's.

    The line from probability to PHQ-8 score is the least-squares one of training participants that were held out, each
    training its own. Estimates end at 0 and 24.

    Args:
        held_out: Held-out training participants, by seed, see `participant_run`.
        scored: Participants to score, by the same seeds.
        phq8: PHQ-8 score by participant; those of unknown scores are left out.
        seed: Seed of the bootstrap.

    Returns:
        JSON-ready: `num_participants`; `num_fitted`, the number of held-out ones by seed; the `PHQ8_FIGURES` over
        seeds (see `over_seeds`) with bootstrap intervals that resample participants, None where all resamples agree;
        and `baseline`, the same means of always estimating the mean of the held-out ones. None with fewer than two
        participants on either side.
    """
    first = next(iter(scored.values()))
    names = [name for name in first.ids if name in phq8]
    truth = np.array([phq8[name] for name in names], dtype=float)
    estimates, means = [], []
    for number, run in scored.items():
        line, mean = _line(held_out[number], phq8)
        if line is None or len(names) < 2:
            return None
        estimates.append(np.clip(np.polyval(line, run.on(names).probabilities[:, 1]), 0, HIGHEST_SCORE))
        means.append(np.full(len(names), mean))
    values = np.stack([_figures(truth, row) for row in estimates])
    draws = np.random.default_rng(seed).integers(len(names), size=(_NUM_RESAMPLES, len(names)))
    resampled = np.mean([_figures(truth[draws], row[draws]) for row in estimates], axis=0)
    low, high = np.quantile(resampled, [0.025, 0.975], axis=0)
    figures = {}
    for index, name in enumerate(PHQ8_FIGURES):
        # Resamples that agree, as CCC does for constant estimates, tell nothing of the spread.
        bounds = (float(low[index]), float(high[index])) if high[index] - low[index] > _EQUAL else (None, None)
        mean = {"value": float(values[:, index].mean()), "low": bounds[0], "high": bounds[1]}
        figures[name] = over_seeds(mean, values[:, index].tolist(), list(scored))
    baseline = np.mean([_figures(truth, row) for row in means], axis=0).tolist()
    return {
        "num_participants": len(names),
        "num_fitted": {str(number): sum(name in phq8 for name in held_out[number].ids) for number in scored},
        **figures,
        "baseline": dict(zip(PHQ8_FIGURES, baseline, strict=True)),
    }


def _line(people: RunResults, phq8: Mapping[str, int]) -> tuple[np.ndarray | None, float]:
    """Return slope and intercept of PHQ-8 score by probability, and the mean score; None for too few people."""
    known = [name for name in people.ids if name in phq8]
    if len(known) < 2:
        return None, 0.0
    scores, truth = people.on(known).probabilities[:, 1], np.array([phq8[name] for name in known], dtype=float)
    spread = ((scores - scores.mean()) ** 2).sum()
    slope = ((scores - scores.mean()) * (truth - truth.mean())).sum() / spread if spread > _EQUAL else 0.0
    return np.array([slope, truth.mean() - slope * scores.mean()]), float(truth.mean())


def _figures(truth: np.ndarray, estimates: np.ndarray) -> np.ndarray:
    """Return the `PHQ8_FIGURES` (..., 3) of people (..., N), CCC by Lin (1989, Biometrics 45(1)), 0 for a constant."""
    errors = estimates - truth
    means = truth.mean(axis=-1), estimates.mean(axis=-1)
    covariance = (truth * estimates).mean(axis=-1) - means[0] * means[1]
    below = truth.var(axis=-1) + estimates.var(axis=-1) + (means[0] - means[1]) ** 2
    ccc = np.divide(2 * covariance, below, out=np.zeros_like(below), where=below > _EQUAL)
    return np.stack([np.abs(errors).mean(axis=-1), np.sqrt((errors**2).mean(axis=-1)), ccc], axis=-1)


__all__ = ["HIGHEST_SCORE", "PHQ8_FIGURES", "compare_phq8"]
