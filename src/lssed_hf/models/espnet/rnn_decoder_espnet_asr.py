# Copyright 2026 The lssed-hf authors. Licensed under the Apache License, Version 2.0.
"""Recurrent decoder with location-aware attention.

ESPnet2's recipes with BLSTM encoders have it, and `lssed-hf convert` takes recognisers that were trained by them.
"""

import torch
import torch.nn.functional as F
from torch import nn

from .configuration_espnet_asr import EspnetAsrConfig


#: Factor on the attention's scores, which sharpens it.
SHARPNESS = 2.0


class EspnetAsrLocationAttention(nn.Module):
    """Attention that also sees its own weights at the previous token (ESPnet: `AttLoc`).

    Source: Chorowski et al., "Attention-Based Models for Speech Recognition", arXiv 1506.07503, section 2.1.
    """

    def __init__(self, config: EspnetAsrConfig):
        super().__init__()
        size, reach = config.decoder_attention_size, config.decoder_attention_filters
        self.mlp_enc = nn.Linear(config.hidden_size, size)
        self.mlp_dec = nn.Linear(config.decoder_hidden_size, size, bias=False)
        self.mlp_att = nn.Linear(config.decoder_attention_channels, size, bias=False)
        self.loc_conv = nn.Conv2d(
            1, config.decoder_attention_channels, (1, 2 * reach + 1), padding=(0, reach), bias=False
        )
        self.gvec = nn.Linear(size, 1)

    def forward(
        self,
        memory: torch.Tensor,
        embedded: torch.Tensor,
        mask: torch.Tensor,
        state: torch.Tensor,
        weights: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Attend to the memory for one token.

        Args:
            memory: Output of the encoder, (batch, time, hidden_size).
            embedded: Memory behind `mlp_enc`.
            mask: Boolean mask of the memory, (batch, time).
            state: State of the decoder's first layer, (batch, decoder_hidden_size).
            weights: Weights at the previous token, (batch, time).

        Returns:
            Context (batch, hidden_size) and weights (batch, time).
        """
        location = self.mlp_att(self.loc_conv(weights[:, None, None]).squeeze(2).transpose(1, 2))
        scores = self.gvec(torch.tanh(location + embedded + self.mlp_dec(state)[:, None])).squeeze(2)
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
        weights = F.softmax(SHARPNESS * scores, dim=1).masked_fill(~mask, 0.0)
        return (memory * weights[..., None]).sum(dim=1), weights


class EspnetAsrRnnDecoder(nn.Module):
    """Decoder of recurrent cells on embedded tokens and attended contexts (ESPnet: `RNNDecoder`)."""

    def __init__(self, config: EspnetAsrConfig):
        super().__init__()
        size = config.decoder_hidden_size
        self.context_residual = config.decoder_context_residual
        self.is_lstm = config.decoder_rnn_type == "lstm"
        self.dropout = nn.Dropout(config.decoder_dropout)
        self.embed = nn.Embedding(config.vocab_size, size)
        cell = nn.LSTMCell if self.is_lstm else nn.GRUCell
        self.decoder = nn.ModuleList(
            cell(size if number else size + config.hidden_size, size) for number in range(config.decoder_layers)
        )
        self.output = nn.Linear(size + config.hidden_size * self.context_residual, config.vocab_size)
        self.att_list = nn.ModuleList([EspnetAsrLocationAttention(config)])

    def forward(self, tokens: torch.Tensor, memory: torch.Tensor, memory_mask: torch.Tensor | None) -> torch.Tensor:
        """Return logits (batch, length, vocab_size) of the token behind each.

        Args:
            tokens: Tokens that begin with sos, (batch, length).
            memory: Output of the encoder, (batch, time, hidden_size).
            memory_mask: Boolean mask of the memory, (batch, time).
        """
        return self._run(tokens, memory, memory_mask, None)[0]

    def step(
        self,
        prefixes: torch.Tensor,
        memory: torch.Tensor,
        memory_mask: torch.Tensor | None,
        cache: tuple[torch.Tensor, ...] | None,
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
        """See `EspnetAsrForSpeechSeq2Seq.decode_step`.

        The cache has the memory as the attention embeds it, the last attention weights, and the states of all layers.
        """
        unread = prefixes if cache is None else prefixes[:, -1:]
        logits, cache = self._run(unread, memory, memory_mask, cache)
        return logits[:, -1].log_softmax(dim=-1), cache

    def _run(self, tokens, memory, mask, cache) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
        (attention,) = self.att_list
        if mask is None:
            mask = torch.ones(memory.shape[:2], dtype=torch.bool, device=memory.device)
        mask = mask.bool()
        if cache is None:
            weights = mask.to(memory.dtype)
            weights = weights / weights.sum(dim=1, keepdim=True).clamp(min=1)
            nothing = memory.new_zeros(len(memory), self.embed.embedding_dim)
            cache = (attention.mlp_enc(memory), weights, *[nothing] * len(self.decoder) * (1 + self.is_lstm))
        embedded, weights, *states = cache
        hidden = states[: len(self.decoder)]
        cells = states[len(self.decoder) :]
        logits = []
        for token in self.dropout(self.embed(tokens)).unbind(1):
            context, weights = attention(memory, embedded, mask, self.dropout(hidden[0]), weights)
            value = torch.cat([token, context], dim=1)
            for number, cell in enumerate(self.decoder):
                if self.is_lstm:
                    hidden[number], cells[number] = cell(value, (hidden[number], cells[number]))
                else:
                    hidden[number] = cell(value, hidden[number])
                value = self.dropout(hidden[number])
            logits.append(self.output(torch.cat([value, context], dim=1) if self.context_residual else value))
        return torch.stack(logits, dim=1), (embedded, weights, *hidden, *cells)
