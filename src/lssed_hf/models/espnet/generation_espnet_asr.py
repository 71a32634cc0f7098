# Copyright 2026 The lssed-hf authors. Licensed under the Apache License, Version 2.0.
"""Joint CTC/attention decoding of ESPnet models behind `generate`."""

import copy
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.utils import _pytree as pytree
from transformers import GenerationConfig
from transformers.generation import GenerationMixin
from transformers.utils import ModelOutput


#: ESPnet's own defaults (`Speech2Text`). The number of encoder frames bounds the length anyway. `max_length` keeps the
#: pipeline from setting its own bound of 256 tokens, half a minute of characters.
DEFAULTS = {
    "num_beams": 20,
    "ctc_weight": 0.5,
    "penalty": 0.0,
    "maxlenratio": 0.0,
    "minlenratio": 0.0,
    "ctc_greedy": False,
    "num_return_sequences": 1,
    "max_length": 65536,
}
#: Size of the pre-beam, in beams: CTC scores the tokens that the decoder likes best.
PRE_BEAM_RATIO = 1.5
#: The search ends when, at so many lengths in a row, the best that ended is so much worse than the best of all.
END_DETECT_LENGTHS, END_DETECT_MARGIN = 3, -10.0

# Options of generation configurations that `generate` reads, and others that change nothing here.
_USED = {*DEFAULTS, "max_new_tokens", "pad_token_id", "return_dict_in_generate", "output_scores"}
# Seq2SeqTrainer gives its labels.
_HARMLESS = {"bos_token_id", "eos_token_id", "decoder_start_token_id", "labels", "use_cache", "transformers_version"}


@dataclass
class EspnetAsrGenerateOutput(ModelOutput):
    """Output of `generate` with `return_dict_in_generate=True`.

    Attributes:
        sequences: Token numbers (batch * num_return_sequences, length), int64: `<sos/eos>`, the tokens, `<sos/eos>`,
            padding.
        sequences_scores: Scores (batch * num_return_sequences,), descending: `ctc_weight * ctc_scores +
            (1 - ctc_weight) * decoder_scores + penalty * tokens`. -inf where there is no hypothesis.
        ctc_scores: Log-probabilities under CTC. None with `ctc_weight=0`.
        decoder_scores: Log-probabilities under the decoder. None with `ctc_weight=1`.
    """

    sequences: torch.LongTensor | None = None
    sequences_scores: torch.Tensor | None = None
    ctc_scores: torch.Tensor | None = None
    decoder_scores: torch.Tensor | None = None


