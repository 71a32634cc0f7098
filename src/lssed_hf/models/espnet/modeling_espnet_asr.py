# Copyright 2026 The lssed-hf authors. Licensed under the Apache License, Version 2.0.
"""PyTorch ESPnet-style speech recognition model (hybrid CTC/attention). Signatures first; the bodies follow."""

import torch


class EspnetAsrForSpeechSeq2Seq:
    """Signatures that the beam search builds on. V = vocab_size, D = hidden_size, T = encoder frames.

    Will inherit from `EspnetAsrPreTrainedModel` and, for `generate`, from `EspnetAsrGenerationMixin` of
    `generation_espnet_asr.py`, which should subclass transformers' GenerationMixin (so that a generation_config exists
    and is saved) and override `generate(self, input_features, attention_mask=None, **options)`.
    `config.blank_token_id` (0), `config.bos_token_id == config.eos_token_id` (the last id, vocab_size - 1),
    `config.pad_token_id` (the same as eos, as in ESPnet's padding of decoder inputs), `config.ctc_weight`.
    """

    def get_encoder(self) -> "torch.nn.Module": ...

    def encode(
        self, input_features: torch.Tensor, attention_mask: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(batch, frames, num_mel_bins), (batch, frames) to hidden (batch, T, D) and mask bool (batch, T)."""

    def ctc_log_probs(self, hidden: torch.Tensor) -> torch.Tensor:
        """(batch, T, D) to log probabilities (batch, T, V)."""

    def decode_step(
        self,
        prefixes: torch.Tensor,
        memory: torch.Tensor,
        memory_mask: torch.Tensor | None = None,
        cache: tuple[torch.Tensor, ...] | None = None,
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
        """Log probabilities (N, V) of the token behind each prefix.

        `prefixes` (N, L) int64 begin with sos and are equally long; `memory` (N, T, D), `memory_mask` (N, T).
        `cache` is None at L = 1 (or whenever it is easier: then all is computed anew), later what the call for
        `prefixes[:, :-1]` returned: a tuple of tensors whose first dimension is N, to be reordered with
        `tuple(tensor.index_select(0, parents) for tensor in cache)`.
        """
