"""Record of a training, `training.json`, for the card of its model.

It holds the data, the start, the settings and the versions of a training. It names no person and no folder.
"""

import dataclasses
import importlib.metadata
import os
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain, combinations
from pathlib import Path
from typing import Any

import datasets
import torch
from transformers import TrainingArguments

from .. import __version__
from ..corpora.sources import find_source, is_synthetic
from ..files import write_json
from ..inference.classifiers.svm import CLASSICAL
from ..inference.trained_on import RECORD, read_record
from ..models.registry import list_models


#: Libraries with a version in the record.
LIBRARIES = ("torch", "transformers", "datasets", "accelerate", "huggingface-hub", "numpy", "librosa")
#: Beginnings of the names of flags that do not change a result, or that other entries tell. `hub_token` is a secret.
_LEFT_OUT = (
    *("output_dir", "logging", "log_", "report_to", "run_name", "hub_", "push_to_hub", "trackio", "project"),
    *("disable_tqdm", "restart", "resume_from", "save_", "dataloader_", "preprocessing_num_workers", "do_", "debug"),
    *("data_dir", "dataset_", "split_scheme", "use_cpu", "local_rank", "ddp_", "trust_remote_code", "include_"),
    *("label_pattern", "speaker_pattern", "test_speaker", "teacher", "unlabelled_dir", "extra_corpora"),
    *("greater_is_better", "gradient_checkpointing", "activation_checkpointing", "remove_unused_columns"),
)
_STANDARD = {field.name: field for field in dataclasses.fields(TrainingArguments)}


def _settings(*arguments: Any) -> dict[str, Any]:
    """Return the hyper-parameters among flags: those of the recipe, and others that are not at their defaults."""
    chosen = {}
    for group in arguments:
        left_out = _LEFT_OUT if getattr(group, "teacher", None) else (*_LEFT_OUT, "distill")
        for field in dataclasses.fields(group):
            value = getattr(group, field.name)
            if field.name.startswith(left_out) or not isinstance(value, (bool, int, float, str, list)):
                continue
            # A recipe consists of the flags that `TrainingArguments` lacks, or has with another default.
            standard = _STANDARD.get(field.name)
            of_recipe = isinstance(group, TrainingArguments) and (
                standard is None or standard.default != field.default
            )
            if of_recipe or field.name == "seed" or value != field.default:
                value = getattr(value, "value", value)  # of an Enum
                chosen[field.name] = Path(value).name if isinstance(value, str) and os.path.isabs(value) else value
    return chosen


def split_facts(
    speakers: Mapping[str, Sequence[str | None]], labels: Mapping[str, Sequence[str]] | None = None
) -> dict[str, Any]:
    """Return the sizes of splits and the numbers of speakers that they share.

    Args:
        speakers: Speaker of each utterance (None where unknown), by the use of the split: "train", "validation",
            "test".
        labels: Label of each utterance, by the same uses.

    Returns:
        Dict of `splits` and `shared_speakers`. `splits` has for each use `num_utterances`, `num_speakers` (None where
        a speaker is unknown) and `labels`, the number of clips by class. `shared_speakers` has for each pair of uses,
        such as "train, test", the number of speakers that are in both, or None where it is unknown.
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

    There is an entry `synthetic` for synthetic speech in the layout of the corpus.

    Args:
        name: Name or folder of the data set, as for `load_splits`. None is a data set in memory.
        data_dir: Folder of the corpus, as for `load_splits`.
        config_name: Configuration of the corpus, as for `load_splits`.
        split_scheme: Split scheme, as for `load_splits`.
        info: Information on the data set.
    """
    in_memory = name is None
    source = None if in_memory else find_source(name, data_dir)
    synthetic = source is not None and source.path is not None and is_synthetic(source.path)
    return {
        "name": "a data set in memory" if in_memory else Path(name).name if os.path.isdir(name) else name,
        "local": in_memory or os.path.isdir(name),
        "corpus": source and source.corpus,
        **({"synthetic": True} if synthetic else {}),
        "config": (info.config_name if info else None) or config_name,
        "split_scheme": split_scheme,
        "license": (info.license or None) if info else None,
    }


def start_facts(model_name_or_path: str | None) -> dict[str, Any]:
    """Return the start of a training: its `name` (None: random weights) and `corpora` (None: unknown).

    The corpora include those of earlier starts and of teachers; where these are unknown, an entry says whose they are.
    """
    name = model_name_or_path
    if name is None or name in list_models() or name in CLASSICAL:
        return {"name": None, "local": False, "corpora": []}
    local = os.path.isdir(name)
    earlier = read_record(Path(name)) if local else {}
    models = (earlier.get("start"), earlier, *earlier.get("teachers", ()))
    corpora = [_corpora_of(model) for model in models if model is not None]
    return {
        "name": Path(name).name if local else name,
        "local": local,
        "corpora": list(chain.from_iterable(corpora)) if earlier else None,
    }


def _corpora_of(model: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the corpora of a recorded model; an entry without a corpus where they are unknown."""
    if model.get("corpora") is not None:
        return model["corpora"]
    return [{"name": f"data of {model.get('name') or model.get('model')}", "local": False, "corpus": None}]


def write_record(output_dir: str | os.PathLike, facts: Mapping[str, Any], arguments: Sequence[Any]) -> None:
    """Write `training.json`.

    Args:
        output_dir: Folder of the model.
        facts: Facts of the training: `model`, `start`, `corpora`, `teachers`, `num_unlabelled`, `num_parameters`,
            `selected_on_test`, and the facts of `split_facts`.
        arguments: Dataclasses of flags.
    """
    versions = {"lssed-hf": __version__, "python": platform.python_version()}
    versions |= {name: importlib.metadata.version(name) for name in LIBRARIES}
    versions["torch"] = torch.__version__
    write_json(Path(output_dir, RECORD), {**facts, "settings": _settings(*arguments), "versions": versions})
