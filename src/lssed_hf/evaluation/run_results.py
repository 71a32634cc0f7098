"""Scored test sets, read back from the folders of evaluations to be compared."""

import csv
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..escaping import csv_text
from ..files import read_json
from .intervals import SCORES, bootstrap_scores, percentile_intervals
from .ser_metrics.ser_metrics import score


_EQUAL = 1e-12  # scores that are equal up to rounding


@dataclass(frozen=True)
class RunResults:
    """Scored test set of one run.

    Attributes:
        results: Contents of `results.json`.
        ids: Name of each utterance, (N,).
        references: True class numbers, (N,).
        predictions: Predicted class numbers, (N,).
        probabilities: Probability of each class, (N, C), with the six digits of the CSV.
        speakers: Speaker of each utterance, (N,), None where unknown; None if all are unknown.
        groups: Value of each utterance by attribute, (N,), None where unknown. Attributes that all utterances lack are
            left out.
    """

    results: dict[str, Any]
    ids: list[str]
    references: np.ndarray
    predictions: np.ndarray
    probabilities: np.ndarray
    speakers: list[str | None] | None
    groups: dict[str, list[str | None]] = field(default_factory=dict)

    @property
    def labels(self) -> list[str]:
        """Class names, (C,)."""
        return self.results["labels"]

    @property
    def num_speakers(self) -> int | None:
        """Number of known speakers, None if all are unknown."""
        return None if self.speakers is None else len(set(self.speakers) - {None})

    def on(self, ids: Sequence[str]) -> "RunResults":
        """Return the run on some of its utterances, in the order of `ids`. `results` still cover all utterances.

        Raises:
            KeyError: No utterance has one of the ids.
        """
        row_of = {name: row for row, name in enumerate(self.ids)}
        rows = [row_of[name] for name in ids]
        return RunResults(
            self.results,
            list(ids),
            self.references[rows],
            self.predictions[rows],
            self.probabilities[rows],
            None if self.speakers is None else [self.speakers[row] for row in rows],
            {name: [values[row] for row in rows] for name, values in self.groups.items()},
        )

    def restricted(self, labels: Sequence[str]) -> "RunResults":
        """Return the run on the utterances of some classes, numbered anew in the order of `labels`.

        A prediction outside of these classes gives way to the most probable one inside. `results` still cover all
        classes, except for their `labels`.
        """
        numbers = [self.labels.index(label) for label in labels]
        new_numbers = {old: new for new, old in enumerate(numbers)}
        kept = np.flatnonzero(np.isin(self.references, numbers))
        inside = self.probabilities[kept][:, numbers].argmax(axis=1)
        predictions = [new_numbers.get(int(old), other) for old, other in zip(self.predictions[kept], inside)]
        return RunResults(
            {**self.results, "labels": list(labels)},
            [self.ids[index] for index in kept],
            np.array([new_numbers[int(old)] for old in self.references[kept]]),
            np.array(predictions),
            self.probabilities[kept][:, numbers],
            None if self.speakers is None else [self.speakers[index] for index in kept],
            {name: [values[index] for index in kept] for name, values in self.groups.items()},
        )


def read_run(folder: str | os.PathLike) -> RunResults:
    """Read `results.json` and `predictions.csv` of a folder that `lssed-hf train` or `evaluate` wrote.

    Raises:
        FileNotFoundError: One of the two files is missing.
        ValueError: The files do not belong together.
    """
    folder = Path(folder)
    results = read_json(folder / "results.json")
    if kind := results.get("problem_type"):
        raise ValueError(
            f"{folder} holds scores of problem_type {kind!r}: only those of one class a clip are compared"
        )
    with (folder / "predictions.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if len(rows) != results["num_utterances"]:
        raise ValueError(f"{folder}: {len(rows)} predictions, but results of {results['num_utterances']} utterances")
    labels = results["labels"]
    facts = {"speaker": [None] * len(rows)}
    for name in rows[0] if rows else ():
        if name not in ("id", "reference", "prediction") and not name.startswith("probability_"):
            facts[name] = [csv_text(row[name]) or None for row in rows]
    speakers = facts.pop("speaker")
    return RunResults(
        results,
        [csv_text(row["id"]) for row in rows],
        np.array([labels.index(csv_text(row["reference"])) for row in rows]),
        np.array([labels.index(csv_text(row["prediction"])) for row in rows]),
        np.array([[float(row[f"probability_{label}"]) for label in labels] for row in rows]),
        None if all(speaker is None for speaker in speakers) else speakers,
        {name: values for name, values in facts.items() if any(values)},
    )


def score_runs(
    runs: Mapping[int, RunResults], *, num_resamples: int = 2000, seed: int = 0
) -> tuple[dict[str, dict[str, Any]], np.ndarray, np.ndarray | None]:
    """Return WA and UA over training seeds.

    Args:
        runs: Runs on the same test set, by seed.
        num_resamples: Number of bootstrap resamples of the speakers.
        seed: Seed of the bootstrap.

    Returns:
        By score, JSON-ready: `mean` and `std` (sample deviation over seeds; None for one), `low` and `high` (95 %, the
        mean's, over speakers; None for one speaker) and `by_seed`. Then the means (2,), and the resampled means
        (2, num_resamples), or None (see `bootstrap_scores`).
    """
    first = next(iter(runs.values()))
    predictions = np.stack([run.predictions for run in runs.values()])
    values, resampled = bootstrap_scores(
        first.references, [predictions], first.speakers, len(first.labels), num_resamples=num_resamples, seed=seed
    )
    means, resampled = values[0], None if resampled is None else resampled[0]
    intervals = percentile_intervals(means, resampled)
    singles = [score(first.references, run, len(first.labels)) for run in predictions]
    scores = {
        name: {
            **mean_and_std([single[name] for single in singles]),
            **{bound: intervals[name][bound] for bound in ("low", "high")},
            "by_seed": {str(number): single[name] for number, single in zip(runs, singles, strict=True)},
        }
        for name in SCORES
    }
    return scores, means, resampled


def mean_and_std(values: Sequence[float]) -> dict[str, float | None]:
    """Return `mean` and `std`, the sample deviation, which is None for a single value."""
    return {"mean": float(np.mean(values)), "std": float(np.std(values, ddof=1)) if len(values) > 1 else None}


def check_same_test_set(systems: Mapping[str, Mapping[int, RunResults]]) -> RunResults:
    """Return the first run of systems, after a check that all were scored on the same utterances.

    Args:
        systems: Runs by name of the system and seed.

    Raises:
        ValueError: There are no systems, or their test sets differ.
    """
    if not systems:
        raise ValueError("there is no system to compare")
    name, runs = next(iter(systems.items()))
    first = next(iter(runs.values()))
    for other, by_seed in systems.items():
        for seed, run in by_seed.items():
            if run.ids != first.ids or run.labels != first.labels or (run.references != first.references).any():
                raise ValueError(f"{other}, seed {seed}, was scored on another test set than {name}")
    return first


def choose_reference(reference: str | None, scores: Mapping[str, float]) -> str:
    """Return the name of the system that others are tested against.

    Args:
        reference: Name of a system, or None for the first one of the highest score.
        scores: Score of each system, by name.

    Raises:
        ValueError: No system has that name.
    """
    if reference is None:
        best = max(scores.values())
        return next(name for name, score in scores.items() if score > best - _EQUAL)
    if reference not in scores:
        raise ValueError(f"no system {reference!r} to compare with; there are {', '.join(scores)}")
    return reference
