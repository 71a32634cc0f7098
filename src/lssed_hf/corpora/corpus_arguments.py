"""Flags that name a data set, shared by the commands that load one."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import datasets

from . import corpus_builder
from .feature_sets import FEATURES_COLUMN
from .own.label_tables import UNLABELLED
from .sources import (
    COLUMNS,
    Source,
    encode_labels,
    find_source,
    has_no_label,
    has_no_values,
    load_splits,
    without_missing,
)


def _flag(default: Any, text: str, **more: Any) -> Any:
    return field(default=default, metadata={"help": text, **more})


_OPTIONS = ("label_set", "label_map", "columns", "label_pattern", "speaker_pattern")  # flags of the same names


@dataclass
class CorpusArguments:
    """Data set to load: a folder of recordings, a corpus, a prepared folder or a data set on the Hub."""

    dataset_name: str | None = _flag(
        None,
        "A corpus of lssed_hf.list_corpora(), a folder, or a data set on the Hub. Left out, --data_dir holds your own "
        "recordings or a prepared corpus.",
        aliases=["--corpus"],
    )
    data_dir: str | None = _flag(None, "Folder of the recordings or of the corpus.")
    dataset_config_name: str | None = _flag(
        None, "Configuration. Default: 'benchmark' (four emotions) for corpora, all classes for your own recordings."
    )
    split_scheme: str | None = _flag(
        None, "How a corpus is split. Default: by speaker; 'random' and 'paper' put speakers on both sides."
    )
    label_set: Literal["lssed"] | None = _flag(
        None, "Own recordings: 'lssed' maps labels to the names of LSSED, e.g. joy to happy. Default: as they are."
    )
    label_map: list[str] | None = _flag(  # noqa: RUF009 (its default is None)
        None, "Own recordings, lssed: labels to rename, e.g. wut=angry.", metavar="LABEL=NAME"
    )
    columns: list[str] | None = _flag(  # noqa: RUF009 (its default is None)
        None, "Own recordings, lssed: columns of the table, e.g. name=path emotion=mood.", metavar="FIELD=COLUMN"
    )
    label_pattern: str | None = _flag(
        None, "Own recordings: regular expression that finds the label in a clip's path, e.g. '_([a-z]+)[.]wav$'."
    )
    speaker_pattern: str | None = _flag(
        None, "Own recordings: regular expression that finds the speaker in a clip's path, e.g. '^([^/]+)/'."
    )
    audio_column_name: str = _flag("audio", "Column with the audio, or with the paths in a table of your own.")
    label_column_name: str = _flag("emotion", "Column with the label.")
    speaker_column_name: str = _flag("speaker_id", "Column with the speaker, if there is one.")
    dataset_options: str | None = _flag(
        None, "Further switches of a corpus as JSON, e.g. '{\"keep_chinese\": true}' of lssed."
    )

    def __post_init__(self):
        if self.dataset_name is None and self.data_dir is not None:
            self.dataset_name = find_source(None, self.data_dir).corpus

    def load(
        self,
        undivided: bool = False,
        take: Callable[[datasets.IterableDatasetDict], datasets.DatasetDict] | None = None,
        problem_type: str | None = None,
    ) -> datasets.DatasetDict:
        """Load the splits, with the label as a ClassLabel and the columns under the names that the flags give.

        Args:
            undivided: Whether all clips are taken together, so that own recordings are not divided.
            take: Function that takes clips of streamed splits. Default: nothing is streamed.
            problem_type: Kind of problem of the model. Of any but one class a clip, the default configuration of
                a corpus is the widest: all emotions, or of a regression all that is rated. A regression needs no
                column of labels.

        Raises:
            ValueError: A flag does not fit the data set, or names a column that is not there.
            FileNotFoundError: The folder is missing.
        """
        columns = {usual: getattr(self, flag) for flag, usual in COLUMNS.items()}
        config_name = self.dataset_config_name
        if config_name is None and problem_type not in (None, "single_label_classification"):
            config_name = _widest_config(find_source(self.dataset_name, self.data_dir), problem_type)
        dataset = load_splits(
            self.dataset_name,
            config_name,
            self.data_dir,
            self.split_scheme,
            self.options(),
            columns=columns,
            undivided=undivided,
            streaming=take is not None,
        )
        if take is not None:
            dataset = take(dataset)
        if all(
            self.audio_column_name not in rows.column_names and FEATURES_COLUMN in rows.column_names
            for rows in dataset.values()
        ):
            self.audio_column_name = FEATURES_COLUMN
        for flag, usual in COLUMNS.items():
            name = getattr(self, flag)
            if flag != "label_column_name" and (flag == "audio_column_name" or name != usual):
                _check_column(dataset, name, flag)
        return self.encode(dataset, problem_type)

    def encode(self, dataset: datasets.DatasetDict, problem_type: str | None = None) -> datasets.DatasetDict:
        """Return splits with the label as a ClassLabel, see `load`.

        Rows without audio are left out, and without a label too unless the problem is a regression. A warning counts
        them.

        Args:
            dataset: Splits.
            problem_type: Kind of problem of the model.
        """
        column, audio = self.label_column_name, self.audio_column_name
        if all(audio in rows.column_names for rows in dataset.values()):
            dataset = without_missing(dataset, audio, has_no_values)
        if problem_type == "regression":
            dataset = _with_label(dataset, column)
        return encode_labels(dataset, column)

    def options(self) -> dict[str, Any]:
        """Return the switches of the corpus: those of `dataset_options` and of the flags for own recordings."""
        try:
            options = json.loads(self.dataset_options or "{}")
        except json.JSONDecodeError as error:
            raise ValueError(f"--dataset_options {self.dataset_options!r} is not JSON: {error}") from error
        if not isinstance(options, dict):
            raise ValueError(f'--dataset_options {self.dataset_options!r}: give a JSON object, e.g. {{"name": 1}}')
        flags = {name: getattr(self, name) for name in _OPTIONS}
        return {**options, **{name: value for name, value in flags.items() if value is not None}}


def _widest_config(source: Source, problem_type: str) -> str | None:
    """Return the configuration of a corpus that holds most for a problem; None for data sets of others."""
    if source.manifest is not None:
        return source.manifest["config"]
    if source.corpus is None:
        return None
    builder = corpus_builder(source.corpus)
    has_ratings = problem_type == "regression" and builder.RATINGS.name in builder.builder_configs
    return builder.RATINGS.name if has_ratings else builder.DEFAULT_CONFIG_NAME


def _with_label(dataset: datasets.DatasetDict, column: str) -> datasets.DatasetDict:
    """Return splits with a column of one class, unless all their rows have a label."""
    if all(column in rows.column_names and not has_no_label(rows, column).any() for rows in dataset.values()):
        return dataset
    label, parts = datasets.Features({column: datasets.ClassLabel(names=[UNLABELLED])}), {}
    for split, rows in dataset.items():
        labels = datasets.Dataset.from_dict({column: [0] * len(rows)}, label)
        others = rows.remove_columns([column] if column in rows.column_names else [])
        parts[split] = datasets.concatenate_datasets([others, labels], axis=1)
    return datasets.DatasetDict(parts)


def _check_column(dataset: datasets.DatasetDict, name: str, flag: str) -> None:
    for split, rows in dataset.items():
        if name not in rows.column_names:
            raise ValueError(
                f"split {split!r} has no column {name!r}; it has {', '.join(rows.column_names)}: name one by --{flag}"
            )


__all__ = ["CorpusArguments"]
