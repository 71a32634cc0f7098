"""Settings of a training: the flags of `lssed-hf train` that are not at their defaults, by name."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..inference.classifiers.outputs import SINGLE_LABEL
from ..training.arguments import FlagParser
from ..training.output_folder import absolute
from ..training.recipes import with_recipe


def training_settings(flags: Sequence[str]) -> dict[str, Any]:
    """Return the settings that flags stand for, JSON-ready. Paths of folders become absolute.

    Raises:
        ValueError: A flag that `train` does not know, a value that it does not take, a kind of problem whose scores
            experiments do not compare, or a token, which would be written to the settings of the runs.
    """
    parser = FlagParser()
    defaults = vars(parser.parse_args(["--dataset_name", ""]))
    given = vars(parser.parse_args(with_recipe(flags)))
    settings = {name: value for name, value in given.items() if value != defaults[name]}
    if "hub_token" in settings:
        raise ValueError("--hub_token is a secret, and runs record their settings; set HF_TOKEN or run hf auth login")
    if settings.get("problem_type", SINGLE_LABEL) != SINGLE_LABEL or "multitask" in settings:
        raise ValueError("--problem_type and --multitask are for `lssed-hf train`: experiments compare UA of classes")
    for name in {"data_dir", "model_name_or_path", "teacher", "unlabelled_dir", "extra_corpora"} & settings.keys():
        settings[name] = absolute(settings[name])
    return json.loads(json.dumps(settings, default=str))


def recipe(settings_of: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a section of a report, Markdown: the settings that all systems share, then the rest of each system's.

    Folders are left out, or named without their path.

    Args:
        settings_of: Settings of one training of each system, by name of the system.
    """
    left_out = {"seed", "output_dir", "data_dir", "test_speaker"}
    kept = {
        name: {key: value for key, value in settings.items() if key not in left_out and value is not None}
        for name, settings in settings_of.items()
    }
    first = next(iter(kept.values()))
    common = {key: value for key, value in first.items() if all(other.get(key) == value for other in kept.values())}
    lines = [f"- all: {_flags(common)}"]
    for name, settings in kept.items():
        special = {"model_name_or_path": "pyresnet50", **settings}
        if special := {key: value for key, value in special.items() if key not in common}:
            lines.append(f"- {name}: {_flags(special)}")
    return "Of `lssed-hf train`; all other flags are at their defaults.\n\n" + "\n".join(lines)


def _flags(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} `{_without_folders(value)}`" for key, value in settings.items())


def _without_folders(value: Any) -> Any:
    if isinstance(value, list):
        return " ".join(str(_without_folders(item)) for item in value)
    if str(value).startswith('{"'):  # JSON
        options = json.loads(value)
        texts = {name: _without_folders(item) for name, item in options.items() if isinstance(item, str)}
        return json.dumps({**options, **texts})
    name, equals, folder = str(value).partition("=")
    if equals and os.path.isabs(folder):
        return name
    return Path(value).name if os.path.isabs(str(value)) else value
