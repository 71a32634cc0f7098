"""The front end in PyTorch against the one in numpy, and its gradients."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.models.pyresnet.test_feature_extraction_pyresnet import (
    RATE,
    SIGNALS,
    assert_same_levels,
    librosa_mel,
    noise,
)

from lssed_hf import PyResNetFeatureExtractor, PyResNetForAudioClassification, create_model


def both(**settings) -> tuple[PyResNetFeatureExtractor, PyResNetFeatureExtractor]:
    return PyResNetFeatureExtractor(**settings), PyResNetFeatureExtractor(**settings, backend="torch")


CHAINS = {
    "default": {"normalization": "none"},
    "literal": {"normalization": "none", "log_mel": False},
    "utterance": {"normalization": "utterance"},
    "corpus": {"mean": np.linspace(-60, -20, 128), "std": np.linspace(5, 20, 128)},
    "speech": {"normalization": "none", "speech_range": 30.0, "top_db": 60.0},
    "own frames": {"normalization": "none", "resynthesize": False},
    "short windows": {"normalization": "none", "n_fft": 400, "hop_length": 160, "denoise_win_length": 512},
    "no decibels clipped": {"normalization": "utterance", "do_denoise": False, "top_db": None},
}


@pytest.mark.parametrize("chain", CHAINS)
def test_equals_numpy_in_a_batch_of_every_length(chain):
    numpy, pytorch = both(**CHAINS[chain])
    clips = [SIGNALS[name] for name in ("noise", "bursts", "10 ms", "one sample")] + [np.zeros(900, np.float32)]
    expected = numpy(clips, sampling_rate=RATE, return_tensors="np")
    actual = pytorch([torch.from_numpy(clip) for clip in clips], sampling_rate=RATE)
    assert actual.input_features.dtype == torch.float32
    np.testing.assert_array_equal(actual.attention_mask.numpy(), expected.attention_mask)
    if chain == "literal":
        for one, other in zip(actual.input_features.numpy(), expected.input_features, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-6 * max(other.max(), 1e-12))
    else:
        np.testing.assert_allclose(actual.input_features.numpy(), expected.input_features, rtol=0, atol=0.02)


@given(st.integers(0, 2**32 - 1), st.integers(1, 3 * RATE), st.floats(-6, 1))
def test_mel_equals_librosa(seed, samples, level):
    clip = noise(samples, seed, 10**level)
    pytorch = PyResNetFeatureExtractor(
        do_denoise=False, gain=1.0, log_mel=False, normalization="none", backend="torch"
    )
    actual = pytorch(torch.from_numpy(clip), sampling_rate=RATE).input_features[0]
    assert_same_levels(actual.numpy(), librosa_mel(clip))


def test_padding_is_that_of_transformers():
    numpy, pytorch = both(normalization="none")
    clips = [noise(5000), noise(9000, seed=1)]
    for settings in (
        {"padding": "max_length", "max_length": 30},
        {"padding": "max_length", "max_length": 12, "truncation": True},
        {"padding": "longest", "pad_to_multiple_of": 8},
        {"padding": "max_length", "max_length": 11, "truncation": True, "pad_to_multiple_of": 8},
        {"return_attention_mask": False},
    ):
        expected = numpy(clips, sampling_rate=RATE, return_tensors="np", **settings)
        actual = pytorch(clips, sampling_rate=RATE, return_tensors="np", **settings)
        assert actual.keys() == expected.keys()
        for key, value in expected.items():
            assert actual[key].shape == value.shape, settings
            np.testing.assert_allclose(actual[key], value, rtol=0, atol=0.02)
    assert [len(clip) for clip in pytorch(clips, sampling_rate=RATE, padding=False).input_features] == [10, 18]
    with pytest.raises(ValueError, match="need max_length"):
        pytorch(clips, sampling_rate=RATE, padding="max_length")
    with pytest.raises(ValueError, match="is not one of longest"):
        pytorch(clips, sampling_rate=RATE, padding="left")


@pytest.mark.parametrize("resynthesize", [True, False])
def test_gradients_reach_the_waveform(resynthesize):
    extractor = PyResNetFeatureExtractor(normalization="utterance", resynthesize=resynthesize, backend="torch")
    clips = torch.from_numpy(np.stack([SIGNALS["chirp"][:9000], noise(9000), np.r_[noise(4000), np.zeros(5000)]]))
    clips = clips.float().requires_grad_()
    features = extractor(clips, sampling_rate=RATE).input_features
    (features[..., :64].sin()).sum().backward()
    assert torch.isfinite(clips.grad).all()
    assert (clips.grad.abs().amax(1) > 0).all()


def test_gradient_equals_finite_differences():
    extractor = PyResNetFeatureExtractor(normalization="none", log_mel=False, backend="torch")
    clip = torch.from_numpy(noise(3000)).requires_grad_()
    weights = torch.from_numpy(noise(128, seed=5))

    def loss(values):
        return (extractor(values, sampling_rate=RATE).input_features.log1p() @ weights).sum()

    loss(clip).backward()
    direction = torch.from_numpy(noise(3000, seed=6))
    step = 1e-2
    with torch.no_grad():
        measured = (loss(clip + step * direction) - loss(clip - step * direction)) / (2 * step)
    assert float(clip.grad @ direction) == pytest.approx(float(measured), rel=0.02)


def test_errors_name_the_clip():
    extractor = PyResNetFeatureExtractor(backend="torch")
    bad = torch.zeros(100)
    bad[7] = torch.nan
    with pytest.raises(ValueError, match="clip 1 holds NaN or infinite samples, the first at sample 7"):
        extractor([torch.zeros(100), bad], sampling_rate=RATE)
    with pytest.raises(ValueError, match="was made for 16000 Hz"):
        extractor(bad, sampling_rate=8000)
    with pytest.raises(ValueError, match="backend='jax' is not one of numpy, torch"):
        PyResNetFeatureExtractor(backend="jax")


def test_pcm_and_half_precision():
    numpy, pytorch = both(normalization="none")
    pcm = (noise(5000) * 2**15).astype(np.int16)
    expected = numpy(pcm, sampling_rate=RATE, return_tensors="np").input_features
    for clip in (pcm, torch.from_numpy(pcm)):
        np.testing.assert_allclose(pytorch(clip, sampling_rate=RATE).input_features.numpy(), expected, atol=0.02)
    half = torch.from_numpy(noise(5000)).bfloat16()
    expected = numpy(half.float().numpy(), sampling_rate=RATE, return_tensors="np").input_features
    np.testing.assert_allclose(pytorch(half, sampling_rate=RATE).input_features.numpy(), expected, atol=0.02)


def test_a_choice_of_the_run_is_not_saved(tmp_path):
    PyResNetFeatureExtractor(normalization="utterance", resynthesize=False, backend="torch").save_pretrained(tmp_path)
    loaded = PyResNetFeatureExtractor.from_pretrained(tmp_path)
    assert (loaded.backend, loaded.resynthesize) == ("numpy", False)
    assert PyResNetFeatureExtractor.from_pretrained(tmp_path, backend="torch").backend == "torch"


def test_trains_a_network_on_the_fly():
    extractor = PyResNetFeatureExtractor(normalization="utterance", backend="torch")
    torch.manual_seed(0)
    model: PyResNetForAudioClassification = create_model("pyresnet50", num_labels=2)
    inputs = extractor([torch.from_numpy(noise(8000)), torch.from_numpy(noise(6000, seed=1))], sampling_rate=RATE)
    loss = model(**inputs, labels=torch.tensor([0, 1])).loss
    loss.backward()
    assert torch.isfinite(loss)
