"""Scores of one system on one test set, and the files that hold them: JSON, Markdown, a picture and a CSV."""

import csv
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..escaping import context_list, csv_cell, plain
from ..files import replacing, write_json, write_together
from .fairness import SPEAKER_NOTE, group_indices, speaker_recalls, speaker_rows
from .intervals import SCORES, bootstrap_intervals, majority_row
from .multi_label_report import multi_label_sections
from .plots import plot_confusion_matrix
from .rating_report import rating_sections
from .run_results import RunResults
from .ser_metrics.ser_metrics import check_labels, score
from .text_tables import (
    bracket_note,
    group_table,
    left_out_note,
    majority_note,
    markdown_table,
    score_cell,
    size_words,
)


_STATISTICS_NOTES = {
    "corpus": "Clips were normalised by the statistics of the training corpus, although the model was trained on "
    "those of each speaker.",
    "all": "Clips were normalised by the statistics of all clips of their speaker in this set, without labels: "
    "scored clips enter them, which a live application does not have ahead.",
    "file": "Clips were normalised by the statistics of their speaker in a file that lssed-hf enroll wrote.",
    "enrolment": "Clips were normalised by the statistics of {enrolment_clips} {enrolment_label} clips of their "
    "speaker (seed {enrolment_seed}). These {taken:,} clips are not scored.",
}


