import itertools
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_recogniser import (
    TinyRecogniser,
    ctc_by_enumeration,
    prefix_by_enumeration,
    ranked_by_enumeration,
)
from tiny_tables import random_logits
from transformers import GenerationConfig

from lssed_hf.models.espnet.generation_espnet_asr import CtcPrefixScorer, ctc_greedy_search, joint_beam_search


EXACT = {"rel": 0, "abs": 1e-10}


def scores_of_extensions(scorer: CtcPrefixScorer, prefix: tuple[int, ...], item: int = 0) -> torch.Tensor:
    """Scores (vocabulary,) of one prefix, reached token by token."""
    state = tuple(part[item : item + 1] for part in scorer.start())
    items, last = torch.tensor([item]), torch.tensor([scorer.eos])
    for token in prefix:
        state = scorer.extend(state, items, last, torch.tensor([token]))
        last = torch.tensor([token])
    return scorer.score(state, items, torch.tensor([0]), last)[0]


@pytest.mark.parametrize(("frames", "vocab_size", "seed"), [(1, 4, 0), (2, 3, 1), (4, 4, 2), (5, 4, 3), (6, 3, 4)])
def test_prefix_scores_are_sums_over_all_paths(frames, vocab_size, seed):
    log_probs = random_logits(frames, vocab_size, seed=seed).log_softmax(dim=1)
    totals = ctc_by_enumeration(log_probs)
    assert np.logaddexp.reduce(list(totals.values())) == pytest.approx(0, abs=1e-12)
    # The end's number is never emitted in a trained model; here it has probability, as in a random one.
    eos = vocab_size - 1
    scorer = CtcPrefixScorer(log_probs[None], torch.ones(1, frames, dtype=torch.bool), 0, eos)
    labels = range(1, eos)
    for length in range(min(frames, 3) + 1):
        for prefix in itertools.product(labels, repeat=length):
            if prefix_by_enumeration(totals, prefix) == -np.inf:
                continue
            scores = scores_of_extensions(scorer, prefix)
            for token in labels:
                expected = prefix_by_enumeration(totals, (*prefix, token))
                assert scores[token].item() == pytest.approx(expected, **EXACT) or (
                    expected == -np.inf and scores[token] < -1e3
                )
            assert scores[eos].item() == pytest.approx(totals.get(prefix, -np.inf), **EXACT)
            assert scores[0] == -np.inf


def test_whole_scores_are_those_of_torchs_ctc_loss():
    # Far more frames than can be enumerated, of unequal number; and repeated tokens, which need a blank in between.
    frames, targets = [60, 23, 41], [(3, 3, 1, 2, 2), (1, 4, 4), (2,)]
    log_probs = random_logits(3, 60, 6, seed=5).log_softmax(dim=2)
    mask = torch.arange(60) < torch.tensor(frames)[:, None]
    scorer = CtcPrefixScorer(log_probs, mask, 0, 5)
    for item, target in enumerate(targets):
        loss = torch.nn.functional.ctc_loss(
            log_probs[item, : frames[item]], torch.tensor(target), (frames[item],), (len(target),), reduction="sum"
        )
        assert scores_of_extensions(scorer, target, item)[5].item() == pytest.approx(-loss.item(), rel=1e-10)


def test_float32_posteriors_of_a_minute_keep_their_precision():
    log_probs = random_logits(1, 1500, 40, seed=6, sharpness=6).float().log_softmax(dim=2)
    target = tuple(1 + (7 * n) % 37 for n in range(150))
    scorer = CtcPrefixScorer(log_probs, torch.ones(1, 1500, dtype=torch.bool), 0, 39)
    loss = torch.nn.functional.ctc_loss(
        log_probs[0].double(), torch.tensor(target), (1500,), (len(target),), reduction="sum"
    )
    assert scores_of_extensions(scorer, target)[39].item() == pytest.approx(-loss.item(), rel=1e-9)


def test_impossible_posteriors_leave_no_nan():
    log_probs = torch.full((1, 4, 4), -torch.inf)
    log_probs[0, torch.arange(4), torch.tensor([1, 0, 1, 2])] = 0.0  # the path 1 _ 1 2 and no other
    scorer = CtcPrefixScorer(log_probs, torch.ones(1, 4, dtype=torch.bool), 0, 3)
    scores = scores_of_extensions(scorer, (1, 1, 2))
    assert scores[3].item() == pytest.approx(0, abs=1e-9)
    assert scores_of_extensions(scorer, (1,))[1].item() == pytest.approx(0, abs=1e-9)
    assert not torch.isnan(scores).any()
    assert scores_of_extensions(scorer, (1,))[2] < -1e3


