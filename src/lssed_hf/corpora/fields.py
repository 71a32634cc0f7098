"""Reading the cells of metadata that people wrote, for all corpora whose columns hold the same things.

Every function raises ValueError for a cell that it cannot read; the message quotes it.
"""

import math
import re
from collections.abc import Mapping, Sequence

from ..labels import normalize_emotion
from .base import SPLITS
from .tables import Row


#: What people call the splits. "eval" is missing: some mean validation, and some test.
SPLIT_NAMES = {
    **{split: split for split in SPLITS},
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "dev": "validation",
    "development": "validation",
    "testing": "test",
}


def escapes(name: str) -> bool:
    """Whether a name could lead out of the folder that it is looked for in, on any system."""
    parts = name.replace("\\", "/").split("/")
    return ".." in parts or name.startswith(("/", "\\", "~")) or bool(re.match(r"[A-Za-z]:", name)) or "\0" in name


def emotions_in(text: str | None, label_map: Mapping[str, str] | None = None) -> list[str]:
    """The main emotion and the secondary ones, between which there is `;`, `,`, `/` or `|`.

    Args:
        text: of the cell.
        label_map: further names, in lower case -> one of `EMOTIONS`. They may hold separators.
    """
    if text is None:
        raise ValueError("no emotion given")
    label_map = label_map or {}
    parts = [text] if text.lower() in label_map else re.split(r"[;,/|]", text)
    return [label_map.get(part.strip().lower()) or normalize_emotion(part) for part in parts]


def number_in(row: Row, field: str) -> float | None:
    """A finite number from 0 on, None where the cell is empty."""
    text = row.first(field)
    if text is None:
        return None
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f"{field} {text!r} is no number") from None
    if not (math.isfinite(number) and number >= 0):
        raise ValueError(f"{field} is {text}; correct it or leave it empty")
    return number


def times_in(row: Row) -> tuple[float | None, float | None]:
    """`start` and `end` in seconds, in that order where both are there."""
    start, end = number_in(row, "start"), number_in(row, "end")
    if start is not None and end is not None and end <= start:
        raise ValueError(f"ends at {end} s, before or when it starts ({start} s); correct the times")
    return start, end


def choice_in(row: Row, field: str, choices: Sequence[str]) -> str | None:
    """One of `choices` by its name or its initial, None where the cell is empty."""
    text = row.first(field)
    if text is None:
        return None
    name = text.lower().replace("-", "_").replace(" ", "_")
    matches = [choice for choice in choices if choice == name or (len(name) == 1 and choice[0] == name)]
    if len(matches) != 1:
        raise ValueError(f"{field} {text!r} is none of {', '.join(choices)}")
    return matches[0]


def split_in(row: Row) -> str | None:
    """One of `SPLITS`, None where the cell is empty."""
    text = row.first("split")
    if text is None:
        return None
    if text.lower() not in SPLIT_NAMES:
        raise ValueError(f"split {text!r} is none of {', '.join(SPLITS)}")
    return SPLIT_NAMES[text.lower()]
