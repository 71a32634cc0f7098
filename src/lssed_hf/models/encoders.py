"""Where the encoder of a classifier is."""

from torch import nn


def encoder_of(model: nn.Module) -> nn.Module | None:
    """What lies below a classifier's head: its base model, or its `encoder` (Whisper's); None where neither is."""
    base_model = getattr(model, "base_model", model)
    if base_model is not model:
        return base_model
    encoder = getattr(model, "encoder", None)
    return encoder if isinstance(encoder, nn.Module) else None
