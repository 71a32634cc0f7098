"""Scores of models from another corpus after fine-tuning on a few speakers of a new one: numbers and Markdown."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from .fairness import fairness
from .intervals import SCORES
from .run_results import RunResults, score_runs
from .significance import paired_differences
from .text_tables import markdown_table, score_cell


#: Runs by corpus of the first training (None: random weights), corpus of fine-tuning, number of training speakers, and
#: seed.
Curves = Mapping[tuple[str | None, str, int], Mapping[int, RunResults]]


def compare_few_shot(curves: Curves) -> list[dict[str, Any]]:
    """Score models that were fine-tuned on a few speakers, beside training from scratch on the same ones.

    Args:
        curves: Runs, all runs of a corpus on the same test set; 0 speakers is a model without fine-tuning.

    Returns:
        JSON-ready rows of `source`, `target`, `num_train_speakers`, `seeds` and both `SCORES` (see `score_runs`);
        `gain`, None or the `paired_differences` against scratch with as many speakers, over the seeds that both have;
        `groups` and `speakers` (see `fairness`).
    """
    rows = []
    for (source, target, number), runs in curves.items():
        scores, _, _ = score_runs(runs)
        row = {"source": source, "target": target, "num_train_speakers": number, "seeds": list(runs), **scores}
        scratch = curves.get((None, target, number), {})
        common = [seed for seed in runs if seed in scratch]
        row["gain"] = None
        if source is not None and common:
            first = runs[common[0]]
            row["gain"] = paired_differences(
                first.references,
                np.stack([runs[seed].predictions for seed in common]),
                np.stack([scratch[seed].predictions for seed in common]),
                first.speakers,
                len(first.labels),
            )
        rows.append(row | fairness(runs))
    return rows


def few_shot_markdown(rows: list[Mapping[str, Any]], picture: str) -> str:
    """Return the section of a report on `compare_few_shot`.

    Args:
        rows: Rows of `compare_few_shot`.
        picture: File name of the picture of curves, beside the report.
    """
    header = ["target", "start", "training speakers", "WA", "UA", "UA against scratch", "p"]
    cells = []
    for row in rows:
        gain = row["gain"]["unweighted_accuracy"] if row["gain"] else None
        p = None if gain is None else gain["p"]
        cells.append(
            [
                row["target"],
                start_name(row["source"]),
                str(row["num_train_speakers"]),
                *(score_cell(*(row[name][key] for key in ("mean", "low", "high", "std"))) for name in SCORES),
                "–" if gain is None else score_cell(gain["value"], gain["low"], gain["high"], form="+.3f"),
                "–" if p is None else f"{p:.3f}",
            ]
        )
    notes = [
        "Each model is trained on the clips of so many training speakers of the target, and tested on its test split. "
        "A seed draws the same speakers for all starts, and the weights of the last epoch are taken.",
        "0 speakers: the model as it comes from its own corpus. Scratch: random weights, the same training.",
        "p: swapping the two for random test speakers, two-sided, not corrected for the number of rows.",
    ]
    parts = [markdown_table(header, cells, 2), "\n".join(f"- {note}" for note in notes), f"![Curves]({picture})"]
    return "\n\n".join(parts)


def few_shot_panels(rows: list[Mapping[str, Any]]) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Return UA by number of training speakers for each target and start, as `plot_curves` takes it."""
    panels: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for row in rows:
        score = row["unweighted_accuracy"]
        point = {"x": row["num_train_speakers"], "value": score["mean"], "low": score["low"], "high": score["high"]}
        panels.setdefault(row["target"], {}).setdefault(start_name(row["source"]), []).append(point)
    return panels


def start_name(source: str | None) -> str:
    """Return the name of a start of training, for people."""
    return "scratch" if source is None else f"from {source}"
