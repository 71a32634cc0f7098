# Copyright 2026 The lssed-hf authors. Licensed under the Apache License, Version 2.0.
"""Front end of PyResNet: spectral subtraction, gain, log-mel spectrogram, normalisation."""

from transformers import SequenceFeatureExtractor

from .front_end_pyresnet import PyResNetFrontEnd


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
    """

    _auto_class = "AutoFeatureExtractor"  # saving copies this code beside the weights


__all__ = ["PyResNetFeatureExtractor"]
