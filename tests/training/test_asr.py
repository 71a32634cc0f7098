"""Training of recognisers on tones, end to end, and from where it stopped."""

import csv
import io
import json
import re
import sys

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from huggingface_hub import ModelCard
from interruption import stopped_at
from safetensors.torch import load_file, save_file
from tone_words import FLAGS, TINY, speak, write_tone_words
from transformers import HfArgumentParser, pipeline

from lssed_hf import EspnetAsrConfig, EspnetAsrForSpeechSeq2Seq, EspnetAsrProcessor, cli
from lssed_hf.cli import train_asr
from lssed_hf.evaluation.wer import Normalization
from lssed_hf.training import asr
from lssed_hf.training.asr_arguments import AsrDataArguments, AsrModelArguments, AsrRecipeArguments


pytest.importorskip("jiwer")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    sizes = {"train": 120, "validation": 12, "test": 24}
    return write_tone_words(tmp_path_factory.mktemp("corpora") / "tones", sizes)


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """Write too few utterances to learn from. One has no transcript, one has only a full stop."""
    sizes = {"train": 20, "validation": 4, "test": 4}
    return write_tone_words(tmp_path_factory.mktemp("corpora") / "few", sizes, seed=1, texts=[None, "."])


@pytest.fixture(scope="module")
def trained(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    recipe = ["--num_train_epochs", "10", "--learning_rate", "0.012", "--warmup_steps", "25"]
    recipe += ["--eval_strategy", "steps", "--eval_steps", "60", "--save_strategy", "steps", "--save_steps", "60"]
    specaug = ["--specaug", '{"apply_time_mask": false, "freq_mask_width_range": [0, 2]}']
    train_asr.main(["--dataset_name", str(corpus), "--output_dir", str(folder), *FLAGS, *recipe, *specaug])
    return folder


@pytest.mark.parametrize(
    ("specaug", "message"),
    [
        ('{"num_freq_masks": 2}', "specaug: unknown num_freq_masks; known are apply_time_warp"),
        ('{"apply_time_mask": false, "num_freq_mask": "two"}', "specaug: num_freq_mask='two'; give a whole number"),
        ('{"apply_time_mask": false, "freq_mask_width_range": [9, 2]}', "specaug: freq_mask_width_range=[9, 2]; give"),
        ('{"apply_time_mask": "no"}', "specaug: apply_time_mask='no'; give true or false"),
        ("[1]", "--specaug '[1]' is no JSON object"),
        ("{'a': 1}", """--specaug "{'a': 1}" is no JSON object"""),
    ],
)
def test_options_of_specaugment_that_do_not_fit_are_one_line(corpus, tmp_path, capsys, monkeypatch, specaug, message):
    argv = ["--dataset_name", str(corpus), "--output_dir", str(tmp_path / "out"), *FLAGS, "--specaug", specaug]
    monkeypatch.setattr(sys, "argv", ["train_asr.py", *argv])
    with pytest.raises(SystemExit, match="1"):
        cli.script("train_asr")
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "error: " in line]
    assert message in line and "Traceback" not in line


@pytest.mark.slow
def test_it_learns_to_hear(trained):
    results = json.loads((trained / "results.json").read_text())
    assert set(results["test_sets"]) == {"tones validation", "tones test"}
    test = results["test_sets"]["tones test"]
    assert test["cer"]["value"] < 0.2  # saying nothing would be 1
    assert (test["num_utterances"], test["num_speakers"], test["interval_clusters"]) == (24, 4, "speaker")
    assert test["wer"]["low"] <= test["wer"]["value"] <= test["wer"]["high"]
    assert json.loads(results["context"]["decoding"])["num_beams"] == 6
    report = (trained / "report.md").read_text()
    assert "| tones test | 24 | 4 |" in report and "lower case, hyphens to spaces" in report
    history = json.loads((trained / "trainer_state.json").read_text())["log_history"]
    assert {"eval_loss", "eval_wer", "eval_cer"} <= set(history[-2]) | set(history[-1])


