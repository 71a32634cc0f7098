"""Metrics of speech emotion recognition: WA, UA, macro F1, recall per class and the confusion matrix.

`evaluate.load` copies this one file elsewhere and finds what it needs by reading its import lines, so it imports
nothing of the package, and names one module per import line, at column 0.
"""

from collections.abc import Sequence
from typing import Any

import datasets
import evaluate
import numpy as np
from sklearn.metrics import accuracy_score, f1_score, recall_score


_DESCRIPTION = """
Metrics of speech emotion recognition. WA (weighted accuracy) is plain accuracy; UA (unweighted accuracy, also
unweighted average recall or balanced accuracy) is the mean of the recalls of the classes that occur in the references.
"""

_KWARGS_DESCRIPTION = """
Args:
    predictions (`list` of `int`): Predicted label of each utterance.
    references (`list` of `int`): True label of each utterance, in the same order.
    num_labels (`int`, *optional*): Number of classes, which fixes the size of `per_class_recall` and
        `confusion_matrix`. Without it they end at the largest label seen.

Returns:
    `dict` with
        weighted_accuracy (`float`): Share of utterances classified correctly.
        unweighted_accuracy (`float`): Mean recall over the classes that occur in the references.
        macro_f1 (`float`): Mean F1 over the classes that occur in the references or the predictions.
        per_class_recall (`list` of `float` or `None`): Recall of each class; `None` where the references lack it.
        confusion_matrix (`list` of `list` of `int`): Counts; rows are references, columns predictions.

Examples:

    >>> ser_metrics = evaluate.load(lssed_hf.metric_path())
    >>> results = ser_metrics.compute(references=[1, 1, 1, 0], predictions=[1, 1, 1, 1])
    >>> results["weighted_accuracy"], results["unweighted_accuracy"]
    (0.75, 0.5)

    The configuration "scalars" leaves out the lists, for `evaluate.evaluator` with `strategy="bootstrap"`:

    >>> sorted(evaluate.load(lssed_hf.metric_path(), "scalars").compute(references=[1, 0], predictions=[1, 1]))
    ['macro_f1', 'unweighted_accuracy', 'weighted_accuracy']
"""

_CITATION = """
@inproceedings{fan2021lssed,
  title={{LSSED}: A Large-Scale Dataset and Benchmark for Speech Emotion Recognition},
  author={Fan, Weiquan and Xu, Xiangmin and Xing, Xiaofen and Chen, Weidong and Huang, Dongyan},
  booktitle={IEEE International Conference on Acoustics, Speech and Signal Processing (ICASSP)},
  year={2021}
}
"""


def _as_labels(name: str, values: Sequence[int]) -> np.ndarray:
    """Return one non-empty axis of whole numbers, or raise a ValueError that names the argument."""
    array = np.asarray(values)
    if array.size == 0:
        raise ValueError(f"{name} is empty: there is no utterance to score")
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"{name} must hold one whole number per utterance, got {array.dtype} of shape {array.shape}")
    return array.astype(np.int64)


def check_labels(
    references: Sequence[int], predictions: Sequence[int], num_labels: int | None = None
) -> tuple[np.ndarray, np.ndarray, int]:
    """Turn labels into arrays and settle how many classes there are.

    Args:
        references: True labels, (N,).
        predictions: Predicted labels, (N,).
        num_labels: Number of classes C; by default the largest label seen, plus one.

    Returns:
        References int64 (N,), predictions int64 (N,) and C.

    Raises:
        ValueError: There is nothing to score, the lengths differ, or a label is no whole number from 0 to C - 1.
    """
    arrays = {
        "references": _as_labels("references", references),
        "predictions": _as_labels("predictions", predictions),
    }
    if len(arrays["references"]) != len(arrays["predictions"]):
        raise ValueError(f"{len(arrays['references'])} references but {len(arrays['predictions'])} predictions")
    if num_labels is None:
        num_labels = max(int(array.max()) for array in arrays.values()) + 1
    for name, array in arrays.items():
        outside = np.flatnonzero((array < 0) | (array >= num_labels))
        if outside.size:
            hint = "; -1 marks a missing label, leave such utterances out" if array[outside[0]] == -1 else ""
            raise ValueError(
                f"{name}[{outside[0]}] is {array[outside[0]]}, but labels run from 0 to {num_labels - 1}{hint}"
            )
    return arrays["references"], arrays["predictions"], num_labels


def score(references: Sequence[int], predictions: Sequence[int], num_labels: int | None = None) -> dict[str, Any]:
    """Score predictions. All scores that the package reports come from here.

    Args:
        references: True labels, (N,).
        predictions: Predicted labels, (N,).
        num_labels: Number of classes C; by default the largest label seen, plus one.

    Returns:
        JSON-ready: `weighted_accuracy`, `unweighted_accuracy` and `macro_f1` in [0, 1]; `per_class_recall` (C,), None
        for a class without references; `confusion_matrix` (C, C) counts with references as rows.
        A class that only the predictions hold counts in `macro_f1` (as 0, like scikit-learn) but has no recall, so it
        does not count in `unweighted_accuracy`. `num_labels` changes the sizes, never a score.

    Raises:
        ValueError: See `check_labels`.
    """
    references, predictions, num_labels = check_labels(references, predictions, num_labels)
    recalls = recall_score(references, predictions, labels=range(num_labels), average=None, zero_division=np.nan)
    # Not scikit-learn's, which warns when there is one class only.
    matrix = np.bincount(references * num_labels + predictions, minlength=num_labels**2).reshape(
        num_labels, num_labels
    )
    return {
        "weighted_accuracy": float(accuracy_score(references, predictions)),
        "unweighted_accuracy": float(np.nanmean(recalls)),
        "macro_f1": float(f1_score(references, predictions, average="macro", zero_division=0)),
        # None rather than NaN: NaN is not JSON.
        "per_class_recall": [None if np.isnan(recall) else float(recall) for recall in recalls],
        "confusion_matrix": matrix.tolist(),
    }


@evaluate.utils.file_utils.add_start_docstrings(_DESCRIPTION, _KWARGS_DESCRIPTION)
class SerMetrics(evaluate.Metric):  # noqa: D101 (its docstring is put together by the decorator)
    def _info(self) -> evaluate.MetricInfo:
        if self.config_name not in ("default", "scalars"):
            raise ValueError(f"no configuration {self.config_name!r}: choose default or scalars")
        label = datasets.Value("int64")
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_KWARGS_DESCRIPTION,
            features=datasets.Features({"predictions": label, "references": label}),
            reference_urls=["https://arxiv.org/abs/2102.01754"],
        )

    def _compute(
        self, predictions: Sequence[int], references: Sequence[int], num_labels: int | None = None
    ) -> dict[str, Any]:
        results = score(references, predictions, num_labels)
        if self.config_name == "scalars":
            return {name: value for name, value in results.items() if isinstance(value, float)}
        return results
