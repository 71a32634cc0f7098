"""Scores of several classes for each utterance as Markdown and as columns of a CSV file."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..escaping import csv_cell
from .multi_label import MULTI_LABEL_SCORES, given_labels
from .text_tables import bracket_note, group_table, majority_note, markdown_table, score_cell, size_words


def multi_label_table(results: Mapping[str, Any]) -> str:
    """Return F1 with intervals, average precision and exact matches, and the baseline, as a Markdown table.

    Args:
        results: Scores from `evaluate_multi_label`.
    """
    baseline, others = results["majority"], ("mean_average_precision", "exact_match")
    return markdown_table(
        ["", "macro F1", "micro F1", "mAP", "exact match"],
        [
            [
                "**this system**",
                *(score_cell(**results["intervals"][name]) for name in MULTI_LABEL_SCORES),
                *(f"{results['metrics'][name]:.3f}" for name in others),
            ],
            [
                f'always "{results["labels"][baseline["label"]]}"',
                *(f"{baseline['metrics'][name]:.3f}" for name in (*MULTI_LABEL_SCORES, *others)),
            ],
        ],
    )


def multi_label_sections(results: Mapping[str, Any]) -> list[str]:
    """Return the paragraphs of a report on several classes for each utterance, Markdown.

    Args:
        results: Scores from `evaluate_multi_label`.
    """
    parts = [
        f"{size_words(results)}.",
        multi_label_table(results),
        multi_label_note(results),
        "## Classes",
        label_table(results),
    ]
    groups = group_table(
        results,
        ["macro F1", "micro F1"],
        lambda part: [score_cell(**part["intervals"][name]) for name in MULTI_LABEL_SCORES],
    )
    return [*parts, "## Groups", groups] if groups else parts


def multi_label_note(results: Mapping[str, Any]) -> str:
    """Return the sentences on the scores and the baseline of `multi_label_table`."""
    return (
        "An utterance is given all classes with a probability of 0.5 or more, else the most probable one. mAP is the "
        "mean average precision of the classes, exact match the share of utterances with all classes right. "
        f"{bracket_note(results)} {majority_note(results)}"
    )


def label_table(results: Mapping[str, Any]) -> str:
    """Return the scores of each class as a Markdown table."""
    rows = [
        [
            label,
            f"{one['num_utterances']:,}",
            f"{one['num_predicted']:,}",
            *("–" if one[name] is None else f"{one[name]:.3f}" for name in _LABEL_SCORES),
        ]
        for label, one in zip(results["labels"], results["metrics"]["per_class"].values(), strict=True)
    ]
    return markdown_table(["class", "utterances", "predicted", "precision", "recall", "F1", "AP"], rows)


_LABEL_SCORES = ("precision", "recall", "f1", "average_precision")


def multi_label_columns(
    labels: Sequence[str], references: np.ndarray, probabilities: np.ndarray
) -> dict[str, Sequence[str]]:
    """Return columns `reference` and `prediction` (names with `;` between) and `probability_<label>` of a CSV file.

    Args:
        labels: Class names.
        references: True where an utterance has a class, boolean (N, num_labels).
        probabilities: Probability of each class, (N, num_labels).
    """
    names = np.array(labels, dtype=object)
    given = {"reference": references.astype(bool), "prediction": given_labels(probabilities)}
    return {
        **{column: [csv_cell(";".join(names[row])) for row in rows] for column, rows in given.items()},
        **{f"probability_{label}": [f"{p:.6g}" for p in column] for label, column in zip(labels, probabilities.T)},
    }
