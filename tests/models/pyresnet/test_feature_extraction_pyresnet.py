"""The front end against independent implementations, and its manners with every kind of input."""

import inspect
import io
import json
from concurrent.futures import ThreadPoolExecutor

import librosa
import numpy as np
import pytest
import scipy.signal
import soundfile
import torch
import torchaudio
from hypothesis import given
from hypothesis import strategies as st

from lssed_hf import PyResNetFeatureExtractor
from lssed_hf.models.pyresnet import front_end_pyresnet as module


RATE = 16000
PLAIN = PyResNetFeatureExtractor(normalization="none")
LITERAL = PyResNetFeatureExtractor(log_mel=False, normalization="none")


def noise(samples: int, seed: int = 0, scale: float = 0.1) -> np.ndarray:
    return (scale * np.random.default_rng(seed).standard_normal(samples)).astype(np.float32)


def chirp(seconds: float = 2.0) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    return (0.5 * scipy.signal.chirp(time, 50, seconds, 7900)).astype(np.float32)


def bursts(seconds: float = 4.0) -> np.ndarray:
    """Voiced "syllables" of 250 ms, of a gliding fundamental and its harmonics, with pauses of 150 ms."""
    time = np.arange(round(seconds * RATE)) / RATE
    phase = 2 * np.pi * np.cumsum(130 + 30 * np.sin(2 * np.pi * 0.7 * time)) / RATE
    voice = sum(np.sin(k * phase) / k for k in range(1, 25))
    envelope = np.sin(np.pi * np.clip(time % 0.4 / 0.25, 0, 1)) ** 0.5
    return (0.2 * voice * envelope).astype(np.float32)


SIGNALS = {
    "noise": noise(3 * RATE + 123),
    "loud noise": noise(RATE, scale=10),
    "faint noise": noise(RATE, scale=1e-5),
    "chirp": chirp(),
    "bursts": bursts() + noise(4 * RATE, scale=1e-4),
    "one window": noise(1024),
    "10 ms": noise(160),
    "one sample": noise(1),
}


def librosa_mel(waveform: np.ndarray, **settings) -> np.ndarray:
    """Return the mel power by librosa in float64."""
    settings = {"sr": RATE, "n_fft": 1024, "hop_length": 512, "n_mels": 128, "fmin": 0, "fmax": 8000, **settings}
    return librosa.feature.melspectrogram(y=waveform.astype(np.float64), **settings).T


def assert_same_levels(actual: np.ndarray, expected: np.ndarray, tolerance: float = 0.01) -> None:
    """Compare powers in decibels, down to 80 dB below the peak. Whatever lies below that must lie below in both."""
    floor = 10 * np.log10(expected.max()) - 80
    with np.errstate(divide="ignore"):
        actual, expected = (np.maximum(10 * np.log10(power.astype(np.float64)), floor) for power in (actual, expected))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance)


