import io

import numpy as np
import pytest
import soundfile
from datasets import Audio, Dataset
from transformers import pipeline

from lssed_hf import PyResNetFeatureExtractor, load_audio


@pytest.fixture
def clips() -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [(generator.standard_normal(int(16000 * seconds)) * 0.1).astype(np.float32) for seconds in (0.7, 2, 1.1, 3)]


@pytest.fixture
def classify(tiny):
    tiny.config.id2label = {0: "angry", 1: "neutral", 2: "happy", 3: "sad"}
    extractor = PyResNetFeatureExtractor(num_mel_bins=32, mean=[-20.0] * 32, std=[10.0] * 32)
    return pipeline("audio-classification", model=tiny, feature_extractor=extractor, device="cpu")


def scores(results) -> np.ndarray:
    return np.array([[entry["score"] for entry in sorted(result, key=lambda x: x["label"])] for result in results])


@pytest.mark.parametrize("batch_size", [2, 8])
def test_scores_do_not_depend_on_the_batch_size(classify, clips, batch_size):
    one_by_one, batched = scores(classify(clips, batch_size=1)), scores(classify(clips, batch_size=batch_size))
    assert np.ptp(one_by_one, axis=0).min() > 1e-3
    np.testing.assert_allclose(batched, one_by_one, atol=1e-5)


def test_rows_of_datasets_go_through_load_audio(classify, clips):
    """The way for rows of datasets: the pipeline itself refuses the decoder object that datasets >= 4 gives."""
    stored = io.BytesIO()
    soundfile.write(stored, clips[0], 16000, format="WAV", subtype="FLOAT")
    dataset = Dataset.from_dict({"audio": [{"bytes": stored.getvalue(), "path": None}]})
    row = dataset.cast_column("audio", Audio(decode=False))[0]
    result = classify({"array": load_audio(row["audio"]), "sampling_rate": 16000})
    assert result == classify(clips[0])
    assert {entry["label"] for entry in result} == {"angry", "neutral", "happy", "sad"}
