"""Small standard networks for tests."""

import torch
from tiny_pyresnet import randomise_batch_norm
from torch import nn

from lssed_hf import SerCnnConfig, SerCnnForAudioClassification


MEL_BINS = 64
BACKBONES = ["resnet18", "resnet50", "vgg11", "adv_vgg16"]


def make_tiny_cnn_config(backbone: str, **changes) -> SerCnnConfig:
    """As many stages as the real network, at most 100 k parameters."""
    if backbone.startswith("resnet"):
        fields = {"hidden_sizes": [16, 16, 16, 32], "depths": [1, 2, 1, 1], "zero_init_residual": False}
    else:
        fields = {"hidden_sizes": [8, 8, 16, 16, 16], "depths": [1, 2, 1, 1, 1], "mlp_size": 24}
    return SerCnnConfig(**{"backbone": backbone, "num_labels": 4, **fields, **changes})


def make_tiny_cnn(backbone: str, **changes) -> SerCnnForAudioClassification:
    """In eval mode, with batch statistics and biases as training leaves them and logits that differ among clips."""
    torch.manual_seed(0)
    model = SerCnnForAudioClassification(make_tiny_cnn_config(backbone, **changes)).eval()
    randomise_batch_norm(model)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Conv2d) and module.bias is not None:
                module.bias.normal_(0, 0.1)
        model.classifier.weight.normal_(0, 1)
    return model