def slaney_filters(num_mel_bins: int = 128, n_fft: int = 1024) -> np.ndarray:
    """Triangles of unit area, from the definition of the scale in Slaney's Auditory Toolbox (1998)."""

    def to_hz(mel: np.ndarray) -> np.ndarray:
        return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * np.log(6.4) / 27))

    top = 15 + 27 * np.log(8) / np.log(6.4)  # 8000 Hz
    corners = to_hz(np.linspace(0, top, num_mel_bins + 2))
    bins = np.arange(n_fft // 2 + 1) * RATE / n_fft
    filters = [
        np.interp(bins, [low, middle, high], [0, 2 / (high - low), 0])
        for low, middle, high in zip(corners, corners[1:], corners[2:])
    ]
    return np.stack(filters, axis=1)


class TestMelSpectrogram:
    @pytest.mark.filterwarnings("ignore:n_fft=1024 is too large")
    @pytest.mark.parametrize("name", SIGNALS)
    def test_equals_librosa(self, name):
        assert_same_levels(PLAIN.mel_spectrogram(SIGNALS[name]), librosa_mel(SIGNALS[name]))

    def test_equals_librosa_on_real_speech(self, real_clips):
        for clip in real_clips:
            assert_same_levels(PLAIN.mel_spectrogram(clip), librosa_mel(clip))

    @pytest.mark.parametrize(
        ("ours", "theirs"),
        [
            ({"n_fft": 512, "hop_length": 160}, {"n_fft": 512, "hop_length": 160}),
            ({"num_mel_bins": 40, "f_min": 60.0, "f_max": 7600.0}, {"n_mels": 40, "fmin": 60, "fmax": 7600}),
            ({"n_fft": 400, "hop_length": 1000, "num_mel_bins": 32}, {"n_fft": 400, "hop_length": 1000, "n_mels": 32}),
            ({"sampling_rate": 8000, "f_max": 4000.0, "n_fft": 512}, {"sr": 8000, "fmax": 4000, "n_fft": 512}),
        ],
    )
    def test_equals_librosa_in_other_settings(self, ours, theirs):
        features = PyResNetFeatureExtractor(**ours).mel_spectrogram(SIGNALS["noise"])
        assert_same_levels(features, librosa_mel(SIGNALS["noise"], **theirs))

    @pytest.mark.parametrize("name", ["noise", "chirp", "bursts"])
    def test_equals_torchaudio(self, name):
        transform = torchaudio.transforms.MelSpectrogram(
            RATE, 1024, hop_length=512, n_mels=128, norm="slaney", mel_scale="slaney", pad_mode="constant"
        ).double()
        expected = transform(torch.from_numpy(SIGNALS[name]).double()).T.numpy()
        assert_same_levels(PLAIN.mel_spectrogram(SIGNALS[name]), expected)

    @pytest.mark.parametrize("name", ["noise", "chirp", "bursts", "10 ms"])
    def test_equals_scipy_and_the_definition_of_the_filters(self, name):
        waveform = SIGNALS[name].astype(np.float64)
        window = scipy.signal.get_window("hann", 1024)
        padded = np.pad(waveform, 512)
        _, _, spectrum = scipy.signal.stft(padded, RATE, window, 1024, 512, boundary=None, padded=False)
        expected = np.abs(spectrum.T * window.sum()) ** 2 @ slaney_filters()
        assert_same_levels(PLAIN.mel_spectrogram(SIGNALS[name]), expected)

    @pytest.mark.parametrize("samples", [1, 160, 511, 512, 513, 1023, 1024, 16000, 80000])
    def test_number_of_frames(self, samples):
        assert PLAIN.mel_spectrogram(noise(samples)).shape == (1 + samples // 512, 128)

    def test_a_tone_peaks_in_its_bin(self):
        tone = np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE).astype(np.float32)
        frame = PLAIN.mel_spectrogram(tone)[10]
        assert abs(librosa.mel_frequencies(130, fmin=0, fmax=8000)[1 + frame.argmax()] - 1000) < 30


def reference_denoise(extractor, waveform, noise_clip=None):
    """Boll's spectral subtraction with Berouti's factors, frame by frame, in float64."""
    length = extractor.denoise_win_length
    hop = length // 2
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)

    def spectra(signal):
        return [np.fft.rfft(window * signal[at : at + length]) for at in range(0, len(signal) - length + 1, hop)]

    x = np.concatenate([np.zeros(hop), waveform, np.zeros(hop)])
    x = np.concatenate([x, np.zeros(-len(waveform) % hop)])
    frames = spectra(x)
    if noise_clip is None:
        audible = [frame for frame in frames if np.abs(frame).max() > 0]
        audible.sort(key=lambda frame: (np.abs(frame) ** 2).sum())
        quiet = audible[: max(1, round(extractor.noise_fraction * len(audible)))]
    else:
        quiet = spectra(noise_clip.astype(np.float64))
    noise_magnitude = sum(np.abs(frame) for frame in quiet) / len(quiet)

    result = np.zeros(len(x))
    for index, frame in enumerate(frames):
        magnitude = np.abs(frame)
        kept = np.maximum(
            magnitude - extractor.over_subtraction * noise_magnitude, extractor.spectral_floor * magnitude
        )
        result[index * hop : index * hop + length] += np.fft.irfft(kept * np.exp(1j * np.angle(frame)), length)
    return result[hop : hop + len(waveform)]


