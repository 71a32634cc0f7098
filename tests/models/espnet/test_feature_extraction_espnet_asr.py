"""ESPnet's front end against torch, torchaudio and librosa, and its manners with every kind of input.

What ESPnet itself gives is in test_parity_espnet_asr.py.
"""

import json

import librosa
import numpy as np
import pytest
import torch
import torchaudio
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoFeatureExtractor

from lssed_hf import EspnetAsrConfig, EspnetAsrFeatureExtractor
from lssed_hf.models.espnet import feature_extraction_espnet_asr as module


RATE = 16000
PLAIN = EspnetAsrFeatureExtractor(normalization="none")
UTTERANCE = EspnetAsrFeatureExtractor(normalization="utterance_mvn")


def noise(samples: int, seed: int = 0, scale: float = 0.1) -> np.ndarray:
    return (scale * np.random.default_rng(seed).standard_normal(samples)).astype(np.float32)


class TestLogMel:
    @pytest.mark.parametrize("samples", [257, 400, 4321, 16000])
    def test_equals_torch_stft_and_librosas_filters(self, samples):
        waveform = noise(samples)
        spectrum = torch.stft(
            torch.from_numpy(waveform).double(),
            n_fft=512,
            hop_length=160,
            win_length=400,
            window=torch.hann_window(400, dtype=torch.float64),
            return_complex=True,
        )
        filters = librosa.filters.mel(sr=RATE, n_fft=512, n_mels=80)
        expected = (torch.from_numpy(filters).double() @ spectrum.abs().square()).clamp(min=1e-10).log().T
        np.testing.assert_allclose(PLAIN.extract(waveform), expected, rtol=1e-5, atol=1e-5)

    def test_equals_torchaudio(self):
        transform = torchaudio.transforms.MelSpectrogram(
            RATE, 512, win_length=400, hop_length=160, n_mels=80, norm="slaney", mel_scale="slaney"
        ).double()
        expected = transform(torch.from_numpy(noise(RATE)).double()).log().T
        np.testing.assert_allclose(PLAIN.extract(noise(RATE)), expected, rtol=1e-3)

    @pytest.mark.parametrize("samples", [1, 100, 159, 160, 256, 257, 3200])
    def test_number_of_frames(self, samples):
        features = PLAIN.extract(noise(samples))
        assert features.shape == (1 + samples // 160, 80) and np.isfinite(features).all()

    def test_silence_is_the_floor(self):
        np.testing.assert_allclose(PLAIN.extract(np.zeros(4000, np.float32)), np.log(1e-10), rtol=1e-6)

    def test_a_louder_clip_has_larger_features_by_the_logarithm_of_its_power(self):
        louder = PLAIN.extract(3 * noise(4000)) - PLAIN.extract(noise(4000))
        np.testing.assert_allclose(louder, 2 * np.log(3), atol=1e-4)


class TestNormalization:
    def test_global(self):
        mean, std = np.linspace(-9, -3, 80), np.linspace(1, 4, 80)
        extractor = EspnetAsrFeatureExtractor(mean=mean, std=std)
        features = extractor(noise(8000), sampling_rate=RATE, return_tensors="np")["input_features"][0]
        np.testing.assert_allclose(features, (PLAIN.extract(noise(8000)) - mean) / std, atol=1e-5)

    def test_global_without_statistics_leaves_features_and_says_so(self, monkeypatch):
        warnings = []
        monkeypatch.setattr(module.logger, "warning_once", warnings.append)
        features = EspnetAsrFeatureExtractor().normalize(np.ones((3, 80), np.float32))
        np.testing.assert_array_equal(features, 1)
        assert "fit_normalization" in warnings[0]

    @pytest.mark.parametrize("norm_vars", [False, True])
    def test_utterance(self, norm_vars):
        extractor = EspnetAsrFeatureExtractor(normalization="utterance_mvn", norm_vars=norm_vars)
        features = extractor.normalize(PLAIN.extract(noise(8000)))
        np.testing.assert_allclose(features.mean(axis=0), 0, atol=1e-5)
        deviation = features.std(axis=0)
        if norm_vars:
            np.testing.assert_allclose(deviation, 1, atol=1e-4)
        else:
            np.testing.assert_allclose(deviation, PLAIN.extract(noise(8000)).std(axis=0), atol=1e-4)

    def test_silence_has_no_deviation_to_divide_by(self):
        extractor = EspnetAsrFeatureExtractor(normalization="utterance_mvn", norm_vars=True)
        features = extractor(np.zeros(4000), sampling_rate=RATE, return_tensors="np")["input_features"]
        np.testing.assert_array_equal(features, 0)


class TestInputs:
    @pytest.mark.parametrize("form", [list, np.float64, torch.from_numpy, lambda x: x])
    def test_forms_of_one_clip(self, form):
        clip = noise(2000)
        given = form(clip) if form is not np.float64 else clip.astype(np.float64)
        features = UTTERANCE(given, sampling_rate=RATE, return_tensors="np")["input_features"]
        np.testing.assert_allclose(features[0], UTTERANCE.normalize(UTTERANCE.extract(clip)), atol=1e-6)

    @pytest.mark.parametrize("dtype", [np.int16, np.int32])
    def test_integer_pcm_is_scaled(self, dtype):
        clip = np.round(noise(2000) * 32768) / 32768
        pcm = (clip * -float(np.iinfo(dtype).min)).astype(dtype)
        features = [PLAIN(form, sampling_rate=RATE)["input_features"][0] for form in (pcm, clip)]
        np.testing.assert_allclose(*features, atol=1e-4)

    @pytest.mark.parametrize(
        ("clip", "message"),
        [
            (np.zeros((1, 400, 2)), "clip 0 has shape"),
            (np.zeros((400, 2)), "down-mix"),
            (np.zeros(0), "clip 0 is empty"),
            ([noise(400), np.zeros(0)], "clip 1 is empty"),
            (np.array([0.0, np.nan, 0.0]), "NaN or infinite samples, the first at sample 1"),
            (np.array([0.0, 0.0, np.inf]), "NaN or infinite samples, the first at sample 2"),
            (np.zeros(400, np.uint8), "has type uint8"),
        ],
    )
    def test_what_is_refused(self, clip, message):
        with pytest.raises(ValueError, match=message):
            PLAIN(clip, sampling_rate=RATE)

    def test_another_sampling_rate_is_refused(self):
        with pytest.raises(ValueError, match=r"made for 16000 Hz but the clips have 8000 Hz.*resample"):
            PLAIN(noise(400), sampling_rate=8000)

    def test_does_not_change_its_input(self):
        clip = noise(2000)
        before = clip.copy()
        UTTERANCE(clip, sampling_rate=RATE)
        np.testing.assert_array_equal(clip, before)


class TestPadding:
    @given(st.lists(st.integers(1, 3000), min_size=1, max_size=4))
    def test_a_batch_holds_what_each_clip_gives_alone(self, lengths):
        clips = [noise(length, seed=length) for length in lengths]
        batch = UTTERANCE(clips, sampling_rate=RATE, return_tensors="np")
        for clip, features, mask in zip(clips, batch["input_features"], batch["attention_mask"], strict=True):
            alone = UTTERANCE(clip, sampling_rate=RATE, return_tensors="np")["input_features"][0]
            np.testing.assert_array_equal(features[mask == 1], alone)
            assert (features[mask == 0] == 0).all() and mask.sum() == 1 + len(clip) // 160

    def test_waveforms_may_be_padded_as_espnet_does(self):
        clips = [noise(4000), noise(1600)]
        literal = EspnetAsrFeatureExtractor(normalization="none", pad_waveforms=True)
        batch = literal(clips, sampling_rate=RATE, return_tensors="np")
        padded = PLAIN.extract(np.pad(clips[1], (0, 2400)))
        np.testing.assert_allclose(batch["input_features"][1][:11], padded[:11], rtol=1e-6, atol=1e-6)
        assert not np.allclose(padded[:11], PLAIN.extract(clips[1]))
        assert batch["attention_mask"].sum(axis=1).tolist() == [26, 11]

    def test_of_computed_features(self):
        rows = [{"input_features": PLAIN.extract(noise(n))} for n in (1600, 800)]
        batch = PLAIN.pad(rows, return_tensors="pt")
        assert batch["input_features"].shape == (2, 11, 80)
        assert batch["attention_mask"].sum(dim=1).tolist() == [11, 6]


class TestConfiguration:
    def test_round_trip(self, tmp_path):
        settings = {
            "num_mel_bins": 40,
            "n_fft": 400,
            "win_length": None,
            "hop_length": 128,
            "window_function": "hamming",
            "f_min": 20.0,
            "f_max": 7600.0,
            "mel_scale": "htk",
            "mean": [0.5] * 40,
            "std": [2.0] * 40,
        }
        extractor = EspnetAsrFeatureExtractor(**settings)
        extractor.save_pretrained(tmp_path)
        content = json.loads((tmp_path / "preprocessor_config.json").read_text())
        assert not {"window", "mel_filters"} & content.keys()
        loaded = EspnetAsrFeatureExtractor.from_pretrained(tmp_path)
        assert loaded.to_dict() == extractor.to_dict()
        np.testing.assert_array_equal(
            *(item(noise(2000), sampling_rate=RATE)["input_features"][0] for item in (extractor, loaded))
        )

    def test_auto_class_loads_it(self, tmp_path):
        EspnetAsrConfig().save_pretrained(tmp_path)
        PLAIN.save_pretrained(tmp_path)
        assert type(AutoFeatureExtractor.from_pretrained(tmp_path)) is EspnetAsrFeatureExtractor

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"normalization": "corpus"}, "normalization='corpus' is not one of global_mvn"),
            ({"window_function": "kaiser"}, "window_function='kaiser' is not one of hann"),
            ({"mel_scale": "bark"}, "mel_scale"),
            ({"hop_length": 0}, "hop_length=0"),
            ({"win_length": 1024}, "win_length=1024 must lie between 1 and n_fft=512"),
            ({"f_max": 9000}, "half the sampling rate"),
            ({"mean": [0.0] * 80}, "both mean and std"),
            ({"mean": [0.0], "std": [1.0]}, "mean has 1 entries for num_mel_bins=80"),
            ({"padding_side": "left"}, "padding_side"),
        ],
    )
    def test_what_cannot_be(self, settings, message):
        with pytest.raises(ValueError, match=message):
            EspnetAsrFeatureExtractor(**settings)
