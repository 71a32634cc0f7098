"""Scores of a system by gender, by age group and speaker by speaker."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from .intervals import SCORES, bootstrap_scores, percentile_intervals
from .run_results import RunResults
from .text_tables import markdown_table, score_cell


SPEAKER_NOTE = (
    "By UA over the classes that a speaker has. The interval of the median resamples speakers, that of one speaker "
    "the clips, as if they were independent; `results.json` has all speakers. Of many the worst and the best are "
    "far apart by chance alone."
)


def fairness(runs: Mapping[int, RunResults]) -> dict[str, Any]:
    """Score runs on one test set by group and by speaker.

    Args:
        runs: Runs on the same test set, by seed.

    Returns:
        `groups` (see `group_recalls`) and `speakers` (see `speaker_recalls`).
    """
    run = next(iter(runs.values()))
    predictions = np.stack([other.predictions for other in runs.values()])
    arguments = run.references, predictions, run.speakers
    return {
        "groups": group_recalls(*arguments, run.groups, len(run.labels)),
        "speakers": None if run.speakers is None else speaker_recalls(*arguments, len(run.labels)),
    }


def group_indices(groups: Mapping[str, Sequence[str | None]]) -> Iterator[tuple[str, str, np.ndarray]]:
    """Yield attribute, value and utterance numbers of every group. An utterance without a value is in no group."""
    for attribute, values in groups.items():
        for value in sorted({value for value in values if value is not None}):
            yield attribute, value, np.flatnonzero([other == value for other in values])


def group_recalls(
    references: Sequence[int],
    predictions: Sequence[int] | np.ndarray,
    speakers: Sequence[str | None] | None,
    groups: Mapping[str, Sequence[str | None]],
    num_labels: int,
) -> list[dict[str, Any]]:
    """Return WA and UA of each group.

    Args:
        references: True labels, (N,).
        predictions: Predicted labels, (N,), or (runs, N) for the mean over several training runs.
        speakers: Speaker of each utterance, (N,), which the intervals resample; None resamples utterances.
        groups: Attributes, each (N,), as in `{"gender": ["female", None, ...]}`.
        num_labels: Number of classes.

    Returns:
        JSON-ready rows of `attribute`, `value`, `num_utterances`, `num_speakers` and both `SCORES`, each with `value`,
        `low` and `high` (95 %; None for a single speaker).
    """
    references, predictions = np.asarray(references), np.atleast_2d(predictions)
    rows = []
    for attribute, value, chosen in group_indices(groups):
        chosen_speakers = None if speakers is None else [speakers[index] for index in chosen]
        rows.append(
            {
                "attribute": attribute,
                "value": value,
                "num_utterances": len(chosen),
                "num_speakers": None if speakers is None else len(set(chosen_speakers) - {None}),
                **_scores(references[chosen], predictions[:, chosen], chosen_speakers, num_labels),
            }
        )
    return rows


def speaker_recalls(
    references: Sequence[int],
    predictions: Sequence[int] | np.ndarray,
    speakers: Sequence[str | None],
    num_labels: int | None = None,
    *,
    num_resamples: int = 2000,
    seed: int = 0,
) -> dict[str, Any] | None:
    """Return WA and UA of each known speaker, worst UA first, and the median UA over speakers.

    Args:
        references: True labels, (N,).
        predictions: Predicted labels, (N,), or (runs, N) for the mean over several training runs.
        speakers: Speaker of each utterance, (N,); None where unknown.
        num_labels: Number of classes.
        num_resamples: Number of resamples of the two bootstraps: the one of the median resamples speakers, the one of
            each speaker resamples the speaker's utterances.
        seed: Seed of the bootstraps.

    Returns:
        JSON-ready: `median`, with `value`, `low` and `high` (95 %), and `by_speaker`, a list of `speaker`,
        `num_utterances`, `num_labels` (classes that the speaker has) and both `SCORES`, each with `value`, `low` and
        `high` (None for a single utterance). None with fewer than two known speakers.
    """
    references, predictions = np.asarray(references), np.atleast_2d(predictions)
    indices: dict[str, list[int]] = {}
    for index, speaker in enumerate(speakers):
        if speaker is not None:
            indices.setdefault(speaker, []).append(index)
    if len(indices) < 2:
        return None

    by_speaker = [
        {
            "speaker": speaker,
            "num_utterances": len(chosen),
            "num_labels": len(set(references[chosen].tolist())),
            **_scores(references[chosen], predictions[:, chosen], None, num_labels, num_resamples, seed),
        }
        for speaker, chosen in indices.items()
    ]
    by_speaker.sort(key=lambda row: (row["unweighted_accuracy"]["value"], str(row["speaker"])))

    recalls = np.array([row["unweighted_accuracy"]["value"] for row in by_speaker])
    draws = np.random.default_rng(seed).choice(recalls, (num_resamples, len(recalls)))
    low, high = np.quantile(np.median(draws, axis=1), [0.025, 0.975]).tolist()
    return {"median": {"value": float(np.median(recalls)), "low": low, "high": high}, "by_speaker": by_speaker}


def _scores(
    references: np.ndarray,
    predictions: np.ndarray,
    speakers: Sequence[str | None] | None,
    num_labels: int | None,
    num_resamples: int = 2000,
    seed: int = 0,
) -> dict[str, dict[str, float | None]]:
    values, resampled = bootstrap_scores(
        references, [predictions], speakers, num_labels, num_resamples=num_resamples, seed=seed
    )
    return percentile_intervals(values[0], None if resampled is None else resampled[0])


def speaker_rows(speakers: Mapping[str, Any]) -> list[list[str]]:
    """Return the worst, median and best of `speaker_recalls` as cells: rank, speaker, utterances, WA and UA."""
    rows = []
    for rank, row in (("worst", speakers["by_speaker"][0]), ("best", speakers["by_speaker"][-1])):
        scores = (score_cell(**row[name]) for name in SCORES)
        rows.append([rank, str(row["speaker"]), f"{row['num_utterances']:,}", *scores])
    number = f"{len(speakers['by_speaker']):,} speakers"
    rows.insert(1, ["median", number, "", "", score_cell(**speakers["median"])])
    return rows


def fairness_table(rows: Mapping[str, Mapping[str, Any]]) -> str | None:
    """Return UA of several systems by group and by speaker, as Markdown.

    Args:
        rows: `groups` (see `group_recalls`) and `speakers` (see `speaker_recalls`, or None), by title of the row.

    Returns:
        Table with a row per title, and notes on its columns; None if nothing is known of the speakers.
    """
    groups = list(dict.fromkeys((part["attribute"], part["value"]) for row in rows.values() for part in row["groups"]))
    with_speakers = any(row["speakers"] for row in rows.values())
    if not groups and not with_speakers:
        return None
    header = ["UA", *(f"{attribute}: {value}" for attribute, value in groups)]
    header += ["worst speaker", "median speaker", "best speaker"] if with_speakers else []
    cells = []
    for title, row in rows.items():
        parts = {(part["attribute"], part["value"]): part["unweighted_accuracy"] for part in row["groups"]}
        line = [title, *(score_cell(**parts[group]) if group in parts else "–" for group in groups)]
        if with_speakers:
            line += [cells[-1] for cells in speaker_rows(row["speakers"])] if row["speakers"] else ["–"] * 3
        cells.append(line)
    notes = ["Intervals of groups resample their speakers."] if groups else []
    return "\n\n".join([markdown_table(header, cells), " ".join(notes + [SPEAKER_NOTE] * with_speakers)])
