"""The zoo: networks by name, built from scratch."""

import fnmatch

from transformers import PreTrainedModel

from .pyresnet.modeling_pyresnet import PyResNetForAudioClassification


# Name -> model class and the configuration fields that make the variant.
_ZOO = {
    "pyresnet50": (PyResNetForAudioClassification, {"depths": [3, 4, 6, 3]}),
    "pyresnet101": (PyResNetForAudioClassification, {"depths": [3, 4, 23, 3]}),
    "pyresnet152": (PyResNetForAudioClassification, {"depths": [3, 8, 36, 3]}),
}


def list_models(pattern: str = "*") -> list[str]:
    """Names that `create_model` knows and that match a shell pattern, e.g. `pyresnet*`."""
    return fnmatch.filter(_ZOO, pattern)


def create_model(name: str, num_labels: int | None = None, **overrides) -> PreTrainedModel:
    """Build a network of the zoo with random weights.

    Args:
        name: one of `list_models()`.
        num_labels: classes; may be left out where `overrides` holds `id2label`.
        **overrides: fields of the model's configuration, e.g. `depths=[1, 1, 1, 1]`.

    Raises:
        ValueError: unknown name.
    """
    if name not in _ZOO:
        raise ValueError(f"unknown model {name!r}; known are {', '.join(_ZOO)}")
    model_class, preset = _ZOO[name]
    if num_labels is not None:
        overrides["num_labels"] = num_labels
    return model_class(model_class.config_class(**{**preset, **overrides}))


__all__ = ["create_model", "list_models"]
