import numpy as np
import pytest
from tiny_cnn import BACKBONES, MEL_BINS, make_tiny_cnn
from transformers import pipeline

from lssed_hf import PyResNetFeatureExtractor


def scores(results) -> np.ndarray:
    return np.array([[entry["score"] for entry in sorted(result, key=lambda x: x["label"])] for result in results])


@pytest.mark.parametrize("backbone", BACKBONES)
def test_scores_do_not_depend_on_the_batch_size(backbone, tmp_path):
    generator = np.random.default_rng(0)
    clips = [
        generator.normal(0, 0.1, int(16000 * seconds)).astype(np.float32) for seconds in (0.3, 7, 1.1, 2.5, 1.1, 5)
    ]
    make_tiny_cnn(backbone, id2label={0: "angry", 1: "neutral", 2: "happy", 3: "sad"}).save_pretrained(tmp_path)
    extractor = PyResNetFeatureExtractor(num_mel_bins=MEL_BINS, mean=[-20.0] * MEL_BINS, std=[10.0] * MEL_BINS)
    extractor.save_pretrained(tmp_path)
    classify = pipeline("audio-classification", model=str(tmp_path), device="cpu")
    one_by_one, batched = scores(classify(clips, batch_size=1)), scores(classify(clips, batch_size=8))
    assert np.ptp(one_by_one, axis=0).min() > 1e-3
    np.testing.assert_allclose(batched, one_by_one, atol=1e-5)
