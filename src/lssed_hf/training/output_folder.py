"""Output folder of a training: kept from other trainings, and checked before a training goes on in it.

The folder holds `train_settings.json`: the flags that the training was begun with, digests of its clips, and whether
it is finished.
"""

import dataclasses
import hashlib
import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import datasets
import filelock
import pyarrow as pa
from transformers import TrainingArguments

from ..corpora.feature_sets import feature_set_of
from ..files import read_json, write_json
from ..inference.classifiers.graph import GRAPH
from ..inference.classifiers.loading import FORMATS, own_format


logger = logging.getLogger(__name__)

#: File with the settings of the training in a folder.
SETTINGS = "train_settings.json"
#: Flags that change no result: a training may go on with others. `hub_token` is a secret.
IRRELEVANT = {
    *("output_dir", "restart", "resume_from_checkpoint", "disable_tqdm", "report_to", "run_name", "save_total_limit"),
    *("log_level", "log_level_replica", "log_on_each_node", "logging_dir", "logging_first_step", "logging_steps"),
    *("logging_strategy", "preprocessing_num_workers", "dataloader_num_workers", "dataloader_pin_memory"),
    *("dataloader_persistent_workers", "dataloader_prefetch_factor", "use_cpu", "local_rank", "ddp_backend"),
    *("ddp_timeout", "do_train", "do_eval", "do_predict", "push_to_hub", "hub_token", "hub_model_id", "hub_strategy"),
    *("hub_private_repo", "hub_always_push", "hub_revision", "project", "trackio_space_id"),
}
#: Flags whose value may be a folder.
_FOLDERS = ("dataset_name", "data_dir", "model_name_or_path", "teacher", "unlabelled_dir", "extra_corpora")
_WEIGHTS, _CHECKPOINTS = "*.safetensors", "checkpoint-*"
_ADVICE = "choose another --output_dir, or begin anew with --restart true"


def settings_of(*arguments: Any) -> dict[str, Any]:
    """Return the flags that are not at their defaults and may change a result, JSON-ready.

    Args:
        *arguments: Dataclasses of flags.
    """
    settings = {}
    for group in arguments:
        # These compute fields from others, and from the machine.
        usual = type(group)(output_dir=group.output_dir) if isinstance(group, TrainingArguments) else None
        for field in dataclasses.fields(group):
            value = getattr(group, field.name)
            default = _default(field) if usual is None else getattr(usual, field.name)
            if field.name not in IRRELEVANT and value != default:
                settings[field.name] = absolute(value) if field.name in _FOLDERS else value
    return json.loads(json.dumps(settings, default=lambda value: str(getattr(value, "value", value)), sort_keys=True))


def _default(field: dataclasses.Field) -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def absolute(value: Any) -> Any:
    """Return FOLDER or NAME=FOLDER with an absolute path, also in a list, and other values unchanged."""
    if isinstance(value, list):
        return [absolute(one) for one in value]
    if not isinstance(value, str):
        return value
    if os.path.isdir(value):
        return os.path.abspath(value)
    name, equals, folder = value.partition("=")
    return f"{name}={os.path.abspath(folder)}" if equals and os.path.isdir(folder) else value


