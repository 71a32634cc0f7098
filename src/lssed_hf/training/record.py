"""Outcome of a training, and its record for the card of the model."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import datasets

from ..files import read_json, write_json
from ..hub.training_record import corpus_facts, split_facts, start_facts, write_record
from ..inference.trained_on import RECORD
from .arguments import DataArguments, ModelArguments, RecipeArguments
from .problem import Problem
from .teachers import Teacher


@dataclass(frozen=True)
class Outcome:
    """Outcome of a training. In all processes but the first one it may be empty.

    Attributes:
        num_parameters: Number of parameters of the model.
        train_metrics: Contents of `train_results.json`.
        validation_metrics: Contents of `eval_results.json`.
        results: Contents of `results.json`, empty without a test split.
    """

    num_parameters: int = 0
    train_metrics: dict[str, Any] = field(default_factory=dict)
    validation_metrics: dict[str, Any] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)

    def write_metrics(self, output_dir: str | os.PathLike) -> None:
        """Write the files of metrics, under the names that transformers' Trainer gives them."""
        write_json(Path(output_dir, "train_results.json"), self.train_metrics)
        write_json(Path(output_dir, "eval_results.json"), self.validation_metrics)


def read_outcome(output_dir: str | os.PathLike) -> Outcome:
    """Return the outcome of a finished training from its files; of those that are missing, nothing."""
    names = (RECORD, "train_results.json", "eval_results.json", "results.json")
    record, *metrics = (read_json(path) if (path := Path(output_dir, name)).is_file() else {} for name in names)
    return Outcome(record.get("num_parameters", 0), *metrics)


def record_training(
    data_args: DataArguments,
    model_args: ModelArguments,
    args: RecipeArguments,
    dataset: datasets.DatasetDict,
    num_parameters: int,
    teachers: Sequence[Teacher] = (),
    num_unlabelled: int = 0,
    recipe: Any = None,
    trained: Mapping[str, Any] | None = None,
    problem: Problem | None = None,
) -> None:
    """Write `training.json`.

    Args:
        data_args: Data set that the model is trained on.
        model_args: Model that is trained.
        args: Recipe of a network, with the output folder.
        dataset: Splits with encoded labels.
        num_parameters: Number of parameters of the model.
        teachers: Teachers of a distillation.
        num_unlabelled: Number of training clips without labels.
        recipe: Dataclass of the settings of a classical model, which has no use for `args`.
        trained: Part of the model that is trained, see `trained_part`. Default: all.
        problem: Kind of problem. Default: one class for each clip.
    """
    uses = {
        "train": data_args.train_split_name,
        "validation": data_args.validation_split_name,
        "test": data_args.test_split_name,
    }
    speakers, labels = {}, {}
    for use, split in uses.items():
        if split in dataset:
            rows = dataset[split]
            known = data_args.speaker_column_name in rows.column_names
            speakers[use] = list(rows[data_args.speaker_column_name]) if known else [None] * len(rows)
            names = rows.features[data_args.label_column_name].names
            labels[use] = [names[label] for label in rows[data_args.label_column_name]]
    name = model_args.model_name_or_path
    # The layer of a probe, the epoch of a network; nothing of a classical model.
    chosen = model_args.probe or (recipe is None and args.load_best_model_at_end)
    others = [corpus.partition("=")[::2] for corpus in data_args.extra_corpora or ()]
    corpus = (data_args.dataset_name, data_args.data_dir, data_args.dataset_config_name, data_args.split_scheme)
    facts = {
        "model": Path(name).name if os.path.isdir(name) else name,
        "start": start_facts(name),
        "corpora": [
            corpus_facts(*corpus, dataset[uses["train"]].info),
            *(corpus_facts(other, folder or None, None, None) for other, folder in others),
        ],
        "teachers": [teacher.facts() for teacher in teachers],
        "num_unlabelled": num_unlabelled,
        "num_parameters": num_parameters,
        "trained": trained or {"part": "all", "num_parameters": num_parameters},
        "selected_on_test": chosen and uses["validation"] == uses["test"],
        **split_facts(speakers, labels),
        **({} if problem is None else problem.facts(dataset[uses["train"]])),
    }
    write_record(args.output_dir, facts, (data_args, model_args, recipe or args))
