"""Smallest networks of all families of the zoo, with random weights, and their front ends."""

import torch
from torch import nn
from transformers import PreTrainedModel, SequenceFeatureExtractor

from lssed_hf import create_model
from lssed_hf.models.registry import create_feature_extractor


ONE_STAGE = {"embedding_size": 4, "hidden_sizes": [16], "depths": [1], "kernel_sizes": [[3, 5]], "groups": [[1, 2]]}
#: Key -> name in the zoo, and fields of its configuration.
TINY_ZOO = {
    "pyresnet": ("pyresnet50", ONE_STAGE),
    "resnet": ("resnet18", {"depths": [1, 1, 1, 1], "hidden_sizes": [64, 8, 8, 8]}),
    "vgg": ("vgg11", {"depths": [1, 1], "hidden_sizes": [8, 8], "mlp_size": 8}),
    "adv_vgg": ("adv-vgg16", {"depths": [1, 1], "hidden_sizes": [8, 8]}),
    "fcn_attention": ("fcn-attention-alexnet", {"hidden_sizes": [8, 8, 8, 8, 8]}),
    "mts_alexnet": (
        "mts3-alexnet",
        {"hidden_sizes": [8, 8, 8, 8, 8], "pooled_size": 3, "classifier_hidden_sizes": [8, 8]},
    ),
    "mts_resnet": ("mts3-resnet152", {"embedding_size": 8, "hidden_sizes": [16, 16], "depths": [1, 1]}),
    "espnet_transformer": (
        "espnet-transformer",
        {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16},
    ),
    "espnet_conformer": (
        "espnet-conformer",
        {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16},
    ),
    "espnet_vgg_blstm": (
        "espnet-vgg-blstm",
        {"hidden_size": 8, "num_hidden_layers": 1, "rnn_hidden_size": 8},
    ),
    "whisper_statistics": (
        "whisper_statistics",
        {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 16},
    ),
}
#: Families whose layers depend on the length of their input, and which the export refuses.
NOT_EXPORTED = ("vgg", "espnet_vgg_blstm")


def make_tiny(key: str, **fields) -> PreTrainedModel:
    """Make a network in `eval` mode, with statistics of batch norms as training leaves them.

    Args:
        key: Key of `TINY_ZOO`.
        **fields: Further fields of the configuration.
    """
    torch.manual_seed(0)
    name, tiny = TINY_ZOO[key]
    model = create_model(name, **{**tiny, **fields})
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
                module.running_mean.normal_(0, 0.2)
                module.running_var.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.2)
        for parameter in model.classifier.parameters():
            parameter.normal_(0, 0.5)
        if hasattr(model, "embedding_std"):
            model.embedding_std.fill_(0.1)  # or all clips would get almost the same scores
    return model.eval()


def make_front_end(key: str) -> SequenceFeatureExtractor:
    """Make the front end of a network, which needs no statistics of a corpus."""
    name = TINY_ZOO[key][0]
    if name == "whisper_statistics":
        return create_feature_extractor(name)
    return create_feature_extractor(name, normalization="utterance_mvn" if name.startswith("espnet") else "utterance")
