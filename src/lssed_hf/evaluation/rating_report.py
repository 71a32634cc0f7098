"""Scores of ratings as Markdown and as columns of a CSV file."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..escaping import plain
from ..wording import count_left_out
from .ratings import RATING_SCORES
from .text_tables import bracket_note, group_table, markdown_table, score_cell, size_words


_TITLES = {"ccc": "CCC", "pearson": "Pearson", "rmse": "RMSE", "mae": "MAE"}
#: Sentence on the scores and the second rows of `rating_table`.
NOTE = (
    "CCC is the concordance correlation coefficient (Lin 1989): shifted or scaled predictions lose by it, and not by "
    "Pearson's correlation. RMSE and MAE are errors on the scale of the ratings. {brackets} The baseline always "
    "predicts the mean of {source}."
)


def rating_table(results: Mapping[str, Any]) -> str:
    """Return the scores of each dimension with their intervals, and those of the baseline, as a Markdown table.

    Args:
        results: Scores from `evaluate_ratings`.
    """
    intervals, baseline = results["intervals"], results["baseline"]["metrics"]["dimensions"]
    rows = []
    for name in results["dimensions"]:
        rows.append([f"**{name}**", *(_cell(**intervals[name][score]) for score in RATING_SCORES)])
        rows.append(
            [f"{name}, mean of {_source(results)}", *(_cell(baseline[name][score]) for score in RATING_SCORES)]
        )
    if len(results["dimensions"]) > 1:
        rows.append(["**mean**", _cell(**intervals["mean_ccc"]), *[""] * (len(RATING_SCORES) - 1)])
    return markdown_table(["", *_TITLES.values()], rows)


def rating_sections(results: Mapping[str, Any]) -> list[str]:
    """Return the paragraphs of a report on ratings, Markdown.

    Args:
        results: Scores from `evaluate_ratings`.
    """
    size = size_words(results)
    if results.get("num_unrated"):
        size += f"; {count_left_out(results['num_unrated'], 'utterance', 'without ratings')}"
    rated = {name: one["num_rated"] for name, one in results["metrics"]["dimensions"].items()}
    if any(count < results["num_utterances"] for count in rated.values()):
        size += f"; rated: {', '.join(f'{plain(name)} {count:,}' for name, count in rated.items())}"
    groups = group_table(
        results,
        [f"CCC {name}" for name in results["dimensions"]],
        lambda part: [_cell(**part["intervals"][name]["ccc"]) for name in results["dimensions"]],
    )
    parts = [f"{size}.", rating_table(results), rating_note(results)]
    return [*parts, "## Groups", groups] if groups else parts


def rating_note(results: Mapping[str, Any]) -> str:
    """Return the sentences on the scores and the baseline of `rating_table`."""
    return NOTE.format(brackets=bracket_note(results), source=_source(results))


def _source(results: Mapping[str, Any]) -> str:
    """Return the name of the set whose mean the baseline predicts."""
    return "the training set" if results["baseline"]["from"] == "training" else "the test set"


def _cell(value: float | None, low: float | None = None, high: float | None = None) -> str:
    return "–" if value is None else score_cell(value, low, high)


def rating_columns(
    dimensions: Sequence[str], references: np.ndarray, predictions: np.ndarray
) -> dict[str, Sequence[str]]:
    """Return columns `reference_<dimension>` and `prediction_<dimension>` of a CSV file; unknown ratings are empty.

    Args:
        dimensions: Names of the dimensions.
        references: True ratings, (N, num_dimensions), NaN where unknown.
        predictions: Predicted ratings, (N, num_dimensions).
    """
    columns: dict[str, Sequence[str]] = {}
    for name, reference, prediction in zip(dimensions, references.T, predictions.T):
        columns[f"reference_{name}"] = ["" if np.isnan(value) else f"{value:.6g}" for value in reference]
        columns[f"prediction_{name}"] = [f"{value:.6g}" for value in prediction]
    return columns
