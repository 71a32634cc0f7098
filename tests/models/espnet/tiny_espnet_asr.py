"""Small recognisers for tests."""

import torch
from torch import nn

from lssed_hf import EspnetAsrConfig


#: Of every encoder and kind of positions.
VARIANTS = {
    "transformer": {"encoder_type": "transformer"},
    "transformer_conv2d6": {"encoder_type": "transformer", "subsampling": "conv2d6"},
    "conformer": {"encoder_type": "conformer"},
    "conformer_legacy": {"encoder_type": "conformer", "position_embeddings_type": "relative_legacy"},
    "conformer_absolute": {
        "encoder_type": "conformer",
        "position_embeddings_type": "absolute",
        "subsampling": "conv2d1",
        "macaron_style": False,
    },
    "conformer_conv2d2": {"encoder_type": "conformer", "subsampling": "conv2d2", "use_cnn_module": False},
    "e_branchformer": {"encoder_type": "e_branchformer"},
    "e_branchformer_conv2d8": {
        "encoder_type": "e_branchformer",
        "subsampling": "conv2d8",
        "position_embeddings_type": "relative_legacy",
        "use_feed_forward": False,
        "use_linear_after_conv": True,
    },
    "vgg_blstm": {"encoder_type": "vgg_rnn"},
    "rnn": {"encoder_type": "rnn", "rnn_subsample": [2, 3], "decoder_type": "rnn"},
    "rnn_gru": {
        "encoder_type": "rnn",
        "decoder_type": "rnn",
        "decoder_rnn_type": "gru",
        "decoder_context_residual": True,
    },
    "vgg_gru": {"encoder_type": "vgg_rnn", "rnn_type": "gru", "use_projection": False, "bidirectional": False},
}


def make_config(**changes) -> EspnetAsrConfig:
    fields = {
        "vocab_size": 12,
        "num_mel_bins": 20,
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 24,
        "conv_kernel_size": 7,
        "cgmlp_linear_units": 32,
        "merge_conv_kernel": 5,
        "rnn_hidden_size": 12,
        "decoder_layers": 2,
        "decoder_attention_heads": 2,
        "decoder_intermediate_size": 24,
        "decoder_hidden_size": 12,
        "decoder_attention_size": 10,
        "decoder_attention_channels": 3,
        "decoder_attention_filters": 4,
        "num_labels": 4,
    }
    return EspnetAsrConfig(**{**fields, **changes})


def shake(model: nn.Module, seed: int = 0) -> nn.Module:
    """Weights as training leaves them: new ones have biases of 0, which hide what padding does."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if name.endswith("running_var"):
                tensor.uniform_(0.5, 1.5, generator=generator)
            elif tensor.is_floating_point():
                tensor.add_(torch.empty_like(tensor).normal_(0, 0.1, generator=generator))
    return model


def make_batch(lengths: tuple[int, ...], bins: int = 20, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Random features with NaN behind the clips' ends, and their mask."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(len(lengths), max(lengths), bins, generator=generator)
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    return features.masked_fill(~mask[..., None], torch.nan), mask.long()
