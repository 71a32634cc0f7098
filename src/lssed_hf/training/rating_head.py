"""Last layer of a network that learns ratings in units of their deviations, and is saved on their scale."""

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedModel


class RatingHead(nn.Linear):
    """Linear layer whose outputs are on the scale of ratings, while its parameters are in units near their deviations.

    So a learning rate suits ratings from 0 to 1 and from 0 to 100 alike. Its state is that of a plain linear layer on
    the scale of the ratings: saved folders and checkpoints need nothing of this class. Units are powers of two, which
    change no digit on the way to a file and back.

    Args:
        layer: Layer on the scale of the ratings, which it takes the place of.
        std: Standard deviation of each rating, (out_features,).
    """

    def __init__(self, layer: nn.Linear, std: np.ndarray):
        super().__init__(layer.in_features, layer.out_features, device=layer.weight.device, dtype=layer.weight.dtype)
        units = torch.as_tensor(2.0 ** np.round(np.log2(std)), dtype=layer.weight.dtype)
        self.register_buffer("units", units.to(layer.weight.device), persistent=False)
        self.load_state_dict(layer.state_dict())
        for mine, other in zip(self.parameters(), layer.parameters(), strict=True):
            mine.requires_grad_(other.requires_grad)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return super().forward(inputs) * self.units

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[f"{prefix}weight"] = destination[f"{prefix}weight"] * self.units[:, None]
        destination[f"{prefix}bias"] = destination[f"{prefix}bias"] * self.units

    def _load_from_state_dict(self, state_dict, prefix, *args):
        own, units = dict(state_dict), self.units.cpu()
        for name, unit in ((f"{prefix}weight", units[:, None]), (f"{prefix}bias", units)):
            if name in own:
                own[name] = own[name] / unit.to(own[name].device)
        super()._load_from_state_dict(own, prefix, *args)


def last_layer(model: PreTrainedModel, size: int) -> str:
    """Return the name of a network's last linear layer.

    Args:
        model: Network.
        size: Number of outputs of the layer.

    Raises:
        ValueError: No linear layer has so many outputs.
    """
    names = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and module.out_features == size and module.bias is not None
    ]
    if not names:
        raise ValueError(f"a {type(model).__name__} has no linear layer of {size} outputs at its end to learn ratings")
    return names[-1]


def put_rating_head(model: PreTrainedModel, name: str, mean: np.ndarray, std: np.ndarray, is_new: bool) -> None:
    """Replace a linear layer by a `RatingHead`.

    Args:
        model: Network, changed in place.
        name: Name of the layer.
        mean: Mean of each rating, (out_features,), which a new layer begins with.
        std: Standard deviation of each rating, (out_features,).
        is_new: Whether the layer is untrained.
    """
    layer = model.get_submodule(name)
    if is_new:
        with torch.no_grad():
            layer.weight *= torch.as_tensor(std, dtype=layer.weight.dtype, device=layer.weight.device)[:, None]
            layer.bias.copy_(torch.as_tensor(mean))
    model.set_submodule(name, RatingHead(layer, std))
