# Copyright 2026 The lssed-hf authors. Licensed under the Apache License, Version 2.0.
"""Front end of PyResNet: spectral subtraction, gain, log-mel spectrogram, normalisation."""

from typing import Any

from transformers import BatchFeature, SequenceFeatureExtractor

from .front_end_pyresnet import PyResNetFrontEnd


BACKENDS = ("numpy", "torch")


class PyResNetFeatureExtractor(PyResNetFrontEnd, SequenceFeatureExtractor):
    r"""Front end of the LSSED paper (section 2.3): denoising, gain, mel power spectrogram.

    Decibels and normalisation are additions of this package. `log_mel=False, normalization="none"` gives the paper's
    literal chain.

    ```python
    >>> import numpy as np
    >>> from lssed_hf import PyResNetFeatureExtractor

    >>> second = np.zeros(16000, dtype=np.float32)
    >>> extractor = PyResNetFeatureExtractor(normalization="utterance")
    >>> extractor(second, sampling_rate=16000, return_tensors="np").input_features.shape
    (1, 32, 128)
    ```

    Args:
        num_mel_bins (`int`, *optional*, defaults to 128):
            Mel filters, which is also `feature_size`.
        sampling_rate (`int`, *optional*, defaults to 16000):
            Sampling rate in Hz. Clips at another rate are refused.
        padding_value (`float`, *optional*, defaults to 0.0):
            Value of padded frames. The model ignores them through `attention_mask`.
        do_denoise (`bool`, *optional*, defaults to `True`):
            Whether to apply spectral subtraction (Boll 1979), see [`~PyResNetFeatureExtractor.denoise`].
        denoise_win_length (`int`, *optional*, defaults to 1024):
            Length of the spectral subtraction's Hann window in samples, even. Frames overlap by half.
        noise_fraction (`float`, *optional*, defaults to 0.1):
            Share of the frames, the quietest, that the noise spectrum is estimated from.
        over_subtraction (`float`, *optional*, defaults to 2.0):
            Multiple of the noise magnitude that is subtracted (Berouti et al. 1979).
        spectral_floor (`float`, *optional*, defaults to 0.05):
            Share of the noisy magnitude that always stays, against musical noise.
        resynthesize (`bool`, *optional*, defaults to `True`):
            Whether the denoised clip is made anew and transformed again, as in the paper. `False` subtracts the noise
            in the mel spectrogram's own frames: one transform instead of three. `denoise_win_length` then has no
            effect.
        gain (`float`, *optional*, defaults to 2.0):
            Factor on the amplitude after denoising.
        n_fft (`int`, *optional*, defaults to 1024):
            Length of the periodic Hann window and of the transform, in samples.
        hop_length (`int`, *optional*, defaults to 512):
            Window shift in samples. A clip of `n` samples has `1 + n // hop_length` centred frames.
        f_min, f_max (`float`, *optional*, defaults to 0.0 and 8000.0):
            Range of the triangular mel filters in Hz (Slaney's scale and area normalisation, as librosa's default).
        log_mel (`bool`, *optional*, defaults to `True`):
            Whether to convert power to decibels, `10 log10(max(1e-10, power))`.
        top_db (`float`, *optional*, defaults to 80.0):
            Decibels below the clip's peak at which values are clipped, `None` for no clipping.
        speech_range (`float`, *optional*):
            Make clips independent of the level and of the pauses around the speech. Frames count as speech whose level
            (mean of the decibels) is at most so much below the loud frames' (95th percentile). The mean over speech
            becomes 0 dB, and frames before the first and behind the last one are left out, but for one on each side.
            Default: levels and frames stay as they are.
        input_type (`str`, *optional*, defaults to `"waveform"`):
            Kind of the clips. `"spectrogram"` takes pictures of spectrograms that others computed, a list of
            (channels, num_mel_bins, frames): columns become frames, colours their luma (ITU-R BT.601), and
            `normalization` is all that follows. Settings of the transform have no effect then.
        normalization (`str`, *optional*, defaults to `"corpus"`):
            Normalisation:

            - `"corpus"`: subtract `mean` and divide by `std`, which `lssed_hf.fit_normalization` takes from a Dataset.
              Without them values stay as they are, with a warning.
            - `"speaker"`: the same, for a model that was trained with each speaker's own statistics. `mean` and `std`
              are the corpus's, for unknown speakers.
            - `"utterance"`: subtract each clip's own mean and divide by its deviation, over all frames and bins.
            - `"none"`: leave values as they are.
        mean, std (`list[float]` of length `num_mel_bins`, *optional*):
            Statistics of the corpus.
        return_attention_mask (`bool`, *optional*, defaults to `True`):
            Whether `__call__` and `pad` return `attention_mask` by default.
        backend (`str`, *optional*, defaults to `"numpy"`):
            Library that computes, which saved files do not name. `"torch"` computes a batch at once on the device of
            the waveforms, and gradients flow back to them. It returns tensors:

            ```python
            >>> import torch
            >>> from lssed_hf import PyResNetFeatureExtractor

            >>> extractor = PyResNetFeatureExtractor(normalization="utterance", backend="torch")
            >>> waveforms = torch.zeros(2, 16000, requires_grad=True)
            >>> extractor(waveforms, sampling_rate=16000).input_features.shape
            torch.Size([2, 32, 128])
            ```
    """

    _auto_class = "AutoFeatureExtractor"  # saving copies this code beside the weights

    def __init__(self, *args, backend: str = "numpy", **kwargs):
        if backend not in BACKENDS:
            raise ValueError(f"backend={backend!r} is not one of {', '.join(BACKENDS)}")
        self.backend = backend
        super().__init__(*args, **kwargs)

    @classmethod
    def from_dict(cls, feature_extractor_dict: dict[str, Any], **kwargs):
        """Build an extractor from its settings; see [`FeatureExtractionMixin.from_dict`]."""
        # Keywords of from_pretrained have an effect only where the file has them.
        missing = {"backend": "numpy", "resynthesize": True, "speech_range": None, "input_type": "waveform"}
        settings = {**missing, "do_normalize": True, **feature_extractor_dict}
        if "num_mel_bins" in kwargs and "feature_size" not in kwargs:
            settings.pop("feature_size", None)  # it follows
        return super().from_dict(settings, **kwargs)

    def to_dict(self) -> dict[str, Any]:
        """Return the settings that are saved."""
        return {key: value for key, value in super().to_dict().items() if key != "backend"}

    def _features(self, raw_speech, sampling_rate: int | None) -> list:
        if self.backend == "numpy" or self.input_type == "spectrogram":
            return super()._features(raw_speech, sampling_rate)
        from .torch_front_end_pyresnet import extract, mono

        return extract(self, self._clips(raw_speech, sampling_rate, mono))

    def pad(self, processed_features, padding=True, max_length=None, truncation=False, **settings) -> BatchFeature:
        """Pad features to a batch, see [`SequenceFeatureExtractor.pad`]. With `backend="torch"`, they stay tensors."""
        if self.backend == "torch" and "input_features" in processed_features:
            from .torch_front_end_pyresnet import is_batch, pad

            if is_batch(processed_features["input_features"]):
                return BatchFeature(pad(self, processed_features, padding, max_length, truncation, **settings))
        return super().pad(processed_features, padding, max_length, truncation, **settings)


__all__ = ["PyResNetFeatureExtractor"]