def segmental_snr(clean: np.ndarray, estimate: np.ndarray) -> float:
    """Mean in dB over the 25 ms frames within 35 dB of the loudest, each limited to [-10, 35]."""
    clean, error = (x[: len(clean) // 400 * 400].reshape(-1, 400) for x in (clean, clean - estimate))
    power = np.square(clean).sum(axis=1)
    snr = 10 * np.log10(power / (np.square(error).sum(axis=1) + 1e-12) + 1e-12)
    return float(np.clip(snr, -10, 35)[power > power.max() * 10**-3.5].mean())


class TestDenoise:
    @pytest.mark.parametrize("samples", [1, 160, 1023, 1024, 1025, 16000, 33333])
    def test_subtracting_nothing_is_the_identity(self, samples):
        extractor = PyResNetFeatureExtractor(over_subtraction=0.0)
        waveform = noise(samples)
        np.testing.assert_allclose(extractor.denoise(waveform), waveform, atol=1e-6)

    @pytest.mark.parametrize("name", ["noise", "loud noise", "faint noise", "bursts", "one window", "10 ms"])
    @pytest.mark.parametrize(
        "settings",
        [
            {},
            {"over_subtraction": 1.0, "spectral_floor": 0.0},
            {"noise_fraction": 1.0, "spectral_floor": 0.3},
            {"denoise_win_length": 320, "noise_fraction": 0.02},
        ],
    )
    def test_equals_a_plain_implementation(self, name, settings):
        extractor = PyResNetFeatureExtractor(**settings)
        expected = reference_denoise(extractor, SIGNALS[name])
        actual = extractor.denoise(SIGNALS[name])
        np.testing.assert_allclose(actual, expected, atol=2e-6 * np.abs(SIGNALS[name]).max())
        assert actual.dtype == np.float32

    def test_equals_a_plain_implementation_with_a_noise_clip(self):
        background = noise(5000, seed=1)
        expected = reference_denoise(PLAIN, SIGNALS["bursts"], background)
        np.testing.assert_allclose(PLAIN.denoise(SIGNALS["bursts"], background), expected, atol=2e-6)

    @pytest.mark.parametrize("snr", [0, 5, 10])
    @pytest.mark.parametrize("colour", ["white", "pink"])
    @pytest.mark.parametrize("noise_clip", [False, True])
    def test_improves_noisy_speech(self, snr, colour, noise_clip):
        clean = bursts()
        background = np.random.default_rng(snr).standard_normal(2 * len(clean))
        if colour == "pink":
            spectrum = np.fft.rfft(background)
            background = np.fft.irfft(spectrum / np.sqrt(np.arange(1, len(spectrum) + 1)))
        background *= clean.std() / background.std() / 10 ** (snr / 20)
        background = background.astype(np.float32)
        noisy = clean + background[: len(clean)]
        restored = PLAIN.denoise(noisy, background[len(clean) :] if noise_clip else None)
        assert segmental_snr(clean, restored) > segmental_snr(clean, noisy) + 2

    def test_keeps_clean_speech_with_pauses(self):
        clean = np.pad(bursts(), RATE // 2)
        clean += noise(len(clean), scale=1e-5)
        assert segmental_snr(clean, PLAIN.denoise(clean)) > 25

    def test_the_noise_is_not_taken_from_digital_silence(self):
        waveform = np.concatenate([np.zeros(4 * RATE, np.float32), noise(RATE)])
        assert PLAIN.denoise(waveform)[-RATE:].std() < 0.6 * noise(RATE).std()

    def test_noise_alone_is_reduced_to_about_the_floor(self):
        extractor = PyResNetFeatureExtractor(over_subtraction=20.0, spectral_floor=0.1, noise_fraction=1.0)
        np.testing.assert_allclose(extractor.denoise(noise(RATE)), 0.1 * noise(RATE), atol=0.02)

    def test_silence_stays(self):
        assert not PLAIN.denoise(np.zeros(5000, np.float32)).any()
        assert not PLAIN.denoise(np.zeros(5000, np.float32), noise(2000)).any()

    @pytest.mark.parametrize("samples", [1, 100, 1024, 1500])
    def test_a_noise_clip_of_any_length(self, samples):
        restored = PLAIN.denoise(SIGNALS["bursts"], noise(samples))
        assert restored.shape == SIGNALS["bursts"].shape and np.isfinite(restored).all()

    def test_does_not_change_its_input(self):
        waveform = noise(5000)
        PLAIN.denoise(waveform)
        np.testing.assert_array_equal(waveform, noise(5000))


class TestChain:
    def test_the_papers_literal_chain(self):
        waveform = SIGNALS["bursts"]
        features = LITERAL(waveform, sampling_rate=RATE).input_features[0]
        expected = librosa_mel(2 * reference_denoise(LITERAL, waveform))
        np.testing.assert_allclose(features, expected, rtol=1e-3, atol=1e-7 * expected.max())

    def test_default_chain(self):
        waveform = SIGNALS["bursts"]
        power = LITERAL(waveform, sampling_rate=RATE).input_features[0]
        expected = librosa.power_to_db(power, ref=1.0, amin=1e-10, top_db=80.0)
        np.testing.assert_allclose(PLAIN(waveform, sampling_rate=RATE).input_features[0], expected, atol=1e-4)

    def test_without_denoising_or_gain_it_is_the_mel_spectrogram(self):
        extractor = PyResNetFeatureExtractor(do_denoise=False, gain=1.0, log_mel=False, normalization="none")
        features = extractor(SIGNALS["chirp"], sampling_rate=RATE).input_features[0]
        np.testing.assert_array_equal(features, extractor.mel_spectrogram(SIGNALS["chirp"]))

    @pytest.mark.parametrize("gain", [0.5, 2.0, 4.0])
    def test_gain_is_on_the_amplitude(self, gain):
        louder, plain = (
            PyResNetFeatureExtractor(gain=value, log_mel=False).extract(SIGNALS["noise"]) for value in (gain, 1.0)
        )
        np.testing.assert_allclose(louder, gain**2 * plain, rtol=1e-5)

    @pytest.mark.parametrize("top_db", [20.0, 80.0])
    def test_top_db_limits_the_range(self, top_db):
        free = PyResNetFeatureExtractor(top_db=None).extract(SIGNALS["bursts"])
        limited = PyResNetFeatureExtractor(top_db=top_db).extract(SIGNALS["bursts"])
        assert free.max() - free.min() > top_db
        np.testing.assert_allclose(limited, np.maximum(free, free.max() - top_db), rtol=1e-6)

    def test_level_and_pauses_around_the_speech_do_not_matter_with_a_speech_range(self):
        extractor = PyResNetFeatureExtractor(normalization="none", speech_range=30.0, do_denoise=False)
        pause = noise(2 * RATE, scale=1e-5)
        alone, around = extractor.extract(bursts()), extractor.extract(0.1 * np.concatenate([pause, bursts(), pause]))
        assert abs(len(around) - len(alone)) <= 2 and abs(around.mean() - alone.mean()) < 2
        np.testing.assert_allclose(extractor.extract(0.1 * bursts()), alone, atol=1e-3)
        assert extractor.extract(np.zeros(RATE, np.float32)).shape == (1 + RATE // 512, 128)

    def test_silence_is_the_floor_of_the_decibels(self):
        features = PLAIN(np.zeros(RATE, np.float32), sampling_rate=RATE).input_features[0]
        assert features.shape == (32, 128) and np.abs(features + 100).max() < 1e-4
        normalized = PyResNetFeatureExtractor(normalization="utterance")(
            np.zeros(RATE, np.float32), sampling_rate=RATE
        )
        assert (normalized.input_features[0] == 0).all()

    def test_ten_milliseconds(self):
        features = PLAIN(noise(160), sampling_rate=RATE).input_features[0]
        assert features.shape == (1, 128) and np.isfinite(features).all()


class TestNormalization:
    def test_corpus(self):
        mean, std = np.linspace(-60, -20, 128), np.linspace(5, 20, 128)
        extractor = PyResNetFeatureExtractor(mean=mean, std=std)
        raw = PLAIN(SIGNALS["bursts"], sampling_rate=RATE).input_features[0]
        actual = extractor(SIGNALS["bursts"], sampling_rate=RATE).input_features[0]
        np.testing.assert_allclose(actual, (raw - mean) / std, rtol=1e-4, atol=1e-4)
        assert actual.dtype == np.float32

    def test_corpus_without_statistics_leaves_features_and_says_so(self, monkeypatch):
        warnings = []
        monkeypatch.setattr(module, "_warn_once", warnings.append)
        actual = PyResNetFeatureExtractor()(noise(RATE), sampling_rate=RATE).input_features[0]
        np.testing.assert_array_equal(actual, PLAIN.extract(noise(RATE)))
        assert len(warnings) == 1 and "fit_normalization" in warnings[0]

    def test_utterance(self):
        extractor = PyResNetFeatureExtractor(normalization="utterance")
        batch = extractor([SIGNALS["bursts"], SIGNALS["noise"]], sampling_rate=RATE)
        for features, mask in zip(batch.input_features, batch.attention_mask):
            valid = features[mask == 1]
            assert valid.mean() == pytest.approx(0, abs=1e-4) and valid.std() == pytest.approx(1, abs=1e-3)


class TestInputs:
    def features(self, raw_speech, **kwargs):
        return PLAIN(raw_speech, sampling_rate=RATE, **kwargs).input_features

    @pytest.mark.parametrize(
        "form",
        [
            lambda x: x.tolist(),
            lambda x: tuple(x.tolist()),
            lambda x: list(x),
            lambda x: x.astype(np.float64),
            torch.from_numpy,
            lambda x: torch.from_numpy(x).double(),
            lambda x: [x],
            lambda x: (x,),
            lambda x: [x.tolist()],
            lambda x: [torch.from_numpy(x)],
            lambda x: x[None],
            lambda x: torch.from_numpy(x)[None],
            lambda x: np.repeat(x, 2)[::2],
            lambda x: x.astype(">f4"),
        ],
    )
    def test_forms_of_one_clip(self, form):
        features = self.features(form(noise(3000)))
        assert np.shape(features) == (1, 6, 128) and features[0].dtype == np.float32
        np.testing.assert_allclose(features[0], PLAIN.extract(noise(3000)), rtol=1e-5)

    @pytest.mark.parametrize(
        "form",
        [
            list,
            tuple,
            np.stack,
            lambda x: torch.from_numpy(np.stack(x)),
            lambda x: [torch.from_numpy(clip) for clip in x],
            lambda x: [clip.tolist() for clip in x],
            lambda x: [x[0], x[1].tolist(), torch.from_numpy(x[2])],
        ],
    )
    def test_forms_of_a_batch(self, form):
        clips = [noise(3000, seed) for seed in range(3)]
        features = self.features(form(clips))
        assert np.shape(features) == (3, 6, 128)
        np.testing.assert_allclose(features, [PLAIN.extract(clip) for clip in clips], rtol=1e-5)

    @pytest.mark.parametrize(("subtype", "dtype"), [("PCM_16", np.int16), ("PCM_32", np.int32)])
    def test_integer_pcm_is_scaled_as_soundfile_does(self, subtype, dtype):
        info = np.iinfo(dtype)
        pcm = np.random.default_rng(0).integers(info.min, info.max, 5000, dtype=dtype, endpoint=True)
        pcm[:2] = info.min, info.max
        file = io.BytesIO()
        soundfile.write(file, pcm, RATE, format="WAV", subtype=subtype)
        file.seek(0)
        floats, _ = soundfile.read(file, dtype="float32")
        np.testing.assert_array_equal(module.mono(pcm, 0), floats)
        np.testing.assert_array_equal(self.features(pcm), self.features(floats))

    @pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int64, bool, np.complex64])
    def test_other_types_are_refused(self, dtype):
        with pytest.raises(ValueError, match=r"clip 0 has type .*give floats in \[-1, 1\], or int16 or int32 PCM"):
            self.features(np.ones(2000, dtype))

    @pytest.mark.parametrize(
        "stereo",
        [
            np.zeros((2000, 2), np.float32),
            [np.zeros((2000, 2), np.float32)],
            [np.zeros((2, 2000), np.float32)],
            np.zeros((1, 2, 2000), np.float32),
            torch.zeros(2000, 2),
            [torch.zeros(2, 2000)],
            [[0.0, 0.0]] * 2000,
        ],
    )
    def test_stereo_is_refused(self, stereo):
        with pytest.raises(ValueError, match="down-mix"):
            self.features(stereo)

    def test_many_clips_are_no_stereo(self):
        assert np.shape(self.features(np.stack([noise(600)] * 70))) == (70, 2, 128)

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_not_finite_is_refused_with_clip_and_sample(self, value):
        bad = noise(3000)
        bad[[1234, 2000]] = value
        with pytest.raises(ValueError, match="clip 1 holds NaN or infinite samples, the first at sample 1234"):
            self.features([noise(2000), bad])
        with pytest.raises(ValueError, match="clip 0 holds NaN"):
            self.features(bad)

    @pytest.mark.parametrize("empty", [[], np.zeros(0, np.float32), [np.zeros(0, np.float32)], [[]], np.zeros((1, 0))])
    def test_empty_is_refused(self, empty):
        with pytest.raises(ValueError, match="clip 0 is empty"):
            self.features(empty)

    def test_the_empty_clip_of_a_batch_is_named(self):
        with pytest.raises(ValueError, match="clip 1 is empty"):
            self.features([noise(2000), noise(0)])

    def test_another_sampling_rate_is_refused(self):
        with pytest.raises(ValueError, match=r"made for 16000 Hz but the clips have 44100 Hz: resample"):
            PLAIN(noise(2000), sampling_rate=44100)

    def test_no_sampling_rate_is_warned_of(self, monkeypatch):
        warnings = []
        monkeypatch.setattr(module, "_warn_once", warnings.append)
        assert np.shape(PLAIN(noise(2000)).input_features) == (1, 4, 128)
        assert len(warnings) == 1 and "Pass sampling_rate" in warnings[0]

    def test_does_not_change_its_input(self):
        clips = [noise(3000), noise(2000)]
        PyResNetFeatureExtractor(normalization="utterance")(clips, sampling_rate=RATE)
        np.testing.assert_array_equal(clips[0], noise(3000))


class TestPadding:
    clips = [noise(5000), noise(3000, seed=1), noise(200, seed=2)]  # 10, 6 and 1 frames

    def call(self, **kwargs):
        return PLAIN(self.clips, sampling_rate=RATE, **kwargs)

    def lengths(self, batch):
        return [len(features) for features in batch.input_features]

    def test_to_the_longest_by_default(self):
        batch = self.call(return_tensors="np")
        assert batch.input_features.shape == (3, 10, 128) and batch.input_features.dtype == np.float32
        assert batch.attention_mask.dtype == np.int32
        np.testing.assert_array_equal(batch.attention_mask.sum(axis=1), [10, 6, 1])
        assert (batch.input_features[batch.attention_mask == 0] == 0).all()
        for row, mask, clip in zip(batch.input_features, batch.attention_mask, self.clips):
            np.testing.assert_array_equal(row[mask == 1], PLAIN.extract(clip))
            assert (np.diff(mask) <= 0).all()  # padding comes last

    def test_none(self):
        batch = self.call(padding=False)
        assert self.lengths(batch) == [10, 6, 1]
        assert [mask.tolist() for mask in batch.attention_mask] == [[1] * 10, [1] * 6, [1]]

    @pytest.mark.parametrize(
        ("kwargs", "shape", "valid"),
        [
            ({"padding": "max_length", "max_length": 12}, 12, [10, 6, 1]),
            ({"padding": "max_length", "max_length": 8, "truncation": True}, 8, [8, 6, 1]),
            ({"padding": "longest", "pad_to_multiple_of": 8}, 16, [10, 6, 1]),
            ({"padding": "max_length", "max_length": 9, "truncation": True, "pad_to_multiple_of": 4}, 12, [10, 6, 1]),
            ({"padding": True, "max_length": 4, "truncation": True}, 4, [4, 4, 1]),
        ],
    )
    def test_lengths(self, kwargs, shape, valid):
        batch = self.call(return_tensors="pt", **kwargs)
        assert batch.input_features.shape == (3, shape, 128)
        assert batch.attention_mask.sum(dim=1).tolist() == valid

    def test_truncation_keeps_the_beginning(self):
        batch = self.call(padding="max_length", max_length=4, truncation=True, return_tensors="np")
        np.testing.assert_array_equal(batch.input_features[0], PLAIN.extract(self.clips[0])[:4])

    def test_mask_on_request(self):
        assert "attention_mask" not in self.call(return_attention_mask=False)
        silent = PyResNetFeatureExtractor(normalization="none", return_attention_mask=False)
        assert "attention_mask" not in silent(self.clips, sampling_rate=RATE)
        assert "attention_mask" in silent(self.clips, sampling_rate=RATE, return_attention_mask=True)

    def test_tensor_types(self):
        batch = self.call(return_tensors="pt")
        assert batch.input_features.dtype == torch.float32 and batch.attention_mask.dtype == torch.int32
        assert isinstance(self.call(return_tensors="np").input_features, np.ndarray)

    def test_padding_value(self):
        extractor = PyResNetFeatureExtractor(normalization="none", padding_value=-7.0)
        batch = extractor(self.clips, sampling_rate=RATE, return_tensors="np")
        assert (batch.input_features[batch.attention_mask == 0] == -7).all()
        np.testing.assert_array_equal(batch.input_features[1, :6], PLAIN.extract(self.clips[1]))

    def test_pad_of_computed_features(self):
        batch = PLAIN.pad({"input_features": [PLAIN.extract(clip) for clip in self.clips]}, return_tensors="pt")
        np.testing.assert_array_equal(batch.input_features, self.call(return_tensors="np").input_features)


@st.composite
def signals(draw) -> np.ndarray:
    """Draw clips with much or little energy in every place of time and frequency, over a faint background."""
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    time = np.arange(draw(st.integers(1100, RATE))) / RATE
    frequency = draw(st.floats(20, 7900))
    kind = draw(st.sampled_from(["noise", "tone", "harmonics", "glide", "impulses", "step", "low-pass", "high-pass"]))
    match kind:
        case "tone":
            clip = np.sin(2 * np.pi * frequency * time)
        case "harmonics":
            clip = sum(np.sin(2 * np.pi * k * frequency / 20 * time) / k for k in range(1, 20))
        case "glide":
            clip = scipy.signal.chirp(time, frequency, time[-1], draw(st.floats(20, 7900)))
        case "impulses":
            clip = 1.0 * (rng.random(len(time)) < 5 / len(time))
        case "step":
            clip = rng.standard_normal(len(time)) * (time > draw(st.floats(0, 1)))
        case "noise":
            clip = rng.standard_normal(len(time))
        case _:
            sections = scipy.signal.butter(16, frequency, kind.replace("-", ""), fs=RATE, output="sos")
            clip = scipy.signal.sosfilt(sections, rng.standard_normal(len(time)))
    clip = clip + 10 ** draw(st.floats(-6, -1)) * rng.standard_normal(len(time))
    return (10 ** draw(st.floats(-5, 1)) * clip).astype(np.float32)


lengths = st.integers(1, 6000)
extractors = st.sampled_from(
    [
        PLAIN,
        LITERAL,
        PyResNetFeatureExtractor(normalization="utterance"),
        PyResNetFeatureExtractor(do_denoise=False, normalization="utterance", top_db=None),
        PyResNetFeatureExtractor(mean=[-50.0] * 128, std=[10.0] * 128),
        PyResNetFeatureExtractor(num_mel_bins=40, n_fft=400, hop_length=160, denoise_win_length=320),
    ]
)


class TestProperties:
    @given(clip=signals())
    def test_equals_librosa_to_a_hundredth_of_a_decibel(self, clip):
        assert_same_levels(PLAIN.mel_spectrogram(clip), librosa_mel(clip))

    @given(clip=signals(), gain=st.floats(0.1, 10))
    def test_decibels_equal_librosas(self, clip, gain):
        extractor = PyResNetFeatureExtractor(do_denoise=False, gain=gain, normalization="none")
        expected = librosa.power_to_db(librosa_mel(gain * clip.astype(np.float64)), ref=1.0, amin=1e-10, top_db=80.0)
        np.testing.assert_allclose(extractor.extract(clip), expected, rtol=0, atol=0.01)

    @given(extractor=extractors, length=lengths, exponent=st.floats(-40, 6), seed=st.integers(0, 9))
    def test_finite_and_of_the_right_shape(self, extractor, length, exponent, seed):
        batch = extractor(noise(length, seed, 10**exponent), sampling_rate=RATE, return_tensors="np")
        frames = 1 + length // extractor.hop_length
        assert batch.input_features.shape == (1, frames, extractor.num_mel_bins)
        assert batch.input_features.dtype == np.float32 and np.isfinite(batch.input_features).all()
        assert batch.attention_mask.tolist() == [[1] * frames]

    @given(extractor=extractors, lengths=st.lists(lengths, min_size=2, max_size=5))
    def test_a_batch_holds_what_each_clip_gives_alone(self, extractor, lengths):
        clips = [noise(length, seed) for seed, length in enumerate(lengths)]
        batch = extractor(clips, sampling_rate=RATE, return_tensors="np")
        for row, mask, clip in zip(batch.input_features, batch.attention_mask, clips):
            alone = extractor(clip, sampling_rate=RATE, return_tensors="np").input_features[0]
            np.testing.assert_array_equal(row[mask == 1], alone)
            assert (row[mask == 0] == 0).all()

    @given(length=lengths, factor=st.floats(1e-3, 1e3))
    def test_power_follows_the_level(self, length, factor):
        """Every step before the decibels is linear in the amplitude, spectral subtraction included."""
        quiet, loud = (LITERAL.extract((scale * noise(length)).astype(np.float32)) for scale in (1.0, factor))
        np.testing.assert_allclose(loud, factor**2 * quiet, rtol=1e-2, atol=1e-6 * loud.max())

    @given(length=st.integers(1, 20000), seed=st.integers(0, 9))
    def test_denoising_never_amplifies_a_frame_and_keeps_the_length(self, length, seed):
        waveform = noise(length, seed)
        restored = PLAIN.denoise(waveform)
        assert restored.shape == waveform.shape and restored.dtype == np.float32
        assert np.square(restored).sum() <= np.square(waveform).sum() * 1.001


class TestKeptMemory:
    def test_results_outlive_the_next_clip(self):
        clips = [noise(RATE, seed) for seed in range(3)]
        for method in (PLAIN.denoise, PLAIN.mel_spectrogram, PLAIN.extract):
            results = [method(clip) for clip in clips]
            for clip, result in zip(clips, results):
                np.testing.assert_array_equal(result, method(clip))

    def test_threads_do_not_share_it(self):
        clips = [noise(2 * RATE + 777 * seed, seed) for seed in range(16)]
        expected = [PLAIN.extract(clip) for clip in clips]
        with ThreadPoolExecutor(4) as pool:
            for _ in range(3):
                for result, alone in zip(pool.map(PLAIN.extract, clips), expected, strict=True):
                    np.testing.assert_array_equal(result, alone)

    def test_clips_too_long_to_be_kept(self, monkeypatch):
        clip = noise(10 * RATE)
        expected = PLAIN.extract(clip)
        monkeypatch.setattr(module, "_KEPT", 1000)
        monkeypatch.setattr(module, "_BLOCK", 7)
        np.testing.assert_allclose(PLAIN.extract(clip), expected, atol=1e-3)


class TestConfiguration:
    def test_round_trip(self, tmp_path):
        mean, std = np.linspace(-60, -20, 64), np.linspace(5, 20, 64)
        extractor = PyResNetFeatureExtractor(
            num_mel_bins=64, n_fft=512, hop_length=200, gain=1.5, top_db=None, mean=mean, std=std, f_max=7000.0
        )
        extractor.save_pretrained(tmp_path)
        loaded = PyResNetFeatureExtractor.from_pretrained(tmp_path)
        assert loaded.to_dict() == extractor.to_dict()
        assert loaded.mean == mean.tolist() and loaded.std == std.tolist() and loaded.top_db is None
        np.testing.assert_array_equal(
            loaded(noise(5000), sampling_rate=RATE).input_features,
            extractor(noise(5000), sampling_rate=RATE).input_features,
        )

    def test_the_file_holds_settings_alone(self, tmp_path):
        PyResNetFeatureExtractor(mean=np.zeros(128, np.float32), std=np.ones(128, np.float32)).save_pretrained(
            tmp_path
        )
        saved = json.loads((tmp_path / "preprocessor_config.json").read_text())
        assert saved["feature_extractor_type"] == "PyResNetFeatureExtractor"
        assert saved["mean"] == [0.0] * 128 and saved["sampling_rate"] == RATE and saved["feature_size"] == 128
        parameters = set(inspect.signature(module.PyResNetFrontEnd.__init__).parameters) - {"self", "kwargs"}
        parameters -= {"input_type"}  # of pictures alone
        ours = {"feature_extractor_type", "feature_size", "padding_side", "auto_map"}
        assert set(saved) - ours == parameters  # no window, no filters

    def test_auto_class_loads_it(self, tmp_path):
        from transformers import AutoFeatureExtractor

        PLAIN.save_pretrained(tmp_path)
        assert isinstance(AutoFeatureExtractor.from_pretrained(tmp_path), PyResNetFeatureExtractor)

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"normalization": "person"}, "'person' is not one of corpus, speaker, utterance, none"),
            ({"denoise_win_length": 1023}, "denoise_win_length=1023 must be even"),
            ({"denoise_win_length": 0}, "denoise_win_length=0 must be even"),
            ({"noise_fraction": 0.0}, "noise_fraction=0.0 must lie in"),
            ({"noise_fraction": 1.5}, "noise_fraction=1.5 must lie in"),
            ({"sampling_rate": 8000}, "f_max=8000.0 must lie between 0 and half the sampling rate of 8000 Hz"),
            ({"f_min": 4000.0, "f_max": 4000.0}, "f_min=4000.0 and f_max=4000.0"),
            ({"f_min": -1.0}, "f_min=-1.0"),
            ({"mean": [0.0] * 128}, "both mean and std, or neither"),
            ({"std": [1.0] * 128}, "both mean and std, or neither"),
            ({"mean": [0.0] * 40, "std": [1.0] * 40}, "mean has 40 entries for num_mel_bins=128"),
            ({"mean": [0.0] * 128, "std": [1.0] * 40}, "std has 40 entries for num_mel_bins=128"),
            ({"num_mel_bins": 0}, "num_mel_bins=0 must be at least 1"),
            ({"n_fft": 0}, "n_fft=0 must be at least 1"),
            ({"hop_length": 0}, "hop_length=0 must be at least 1"),
            ({"padding_side": "left"}, "padding_side must be 'right'"),
        ],
    )
    def test_what_cannot_be(self, settings, message):
        with pytest.raises(ValueError, match=message):
            PyResNetFeatureExtractor(**settings)