def evaluate_predictions(
    references: Sequence[int],
    logits_or_probabilities: np.ndarray,
    labels: Sequence[str],
    *,
    ids: Sequence[str] | None = None,
    speakers: Sequence[str | None] | None = None,
    groups: Mapping[str, Sequence[str | None]] | None = None,
    majority_label: int | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Score one system on one test set.

    Args:
        references: True labels, indices into `labels`, (N,).
        logits_or_probabilities: One row per utterance, (N, C); the largest entry of a row is the prediction.
        labels: Class names, (C,).
        ids: Name of each utterance, (N,); only checked, so that no utterance counts twice.
        speakers: Speaker of each utterance, (N,); intervals are clustered by them. None is an unknown speaker; when
            all are unknown, utterances count as independent.
        groups: Attributes to score by value, each (N,), as in `{"gender": ["female", None, ...]}`. Utterances where
            the value is None are in no group.
        majority_label: Largest class of the training set; by default that of the references.
        seed: Seed of the bootstrap.

    Returns:
        JSON-ready dictionary: `labels`; `num_utterances`; `num_speakers` (known ones, None without speakers);
        `metrics` (see `score`); `intervals` (see `bootstrap_intervals`) and `interval_clusters`, "speaker" or
        "utterance"; `majority` (see `majority_row`) and `majority_from`, "training" or "references"; `groups`, which
        maps an attribute to a list of `value`, `num_utterances`, `num_speakers`, `intervals` and `per_class_recall`;
        `speakers` (see `speaker_recalls`), None unless two are known.

    Raises:
        ValueError: Shapes that do not fit each other, NaN in a row, repeated ids or labels, a label out of range.
    """
    rows = _checked_rows(logits_or_probabilities, labels)
    columns = {"references": references, "ids": ids, "speakers": speakers, **(groups or {})}
    for name, column in columns.items():
        if column is not None and len(column) != len(rows):
            raise ValueError(f"{len(rows)} rows of logits or probabilities but {len(column)} {name}")
    if ids is not None:
        _check_unique("ids", ids)
    if speakers is not None and all(speaker is None for speaker in speakers):
        speakers = None

    references, predictions, num_labels = check_labels(references, rows.argmax(axis=1), len(labels))
    return {
        "labels": list(labels),
        **_scores(references, predictions, speakers, num_labels, seed),
        "interval_clusters": "utterance" if speakers is None else "speaker",
        "majority": majority_row(references, None if majority_label is None else [majority_label], num_labels),
        "majority_from": "references" if majority_label is None else "training",
        "groups": _group_scores(groups or {}, references, predictions, speakers, num_labels, seed),
        "speakers": None
        if speakers is None
        else speaker_recalls(references, predictions, speakers, num_labels, seed=seed),
    }


def _scores(
    references: np.ndarray,
    predictions: np.ndarray,
    speakers: Sequence[str | None] | None,
    num_labels: int,
    seed: int,
) -> dict[str, Any]:
    return {
        "num_utterances": len(references),
        "num_speakers": None if speakers is None else len(set(speakers) - {None}),
        "metrics": score(references, predictions, num_labels),
        "intervals": bootstrap_intervals(references, predictions, speakers, num_labels, seed=seed),
    }


def _group_scores(
    groups: Mapping[str, Sequence[str | None]],
    references: np.ndarray,
    predictions: np.ndarray,
    speakers: Sequence[str | None] | None,
    num_labels: int,
    seed: int,
) -> dict[str, list[dict[str, Any]]]:
    by_attribute: dict[str, list[dict[str, Any]]] = {attribute: [] for attribute in groups}
    for attribute, value, chosen in group_indices(groups):
        chosen_speakers = None if speakers is None else [speakers[index] for index in chosen]
        with warnings.catch_warnings():  # the report shows that a group of one speaker has no interval
            warnings.simplefilter("ignore", UserWarning)
            scores = _scores(references[chosen], predictions[chosen], chosen_speakers, num_labels, seed)
        scores["per_class_recall"] = scores.pop("metrics")["per_class_recall"]
        by_attribute[attribute].append({"value": value, **scores})
    return by_attribute


def joined_runs(runs: Sequence[RunResults]) -> RunResults:
    """Return runs on different utterances as one run, scored on all of them. A single run stays as it is.

    Args:
        runs: Runs of one system, such as one for each speaker who is left out of the training.
    """
    if len(runs) == 1:
        return runs[0]
    first = runs[0]
    ids = [name for run in runs for name in run.ids]
    references, predictions, probabilities = (
        np.concatenate([getattr(run, name) for run in runs]) for name in ("references", "predictions", "probabilities")
    )
    speakers = [speaker for run in runs for speaker in run.speakers or [None] * len(run.ids)]
    groups = {
        name: [value for run in runs for value in run.groups.get(name, [None] * len(run.ids))]
        for name in dict.fromkeys(name for run in runs for name in run.groups)
    }
    # The digits of the CSV may tie, so the predictions are scored and not the probabilities.
    rows = np.eye(len(first.labels))[predictions]
    results = evaluate_predictions(references, rows, first.labels, ids=ids, speakers=speakers, groups=groups)
    known = None if all(speaker is None for speaker in speakers) else speakers
    return RunResults(results, ids, references, predictions, probabilities, known, groups)


def adversarial_scores(real: Mapping[str, Any], fake: Mapping[str, Any], epsilon: float) -> dict[str, Any]:
    """Return the entry `adversarial` of `results.json`.

    Args:
        real: Scores of the clips, from `evaluate_predictions`.
        fake: Scores of their FGSM versions.
        epsilon: Step of the FGSM.

    Returns:
        `epsilon`, and `metrics` and `intervals` of the `real` clips and of the `fake` ones.
    """
    kept = ("metrics", "intervals")
    return {"epsilon": epsilon, "real": {key: real[key] for key in kept}, "fake": {key: fake[key] for key in kept}}


def write_report(
    results: Mapping[str, Any],
    output_dir: str | os.PathLike,
    *,
    title: str = "Evaluation",
    context: Mapping[str, str] | None = None,
) -> Path:
    """Write `results.json`, `report.md` and, of one class each, `confusion_matrix.png`, all of them or none.

    Args:
        results: Scores from `evaluate_predictions`, with `adversarial`, `speaker_normalization`, `ratings` and
            `left_out` where they apply; or from `evaluate_multi_label` or `evaluate_ratings` with a `problem_type`.
        output_dir: Folder to write to, made if need be; files of an earlier report are replaced.
        title: Heading of the report.
        context: Facts on the run, such as model, data set, split and command, and perhaps a `warning` and a
            sentence on the `speakers` that training and test share. They head the report and enter `results.json`.

    Returns:
        Path of `report.md`, which is written last.
    """
    folder = Path(output_dir)
    context = dict(context or {})
    content = {"title": title, "context": context, **results}
    writers = {"results.json": lambda path: write_json(path, content, allow_nan=False)}
    if "problem_type" not in results:
        matrix, labels = results["metrics"]["confusion_matrix"], results["labels"]
        writers["confusion_matrix.png"] = lambda path: plot_confusion_matrix(matrix, labels, path, title)
    text = _markdown(results, title, context)
    writers["report.md"] = lambda path: path.write_text(text + "\n", encoding="utf-8")
    write_together(folder, writers)
    return folder / "report.md"


def write_predictions(
    path: str | os.PathLike,
    ids: Sequence[str],
    references: Sequence[int | None],
    probabilities: np.ndarray,
    labels: Sequence[str],
    speakers: Sequence[str | None] | None = None,
    groups: Mapping[str, Sequence[str | None]] | None = None,
    ratings: Mapping[str, Sequence[str]] | None = None,
) -> Path:
    """Write one CSV row per utterance: `id`, `reference`, `prediction` (names) and a `probability_<label>` per class.

    After the id there is a column `speaker`, if speakers are given, and one for each attribute of `groups`. Names that
    a spreadsheet would run as a formula have an apostrophe in front (see `csv_text`).

    Args:
        path: File to write; an earlier one is replaced.
        ids: Name of each utterance, (N,).
        references: True labels, (N,); None or -1 where unknown, which leaves the cell empty.
        probabilities: One row per utterance, (N, C), summing to 1.
        labels: Class names, (C,).
        speakers: Speaker of each utterance, (N,); None, an unknown one, leaves the cell empty.
        groups: Attributes by name, each (N,), see `evaluate_predictions`.
        ratings: Further columns, from `rating_columns`.

    Returns:
        The path.

    Raises:
        ValueError: Shapes that do not fit each other, rows that are no probabilities, or a label out of range.
    """
    rows = _checked_rows(probabilities, labels)
    # Loose, because half precision is off by up to a per cent; logits are far off.
    if (rows < 0).any() or not np.allclose(rows.sum(axis=1), 1, atol=0.02):
        raise ValueError("rows must be probabilities that sum to 1; apply a softmax to logits first")
    if not len(ids) == len(references) == len(rows):
        raise ValueError(f"{len(rows)} rows of probabilities, {len(ids)} ids and {len(references)} references")
    facts = {**({} if speakers is None else {"speaker": speakers}), **(groups or {})}
    for name, column in facts.items():
        if len(column) != len(rows):
            raise ValueError(f"{len(rows)} rows of probabilities, but {len(column)} of {name}")
    references = [-1 if reference is None else int(reference) for reference in references]
    for index, reference in enumerate(references):
        if not -1 <= reference < len(labels):
            raise ValueError(f"references[{index}] is {reference}, but labels run from 0 to {len(labels) - 1}")

    names = [*labels, ""]  # so that -1 is the empty name
    columns = {
        "reference": [csv_cell(names[reference]) for reference in references],
        "prediction": [csv_cell(names[row.argmax()]) for row in rows],
        **{f"probability_{label}": [f"{p:.6g}" for p in column] for label, column in zip(labels, rows.T)},
    }
    return write_columns(path, ids, facts, {**columns, **(ratings or {})})


def write_columns(
    path: str | os.PathLike,
    ids: Sequence[str],
    facts: Mapping[str, Sequence[str | None]],
    columns: Mapping[str, Sequence[str]],
) -> Path:
    """Write one CSV row per utterance: `id`, facts on it, and columns of scores.

    Args:
        path: File to write; an earlier one is replaced.
        ids: Name of each utterance, (N,).
        facts: Speakers and other attributes by name, each (N,); None leaves a cell empty.
        columns: Cells by name, each (N,), ready for the file.

    Returns:
        The path.
    """
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", *facts, *columns])
        for name, *row in zip(ids, *facts.values(), *columns.values(), strict=True):
            texts, cells = [name, *row[: len(facts)]], row[len(facts) :]
            writer.writerow([*(csv_cell("" if text is None else str(text)) for text in texts), *cells])
    return Path(path)


def _checked_rows(rows: np.ndarray, labels: Sequence[str]) -> np.ndarray:
    rows = np.asarray(rows)
    _check_unique("labels", labels)
    if rows.ndim != 2 or rows.shape[1] != len(labels):
        raise ValueError(f"{len(labels)} labels need rows of that length, got shape {rows.shape}")
    if np.isnan(rows).any():
        raise ValueError(f"row {np.argwhere(np.isnan(rows))[0, 0]} holds NaN, so it predicts nothing")
    return rows


def _check_unique(name: str, values: Sequence[str]) -> None:
    first: dict[str, int] = {}
    for index, value in enumerate(values):
        if first.setdefault(value, index) != index:
            raise ValueError(f"{name}[{index}] repeats {name}[{first[value]}]: {value!r}")


def _markdown(results: Mapping[str, Any], title: str, context: Mapping[str, str]) -> str:
    parts = [f"# {title}"]
    if facts := {name: value for name, value in context.items() if name not in ("warning", "speakers")}:
        parts.append(context_list(facts))
    if "warning" in context:
        parts.append(f"**{plain(context['warning'])}**")
    sections = {"regression": rating_sections, "multi_label_classification": multi_label_sections}
    size, *others = sections.get(results.get("problem_type"), _class_sections)(results)
    parts += [f"{size} {plain(context.get('speakers', ''))}".strip()]
    parts += [note for note in (left_out_note(results.get("left_out", ())), *others) if note]
    if "ratings" in results:
        parts += ["## Dimensions", *rating_sections(results["ratings"])]
    if facts := results.get("speaker_normalization"):
        parts += ["## A person's own baseline", speaker_normalization_note(facts)]
        if facts["enrolment"]:
            clips = [[speaker, ", ".join(ids)] for speaker, ids in facts["enrolment"].items()]
            parts.append(markdown_table(["speaker", "enrolment"], clips, 2))
    if "adversarial" in results:
        parts += ["## Adversarial clips", adversarial_table(results["adversarial"])]
    return "\n\n".join(parts)


def _class_sections(results: Mapping[str, Any]) -> list[str]:
    parts = [
        f"{size_words(results)}.",
        summary_table(results),
        class_note(results),
        "## Classes",
        classes_table(results),
        "![Confusion matrix](confusion_matrix.png)",
    ]
    if groups := groups_table(results):
        parts += ["## Groups", groups]
    if results.get("speakers"):
        rows = speaker_rows(results["speakers"])
        parts += ["## Speakers", markdown_table(["", "speaker", "utterances", "WA", "UA"], rows), SPEAKER_NOTE]
    return parts


def class_note(results: Mapping[str, Any]) -> str:
    """Return the sentences on the scores and the second row of `summary_table`."""
    return (
        f"WA is accuracy, UA the mean recall of the classes; macro F1 is {results['metrics']['macro_f1']:.3f}. "
        f"{bracket_note(results)} {majority_note(results)}"
    )


def summary_table(results: Mapping[str, Any]) -> str:
    """Return WA and UA with their intervals, and the majority row, as a Markdown table."""
    majority = results["majority"]
    return markdown_table(
        ["", "WA", "UA"],
        [
            ["**this system**", *interval_cells(results["intervals"])],
            [f'always "{results["labels"][majority["label"]]}"', *(f"{majority[name]:.3f}" for name in SCORES)],
        ],
    )


def classes_table(results: Mapping[str, Any]) -> str:
    """Return utterances, predictions and recall of each class as a Markdown table."""
    metrics = results["metrics"]
    return markdown_table(
        ["class", "utterances", "predicted", "recall"],
        [
            [label, f"{sum(row):,}", f"{sum(column):,}", "–" if recall is None else f"{recall:.3f}"]
            for label, row, column, recall in zip(
                results["labels"],
                metrics["confusion_matrix"],
                zip(*metrics["confusion_matrix"], strict=True),
                metrics["per_class_recall"],
                strict=True,
            )
        ],
    )


def groups_table(results: Mapping[str, Any]) -> str | None:
    """Return WA and UA of each group as a Markdown table, or None without groups."""
    return group_table(results, ["WA", "UA"], lambda part: interval_cells(part["intervals"]))


def interval_cells(intervals: Mapping[str, Mapping[str, float | None]]) -> list[str]:
    """Return WA and UA with their intervals as cells of a table."""
    return [score_cell(**intervals[name]) for name in SCORES]


def adversarial_table(results: Mapping[str, Any]) -> str:
    """Return WA and UA of real and fake clips, with their intervals, as a Markdown table.

    Args:
        results: Scores from `adversarial_scores`.
    """
    rows = {"real": "real", "fake": f"fake (FGSM, epsilon {results['epsilon']:g})"}
    return markdown_table(
        ["", "WA", "UA"], [[title, *interval_cells(results[name]["intervals"])] for name, title in rows.items()]
    )


def speaker_normalization_note(facts: Mapping[str, Any]) -> str:
    """Return a sentence or two on the statistics that clips were normalised by.

    Args:
        facts: Entry `speaker_normalization` of `results.json`.
    """
    note = _STATISTICS_NOTES[facts["statistics"]]
    if facts["enrolment"]:
        note = note.format(**facts, taken=sum(map(len, facts["enrolment"].values())))
    if facts["num_without_speaker"]:
        note += f" {facts['num_without_speaker']:,} clips have no speaker, and the statistics of the training corpus."
    return note