@pytest.mark.parametrize("ctc_weight", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("penalty", [0.0, 0.7])
@pytest.mark.parametrize("longest", [1, 3])
def test_a_wide_beam_finds_what_enumeration_finds(ctc_weight, penalty, longest):
    model = TinyRecogniser(vocab_size=5, seed=1)
    logits = random_logits(5, 5, seed=7)
    expected = ranked_by_enumeration(model, logits, ctc_weight, penalty, longest)
    options = {"num_beams": 200, "ctc_weight": ctc_weight, "penalty": penalty, "maxlenratio": -longest}
    wanted = min(200, len(expected))
    output = model.generate(logits[None], num_return_sequences=wanted, return_dict_in_generate=True, **options)
    found = [tuple(row[1 : row[1:].index(4) + 1]) for row in output.sequences.tolist()]
    assert output.sequences_scores.numpy() == pytest.approx([score for score, _ in expected[:wanted]], abs=1e-5)
    assert found == [tokens for _, tokens in expected[:wanted]]
    parts = penalty * np.array([len(tokens) + (len(tokens) < longest) for tokens in found])
    for weight, scores in ((ctc_weight, output.ctc_scores), (1 - ctc_weight, output.decoder_scores)):
        assert (scores is None) == (weight == 0)
        if weight:
            parts = parts + weight * scores.numpy()
    assert parts == pytest.approx(output.sequences_scores.numpy(), abs=1e-4)


@pytest.mark.parametrize("ctc_weight", [0.0, 0.5, 1.0])
def test_without_a_bound_the_best_of_all_lengths_is_found(ctc_weight):
    model = TinyRecogniser(vocab_size=4, seed=2)
    for seed in range(5):
        logits = random_logits(4, 4, seed=seed)
        (score, tokens), *_ = ranked_by_enumeration(model, logits, ctc_weight, 0.0, longest=4)
        output = model.generate(logits[None], num_beams=100, ctc_weight=ctc_weight, return_dict_in_generate=True)
        assert tuple(output.sequences[0, 1:-1].tolist()) == tokens
        assert output.sequences_scores.item() == pytest.approx(score, abs=1e-5)


FIXTURES = Path(os.environ.get("LSSED_HF_ESPNET_FIXTURES") or Path(__file__).with_name("fixtures"))
SEARCHES = json.loads((FIXTURES / "search.json").read_text())


@pytest.mark.parametrize("name", SEARCHES["options"])
def test_searches_find_what_espnets_find(name):
    # By tests/espnet_parity/search_oracle.py.
    options, vocab_size = SEARCHES["options"][name], SEARCHES["vocab_size"]
    for case in SEARCHES["searches"][name]:
        model = TinyRecogniser(vocab_size, seed=case["seed"])
        logits = random_logits(1, case["frames"], vocab_size, seed=100 + case["seed"])
        wanted = len(case["sequences"])
        found = model.generate(logits, num_return_sequences=wanted, return_dict_in_generate=True, **options)
        for row, expected in zip(found.sequences.tolist(), case["sequences"], strict=True):
            # ESPnet puts a second end behind hypotheses that end where they are cut off.
            expected = expected[: expected.index(vocab_size - 1, 1) + 1]
            assert row[: len(expected)] == expected and set(row[len(expected) :]) <= {vocab_size - 1}
        assert found.sequences_scores.tolist() == pytest.approx(case["scores"], abs=1e-5)


@pytest.mark.parametrize("ctc_weight", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("num_beams", [1, 4])
def test_a_batch_is_decoded_as_its_clips_are_alone(ctc_weight, num_beams):
    model = TinyRecogniser(vocab_size=9, seed=3)
    frames = [14, 3, 1, 9]
    logits = random_logits(4, 14, 9, seed=8)
    mask = (torch.arange(14) < torch.tensor(frames)[:, None]).long()
    options = {"num_beams": num_beams, "ctc_weight": ctc_weight, "return_dict_in_generate": True}
    options["num_return_sequences"] = min(2, num_beams)
    together = model.generate(logits, attention_mask=mask, **options)
    for item, length in enumerate(frames):
        alone = model.generate(logits[item : item + 1, :length], **options)
        for number in range(options["num_return_sequences"]):
            row = together.sequences[item * options["num_return_sequences"] + number].tolist()
            single = alone.sequences[number].tolist()
            assert row[: len(single)] == single and set(row[len(single) :]) <= {8}
        rows = slice(item * len(alone.sequences), (item + 1) * len(alone.sequences))
        assert together.sequences_scores[rows] == pytest.approx(alone.sequences_scores, abs=1e-5)


def test_the_cache_follows_the_hypotheses():
    logits = random_logits(3, 12, 9, seed=9)
    outputs = [
        TinyRecogniser(vocab_size=9, seed=4, use_cache=use_cache).generate(
            logits, num_beams=6, ctc_weight=0.3, return_dict_in_generate=True
        )
        for use_cache in (True, False)
    ]
    assert outputs[0].sequences.tolist() == outputs[1].sequences.tolist()
    assert outputs[0].sequences_scores == pytest.approx(outputs[1].sequences_scores)


def test_only_the_decoders_favourites_are_scored_by_ctc():
    # The decoder is certain of token 1, CTC of token 5; at equal weights CTC's token would win, were it scored.
    class Certain(TinyRecogniser):
        def decode_step(self, prefixes, memory, memory_mask, cache):
            preference = -0.01 * torch.arange(self.config.vocab_size, dtype=torch.float64)
            preference[[0, 7]] = -5.0
            return preference.expand(len(prefixes), -1).log_softmax(dim=1), None

    logits = torch.zeros(1, 3, 8, dtype=torch.float64)
    logits[0, :, 5] = 20.0
    model = Certain(vocab_size=8)
    wide = model.generate(logits, num_beams=4, ctc_weight=0.5, maxlenratio=-1)
    narrow = model.generate(logits, num_beams=2, ctc_weight=0.5, maxlenratio=-1)
    assert wide.tolist() == [[7, 5, 7]]  # int(1.5 * 4) = 6: tokens 1 to 6
    assert narrow[0, 1].item() in (1, 2, 3)  # int(1.5 * 2) = 3


def test_lengths_are_bounded():
    class Endless(TinyRecogniser):
        def decode_step(self, *args):
            log_probs, cache = super().decode_step(*args)
            log_probs[:, 5] -= 1000
            return log_probs, cache

    logits = random_logits(2, 10, 6, seed=10)
    mask = (torch.arange(10) < torch.tensor([10, 6])[:, None]).long()

    def lengths(model=None, **options):
        model = model or Endless(vocab_size=6, seed=5)
        rows = model.generate(logits, attention_mask=mask, num_beams=5, ctc_weight=0.0, **options).tolist()
        return [row.index(5, 1) - 1 for row in rows]

    assert lengths(maxlenratio=0.5) == [5, 3]
    assert lengths(maxlenratio=-4) == [4, 4]
    assert lengths() == [10, 6]
    assert lengths(max_new_tokens=8) == [7, 6]  # the end counts, as in transformers
    assert lengths(max_length=8) == [6, 6]  # the beginning as well
    model = TinyRecogniser(vocab_size=6, seed=5)
    assert lengths(model, minlenratio=-2, maxlenratio=-6, penalty=-50.0) == [2, 2]
    shorter = lengths(model, penalty=-50.0)
    first, second = lengths(model, minlenratio=0.5, penalty=-50.0)
    assert first >= 5 > shorter[0] and second >= 3 > shorter[1]


def test_the_search_stops_when_endings_have_become_hopeless():
    class Counting(TinyRecogniser):
        steps = 0

        def decode_step(self, *args):
            self.steps += 1
            return super().decode_step(*args)

    logits = torch.zeros(1, 400, 6, dtype=torch.float64)
    logits[0, :, 0] = 9.0
    for frame, token in ((10, 1), (50, 2), (90, 3)):
        logits[0, frame, token] = 20.0
    model = Counting(vocab_size=6, seed=6, sharpness=0.3)
    assert model.generate(logits, num_beams=5, ctc_weight=0.5).tolist() == [[5, 1, 2, 3, 5]]
    assert model.steps < 20


def test_an_unreachable_least_length_gives_an_empty_transcript_and_a_warning():
    model = TinyRecogniser(vocab_size=5, seed=7)
    logits = random_logits(2, 3, 5, seed=11)
    with pytest.warns(UserWarning, match="as long as minlenratio=-7 asks for, so they get empty ones: 0, 1"):
        output = model.generate(logits, minlenratio=-7, num_return_sequences=2, return_dict_in_generate=True)
    assert output.sequences.tolist() == [[4, 4]] * 4
    assert output.sequences_scores.tolist() == [-np.inf] * 4


def test_greedy_search_merges_repetitions_then_drops_blanks():
    labels = torch.tensor([[0, 1, 1, 0, 1, 2, 2, 0], [3, 3, 0, 3, 1, 1, 1, 1]])
    log_probs = torch.nn.functional.one_hot(labels, 5).double().mul(4).log_softmax(dim=2)
    mask = torch.arange(8) < torch.tensor([8, 4])[:, None]
    tokens, scores = ctc_greedy_search(log_probs, mask, 0)
    assert tokens == [[1, 1, 2], [3, 3]]
    assert scores.tolist() == pytest.approx([8 * log_probs.max().item(), 4 * log_probs.max().item()])
    output = TinyRecogniser(vocab_size=5).generate(
        log_probs, attention_mask=mask.long(), ctc_greedy=True, return_dict_in_generate=True
    )
    assert output.sequences.tolist() == [[4, 1, 1, 2, 4], [4, 3, 3, 4, 4]]
    assert output.decoder_scores is None and output.ctc_scores.tolist() == output.sequences_scores.tolist()


def test_the_generation_configuration_holds_the_options(tmp_path):
    model = TinyRecogniser(vocab_size=5, seed=8)
    logits = random_logits(1, 6, 5, seed=12)
    model.generation_config.update(num_beams=3, ctc_weight=1.0, penalty=0.5)
    model.generation_config.save_pretrained(tmp_path)
    loaded = GenerationConfig.from_pretrained(tmp_path)
    assert (loaded.num_beams, loaded.ctc_weight, loaded.penalty, loaded.pad_token_id) == (3, 1.0, 0.5, 4)
    plain = TinyRecogniser(vocab_size=5, seed=8)
    expected = plain.generate(logits, num_beams=3, ctc_weight=1.0, penalty=0.5, return_dict_in_generate=True)
    for output in (
        model.generate(logits, output_scores=True),
        plain.generate(logits, generation_config=loaded, return_dict_in_generate=True),
        plain.generate(
            logits, generation_config=GenerationConfig(num_beams=3), ctc_weight=1.0, penalty=0.5, output_scores=True
        ),
    ):
        assert output.sequences.tolist() == expected.sequences.tolist()
        assert output.sequences_scores.tolist() == expected.sequences_scores.tolist()
    assert model.generation_config.num_beams == 3  # a call changes nothing
    model.generate(logits, num_beams=1)
    assert model.generation_config.num_beams == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"length_penalty": 2.0}, "use penalty"),
        ({"do_sample": True, "temperature": 0.5}, "knows no do_sample, temperature; it takes ctc_greedy"),
        ({"num_beams": 0}, "num_beams must be at least 1, got 0"),
        ({"num_beams": 2, "num_return_sequences": 3}, r"between 1 and num_beams \(2\), got 3"),
        ({"ctc_weight": 1.5}, "ctc_weight must lie between 0 and 1, got 1.5"),
        ({"ctc_greedy": True, "num_return_sequences": 2}, "ctc_greedy gives one hypothesis"),
    ],
)
def test_options_that_cannot_be_served_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        TinyRecogniser(vocab_size=5).generate(random_logits(1, 3, 5), **options)


def test_what_transformers_does_unasked_is_no_option():
    model = TinyRecogniser(vocab_size=5)
    logits = random_logits(1, 6, 5)
    config = GenerationConfig(length_penalty=1.0, temperature=1.0, top_k=50, do_sample=False, early_stopping=False)
    config.update(num_beams=3)
    expected = model.generate(logits, num_beams=3).tolist()
    assert model.generate(logits, generation_config=config).tolist() == expected
    seq2seq_trainer = {"labels": torch.ones(1, 2, dtype=torch.int64), "synced_gpus": False}
    assert model.generate(logits, num_beams=3, **seq2seq_trainer).tolist() == expected


def test_half_precision_is_summed_in_double():
    model = TinyRecogniser(vocab_size=7, seed=9)
    logits = random_logits(1, 12, 7, seed=13).bfloat16()
    model.decode_step = lambda prefixes, memory, memory_mask, cache, step=model.decode_step: step(
        prefixes, memory.double(), memory_mask, cache
    )
    found = joint_beam_search(model, logits, torch.ones(1, 12, dtype=torch.bool), num_beams=4)[0]
    assert max(score for score, _, _ in found.scores) == found.best < 0
