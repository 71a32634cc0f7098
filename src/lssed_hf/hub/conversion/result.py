"""Result and errors of the conversions of other projects' models."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


class UnsupportedModelError(ValueError):
    """Error of a model that this package cannot represent exactly. The message names the obstacle."""


@dataclass
class Conversion:
    """Account of a conversion.

    Attributes:
        folder: New folder.
        checkpoint: Name of the file with the weights.
        model: Description of the model in a few words.
        notes: Settings and weights that were not taken over unchanged, and the reasons.
    """

    folder: Path
    checkpoint: str
    model: str
    notes: list[str] = field(default_factory=list)


def check_shapes(expected: Mapping[str, tuple], given: Mapping[str, tuple], model: str) -> None:
    """Check that the weights of a file have the names and shapes of a model's.

    Args:
        expected: Shapes of the model's weights, by name.
        given: Shapes of the file's weights, by name.
        model: Description of the model for the message.

    Raises:
        UnsupportedModelError: Weights are missing, superfluous or of another shape; the message names up to ten.
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
