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


#: ESPnet's own defaults (`Speech2Text`). The length is bounded by the number of encoder frames anyway; `max_length`
#: only keeps the pipeline from setting its own bound of 256 tokens, half a minute of characters.
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
#: Size of the pre-beam, in beams: the tokens that the decoder likes best and that CTC then scores.
PRE_BEAM_RATIO = 1.5
#: The search ends once, at so many lengths in a row, the best that ended is so much worse than the best of all.
END_DETECT_LENGTHS, END_DETECT_MARGIN = 3, -10.0

# What generation configurations hold and `generate` reads, or may carry along because it changes nothing here.
_USED = {*DEFAULTS, "max_new_tokens", "pad_token_id", "return_dict_in_generate", "output_scores"}
_HARMLESS = {"bos_token_id", "eos_token_id", "decoder_start_token_id", "use_cache", "transformers_version"}


@dataclass
class EspnetAsrGenerateOutput(ModelOutput):
    """What `generate` returns with `return_dict_in_generate=True`.

    Attributes:
        sequences: int64 (batch * num_return_sequences, length): `<sos/eos>`, the tokens, `<sos/eos>`, then padding.
        sequences_scores: (batch * num_return_sequences,), what hypotheses are ranked by, descending: `ctc_weight *
            ctc_scores + (1 - ctc_weight) * decoder_scores + penalty * tokens`. -inf where there is no hypothesis.
        ctc_scores: log-probability that CTC gives the hypothesis; None if it was not asked (`ctc_weight=0`).
        decoder_scores: the same of the decoder; None if it was not asked (`ctc_weight=1`).
    """

    sequences: torch.LongTensor | None = None
    sequences_scores: torch.Tensor | None = None
    ctc_scores: torch.Tensor | None = None
    decoder_scores: torch.Tensor | None = None


