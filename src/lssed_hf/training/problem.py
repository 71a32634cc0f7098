"""Kind of problem that a training learns, and the targets that the rows of a corpus have for it."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from transformers import PretrainedConfig, PreTrainedModel

from ..corpora.base import DIMENSIONS
from ..corpora.own.audformat import HEADER
from ..corpora.own.label_tables import FIELDS, find_tables
from ..corpora.sources import find_source
from ..corpora.tables import Row, column_pairs, read_table
from ..inference.classifiers.checks import check_labels
from ..inference.classifiers.loading import find_model
from ..inference.classifiers.outputs import MULTI_LABEL, REGRESSION, SINGLE_LABEL
from ..inference.classifiers.svm import CLASSICAL
from ..inference.targets import SECONDARY, ratings_of, several_labels, too_large_ratings
from ..labels import label_numbers
from ..models.registry import list_models
from ..wording import count_left_out, counted
from .arguments import DataArguments, ModelArguments, RecipeArguments
from .rating_head import last_layer, put_rating_head


logger = logging.getLogger(__name__)

#: Metric that the best checkpoint is chosen by, in place of the default of classifiers.
BEST_METRIC = {REGRESSION: "mean_ccc", MULTI_LABEL: "macro_f1"}
_DEFAULT_METRIC = "unweighted_accuracy"


@dataclass(frozen=True)
class Problem:
    """Kind of problem, as `problem_type` of transformers' configurations, and the columns with its targets.

    Attributes:
        labels: Names of the model's outputs, its `id2label`: classes, or dimensions of a regression.
        label_column: Name of the column with the class.
        problem_type: One class for each clip, several classes ("multi_label_classification"), or "regression".
        dimensions: Columns of ratings to learn: the outputs of a regression, else those of a second head.
        mean: Mean rating of the training clips, float64 (num_dimensions,).
        std: Standard deviation of their ratings, (num_dimensions,).
        shares: Share of the training clips that have a rating, (num_dimensions,).
    """

    labels: Sequence[str]
    label_column: str
    problem_type: str = SINGLE_LABEL
    dimensions: Sequence[str] = ()
    mean: np.ndarray = field(default_factory=lambda: np.zeros(0))
    std: np.ndarray = field(default_factory=lambda: np.ones(0))
    shares: np.ndarray = field(default_factory=lambda: np.ones(0))

    @property
    def multitask(self) -> bool:
        """True if dimensions are learnt beside classes."""
        return bool(self.dimensions) and self.problem_type != REGRESSION

    @property
    def columns(self) -> list[str]:
        """Columns of targets, besides that of the class."""
        return [*self.dimensions, *([SECONDARY] if self.problem_type == MULTI_LABEL else [])]

    def targets(self, rows: datasets.Dataset) -> np.ndarray | None:
        """Return the targets of the model's outputs, float32 (rows, num_labels); None for one class for each row."""
        if self.problem_type == REGRESSION:
            return ratings_of(rows, self.dimensions)
        if self.problem_type == MULTI_LABEL:
            main = np.array(label_numbers(rows.features[self.label_column].names, self.labels))
            return several_labels(rows, main[np.asarray(rows[self.label_column])], self.labels).astype(np.float32)
        return None

    def most_frequent(self, rows: datasets.Dataset) -> str:
        """Return the label that most rows have. Secondary emotions count where the model learns them."""
        if self.problem_type == MULTI_LABEL:
            return self.labels[self.targets(rows).sum(axis=0).argmax()]
        return rows.features[self.label_column].names[np.bincount(np.asarray(rows[self.label_column])).argmax()]

    def ratings(self, rows: datasets.Dataset) -> np.ndarray | None:
        """Return the targets of a second head, float32 (rows, num_dimensions), NaN where unknown; None without one."""
        return ratings_of(rows, self.dimensions) if self.multitask else None

    def facts(self, rows: datasets.Dataset) -> dict[str, Any]:
        """Return facts for `training.json`: the problem type, and the ratings of the training clips by dimension."""
        facts: dict[str, Any] = {} if self.problem_type == SINGLE_LABEL else {"problem_type": self.problem_type}
        if self.dimensions:
            ratings = ratings_of(rows, self.dimensions)
            facts["ratings"] = {
                name: {
                    "num_clips": int((~np.isnan(column)).sum()),
                    "min": float(np.nanmin(column)),
                    "max": float(np.nanmax(column)),
                    "mean": float(mean),
                    "std": float(std),
                }
                for name, column, mean, std in zip(self.dimensions, ratings.T, self.mean, self.std, strict=True)
            }
        return facts


