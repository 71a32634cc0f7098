"""Result and errors of the conversions of other projects' models."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch


class UnsupportedModelError(ValueError):
    """Error of a model that this package cannot represent exactly. The message is cut to 1,000 characters."""

    def __init__(self, message: str):
        super().__init__(message if len(message) <= 1000 else f"{message[:700]} ... {message[-250:]}")


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


def check_values(name: str, tensor: torch.Tensor, expected: torch.Tensor) -> None:
    """Check the type and the values of a weight.

    Args:
        name: Name of the weight for messages.
        tensor: Weight of the file.
        expected: Weight of the model in its place, of which the type counts.

    Raises:
        UnsupportedModelError: The weight has integers in place of floats, values that are not finite, or a negative
            variance.
    """
    if tensor.is_floating_point() != expected.is_floating_point():
        raise UnsupportedModelError(f"{name} has the type {tensor.dtype}")
    if tensor.is_floating_point() and not tensor.isfinite().all():
        raise UnsupportedModelError(f"{name} has values that are NaN or infinite; the training had failed")
    if name.endswith(".running_var") and (tensor < 0).any():
        raise UnsupportedModelError(f"{name} has negative values, which no variance has")
