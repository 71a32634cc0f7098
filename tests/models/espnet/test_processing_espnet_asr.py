import numpy as np
import pytest
import torch

from lssed_hf.models.espnet.feature_extraction_espnet_asr import EspnetAsrFeatureExtractor
from lssed_hf.models.espnet.processing_espnet_asr import EspnetAsrProcessor
from lssed_hf.models.espnet.tokenization_espnet_asr import EspnetAsrTokenizer


CLIPS = [np.random.default_rng(seed).normal(size=size).astype(np.float32) for seed, size in ((0, 8000), (1, 4000))]


@pytest.fixture
def processor() -> EspnetAsrProcessor:
    tokenizer = EspnetAsrTokenizer(token_list=["<blank>", "<unk>", "<space>", *"ABC", "<sos/eos>"])
    return EspnetAsrProcessor(EspnetAsrFeatureExtractor(normalization="utterance_mvn"), tokenizer)


def test_audio_and_text_make_inputs_and_labels(processor):
    batch = processor(audio=CLIPS, text=["AB C", "B"], sampling_rate=16000, padding=True, return_tensors="pt")
    alone = processor.feature_extractor(CLIPS, sampling_rate=16000, padding=True, return_tensors="pt")
    assert torch.equal(batch["input_features"], alone["input_features"])
    assert torch.equal(batch["attention_mask"], alone["attention_mask"])
    assert batch["labels"].tolist() == [[3, 4, 2, 5], [4, -100, -100, -100]]
    single = processor(audio=CLIPS[0], text="CAB", sampling_rate=16000)
    assert single["labels"] == [[5, 3, 4]]


def test_each_part_alone(processor):
    assert processor(text="CAB").input_ids == [5, 3, 4]
    assert set(processor(audio=CLIPS[0], sampling_rate=16000)) == {"input_features", "attention_mask"}
    assert processor.decode([6, 3, 4, 6], skip_special_tokens=True) == "AB"
    assert processor.batch_decode([[3], [4]]) == ["A", "B"]


def test_rows_are_padded_to_a_batch(processor):
    rows = [
        {"input_features": processor(audio=clip, sampling_rate=16000)["input_features"][0], "labels": labels}
        for clip, labels in zip(CLIPS, ([3, 4, 2, 5], [4]))
    ]
    batch = processor.pad(rows)
    together = processor(audio=CLIPS, text=["AB C", "B"], sampling_rate=16000, padding=True, return_tensors="pt")
    assert torch.allclose(batch["input_features"], together["input_features"])
    assert torch.equal(batch["labels"], together["labels"])
    assert torch.equal(batch["attention_mask"], together["attention_mask"])


def test_saved_and_loaded_it_is_the_same(processor, tmp_path):
    processor.save_pretrained(tmp_path)
    again = EspnetAsrProcessor.from_pretrained(tmp_path)
    assert again.feature_extractor.to_dict() == processor.feature_extractor.to_dict()
    assert again.tokenizer.get_vocab() == processor.tokenizer.get_vocab()


def test_what_does_not_fit_is_refused(processor):
    with pytest.raises(ValueError, match="give audio, text or both"):
        processor()
    with pytest.raises(ValueError, match="2 clips but 1 transcripts"):
        processor(audio=CLIPS, text=["A"], sampling_rate=16000)
