"""Record of a model's training, beside the model, and a warning where it names the corpus that is scored."""

import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import datasets
import numpy as np

from ..corpora.corpus_arguments import CorpusArguments
from ..corpora.sources import find_source
from ..files import read_json
from .classifiers.loading import find_model
from .classifiers.outputs import REGRESSION
from .classifiers.pretrained import DEFAULT_MODEL
from .targets import ratings_of


#: Name of the record.
RECORD = "training.json"


def read_record(folder: Path) -> dict[str, Any]:
    """Return the contents of `training.json`, empty without one."""
    return read_json(folder / RECORD) if (folder / RECORD).is_file() else {}


def training_baselines(model: str | os.PathLike | None) -> dict[str, Any]:
    """Return what the baselines of a test predict by the model's record of its training.

    Args:
        model: Folder or Hub name of the model; None for the built-in one. A name on the Hub has no record here.

    Returns:
        `majority_label`, largest class of the training set, and `training_means`, its mean rating by dimension; None
        where the record does not tell.
    """
    record = read_record(find_model(DEFAULT_MODEL if model is None else model))
    labels = record.get("splits", {}).get("train", {}).get("labels") or {}
    means = {name: facts["mean"] for name, facts in record.get("ratings", {}).items()}
    return {"majority_label": max(labels, key=labels.__getitem__, default=None), "training_means": means or None}


def training_warning(model: str | os.PathLike | None, args: CorpusArguments, rows: datasets.Dataset) -> str | None:
    """Return a warning if a model was trained on the corpus that is scored, None if its record tells of no such thing.

    The test clips of the model's own training, by their number and their labels, need no warning.

    Args:
        model: Folder or Hub name of the model; None for the built-in one. A name on the Hub has no record here.
        args: Data set that is scored.
        rows: Clips that are scored.
    """
    record = read_record(find_model(DEFAULT_MODEL if model is None else model))
    corpus = None if args.dataset_name is None else find_source(args.dataset_name, args.data_dir).corpus
    scored = corpus or args.dataset_name
    earlier = (record.get("start"), *record.get("teachers", ()))
    own, others = _corpora(record), set().union(*map(_corpora, earlier))
    names = rows.features[args.label_column_name].names
    dimensions = [name for name in record.get("ratings", {}) if name in rows.column_names]
    if dimensions and record.get("problem_type") == REGRESSION:  # which leaves out clips without ratings
        rows = rows.select(np.flatnonzero(~np.isnan(ratings_of(rows, dimensions)).all(axis=1)))
    labels = Counter(names[label] for label in rows[args.label_column_name])
    its_test = record.get("splits", {}).get("test", {}).get("labels")
    if scored not in own | others or (scored not in others and labels == its_test):
        return None
    trained = "recordings of your own, maybe on these" if scored == "folder" else f"{scored}, which is scored here"
    return (
        f"The model was trained on {trained}. Scores of clips and speakers that it knows are too high: test it on "
        "speakers that it does not know."
    )


def _corpora(training: Mapping[str, Any] | None) -> set[str]:
    """Return the names of the corpora of a training."""
    return {corpus.get("corpus") or corpus["name"] for corpus in (training or {}).get("corpora") or ()}


__all__ = ["RECORD", "read_record", "training_baselines", "training_warning"]
