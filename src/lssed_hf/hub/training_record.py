"""`training.json`: what a model was trained on, from and with, for its card. It names no person and no folder."""

import dataclasses
import importlib.metadata
import json
import os
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import datasets
import torch
from transformers import TrainingArguments

from .. import __version__
from ..corpora.sources import find_source
from ..files import replacing
from ..inference.classifiers.svm import CLASSICAL
from ..models.registry import list_models


#: Name of the file beside a model.
RECORD = "training.json"
#: Libraries whose versions are written down.
LIBRARIES = ("torch", "transformers", "datasets", "accelerate", "huggingface-hub", "numpy", "librosa")
#: What says where and how, and not what, is computed. (Fields of `hub_...` may hold a token.)
_LEFT_OUT = (
    *("output_dir", "logging", "log_", "report_to", "run_name", "hub_", "push_to_hub", "trackio", "project"),
    *("disable_tqdm", "restart", "resume_from", "save_", "dataloader_", "preprocessing_num_workers", "do_", "debug"),
    *("data_dir", "dataset_", "split_scheme", "use_cpu", "local_rank", "ddp_", "trust_remote_code", "include_"),
    *("label_pattern", "speaker_pattern"),
    *(
        "teacher",
        "unlabelled_dir",
        "extra_corpora",
        "remove_unused_columns",
        "greater_is_better",
        "gradient_checkpointing",
        "activation_checkpointing",
    ),
)
_STANDARD = {field.name: field for field in dataclasses.fields(TrainingArguments)}


def hyper_parameters(*arguments: Any) -> dict[str, Any]:
    """Fields of dataclasses of arguments: those of a recipe, and of the others what is not at its default."""
    chosen = {}
    for group in arguments:
        alone = not getattr(group, "teacher", None)
        for field in dataclasses.fields(group):
            if alone and field.name.startswith("distill"):
                continue
            value = getattr(group, field.name)
            if field.name.startswith(_LEFT_OUT) or not isinstance(value, (bool, int, float, str, list, type(None))):
                continue
            # A recipe's own fields, and those that it gives another default, are what makes it that recipe.
            standard = _STANDARD.get(field.name)
            own = isinstance(group, TrainingArguments) and (standard is None or standard.default != field.default)
            if (own or field.name == "seed" or value != field.default) and value is not None:
                value = getattr(value, "value", value)  # of an Enum
                chosen[field.name] = Path(value).name if isinstance(value, str) and os.path.isabs(value) else value
    return chosen


def split_facts(
    speakers: Mapping[str, Sequence[str | None]], labels: Mapping[str, Sequence[str]] | None = None
) -> dict[str, Any]:
    """Sizes of splits, and how many speakers of one are in another.

    Args:
        speakers: of each utterance (None where unknown), by what a split was used for: "train", "validation", "test".
        labels: of each utterance, by the same names.

    Returns:
        `splits`: of each its `num_utterances`, `num_speakers` (None where one is unknown) and `labels`, the number of
        clips by class; `shared_speakers`: by "train, test" and so on, how many speakers both have, None if unknown.
    """
    known = {use: None if None in names or "" in names else set(names) for use, names in speakers.items()}
    facts = {
        use: {
            "num_utterances": len(names),
            "num_speakers": None if known[use] is None else len(known[use]),
            "labels": None if labels is None else dict(sorted(Counter(labels[use]).items())),
        }
        for use, names in speakers.items()
    }
    shared = {
        f"{first}, {second}": None if None in (known[first], known[second]) else len(known[first] & known[second])
        for first, second in combinations(known, 2)
    }
    return {"splits": facts, "shared_speakers": shared}


def corpus_facts(
    name: str | None,
    data_dir: str | None,
    config_name: str | None,
    split_scheme: str | None,
    info: datasets.DatasetInfo | None = None,
) -> dict[str, Any]:
    """Return the name of a data set, its corpus in the registry (None: none), and its licence where it gives one.

    Args:
        name, data_dir, config_name, split_scheme: As `load_splits` takes them; a name of None is a data set in memory.
        info: Information on the data set.
    """
    in_memory = name is None
    return {
        "name": "a data set in memory" if in_memory else Path(name).name if os.path.isdir(name) else name,
        "local": in_memory or os.path.isdir(name),
        "corpus": None if in_memory else find_source(name, data_dir).corpus,
        "config": (info.config_name if info else None) or config_name,
        "split_scheme": split_scheme,
        "license": (info.license or None) if info else None,
    }


def start_facts(model_name_or_path: str | None) -> dict[str, Any]:
    """What training started from: `name` (None: random weights), and the `corpora` behind it (None: unknown).

    Those that its teachers had learnt from are among them.
    """
    name = model_name_or_path
    if name is None or name in list_models() or name in CLASSICAL:
        return {"name": None, "local": False, "corpora": []}
    local = os.path.isdir(name)
    earlier = read_record(Path(name)) if local else {}
    behind = [(part or {}).get("corpora") for part in (earlier.get("start"), earlier, *earlier.get("teachers", ()))]
    return {
        "name": Path(name).name if local else name,
        "local": local,
        "corpora": None if None in behind else [corpus for corpora in behind for corpus in corpora],
    }


def write_record(output_dir: str | os.PathLike, facts: Mapping[str, Any], arguments: Sequence[Any]) -> None:
    """Write `training.json`.

    Args:
        output_dir: the model's.
        facts: `model`, `task`, `start`, `corpora`, `teachers`, `num_parameters`, and those of `split_facts`.
        arguments: dataclasses of flags.
    """
    versions = {"lssed-hf": __version__, "python": platform.python_version()}
    versions |= {name: importlib.metadata.version(name) for name in LIBRARIES}
    versions["torch"] = torch.__version__
    record = {**facts, "settings": hyper_parameters(*arguments), "versions": versions}
    with replacing(Path(output_dir, RECORD)) as path:
        path.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_record(folder: Path) -> dict[str, Any]:
    """Return the contents of `training.json`, empty without one."""
    return read_json(folder / RECORD) if (folder / RECORD).is_file() else {}


def read_json(path: Path) -> dict[str, Any]:
    """Return the object that a JSON file holds.

    Raises:
        ValueError: The file cannot be read, or holds something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds {type(content).__name__}, not an object")
    return content
