"""`lssed_hf.train`: the command `lssed-hf train` as a function."""

import dataclasses
import json
import os
from collections.abc import Mapping
from typing import Any, Literal

import datasets

from ..suggest import did_you_mean
from .arguments import DataArguments, FlagParser, ModelArguments, RecipeArguments
from .recipes import with_recipe
from .train import train_model


_ARGUMENTS = (DataArguments, ModelArguments, RecipeArguments)


def train(
    data: str | os.PathLike | datasets.DatasetDict,
    output_dir: str | os.PathLike,
    *,
    model: str | os.PathLike | None = None,
    recipe: Literal["paper", "small"] | None = None,
    num_train_epochs: float | None = None,
    label_map: Mapping[str, str] | None = None,
    label_set: Literal["lssed"] | None = None,
    data_dir: str | os.PathLike | None = None,
    seed: int = 42,
    **flags: Any,
) -> dict[str, Any]:
    """Train an audio classifier and score it on the test split, as `lssed-hf train` does.

    ```python
    import lssed_hf

    scores = lssed_hf.train("my_recordings", "outputs/mine")
    scores["metrics"]["unweighted_accuracy"]
    ```

    Args:
        data: Folder of recordings, prepared folder, name of a corpus or of a data set on the Hub; or a `DatasetDict`.
        output_dir: Folder for the model, its card and its scores.
        model: Name of `list_models()`, folder or Hub name; by default that of the recipe.
        recipe: "paper", or "small" for some hundreds of clips, the default for own recordings.
        num_train_epochs: Passes over the training set, by default those of the recipe.
        label_map: Labels of own recordings to rename, such as `{"wut": "angry"}`.
        label_set: "lssed" to map labels of own recordings to LSSED's names.
        data_dir: Folder of a corpus that `data` names.
        seed: Seed of weights, order and augmentation.
        **flags: Any flag of `lssed-hf train --help_all`, such as `learning_rate=1e-3`.

    Returns:
        Contents of `results.json`, or an empty dictionary without a test split.

    Raises:
        TypeError: There is no flag of that name.
        ValueError: A value out of its range, or flags that do not go together.
        FileNotFoundError: There is no such folder, model or clip.
    """
    in_memory = isinstance(data, datasets.DatasetDict)
    given = {
        "dataset_name": None if in_memory else os.fspath(data),
        "output_dir": output_dir,
        "model_name_or_path": model,
        "recipe": recipe,
        "num_train_epochs": num_train_epochs,
        "label_map": label_map,
        "label_set": label_set,
        "data_dir": data_dir,
        "seed": seed,
        **flags,
    }
    arguments = parse_flags({name: value for name, value in given.items() if value is not None})
    return train_model(*arguments, dataset=data if in_memory else None)


def parse_flags(given: Mapping[str, Any]) -> tuple[DataArguments, ModelArguments, RecipeArguments]:
    """Return the arguments of a training for flags and their values, as the command line would read them.

    Raises:
        TypeError: There is no flag of that name.
        ValueError: A value that a flag does not take.
    """
    known = [field.name for kind in _ARGUMENTS for field in dataclasses.fields(kind)]
    argv: list[str] = []
    for name, value in given.items():
        if name not in known:
            raise TypeError(f"train() has no flag {name!r}{did_you_mean(name, known)}")
        argv += [f"--{name}", *_words(name, value)]
    return FlagParser().parse_args_into_dataclasses(with_recipe(argv), look_for_args_file=False)


def _words(name: str, value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [f"{key}={text}" for key, text in value.items()] if name == "label_map" else [json.dumps(dict(value))]
    return [str(part) for part in value] if isinstance(value, (list, tuple)) else [str(value)]


__all__ = ["parse_flags", "train"]
