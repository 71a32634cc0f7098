# Copyright 2026 The lssed-hf authors. Licensed under the Apache License, Version 2.0.
"""Encoders of the ESPnet-style recogniser: transformer, conformer, E-Branchformer, BLSTM with and without VGG.

Each takes features (batch, frames, num_mel_bins) and a boolean mask (batch, frames), None where nothing is padded. It
returns hidden states (batch, time, hidden_size), the mask (batch, time) and, if asked, the states of all layers.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from transformers.modeling_layers import GradientCheckpointingLayer

from .configuration_espnet_asr import RECURRENT, SUBSAMPLING, EspnetAsrConfig
from .layers_espnet_asr import (
    ACTIVATION_CLASSES,
    EspnetAsrAttention,
    EspnetAsrFeedForward,
    EspnetAsrLayerNorm,
    EspnetAsrRelativeAttention,
    key_bias,
    relative_positions,
    sinusoids,
    zero_padding,
)


class EspnetAsrSubsampling(nn.Module):
    """Convolutions over time and frequency without padding, each with ReLU, and a linear layer.

    Source: ESPnet's `Conv2dSubsampling` and its siblings.
    """

    def __init__(self, config: EspnetAsrConfig):
        super().__init__()
        self.shape = SUBSAMPLING[config.subsampling]
        self.mask_padding = config.mask_padding
        layers, channels, bins = [], 1, config.num_mel_bins
        for kernel, stride in self.shape:
            layers += [nn.Conv2d(channels, config.hidden_size, kernel, stride), nn.ReLU()]
            channels, bins = config.hidden_size, (bins - kernel) // stride + 1
        self.conv = nn.Sequential(*layers)
        out = nn.Linear(channels * bins, config.hidden_size)
        self.out = out if config.subsampling == "conv2d8" else nn.Sequential(out)  # ESPnet's names of the weights

    def forward(self, features: torch.Tensor, mask: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor | None]:
        hidden = self.conv(features[:, None]).transpose(1, 2).flatten(2)  # (batch, time, channels * bins)
        if mask is not None:
            mask = self._shorten(mask, hidden.shape[1])
        return self.out(hidden), mask

    def _shorten(self, mask: torch.Tensor, time: int) -> torch.Tensor:
        if not self.mask_padding:
            # ESPnet counts a frame whose first input is valid, so a padded clip can be longer than alone.
            for kernel, stride in self.shape:
                mask = mask[:, : 1 - kernel : stride]
            return mask
        lengths = mask.sum(dim=1)
        for kernel, stride in self.shape:
            lengths = (lengths - kernel).div(stride, rounding_mode="floor") + 1
        # Clips that are too short were filled up.
        return torch.arange(time, device=mask.device) < lengths.clamp(min=1)[:, None]


class EspnetAsrConvolutionModule(nn.Module):
    """Convolution module of the conformer. Source: Gulati et al. 2020, figure 2, with ESPnet's biases."""

    def __init__(self, config: EspnetAsrConfig):
        super().__init__()
        size, kernel = config.hidden_size, config.conv_kernel_size
        self.pointwise_conv1 = nn.Conv1d(size, 2 * size, 1)
        self.depthwise_conv = nn.Conv1d(size, size, kernel, padding=kernel // 2, groups=size)
        self.norm = nn.BatchNorm1d(size)
        self.activation = ACTIVATION_CLASSES[config.hidden_act]()
        self.pointwise_conv2 = nn.Conv1d(size, size, 1)

    def forward(self, hidden: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        hidden = F.glu(self.pointwise_conv1(hidden.transpose(1, 2)), dim=1)
        if mask is not None:
            hidden = hidden.masked_fill(~mask[:, None], 0.0)
        hidden = self.activation(self.norm(self.depthwise_conv(hidden)))
        return self.pointwise_conv2(hidden).transpose(1, 2)


def make_self_attention(config: EspnetAsrConfig) -> EspnetAsrAttention:
    """Build the encoder's self-attention for its kind of positions."""
    arguments = (config, config.num_attention_heads, config.attention_dropout)
    if config.position_embeddings_type == "absolute":
        return EspnetAsrAttention(*arguments)
    return EspnetAsrRelativeAttention(*arguments, legacy=config.position_embeddings_type == "relative_legacy")


def make_feed_forward(config: EspnetAsrConfig) -> EspnetAsrFeedForward:
    """Build a feed-forward layer of the encoder."""
    return EspnetAsrFeedForward(config.hidden_size, config.intermediate_size, config.hidden_dropout, config.hidden_act)


class EspnetAsrTransformerLayer(GradientCheckpointingLayer):
    """Self-attention and feed-forward, each behind a layer norm and with a shortcut."""

    def __init__(self, config: EspnetAsrConfig):
        super().__init__()
        self.self_attn = make_self_attention(config)
        self.feed_forward = make_feed_forward(config)
        self.norm1 = EspnetAsrLayerNorm(config.hidden_size)
        self.norm2 = EspnetAsrLayerNorm(config.hidden_size)
        self.dropout = nn.Dropout(config.hidden_dropout)

    def forward(self, hidden, mask, bias, positions, lengths) -> torch.Tensor:
        hidden = hidden + self.dropout(self.self_attn(self.norm1(hidden), bias, positions, lengths))
        return hidden + self.dropout(self.feed_forward(self.norm2(hidden)))


class EspnetAsrConformerLayer(GradientCheckpointingLayer):
    """Block of the conformer. Source: Gulati et al. 2020, section 2, with ESPnet's order and options."""

    def __init__(self, config: EspnetAsrConfig):
        super().__init__()
        size = config.hidden_size
        self.scale = 0.5 if config.macaron_style else 1.0
        self.self_attn = make_self_attention(config)
        self.feed_forward = make_feed_forward(config)
        self.feed_forward_macaron = make_feed_forward(config) if config.macaron_style else None
        self.conv_module = EspnetAsrConvolutionModule(config) if config.use_cnn_module else None
        self.norm_ff_macaron = EspnetAsrLayerNorm(size) if config.macaron_style else None
        self.norm_mha = EspnetAsrLayerNorm(size)
        self.norm_conv = EspnetAsrLayerNorm(size) if config.use_cnn_module else None
        self.norm_ff = EspnetAsrLayerNorm(size)
        self.norm_final = EspnetAsrLayerNorm(size) if config.use_cnn_module else None
        self.dropout = nn.Dropout(config.hidden_dropout)

    def forward(self, hidden, mask, bias, positions, lengths) -> torch.Tensor:
        if self.feed_forward_macaron is not None:
            hidden = hidden + self.scale * self.dropout(self.feed_forward_macaron(self.norm_ff_macaron(hidden)))
        hidden = hidden + self.dropout(self.self_attn(self.norm_mha(hidden), bias, positions, lengths))
        if self.conv_module is not None:
            hidden = hidden + self.dropout(self.conv_module(self.norm_conv(hidden), mask))
        hidden = hidden + self.scale * self.dropout(self.feed_forward(self.norm_ff(hidden)))
        return hidden if self.norm_final is None else self.norm_final(hidden)


class EspnetAsrSpatialGatingUnit(nn.Module):
    """Gating unit: half of the channels, convolved over time, gates the others. Source: Sakuma et al. 2022 (cgMLP)."""

    def __init__(self, config: EspnetAsrConfig):
        super().__init__()
        channels, kernel = config.cgmlp_linear_units // 2, config.conv_kernel_size
        self.norm = EspnetAsrLayerNorm(channels)
        self.conv = nn.Conv1d(channels, channels, kernel, padding=kernel // 2, groups=channels)
        self.linear = nn.Linear(channels, channels) if config.use_linear_after_conv else None
        for layer in (self.conv, self.linear):
            if layer is not None:
                layer.opens_gate = True  # see _init_weights
        self.activation = ACTIVATION_CLASSES[config.gate_activation]()
        self.dropout = nn.Dropout(config.hidden_dropout)

    def forward(self, hidden: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        gated, gate = hidden.chunk(2, dim=-1)
        gate = self.conv(zero_padding(self.norm(gate), mask).transpose(1, 2)).transpose(1, 2)
        if self.linear is not None:
            gate = self.linear(gate)
        return self.dropout(gated * self.activation(gate))


class EspnetAsrConvolutionalGatingMlp(nn.Module):
    """Linear layer with GELU, gating unit, linear layer."""

    def __init__(self, config: EspnetAsrConfig):
        super().__init__()
        self.channel_proj1 = nn.Sequential(nn.Linear(config.hidden_size, config.cgmlp_linear_units), nn.GELU())
        self.csgu = EspnetAsrSpatialGatingUnit(config)
        self.channel_proj2 = nn.Linear(config.cgmlp_linear_units // 2, config.hidden_size)

    def forward(self, hidden: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        return self.channel_proj2(self.csgu(self.channel_proj1(hidden), mask))


class EspnetAsrEBranchformerLayer(GradientCheckpointingLayer):
    """Attention beside a convolutional gating MLP, merged with a depthwise convolution.

    Source: Kim et al., "E-Branchformer", SLT 2022, section 3, with ESPnet's order and options.
    """

    def __init__(self, config: EspnetAsrConfig):
        super().__init__()
        size, kernel = config.hidden_size, config.merge_conv_kernel
        macaron = config.use_feed_forward and config.macaron_style
        self.scale = 0.5 if macaron else 1.0
        self.attn = make_self_attention(config)
        self.cgmlp = EspnetAsrConvolutionalGatingMlp(config)
        self.feed_forward = make_feed_forward(config) if config.use_feed_forward else None
        self.feed_forward_macaron = make_feed_forward(config) if macaron else None
        self.norm_ff = EspnetAsrLayerNorm(size) if config.use_feed_forward else None
        self.norm_ff_macaron = EspnetAsrLayerNorm(size) if macaron else None
        self.norm_mha = EspnetAsrLayerNorm(size)
        self.norm_mlp = EspnetAsrLayerNorm(size)
        self.norm_final = EspnetAsrLayerNorm(size)
        self.depthwise_conv_fusion = nn.Conv1d(2 * size, 2 * size, kernel, padding=kernel // 2, groups=2 * size)
        self.merge_proj = nn.Linear(2 * size, size)
        self.dropout = nn.Dropout(config.hidden_dropout)

    def forward(self, hidden, mask, bias, positions, lengths) -> torch.Tensor:
        if self.feed_forward_macaron is not None:
            hidden = hidden + self.scale * self.dropout(self.feed_forward_macaron(self.norm_ff_macaron(hidden)))
        attended = self.dropout(self.attn(self.norm_mha(hidden), bias, positions, lengths))
        gated = self.dropout(self.cgmlp(self.norm_mlp(hidden), mask))
        both = zero_padding(torch.cat([attended, gated], dim=-1), mask)
        fused = self.depthwise_conv_fusion(both.transpose(1, 2)).transpose(1, 2)
        hidden = hidden + self.dropout(self.merge_proj(both + fused))
        if self.feed_forward is not None:
            hidden = hidden + self.scale * self.dropout(self.feed_forward(self.norm_ff(hidden)))
        return self.norm_final(hidden)


BLOCKS = {
    "transformer": EspnetAsrTransformerLayer,
    "conformer": EspnetAsrConformerLayer,
    "e_branchformer": EspnetAsrEBranchformerLayer,
}


class EspnetAsrBlockEncoder(nn.Module):
    """Encoder of blocks: subsampling, positions, blocks, layer norm."""

    def __init__(self, config: EspnetAsrConfig):
        super().__init__()
        self.position_embeddings_type = config.position_embeddings_type
        self.max_position_embeddings = config.max_position_embeddings
        self.mask_padding = config.mask_padding
        self.layerdrop = config.layerdrop
        self.embed = EspnetAsrSubsampling(config)
        self.dropout = nn.Dropout(config.positional_dropout)
        self.encoders = nn.ModuleList(BLOCKS[config.encoder_type](config) for _ in range(config.num_hidden_layers))
        self.after_norm = EspnetAsrLayerNorm(config.hidden_size)

    @property
    def convolutions(self) -> nn.Module:
        """Convolutions in front of the layers."""
        return self.embed

    def forward(self, features: torch.Tensor, mask: torch.Tensor | None, output_hidden_states: bool = False):
        hidden, mask = self.embed(features, mask)
        hidden, positions = self._add_positions(hidden)
        bias = key_bias(mask, hidden.dtype)
        lengths, inner_mask = None, None  # ESPnet's convolutions see padded frames
        if mask is not None and self.mask_padding:
            inner_mask = mask
            if self.position_embeddings_type == "relative_legacy":
                lengths = mask.sum(dim=1).tolist()
        hidden_states = [hidden]
        for block in self.encoders:
            if not (self.training and self.layerdrop and torch.rand(()).item() < self.layerdrop):
                hidden = block(hidden, inner_mask, bias, positions, lengths)
            hidden_states.append(hidden)
        hidden = self.after_norm(hidden)
        hidden_states[-1] = hidden
        return hidden, mask, tuple(hidden_states) if output_hidden_states else None

    def _add_positions(self, hidden: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        time, size = hidden.shape[1:]
        hidden = hidden * math.sqrt(size)
        if self.position_embeddings_type == "absolute":
            table = sinusoids(torch.arange(time, device=hidden.device), size)
            return self.dropout(hidden + table.to(hidden.dtype)), None
        positions = relative_positions(
            self.position_embeddings_type, time, size, self.max_position_embeddings, hidden.device
        )
        return self.dropout(hidden), self.dropout(positions.to(hidden.dtype))


class EspnetAsrVgg(nn.Module):
    """Convolutions 3x3 with ReLU in two pairs, each with max-pooling by 2 (ESPnet: `VGG2L`)."""

    def __init__(self, config: EspnetAsrConfig):
        super().__init__()
        self.mask_padding = config.mask_padding
        self.conv1_1 = nn.Conv2d(1, 64, 3, padding=1)
        self.conv1_2 = nn.Conv2d(64, 64, 3, padding=1)
        self.conv2_1 = nn.Conv2d(64, 128, 3, padding=1)
        self.conv2_2 = nn.Conv2d(128, 128, 3, padding=1)

    def forward(self, features: torch.Tensor, mask: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor | None]:
        hidden = features[:, None]
        for first, second in ((self.conv1_1, self.conv1_2), (self.conv2_1, self.conv2_2)):
            hidden = self._masked(F.relu(first(hidden)), mask)
            hidden = self._masked(F.relu(second(hidden)), mask)
            hidden = F.max_pool2d(hidden, 2, stride=2, ceil_mode=True)
            mask = None if mask is None else mask[:, ::2]  # ceil(frames / 2)
        return hidden.transpose(1, 2).flatten(2), mask

    def _masked(self, hidden: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        if mask is None or not self.mask_padding:
            return hidden
        # Behind a ReLU zeros change no maximum either.
        return hidden.masked_fill(~mask[:, None, :, None], 0.0)


class EspnetAsrRnn(GradientCheckpointingLayer):
    """Recurrent layers, with a projection after each (ESPnet: `RNNP`) or after the last (`RNN`)."""

    def __init__(self, config: EspnetAsrConfig, input_size: int):
        super().__init__()
        self.dropout = config.rnn_dropout
        self.strides = config.layer_strides
        self.num_layers = config.num_hidden_layers if config.use_projection else 1
        self.use_projection = config.use_projection
        recurrent = nn.LSTM if config.rnn_type == "lstm" else nn.GRU
        directions = 2 if config.bidirectional else 1
        arguments = {"batch_first": True, "bidirectional": config.bidirectional}
        units, size = config.rnn_hidden_size, config.hidden_size
        if config.use_projection:
            self.prefix = "birnn" if config.bidirectional else "rnn"
            for number in range(self.num_layers):
                layer = recurrent(size if number else input_size, units, **arguments)
                setattr(self, f"{self.prefix}{number}", layer)
                setattr(self, f"bt{number}", nn.Linear(directions * units, size))
        else:
            dropout = config.rnn_dropout if config.num_hidden_layers > 1 else 0.0
            self.nbrnn = recurrent(input_size, units, config.num_hidden_layers, dropout=dropout, **arguments)
            self.l_last = nn.Linear(directions * units, size)

    def forward(self, hidden: torch.Tensor, mask: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
        """Turn (batch, time, input_size) into the states of all layers (batch, time, hidden_size), and the last mask.

        All stand in one tuple, since gradient checkpointing does not see tensors in nested ones.
        """
        states = []
        for number in range(self.num_layers):
            if not self.use_projection:
                states.append(torch.tanh(self.l_last(self._run(self.nbrnn, hidden, mask))))
                continue
            hidden = self._run(getattr(self, f"{self.prefix}{number}"), hidden, mask)
            hidden, mask = _keep_every(self.strides[number], hidden, mask)
            hidden = getattr(self, f"bt{number}")(hidden)
            if number < self.num_layers - 1:
                hidden = torch.tanh(F.dropout(hidden, self.dropout, self.training))
            states.append(hidden)
        return *states, mask

    def _run(self, layer: nn.Module, hidden: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        if mask is None:
            return layer(hidden)[0]
        packed = pack_padded_sequence(hidden, mask.sum(dim=1).cpu(), batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(layer(packed)[0], batch_first=True, total_length=hidden.shape[1])[0]


def _keep_every(
    stride: int, hidden: torch.Tensor, mask: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Keep every `stride`-th frame of (batch, time, size) and mask: of n frames (n + 1) // stride, as in ESPnet."""
    if stride == 1:
        return hidden, mask
    time = max(1, (hidden.shape[1] + 1) // stride)
    if mask is not None:
        lengths = ((mask.sum(dim=1) + 1) // stride).clamp(min=1)
        mask = torch.arange(time, device=mask.device) < lengths[:, None]
    return hidden[:, ::stride][:, :time], mask


class EspnetAsrRecurrentEncoder(nn.Module):
    """Recurrent layers on the features themselves, or on convolutions (ESPnet: `RNNEncoder`, `VGGRNNEncoder`)."""

    def __init__(self, config: EspnetAsrConfig):
        super().__init__()
        if config.encoder_type == "vgg_rnn":
            bins = math.ceil(math.ceil(config.num_mel_bins / 2) / 2)
            self.enc = nn.ModuleList([EspnetAsrVgg(config), EspnetAsrRnn(config, 128 * bins)])
        else:
            self.enc = nn.ModuleList([EspnetAsrRnn(config, config.num_mel_bins)])

    @property
    def convolutions(self) -> nn.Module | None:
        """Convolutions in front of the layers; None without any."""
        return self.enc[0] if len(self.enc) > 1 else None

    def forward(self, features: torch.Tensor, mask: torch.Tensor | None, output_hidden_states: bool = False):
        *convolutions, recurrent = self.enc
        hidden_states, hidden = [], features
        for layer in convolutions:
            hidden, mask = layer(hidden, mask)
            hidden_states.append(hidden)
        *states, mask = recurrent(hidden, mask)
        last = zero_padding(states[-1], mask)
        return last, mask, (*hidden_states, *states[:-1], last) if output_hidden_states else None


def make_encoder(config: EspnetAsrConfig) -> nn.Module:
    """Build the encoder that `config.encoder_type` names."""
    return EspnetAsrRecurrentEncoder(config) if config.encoder_type in RECURRENT else EspnetAsrBlockEncoder(config)
