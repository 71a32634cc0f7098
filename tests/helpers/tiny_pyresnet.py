"""A small PyResNet for tests."""

import torch
from torch import nn

from lssed_hf import PyResNetConfig


def make_tiny_config(**changes) -> PyResNetConfig:
    """Four stages like the real networks, for 32 mel bins; 27 k parameters."""
    fields = {
        "embedding_size": 8,
        "hidden_sizes": [64, 32, 32, 32],
        "depths": [2, 1, 1, 1],
        "kernel_sizes": [[3, 5, 7, 9], [3, 5, 7], [3, 5], [3]],
        "groups": [[1, 2, 4, 4], [1, 2, 2], [1, 2], [1]],
        "num_frequency_rows": 1,
        "num_labels": 4,
    }
    return PyResNetConfig(**{**fields, **changes})


def randomise_batch_norm(model: nn.Module, seed: int = 0) -> None:
    """Statistics as training leaves them. With the initial ones, zero padding stays zero and hides mistakes."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.2, generator=generator)
                module.running_var.uniform_(0.5, 1.5, generator=generator)
                module.weight.uniform_(0.5, 1.0, generator=generator)
                module.bias.normal_(0, 0.2, generator=generator)
