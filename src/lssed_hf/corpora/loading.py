"""Loading whatever a user names: a corpus of the registry, a prepared folder, a Hub dataset."""

import os
from collections.abc import Mapping
from typing import Any

import datasets

from . import corpus_builder, list_corpora, load_corpus


def load_splits(
    name: str,
    config_name: str | None = None,
    data_dir: str | os.PathLike | None = None,
    split_scheme: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> datasets.DatasetDict:
    """A corpus of `list_corpora()`, else `load_dataset(name)`.

    Corpora of emotions give four of them unless `config_name` says otherwise, others their default configuration.

    A folder of a corpus's name wins over the corpus unless `data_dir` is given: `lssed` may be a prepared folder.

    Args:
        name: of a corpus, a folder or a dataset on the Hub.
        config_name: configuration.
        data_dir: the folder that holds the corpus.
        split_scheme: of a corpus; datasets are divided already.
        options: switches of a corpus, e.g. `{"keep_chinese": True}`.

    Raises:
        ValueError: `split_scheme` or `options` for a dataset that is divided already; and what `load_corpus` raises.
    """
    registered = name in list_corpora()
    if registered and (data_dir is not None or not os.path.isdir(name)):
        builder_class = corpus_builder(name)
        if config_name is None:
            has_benchmark = "benchmark" in builder_class.builder_configs
            config_name = "benchmark" if has_benchmark else builder_class.DEFAULT_CONFIG_NAME
        return load_corpus(name, data_dir, config_name, split_scheme=split_scheme, **(options or {}))
    if split_scheme is not None or options:
        raise ValueError(
            f"split_scheme and options are for corpora read from their raw files, and {name} is divided already; a "
            "prepared folder has a configuration for each scheme, such as benchmark_paper"
        )
    if registered:
        name = os.path.abspath(name)  # by its name alone, load_dataset would take our builder for the folder
    data_dir = None if data_dir is None else os.fspath(data_dir)
    return datasets.load_dataset(name, config_name, data_dir=data_dir)


def encode_labels(dataset: datasets.DatasetDict, column: str) -> datasets.DatasetDict:
    """The dataset with `column` as a ClassLabel; names are sorted over all splits where it was text or numbers.

    Raises:
        ValueError: there is no such column.
    """
    for split, rows in dataset.items():
        if column not in rows.column_names:
            raise ValueError(
                f"split {split!r} has no column {column!r}; it has {', '.join(rows.column_names)}. Name the one with "
                "the labels (--label_column_name)"
            )
    if all(isinstance(rows.features[column], datasets.ClassLabel) for rows in dataset.values()):
        return dataset
    names = sorted({str(label) for rows in dataset.values() for label in rows.unique(column)})
    label = datasets.ClassLabel(names=names)
    return datasets.DatasetDict(
        {
            split: rows.map(
                lambda row: {column: names.index(str(row[column]))},
                features=datasets.Features({**rows.features, column: label}),
            )
            for split, rows in dataset.items()
        }
    )