def settle_problem_type(data_args: DataArguments, model_args: ModelArguments, args: RecipeArguments) -> None:
    """Take the problem type of a saved model that is trained further, if none is asked for, and check the flags.

    Args:
        data_args: Names of columns.
        model_args: Problem type, changed in place.
        args: Metric that the best checkpoint is chosen by, changed in place.

    Raises:
        ValueError: Flags that do not go together.
    """
    if model_args.problem_type is None:
        saved = saved_config(model_args.model_name_or_path).get("problem_type")
        if saved not in (None, SINGLE_LABEL):
            logger.info(f"{model_args.model_name_or_path} has problem_type={saved!r}, and is trained further so")
            model_args.problem_type = saved
    kind = model_args.problem_type or SINGLE_LABEL
    if data_args.dimensions and kind != REGRESSION and not model_args.multitask:
        raise ValueError("--dimensions goes with --problem_type regression, or with --multitask for classes as well")
    if model_args.multitask and kind != SINGLE_LABEL:
        raise ValueError(f"--multitask learns classes and dimensions, which goes not with --problem_type {kind}")
    if args.regression_loss != "mse" and kind != REGRESSION and not model_args.multitask:
        raise ValueError("--regression_loss goes with --problem_type regression or with --multitask")
    if kind == SINGLE_LABEL and not model_args.multitask:
        return
    _check_others(data_args, model_args, args, kind)
    if args.metric_for_best_model == _DEFAULT_METRIC:
        args.metric_for_best_model = BEST_METRIC.get(kind, _DEFAULT_METRIC)


def _check_others(data_args: DataArguments, model_args: ModelArguments, args: RecipeArguments, kind: str) -> None:
    """Check that no flag for plain classes is given."""
    name = model_args.model_name_or_path
    given = {
        f"--model_name_or_path {name}": name in CLASSICAL,
        "--teacher": args.teacher,
        f"--adversarial {args.adversarial}": args.adversarial != "none",
        "--adversarial_test": args.adversarial_test,
        "--refit_head": args.refit_head,
        "--extra_corpora": data_args.extra_corpora,
        "--probe_pooling statistics": model_args.probe_pooling == "statistics",
    }
    if model_args.multitask:
        given["--probe"] = model_args.probe
    else:
        given |= {
            f"--class_weighting {args.class_weighting}": args.class_weighting != "none",
            f"--sampling {args.sampling}": args.sampling != "random",
            "--label_smoothing_factor": args.label_smoothing_factor,
        }
    asked = "--multitask" if model_args.multitask else f"--problem_type {kind}"
    for flag, is_given in given.items():
        if is_given:
            raise ValueError(f"{flag} and {asked} do not go together: leave one of them out")


def saved_config(name: str) -> Mapping[str, Any]:
    """Return the configuration of a saved model; nothing of a new network, or of a model that cannot be found."""
    if name in (*list_models(), *CLASSICAL):
        return {}
    try:
        folder = find_model(name)
        config = PretrainedConfig.get_config_dict(folder)[0]
    except (OSError, ValueError):  # which opening it will say
        return {}
    check_labels(config, Path(folder, "config.json"))
    return config


