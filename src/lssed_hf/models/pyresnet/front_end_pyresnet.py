# Copyright 2026 The lssed-hf authors. Licensed under the Apache License, Version 2.0.
"""Numerics of PyResNet's front end, by numpy and scipy alone; `PyResNetFeatureExtractor` is its class for users."""

import logging
import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import scipy.fft
import scipy.fftpack


if int(np.__version__.partition(".")[0]) < 2:
    raise ImportError(f"this front end needs pip install 'numpy>=2' (numpy {np.__version__} is there)")

NORMALIZATIONS = ("corpus", "speaker", "utterance", "none")
INPUT_TYPES = ("waveform", "spectrogram")
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # weights of red, green and blue in ITU-R BT.601
_LOUDEST = 64  # times full scale; recordings of floats stay far below
_BLOCK = 256  # frames transformed at once, which bounds the memory that long recordings take
_KEPT = 2**22  # bytes of an array that is kept for the next clip
_ARRAYS = ("window", "denoise_window", "mel_filters", "mel_blocks", "power_blocks")  # computed from the settings

_warn_once = cache(logging.getLogger(__name__).warning)


class PyResNetFrontEnd:
    """Front end of PyResNet without a base class: one of transformers, or the one of `NumpyFrontEnd`.

    The base class keeps the settings, turns them into a dictionary (`to_dict`), and pads clips to a batch (`pad`).
    `PyResNetFeatureExtractor` describes the settings.
    """

    model_input_names = ["input_features", "attention_mask"]

    def __init__(
        self,
        num_mel_bins: int = 128,
        sampling_rate: int = 16000,
        padding_value: float = 0.0,
        do_denoise: bool = True,
        denoise_win_length: int = 1024,
        noise_fraction: float = 0.1,
        over_subtraction: float = 2.0,
        spectral_floor: float = 0.05,
        resynthesize: bool = True,
        gain: float = 2.0,
        n_fft: int = 1024,
        hop_length: int = 512,
        f_min: float = 0.0,
        f_max: float = 8000.0,
        log_mel: bool = True,
        top_db: float | None = 80.0,
        speech_range: float | None = None,
        input_type: str = "waveform",
        normalization: str = "corpus",
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        return_attention_mask: bool = True,
        **kwargs,
    ):
        feature_size = kwargs.pop("feature_size", num_mel_bins)  # saved by transformers
        if feature_size != num_mel_bins:
            raise ValueError(
                f"feature_size={feature_size} and num_mel_bins={num_mel_bins} do not fit each other: give the latter"
            )
        if not kwargs.pop("do_normalize", True):
            raise ValueError("do_normalize=False: say normalization='none'")
        super().__init__(
            feature_size=num_mel_bins,
            sampling_rate=sampling_rate,
            padding_value=padding_value,
            return_attention_mask=return_attention_mask,
            **kwargs,
        )
        self.num_mel_bins = num_mel_bins
        self.do_denoise = do_denoise
        self.denoise_win_length = denoise_win_length
        self.noise_fraction = noise_fraction
        self.over_subtraction = over_subtraction
        self.spectral_floor = spectral_floor
        self.resynthesize = resynthesize
        self.gain = gain
        self.n_fft = n_fft
        self.hop_length = hop_length
        self.f_min = f_min
        self.f_max = f_max
        self.log_mel = log_mel
        self.top_db = top_db
        self.speech_range = speech_range
        self.input_type = input_type
        self.normalization = normalization
        self.mean = None if mean is None else [float(value) for value in mean]
        self.std = None if std is None else [float(value) for value in std]
        self._check_settings()
        self._make_arrays()

    def _check_settings(self) -> None:
        if self.padding_side != "right":
            raise ValueError("padding_side must be 'right': PyResNet takes a clip to begin at its first frame")
        if self.normalization not in NORMALIZATIONS:
            raise ValueError(f"normalization={self.normalization!r} is not one of {', '.join(NORMALIZATIONS)}")
        if self.input_type not in INPUT_TYPES:
            raise ValueError(f"input_type={self.input_type!r} is not one of {', '.join(INPUT_TYPES)}")
        for name in ("num_mel_bins", "n_fft", "hop_length"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1")
        if self.denoise_win_length < 2 or self.denoise_win_length % 2:
            raise ValueError(f"denoise_win_length={self.denoise_win_length} must be even: frames overlap by half")
        if not 0 < self.noise_fraction <= 1:
            raise ValueError(f"noise_fraction={self.noise_fraction} must lie in (0, 1]")
        if not 0 <= self.f_min < self.f_max <= self.sampling_rate / 2:
            raise ValueError(
                f"f_min={self.f_min} and f_max={self.f_max} must lie between 0 and half the sampling rate of "
                f"{self.sampling_rate} Hz"
            )
        if (self.mean is None) != (self.std is None):
            raise ValueError("give both mean and std, or neither")
        for name in ("mean", "std"):
            values = getattr(self, name)
            if values is not None and len(values) != self.num_mel_bins:
                raise ValueError(f"{name} has {len(values)} entries for num_mel_bins={self.num_mel_bins}")

    def _make_arrays(self) -> None:
        # Periodic; scipy.signal has them too, and takes half a second to import.
        self.window = np.hanning(self.n_fft + 1)[:-1].astype(np.float32)
        self.denoise_window = np.hanning(self.denoise_win_length + 1)[:-1].astype(np.float32)
        self.mel_filters = slaney_filters(
            self.n_fft // 2 + 1, self.num_mel_bins, self.f_min, self.f_max, self.sampling_rate
        )
        # One row for each real and each imaginary part, in scipy.fftpack.rfft's order: the product adds their squares.
        self.mel_blocks = list(_dense_blocks(self.mel_filters[(np.arange(self.n_fft) + 1) // 2]))
        self.power_blocks = list(_dense_blocks(self.mel_filters))

    def to_dict(self) -> dict:
        """Return the settings, without arrays that are computed from them."""
        settings = {key: value for key, value in super().to_dict().items() if key not in _ARRAYS}
        # Enrolled speakers and cached features belong to settings, which for recordings stay as they have always been.
        if settings.get("input_type") == "waveform":
            del settings["input_type"]
        return settings

    def denoise(self, waveform: np.ndarray, noise: np.ndarray | None = None) -> np.ndarray:
        """Subtract the noise spectrum from each frame, and resynthesise by overlap-add.

        The noise magnitude spectrum is the average over `noise`, a clip of noise alone, or over the quietest
        `noise_fraction` of the frames that are not digital silence. `over_subtraction` times this spectrum is
        subtracted from each frame's magnitude, down to `spectral_floor` times that magnitude. The phase stays.

        Source: Boll, "Suppression of acoustic noise in speech using spectral subtraction", IEEE TASSP 27(2), 1979;
        over-subtraction and floor after Berouti, Schwartz and Makhoul, ICASSP 1979.

        Args:
            waveform: Clip, float32 of shape (samples,).
            noise: Noise without speech at the same sampling rate, float32 of shape (samples,).

        Returns:
            Denoised clip, float32 of shape (samples,).
        """
        return self._denoise(waveform, noise).copy()

    def _denoise(self, waveform: np.ndarray, noise: np.ndarray | None = None) -> np.ndarray:
        """Do as `denoise`, in memory that the thread's next clip overwrites."""
        length, hop = self.denoise_win_length, self.denoise_win_length // 2
        # One hop of zeros in front and behind, so that every sample lies under two windows.
        frames = _frames(_zero_padded("padded", waveform, hop, hop + -len(waveform) % hop), length, hop)
        blocks = list(_blocks(len(frames)))
        spectrum = _scratch("spectrum", (len(frames), hop + 1), np.complex64)
        for block in blocks:
            spectrum[block] = self._noisy_spectrum(frames[block])
        magnitude = np.abs(spectrum, out=_scratch("magnitude", spectrum.shape, np.float32))

        if noise is None:
            noise_magnitude = self._noise_magnitude(magnitude)
            if noise_magnitude is None:
                return waveform
        else:
            noise = np.pad(noise, (0, max(0, length - len(noise))))
            noise_magnitude = np.abs(self._noisy_spectrum(_frames(noise, length, hop))).mean(axis=0)
        spectrum *= self._gains(magnitude, noise_magnitude)
        restored = _scratch("restored", (len(frames) + 1, hop), np.float32)
        restored[0] = 0
        for block in blocks:  # overlap-add; the two halves of the window add up to 1
            clean = _scratch("clean", (len(frames[block]), length), np.float32)
            np.fft.irfft(spectrum[block], n=length, axis=1, out=clean)
            restored[block.start + 1 : block.stop + 1] = clean[:, hop:]
            restored[block] += clean[:, :hop]
        return restored.reshape(-1)[hop : hop + len(waveform)]

    def _noise_magnitude(self, magnitude: np.ndarray) -> np.ndarray | None:
        """Return the mean (bins,) over the quietest frames of (frames, bins), `None` for digital silence."""
        energy = np.vecdot(magnitude, magnitude)
        audible = np.flatnonzero(energy > 0)
        if len(audible) == 0:
            return None
        count = max(1, round(self.noise_fraction * len(audible)))
        return magnitude[audible[np.argpartition(energy[audible], count - 1)[:count]]].mean(axis=0)

    def _gains(self, magnitude: np.ndarray, noise_magnitude: np.ndarray) -> np.ndarray:
        """Turn magnitudes (frames, bins) in place into the factors that subtract the noise from them."""
        with np.errstate(divide="ignore", invalid="ignore"):
            np.divide(self.over_subtraction * noise_magnitude, magnitude, out=magnitude)
        np.subtract(1, magnitude, out=magnitude)
        # fmax also turns the 0/0 of an empty bin into the floor. It takes twice as long with a scalar.
        return np.fmax(magnitude, np.full(magnitude.shape[1], self.spectral_floor, np.float32), out=magnitude)

    def _noisy_spectrum(self, frames: np.ndarray) -> np.ndarray:
        windowed = np.multiply(frames, self.denoise_window, out=_scratch("clean", frames.shape, np.float32))
        return scipy.fft.rfft(windowed, axis=1)  # numpy's takes twice as long in float32

    def mel_spectrogram(self, waveform: np.ndarray) -> np.ndarray:
        """Return the mel power spectrogram (paper, section 2.3), float32 of shape (frames, num_mel_bins).

        Equals `librosa.feature.melspectrogram(y=waveform, sr=sampling_rate, n_fft=n_fft, hop_length=hop_length,
        n_mels=num_mel_bins)` in float64, transposed, to 0.01 dB within 80 dB of the clip's peak. Further below, the
        rounding of float32 shows.
        """
        frames = self._mel_frames(waveform)
        mel = np.empty((len(frames), self.num_mel_bins), dtype=np.float32)
        for rows in _blocks(len(frames)):
            parts = scipy.fftpack.rfft(
                self._windowed(frames[rows]), overwrite_x=True
            )  # scipy.fft cannot do it in place
            np.multiply(parts, parts, out=parts)
            for columns, filters, weights in self.mel_blocks:
                np.matmul(parts[:, columns], weights, out=mel[rows, filters])
        return mel

    def _denoised_mel_spectrogram(self, waveform: np.ndarray) -> np.ndarray:
        """Return the mel power spectrogram after spectral subtraction in its own frames."""
        frames = self._mel_frames(waveform)
        magnitude = _scratch("magnitude", (len(frames), self.n_fft // 2 + 1), np.float32)
        for rows in _blocks(len(frames)):
            np.abs(scipy.fft.rfft(self._windowed(frames[rows]), axis=1), out=magnitude[rows])
        power = np.square(magnitude, out=_scratch("power", magnitude.shape, np.float32))
        noise_magnitude = self._noise_magnitude(magnitude)
        if noise_magnitude is not None:
            gains = self._gains(magnitude, noise_magnitude)
            power *= np.square(gains, out=gains)
        mel = np.empty((len(frames), self.num_mel_bins), dtype=np.float32)
        for bins, filters, weights in self.power_blocks:
            np.matmul(power[:, bins], weights, out=mel[:, filters])
        return mel

    def _mel_frames(self, waveform: np.ndarray) -> np.ndarray:
        """Return the centred frames of a clip, (frames, n_fft), in memory of `_scratch`."""
        padded = _zero_padded("padded", waveform, self.n_fft // 2, self.n_fft // 2)
        return _frames(padded, self.n_fft, self.hop_length)

    def _windowed(self, frames: np.ndarray) -> np.ndarray:
        return np.multiply(frames, self.window, out=_scratch("windowed", frames.shape, np.float32))

    def extract(self, waveform: np.ndarray) -> np.ndarray:
        """Turn a clip (samples,) into features (frames, num_mel_bins) before normalisation, float32 both.

        With `input_type="spectrogram"` the clip is a picture, (channels, num_mel_bins, frames) or (num_mel_bins,
        frames).
        """
        if self.input_type == "spectrogram":
            return self._frames_of_picture(waveform)
        if self.do_denoise and not self.resynthesize:
            features = self._denoised_mel_spectrogram(waveform)
        else:
            features = self.mel_spectrogram(self._denoise(waveform) if self.do_denoise else waveform)
        features *= np.float32(self.gain**2)
        if self.log_mel:
            np.maximum(features, np.float32(1e-10), out=features)
            np.log(features, out=features)  # numpy has no fast log10
            features *= np.float32(10 / math.log(10))
            if self.top_db is not None:
                np.maximum(features, features.max() - np.float32(self.top_db), out=features)
            if self.speech_range is not None:
                features = _level_speech(features, self.speech_range)
        return features

    def _frames_of_picture(self, picture: np.ndarray) -> np.ndarray:
        """Return the columns of a picture as frames: its values, of red, green and blue the luma (ITU-R BT.601)."""
        picture = np.asarray(picture, np.float32)
        channels = picture[None] if picture.ndim == 2 else picture
        if channels.ndim != 3 or channels.shape[0] not in (1, 3):
            raise ValueError(
                f"values of shape {picture.shape} where this model takes spectrograms of the shape (1 or 3, "
                f"{self.num_mel_bins}, frames), and no waveforms"
            )
        if channels.shape[1] != self.num_mel_bins:
            raise ValueError(f"a spectrogram of {channels.shape[1]} rows, where the others have {self.num_mel_bins}")
        grey = channels[0] if len(channels) == 1 else np.tensordot(_LUMA, channels, axes=1)
        return np.ascontiguousarray(grey.T)

    def normalize(self, features: np.ndarray) -> np.ndarray:
        """Normalise features (frames, num_mel_bins) by the method that `normalization` names."""
        if self.normalization == "utterance":
            return (features - features.mean()) / max(float(features.std()), 1e-5)
        by_statistics = self.normalization in ("corpus", "speaker")
        if by_statistics and self.mean is not None:
            return (features - np.asarray(self.mean, np.float32)) / np.asarray(self.std, np.float32)
        if by_statistics:
            _warn_once(
                "PyResNetFeatureExtractor has no corpus statistics yet and leaves features as they are: call "
                "lssed_hf.fit_normalization(feature_extractor, train_dataset), or set normalization='utterance'."
            )
        return features

    def __repr__(self) -> str:
        # Without the hundreds of statistics, which the base class would print.
        names = ("sampling_rate", "num_mel_bins", "n_fft", "hop_length", "do_denoise", "gain", "normalization")
        settings = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__name__}({settings}, statistics={'none' if self.mean is None else 'fitted'})"

    def __call__(
        self,
        raw_speech: np.ndarray | Sequence[float] | Sequence[np.ndarray] | Sequence[Sequence[float]],
        sampling_rate: int | None = None,
        padding: bool | str = True,
        max_length: int | None = None,
        truncation: bool = False,
        pad_to_multiple_of: int | None = None,
        return_attention_mask: bool | None = None,
        return_tensors: str | None = None,
        **kwargs,
    ) -> Mapping:
        """Turn one clip or a batch of clips into normalised log-mel frames.

        Args:
            raw_speech:
                Mono audio in [-1, 1]: a 1-D array, tensor or list of floats, or a list (or 2-D array) of them for a
                batch. Lengths may differ. `int16` and `int32` PCM is scaled to that range.
            sampling_rate (`int`, *optional*):
                Sampling rate of the clips in Hz, for a check against the extractor's.
            padding: See [`SequenceFeatureExtractor.pad`].
            max_length: Frames, see there.
            truncation: See there.
            pad_to_multiple_of: Frames, see there.
            return_attention_mask: See there.
            return_tensors: See there.
            **kwargs: Ignored.

        Returns:
            `input_features` float32 (batch, frames, num_mel_bins) and `attention_mask` int32 (batch, frames); with
            `padding=False` lists of arrays, unless `return_tensors` asks for others.

        Raises:
            ValueError: The sampling rate is another one, or a clip has several channels, integers that are not PCM, no
                samples, or NaN or infinite ones. The message names the clip's index in the batch.
        """
        batch = self.pad(
            {"input_features": self._features(raw_speech, sampling_rate)},
            padding=padding,
            max_length=max_length,
            truncation=truncation,
            pad_to_multiple_of=pad_to_multiple_of,
            return_attention_mask=return_attention_mask,
            return_tensors=return_tensors,
        )
        if return_tensors is None and padding in (False, "do_not_pad"):  # an array of arrays is nothing for datasets
            batch.update({name: list(values) for name, values in batch.items()})
        return batch

    def _features(self, raw_speech, sampling_rate: int | None) -> list[np.ndarray]:
        if self.input_type == "spectrogram":
            one = not isinstance(raw_speech, (list, tuple)) and np.ndim(raw_speech) < 4
            return [self.normalize(self.extract(picture)) for picture in ([raw_speech] if one else raw_speech)]
        clips = self._clips(raw_speech, sampling_rate, mono)
        return [self.normalize(self.extract(clip)) for clip in clips]

    def _clips(self, raw_speech, sampling_rate: int | None, check: Callable) -> list:
        """Take one clip or a batch of clips apart, and return a list of what `check` makes of each and its number."""
        if sampling_rate is None:
            _warn_once(
                f"Pass sampling_rate to {type(self).__name__}: at another rate than {self.sampling_rate} Hz the "
                "features would be wrong without any error."
            )
        elif sampling_rate != self.sampling_rate:
            raise ValueError(
                f"{type(self).__name__} was made for {self.sampling_rate} Hz but the clips have {sampling_rate} Hz: "
                f"resample them first, e.g. torchaudio.functional.resample(x, {sampling_rate}, {self.sampling_rate})"
            )
        batch = isinstance(raw_speech, (list, tuple)) and len(raw_speech) > 0 and np.ndim(raw_speech[0]) > 0
        batch = batch or (not isinstance(raw_speech, (list, tuple)) and np.ndim(raw_speech) == 2)
        clips = raw_speech if batch else [raw_speech]
        if batch and np.ndim(clips[0]) == 1 and len(clips) > 64 and len(clips[0]) <= 8:
            raise ValueError(
                f"an array of {len(clips)} rows of {len(clips[0])} samples looks like one clip of shape (samples, "
                "channels): down-mix it first, e.g. x.mean(axis=1)"
            )
        return [check(clip, index) for index, clip in enumerate(clips)]


class _NumpyExtractor:
    """Base class in place of transformers' `SequenceFeatureExtractor`."""

    def __init__(self, **settings):
        self.padding_side = "right"
        vars(self).update(settings)

    def to_dict(self) -> dict[str, Any]:
        """Return the settings."""
        return dict(vars(self))

    def pad(self, batch: Mapping[str, list[np.ndarray]], **settings) -> dict[str, np.ndarray]:
        """Pad the features of clips to the longest one.

        Args:
            batch: `input_features`, a list of float32 (frames, num_mel_bins).
            **settings: Ignored.

        Returns:
            `input_features` float32 (batch, frames, num_mel_bins) and `attention_mask` int32 (batch, frames).
        """
        clips = batch["input_features"]
        lengths = [len(clip) for clip in clips]
        features = np.full((len(clips), max(lengths), clips[0].shape[1]), self.padding_value, np.float32)
        for row, clip in zip(features, clips, strict=True):
            row[: len(clip)] = clip
        mask = np.arange(max(lengths)) < np.array(lengths)[:, None]
        return {"input_features": features, "attention_mask": mask.astype(np.int32)}


class NumpyFrontEnd(PyResNetFrontEnd, _NumpyExtractor):
    """Front end of PyResNet without transformers; see `PyResNetFeatureExtractor`. Batches are padded numpy arrays."""


def slaney_filters(num_bins: int, num_filters: int, f_min: float, f_max: float, sampling_rate: int) -> np.ndarray:
    """Return triangular mel filters with Slaney's scale and area normalisation, float32 (num_bins, num_filters)."""
    edges = _mel_to_hertz(np.linspace(*_hertz_to_mel(np.array([f_min, f_max])), num_filters + 2))
    slopes = edges[None, :] - np.linspace(0, sampling_rate // 2, num_bins)[:, None]
    widths = np.diff(edges)
    filters = np.maximum(0, np.minimum(-slopes[:, :-2] / widths[:-1], slopes[:, 2:] / widths[1:]))
    return (filters * (2.0 / (edges[2:] - edges[:-2]))).astype(np.float32)


def _hertz_to_mel(hertz: np.ndarray) -> np.ndarray:
    return np.where(hertz < 1000, 3 * hertz / 200, 15 + np.log(np.maximum(hertz, 1000) / 1000) * 27 / np.log(6.4))


def _mel_to_hertz(mels: np.ndarray) -> np.ndarray:
    return np.where(mels < 15, 200 * mels / 3, 1000 * np.exp(np.log(6.4) / 27 * (mels - 15)))


def _level_speech(features: np.ndarray, speech_range: float) -> np.ndarray:
    """Return the frames of speech in decibels around their mean level, with one frame before and behind them."""
    levels = features.mean(axis=1)
    speech = levels >= np.quantile(levels, 0.95) - speech_range
    first, last = np.flatnonzero(speech)[[0, -1]]
    return features[max(0, first - 1) : last + 2] - levels[speech].mean()


class _Kept(threading.local):
    """Memory by use, kept from clip to clip: fresh pages cost more than the arithmetic on them."""

    def __init__(self):
        self.buffers: dict[str, np.ndarray] = {}


_kept = _Kept()


def _scratch(use: str, shape: tuple[int, int] | int, dtype: type) -> np.ndarray:
    """Return an array with arbitrary content, in memory that the thread's next call for the same use overwrites."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if size > _KEPT:
        return np.empty(shape, dtype)
    buffer = _kept.buffers.get(use)
    if buffer is None or len(buffer) < size:
        buffer = _kept.buffers[use] = np.empty(size, np.uint8)
    return buffer[:size].view(dtype).reshape(shape)


def _zero_padded(use: str, signal: np.ndarray, before: int, behind: int) -> np.ndarray:
    """Return a signal with zeros before and behind it, in memory of `_scratch`."""
    padded = _scratch(use, before + len(signal) + behind, np.float32)
    padded[:before] = padded[before + len(signal) :] = 0
    padded[before : before + len(signal)] = signal
    return padded


def _blocks(count: int) -> Iterator[slice]:
    return (slice(start, min(start + _BLOCK, count)) for start in range(0, count, _BLOCK))


def _frames(signal: np.ndarray, length: int, hop: int) -> np.ndarray:
    """Return a view of (samples,) as overlapping frames (1 + (samples - length) // hop, length)."""
    shape = (1 + (len(signal) - length) // hop, length)
    return np.lib.stride_tricks.as_strided(signal, shape, (hop * signal.itemsize, signal.itemsize), writeable=False)


def _dense_blocks(filters: np.ndarray, size: int = 16) -> Iterator[tuple[slice, slice, np.ndarray]]:
    """Cut triangular filters (rows, filters) of growing frequency into blocks without most of the zeros.

    Yields:
        Rows that a block sees, its filters, and the weights between them.
    """
    for start in range(0, filters.shape[1], size):
        block = filters[:, start : start + size]
        rows = np.flatnonzero(block.any(axis=1))
        rows = slice(rows[0], rows[-1] + 1) if len(rows) else slice(0, 0)
        yield rows, slice(start, start + size), np.ascontiguousarray(block[rows])


def mono(clip, index: int) -> np.ndarray:
    """Check one clip and return it as float32 (samples,)."""
    given, clip = clip, np.asarray(clip)
    if clip.dtype.kind in "OUS":
        raise ValueError(
            f"clip {index} is of type {type(given).__name__}, but its samples are expected: those of a file from "
            "lssed_hf.load_audio(path), those of a row of datasets under row['audio']['array']"
        )
    if clip.ndim != 1:
        raise ValueError(
            f"clip {index} has shape {clip.shape}, but mono (samples,) is expected: down-mix stereo first, e.g. "
            "x.mean(axis=channel_axis)"
        )
    if len(clip) == 0:
        raise ValueError(f"clip {index} is empty (0 samples)")
    if clip.dtype in (np.int16, np.int32):
        return clip.astype(np.float32) / -float(np.iinfo(clip.dtype).min)
    if not np.issubdtype(clip.dtype, np.floating):
        raise ValueError(
            f"clip {index} has type {clip.dtype}: give floats in [-1, 1], or int16 or int32 PCM, which is scaled"
        )
    clip = clip.astype(np.float32, copy=False)
    finite = np.isfinite(clip)
    if not finite.all():
        first = int(np.argmin(finite))
        raise ValueError(f"clip {index} holds NaN or infinite samples, the first at sample {first}: repair or drop it")
    if max(clip.max(), -clip.min()) > _LOUDEST:
        _warn_once(
            f"Clips reach beyond {_LOUDEST} times full scale, as 16-bit samples that were turned into floats. Divide "
            "those by 32768: features depend on the scale."
        )
    return clip


__all__ = ["INPUT_TYPES", "NORMALIZATIONS", "NumpyFrontEnd", "PyResNetFrontEnd", "mono", "slaney_filters"]
