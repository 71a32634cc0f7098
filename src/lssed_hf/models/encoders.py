"""Encoders of classifiers."""

from torch import nn


def encoder_of(model: nn.Module) -> nn.Module | None:
    """Return the network below a classifier's head: its base model, else its `encoder` (Whisper), else None."""
    base_model = getattr(model, "base_model", model)
    if base_model is not model:
        return base_model
    encoder = getattr(model, "encoder", None)
    return encoder if isinstance(encoder, nn.Module) else None