class CtcPrefixScorer:
    """Log-probabilities, under CTC, of all transcripts that begin with a prefix.

    Source: Watanabe et al., "Hybrid CTC/Attention Architecture for End-to-End Speech Recognition", IEEE JSTSP 11(8),
    2017, Algorithm 2. Written so that nothing loops over frames: the prefix probability is a product of the prefix'
    forward probabilities with the frames' posteriors, and the forward recursions, which are linear, are cumulative
    sums in the logarithmic domain. That takes double precision, and the recursions of chosen tokens alone.

    Args:
        log_probs: (batch, frames, vocabulary), log-softmax of the CTC layer.
        mask: bool (batch, frames), True at frames that count, which come first.
        blank: number of the blank.
        eos: number of the token that ends a hypothesis, which CTC never emits.
    """

    def __init__(self, log_probs: torch.Tensor, mask: torch.Tensor, blank: int, eos: int):
        self.blank, self.eos = blank, eos
        # A floor, since sums of -inf leave NaN; e^-10000 is no probability that a float can hold.
        floor = -1e4
        log_probs = log_probs.to(_precise(log_probs.device)).clamp(min=floor)
        # Behind the end only blanks, for certain: probabilities stay as they were at the last frame.
        log_probs = log_probs.masked_fill(~mask.unsqueeze(2), floor)
        log_probs[..., blank] = log_probs[..., blank].masked_fill(~mask, 0.0)
        self.log_probs = log_probs
        self.probs = log_probs.exp()
        self.blank_sums = torch.nn.functional.pad(log_probs[..., blank].cumsum(1), (1, 0))

    def start(self) -> tuple[torch.Tensor, torch.Tensor]:
        """State of the empty prefix of each item: of paths that end in a label or a blank, (batch, 1 + frames)."""
        return torch.full_like(self.blank_sums, -torch.inf), self.blank_sums

    def score(
        self, state: tuple[torch.Tensor, torch.Tensor], items: torch.Tensor, slots: torch.Tensor, last: torch.Tensor
    ) -> torch.Tensor:
        """Log-probabilities (prefixes, vocabulary) of all prefixes that are one token longer.

        The column of `eos` holds those of the prefixes as they are, whole; that of the blank is -inf.

        Args:
            state: of the prefixes, (prefixes, 1 + frames) each.
            items: number of the item in the batch that each prefix belongs to, (prefixes,).
            slots: number of each prefix among those of its item, (prefixes,).
            last: its last token, (prefixes,); `eos` if it is empty.
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
        """State of prefixes with one token more, which is none of blank and `eos`; arguments as in `score`."""
        label, blank = state
        reached = torch.where((tokens == last).unsqueeze(1), blank, torch.logaddexp(label, blank))
        token_sums = torch.nn.functional.pad(self.log_probs[items, :, tokens].cumsum(1), (1, 0))
        label = _decaying_sum(reached, token_sums)
        return label, _decaying_sum(label, self.blank_sums[items])


def _decaying_sum(inflow: torch.Tensor, log_sums: torch.Tensor) -> torch.Tensor:
    """r[t] = (r[t - 1] + inflow[t - 1]) * p[t] from r[0] = 0, in logs; `log_sums` is the running sum of log p."""
    total = torch.logcumsumexp(inflow - log_sums, dim=1)
    return torch.nn.functional.pad((total[:, :-1] + log_sums[:, 1:]), (1, 0), value=-torch.inf)


def _precise(device: torch.device) -> torch.dtype:
    return torch.float32 if device.type == "mps" else torch.float64  # which has no other


def ctc_greedy_search(log_probs: torch.Tensor, mask: torch.Tensor, blank: int) -> tuple[list[list[int]], torch.Tensor]:
    """The transcript of the likeliest path: the best label of each frame, repetitions merged, blanks dropped.

    Source: Graves et al., "Connectionist Temporal Classification", ICML 2006, section 3.2 (best path decoding).

    Args:
        log_probs: (batch, frames, vocabulary).
        mask: bool (batch, frames).
        blank: number of the blank.

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
    """Hypotheses of one item that have ended."""

    tokens: list[list[int]] = field(default_factory=list)
    scores: list[tuple[float, float, float]] = field(default_factory=list)  # total, CTC's, the decoder's
    best: float = -torch.inf
    best_by_length: dict[int, float] = field(default_factory=dict)

    def add(self, tokens: list[int], scores: tuple[float, float, float], length: int) -> None:
        self.tokens.append(tokens)
        self.scores.append(scores)
        self.best = max(self.best, scores[0])
        self.best_by_length[length] = max(scores[0], self.best_by_length.get(length, -torch.inf))

    def hopeless(self, length: int) -> bool:
        """Whether those that ended lately, up to `length`, are so bad that better ones are not to be expected."""
        lately = [self.best_by_length.get(length - back) for back in range(END_DETECT_LENGTHS)]
        return all(score is not None and score - self.best < END_DETECT_MARGIN for score in lately)


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
    """Beam search over the weighted log-probabilities of CTC and decoder, as ESPnet's BatchBeamSearch does it.

    Source: Watanabe et al. 2017, section II-D ("joint decoding", one pass), and the rules of ESPnet2 202511: without
    `ctc_weight=1` only the int(1.5 * num_beams) tokens that the decoder likes best, and the end, are scored by CTC;
    hypotheses that reach the bound of their length end there, without the score of an end; with `maxlenratio=0` the
    search stops when hypotheses that end have become hopeless (Watanabe et al. 2017, equation 49, with M = 3 and a
    margin of 10). A batch is searched at once, each item as if it were alone.

    Unlike ESPnet, a hypothesis that CTC holds for impossible is dropped instead of scored -1e10.

    Args:
        model: with `ctc_log_probs(hidden)`, `decode_step(prefixes, memory, memory_mask, cache)` and `config`. The
            cache may be None or tensors, nested in lists, tuples and dictionaries, whose first axis is the prefixes'.
        hidden: encoder output (batch, frames, channels).
        mask: bool (batch, frames), True at frames that count, which come first.
        num_beams: hypotheses kept per item.
        ctc_weight: weight of CTC, from 0 (the decoder alone) to 1 (CTC alone).
        penalty: added to the score for each token, the end included; positive values favour long transcripts.
        maxlenratio: most tokens, as a share of the encoder frames; 0 means all of them, and a negative number says
            how many tokens.
        minlenratio: least tokens, likewise; shorter hypotheses are dropped.
        max_tokens: another bound of the number of tokens.

    Returns:
        For each item, what ended, in the order found.
    """
    config = model.config
    blank, eos = config.blank_token_id, config.eos_token_id
    batch, device, dtype = len(hidden), hidden.device, _precise(hidden.device)
    frames = mask.sum(dim=1).tolist()
    longest = [_bound(maxlenratio, length) if maxlenratio else length for length in frames]
    longest = [max(1, length if max_tokens is None else min(length, max_tokens)) for length in longest]
    shortest = [_bound(minlenratio, length) for length in frames]
    use_ctc, use_decoder = ctc_weight > 0, ctc_weight < 1
    scorer = CtcPrefixScorer(model.ctc_log_probs(hidden), mask, blank, eos) if use_ctc else None

    # One row per running hypothesis, those of an item together.
    items = torch.arange(batch, device=device)
    slots = torch.zeros_like(items)
    prefixes = torch.full((batch, 1), config.bos_token_id, dtype=torch.long, device=device)
    totals = hidden.new_zeros(batch, 3, dtype=dtype)  # score, CTC's and the decoder's log-probability
    state = scorer.start() if use_ctc else None
    memory, memory_mask, cache = hidden, mask, None
    ended = [_Ended() for _ in range(batch)]

    for step in range(max(longest, default=0)):
        own = torch.full((len(items), config.vocab_size), penalty, dtype=dtype, device=device)
        decoder_scores = ctc_scores = None
        if use_decoder:
            log_probs, cache = model.decode_step(prefixes, memory, memory_mask, cache)
            decoder_scores = log_probs.to(dtype)
            own += (1 - ctc_weight) * decoder_scores
        if use_ctc:
            last = prefixes[:, -1]
            ctc_scores = scorer.score(state, items, slots, last)
            gain = ctc_scores - totals[:, 1:2]
            if use_decoder and int(PRE_BEAM_RATIO * num_beams) < config.vocab_size:
                liked = torch.zeros_like(own, dtype=torch.bool)
                liked.scatter_(1, own.topk(int(PRE_BEAM_RATIO * num_beams), dim=1).indices, True)
                liked[:, eos] = True
                gain = gain.masked_fill(~liked, -torch.inf)
            own += ctc_weight * gain
        own += totals[:, :1]

        grid = own.new_full((batch, int(slots.max()) + 1, own.shape[1]), -torch.inf)
        grid[items, slots] = own
        grid = grid.flatten(1)
        values, chosen = grid.topk(min(num_beams, grid.shape[1]), dim=1)
        row_of = torch.full((batch, int(slots.max()) + 1), -1, dtype=torch.long, device=device)
        row_of[items, slots] = torch.arange(len(items), device=device)
        parents = row_of.gather(1, chosen // own.shape[1])
        tokens = chosen % own.shape[1]

        # Scores of the chosen, (batch, beam, 3); nothing below looks at those with a total of -inf.
        details = [values]
        for index, part in ((1, ctc_scores), (2, decoder_scores)):
            if part is None:
                details.append(torch.zeros_like(values))
            else:
                # CTC's is of the whole prefix already, the decoder's of the token.
                so_far = totals[parents, 2] if index == 2 else 0.0
                details.append(part[parents, tokens] + so_far)
        details = torch.stack(details, dim=2)

        going_on: list[tuple[int, int]] = []
        picks = zip(values.tolist(), tokens.tolist(), parents.tolist(), details.tolist())
        for item, (item_values, item_tokens, item_parents, item_details) in enumerate(picks):
            survivors = []
            for rank, value in enumerate(item_values):
                if value == -torch.inf:
                    break
                token, parent = item_tokens[rank], item_parents[rank]
                if token != eos and step < longest[item] - 1:
                    survivors.append((item, rank))
                elif step >= shortest[item]:
                    whole = prefixes[parent, 1:].tolist() + [token] * (token != eos)
                    ended[item].add(whole, tuple(item_details[rank]), length=len(whole) + 2)
            if maxlenratio or not ended[item].hopeless(step):
                going_on += survivors
        if not going_on:
            break

        before = items
        items, ranks = torch.tensor(going_on, device=device).unbind(1)
        rows, new_tokens = parents[items, ranks], tokens[items, ranks]
        totals = details[items, ranks]
        slots = torch.tensor(_count_up(items.tolist()), device=device)
        if use_ctc:
            state = scorer.extend((state[0][rows], state[1][rows]), items, prefixes[rows, -1], new_tokens)
        if use_decoder:
            cache = pytree.tree_map_only(torch.Tensor, lambda tensor, rows=rows: tensor[rows], cache)
            if not torch.equal(items, before):  # else the copies stay as they are
                memory, memory_mask = hidden[items], mask[items]
        prefixes = torch.cat([prefixes[rows], new_tokens.unsqueeze(1)], dim=1)
    return ended


def _bound(ratio: float, frames: int) -> int:
    return -int(ratio) if ratio < 0 else int(ratio * frames)


def _count_up(items: Sequence[int]) -> list[int]:
    """Number the elements of each run of equal ones: [4, 4, 7] -> [0, 1, 0]."""
    counts: list[int] = []
    for index, item in enumerate(items):
        counts.append(counts[-1] + 1 if index and items[index - 1] == item else 0)
    return counts


class EspnetAsrGenerationConfig(GenerationConfig):
    """A generation configuration that starts from ESPnet's defaults, see `DEFAULTS`."""

    def __init__(self, **kwargs):
        super().__init__(**{**DEFAULTS, **kwargs})

    @classmethod
    def from_model_config(cls, model_config) -> "EspnetAsrGenerationConfig":
        # `ctc_weight` of the model is that of its loss, but at 0 and 1 it lacks the layers that another search needs.
        only = {"ctc_weight": model_config.ctc_weight} if model_config.ctc_weight in (0, 1) else {}
        return cls(
            **only,
            bos_token_id=model_config.bos_token_id,
            eos_token_id=model_config.eos_token_id,
            decoder_start_token_id=model_config.bos_token_id,
            pad_token_id=model_config.pad_token_id,
        )


class EspnetAsrGenerationMixin(GenerationMixin):
    """`generate` for models with `encode`, `ctc_log_probs` and `decode_step`."""

    @torch.no_grad()
    def generate(
        self,
        input_features: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        generation_config: GenerationConfig | None = None,
        **kwargs: Any,
    ) -> torch.LongTensor | EspnetAsrGenerateOutput:
        r"""
        Transcribe by joint CTC/attention beam search, see [`joint_beam_search`].

        Args:
            input_features (`torch.FloatTensor` of shape `(batch, frames, num_mel_bins)`):
                Features of the feature extractor.
            attention_mask (`torch.LongTensor` of shape `(batch, frames)`, *optional*):
                1 at frames that count.
            generation_config (`GenerationConfig`, *optional*):
                Takes the place of the model's own.
            num_beams, ctc_weight, penalty, maxlenratio, minlenratio (*optional*):
                See [`joint_beam_search`]; 20, 0.5, 0, 0 and 0 unless the generation configuration says otherwise.
            ctc_greedy (`bool`, *optional*):
                Take the likeliest path of CTC instead, see [`ctc_greedy_search`]; much faster.
            num_return_sequences (`int`, *optional*):
                How many hypotheses per item, the best first; at most `num_beams`.
            max_new_tokens, max_length (`int`, *optional*):
                Bound of the length with the final `<sos/eos>`, and with the first one as well.
            return_dict_in_generate, output_scores (`bool`, *optional*):
                Return the scores too.

        Returns:
            Token numbers `(batch * num_return_sequences, length)`: `<sos/eos>`, the tokens, `<sos/eos>`, padding; or
            an [`EspnetAsrGenerateOutput`].

        Raises:
            ValueError: an option that this search does not know, or a value out of range.
        """
        config = copy.deepcopy(self.generation_config if generation_config is None else generation_config)
        options = _options(config, kwargs)
        hidden, mask = self.encode(input_features, attention_mask)
        blank, eos = self.config.blank_token_id, self.config.eos_token_id
        wanted = options["num_return_sequences"]

        if options["ctc_greedy"]:
            if wanted > 1:
                raise ValueError(f"ctc_greedy gives one hypothesis, got num_return_sequences={wanted}")
            transcripts, scores = ctc_greedy_search(self.ctc_log_probs(hidden), mask, blank)
            found = [_Ended([tokens], [(score, score, 0.0)]) for tokens, score in zip(transcripts, scores.tolist())]
        else:
            found = joint_beam_search(
                self,
                hidden,
                mask,
                **{name: options[name] for name in ("num_beams", "ctc_weight", "penalty")},
                **{name: options[name] for name in ("maxlenratio", "minlenratio", "max_tokens")},
            )

        rows, scores, empty = [], [], []
        for item, hypotheses in enumerate(found):
            order = sorted(range(len(hypotheses.tokens)), key=lambda n: -hypotheses.scores[n][0])[:wanted]
            if not order:
                empty.append(str(item))
            rows += [[self.config.bos_token_id, *hypotheses.tokens[n], eos] for n in order]
            scores += [hypotheses.scores[n] for n in order]
            missing = wanted - len(order)
            rows += [[self.config.bos_token_id, eos]] * missing
            scores += [(-torch.inf,) * 3] * missing
        if empty:
            warnings.warn(
                f"no transcript of these clips of the batch is as long as minlenratio={options['minlenratio']} asks "
                f"for, so they get empty ones: {', '.join(empty)}",
                stacklevel=2,
            )
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


def _options(config: GenerationConfig, kwargs: dict[str, Any]) -> dict[str, Any]:
    """What was asked for, checked: values of the call, of the generation configuration, or ESPnet's."""
    asked = {**config.to_diff_dict(), **kwargs}
    # What transformers would do without being asked; pipelines of older 5.x versions ask for all of it.
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
