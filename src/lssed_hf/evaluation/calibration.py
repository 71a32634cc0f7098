"""Calibration: how often a model is right when it says how sure it is."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax


def calibration(probabilities: np.ndarray, references: Sequence[int], num_bins: int = 10) -> dict[str, Any]:
    """Return the expected calibration error of predictions, and the bins that it is summed over.

    Predictions are put into bins of equal width by their confidence, the probability of the predicted class. The error
    is the mean distance of confidence and accuracy, weighted by the size of the bins (Guo et al., "On Calibration of
    Modern Neural Networks", ICML 2017).

    ```python
    >>> import numpy as np
    >>> from lssed_hf.evaluation.calibration import calibration

    >>> calibration(np.array([[0.9, 0.1], [0.7, 0.3]]), [0, 0])["ece"]
    0.2
    ```

    Args:
        probabilities: Probability of each class, (N, C).
        references: True class numbers, (N,).
        num_bins: Number of bins between 0 and 1.

    Returns:
        JSON-ready: `ece`, `confidence` and `accuracy` (means over all), and `bins`, a list of those that hold
        predictions, each with `low`, `high`, `count`, `confidence` and `accuracy`.
    """
    probabilities = np.asarray(probabilities, dtype=np.float64)
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == np.asarray(references)
    index = np.minimum((confidence * num_bins).astype(int), num_bins - 1)
    bins = [
        {
            "low": number / num_bins,
            "high": (number + 1) / num_bins,
            "count": int(inside.sum()),
            "confidence": float(confidence[inside].mean()),
            "accuracy": float(correct[inside].mean()),
        }
        for number in range(num_bins)
        if (inside := index == number).any()
    ]
    error = sum(row["count"] * abs(row["confidence"] - row["accuracy"]) for row in bins) / len(confidence)
    return {
        "ece": round(float(error), 9),
        "confidence": float(confidence.mean()),
        "accuracy": float(correct.mean()),
        "bins": bins,
    }


def fit_temperature(logits: np.ndarray, references: Sequence[int], weights: Sequence[float] | None = None) -> float:
    """Return the temperature that the logits are to be divided by, for the least log loss (Guo et al. 2017).

    Args:
        logits: Logits or logarithms of probabilities, (N, C), of clips that the model was not trained on.
        references: True class numbers, (N,).
        weights: Weight of each clip. Default: 1.
    """
    logits, references = np.asarray(logits, dtype=np.float64), np.asarray(references)

    def loss(log_temperature: float) -> float:
        losses = -log_softmax(logits / np.exp(log_temperature), axis=1)[np.arange(len(logits)), references]
        return float(np.average(losses, weights=weights))

    return float(np.exp(minimize_scalar(loss, bounds=(-3, 3), method="bounded").x))


__all__ = ["calibration", "fit_temperature"]
