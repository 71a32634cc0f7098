"""Reading folders that `lssed-hf prepare` wrote."""

import csv
import json
import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets

from ..escaping import csv_text
from . import corpus_builder, list_corpora
from .base import left_out_line, not_in
from .omissions import Omission, leave_out


#: Arguments of `load_dataset` with which it asks nobody whether to run a script. Scripts are gone in datasets 4.
NO_SCRIPTS = {"trust_remote_code": False} if int(datasets.__version__.partition(".")[0]) < 4 else {}


MANIFEST = "manifest.json"

logger = datasets.logging.get_logger(__name__)


def read_manifest(folder: str | os.PathLike) -> dict[str, Any] | None:
    """Return the manifest of a prepared folder, or None where the folder is none.

    Raises:
        ValueError: The manifest is damaged, or of a corpus that this version does not know.
    """
    path = Path(folder, MANIFEST)
    try:
        manifest = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    except (ValueError, RecursionError):  # not JSON, so not ours
        return None
    if not isinstance(manifest, dict) or not {"corpus", "config", "split_schemes", "shards"} <= manifest.keys():
        return None
    if manifest["corpus"] not in list_corpora():
        raise ValueError(
            f"{path} names the corpus {manifest['corpus']!r}, which this version of lssed_hf does not know"
        )
    for key, test in _TESTS.items():
        if key in manifest and not test(manifest[key]):
            raise ValueError(f"{path}: {key} is damaged; prepare the folder again")
    for shard in manifest["shards"]:
        if not _is_shard(shard, manifest["split_schemes"]):
            raise ValueError(f"{path}: an entry of shards is damaged; prepare the folder again")
    return manifest


def _is_shard(shard: Any, schemes: Sequence[str]) -> bool:
    """Return whether an entry of a manifest names a file of its own folder, and rows that the file may have."""
    if not isinstance(shard, dict) or not all(key in shard and test(shard[key]) for key, test in _SHARD_TESTS.items()):
        return False
    runs = _runs(shard.get("positions", ""))
    return (
        set(schemes) <= shard["splits"].keys()
        and runs is not None
        and sum(last - first + 1 for first, last in runs) <= shard["rows"]
    )


def _runs(positions: Any) -> list[tuple[int, int]] | None:
    """Return the first and last number of each run of text like `0-12 15`, None for anything else."""
    if not isinstance(positions, str):
        return None
    found = [_RUN.fullmatch(word) for word in positions.split()]
    runs = [(int(run[1]), int(run[2] or run[1])) for run in found if run]
    return runs if None not in found and all(first <= last for first, last in runs) else None


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and value >= 0


def _is_counts(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_count, value.values()))


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(name, str) for name in value)


_RUN = re.compile(r"(\d{1,12})(?:-(\d{1,12}))?")
#: Tests of the entries of a manifest, and of those of each shard. Folders of older versions lack some of the first.
_TESTS: dict[str, Callable[[Any], bool]] = {
    "config": lambda value: isinstance(value, str),
    "split_schemes": _is_names,
    "shards": lambda value: isinstance(value, list) and bool(value),
    "counts": lambda value: _is_counts(value) and {"read", "written", "rejected"} <= value.keys(),
    "left_out": lambda value: isinstance(value, dict) and all(map(_is_counts, value.values())),
}
_SHARD_TESTS: dict[str, Callable[[Any], bool]] = {
    "path": lambda value: isinstance(value, str) and bool(re.fullmatch(r"data/[\w.-]+\.parquet", value)),
    "sha256": lambda value: isinstance(value, str),
    "rows": _is_count,
    "bytes": _is_count,
    "configs": _is_names,
    "splits": lambda value: (
        isinstance(value, dict) and all(isinstance(name, (str, type(None))) for name in value.values())
    ),
}


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
        for emotion, count in left_out.items():
            leave_out(Omission(manifest["corpus"], not_in(config, emotion), count))
    for omission in _rejects(Path(folder), manifest):
        leave_out(omission)
    # By its path: load_dataset would take our builder for a folder named lssed.
    dataset = datasets.load_dataset(os.path.abspath(folder), config_name, streaming=streaming, **NO_SCRIPTS)
    if streaming:
        return dataset
    scheme = split_scheme or next((name for name in schemes if config_name == f"{config}_{name}"), schemes[0])
    return datasets.DatasetDict(
        {split: rows.select(_order(manifest, config, scheme, split, len(rows))) for split, rows in dataset.items()}
    )


def _rejects(folder: Path, manifest: Mapping[str, Any]) -> Iterator[Omission]:
    """Yield what `prepare` left out: by the reasons in its `rejects.csv`, or in one number without that file."""
    corpus, count = manifest["corpus"], manifest.get("counts", {}).get("rejected", 0)
    ids: dict[str, list[str]] = defaultdict(list)
    try:
        with (folder / "rejects.csv").open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                ids[csv_text(row["reason"])].append(csv_text(row["id"]))
    except (OSError, KeyError, AttributeError, UnicodeError, csv.Error):  # it is missing or damaged
        ids.clear()
    if sum(map(len, ids.values())) == count:
        yield from (Omission(corpus, reason, len(names), tuple(names)) for reason, names in ids.items())
    else:
        yield Omission(corpus, "left out by lssed-hf prepare", count)


def _order(manifest: Mapping[str, Any], config: str, scheme: str, split: str, number: int) -> Sequence[int]:
    """Return the rows of a split in the order of the raw corpus: shards of the same split hold it in parts."""
    shards = [shard for shard in manifest["shards"] if config in shard["configs"] and shard["splits"][scheme] == split]
    positions = [
        position
        for shard in shards
        for first, last in _runs(shard.get("positions", "")) or ()
        for position in range(first, last + 1)
    ]
    if len(positions) != number:  # a folder of an older version
        return range(number)
    return sorted(range(number), key=positions.__getitem__)


__all__ = ["MANIFEST", "applied_steps", "load_prepared", "read_manifest"]