class CtcPrefixScorer:
    """Log-probabilities, under CTC, of all transcripts that begin with a prefix.

    Source: Watanabe et al., "Hybrid CTC/Attention Architecture for End-to-End Speech Recognition", IEEE JSTSP 11(8),
    2017, Algorithm 2. Nothing loops over frames: the prefix probability is a product of the prefix' forward
    probabilities with the frames' posteriors, and the forward recursions, which are linear, are cumulative sums in the
    logarithmic domain. Those need double precision, and run for chosen tokens alone.

    Args:
        log_probs: Log-softmax of the CTC layer, (batch, frames, vocabulary).
        mask: True at frames that count, which come first, (batch, frames).
        blank: Number of the blank.
        eos: Number of the token that ends a hypothesis. CTC never emits it.
    """

    def __init__(self, log_probs: torch.Tensor, mask: torch.Tensor, blank: int, eos: int):
        self.blank, self.eos = blank, eos
        # A floor, since sums of -inf leave NaN. No float can hold e^-10000.
        floor = -1e4
        log_probs = log_probs.to(_precise(log_probs.device)).clamp(min=floor)
        # Behind the end only blanks, for certain: probabilities stay as they were at the last frame.
        log_probs = log_probs.masked_fill(~mask.unsqueeze(2), floor)
        log_probs[..., blank] = log_probs[..., blank].masked_fill(~mask, 0.0)
        self.log_probs = log_probs
        self.probs = log_probs.exp()
        self.blank_sums = torch.nn.functional.pad(log_probs[..., blank].cumsum(1), (1, 0))

    def start(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the state of the empty prefix of each item: paths that end in a label, and in a blank.

        Both are log-probabilities (batch, 1 + frames).
        """
        return torch.full_like(self.blank_sums, -torch.inf), self.blank_sums

    def score(
        self, state: tuple[torch.Tensor, torch.Tensor], items: torch.Tensor, slots: torch.Tensor, last: torch.Tensor
    ) -> torch.Tensor:
        """Return log-probabilities (prefixes, vocabulary) of all prefixes that are one token longer.

        The column of `eos` is for the prefixes as whole transcripts. The column of the blank is -inf.

        Args:
            state: State of the prefixes, (prefixes, 1 + frames) each.
            items: Number of the prefix' item in the batch, (prefixes,).
            slots: Number of the prefix among those of its item, (prefixes,).
            last: Last token of the prefix, `eos` if it is empty, (prefixes,).
        """
        label, blank = state
        either = torch.logaddexp(label, blank)
        before = either[:, :-1]
        peak = before.amax(dim=1, keepdim=True).clamp(min=-1e30)  # -inf less -inf would be NaN
        scaled = before.new_zeros(len(self.probs), int(slots.max()) + 1, before.shape[1])
        scaled[items, slots] = (before - peak).exp()
        scores = torch.bmm(scaled, self.probs)[items, slots].log() + peak
        # The last token again takes a blank between the two.
        rows = torch.arange(len(last), device=last.device)
        emitted = self.log_probs[items, :, last]
        scores[rows, last] = torch.logsumexp(blank[:, :-1] + emitted, dim=1)
        scores[:, self.blank] = -torch.inf
        scores[:, self.eos] = either[:, -1]
        return scores

    def extend(
        self, state: tuple[torch.Tensor, torch.Tensor], items: torch.Tensor, last: torch.Tensor, tokens: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the state of prefixes with one token more, neither blank nor `eos`. See `score` for the arguments."""
        label, blank = state
        reached = torch.where((tokens == last).unsqueeze(1), blank, torch.logaddexp(label, blank))
        token_sums = torch.nn.functional.pad(self.log_probs[items, :, tokens].cumsum(1), (1, 0))
        label = _decaying_sum(reached, token_sums)
        return label, _decaying_sum(label, self.blank_sums[items])


def _decaying_sum(inflow: torch.Tensor, log_sums: torch.Tensor) -> torch.Tensor:
    """Compute r[t] = (r[t - 1] + inflow[t - 1]) * p[t] from r[0] = 0, in logs; `log_sums` sums up log p."""
    total = torch.logcumsumexp(inflow - log_sums, dim=1)
    return torch.nn.functional.pad((total[:, :-1] + log_sums[:, 1:]), (1, 0), value=-torch.inf)


def _precise(device: torch.device) -> torch.dtype:
    return torch.float32 if device.type == "mps" else torch.float64  # MPS has no double precision


def ctc_greedy_search(log_probs: torch.Tensor, mask: torch.Tensor, blank: int) -> tuple[list[list[int]], torch.Tensor]:
    """Return the transcript of the likeliest path: the best label of each frame, repetitions merged, without blanks.

    Source: Graves et al., "Connectionist Temporal Classification", ICML 2006, section 3.2 (best path decoding).

    Args:
        log_probs: Log-softmax of the CTC layer, (batch, frames, vocabulary).
        mask: True at frames that count, (batch, frames).
        blank: Number of the blank.

    Returns:
        Tokens of each item, and the log-probability of its path, (batch,).
    """
    values, labels = log_probs.max(dim=2)
    labels = labels.masked_fill(~mask, blank)
    new = torch.ones_like(mask)
    new[:, 1:] = labels[:, 1:] != labels[:, :-1]
    keep = new & (labels != blank)
    return [row[kept].tolist() for row, kept in zip(labels, keep)], values.masked_fill(~mask, 0).sum(dim=1)


@dataclass
class _Ended:
    """Hypotheses of one item that have ended.

    Attributes:
        tokens: Tokens of each hypothesis.
        scores: Score and log-probabilities of CTC and decoder of each hypothesis.
        best: Best score.
        best_by_length: Best score of each length.
    """

    tokens: list[list[int]] = field(default_factory=list)
    scores: list[tuple[float, float, float]] = field(default_factory=list)
    best: float = -torch.inf
    best_by_length: dict[int, float] = field(default_factory=dict)

    def add(self, tokens: list[int], scores: tuple[float, float, float], length: int) -> None:
        self.tokens.append(tokens)
        self.scores.append(scores)
        self.best = max(self.best, scores[0])
        self.best_by_length[length] = max(scores[0], self.best_by_length.get(length, -torch.inf))

    def hopeless(self, length: int) -> bool:
        """Return whether the last to end, up to `length`, are so bad that no better ones are to be expected."""
        lately = [self.best_by_length.get(length - back) for back in range(END_DETECT_LENGTHS)]
        return all(score is not None and score - self.best < END_DETECT_MARGIN for score in lately)


class _JointSearch:
    """Hypotheses of a batch that are still running, one a row, those of an item together.

    Attributes:
        items: Number of each row's item in the batch, (rows,).
        slots: Number of each row among those of its item, (rows,).
        prefixes: Tokens of each row, (rows, length).
        totals: Score and log-probabilities of CTC and decoder of each row, (rows, 3).
    """

    def __init__(
        self, model, hidden: torch.Tensor, mask: torch.Tensor, num_beams: int, ctc_weight: float, penalty: float
    ):
        config = self.config = model.config
        self.model, self.hidden, self.mask = model, hidden, mask
        self.num_beams, self.ctc_weight, self.penalty = num_beams, ctc_weight, penalty
        self.items = torch.arange(len(hidden), device=hidden.device)
        self.slots = torch.zeros_like(self.items)
        self.prefixes = self.items.new_full((len(hidden), 1), config.bos_token_id)
        self.totals = hidden.new_zeros(len(hidden), 3, dtype=_precise(hidden.device))
        self.scorer = self.ctc_state = None
        if ctc_weight > 0:
            log_probs = model.ctc_log_probs(hidden)
            self.scorer = CtcPrefixScorer(log_probs, mask, config.blank_token_id, config.eos_token_id)
            self.ctc_state = self.scorer.start()
        self.memory, self.memory_mask, self.cache = hidden, mask, None

    def best(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the best continuations of each item by one token, the best first.

        Returns:
            Scores (batch, beam), tokens (batch, beam), rows that they continue (batch, beam), and score and
            log-probabilities of CTC and decoder (batch, beam, 3), which mean nothing where the score is -inf.
        """
        scores, ctc_scores, decoder_scores = self._scores()
        vocab_size = scores.shape[1]
        slots = (len(self.hidden), int(self.slots.max()) + 1)
        grid = scores.new_full((*slots, vocab_size), -torch.inf)
        grid[self.items, self.slots] = scores
        grid = grid.flatten(1)
        values, chosen = grid.topk(min(self.num_beams, grid.shape[1]), dim=1)
        row_of = self.items.new_full(slots, -1)
        row_of[self.items, self.slots] = torch.arange(len(self.items), device=grid.device)
        parents, tokens = row_of.gather(1, chosen // vocab_size), chosen % vocab_size
        nothing = torch.zeros_like(values)
        # The score of CTC is that of the whole prefix, the score of the decoder that of the token.
        ctc = nothing if ctc_scores is None else ctc_scores[parents, tokens]
        decoder = nothing if decoder_scores is None else decoder_scores[parents, tokens] + self.totals[parents, 2]
        return values, tokens, parents, torch.stack([values, ctc, decoder], dim=2)

    def _scores(self) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
        """Return scores of each row with each next token: total, CTC's and the decoder's, (rows, vocab_size) each."""
        scores = self.totals.new_full((len(self.items), self.config.vocab_size), self.penalty)
        ctc_scores = decoder_scores = None
        if self.ctc_weight < 1:
            log_probs, self.cache = self.model.decode_step(self.prefixes, self.memory, self.memory_mask, self.cache)
            decoder_scores = log_probs.to(scores.dtype)
            scores += (1 - self.ctc_weight) * decoder_scores
        if self.scorer is not None:
            ctc_scores = self.scorer.score(self.ctc_state, self.items, self.slots, self.prefixes[:, -1])
            gain = ctc_scores - self.totals[:, 1:2]
            pre_beam = int(PRE_BEAM_RATIO * self.num_beams)
            if self.ctc_weight < 1 and pre_beam < self.config.vocab_size:
                liked = torch.zeros_like(scores, dtype=torch.bool)
                liked.scatter_(1, scores.topk(pre_beam, dim=1).indices, True)
                liked[:, self.config.eos_token_id] = True
                gain = gain.masked_fill(~liked, -torch.inf)
            scores += self.ctc_weight * gain
        return scores + self.totals[:, :1], ctc_scores, decoder_scores

    def go_on(self, items: torch.Tensor, rows: torch.Tensor, tokens: torch.Tensor, totals: torch.Tensor) -> None:
        """Replace the rows by continuations: of these items, from these rows, by these tokens, with these totals."""
        if self.scorer is not None:
            label, blank = self.ctc_state
            self.ctc_state = self.scorer.extend((label[rows], blank[rows]), items, self.prefixes[rows, -1], tokens)
        if self.ctc_weight < 1:
            self.cache = pytree.tree_map_only(torch.Tensor, lambda tensor: tensor[rows], self.cache)
            if not torch.equal(items, self.items):  # else the copies stay as they are
                self.memory, self.memory_mask = self.hidden[items], self.mask[items]
        self.prefixes = torch.cat([self.prefixes[rows], tokens.unsqueeze(1)], dim=1)
        self.slots = torch.tensor(_count_up(items.tolist()), device=items.device)
        self.items, self.totals = items, totals


def joint_beam_search(
    model,
    hidden: torch.Tensor,
    mask: torch.Tensor,
    *,
    num_beams: int = 20,
    ctc_weight: float = 0.5,
    penalty: float = 0.0,
    maxlenratio: float = 0.0,
    minlenratio: float = 0.0,
    max_tokens: int | None = None,
) -> list[_Ended]:
    """Search over the weighted log-probabilities of CTC and decoder, as ESPnet's BatchBeamSearch does.

    Source: Watanabe et al. 2017, section II-D ("joint decoding", one pass), and these rules of ESPnet2 202511:

    - Without `ctc_weight=1`, CTC scores only the int(1.5 * num_beams) tokens that the decoder likes best, and the end.
    - Hypotheses that reach the bound of their length end there, without the score of an end.
    - With `maxlenratio=0` the search stops when hypotheses that end have become hopeless (Watanabe et al. 2017,
      equation 49, with M = 3 and a margin of 10).

    A batch is searched at once, each item as if it were alone. Unlike in ESPnet, a hypothesis that CTC holds for
    impossible is dropped instead of scored -1e10.

    Args:
        model: Model with `ctc_log_probs(hidden)`, `decode_step(prefixes, memory, memory_mask, cache)` and `config`.
            The cache may be None or tensors, nested in lists, tuples and dictionaries, by prefix on the first axis.
        hidden: Encoder output (batch, frames, channels).
        mask: True at frames that count, which come first, (batch, frames).
        num_beams: Hypotheses kept per item.
        ctc_weight: Weight of CTC, from 0 (the decoder alone) to 1 (CTC alone).
        penalty: Addend to the score for each token, the end included. Positive values favour long transcripts.
        maxlenratio: Largest number of tokens, as a share of the encoder frames. 0 means all of them, and a negative
            number is minus the number of tokens.
        minlenratio: Smallest number of tokens, likewise. Shorter hypotheses are dropped.
        max_tokens: Further bound of the number of tokens.

    Returns:
        Hypotheses of each item that ended, in the order found.
    """
    frames = mask.sum(dim=1).tolist()
    longest = [_bound(maxlenratio, length) if maxlenratio else length for length in frames]
    longest = [max(1, length if max_tokens is None else min(length, max_tokens)) for length in longest]
    shortest = [_bound(minlenratio, length) for length in frames]
    search = _JointSearch(model, hidden, mask, num_beams, ctc_weight, penalty)
    ended = [_Ended() for _ in frames]
    for step in range(max(longest, default=0)):
        values, tokens, parents, totals = search.best()
        going_on: list[tuple[int, int]] = []
        picks = zip(values.tolist(), tokens.tolist(), parents.tolist(), totals.tolist())
        for item, (item_values, item_tokens, item_parents, item_totals) in enumerate(picks):
            survivors = []
            for rank, value in enumerate(item_values):
                if value == -torch.inf:
                    break
                token, parent = item_tokens[rank], item_parents[rank]
                if token != model.config.eos_token_id and step < longest[item] - 1:
                    survivors.append((item, rank))
                elif step >= shortest[item]:
                    whole = search.prefixes[parent, 1:].tolist() + [token] * (token != model.config.eos_token_id)
                    ended[item].add(whole, tuple(item_totals[rank]), length=len(whole) + 2)
            if maxlenratio or not ended[item].hopeless(step):
                going_on += survivors
        if not going_on:
            break
        items, ranks = torch.tensor(going_on, device=hidden.device).unbind(1)
        search.go_on(items, parents[items, ranks], tokens[items, ranks], totals[items, ranks])
    return ended


def _bound(ratio: float, frames: int) -> int:
    return -int(ratio) if ratio < 0 else int(ratio * frames)


def _count_up(items: Sequence[int]) -> list[int]:
    """Return the number of each element in its run of equal ones: [4, 4, 7] -> [0, 1, 0]."""
    counts: list[int] = []
    for index, item in enumerate(items):
        counts.append(counts[-1] + 1 if index and items[index - 1] == item else 0)
    return counts


class EspnetAsrGenerationConfig(GenerationConfig):
    """Generation configuration that starts from ESPnet's defaults, see `DEFAULTS`."""

    def __init__(self, **kwargs):
        super().__init__(**{**DEFAULTS, **kwargs})

    @classmethod
    def from_model_config(cls, model_config) -> "EspnetAsrGenerationConfig":
        # The model's `ctc_weight` is that of its loss, but at 0 and 1 it lacks the layers for another weight.
        only = {"ctc_weight": model_config.ctc_weight} if model_config.ctc_weight in (0, 1) else {}
        return cls(
            **only,
            bos_token_id=model_config.bos_token_id,
            eos_token_id=model_config.eos_token_id,
            decoder_start_token_id=model_config.bos_token_id,
            pad_token_id=model_config.pad_token_id,
        )


class EspnetAsrGenerationMixin(GenerationMixin):
    """Method `generate` for models with `encode`, `ctc_log_probs` and `decode_step`."""

    @torch.no_grad()
    def generate(
        self,
        input_features: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        generation_config: GenerationConfig | None = None,
        **kwargs: Any,
    ) -> torch.LongTensor | EspnetAsrGenerateOutput:
        r"""Transcribe by joint CTC/attention beam search, see [`joint_beam_search`].

        Args:
            input_features (`torch.FloatTensor` of shape `(batch, frames, num_mel_bins)`):
                Features of the feature extractor.
            attention_mask (`torch.LongTensor` of shape `(batch, frames)`, *optional*):
                1 at frames that count.
            generation_config (`GenerationConfig`, *optional*):
                Configuration in place of the model's own.
            **kwargs:
                Options in place of the configuration's:

                - `num_beams`, `ctc_weight`, `penalty`, `maxlenratio`, `minlenratio`: see [`joint_beam_search`]; by
                  default 20, 0.5, 0, 0 and 0.
                - `ctc_greedy`: take the likeliest path of CTC instead, see [`ctc_greedy_search`]. It is much faster.
                - `num_return_sequences`: number of hypotheses per item, the best first, at most `num_beams`.
                - `max_new_tokens`, `max_length`: bound of the length with the final `<sos/eos>`, and with the first
                  one as well.
                - `return_dict_in_generate`, `output_scores`: return the scores too.

        Returns:
            Token numbers `(batch * num_return_sequences, length)`: `<sos/eos>`, the tokens, `<sos/eos>`, padding; or
            an [`EspnetAsrGenerateOutput`].

        Raises:
            ValueError: The search does not know an option, or a value is out of range.
        """
        config = copy.deepcopy(self.generation_config if generation_config is None else generation_config)
        options = _options(config, kwargs)
        hidden, mask = self.encode(input_features, attention_mask)
        if options["ctc_greedy"]:
            if options["num_return_sequences"] > 1:
                raise ValueError(
                    f"ctc_greedy gives one hypothesis, got num_return_sequences={options['num_return_sequences']}"
                )
            log_probs = self.ctc_log_probs(hidden)
            transcripts, scores = ctc_greedy_search(log_probs, mask, self.config.blank_token_id)
            found = [_Ended([tokens], [(score, score, 0.0)]) for tokens, score in zip(transcripts, scores.tolist())]
        else:
            names = ("num_beams", "ctc_weight", "penalty", "maxlenratio", "minlenratio", "max_tokens")
            found = joint_beam_search(self, hidden, mask, **{name: options[name] for name in names})
        rows, scores = self._best_of(found, options)
        width = max(map(len, rows), default=2)
        pad = self.config.pad_token_id if options["pad_token_id"] is None else options["pad_token_id"]
        sequences = torch.tensor([row + [pad] * (width - len(row)) for row in rows], device=hidden.device)
        if not options["return_dict"]:
            return sequences
        total, ctc, decoder = torch.tensor(scores, dtype=torch.float32, device=hidden.device).reshape(-1, 3).unbind(1)
        greedy = options["ctc_greedy"]
        return EspnetAsrGenerateOutput(
            sequences=sequences,
            sequences_scores=total,
            ctc_scores=ctc if options["ctc_weight"] > 0 or greedy else None,
            decoder_scores=decoder if options["ctc_weight"] < 1 and not greedy else None,
        )

    def _best_of(
        self, found: list[_Ended], options: dict[str, Any]
    ) -> tuple[list[list[int]], list[tuple[float, float, float]]]:
        """Return tokens and scores of the best hypotheses, `num_return_sequences` per item, empty ones if need be."""
        bos, eos, wanted = self.config.bos_token_id, self.config.eos_token_id, options["num_return_sequences"]
        rows, scores, empty = [], [], []
        for item, hypotheses in enumerate(found):
            order = sorted(range(len(hypotheses.tokens)), key=lambda n: -hypotheses.scores[n][0])[:wanted]
            if not order:
                empty.append(str(item))
            rows += [[bos, *hypotheses.tokens[n], eos] for n in order]
            scores += [hypotheses.scores[n] for n in order]
            missing = wanted - len(order)
            rows += [[bos, eos]] * missing
            scores += [(-torch.inf,) * 3] * missing
        if empty:
            warnings.warn(
                f"no transcript of these clips of the batch is as long as minlenratio={options['minlenratio']} asks "
                f"for, so they get empty ones: {', '.join(empty)}",
                stacklevel=3,
            )
        return rows, scores


def _options(config: GenerationConfig, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Check and return the options: values of the call, of the generation configuration, or ESPnet's."""
    asked = {**config.to_diff_dict(), **kwargs}
    # Pipelines of older 5.x versions of transformers ask for all of its defaults.
    neutral = GenerationConfig._get_default_generation_params()
    unknown = sorted(
        name
        for name, value in asked.items()
        if name not in _USED | _HARMLESS
        and not name.startswith("_")
        and value is not None
        and value is not False
        and not (name in neutral and value == neutral[name])
    )
    if "length_penalty" in unknown:
        raise ValueError("length_penalty divides scores by the length, which ESPnet does not: use penalty")
    if unknown:
        raise ValueError(
            f"decoding of ESPnet models knows no {', '.join(unknown)}; it takes {', '.join(sorted(_USED))}"
        )
    options = {name: default if asked.get(name) is None else asked[name] for name, default in DEFAULTS.items()}

    beams, wanted, weight = options["num_beams"], options["num_return_sequences"], options["ctc_weight"]
    if beams < 1:
        raise ValueError(f"num_beams must be at least 1, got {beams}")
    if not 1 <= wanted <= beams:
        raise ValueError(f"num_return_sequences must lie between 1 and num_beams ({beams}), got {wanted}")
    if not 0 <= weight <= 1:
        raise ValueError(f"ctc_weight must lie between 0 and 1, got {weight}")
    bounds = [options["max_length"] - 2]
    if asked.get("max_new_tokens") is not None:
        bounds = [asked["max_new_tokens"] - 1]  # it wins over max_length, as in transformers
    options["max_tokens"] = min(bounds)
    options["pad_token_id"] = asked.get("pad_token_id")
    options["return_dict"] = bool(asked.get("return_dict_in_generate") or asked.get("output_scores"))
    return options


__all__ = [
    "CtcPrefixScorer",
    "EspnetAsrGenerateOutput",
    "EspnetAsrGenerationConfig",
    "EspnetAsrGenerationMixin",
    "ctc_greedy_search",
    "joint_beam_search",
]
