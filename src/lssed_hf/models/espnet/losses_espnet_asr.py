# Copyright 2026 The lssed-hf authors. Licensed under the Apache License, Version 2.0.
"""Losses of hybrid CTC/attention recognisers, as in ESPnet2's `ESPnetASRModel`."""

import math

import torch
import torch.nn.functional as F


def ctc_loss(
    logits: torch.Tensor,
    lengths: torch.Tensor,
    labels: torch.Tensor,
    blank: int,
    zero_infinity: bool = True,
) -> torch.Tensor:
    """Return the negative log probability of the transcripts, summed over them, divided by the number of clips.

    Args:
        logits: Logits of the CTC layer, (batch, frames, vocab_size).
        lengths: Frames of each clip, (batch,).
        labels: Transcripts, padded with -100, (batch, tokens).
        blank: Token of the blank.
        zero_infinity: Whether transcripts that do not fit into their clip count as 0.
    """
    log_probs = logits.log_softmax(dim=-1).float().transpose(0, 1)
    valid = labels != -100
    losses = F.ctc_loss(
        log_probs,
        labels[valid],
        lengths,
        valid.sum(dim=1),
        blank=blank,
        reduction="none",
        zero_infinity=zero_infinity,
    )
    return losses.sum() / len(labels)


def label_smoothing_loss(
    logits: torch.Tensor, targets: torch.Tensor, smoothing: float, length_normalized: bool = False
) -> torch.Tensor:
    """Return the Kullback-Leibler divergence of predictions from smoothed targets, summed over tokens.

    The target has a probability of `1 - smoothing`, and the other tokens share the rest evenly. This is ESPnet's form:
    Szegedy et al. 2016 give the target its share as well.

    Args:
        logits: Logits of the decoder, (batch, tokens, vocab_size).
        targets: Tokens, padded with -100, (batch, tokens).
        smoothing: Probability of the other tokens, in [0, 1].
        length_normalized: Whether to divide by the number of tokens instead of the number of clips.
    """
    valid = targets != -100
    log_probs = logits.log_softmax(dim=-1)
    others = smoothing / (logits.shape[-1] - 1)
    of_target = log_probs.gather(-1, targets.clamp(min=0)[..., None])[..., 0]
    cross_entropy = -((1 - smoothing) * of_target + others * (log_probs.sum(dim=-1) - of_target))
    entropy = -sum(
        weight * math.log(share) for weight, share in ((1 - smoothing, 1 - smoothing), (smoothing, others)) if share
    )
    divergence = (cross_entropy - entropy).masked_fill(~valid, 0.0)
    return divergence.sum() / (valid.sum() if length_normalized else len(targets))
