"""The record of a training, for the card of its model."""

import os
from collections.abc import Sequence
from pathlib import Path

import datasets

from ..hub.training_record import corpus_facts, split_facts, start_facts, write_record
from .arguments import DataArguments, ModelArguments, RecipeArguments
from .svm import SVMSettings
from .teachers import Teacher


def record_training(
    data_args: DataArguments,
    model_args: ModelArguments,
    args: RecipeArguments,
    dataset: datasets.DatasetDict,
    num_parameters: int,
    teachers: Sequence[Teacher] = (),
    num_unlabelled: int = 0,
    recipe: SVMSettings | None = None,
) -> None:
    """Write `training.json`, of networks before the training so that every card has it; `recipe` replaces theirs."""
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
    # A probe's layer, a network's epoch; of a support vector machine nothing.
    chosen = model_args.probe or (recipe is None and args.load_best_model_at_end)
    others = [_extra_facts(text) for text in data_args.extra_corpora or ()]
    corpus = (data_args.dataset_name, data_args.data_dir, data_args.dataset_config_name, data_args.split_scheme)
    facts = {
        "model": Path(name).name if os.path.isdir(name) else name,
        "start": start_facts(name),
        "corpora": [corpus_facts(*corpus, dataset[uses["train"]].info), *others],
        "teachers": [teacher.facts() for teacher in teachers],
        "num_unlabelled": num_unlabelled,
        "num_parameters": num_parameters,
        "selected_on_test": chosen and uses["validation"] == uses["test"],
        **split_facts(speakers, labels),
    }
    write_record(args.output_dir, facts, (data_args, model_args, recipe or args))


def _extra_facts(text: str) -> dict:
    name, _, folder = text.partition("=")
    return corpus_facts(name, folder or None, None, None)
