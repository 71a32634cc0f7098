# Copyright 2026 The lssed-hf authors. Licensed under the Apache License, Version 2.0.
"""Layers of the ESPnet-style recogniser: attention, positions, feed-forward.

Attributes have the names of ESPnet's weights.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from .configuration_espnet_asr import EspnetAsrConfig


ACTIVATION_CLASSES = {
    "identity": nn.Identity,
    "relu": nn.ReLU,
    "swish": nn.SiLU,
    "tanh": nn.Tanh,
    "selu": nn.SELU,
    "hardtanh": nn.Hardtanh,
}


class EspnetAsrLayerNorm(nn.LayerNorm):
    """Layer norm with ESPnet's epsilon, 1e-12."""

    def __init__(self, size: int):
        super().__init__(size, eps=1e-12)


def sinusoids(positions: torch.Tensor, size: int) -> torch.Tensor:
    """Return sines (even columns) and cosines (odd) of positions (n,), (n, size). Source: Vaswani et al. 2017, 3.5."""
    rates = torch.exp(
        torch.arange(0, size, 2, dtype=torch.float32, device=positions.device) * -(math.log(10000.0) / size)
    )
    angles = positions.to(torch.float32)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


def relative_positions(kind: str, length: int, size: int, max_length: int, device) -> torch.Tensor:
    """Return the positions that relative attention of a kind takes for `length` frames, (positions, size)."""
    if kind == "relative":
        positions = torch.arange(length - 1, -length, -1, device=device)
    else:
        # ESPnet reads the first rows of a reversed table, so its length is part of the positions.
        first = max(max_length, length) - 1
        positions = torch.arange(first, first - length, -1, device=device)
    return sinusoids(positions, size)


