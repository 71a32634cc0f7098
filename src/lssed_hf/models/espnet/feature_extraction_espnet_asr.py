# Copyright 2026 The lssed-hf authors. Licensed under the Apache License, Version 2.0.
"""Front end of ESPnet-style recognisers: log-mel filter banks and mean/variance normalisation."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.fft
from transformers import BatchFeature, SequenceFeatureExtractor
from transformers.audio_utils import mel_filter_bank
from transformers.utils import TensorType, logging


logger = logging.get_logger(__name__)

NORMALIZATIONS = ("global_mvn", "speaker", "utterance_mvn", "none")
WINDOWS = ("hann", "hamming", "blackman", "bartlett")
_LOUDEST = 64  # times full scale; recordings of floats stay far below


class EspnetAsrFeatureExtractor(SequenceFeatureExtractor):
    r"""Default front end of ESPnet2 for one channel, with the normalisation that ESPnet keeps in its model.

    It computes a short-time Fourier transform, mel powers and their natural logarithm. ESPnet's own defaults are
    `win_length=None, hop_length=128, normalization="utterance_mvn"`. Its LibriSpeech recipes have a window of 512
    samples and a hop of 160.

    ```python
    >>> import numpy as np
    >>> from lssed_hf import EspnetAsrFeatureExtractor

    >>> second = np.zeros(16000, dtype=np.float32)
    >>> extractor = EspnetAsrFeatureExtractor(normalization="utterance_mvn")
    >>> extractor(second, sampling_rate=16000, return_tensors="np").input_features.shape
    (1, 101, 80)
    ```

    Args:
        num_mel_bins (`int`, *optional*, defaults to 80):
            Mel filters, which is also `feature_size`.
        sampling_rate (`int`, *optional*, defaults to 16000):
            Sampling rate in Hz. Clips at another rate are refused.
        padding_value (`float`, *optional*, defaults to 0.0):
            Value of padded frames.
        n_fft (`int`, *optional*, defaults to 512):
            Length of the transform in samples.
        win_length (`int`, *optional*, defaults to 400):
            Length of the window (25 ms) in samples, at most `n_fft`, in which it is centred. `None` means `n_fft`.
        hop_length (`int`, *optional*, defaults to 160):
            Window shift (10 ms) in samples. A clip of `n` samples has `1 + n // hop_length` centred frames. Both ends
            are mirrored.
        window_function (`str`, *optional*, defaults to `"hann"`):
            Window: `"hann"`, `"hamming"`, `"blackman"` or `"bartlett"`, periodic. `None` means a rectangle.
        f_min, f_max (`float`, *optional*, defaults to 0.0 and half the sampling rate):
            Range of the mel filters in Hz.
        mel_scale (`str`, *optional*, defaults to `"slaney"`):
            Mel scale, `"slaney"` or `"htk"`. In both, areas are normalised after Slaney.
        normalization (`str`, *optional*, defaults to `"global_mvn"`):
            Normalisation:

            - `"global_mvn"`: subtract `mean` and divide by `std`, which `lssed_hf.fit_normalization` takes from a
              Dataset. Without them values stay as they are, with a warning.
            - `"speaker"`: the same, for a model that was trained with each speaker's own statistics. `mean` and `std`
              are the corpus's, for unknown speakers.
            - `"utterance_mvn"`: subtract each clip's own mean per bin.
            - `"none"`: leave values as they are.
        norm_vars (`bool`, *optional*, defaults to `False`):
            Whether `"utterance_mvn"` divides by each clip's own deviation as well.
        mean, std (`list[float]` of length `num_mel_bins`, *optional*):
            Statistics of the corpus.
        pad_waveforms (`bool`, *optional*, defaults to `False`):
            Whether clips of a batch are filled up with zeros before the transform, as in ESPnet, instead of behind
            it. The last frames of a shorter clip then differ from those of the clip alone. Under `"utterance_mvn"`
            padded frames hold minus the clip's mean and count in its deviation. `__call__` heeds it, `pad` cannot.
        return_attention_mask (`bool`, *optional*, defaults to `True`):
            Whether `__call__` and `pad` return `attention_mask` by default.
    """

    _auto_class = "AutoFeatureExtractor"  # saving copies this code beside the weights

    model_input_names = ["input_features", "attention_mask"]

    def __init__(
        self,
        num_mel_bins: int = 80,
        sampling_rate: int = 16000,
        padding_value: float = 0.0,
        n_fft: int = 512,
        win_length: int | None = 400,
        hop_length: int = 160,
        window_function: str | None = "hann",
        f_min: float = 0.0,
        f_max: float | None = None,
        mel_scale: str = "slaney",
        normalization: str = "global_mvn",
        norm_vars: bool = False,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        pad_waveforms: bool = False,
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
        self.n_fft = n_fft
        self.win_length = n_fft if win_length is None else win_length
        self.hop_length = hop_length
        self.window_function = window_function
        self.f_min = f_min
        self.f_max = sampling_rate / 2 if f_max is None else f_max
        self.mel_scale = mel_scale
        self.normalization = normalization
        self.norm_vars = norm_vars
        self.mean = None if mean is None else [float(value) for value in mean]
        self.std = None if std is None else [float(value) for value in std]
        self.pad_waveforms = pad_waveforms
        self._check_settings()
        self._make_arrays()

    @classmethod
    def from_dict(cls, feature_extractor_dict: dict[str, Any], **kwargs):
        """Build an extractor from its settings; see [`FeatureExtractionMixin.from_dict`]."""
        # Keywords of from_pretrained have an effect only where the file has them.
        settings = {"do_normalize": True, **feature_extractor_dict}
        if "num_mel_bins" in kwargs and "feature_size" not in kwargs:
            settings.pop("feature_size", None)  # it follows
        return super().from_dict(settings, **kwargs)

    def _check_settings(self) -> None:
        if self.padding_side != "right":
            raise ValueError("padding_side must be 'right': the model takes a clip to begin at its first frame")
        for name, known in (
            ("normalization", NORMALIZATIONS),
            ("window_function", (*WINDOWS, None)),
            ("mel_scale", ("slaney", "htk")),
        ):
            if getattr(self, name) not in known:
                raise ValueError(f"{name}={getattr(self, name)!r} is not one of {', '.join(map(str, known))}")
        for name in ("num_mel_bins", "n_fft", "hop_length"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1")
        if not 1 <= self.win_length <= self.n_fft:
            raise ValueError(f"win_length={self.win_length} must lie between 1 and n_fft={self.n_fft}")
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
        import scipy.signal  # half a second, which nobody else has to wait for

        shape = "boxcar" if self.window_function is None else self.window_function
        left = (self.n_fft - self.win_length) // 2
        # Periodic; to_dict leaves it out.
        window = scipy.signal.get_window(shape, self.win_length)
        self.window = np.pad(window, (left, self.n_fft - self.win_length - left))
        self.mel_filters = mel_filter_bank(
            num_frequency_bins=self.n_fft // 2 + 1,
            num_mel_filters=self.num_mel_bins,
            min_frequency=self.f_min,
            max_frequency=self.f_max,
            sampling_rate=self.sampling_rate,
            norm="slaney",
            mel_scale=self.mel_scale,
        ).astype(np.float32)

    def extract(self, waveform: np.ndarray, length: int | None = None) -> np.ndarray:
        """Turn a clip into the natural logarithm of its mel powers, which are at least 1e-10.

        The result equals that of ESPnet2's `DefaultFrontend`.

        Args:
            waveform: Clip, float32 of shape (samples,).
            length: Samples that the clip is filled up to with zeros before the transform. The number of frames stays.

        Returns:
            Features before normalisation, float32 of shape (frames, num_mel_bins).
        """
        frames = 1 + len(waveform) // self.hop_length
        reach = self.n_fft // 2
        # Both ends are mirrored, so the clip has to reach as far as the mirror does.
        waveform = np.pad(waveform, (0, max(length or 0, len(waveform), reach + 1) - len(waveform)))
        # The last frame looks `reach` samples past its centre, and nothing behind it is needed.
        mirrored = np.pad(waveform, reach, mode="reflect")[: (frames - 1) * self.hop_length + self.n_fft]
        frames_of_samples = np.lib.stride_tricks.sliding_window_view(mirrored, self.n_fft)[:: self.hop_length]
        # The window is float64, so the transform is too: in float32, quiet bins drown in rounding.
        spectrum = scipy.fft.rfft(frames_of_samples * self.window, axis=1)
        power = (np.square(spectrum.real) + np.square(spectrum.imag)).astype(np.float32)
        return np.log(np.maximum(power @ self.mel_filters, np.float32(1e-10)))

    def normalize(self, features: np.ndarray) -> np.ndarray:
        """Normalise features (frames, num_mel_bins) by the method that `normalization` names."""
        if self.normalization == "utterance_mvn":
            mean, std = self._clip_statistics(features)
            return (features - mean) / std
        by_statistics = self.normalization in ("global_mvn", "speaker")
        if by_statistics and self.mean is not None:
            return (features - np.asarray(self.mean, np.float32)) / np.asarray(self.std, np.float32)
        if by_statistics:
            logger.warning_once(
                "EspnetAsrFeatureExtractor has no statistics yet and leaves features as they are: call "
                "lssed_hf.fit_normalization(feature_extractor, train_dataset), or set normalization='utterance_mvn'."
            )
        return features

    def _clip_statistics(self, features: np.ndarray, padded: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and deviation per bin. ESPnet counts `padded` frames in the deviation, as minus the mean."""
        # In double precision, so that the mean of equal values is that value.
        mean = features.mean(axis=0, dtype=np.float64).astype(np.float32)
        if not self.norm_vars:
            return mean, np.ones_like(mean)
        squares = np.square(features - mean).sum(axis=0) + padded * np.square(mean)
        return mean, np.maximum(np.sqrt(squares / len(features)), np.float32(1e-20))

    def __repr__(self) -> str:
        # Without the hundreds of statistics, which the base class would print.
        names = ("sampling_rate", "num_mel_bins", "n_fft", "win_length", "hop_length", "normalization")
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
        return_tensors: str | TensorType | None = None,
        **kwargs,
    ) -> BatchFeature:
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
        waveforms = self._waveforms(raw_speech, sampling_rate)
        length = max(map(len, waveforms)) if self.pad_waveforms else None
        features = [self.extract(waveform, length) for waveform in waveforms]
        to_the_letter = self.pad_waveforms and self.normalization == "utterance_mvn"
        normalized = features if to_the_letter else [self.normalize(frames) for frames in features]
        batch = self.pad(
            BatchFeature({"input_features": normalized}),
            padding=padding,
            max_length=max_length,
            truncation=truncation,
            pad_to_multiple_of=pad_to_multiple_of,
            return_attention_mask=return_attention_mask,
        )
        if to_the_letter:
            # ESPnet normalises the padded frames, which are 0, as well.
            longest = max(map(len, features))
            for index, frames in enumerate(features):
                mean, std = self._clip_statistics(frames, padded=longest - len(frames))
                batch["input_features"][index] = (np.asarray(batch["input_features"][index]) - mean) / std
        if return_tensors is None and padding in (False, "do_not_pad"):  # an array of arrays is nothing for datasets
            batch.update({name: list(values) for name, values in batch.items()})
        return batch.convert_to_tensors(return_tensors)

    def _waveforms(self, raw_speech, sampling_rate: int | None) -> list[np.ndarray]:
        """Check one clip or a batch of clips, and return a list of float32 (samples,)."""
        if sampling_rate is None:
            logger.warning_once(
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
        return [_mono(clip, index) for index, clip in enumerate(clips)]


def _mono(clip, index: int) -> np.ndarray:
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
        logger.warning_once(
            f"Clips reach beyond {_LOUDEST} times full scale, as 16-bit samples that were turned into floats. Divide "
            "those by 32768: features depend on the scale."
        )
    return clip


__all__ = ["EspnetAsrFeatureExtractor"]
