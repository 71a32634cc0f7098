"""What conversions of other projects' models have in common."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


class UnsupportedModelError(ValueError):
    """A model that this package cannot represent exactly. The message says what in it."""


@dataclass
class Conversion:
    """What a conversion made.

    Attributes:
        folder: the new folder.
        checkpoint: file whose weights were taken.
        model: what they are, in a few words.
        notes: what was not taken over as it was, and why.
    """

    folder: Path
    checkpoint: str
    model: str
    notes: list[str] = field(default_factory=list)


def check_shapes(expected: Mapping[str, tuple], given: Mapping[str, tuple], model: str) -> None:
    """Check that each weight has its place, and the shape of it.

    Args:
        expected: shapes by name that `model`, named in the message, has.
        given: those that were found.

    Raises:
        UnsupportedModelError: names what is missing, superfluous or of another shape, up to ten of them.
    """
    problems = [f"{name} is missing" for name in sorted(expected.keys() - given.keys())]
    problems += [f"{name} has no place" for name in sorted(given.keys() - expected.keys())]
    problems += [
        f"{name} has the shape {tuple(shape)} instead of {tuple(expected[name])}"
        for name, shape in sorted(given.items())
        if name in expected and tuple(shape) != tuple(expected[name])
    ]
    if problems:
        shown = "; ".join(problems[:10]) + (f"; and {len(problems) - 10} more" if len(problems) > 10 else "")
        raise UnsupportedModelError(f"the weights are not those of {model}: {shown}")