def choose_problem(data_args: DataArguments, model_args: ModelArguments, rows: datasets.Dataset) -> Problem:
    """Return the problem of a training, with the statistics of its ratings.

    Args:
        data_args: Names of columns.
        model_args: Problem type.
        rows: Training clips.

    Raises:
        ValueError: A column of ratings is missing, holds no numbers, or no two of them differ; or clips that may have
            several classes all have the same.
    """
    kind, label_column = model_args.problem_type or SINGLE_LABEL, data_args.label_column_name
    labels = rows.features[label_column].names
    if kind != REGRESSION and not model_args.multitask:
        if kind == MULTI_LABEL and SECONDARY not in rows.column_names:
            raise ValueError(
                f"--problem_type {kind} needs a column {SECONDARY!r} of further classes; there are "
                f"{', '.join(rows.column_names)}"
            )
        if kind == SINGLE_LABEL:
            return Problem(labels, label_column)
        problem = Problem(_all_labels(rows, labels, data_args), label_column, kind)
        _check_classes(problem, rows)
        return problem
    dimensions = _dimensions(data_args, model_args, rows)
    ratings = ratings_of(rows, dimensions).astype(np.float64)
    for name, column in zip(dimensions, ratings.T):
        if len(np.unique(column[~np.isnan(column)])) < 2:
            raise ValueError(
                f"the training clips have no two different ratings of {name}: leave it out of --dimensions"
            )
    names = dimensions if kind == REGRESSION else labels
    shares = (~np.isnan(ratings)).mean(axis=0)
    return Problem(
        names, label_column, kind, dimensions, np.nanmean(ratings, axis=0), np.nanstd(ratings, axis=0), shares
    )


def _check_classes(problem: Problem, rows: datasets.Dataset) -> None:
    """Check that the classes of some clips differ, where each may have several."""
    targets = problem.targets(rows) > 0
    if (targets == targets[0]).all():
        found = " and ".join(name for name, has in zip(problem.labels, targets[0]) if has)
        raise ValueError(f"all training clips are {found}: a classifier needs clips that differ in a class at least")
    if missing := [name for name, column in zip(problem.labels, targets.T) if not column.any()]:
        logger.warning(f"no training clip of {', '.join(missing)}: nothing is learnt of it")


def _all_labels(rows: datasets.Dataset, labels: Sequence[str], data_args: DataArguments) -> list[str]:
    """Return the classes and the secondary emotions that occur. The configuration of four classes keeps to these."""
    names = rows.features[SECONDARY].feature.names
    counts = Counter(names[number] for others in rows[SECONDARY] for number in others or ())
    others = [name for name, known in zip(names, label_numbers(names, labels)) if known < 0 and counts[name]]
    if others and data_args.dataset_config_name == "benchmark":
        left_out = ", ".join(f"{counts[name]:,} {name}" for name in others)
        logger.warning(f"secondary emotions that are not among the classes are left out: {left_out}")
        return list(labels)
    return [*labels, *others]


def _dimensions(data_args: DataArguments, model_args: ModelArguments, rows: datasets.Dataset) -> list[str]:
    saved = saved_config(model_args.model_name_or_path)
    names = list((saved.get("id2label") or {}).values()) if saved.get("problem_type") == REGRESSION else []
    names = [name for name in names if name in rows.column_names]
    dimensions = data_args.dimensions or names or [name for name in DIMENSIONS if name in rows.column_names]
    asked = "--multitask" if model_args.multitask else f"--problem_type {REGRESSION}"
    if not dimensions:
        name = data_args.dataset_name or "the data set"
        raise ValueError(
            _unread_ratings(data_args, asked)
            or f"{asked}: {name} has no ratings of {', '.join(DIMENSIONS)}; its columns are "
            f"{', '.join(rows.column_names)}. Name those with ratings: --dimensions COLUMN"
        )
    for name in dimensions:
        feature = rows.features.get(name)
        if feature is None:
            raise ValueError(f"--dimensions {name}: there is no such column among {', '.join(rows.column_names)}")
        if not isinstance(feature, datasets.Value) or not feature.dtype.startswith(("float", "int", "uint")):
            raise ValueError(f"--dimensions {name}: the column holds no numbers")
    return list(dict.fromkeys(dimensions))


