"""How evenly a system serves people: its scores speaker by speaker."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .ser_metrics.ser_metrics import score


SPEAKER_NOTE = (
    "By UA over the classes that a speaker has. The interval of the median resamples speakers; a single speaker's few "
    "clips give no interval worth having, and of many speakers the worst and the best are far apart by chance alone."
)


def speaker_recalls(
    references: Sequence[int],
    predictions: Sequence[int],
    speakers: Sequence[str | None],
    num_labels: int | None = None,
    *,
    num_resamples: int = 2000,
    seed: int = 0,
) -> dict[str, Any] | None:
    """WA and UA of each known speaker, worst UA first, and the median UA over speakers.

    Args:
        references: True labels, (N,).
        predictions: Predicted labels, (N,).
        speakers: Speaker of each utterance, (N,); None where unknown.
        num_labels: Number of classes.
        num_resamples, seed: Of the bootstrap over speakers that bounds the median.

    Returns:
        JSON-ready: `median`, with `value`, `low` and `high` (95 %), and `by_speaker`, a list of `speaker`,
        `num_utterances`, `num_labels` (classes that the speaker has), `weighted_accuracy` and `unweighted_accuracy`.
        None with fewer than two known speakers.
    """
    references, predictions = np.asarray(references), np.asarray(predictions)
    indices: dict[str, list[int]] = {}
    for index, speaker in enumerate(speakers):
        if speaker is not None:
            indices.setdefault(speaker, []).append(index)
    if len(indices) < 2:
        return None

    by_speaker = []
    for speaker, chosen in indices.items():
        scores = score(references[chosen], predictions[chosen], num_labels)
        by_speaker.append(
            {
                "speaker": speaker,
                "num_utterances": len(chosen),
                "num_labels": len(set(references[chosen].tolist())),
                "weighted_accuracy": scores["weighted_accuracy"],
                "unweighted_accuracy": scores["unweighted_accuracy"],
            }
        )
    by_speaker.sort(key=lambda row: (row["unweighted_accuracy"], str(row["speaker"])))

    recalls = np.array([row["unweighted_accuracy"] for row in by_speaker])
    draws = np.random.default_rng(seed).choice(recalls, (num_resamples, len(recalls)))
    low, high = np.quantile(np.median(draws, axis=1), [0.025, 0.975]).tolist()
    return {"median": {"value": float(np.median(recalls)), "low": low, "high": high}, "by_speaker": by_speaker}


def speaker_rows(speakers: Mapping[str, Any]) -> list[list[str]]:
    """Worst, median and best of `speaker_recalls` as cells: what, speaker, utterances, WA, UA."""
    rows = []
    for what, row in (("worst", speakers["by_speaker"][0]), ("best", speakers["by_speaker"][-1])):
        scores = (f"{row[name]:.3f}" for name in ("weighted_accuracy", "unweighted_accuracy"))
        rows.append([what, str(row["speaker"]), f"{row['num_utterances']:,}", *scores])
    median = speakers["median"]
    number = f"{len(speakers['by_speaker']):,} speakers"
    rows.insert(1, ["median", number, "", "", f"{median['value']:.3f} [{median['low']:.3f}, {median['high']:.3f}]"])
    return rows