def differences(begun: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """Return one phrase for each setting that would change results and is not what a run was begun with."""

    def shown(settings: Mapping[str, Any], name: str) -> str:
        return repr(settings[name]) if name in settings else "not given"

    names = sorted((begun.keys() | asked.keys()) - IRRELEVANT)
    pairs = {name: (shown(begun, name), shown(asked, name)) for name in names}
    return [f"{name} was {before} and is {now} now" for name, (before, now) in pairs.items() if before != now]


def check_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Check that a training goes on with the settings that it was begun with.

    Args:
        folder: Output folder.
        settings: Settings from `settings_of`.

    Raises:
        ValueError: The folder holds a training with other settings, or a model that `train` did not begin there.
    """
    if (folder / SETTINGS).is_file():
        begun = read_json(folder / SETTINGS)["settings"]
        if holds_weights(folder) and (changed := differences(begun, settings)):
            raise ValueError(
                f"{folder} holds a training with other settings: {'; '.join(changed)}. Ask for the same again, "
                f"{_ADVICE}"
            )
    elif marker := own_format(folder):
        raise ValueError(f"{folder} holds another model ({marker}); {_ADVICE}")
    elif any(folder.glob(_CHECKPOINTS)):
        logger.warning(f"{folder} was begun by an earlier version, which kept no settings to compare these with")


def begin(
    folder: Path,
    settings: Mapping[str, Any],
    splits: Mapping[str, datasets.Dataset],
    columns: Sequence[str],
    audio_column: str = "audio",
    restart: bool = False,
) -> bool:
    """Check that a training goes on with its own clips, and record a new one.

    Args:
        folder: Output folder.
        settings: Settings from `settings_of`.
        splits: Clips by split.
        columns: Columns that tell clips apart. Columns that a split lacks are left out.
        audio_column: Name of the column with the audio.
        restart: Whether the training begins anew, whatever the folder holds.

    Returns:
        Whether the training is finished.

    Raises:
        ValueError: The folder holds a training on other clips.
    """
    data = {split: _digest(rows, columns, audio_column) for split, rows in splits.items()}
    path = folder / SETTINGS
    if path.is_file() and holds_weights(folder) and not restart:
        begun = read_json(path)
        if changed := [
            f"{split} had {begun['data'].get(split, 'no clips')} and has {data.get(split, 'no clips')} now"
            for split in sorted(begun["data"].keys() | data.keys())
            if begun["data"].get(split) != data.get(split)
        ]:
            raise ValueError(
                f"{folder} holds a training on other clips: {'; '.join(changed)}. Give the same data again, {_ADVICE}"
            )
        if begun["finished"] and any(folder.glob(_WEIGHTS)):
            logger.info(f"{folder} holds this training, and it is finished; --restart true trains anew")
            return True
    if is_main_process():
        if restart:  # or a model of another kind would be opened in place of the new one
            for name in (*FORMATS, GRAPH):
                (folder / name).unlink(missing_ok=True)
        write_json(path, {"settings": settings, "data": data, "finished": False})
    return False


def holds_weights(folder: Path) -> bool:
    """Return whether a training has got as far as a checkpoint; without one, it begins anew whatever the settings."""
    return any(folder.glob(_WEIGHTS)) or any(folder.glob(_CHECKPOINTS))


def _digest(rows: datasets.Dataset, columns: Sequence[str], audio_column: str) -> str:
    """Return the number of clips, and digests of the columns and of the sound."""
    content = {name: list(rows[name]) for name in columns if name in rows.column_names}
    sound = rows.select_columns([audio_column])
    if feature_set_of(rows.features[audio_column]):
        stamps = list(_value_digests(sound, audio_column))
    else:
        sound = sound.cast_column(audio_column, datasets.Audio(decode=False))
        stamps = [clip_stamp(row[audio_column]) for row in sound]
    labels, sound = (
        hashlib.sha256(json.dumps(part, default=str).encode("utf-8", "surrogatepass")).hexdigest()[:12]
        for part in (content, stamps)
    )
    return f"{len(rows)} clips ({labels}, sound {sound})"


def _value_digests(rows: datasets.Dataset, column: str) -> Iterator[str]:
    """Yield digests of the values in nested lists, of a hundred rows each."""
    for batch in rows.with_format("arrow").iter(100):
        values = batch[column].combine_chunks()
        while pa.types.is_list(values.type):
            values = values.flatten()
        yield hashlib.sha256(values.to_numpy(zero_copy_only=False).tobytes()).hexdigest()


def clip_stamp(clip: Mapping[str, Any]) -> str | tuple[str, int, int] | None:
    """Return what changes with the sound of a clip, without a look into files.

    Args:
        clip: Undecoded row of an Audio column.

    Returns:
        Hash of the clip's bytes; of a file its name, size and time of change, None where it is missing.
    """
    if clip["bytes"] is not None:
        return hashlib.sha256(clip["bytes"]).hexdigest()
    try:
        status = os.stat(clip["path"])
    except (OSError, TypeError, ValueError):  # a missing file or no name: reading the clip gives the reason
        return None
    return clip["path"], status.st_size, status.st_mtime_ns


def finish(folder: Path) -> None:
    """Record that the training of a folder is finished."""
    write_json(folder / SETTINGS, {**read_json(folder / SETTINGS), "finished": True})


def is_main_process() -> bool:
    """Return whether this process is the only one, or the one of torchrun's that scores and writes."""
    return int(os.environ.get("RANK", "0")) == 0


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Keep other trainings and experiments out of an output folder.

    Raises:
        ValueError: Another one is at work there.
    """
    if not is_main_process():
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise ValueError(f"another run is at work in {folder}: wait for it, or choose another --output_dir") from None
    try:
        yield
    finally:
        lock.release()


__all__ = [
    "IRRELEVANT",
    "SETTINGS",
    "absolute",
    "begin",
    "check_settings",
    "claimed",
    "clip_stamp",
    "differences",
    "finish",
    "holds_weights",
    "is_main_process",
    "settings_of",
]
