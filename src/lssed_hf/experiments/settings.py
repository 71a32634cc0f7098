"""Settings of a training: the flags of `lssed-hf train` that are not at their defaults, by name."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..training.arguments import FlagParser
from ..training.recipes import with_recipe


#: Flags that change no result: a run may be asked for again with others.
IRRELEVANT = {
    *("output_dir", "restart", "disable_tqdm", "report_to", "run_name", "log_level", "logging_steps"),
    *("preprocessing_num_workers", "dataloader_num_workers", "save_total_limit"),
}


def training_settings(flags: Sequence[str]) -> dict[str, Any]:
    """Return the settings that flags stand for, JSON-ready. Paths of folders become absolute.

    Raises:
        ValueError: A flag that `train` does not know, or a value that it does not take.
    """
    parser = FlagParser()
    defaults = vars(parser.parse_args(["--dataset_name", ""]))
    given = vars(parser.parse_args(with_recipe(flags)))
    settings = {name: value for name, value in given.items() if value != defaults[name]}
    for name in ("data_dir", "model_name_or_path", "teacher", "unlabelled_dir", "extra_corpora"):
        value = settings.get(name)
        if isinstance(value, list):
            settings[name] = [_absolute(path) for path in value]
        elif value is not None:
            settings[name] = _absolute(value)
    return json.loads(json.dumps(settings, default=str))


def _absolute(value: str) -> str:
    """Return FOLDER or NAME=FOLDER with an absolute path, and other values unchanged."""
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


def recipe(settings_of: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a section of a report, Markdown: the settings that all systems share, then the rest of each system's.

    Folders are left out, or named without their path.

    Args:
        settings_of: Settings of one training of each system, by name of the system.
    """
    left_out = {"seed", "output_dir", "data_dir", "test_speaker"}
    kept = {
        name: {key: value for key, value in settings.items() if key not in left_out}
        for name, settings in settings_of.items()
    }
    first = next(iter(kept.values()))
    common = {key: value for key, value in first.items() if all(other.get(key) == value for other in kept.values())}
    lines = [f"- all: {_flags(common)}"]
    for name, settings in kept.items():
        special = {"model_name_or_path": "pyresnet50", **settings}
        lines.append(f"- {name}: {_flags({key: value for key, value in special.items() if key not in common})}")
    return "Of `lssed-hf train`; all other flags are at their defaults.\n\n" + "\n".join(lines)


def _flags(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} `{_without_folders(value)}`" for key, value in settings.items())


def _without_folders(value: Any) -> Any:
    if isinstance(value, list):
        return " ".join(str(_without_folders(item)) for item in value)
    name, equals, folder = str(value).partition("=")
    if equals and os.path.isabs(folder):
        return name
    return Path(value).name if os.path.isabs(str(value)) else value
