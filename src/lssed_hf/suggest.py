"""Suggestions for misspelt names."""

import difflib
from collections.abc import Iterable


_UNKNOWN = "unrecognized arguments: "  # argparse's words
#: Word that people type -> flags and values with that meaning, whose spelling is not similar.
_SYNONYMS = {
    "device": ("--use_cpu",),
    "lr": ("--learning_rate",),
    "batch_size": ("--per_device_train_batch_size",),
    "json": ("--format",),
    "out": ("--csv", "--output_dir"),
    "output": ("--csv", "--out", "--output_dir"),
    "data": ("--data_dir",),
    "woman": ("female",),
    "man": ("male",),
    "elderly": ("old",),
    "dev": ("validation",),
    "eval": ("validation", "test"),
}


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `"; did you mean A or B?"` for the most similar known names, or an empty string.

    Args:
        name: Name that was typed.
        known: Names that exist.
    """
    known, core = list(dict.fromkeys(known)), name.strip("-").replace("-", "_").lower()
    near = difflib.get_close_matches(name.replace("-", "_"), [other.replace("-", "_") for other in known], 2, 0.75)
    found = [other for other in _SYNONYMS.get(core, ()) if other in known]
    found += [other for other in known if other.replace("-", "_") in near]
    if not found and len(core) > 2:
        found += [other for other in known if core in other.strip("-").split("_") or f"_{core}" in other]
        found += [other for other in known if core in other]
    found = list(dict.fromkeys(found))[:3]
    return f"; did you mean {' or '.join(found)}?" if found else ""


def explain(message: str, options: Iterable[str]) -> str:
    """Return argparse's message; for an unknown flag, name it and suggest a similar one.

    Args:
        message: Message of an `ArgumentParser`.
        options: All spellings of the parser's flags. Spellings with underscores are suggested.
    """
    if not message.startswith(_UNKNOWN):
        return message
    unknown = message.removeprefix(_UNKNOWN).split()
    flag = next((argument.partition("=")[0] for argument in unknown if argument.startswith("-")), None)
    if flag is None:
        instead = f"; did you mean --data_dir {unknown[0]}?" if "--data_dir" in options else ""
        return f"more than this command takes: {' '.join(unknown)}{instead}"
    known = [option for option in options if option.startswith("--") and "-" not in option[2:]]
    return f"unknown flag {flag}{did_you_mean(flag, known)}"
