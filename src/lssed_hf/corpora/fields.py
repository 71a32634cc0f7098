"""Readers of the cells of metadata that people wrote: emotions, numbers, times, choices and splits.

Every function but `rating` raises a ValueError that quotes the cell if it cannot read it.
"""

import math
import re
from collections.abc import Sequence

from ..labels import normalize_emotion
from .base import SPLITS, order_problem
from .tables import Row


#: Usual names of the splits. "eval" is missing: some mean validation, and some test.
SPLIT_NAMES = {
    **{split: split for split in SPLITS},
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "dev": "validation",
    "development": "validation",
    "testing": "test",
}


_YES_OR_NO = {
    **dict.fromkeys(("1", "1.0", "true", "t", "yes", "y", "是"), True),
    **dict.fromkeys(("0", "0.0", "false", "f", "no", "n", "否"), False),
}


def escapes(name: str) -> bool:
    """Return whether a file name could lead out of its folder, on any system."""
    parts = name.replace("\\", "/").split("/")
    return ".." in parts or name.startswith(("/", "\\", "~")) or bool(re.match(r"[A-Za-z]:", name)) or "\0" in name


def emotions_in(text: str | None) -> list[str]:
    """Return the main emotion and the secondary ones, separated by `;`, `,`, `/` or `|`."""
    if text is None:
        raise ValueError("no emotion given")
    return [normalize_emotion(part) for part in re.split(r"[;,/|]", text)]


def decimal(text: str) -> float:
    """Return a number written with a decimal point or comma."""
    return float(text.replace(",", ".") if text.count(",") == 1 and "." not in text else text)


def number_in(row: Row, field: str) -> float | None:
    """Return a finite number from 0 on, None where the cell is empty."""
    text = row.first(field)
    if text is None:
        return None
    try:
        number = decimal(text)
    except ValueError:
        raise ValueError(f"{field} {text!r} is no number") from None
    if not (math.isfinite(number) and number >= 0):
        raise ValueError(f"{field} is {text}; correct it or leave it empty")
    return number


_LARGEST = 3.4e38  # in float32


def rating(text: str | None) -> float | None:
    """Return a rating that float32 holds. An optional one that is missing or no number is None, and costs no more."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if abs(value) < _LARGEST else None  # nor NaN


def rating_in(row: Row, field: str) -> float | None:
    """Return a number that float32 holds, None where the cell is empty."""
    text = row.first(field)
    value = None if text is None else rating(text.replace(",", "."))
    if text is not None and value is None:
        raise ValueError(f"{field} {text!r} is no number, or too large")
    return value


def times_in(row: Row) -> tuple[float | None, float | None]:
    """Return `start` and `end` in seconds, None for empty cells. Where both are there, the end is after the start."""
    start, end = number_in(row, "start"), number_in(row, "end")
    if problem := order_problem(start, end):
        raise ValueError(problem)
    return start, end


def choice_in(row: Row, field: str, choices: Sequence[str]) -> str | None:
    """Return one of `choices` by its name or its initial, None where the cell is empty."""
    text = row.first(field)
    if text is None:
        return None
    name = text.lower().replace("-", "_").replace(" ", "_")
    matches = [choice for choice in choices if choice == name or (len(name) == 1 and choice[0] == name)]
    if len(matches) != 1:
        raise ValueError(f"{field} {text!r} is none of {', '.join(choices)}")
    return matches[0]


def yes_or_no_in(row: Row, field: str, name: str) -> bool:
    """Return whether a cell says yes, False where it is empty.

    Args:
        row: Line of a table.
        field: Column.
        name: Name of the column in messages.
    """
    text = (row.first(field) or "no").lower()
    if text not in _YES_OR_NO:
        raise ValueError(f"{name} {row[field]!r} is none of {', '.join(_YES_OR_NO)}")
    return _YES_OR_NO[text]


def split_in(row: Row) -> str | None:
    """Return one of `SPLITS`, None where the cell is empty."""
    text = row.first("split")
    if text is None:
        return None
    if text.lower() not in SPLIT_NAMES:
        raise ValueError(f"split {text!r} is none of {', '.join(SPLITS)}")
    return SPLIT_NAMES[text.lower()]
