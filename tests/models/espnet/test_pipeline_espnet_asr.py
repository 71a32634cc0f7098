"""A saved recogniser is served by the pipeline, with and without this package."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import pipeline

from lssed_hf import (
    EspnetAsrConfig,
    EspnetAsrFeatureExtractor,
    EspnetAsrForSpeechSeq2Seq,
    EspnetAsrProcessor,
    EspnetAsrTokenizer,
)


TOKENS = ["<blank>", "<unk>", "<space>", *"abcdef", "<sos/eos>"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A small random recogniser that has something to say, and two clips of unequal length."""
    folder = tmp_path_factory.mktemp("recogniser")
    torch.manual_seed(0)
    config = EspnetAsrConfig(
        vocab_size=len(TOKENS),
        num_mel_bins=20,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        decoder_layers=1,
        decoder_attention_heads=2,
        decoder_intermediate_size=16,
    )
    model = EspnetAsrForSpeechSeq2Seq(config).eval()
    with torch.no_grad():
        model.ctc.ctc_lo.weight.mul_(8)
        model.decoder.output_layer.bias[-1] -= 4
    model.generation_config.update(num_beams=4, ctc_weight=0.7)
    model.save_pretrained(folder)
    extractor = EspnetAsrFeatureExtractor(num_mel_bins=20, normalization="utterance_mvn")
    EspnetAsrProcessor(extractor, EspnetAsrTokenizer(token_list=TOKENS)).save_pretrained(folder)
    clips = {
        f"clip{n}": np.random.default_rng(n).normal(size=size).astype("f4") for n, size in enumerate((9000, 6000))
    }
    np.savez(folder / "clips.npz", **clips)
    return folder


@pytest.mark.parametrize("mode", ["installed", "blocked"])
def test_the_folder_opens_in_a_process_of_its_own(folder, mode, forking_python):
    report = json.loads(forking_python.call("open_recogniser", "main", mode, str(folder)))
    assert report["type"] == "seq2seq"
    assert report["classes"] == ["EspnetAsrForSpeechSeq2Seq", "EspnetAsrProcessor", "EspnetAsrTokenizer"]
    assert report["modules"] == ["lssed_hf" if mode == "installed" else "transformers_modules"]
    assert report["beams"] == 4 and report["tokens"] == [3, 4, 2, 5]
    assert report["heard"] == report["batched"] == report["generated"]
    assert all(len(text) > 1 for text in report["heard"])
    model = EspnetAsrForSpeechSeq2Seq.from_pretrained(folder)
    processor = EspnetAsrProcessor.from_pretrained(folder)
    with np.load(folder / "clips.npz") as file:
        inputs = processor(audio=[file["clip0"], file["clip1"]], sampling_rate=16000, return_tensors="pt")
    ids = model.generate(**inputs, num_beams=4, ctc_weight=0.7)
    assert report["heard"] == processor.batch_decode(ids, skip_special_tokens=True)
    greedy = processor.batch_decode(model.generate(**inputs, ctc_greedy=True), skip_special_tokens=True)
    assert report["greedy"] == greedy[0]


def test_options_of_a_call_reach_the_search(folder):
    recogniser = pipeline("automatic-speech-recognition", model=str(folder), device="cpu")
    with np.load(folder / "clips.npz") as file:
        clip = file["clip0"]
    assert len(recogniser(clip, generate_kwargs={"maxlenratio": -3})["text"]) <= 3
    with pytest.raises(ValueError, match="knows no temperature"):
        recogniser(clip, generate_kwargs={"temperature": 0.3})


def test_long_recordings_are_decoded_in_pieces(folder):
    recogniser = pipeline("automatic-speech-recognition", model=str(folder), device="cpu", ignore_warning=True)
    clip = np.random.default_rng(5).normal(size=24000).astype(np.float32)
    whole = recogniser(clip, chunk_length_s=0.5, stride_length_s=0)["text"]
    assert whole == "".join(recogniser(clip[start : start + 8000])["text"] for start in range(0, 24000, 8000))