class EspnetAsrAttention(nn.Module):
    """Scaled dot-product attention (ESPnet: `MultiHeadedAttention`)."""

    def __init__(self, config: EspnetAsrConfig, heads: int, dropout: float):
        super().__init__()
        self.config = config
        size = config.hidden_size
        self.heads = heads
        self.dropout = dropout
        self.linear_q = nn.Linear(size, size)
        self.linear_k = nn.Linear(size, size)
        self.linear_v = nn.Linear(size, size)
        self.linear_out = nn.Linear(size, size)

    def split_heads(self, hidden: torch.Tensor) -> torch.Tensor:
        """Turn (batch, time, size) into (batch, heads, time, size / heads)."""
        return hidden.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def keys_and_values(self, memory: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return keys and values of (batch, time, size), each (batch, heads, time, size / heads)."""
        return self.split_heads(self.linear_k(memory)), self.split_heads(self.linear_v(memory))

    def attend(
        self,
        query: torch.Tensor,
        keys: torch.Tensor,
        values: torch.Tensor,
        bias: torch.Tensor | None = None,
        is_causal: bool = False,
    ) -> torch.Tensor:
        """Attend with heads of queries, keys and values. `bias` adds to the scaled scores.

        Returns:
            Context (batch, time, size).
        """
        dropout = self.dropout if self.training else 0.0
        if self.config._attn_implementation == "eager":
            scores = query @ keys.transpose(-2, -1) / math.sqrt(query.shape[-1])
            if is_causal:
                later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
                scores = scores.masked_fill(later, torch.finfo(scores.dtype).min)
            weights = (scores if bias is None else scores + bias).softmax(dim=-1)
            hidden = F.dropout(weights, dropout) @ values
        else:
            hidden = F.scaled_dot_product_attention(
                query, keys, values, attn_mask=bias, dropout_p=dropout, is_causal=is_causal
            )
        return self.linear_out(hidden.transpose(1, 2).flatten(2))

    def forward(self, hidden: torch.Tensor, bias: torch.Tensor | None, positions=None, lengths=None) -> torch.Tensor:
        """Attend from (batch, time, size) to itself."""
        return self.attend(self.split_heads(self.linear_q(hidden)), *self.keys_and_values(hidden), bias)


class EspnetAsrRelativeAttention(EspnetAsrAttention):
    """Self-attention with relative positions (ESPnet: `RelPositionMultiHeadedAttention` and its legacy version).

    Source: Dai et al., "Transformer-XL", arXiv 1901.02860, section 3.3 and appendix B.
    """

    def __init__(self, config: EspnetAsrConfig, heads: int, dropout: float, legacy: bool):
        super().__init__(config, heads, dropout)
        size = config.hidden_size
        self.legacy = legacy
        self.linear_pos = nn.Linear(size, size, bias=False)
        self.pos_bias_u = nn.Parameter(torch.empty(heads, size // heads))
        self.pos_bias_v = nn.Parameter(torch.empty(heads, size // heads))

    def forward(
        self,
        hidden: torch.Tensor,
        bias: torch.Tensor | None,
        positions: torch.Tensor,
        lengths: list[int] | None = None,
    ) -> torch.Tensor:
        """Attend from hidden states to themselves.

        Args:
            hidden: Hidden states (batch, time, size).
            bias: Addend to the scores, (batch, 1, 1, time).
            positions: Result of `relative_positions`, with dropout applied.
            lengths: Frames of each clip, for legacy positions that count from a clip's own end. Default: they count
                from the padded end, as in ESPnet.
        """
        query = self.split_heads(self.linear_q(hidden))
        keys, values = self.keys_and_values(hidden)
        embedded = self.split_heads(self.linear_pos(positions)[None])
        scores = (query + self.pos_bias_v[:, None]) @ embedded.transpose(-2, -1)
        scores = self._legacy_shift(scores, lengths) if self.legacy else _relative_shift(scores)
        scores = scores / math.sqrt(query.shape[-1])
        return self.attend(query + self.pos_bias_u[:, None], keys, values, scores if bias is None else scores + bias)

    def _legacy_shift(self, scores: torch.Tensor, lengths: list[int] | None) -> torch.Tensor:
        if lengths is None:
            return _legacy_shift(scores)
        longest = scores.shape[-1]
        return torch.stack(
            [
                F.pad(_legacy_shift(clip[:, :length, :length]), (0, longest - length, 0, longest - length))
                for clip, length in zip(scores, lengths)
            ]
        )


def _relative_shift(scores: torch.Tensor) -> torch.Tensor:
    """Turn (..., time, 2 time - 1) over positions time-1 ... 1-time into (..., time, time): i-j for query i, key j."""
    time = scores.shape[-2]
    frame = torch.arange(time, device=scores.device)
    # Not by padding and reshaping, as in Transformer-XL: torch.export cannot follow that for any length.
    return scores.gather(-1, (time - 1 - frame[:, None] + frame).expand(*scores.shape[:-1], time))


def _legacy_shift(scores: torch.Tensor) -> torch.Tensor:
    """Move row i of (..., time, time) left by time-1-i; the next values in memory follow it, as in ESPnet."""
    time = scores.shape[-1]
    shifted = F.pad(scores, (1, 0)).reshape(*scores.shape[:-2], time + 1, time)
    return shifted[..., 1:, :]


class EspnetAsrFeedForward(nn.Module):
    """Feed-forward layer: two linear ones, activation and dropout between (ESPnet: `PositionwiseFeedForward`)."""

    def __init__(self, size: int, width: int, dropout: float, activation: str):
        super().__init__()
        self.w_1 = nn.Linear(size, width)
        self.w_2 = nn.Linear(width, size)
        self.activation = ACTIVATION_CLASSES[activation]()
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return self.w_2(self.dropout(self.activation(self.w_1(hidden))))


def key_bias(mask: torch.Tensor | None, dtype: torch.dtype) -> torch.Tensor | None:
    """Turn a mask (batch, time) into an addend to attention scores (batch, 1, 1, time)."""
    if mask is None:
        return None
    # The lowest finite number and not -inf, so that a clip without frames has no NaN.
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill(~mask, torch.finfo(dtype).min)[
        :, None, None
    ]


def zero_padding(hidden: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """Zero the padded frames of (batch, time, size): behind its end a clip alone has zeros, too."""
    return hidden if mask is None else hidden.masked_fill(~mask[..., None], 0.0)
