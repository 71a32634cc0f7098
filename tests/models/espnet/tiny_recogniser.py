"""A recogniser of random tables with the methods that decoding builds on, and its scores by enumeration."""

import itertools
from types import SimpleNamespace

import numpy as np
import torch
from tiny_tables import TinyDecoder

from lssed_hf.models.espnet.generation_espnet_asr import EspnetAsrGenerationConfig, EspnetAsrGenerationMixin


class TinyRecogniser(EspnetAsrGenerationMixin):
    """Features are the CTC logits themselves; the state of the decoder is its cache."""

    def __init__(self, vocab_size: int, seed: int = 0, sharpness: float = 2.0, use_cache: bool = True):
        self.decoder = TinyDecoder(vocab_size, seed, sharpness)
        self.use_cache = use_cache
        self.config = SimpleNamespace(
            vocab_size=vocab_size,
            blank_token_id=0,
            bos_token_id=vocab_size - 1,
            eos_token_id=vocab_size - 1,
            pad_token_id=vocab_size - 1,
            ctc_weight=0.3,
        )
        self.generation_config = EspnetAsrGenerationConfig.from_model_config(self.config)

    def encode(self, input_features, attention_mask=None):
        mask = torch.ones(input_features.shape[:2]) if attention_mask is None else attention_mask
        return input_features, mask.bool()

    def ctc_log_probs(self, hidden):
        return hidden.log_softmax(dim=2)

    def decode_step(self, prefixes, memory, memory_mask, cache):
        mean = (memory * memory_mask.unsqueeze(2)).sum(1) / memory_mask.sum(1, keepdim=True)
        state, unread = (None, prefixes) if cache is None else (cache["rnn"][0], prefixes[:, -1:])
        state = self.decoder.read(unread, mean, state)
        return self.decoder.log_probs(state), {"rnn": [state]} if self.use_cache else None


def collapse(path, blank=0) -> tuple[int, ...]:
    return tuple(label for label, _ in itertools.groupby(path) if label != blank)


def ctc_by_enumeration(log_probs: torch.Tensor) -> dict[tuple[int, ...], float]:
    """Log-probability of every transcript of (frames, vocabulary), over all paths."""
    log_probs = log_probs.numpy()
    totals: dict[tuple[int, ...], float] = {}
    for path in itertools.product(range(log_probs.shape[1]), repeat=len(log_probs)):
        transcript = collapse(path)
        score = sum(log_probs[frame, label] for frame, label in enumerate(path))
        totals[transcript] = np.logaddexp(totals.get(transcript, -np.inf), score)
    return totals


def prefix_by_enumeration(totals: dict[tuple[int, ...], float], prefix: tuple[int, ...]) -> float:
    scores = [score for transcript, score in totals.items() if transcript[: len(prefix)] == prefix]
    return float(np.logaddexp.reduce(scores)) if scores else -np.inf


def decoder_score(model: TinyRecogniser, logits: torch.Tensor, tokens: tuple[int, ...], ended: bool) -> float:
    """Log-probability that the decoder gives tokens, and behind them the end if they `ended`."""
    prefix, score = [model.config.bos_token_id], 0.0
    mask = torch.ones(1, len(logits), dtype=torch.bool)
    for token in [*tokens, model.config.eos_token_id][: len(tokens) + ended]:
        log_probs, _ = model.decode_step(torch.tensor([prefix]), logits[None], mask, None)
        score += log_probs[0, token].item()
        prefix.append(token)
    return score


def ranked_by_enumeration(model, logits, ctc_weight, penalty, longest, shortest=0) -> list[tuple[float, tuple]]:
    """Every hypothesis of a search without pruning with its score, the best first."""
    totals = ctc_by_enumeration(logits.log_softmax(dim=1))
    ranked = []
    for length in range(shortest, longest + 1):
        ended = length < longest  # the longest are cut off, without an end of their own
        for tokens in itertools.product(range(model.config.vocab_size - 1), repeat=length):
            score = penalty * (length + ended)
            if ctc_weight:
                if 0 in tokens:
                    continue
                whole = totals.get(tokens, -np.inf) if ended else prefix_by_enumeration(totals, tokens)
                score += ctc_weight * whole
            if ctc_weight < 1:
                score += (1 - ctc_weight) * decoder_score(model, logits, tokens, ended)
            if score > -np.inf:
                ranked.append((score, tokens))
    return sorted(ranked, key=lambda entry: -entry[0])