def test_the_card_has_the_error_rates_and_its_code_works(trained, tmp_path, capsys):
    card = ModelCard.load(trained / "README.md")
    results = json.loads((trained / "results.json").read_text())["test_sets"]
    assert card.data.pipeline_tag == "automatic-speech-recognition"
    found = {(r.dataset_name, r.dataset_split, r.metric_type): r.metric_value for r in card.data.eval_results}
    assert found == {
        ("tones", split, rate): results[f"tones {split}"][rate]["value"]
        for split in ("validation", "test")
        for rate in ("wer", "cer")
    }
    record = json.loads((trained / "training.json").read_text())
    assert record["splits"]["test"] == {"num_utterances": 24, "num_speakers": 4, "labels": None}
    assert "| test | – | 24 | 4 |" in card.text and "No speaker is in two splits." in card.text
    clip = tmp_path / "clip.wav"
    soundfile.write(clip, speak("ad cb", np.random.default_rng(99)), 16000)
    (block,) = re.findall(r"```python\n(.*?)```", card.text, re.DOTALL)
    exec(block.replace("path/to/this/folder", str(trained)).replace("clip.wav", str(clip)), {})
    assert "'text'" in capsys.readouterr().out


def test_every_transcript_is_kept(trained, corpus):
    with (trained / "transcripts.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["split"] for row in rows] == ["validation"] * 12 + ["test"] * 24
    said = [Normalization()(text) for text in pd.read_parquet(corpus / "test.parquet")["text"]]
    assert sorted(row["transcript"] for row in rows[12:]) == sorted(said)
    words = sum(int(row["words"]) for row in rows[12:])
    errors = sum(int(row["word_errors"]) for row in rows[12:])
    test = json.loads((trained / "results.json").read_text())["test_sets"]["tones test"]
    assert test["wer"]["value"] == errors / words and test["wer"]["units"] == words
    assert (trained / "rejected.csv").read_text().strip() == ""


def test_the_pipeline_serves_the_folder(trained, corpus):
    recogniser = pipeline("automatic-speech-recognition", model=str(trained), device="cpu")
    with (trained / "transcripts.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test"]
    files = [clip["bytes"] for clip in pd.read_parquet(corpus / "test.parquet")["audio"][:3]]
    clips = [soundfile.read(io.BytesIO(file), dtype="float32")[0] for file in files]
    assert [answer["text"] for answer in recogniser(clips)] == [row["recognised"] for row in rows[:3]]
    model = EspnetAsrForSpeechSeq2Seq.from_pretrained(trained)
    assert model.generation_config.num_beams == 6
    assert EspnetAsrProcessor.from_pretrained(trained).feature_extractor.mean is not None
    new = speak("ad cb", np.random.default_rng(99)).astype(np.float32)
    assert recogniser(new)["text"] == "ad cb"


def test_a_saved_recogniser_is_fine_tuned(trained, few, tmp_path, caplog):
    flags = [flag for flag in FLAGS if flag not in ("--config_overrides", json.dumps(TINY))]
    at = flags.index("--feature_extractor_overrides")
    flags = flags[:at] + flags[at + 2 :]
    start = ["--model_name_or_path", str(trained), "--learning_rate", "1e-6", "--max_steps", "1"]
    train_asr.main(["--dataset_name", str(few), "--output_dir", str(tmp_path / "tuned"), *flags, *start])
    before, after = load_file(trained / "model.safetensors"), load_file(tmp_path / "tuned" / "model.safetensors")
    name = "ctc.ctc_lo.weight"
    assert torch.allclose(before[name], after[name], atol=1e-5) and not torch.equal(before[name], after[name])
    statistics = [EspnetAsrProcessor.from_pretrained(f).feature_extractor.mean for f in (trained, tmp_path / "tuned")]
    assert statistics[0] == statistics[1]
    with pytest.raises(
        ValueError, match="--config_overrides, --feature_extractor_overrides: for recognisers from scratch"
    ):
        train_asr.main(["--dataset_name", str(few), "--output_dir", str(tmp_path / "no"), *FLAGS, *start])


DAMAGE = {
    "missing": (lambda weights: weights.pop("ctc.ctc_lo.bias"), r"model\.safetensors lacks 1 .*ctc\.ctc_lo\.bias"),
    "unexpected": (lambda weights: weights.update(more=torch.zeros(2)), r"model\.safetensors holds 1 tensors .*more"),
    "nan": (lambda weights: weights["ctc.ctc_lo.bias"].fill_(np.nan), r"ctc\.ctc_lo\.bias holds nan"),
    "shape": (
        lambda weights: weights.update({"ctc.ctc_lo.bias": torch.zeros(3)}),
        r"ctc_lo\.bias has the shape \(3,\)",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_recogniser_is_no_start(damage, tmp_path):
    change, words = DAMAGE[damage]
    model, processor = asr.build_recogniser(AsrModelArguments(config_overrides=json.dumps(TINY)), ["a b"], tmp_path)
    start = tmp_path / "start"
    model.save_pretrained(start)
    processor.save_pretrained(start)
    given = AsrModelArguments(model_name_or_path=str(start))
    assert asr.build_recogniser(given, [], tmp_path)[0].num_parameters() == model.num_parameters()
    vocabulary = (start / "vocab.json").read_text()
    numbers = json.loads(vocabulary)
    (start / "vocab.json").write_text(json.dumps({**numbers, "zz": len(numbers) - 1, "<sos/eos>": len(numbers)}))
    with pytest.raises(ValueError, match=f"{start}: its tokenizer has .* tokens and its network"):
        asr.build_recogniser(given, [], tmp_path)
    (start / "vocab.json").write_text(vocabulary)
    weights = load_file(start / "model.safetensors")
    change(weights)
    save_file(weights, start / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match=words) as caught:
        asr.build_recogniser(given, [], tmp_path)
    assert str(start) in str(caught.value)


@pytest.mark.slow
def test_an_interrupted_run_ends_in_the_same_weights(few, tmp_path):
    flags = ["--dataset_name", str(few), *FLAGS, "--num_train_epochs", "3"]
    flags += ["--save_strategy", "steps", "--save_steps", "3", "--eval_strategy", "steps", "--eval_steps", "3"]
    train_asr.main([*flags, "--output_dir", str(tmp_path / "whole")])
    # Step 5 lies between the checkpoints of steps 3 and 6, in the middle of an epoch of 3 steps.
    with stopped_at(5), pytest.raises(KeyboardInterrupt):
        train_asr.main([*flags, "--output_dir", str(tmp_path / "model")])
    assert (tmp_path / "model" / "checkpoint-3").is_dir()
    assert not (tmp_path / "model" / "model.safetensors").exists()
    train_asr.main([*flags, "--output_dir", str(tmp_path / "model")])
    expected, resumed = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "model"))
    assert expected.keys() == resumed.keys()
    assert all(torch.equal(expected[name], resumed[name]) for name in expected)


def test_corpora_are_joined_and_what_cannot_be_used_is_listed(few, tmp_path, capsys):
    other = write_tone_words(tmp_path / "other", {"train": 8, "test": 2}, seed=3)
    flags = ["--dataset_name", str(few), str(other), "--output_dir", str(tmp_path / "model"), *FLAGS]
    train_asr.main([*flags, "--max_steps", "1", "--validation_fraction", "0.25"])
    results = json.loads((tmp_path / "model" / "results.json").read_text())["test_sets"]
    assert set(results) == {"few validation", "other validation", "few test", "other test"}
    assert results["other validation"]["num_utterances"] == 2  # one of the four training speakers
    with (tmp_path / "model" / "rejected.csv").open(newline="") as file:
        rejected = [(row["corpus"], row["split"], row["id"], row["reason"]) for row in csv.DictReader(file)]
    reason = "nothing is left of its transcript '.' when it is normalised"
    assert rejected == [("few", "train", "0", "no transcript"), ("few", "train", "1", reason)]
    assert "2 utterances without a usable transcript" in (tmp_path / "model" / "report.md").read_text()
    assert "| other test | 2 |" in capsys.readouterr().out


def parse(*flags):
    kinds = (AsrDataArguments, AsrModelArguments, AsrRecipeArguments)
    return HfArgumentParser(kinds).parse_args_into_dataclasses(list(flags))


def test_what_does_not_fit_is_refused(few, tmp_path):
    def load(*flags):
        return asr.load_transcribed(parse("--output_dir", str(tmp_path), *flags)[0], Normalization())

    with pytest.raises(ValueError, match="2 --dataset_name but 1 --data_dir"):
        load("--dataset_name", "ravdess", "emodb", "--data_dir", "x")
    with pytest.raises(
        ValueError, match="few, split 'train' has no column 'transcript'; it has audio, text, speaker_id"
    ):
        load("--dataset_name", str(few))
    with pytest.raises(ValueError, match="has no split 'nothing'"):
        load("--dataset_name", str(few), "--transcript_column_name", "text", "--train_split_name", "nothing")
    with pytest.raises(ValueError, match="no transcribed utterance is left for train"):
        empty = write_tone_words(tmp_path / "empty", {"train": 2, "validation": 1}, texts=[".", None])
        load("--dataset_name", str(empty), "--transcript_column_name", "text")


def test_pieces_are_learnt_and_saved(few, tmp_path):
    pytest.importorskip("sentencepiece")
    data_args, model_args, _ = parse(
        *("--dataset_name", str(few), "--transcript_column_name", "text", "--output_dir", str(tmp_path)),
        *("--token_type", "bpe", "--vocab_size", "12", "--config_overrides", json.dumps(TINY)),
    )
    splits, _ = asr.load_transcribed(data_args, Normalization())
    model, processor = asr.build_recogniser(model_args, splits["train"]["transcript"], tmp_path)
    assert model.config.vocab_size == len(processor.tokenizer) <= 12 - 3 + 3
    processor.save_pretrained(tmp_path / "saved")
    again = EspnetAsrProcessor.from_pretrained(tmp_path / "saved").tokenizer
    for text in splits["train"]["transcript"]:
        ids = again(text).input_ids
        assert 1 not in ids and again.decode(ids) == text
    model_args.vocab_size = 4
    with pytest.raises(ValueError, match="--vocab_size 4 is too small: the transcripts' characters alone take 9"):
        asr.build_recogniser(model_args, splits["train"]["transcript"], tmp_path)


def test_the_warm_up_is_espnets():
    # Its own formula: rate * warmup ** 0.5 * min(n ** -0.5, n * warmup ** -1.5).
    for warmup in (1, 25, 400):
        for step in (0, 1, 24, 399, 5000):
            n = step + 1
            expected = warmup**0.5 * min(n**-0.5, n * warmup**-1.5)
            assert asr.warmup_factor(step, warmup) == pytest.approx(expected)
    assert asr.warmup_factor(399, 400) == 1


def test_the_first_update_already_learns(few, tmp_path):
    flags = ["--dataset_name", str(few), "--output_dir", str(tmp_path / "model"), *FLAGS]
    train_asr.main(
        [*flags, "--max_steps", "3", "--logging_steps", "1", "--learning_rate", "0.01", "--warmup_steps", "2"]
    )
    history = json.loads((tmp_path / "model" / "trainer_state.json").read_text())["log_history"]
    rates = [entry["learning_rate"] for entry in history if "learning_rate" in entry]
    assert rates == pytest.approx([0.005, 0.01, 0.01 * (2 / 3) ** 0.5])


@pytest.mark.parametrize("encoder_type", ["conformer", "transformer", "e_branchformer"])
def test_masked_frames_leave_first_gradients_as_they_are(encoder_type):
    # SpecAugment's zeros, from a network whose biases are all zero, once met layer norms with an epsilon of 1e-12.
    def gradient(masked):
        torch.manual_seed(0)
        config = EspnetAsrConfig(vocab_size=8, num_mel_bins=20, encoder_type=encoder_type, **TINY)
        model = EspnetAsrForSpeechSeq2Seq(config).train()
        features = torch.randn(4, 60, 20)
        features[:, 20:40] *= not masked
        model(features, labels=torch.randint(2, 7, (4, 4))).loss.backward()
        return torch.nn.utils.get_total_norm([p.grad for p in model.parameters() if p.grad is not None])

    assert gradient(masked=True) < 10 * gradient(masked=False)
