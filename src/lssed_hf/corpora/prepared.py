"""Reading folders that `lssed-hf prepare` wrote."""

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets

from . import corpus_builder, list_corpora
from .base import left_out_line


#: Arguments of `load_dataset` with which it asks nobody whether to run a script. Scripts are gone in datasets 4.
NO_SCRIPTS = {"trust_remote_code": False} if int(datasets.__version__.partition(".")[0]) < 4 else {}


MANIFEST = "manifest.json"

logger = datasets.logging.get_logger(__name__)


def read_manifest(folder: str | os.PathLike) -> dict[str, Any] | None:
    """Return the manifest of a prepared folder, or None where the folder is none."""
    path = Path(folder, MANIFEST)
    try:
        manifest = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    except (ValueError, RecursionError):  # not JSON, so not ours
        return None
    ours = isinstance(manifest, dict) and {"corpus", "config", "split_schemes", "shards"} <= manifest.keys()
    return manifest if ours and manifest["corpus"] in list_corpora() else None


def applied_steps(manifest: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the parameters of a front end that leave out the steps that stored clips went through already."""
    manifest = manifest or {}
    steps = {"do_denoise": False} if manifest.get("denoise") else {}
    return steps if manifest.get("gain", 1.0) == 1.0 else {**steps, "gain": 1.0}


def load_prepared(
    folder: str | os.PathLike,
    manifest: Mapping[str, Any],
    config_name: str | None = None,
    split_scheme: str | None = None,
    streaming: bool = False,
) -> datasets.DatasetDict | datasets.IterableDatasetDict:
    """Load a prepared folder.

    Args:
        folder: Folder that `prepare` wrote.
        manifest: Contents of `manifest.json`.
        config_name: Configuration. Default: the one to train on, where the folder has it, else the first.
        split_scheme: Split scheme, one of those that were prepared. Default: the first.
        streaming: Whether rows are read when they are asked for, in the order of the shards.

    Raises:
        ValueError: The folder lacks that configuration or scheme.
    """
    schemes = manifest["split_schemes"]
    configs = list(dict.fromkeys(config for shard in manifest["shards"] for config in shard["configs"]))
    configs.sort(key=lambda config: config != manifest["config"])  # the first holds everything
    if config_name is None:
        usual = corpus_builder(manifest["corpus"]).TRAINING_CONFIG_NAME
        config_name = usual if usual in configs else configs[0]
    names = {
        config if scheme == schemes[0] else f"{config}_{scheme}": config for scheme in schemes for config in configs
    }
    if split_scheme is not None and split_scheme not in schemes:
        raise ValueError(
            f"{folder} was prepared with --split_schemes {' '.join(schemes)}, not {split_scheme}: choose one of "
            "them, or prepare it again"
        )
    if split_scheme not in (None, schemes[0]) and config_name in configs:
        config_name = f"{config_name}_{split_scheme}"
    if config_name not in names:
        raise ValueError(f"{folder} has no configuration {config_name!r}; it has {', '.join(names)}")
    config = names[config_name]
    if left_out := manifest.get("left_out", {}).get(config):
        line = left_out_line(config, Counter(left_out), manifest["counts"]["written"])
        logger.warning(f"{manifest['corpus']}: {line}")
    # By its path: load_dataset would take our builder for a folder named lssed.
    dataset = datasets.load_dataset(os.path.abspath(folder), config_name, streaming=streaming, **NO_SCRIPTS)
    if streaming:
        return dataset
    scheme = split_scheme or next((name for name in schemes if config_name == f"{config}_{name}"), schemes[0])
    return datasets.DatasetDict(
        {split: rows.select(_order(manifest, config, scheme, split, len(rows))) for split, rows in dataset.items()}
    )


def _order(manifest: Mapping[str, Any], config: str, scheme: str, split: str, number: int) -> Sequence[int]:
    """Return the rows of a split in the order of the raw corpus: shards of the same split hold it in parts."""
    shards = [shard for shard in manifest["shards"] if config in shard["configs"] and shard["splits"][scheme] == split]
    positions = [
        position
        for shard in shards
        for run in shard.get("positions", "").split()
        for position in range(int(run.partition("-")[0]), int(run.rpartition("-")[2]) + 1)
    ]
    if len(positions) != number:  # a folder of an older version
        return range(number)
    return sorted(range(number), key=positions.__getitem__)


__all__ = ["MANIFEST", "applied_steps", "load_prepared", "read_manifest"]