def _unread_ratings(data_args: DataArguments, asked: str) -> str | None:
    """Return why the table of own recordings gives no ratings, None for other data."""
    source = None if data_args.dataset_name is None else find_source(data_args.dataset_name, data_args.data_dir)
    if source is None or source.corpus != "folder" or source.manifest is not None:
        return None
    if "data_files" in data_args.options() or Path(source.path, HEADER).is_file():
        return None
    tables = find_tables(Path(source.path))
    columns = list(dict.fromkeys(name for row in tables[:1] for name in next(read_table(row.path), Row()).columns))
    if not columns:
        return f"{asked} needs a table with a column of ratings, and {source.path} has none"
    ratings = column_pairs(data_args.columns, FIELDS)
    if named := [ratings.get(name, name) for name in DIMENSIONS if ratings.get(name, name) in columns]:
        return (
            f"{asked}: {tables[0].path} has the column {', '.join(named)}, and none of its values could be read as "
            "numbers. Write ratings as numbers"
        )
    return (
        f"{asked}: {tables[0].path} has no column of {', '.join(DIMENSIONS)}; its columns are {', '.join(columns)}. "
        "Name the one with ratings: --columns arousal=COLUMN"
    )


def rated_splits(dataset: datasets.DatasetDict, problem: Problem) -> datasets.DatasetDict:
    """Return the splits without the clips that a regression has no rating of. They are counted in the log.

    Raises:
        ValueError: No clip of a split has a rating of some dimension.
    """
    if not problem.dimensions:
        return dataset
    parts = {}
    for split, rows in dataset.items():
        if too_large := too_large_ratings(rows, problem.dimensions):
            logger.warning(f"{split}: ratings that are no finite numbers count as missing: {too_large}; correct them")
        known = ~np.isnan(ratings_of(rows, problem.dimensions))
        for name, column in zip(problem.dimensions, known.T):
            if not column.any():
                raise ValueError(
                    f"no clip of the split {split!r} has a rating of {name}: leave it out of --dimensions"
                )
        rated = known.any(axis=1)
        missing = ", ".join(
            f"{(~column).sum():,} of {name}" for name, column in zip(problem.dimensions, known.T) if not column.all()
        )
        if not known.all():
            left = "all are kept"
            if not (problem.multitask or rated.all()):
                left = count_left_out((~rated).sum(), "clip", "without any")
            logger.warning(f"{split}: {counted(len(rows), 'clip')}, without ratings: {missing}; {left}")
        parts[split] = rows if problem.multitask or rated.all() else rows.select(np.flatnonzero(rated))
    return datasets.DatasetDict(parts)


def problem_fields(problem: Problem, saved: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a model's configuration that name the kind of problem, where they are not the defaults.

    Args:
        problem: Kind of problem.
        saved: Configuration that the network was saved with, whose fields may have to be reset; empty for a new one.
    """
    fields: dict[str, Any] = {}
    if problem.problem_type != SINGLE_LABEL or saved.get("problem_type") is not None:
        fields["problem_type"] = problem.problem_type
    if problem.multitask or saved.get("dimensions"):
        fields["dimensions"] = list(problem.dimensions) if problem.multitask else []
    return fields


def prepare_heads(model: PreTrainedModel, problem: Problem, saved: Mapping[str, Any]) -> None:
    """Begin heads anew that were trained for another problem, and let ratings be learnt in units of their deviations.

    Args:
        model: Network, changed in place.
        problem: Kind of problem.
        saved: Configuration that the network was saved with; empty for a new one.
    """
    kind, before = problem.problem_type, saved.get("problem_type") or SINGLE_LABEL
    names = [label for _, label in sorted((saved.get("id2label") or {}).items(), key=lambda pair: int(pair[0]))]
    is_new = not saved or kind != before or (kind == REGRESSION and names != list(problem.labels))
    if saved and is_new:
        logger.warning(f"a new head: the model has problem_type={before!r} ({', '.join(names)}), and learns {kind!r}")
        model.get_submodule(last_layer(model, len(problem.labels))).reset_parameters()
    if kind == REGRESSION:
        name = last_layer(model, len(problem.labels))
        put_rating_head(model, name, problem.mean, problem.std, is_new)
    rated_before = saved.get("dimensions") or []
    if rated_before and rated_before != list(problem.dimensions):
        logger.warning(f"the model's second head ({', '.join(rated_before)}) is left out; --multitask learns one")
    if problem.multitask:
        put_rating_head(model, "dimension_head", problem.mean, problem.std, rated_before != list(problem.dimensions))
