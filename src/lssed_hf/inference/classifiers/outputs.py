"""Meaning of a network's outputs: the one rule by which logits become scores, whatever runs the network.

It is the rule of `transformers.pipeline("audio-classification")`: `problem_type` of the configuration decides.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...labels import PRESENT


SINGLE_LABEL, MULTI_LABEL = "single_label_classification", "multi_label_classification"
REGRESSION = "regression"


@dataclass(frozen=True)
class Outputs:
    """Names of a model's outputs, and their conversion to scores.

    Attributes:
        labels: Class names, in the order of the probabilities; empty for a regression model.
        dimensions: Names of the values behind the probabilities, such as "valence"; empty for most classifiers.
        problem_type: Kind of problem, as in transformers' configurations: one class for each clip, any number of
            classes ("multi_label_classification"), or values ("regression").

    Examples:
        >>> import lssed_hf
        >>> lssed_hf.default_model().outputs.labels
        ('angry', 'neutral', 'happy', 'sad')
    """

    labels: tuple[str, ...]
    dimensions: tuple[str, ...] = ()
    problem_type: str = SINGLE_LABEL

    @classmethod
    def of(cls, config: Any) -> "Outputs":
        """Return the outputs of a model by its configuration.

        Args:
            config: Configuration with `id2label`, `num_labels`, `problem_type` (None in most classifiers), and where a
                second head rates dimensions beside the classes, their names in `dimensions`.
        """
        names = tuple(config.id2label[index] for index in range(config.num_labels))
        kind = getattr(config, "problem_type", None) or SINGLE_LABEL
        dimensions = tuple(getattr(config, "dimensions", None) or ())
        return cls((), names + dimensions, kind) if kind == REGRESSION else cls(names, dimensions, kind)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all scores: classes, then dimensions."""
        return (*self.labels, *self.dimensions)

    @property
    def several(self) -> bool:
        """True if a clip may have several classes at once."""
        return self.problem_type == MULTI_LABEL

    def scores(self, logits: np.ndarray) -> np.ndarray:
        """Return the scores of one clip: probabilities of the classes, then values of the dimensions.

        Probabilities are a softmax, or a sigmoid of each class where a clip may have several. Values are the network's
        own. All scores are NaN if a logit is not finite.

        Args:
            logits: Outputs of the network, float32 (num_outputs,).
        """
        if not np.isfinite(logits).all():
            return np.full_like(logits, np.nan)
        classes, values = self.split(logits)
        if self.several:
            classes = sigmoid(classes)
        elif self.labels:
            odds = np.exp(classes - classes.max())
            classes = odds / odds.sum()
        return np.concatenate([classes, values]) if len(values) else classes

    def split(self, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Split scores (..., num_outputs) into probabilities (..., num_labels) and values (..., num_dimensions)."""
        return scores[..., : len(self.labels)], scores[..., len(self.labels) :]

    def chosen(self, probabilities: np.ndarray, min_confidence: float = 0.0) -> tuple[str, ...]:
        """Return the classes that a clip is given, the most probable first.

        It is one class; of a multi-label model all from 0.5 on, or the most probable one where none is. There is none
        for a regression model, and where the most probable one is below `min_confidence`.

        Args:
            probabilities: Probabilities (num_labels,).
            min_confidence: Least probability of a class.
        """
        order = np.argsort(-probabilities, kind="stable")
        if not len(order) or probabilities[order[0]] < min_confidence:
            return ()
        least = max(PRESENT, min_confidence)
        others = [index for index in order[1:] if probabilities[index] >= least] if self.several else []
        return tuple(self.labels[index] for index in (order[0], *others))

    def check_confidence(self, min_confidence: float) -> None:
        """Check that there are probabilities for a threshold.

        Raises:
            ValueError: A threshold above 0 is given for a model without probabilities.
        """
        if min_confidence and not self.labels:
            raise ValueError(
                f"min_confidence={min_confidence:g} is a probability, and this model gives values "
                f"({', '.join(self.dimensions)}): leave it out"
            )

    def __str__(self) -> str:
        kind = "labels" if self.problem_type == SINGLE_LABEL else f"problem_type={self.problem_type!r}, labels"
        parts = [f"{kind}=[{', '.join(self.labels)}]"] if self.labels else []
        return ", ".join([*parts, *([f"dimensions=[{', '.join(self.dimensions)}]"] if self.dimensions else [])])


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-x)) of logits of any shape, without overflow."""
    return np.exp(-np.logaddexp(0, -logits))


def outputs_of(labels: "Sequence[str] | Outputs") -> Outputs:
    """Return outputs, or those of a classifier with these class names."""
    return labels if isinstance(labels, Outputs) else Outputs(tuple(labels))


__all__ = ["MULTI_LABEL", "REGRESSION", "SINGLE_LABEL", "Outputs", "outputs_of", "sigmoid"]
