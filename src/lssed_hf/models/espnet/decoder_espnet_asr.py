# Copyright 2026 The lssed-hf authors. Licensed under the Apache License, Version 2.0.
"""Transformer decoder of the ESPnet-style recogniser."""

import math

import torch
from torch import nn
from transformers.modeling_layers import GradientCheckpointingLayer

from .configuration_espnet_asr import EspnetAsrConfig
from .layers_espnet_asr import EspnetAsrAttention, EspnetAsrFeedForward, EspnetAsrLayerNorm, key_bias, sinusoids


class EspnetAsrDecoderLayer(GradientCheckpointingLayer):
    """Layer of the decoder: self-attention, attention to the encoder, feed-forward, each behind a layer norm."""

    def __init__(self, config: EspnetAsrConfig):
        super().__init__()
        size, heads = config.hidden_size, config.decoder_attention_heads
        self.self_attn = EspnetAsrAttention(config, heads, config.decoder_self_attention_dropout)
        self.src_attn = EspnetAsrAttention(config, heads, config.decoder_src_attention_dropout)
        self.feed_forward = EspnetAsrFeedForward(
            size, config.decoder_intermediate_size, config.decoder_dropout, "relu"
        )
        self.norm1 = EspnetAsrLayerNorm(size)
        self.norm2 = EspnetAsrLayerNorm(size)
        self.norm3 = EspnetAsrLayerNorm(size)
        self.dropout = nn.Dropout(config.decoder_dropout)

    def forward(self, hidden: torch.Tensor, memory: torch.Tensor, memory_bias: torch.Tensor | None) -> torch.Tensor:
        """Turn (batch, tokens, size) and the encoder's output (batch, frames, size) into (batch, tokens, size)."""
        return self.step(hidden, memory_bias, self.src_attn.keys_and_values(memory))[0]

    def step(
        self,
        hidden: torch.Tensor,
        memory_bias: torch.Tensor | None,
        memory: tuple[torch.Tensor, torch.Tensor],
        past: tuple[torch.Tensor, torch.Tensor] | None = None,
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        """Decode the tokens behind a past.

        Args:
            hidden: Tokens (batch, tokens, size). Several at once see those before them only where there is no past.
            memory_bias: Addend to the scores of the memory.
            memory: Keys and values of the encoder's output.
            past: Keys and values of earlier tokens.

        Returns:
            Hidden states (batch, tokens, size), and keys and values of all tokens.
        """
        normed = self.norm1(hidden)
        present = self.self_attn.keys_and_values(normed)
        if past is not None:
            present = tuple(torch.cat(pair, dim=2) for pair in zip(past, present))
        query = self.self_attn.split_heads(self.self_attn.linear_q(normed))
        hidden = hidden + self.dropout(self.self_attn.attend(query, *present, is_causal=past is None))
        query = self.src_attn.split_heads(self.src_attn.linear_q(self.norm2(hidden)))
        hidden = hidden + self.dropout(self.src_attn.attend(query, *memory, memory_bias))
        return hidden + self.dropout(self.feed_forward(self.norm3(hidden))), present


class EspnetAsrDecoder(nn.Module):
    """Decoder: token embeddings, positions, layers, and scores of the next token (ESPnet: `TransformerDecoder`)."""

    def __init__(self, config: EspnetAsrConfig):
        super().__init__()
        self.layerdrop = config.decoder_layerdrop
        self.dropout = nn.Dropout(config.decoder_positional_dropout)
        self.embed = nn.Sequential(nn.Embedding(config.vocab_size, config.hidden_size))
        self.decoders = nn.ModuleList(EspnetAsrDecoderLayer(config) for _ in range(config.decoder_layers))
        self.after_norm = EspnetAsrLayerNorm(config.hidden_size)
        self.output_layer = nn.Linear(config.hidden_size, config.vocab_size)

    def _embed(self, tokens: torch.Tensor, first_position: int) -> torch.Tensor:
        hidden = self.embed(tokens)
        positions = torch.arange(first_position, first_position + tokens.shape[1], device=tokens.device)
        table = sinusoids(positions, hidden.shape[-1]).to(hidden.dtype)
        return self.dropout(hidden * math.sqrt(hidden.shape[-1]) + table)

    def forward(self, tokens: torch.Tensor, memory: torch.Tensor, memory_mask: torch.Tensor | None) -> torch.Tensor:
        """Return logits (batch, length, vocab_size) of the token behind each. Padding behind a transcript is harmless.

        Args:
            tokens: Tokens that begin with sos, (batch, length).
            memory: Output of the encoder, (batch, frames, size).
            memory_mask: Boolean mask of the memory, (batch, frames).
        """
        hidden = self._embed(tokens, 0)
        bias = key_bias(memory_mask, hidden.dtype)
        for layer in self.decoders:
            if not (self.training and self.layerdrop and torch.rand(()).item() < self.layerdrop):
                hidden = layer(hidden, memory, bias)
        return self.output_layer(self.after_norm(hidden))

    def step(
        self,
        prefixes: torch.Tensor,
        memory: torch.Tensor,
        memory_mask: torch.Tensor | None,
        cache: tuple[torch.Tensor, ...] | None,
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
        """See `EspnetAsrForSpeechSeq2Seq.decode_step`.

        Per layer the cache has keys and values of the tokens, then of the memory, each (N, heads, time, size / heads).
        """
        bias = key_bias(memory_mask, memory.dtype)
        known = 0 if cache is None else prefixes.shape[1] - 1
        hidden = self._embed(prefixes[:, known:], known)
        new_cache: list[torch.Tensor] = []
        for number, layer in enumerate(self.decoders):
            if cache is None:
                past, source = None, layer.src_attn.keys_and_values(memory)
            else:
                past, source = cache[4 * number : 4 * number + 2], cache[4 * number + 2 : 4 * number + 4]
            hidden, present = layer.step(hidden, bias, source, past)
            new_cache += [*present, *source]
        return self.output_layer(self.after_norm(hidden[:, -1])).log_softmax(dim=-1), tuple(new_cache)
